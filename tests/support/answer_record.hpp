// Writes down what larderd answered to the tests' requests, so that all of it can be held against
// GET /openapi.json afterwards (tests/openapi/check_answers). It judges nothing itself, and asks
// the daemon for nothing, since tests count what a daemon is asked.
#pragma once

#include <string_view>

#include "support/raw_client.hpp"

namespace larder::test {

// Appends a line to the file that RECORD_ANSWERS names; does nothing where it is not set.
// [any]
void record_answer(std::string_view method, std::string_view target, const Answer& answer);

}  // namespace larder::test
