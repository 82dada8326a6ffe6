// What a client may say of a run it wants, checked. For routes and schedules.
#pragma once

#include <string_view>
#include <vector>

#include "execution.hpp"
#include "larder/host.hpp"
#include "programs_record.hpp"
#include "storage-kit/json_members.hpp"

namespace larder::programs {

// The member `args`: an array of texts, or a text that is split into words. Throws
// Error{unprocessable, "invalid-field"}, as all here.
std::vector<std::string> arguments_in(const storage::json::Members& members);
// The member `timeout` in seconds, within programs.max_timeout; programs.timeout where absent.
std::int64_t timeout_ms_in(const storage::json::Members& members, const Settings& settings);

// Of a whole body; an empty one asks for nothing special. Throws Error{bad_request,
// "invalid-json"}, too.
ExecutionRequest execution_request_of(const Record& program, std::string_view body,
                                      const Settings& settings);
// A request for a run of this program with nothing but its defaults. Throws Error{conflict,
// "no-main-file"}.
ExecutionRequest plain_request(const Record& program, const Settings& settings);

}  // namespace larder::programs
