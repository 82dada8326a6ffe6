#include "execution.hpp"

#include <fmt/format.h>
#include <signal.h>

#include <array>

#include "larder/time.hpp"
#include "storage-kit/json.hpp"

namespace larder::programs {
namespace {

using storage::json::quoted;

std::string text_or_null(std::string_view text) { return text.empty() ? "null" : quoted(text); }
std::string time_or_null(std::int64_t ms) {
    return ms == 0 ? "null" : fmt::format("\"{}\"", rfc3339(ms));
}

}  // namespace

std::string execution_json(const Execution& execution, bool with_output) {
    const bool is_over = execution.is_over();
    std::string out = fmt::format(
        R"({{"execution_id":{},"program_id":{},"state":"{}","command":{},"arguments":{},)",
        execution.id, quoted(execution.program_id), execution.state, quoted(execution.command),
        execution.arguments);
    if (with_output) {
        out += fmt::format(R"("stdout":{},"stderr":{},)", quoted(execution.out),
                           quoted(execution.err));
    }
    out += fmt::format(
        R"("stdout_bytes":{},"stderr_bytes":{},"truncated":{},"return_code":{},"signal":{},)"
        R"("timed_out":{},"limit_hit":{},"execution_time":{:.6f},"cpu_time":{:.6f},"max_rss":{},)",
        execution.stdout_bytes, execution.stderr_bytes, execution.truncated,
        execution.return_code ? std::to_string(*execution.return_code) : "null",
        text_or_null(execution.signal), execution.timed_out, text_or_null(execution.limit_hit),
        execution.execution_time, execution.cpu_time, execution.max_rss);
    out += fmt::format(
        R"("success":{},"queued_time":{},"start_time":{},"end_time":{},"error_message":{},)"
        R"("isolation":{},"memory_enforced":{},"trigger":{}}})",
        is_over ? (execution.succeeded() ? "true" : "false") : "null",
        time_or_null(execution.queued_ms), time_or_null(execution.start_ms),
        time_or_null(execution.end_ms), text_or_null(execution.error_message),
        text_or_null(execution.isolation), execution.memory_enforced, quoted(execution.trigger));
    return out;
}

std::string_view signal_name(int number) {
    static constexpr std::array<std::string_view, 32> kNames = {
        "",          "SIGHUP",  "SIGINT",    "SIGQUIT", "SIGILL",   "SIGTRAP", "SIGABRT", "SIGBUS",
        "SIGFPE",    "SIGKILL", "SIGUSR1",   "SIGSEGV", "SIGUSR2",  "SIGPIPE", "SIGALRM", "SIGTERM",
        "SIGSTKFLT", "SIGCHLD", "SIGCONT",   "SIGSTOP", "SIGTSTP",  "SIGTTIN", "SIGTTOU", "SIGURG",
        "SIGXCPU",   "SIGXFSZ", "SIGVTALRM", "SIGPROF", "SIGWINCH", "SIGIO",   "SIGPWR",  "SIGSYS"};
    return number > 0 && number < static_cast<int>(kNames.size())
               ? kNames[static_cast<std::size_t>(number)]
               : std::string_view();
}

std::string command_text(const ExecutionRequest& request) {
    const std::string_view interpreter = request.language == "python"       ? "python3"
                                         : request.language == "javascript" ? "node"
                                                                            : "bash";
    return fmt::format("{} {}", interpreter, request.main_file);
}

std::string arguments_json(const std::vector<std::string>& arguments) {
    std::string out = "[";
    for (const std::string& argument : arguments) {
        if (out.size() > 1) out += ',';
        storage::json::append_quoted(out, argument);
    }
    return out += ']';
}

std::optional<std::vector<std::string>> split_words(std::string_view text) {
    std::vector<std::string> words;
    std::string word;
    bool in_word = false;
    char quote = '\0';
    for (std::size_t i = 0; i < text.size(); ++i) {
        const char c = text[i];
        if (quote == '\'') {
            if (c == '\'') {
                quote = '\0';
            } else {
                word += c;
            }
            continue;
        }
        if (c == '\\') {
            if (++i == text.size()) return std::nullopt;
            const char next = text[i];
            // Within double quotes it keeps its meaning before a few characters only.
            const bool is_special = std::string_view("$`\"\\\n").find(next) != std::string::npos;
            if (quote == '"' && !is_special) word += '\\';
            if (next != '\n') word += next;
            in_word = in_word || next != '\n';
            continue;
        }
        if (quote == '"') {
            if (c == '"') {
                quote = '\0';
            } else {
                word += c;
            }
            continue;
        }
        if (c == '\'' || c == '"') {
            quote = c;
            in_word = true;
        } else if (c == ' ' || c == '\t' || c == '\n') {
            if (in_word) words.push_back(std::move(word));
            word.clear();
            in_word = false;
        } else {
            word += c;
            in_word = true;
        }
    }
    if (quote != '\0') return std::nullopt;
    if (in_word) words.push_back(std::move(word));
    return words;
}

}  // namespace larder::programs
