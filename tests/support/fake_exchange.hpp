// The front's side of one request without any socket: what the application is given, and a record
// of what it answered. Not a model of framing or time-outs.
#pragma once

#include <chrono>
#include <condition_variable>
#include <memory>
#include <mutex>
#include <optional>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "http/http.hpp"
#include "larder/cancel_flag.hpp"

namespace larder::test {

// Answered once, from any thread; a second answer is counted.
class FakeExchange final : public http::Exchange {
public:
    FakeExchange(std::string method, std::string target, std::vector<http::Field> fields = {},
                 std::string body = {})
        : method_(std::move(method)), target_(std::move(target)), body_(std::move(body)) {
        head_.method = method_;
        head_.target = target_;
        head_.authority = "localhost";
        head_.fields = std::move(fields);
        if (!body_.empty()) head_.content_length = body_.size();
    }

    http::Head& mutable_head() noexcept { return head_; }
    http::Peer& mutable_peer() noexcept { return peer_; }

    const http::Head& head() const noexcept override { return head_; }
    std::string_view body() const noexcept override { return body_; }
    std::string_view id() const noexcept override { return "id-1"; }
    const http::Peer& peer() const noexcept override { return peer_; }
    std::size_t reactor() const noexcept override { return 0; }
    std::chrono::steady_clock::time_point began() const noexcept override { return {}; }
    std::shared_ptr<Cancel> cancel() override {
        const std::scoped_lock lock(mutex_);
        if (!cancel_) cancel_ = std::make_shared<CancelFlag>();
        return cancel_;
    }
    void answer(Response&& response) noexcept override {
        const std::scoped_lock lock(mutex_);
        ++answers_;
        if (!answer_) answer_ = std::move(response);
        changed_.notify_all();
    }
    std::shared_ptr<EventStream> stream(StreamHead&& /*head*/) noexcept override { return nullptr; }
    void resume_body() noexcept override {
        const std::scoped_lock lock(mutex_);
        ++resumes_;
        changed_.notify_all();
    }
    void begin_again() noexcept override {
        const std::scoped_lock lock(mutex_);
        ++beginnings_;
        changed_.notify_all();
    }

    // Waits for the answer; nothing when there is none within the limit.
    const Response* wait_for_answer(std::chrono::seconds limit = std::chrono::seconds(20)) {
        std::unique_lock lock(mutex_);
        const bool came = changed_.wait_for(lock, limit, [this] { return answer_.has_value(); });
        return came ? &*answer_ : nullptr;
    }
    bool wait_for_resume(int count, std::chrono::seconds limit = std::chrono::seconds(20)) {
        std::unique_lock lock(mutex_);
        return changed_.wait_for(lock, limit, [this, count] { return resumes_ >= count; });
    }
    int beginnings() const {
        const std::scoped_lock lock(mutex_);
        return beginnings_;
    }
    // As the front does when the answer is out.
    void drop_answer() {
        const std::scoped_lock lock(mutex_);
        answer_.reset();
    }
    bool is_answered() const {
        const std::scoped_lock lock(mutex_);
        return answer_.has_value();
    }
    int answers() const {
        const std::scoped_lock lock(mutex_);
        return answers_;
    }
    int resumes() const {
        const std::scoped_lock lock(mutex_);
        return resumes_;
    }

private:
    const std::string method_, target_, body_;
    http::Head head_;
    http::Peer peer_;
    mutable std::mutex mutex_;  // guards all below
    std::condition_variable changed_;
    std::shared_ptr<Cancel> cancel_;
    std::optional<Response> answer_;
    int answers_ = 0, resumes_ = 0, beginnings_ = 0;
};

// A request of which only the method and the headers matter.
class FakeRequest final : public Request {
public:
    std::vector<http::Field> fields;
    Method verb = Method::put;

    Method method() const noexcept override { return verb; }
    std::string_view target() const noexcept override { return "/"; }
    std::string_view param(std::string_view) const override { return {}; }
    std::optional<std::string_view> query(std::string_view) const override { return {}; }
    std::vector<std::string_view> queries(std::string_view) const override { return {}; }
    std::optional<std::string_view> header(std::string_view name) const override {
        for (const http::Field& field : fields) {
            if (field.name == name) return field.value;
        }
        return std::nullopt;
    }
    std::optional<std::uint64_t> content_length() const noexcept override { return {}; }
    std::string_view body() const override { return {}; }
    std::string_view principal() const noexcept override { return {}; }
    bool may(Permission, std::string_view) const override { return true; }
    std::string_view peer_address() const noexcept override { return {}; }
    std::string_view id() const noexcept override { return {}; }
    std::shared_ptr<Cancel> cancel() const override { return nullptr; }
};

}  // namespace larder::test
