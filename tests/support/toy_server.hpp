// A server around an application that is whatever a test says it is, with workers for generators
// and a record of how exchanges ended. It serves nothing on its own.
#pragma once

#include <condition_variable>
#include <deque>
#include <functional>
#include <map>
#include <memory>
#include <mutex>
#include <string>
#include <string_view>
#include <thread>
#include <vector>

#include "http/http.hpp"
#include "support/front_client.hpp"

namespace larder::test {

// Keeps what it was given to see it called back.
struct EndRecord {
    std::string target;  // empty where no head was read
    int status;
    std::uint64_t bytes_in, bytes_out;
    bool whole;
};

// Collects a body. Counters may be read from any thread.
class CollectingSink final : public http::BodySink {
public:
    std::function<bool(CollectingSink&)> after_take = [](CollectingSink&) { return true; };
    std::function<void(CollectingSink&)> at_end = [](CollectingSink&) {};

    bool take(std::string&& bytes) override {
        {
            const std::lock_guard lock(mutex_);
            ++takes_;
            largest_ = std::max(largest_, bytes.size());
            bytes_ += bytes;
        }
        return after_take(*this);
    }
    void end(Headers&& trailers) override {
        {
            const std::lock_guard lock(mutex_);
            ++ends_;
            trailers_ = std::move(trailers);
        }
        at_end(*this);
    }
    void abort() noexcept override {
        const std::lock_guard lock(mutex_);
        ++aborts_;
    }

    std::string bytes() const { return with(bytes_); }
    Headers trailers() const { return with(trailers_); }
    int takes() const { return with(takes_); }
    int ends() const { return with(ends_); }
    int aborts() const { return with(aborts_); }
    std::size_t largest() const { return with(largest_); }

private:
    template <class T> T with(const T& value) const {
        const std::lock_guard lock(mutex_);
        return value;
    }

    mutable std::mutex mutex_;
    std::string bytes_;
    Headers trailers_;
    int takes_ = 0, ends_ = 0, aborts_ = 0;
    std::size_t largest_ = 0;
};

class ToyServer final : public http::Application {
public:
    using Held = std::shared_ptr<http::Exchange>;

    explicit ToyServer(http::Options options = two_reactors());
    ~ToyServer();
    ToyServer(const ToyServer&) = delete;
    ToyServer& operator=(const ToyServer&) = delete;

    static http::Options two_reactors() {
        http::Options options;
        options.reactors = 2;
        return options;
    }

    // Set before start(). By default a body is collected up to 1 MiB and run() echoes
    // "METHOD target\n" and the body.
    std::function<http::BodyPlan(const Held&)> on_begin;
    std::function<void(const Held&)> on_run;
    std::function<void(const http::Ended&)> on_ended;
    std::function<bool()> may_post = [] { return true; };

    void start(const std::string& address = "127.0.0.1:0", bool tls = false);
    http::Server& server() { return server_; }
    std::string address() const { return server_.addresses().front(); }
    FrontClient client(int receive_buffer = 0) const {
        return FrontClient(address(), receive_buffer);
    }

    std::vector<EndRecord> ended() const;
    std::vector<std::string> log() const;
    bool logged(std::string_view part) const;

    // Runs on a worker.
    void on_worker(std::function<void()> work);

    static Response text(int status, std::string body);
    static http::BodyPlan answered() { return {http::BodyPlan::Kind::answered, 0, nullptr, true}; }
    static http::BodyPlan buffered(std::uint64_t limit) {
        return {http::BodyPlan::Kind::buffer, limit, nullptr, true};
    }
    static http::BodyPlan streamed(std::shared_ptr<http::BodySink> sink,
                                   std::uint64_t limit = UINT64_MAX) {
        return {http::BodyPlan::Kind::stream, limit, std::move(sink), true};
    }

private:
    http::BodyPlan begin(const Held& exchange) override;
    void run(const Held& exchange) override;
    void ended(const http::Ended& ended) noexcept override;
    bool post(Task task);
    void work();

    mutable std::mutex mutex_;
    std::condition_variable wake_;
    std::deque<Task> tasks_;
    bool stopping_ = false;
    std::vector<EndRecord> ended_;
    std::vector<std::string> log_;
    std::vector<std::thread> workers_;
    http::Server server_;  // last: it calls into all of the above
};

}  // namespace larder::test
