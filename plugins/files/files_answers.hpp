// What the routes of files have in common: JSON answers, work that goes to a worker. Knows no
// store.
#pragma once

#include <memory>
#include <string>
#include <string_view>
#include <utility>

#include "files_record.hpp"
#include "files_store.hpp"
#include "larder/host.hpp"
#include "larder/http.hpp"
#include "storage-kit/answers.hpp"

namespace larder::files {

using storage::json_answer;
using storage::problem_answer;

Sender sender_of(const Request& request);
// `{"files":[…]}`, or the record alone where there is one; 201.
Response created_answer(const std::vector<Record>& records);

}  // namespace larder::files
