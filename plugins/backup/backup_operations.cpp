// Contents: one operation · all of them: begun, run one after the other, drained · answers and
// progress · what a request prefers
#include "backup_operations.hpp"

#include <fmt/format.h>
#include <pthread.h>

#include <algorithm>
#include <charconv>
#include <system_error>
#include <utility>

#include "backup_answers.hpp"
#include "backup_catalog.hpp"
#include "storage-kit/json.hpp"

namespace larder::backup {
namespace {

namespace json = storage::json;

constexpr std::size_t kMostQueued = 16, kMostKept = 200, kMostFollowers = 100;
constexpr auto kStep = std::chrono::milliseconds(200);
constexpr auto kHeartbeat = std::chrono::seconds(15);
constexpr auto kMostPatience = std::chrono::hours(1);

const char* word_of(Operation::State state) {
    switch (state) {
        case Operation::State::queued: return "queued";
        case Operation::State::running: return "running";
        case Operation::State::done: return "done";
        case Operation::State::failed: return "failed";
    }
    return "unknown";
}

bool is_over(const Operation& operation) {
    const auto state = operation.state();
    return state == Operation::State::done || state == Operation::State::failed;
}

}  // namespace

// ---- one operation

void Operation::phase(std::string_view name) {
    bytes = total = files = 0;
    const std::scoped_lock lock(mutex_);
    phase_ = name;
}

void Operation::check() const {
    if (!cancelled_) return;
    throw Error(Errc::unavailable, "cancelled", "the plugin is being stopped: nothing was changed");
}

Operation::State Operation::state() const {
    const std::scoped_lock lock(mutex_);
    return state_;
}

std::optional<Error> Operation::fault() const {
    const std::scoped_lock lock(mutex_);
    return fault_;
}

void Operation::wait(const std::function<bool()>& go_on) {
    std::unique_lock lock(mutex_);
    const auto over = [this] { return state_ == State::done || state_ == State::failed; };
    while (!over_.wait_for(lock, std::chrono::milliseconds(100), over)) {
        lock.unlock();
        const bool more = go_on();
        lock.lock();
        if (!more) return;
    }
}

std::string Operation::json() const {
    const std::scoped_lock lock(mutex_);
    const std::uint64_t have = bytes, all = total;
    const std::string percent =
        all == 0 ? "null"
                 : fmt::format("{:.1f}", std::min(100.0, 100.0 * static_cast<double>(have) /
                                                             static_cast<double>(all)));
    return fmt::format(
        R"({{"backup_id":{},"operation":"{}","state":"{}","phase":{},"bytes":{},"total_bytes":{},)"
        R"("files":{},"percent":{},"error":{}}})",
        json::quoted(backup_id), kind, word_of(state_), json::quoted(phase_), have,
        all == 0 ? "null" : std::to_string(all), files.load(), percent,
        fault_ ? json::quoted(fault_->detail()) : "null");
}

// ---- all of them

Operations::Operations(Host& host) : host_(host) {
    runner_ = std::thread([this] { run(); });
    teller_ = std::thread([this] { tell(); });
}

Operations::~Operations() { drain(); }

OperationPtr Operations::begin(std::string kind, std::string backup_id, Work work) {
    const std::scoped_lock lock(mutex_);
    return enqueue(std::move(kind), std::move(backup_id), std::move(work));
}

OperationPtr Operations::begin(std::string kind, const Choose& choose, Work work) {
    const std::scoped_lock lock(mutex_);
    std::string id = choose([this](const std::string& taken) {
        return std::any_of(latest_.begin(), latest_.end(),
                           [&](const auto& known) { return known->backup_id == taken; });
    });
    return enqueue(std::move(kind), std::move(id), std::move(work));
}

// With mutex_ held.
OperationPtr Operations::enqueue(std::string kind, std::string backup_id, Work work) {
    if (ending_ || queue_.size() >= kMostQueued) {
        throw Error(Errc::unavailable, "overloaded",
                    "too much work on backups waits already; come again")
            .with_header("Retry-After", "10");
    }
    auto operation = std::make_shared<Operation>(std::move(kind), std::move(backup_id));
    queue_.push_back({operation, std::move(work)});
    latest_.push_back(operation);
    if (latest_.size() > kMostKept) latest_.pop_front();
    changed_.notify_all();
    return operation;
}

OperationPtr Operations::find(std::string_view backup_id, std::string_view kind) const {
    const std::scoped_lock lock(mutex_);
    const auto found = std::find_if(latest_.rbegin(), latest_.rend(), [&](const auto& known) {
        return known->backup_id == backup_id && (kind.empty() || known->kind == kind);
    });
    return found == latest_.rend() ? nullptr : *found;
}

std::vector<OperationPtr> Operations::under_way() const {
    const std::scoped_lock lock(mutex_);
    std::vector<OperationPtr> found;
    std::copy_if(latest_.begin(), latest_.end(), std::back_inserter(found),
                 [](const OperationPtr& known) { return !is_over(*known); });
    return found;
}

void Operations::run() {
    pthread_setname_np(pthread_self(), "larder-backup");
    std::unique_lock lock(mutex_);
    for (;;) {
        changed_.wait(lock, [this] { return ending_ || !queue_.empty(); });
        if (queue_.empty()) return;
        const Queued next = std::move(queue_.front());
        queue_.pop_front();
        lock.unlock();
        carry_out(next);
        lock.lock();
        changed_.notify_all();
    }
}

void Operations::carry_out(const Queued& next) {
    Operation& operation = *next.operation;
    {
        const std::scoped_lock lock(operation.mutex_);
        operation.state_ = Operation::State::running;
    }
    Answered answered;
    std::optional<Error> fault;
    try {
        operation.check();
        answered = next.work(operation);
    } catch (const Error& error) {
        fault = error;
    } catch (const std::system_error& error) {
        fault = disk_error(error);
    } catch (const std::exception& error) {
        fault = Error(Errc::internal, "internal", "the work failed").because(error.what());
    }
    if (fault && fault->code() != Errc::unavailable) {
        host_.log().write(
            Level::error,
            fmt::format("{} of {} failed: {}{}{}", operation.kind, operation.backup_id,
                        fault->detail(), fault->internal().empty() ? "" : ": ", fault->internal()));
    }
    const std::scoped_lock lock(operation.mutex_);
    operation.state_ = fault ? Operation::State::failed : Operation::State::done;
    operation.fault_ = std::move(fault);
    operation.status_ = answered.status;
    operation.body_ = std::move(answered.body);
    operation.over_.notify_all();
}

void Operations::answer(const OperationPtr& operation, Reply reply,
                        std::optional<std::chrono::milliseconds> patience) {
    Waiting waiting{operation, std::move(reply), std::nullopt};
    if (patience) {
        waiting.deadline =
            Clock::now() + std::min<std::chrono::milliseconds>(*patience, kMostPatience);
    }
    {
        const std::scoped_lock lock(mutex_);
        waiting_.push_back(std::move(waiting));
    }
    changed_.notify_all();
}

void Operations::follow(const OperationPtr& operation, Reply reply) {
    {
        const std::scoped_lock lock(mutex_);
        if (ending_ || followers_.size() >= kMostFollowers) {
            throw Error(Errc::unavailable, "too-many-watchers",
                        fmt::format("there are {} watchers already", kMostFollowers))
                .with("limit", std::to_string(kMostFollowers))
                .with_header("Retry-After", "5");
        }
    }
    auto stream = std::move(reply).stream({});
    const std::scoped_lock lock(mutex_);
    followers_.push_back({operation, std::move(stream), {}, Clock::now()});
    changed_.notify_all();
}

void Operations::drain() noexcept {
    {
        const std::scoped_lock lock(mutex_);
        if (ending_) return;
        ending_ = true;
        for (const OperationPtr& operation : latest_) operation->cancel();
    }
    changed_.notify_all();
    runner_.join();
    teller_.join();
}

// ---- answers and progress

void Operations::tell() {
    pthread_setname_np(pthread_self(), "larder-backup-p");
    std::unique_lock lock(mutex_);
    for (;;) {
        const bool idle = waiting_.empty() && followers_.empty();
        if (idle && !ending_) {
            changed_.wait(lock,
                          [this] { return ending_ || !waiting_.empty() || !followers_.empty(); });
        } else if (!ending_) {
            changed_.wait_for(lock, kStep);
        }
        // The runner has its last piece of work end first, so that its end is what is told.
        const bool ending =
            ending_ && std::all_of(latest_.begin(), latest_.end(),
                                   [](const auto& known) { return is_over(*known); });
        answer_due(ending);
        feed_followers(ending);
        if (ending) return;
        if (ending_) changed_.wait_for(lock, kStep);
    }
}

// With mutex_ held.
void Operations::answer_due(bool ending) {
    std::vector<Waiting> left;
    for (Waiting& waiting : waiting_) {
        const Operation& operation = *waiting.operation;
        const auto deadline = waiting.deadline;
        if (is_over(operation)) {
            const std::scoped_lock lock(operation.mutex_);
            if (operation.fault_) {
                std::move(waiting.reply).fail(*operation.fault_);
            } else {
                Response response = json_answer(operation.status_, operation.body_);
                if (operation.status_ == 201) {
                    response.headers.emplace_back("Location", url_of(operation.backup_id));
                }
                std::move(waiting.reply).send(std::move(response));
            }
        } else if (ending || (deadline && Clock::now() >= *deadline)) {
            std::move(waiting.reply).send(accepted(operation));
        } else {
            left.push_back(std::move(waiting));
        }
    }
    waiting_ = std::move(left);
}

void Operations::feed_followers(bool ending) {
    const auto now = Clock::now();
    std::vector<Follower> left;
    for (Follower& follower : followers_) {
        const bool over = is_over(*follower.operation);
        const std::string data = follower.operation->json();
        const bool is_news = data != follower.last || over;
        auto sent = EventStream::Sent::taken;
        if (is_news || now - follower.told >= kHeartbeat) {
            const char* event = word_of(follower.operation->state());
            sent = follower.stream->send(std::make_shared<const std::string>(
                is_news ? fmt::format("event: {}\ndata: {}\n\n", over ? event : "progress", data)
                        : ":\n\n"));
            follower.told = now;
            follower.last = data;
        }
        if (over || ending || sent == EventStream::Sent::closed) {
            follower.stream->close();
        } else {
            left.push_back(std::move(follower));
        }
    }
    followers_ = std::move(left);
}

// ---- what a request prefers

std::optional<std::chrono::milliseconds> wait_of(const Request& request) {
    const auto header = request.header("Prefer");
    if (!header) return std::nullopt;
    const std::size_t at = header->find("wait=");
    if (at == std::string_view::npos) return std::nullopt;
    std::string_view digits = header->substr(at + 5);
    if (digits.starts_with('"')) digits.remove_prefix(1);
    std::int64_t seconds = 0;
    const auto read = std::from_chars(digits.data(), digits.data() + digits.size(), seconds);
    if (read.ec != std::errc() || seconds < 0) return std::nullopt;
    constexpr std::int64_t kMost = std::chrono::seconds(kMostPatience).count();
    return std::chrono::seconds(std::min(seconds, kMost));
}

bool wants_async(const Request& request) {
    const auto header = request.header("Prefer");
    return header && header->find("respond-async") != std::string_view::npos;
}

Response accepted(const Operation& operation) {
    Response response = json_answer(202, operation.json());
    response.headers.emplace_back("Location", operation.kind == "create"
                                                  ? url_of(operation.backup_id)
                                                  : url_of(operation.backup_id) + "/progress");
    return response;
}

}  // namespace larder::backup
