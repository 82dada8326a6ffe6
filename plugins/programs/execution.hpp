// One run of a program: what was asked, what came of it, and the JSON of that. Not how it is run.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

namespace larder::programs {

struct ExecutionRequest {
    std::string program_id, main_file;
    std::string_view language;
    bool network = false;
    std::vector<std::string> arguments;
    std::string input;                     // any bytes
    std::vector<std::string> environment;  // "NAME=value"
    std::int64_t timeout_ms = 30'000;
    std::string trigger = "api";  // or "schedule"
    std::string principal, request_id;
    std::string idempotency_key, body_hash;  // empty: none
};

// Times are Unix milliseconds, 0 is none; durations seconds, sizes bytes.
struct Execution {
    std::int64_t id = 0;
    std::string program_id, command;
    std::string arguments = "[]";  // a JSON array
    std::string state = "queued";  // as the interface names them
    std::int64_t queued_ms = 0, start_ms = 0, end_ms = 0;
    std::optional<int> return_code;
    std::string signal, limit_hit, error_message;  // empty: none
    bool timed_out = false, truncated = false;
    double execution_time = 0, cpu_time = 0;
    std::uint64_t max_rss = 0, stdout_bytes = 0, stderr_bytes = 0;
    std::string isolation;  // "full", "reduced" or "none"; empty before it ran
    bool memory_enforced = false;
    std::string trigger = "api", principal, request_id;
    std::string out, err;  // what was kept, any bytes

    bool is_over() const noexcept { return state != "queued" && state != "running"; }
    bool succeeded() const noexcept { return state == "succeeded"; }
};

std::string execution_json(const Execution& execution, bool with_output);

std::string_view signal_name(int number);  // "SIGKILL"; empty for what is no signal

// What the interpreter is called with, for people: "python3 main.py".
std::string command_text(const ExecutionRequest& request);
std::string arguments_json(const std::vector<std::string>& arguments);

// Words as a POSIX shell splits them (XCU 2.2), without any expansion: quotes and backslashes
// alone mean something. Nothing where a quote is not closed.
std::optional<std::vector<std::string>> split_words(std::string_view text);

}  // namespace larder::programs
