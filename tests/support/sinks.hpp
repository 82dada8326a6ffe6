// Somebody else's servers, for what the daemon sends out: one that takes HTTP requests and one that
// takes mail, each keeping what it got and answering as told. Strict about nothing.
#pragma once

#include <poll.h>
#include <sys/socket.h>
#include <unistd.h>

#include <atomic>
#include <deque>
#include <functional>
#include <mutex>
#include <string>
#include <string_view>
#include <thread>
#include <vector>

#include "support/listening_socket.hpp"

namespace larder::test {

// Takes one connection after the other, on a thread of its own.
class Sink {
public:
    virtual ~Sink() = default;
    int port() const noexcept { return socket_.port(); }
    std::vector<std::string> got() const {
        const std::scoped_lock lock(mutex_);
        return got_;
    }

protected:
    // Called by the most derived constructor and destructor.
    void begin() {
        thread_ = std::thread([this] {
            while (!stop_) {
                pollfd ready{socket_.fd(), POLLIN, 0};
                if (::poll(&ready, 1, 20) <= 0) continue;
                const int fd = ::accept4(socket_.fd(), nullptr, nullptr, SOCK_CLOEXEC);
                if (fd < 0) continue;
                serve(fd);
                ::close(fd);
            }
        });
    }
    void end() {
        stop_ = true;
        thread_.join();
    }
    virtual void serve(int fd) = 0;
    void keep(std::string what) {
        const std::scoped_lock lock(mutex_);
        got_.push_back(std::move(what));
    }
    static void say(int fd, const std::string& text) {
        (void)::send(fd, text.data(), text.size(), MSG_NOSIGNAL);
    }
    // More of what comes; false at the end, or when the test is over.
    bool hear(int fd, std::string& into) const {
        while (!stop_) {
            pollfd ready{fd, POLLIN, 0};
            if (::poll(&ready, 1, 20) <= 0) continue;
            char bytes[4096];
            const auto count = ::recv(fd, bytes, sizeof(bytes), 0);
            if (count <= 0) return false;
            into.append(bytes, static_cast<std::size_t>(count));
            return true;
        }
        return false;
    }

private:
    ListeningSocket socket_;
    std::atomic<bool> stop_{false};
    mutable std::mutex mutex_;
    std::vector<std::string> got_;  // guarded by mutex_
    std::thread thread_;
};

// Keeps each request, head and body; answers with the statuses in turn, the last for ever.
class WebSink final : public Sink {
public:
    explicit WebSink(std::deque<int> statuses = {204}) : statuses_(std::move(statuses)) { begin(); }
    ~WebSink() override { end(); }
    std::string url() const { return "http://127.0.0.1:" + std::to_string(port()) + "/hook?a=b"; }

private:
    void serve(int fd) override {
        std::string text;
        std::size_t head = 0;
        while ((head = text.find("\r\n\r\n")) == std::string::npos) {
            if (!hear(fd, text)) return;
        }
        const std::size_t at = text.find("Content-Length: ");
        const std::size_t length = at == std::string::npos ? 0 : std::stoul(text.substr(at + 16));
        while (text.size() < head + 4 + length) {
            if (!hear(fd, text)) return;
        }
        keep(text);
        say(fd, "HTTP/1.1 " + std::to_string(statuses_.front()) +
                    " x\r\nContent-Length: 0\r\nConnection: close\r\n\r\n");
        if (statuses_.size() > 1) statuses_.pop_front();
    }

    std::deque<int> statuses_;  // only the thread
};

// Keeps each mail, envelope and all; `refuse`: the reply to RCPT, if it is not to be taken.
class MailSink final : public Sink {
public:
    explicit MailSink(std::string refuse = {}) : refuse_(std::move(refuse)) { begin(); }
    ~MailSink() override { end(); }
    std::string url() const { return "smtp://127.0.0.1:" + std::to_string(port()); }

private:
    void serve(int fd) override {
        say(fd, "220 sink\r\n");
        std::string text, mail;
        bool data = false;
        for (;;) {
            const std::size_t end = text.find("\r\n");
            if (end == std::string::npos) {
                if (!hear(fd, text)) return;
                continue;
            }
            const std::string line = text.substr(0, end);
            text.erase(0, end + 2);
            mail += line + "\n";
            if (data && line != ".") continue;
            const bool ends = data && line == ".";
            if (ends) keep(std::exchange(mail, {}));
            data = line == "DATA";
            const bool refused = line.starts_with("RCPT") && !refuse_.empty();
            say(fd, data ? "354 go on\r\n" : refused ? refuse_ + "\r\n" : "250 ok\r\n");
            if (line == "QUIT") return;
        }
    }

    const std::string refuse_;
};

}  // namespace larder::test
