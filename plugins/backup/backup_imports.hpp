// An archive coming in: written down as it comes, judged whole, then listed. Nothing in it is
// believed before.
#pragma once

#include <memory>

#include "backup_operations.hpp"
#include "backup_site.hpp"
#include "larder/http.hpp"

namespace larder::backup {

// Throws Error{too_large}. [worker]
std::unique_ptr<Upload> begin_import(const Site& site, const Request& request,
                                     std::shared_ptr<Cancel> cancel);

}  // namespace larder::backup
