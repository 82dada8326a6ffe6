// Judges the error answers of the daemon against the one form they all have (RFC 9457). Not their
// meaning: which status and code is right is each test's own matter.
#pragma once

#include <string>

#include "support/raw_client.hpp"

namespace larder::test {

// What is wrong with a 4xx or 5xx answer that has a body, in words; empty when it is as it must be:
// application/problem+json with type, title, status, detail, code and request_id that agree with
// the head, and no path of the server's file system.
std::string fault_of_problem(const Answer& answer);

}  // namespace larder::test
