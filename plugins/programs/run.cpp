#include "run.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <charconv>
#include <utility>

#include "larder/time.hpp"
#include "storage-kit/answers.hpp"
#include "storage-kit/json.hpp"

namespace larder::programs {
namespace {

using protocol::Frame;
using storage::json::quoted;

constexpr std::size_t kBlockBytes = 64U << 10U;

std::string text_data(std::string_view text) {
    return fmt::format(R"({{"text":{}}})", quoted(text));
}

// What of `text` can be shown before more comes: no part of a character at its end.
std::size_t whole_characters(std::string_view text) {
    for (std::size_t back = 1; back <= std::min<std::size_t>(3, text.size()); ++back) {
        const auto byte = static_cast<unsigned char>(text[text.size() - back]);
        if (byte < 0x80) break;
        if (byte < 0xC0) continue;
        const std::size_t length = byte >= 0xF0 ? 4 : byte >= 0xE0 ? 3 : 2;
        return length > back ? text.size() - back : text.size();
    }
    return text.size();
}

// The first and the last part as one text, with what is missing in between told.
std::string joined(std::string_view first, std::string_view last, std::uint64_t total) {
    std::string text(first);
    const std::uint64_t missing =
        total - std::min<std::uint64_t>(total, first.size() + last.size());
    if (missing > 0) text += fmt::format("\n[... {} bytes left out ...]\n", missing);
    return text.append(last);
}

}  // namespace

std::string event_block(std::string_view name, std::string_view data) {
    return fmt::format("event: {}\ndata: {}\n\n", name, data);
}

std::string replay(const Execution& execution) {
    std::string text;
    if (!execution.out.empty()) text += event_block("stdout", text_data(execution.out));
    if (!execution.err.empty()) text += event_block("stderr", text_data(execution.err));
    return text + event_block("exit", execution_json(execution, false));
}

Run::Run(ExecutionRequest asked) : request(std::move(asked)) {
    record_.program_id = request.program_id;
    record_.command = command_text(request);
    record_.arguments = arguments_json(request.arguments);
    record_.queued_ms = unix_now_ms();
    record_.trigger = request.trigger;
    record_.principal = request.principal;
    record_.request_id = request.request_id;
    shown_ = record_;
}

// ---- by the runner

void Run::begin(std::int64_t start_ms, std::string_view isolation) {
    record_.state = "running";
    record_.start_ms = start_ms;
    record_.isolation = isolation;
    const std::scoped_lock lock(mutex_);
    shown_ = record_;
}

void Run::take(Frame kind, std::string_view bytes) {
    const std::scoped_lock lock(mutex_);
    switch (kind) {
        case Frame::out_first: out_first_ += bytes; break;
        case Frame::err_first: err_first_ += bytes; break;
        case Frame::out_last: out_last_ += bytes; break;
        case Frame::err_last: err_last_ += bytes; break;
        case Frame::out_live: send_live(false, bytes); break;
        case Frame::err_live: send_live(true, bytes); break;
        case Frame::started:
        case Frame::result: return;
    }
    for (const auto& watcher : watchers_) attend(*watcher);
}

void Run::finish(std::string_view items, std::int64_t end_ms) {
    std::string stopped;
    std::optional<int> code;
    bool out_of_processes = false;
    protocol::each_item(items, [&](std::string_view name, std::string_view value) {
        std::uint64_t number = 0;
        std::from_chars(value.data(), value.data() + value.size(), number);
        if (name == "code") code = static_cast<int>(number);
        if (name == "stopped") stopped = value;
        if (name == "fault") fault_ = value;
        if (name == "pids") out_of_processes = number != 0;
        if (name == "cgroup") record_.memory_enforced = number != 0;
        if (name == "wall_us") record_.execution_time = static_cast<double>(number) / 1e6;
        if (name == "cpu_us") record_.cpu_time = static_cast<double>(number) / 1e6;
        if (name == "max_rss") record_.max_rss = number;
        if (name == "stdout_bytes") record_.stdout_bytes = number;
        if (name == "stderr_bytes") record_.stderr_bytes = number;
    });
    while (fault_.ends_with('\n')) fault_.pop_back();
    record_.end_ms = end_ms;
    if (stopped.empty() && fault_.empty() && code) {
        // What is above 128 was a signal, as shells have it too.
        const std::string_view signal = *code > 128 ? signal_name(*code - 128) : std::string_view();
        if (signal.empty()) {
            record_.return_code = code;
        } else {
            record_.signal = signal;
        }
        record_.state = *code == 0 ? "succeeded" : "failed";
        if (signal == "SIGXFSZ") record_.limit_hit = "disk";
        if (signal == "SIGXCPU") record_.limit_hit = "cpu";
    } else if (stopped == "cancelled") {
        record_.state = "cancelled";
        record_.signal = "SIGKILL";
    } else if (!stopped.empty()) {
        record_.timed_out = stopped == "wall";
        record_.state = record_.timed_out ? "timed_out" : "failed";
        record_.limit_hit = stopped;
        record_.signal = "SIGKILL";
    } else {
        record_.state = "failed";
        record_.error_message = fault_.empty() ? "larder-run ended before the program did" : fault_;
    }
    if (record_.limit_hit.empty() && out_of_processes) record_.limit_hit = "pids";
    const std::scoped_lock lock(mutex_);
    record_.truncated = record_.stdout_bytes > out_first_.size() + out_last_.size() ||
                        record_.stderr_bytes > err_first_.size() + err_last_.size();
    if (record_.limit_hit.empty() && record_.truncated) record_.limit_hit = "output";
    record_.out = joined(out_first_, out_last_, record_.stdout_bytes);
    record_.err = joined(err_first_, err_last_, record_.stderr_bytes);
}

void Run::finish_without_run(std::string_view state, std::string_view why, std::int64_t end_ms) {
    record_.state = state;
    record_.error_message = why;
    if (state == "failed") fault_ = why;
    record_.end_ms = end_ms;
}

void Run::complete(const std::optional<Error>& failed) {
    std::vector<Reply> waiting;
    {
        const std::scoped_lock lock(mutex_);
        failed_ = failed;
        if (!failed_ && !fault_.empty()) {
            failed_ = Error(Errc::unavailable, "sandbox-unavailable",
                            fmt::format("the sandbox could not be made: {}", fault_))
                          .with("reason", quoted(fault_));
        }
        shown_ = record_;
        over_ = true;
        waiting.swap(waiting_);
        for (const auto& watcher : watchers_) attend(*watcher);
    }
    for (Reply& reply : waiting) answer(std::move(reply));
}

void Run::answer(Reply reply) const {
    if (failed_) {
        std::move(reply).fail(*failed_);
    } else {
        std::move(reply).send(storage::json_answer(200, execution_json(record_, true)));
    }
}

// ---- by requests

void Run::await(Reply reply) {
    {
        const std::scoped_lock lock(mutex_);
        if (!over_) {
            waiting_.push_back(std::move(reply));
            return;
        }
    }
    answer(std::move(reply));
}

Execution Run::now() const {
    const std::scoped_lock lock(mutex_);
    Execution execution = shown_;
    execution.id = record_.id;  // given before anybody could ask
    if (over_) return execution;
    execution.out = out_first_;
    execution.err = err_first_;
    execution.stdout_bytes = out_first_.size();
    execution.stderr_bytes = err_first_.size();
    return execution;
}

void Run::watch(Reply reply) {
    auto watcher = std::make_shared<Watcher>();
    StreamHead head;
    const auto told = [run = weak_from_this(), weak = std::weak_ptr<Watcher>(watcher)](bool gone) {
        const auto self = run.lock();
        const auto known = weak.lock();
        if (!self || !known) return;
        const std::scoped_lock lock(self->mutex_);
        known->blocked = false;
        known->gone = known->gone || gone;
        self->attend(*known);
    };
    head.writable = [told] { told(false); };
    head.closed = [told] { told(true); };
    const std::scoped_lock lock(mutex_);
    watcher->stream = std::move(reply).stream(std::move(head));
    watchers_.push_back(watcher);
    attend(*watcher);
}

void Run::heartbeat() {
    const std::scoped_lock lock(mutex_);
    std::erase_if(watchers_, [](const auto& watcher) { return watcher->gone; });
    for (const auto& watcher : watchers_) {
        if (!watcher->blocked) send(*watcher, ": here\n\n");
    }
}

bool Run::send(Watcher& watcher, std::string block) {
    watcher.blocked = true;  // before, since room may be told of at once
    const auto sent = watcher.stream->send(std::make_shared<const std::string>(std::move(block)));
    if (sent == EventStream::Sent::closed) watcher.gone = true;
    if (sent == EventStream::Sent::taken) watcher.blocked = false;
    return sent == EventStream::Sent::taken;
}

// The next block of a stream's first part; false: there is nothing, or no room.
bool Run::send_first(Watcher& watcher, bool is_err) {
    const std::string& first = is_err ? err_first_ : out_first_;
    std::size_t& at = is_err ? watcher.err_at : watcher.out_at;
    std::string_view rest = std::string_view(first).substr(at);
    const bool is_all = rest.size() <= kBlockBytes && over_;
    rest = rest.substr(0, kBlockBytes);
    if (!is_all) rest = rest.substr(0, whole_characters(rest));
    if (rest.empty()) return false;
    if (!send(watcher, event_block(is_err ? "stderr" : "stdout", text_data(rest)))) return false;
    at += rest.size();
    std::uint64_t& seen = is_err ? watcher.err_seen : watcher.out_seen;
    seen = std::max<std::uint64_t>(seen, at);
    return true;
}

// What comes after the first part goes to those who have that, and keep up.
void Run::send_live(bool is_err, std::string_view bytes) {
    if (bytes.size() <= sizeof(std::uint64_t)) return;
    std::uint64_t offset = 0;
    for (unsigned i = 0; i < sizeof offset; ++i) {
        offset |= static_cast<std::uint64_t>(static_cast<unsigned char>(bytes[i])) << (8 * i);
    }
    bytes.remove_prefix(sizeof offset);
    const std::string block = event_block(is_err ? "stderr" : "stdout", text_data(bytes));
    for (const auto& watcher : watchers_) {
        const bool has_first =
            is_err ? watcher->err_at == err_first_.size() : watcher->out_at == out_first_.size();
        if (watcher->gone || watcher->blocked || !has_first) continue;
        if (send(*watcher, block)) {
            (is_err ? watcher->err_seen : watcher->out_seen) = offset + bytes.size();
        }
    }
}

void Run::attend(Watcher& watcher) {
    while (!watcher.gone && !watcher.blocked && send_first(watcher, false)) {
    }
    while (!watcher.gone && !watcher.blocked && send_first(watcher, true)) {
    }
    if (!over_ || watcher.gone || watcher.blocked || watcher.told) return;
    // The end of each stream, as far as it was not seen.
    std::string block;
    const auto add_last = [&](const char* name, const std::string& last, std::uint64_t total,
                              std::uint64_t seen) {
        if (seen >= total || last.empty()) return;
        const std::uint64_t unseen = std::min<std::uint64_t>(total - seen, last.size());
        block += event_block(name, text_data(std::string_view(last).substr(last.size() - unseen)));
    };
    add_last("stdout", out_last_, record_.stdout_bytes, watcher.out_seen);
    add_last("stderr", err_last_, record_.stderr_bytes, watcher.err_seen);
    block += event_block("exit", execution_json(record_, false));
    if (!send(watcher, std::move(block))) return;
    watcher.told = true;
    watcher.stream->close();
}

}  // namespace larder::programs
