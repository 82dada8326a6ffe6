// Whole buckets in and out, as one JSON object each; a value at a time in memory.
#pragma once

#include "command.hpp"

namespace larder::ctl {

int import_bucket(Context& context);
int export_bucket(Context& context);

}  // namespace larder::ctl
