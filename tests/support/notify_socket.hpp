// A service manager's end of sd_notify(3): a datagram socket that keeps what a daemon says, in
// order. It does nothing about it.
#pragma once

#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

#include <array>
#include <cstddef>
#include <cstring>
#include <sstream>
#include <stdexcept>
#include <string>
#include <vector>

namespace larder::test {

class NotifySocket {
public:
    // At this path; in the abstract space where it begins with '@'.
    explicit NotifySocket(const std::string& address) : address_(address) {
        fd_ = ::socket(AF_UNIX, SOCK_DGRAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
        sockaddr_un name{};
        name.sun_family = AF_UNIX;
        if (address.size() >= sizeof(name.sun_path)) throw std::runtime_error("path too long");
        std::memcpy(name.sun_path, address.c_str(), address.size() + 1);
        const bool abstract = address.front() == '@';
        if (abstract) name.sun_path[0] = '\0';
        const auto size = static_cast<socklen_t>(offsetof(sockaddr_un, sun_path) + address.size() +
                                                 (abstract ? 0 : 1));
        if (fd_ < 0 || ::bind(fd_, reinterpret_cast<sockaddr*>(&name), size) != 0) {
            throw std::runtime_error("no notify socket could be made at " + address);
        }
    }
    ~NotifySocket() { ::close(fd_); }
    NotifySocket(const NotifySocket&) = delete;
    NotifySocket& operator=(const NotifySocket&) = delete;

    const std::string& address() const noexcept { return address_; }

    // Every line said up to now.
    const std::vector<std::string>& lines() {
        std::array<char, 8192> buffer{};
        for (;;) {
            const ssize_t got = ::recv(fd_, buffer.data(), buffer.size(), 0);
            if (got <= 0) return lines_;
            std::istringstream text(std::string(buffer.data(), static_cast<std::size_t>(got)));
            for (std::string line; std::getline(text, line);) lines_.push_back(line);
        }
    }

    // Where the first line from `from` on stands that begins with `start` and has `part` in it; as
    // many as there are lines where none does.
    std::size_t find(const std::string& start, const std::string& part = {}, std::size_t from = 0) {
        lines();
        for (; from < lines_.size(); ++from) {
            const std::string& line = lines_[from];
            if (line.starts_with(start) && line.find(part) != std::string::npos) break;
        }
        return from;
    }
    bool has(const std::string& start, const std::string& part = {}, std::size_t from = 0) {
        return find(start, part, from) < lines_.size();
    }

private:
    std::string address_;
    int fd_ = -1;
    std::vector<std::string> lines_;
};

}  // namespace larder::test
