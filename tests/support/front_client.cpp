// Plain sockets with a receive time-out; nothing of the code under test.
#include "support/front_client.hpp"

#include <arpa/inet.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <cstring>
#include <stdexcept>
#include <utility>

namespace larder::test {

namespace {

int connect_unix(const std::string& path) {
    sockaddr_un address{};
    address.sun_family = AF_UNIX;
    std::memcpy(address.sun_path, path.data(), std::min(path.size(), sizeof address.sun_path - 1));
    const int fd = ::socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
    void* const generic = &address;
    if (::connect(fd, static_cast<sockaddr*>(generic), sizeof address) == 0) return fd;
    ::close(fd);
    throw std::runtime_error("cannot connect to unix:" + path + ": " + std::strerror(errno));
}

int connect_tcp(const std::string& host, std::uint16_t port, int receive_buffer) {
    sockaddr_storage address{};
    void* const generic = &address;
    socklen_t size = 0;
    if (host.starts_with('[')) {
        auto* const v6 = static_cast<sockaddr_in6*>(generic);
        v6->sin6_family = AF_INET6;
        v6->sin6_port = htons(port);
        ::inet_pton(AF_INET6, host.substr(1, host.size() - 2).c_str(), &v6->sin6_addr);
        size = sizeof *v6;
    } else {
        auto* const v4 = static_cast<sockaddr_in*>(generic);
        v4->sin_family = AF_INET;
        v4->sin_port = htons(port);
        ::inet_pton(AF_INET, host.c_str(), &v4->sin_addr);
        size = sizeof *v4;
    }
    const int fd = ::socket(address.ss_family, SOCK_STREAM | SOCK_CLOEXEC, 0);
    if (receive_buffer > 0) {
        ::setsockopt(fd, SOL_SOCKET, SO_RCVBUF, &receive_buffer, sizeof receive_buffer);
    }
    if (::connect(fd, static_cast<sockaddr*>(generic), size) != 0) {
        const int error = errno;
        if (fd >= 0) ::close(fd);
        throw std::runtime_error("cannot connect to " + host + ": " + std::strerror(error));
    }
    const int yes = 1;
    ::setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &yes, sizeof yes);
    return fd;
}

}  // namespace

FrontClient::FrontClient(const std::string& address, int receive_buffer) {
    const std::size_t scheme = address.find("://");
    const std::string rest = scheme == std::string::npos ? address : address.substr(scheme + 3);
    if (rest.starts_with("unix:")) {
        fd_ = connect_unix(rest.substr(5));
    } else {
        const std::size_t colon = rest.rfind(':');
        fd_ = connect_tcp(rest.substr(0, colon),
                          static_cast<std::uint16_t>(std::stoi(rest.substr(colon + 1))),
                          receive_buffer);
    }
    limit_waiting();
}

FrontClient::FrontClient(FrontClient&& other) noexcept
    : fd_(std::exchange(other.fd_, -1)), buffer_(std::move(other.buffer_)) {}

FrontClient::~FrontClient() { close(); }

void FrontClient::limit_waiting() {
    const timeval limit{10, 0};
    ::setsockopt(fd_, SOL_SOCKET, SO_RCVTIMEO, &limit, sizeof limit);
    ::setsockopt(fd_, SOL_SOCKET, SO_SNDTIMEO, &limit, sizeof limit);
}

bool FrontClient::send(std::string_view bytes) {
    while (!bytes.empty()) {
        const ssize_t sent = ::send(fd_, bytes.data(), bytes.size(), MSG_NOSIGNAL);
        if (sent <= 0) return false;
        bytes.remove_prefix(static_cast<std::size_t>(sent));
    }
    return true;
}

void FrontClient::finish_sending() { ::shutdown(fd_, SHUT_WR); }

void FrontClient::reset() {
    const linger hard{1, 0};
    ::setsockopt(fd_, SOL_SOCKET, SO_LINGER, &hard, sizeof hard);
    close();
}

void FrontClient::close() {
    if (fd_ >= 0) ::close(std::exchange(fd_, -1));
}

std::ptrdiff_t FrontClient::receive(char* into, std::size_t size) {
    return ::recv(fd_, into, size, 0);
}

bool FrontClient::more() {
    std::array<char, 65536> part;
    const std::ptrdiff_t got = receive(part.data(), part.size());
    if (got < 0 && (errno == EAGAIN || errno == EWOULDBLOCK)) {
        throw std::runtime_error("nothing came for ten seconds; at hand: " +
                                 buffer_.substr(0, 200));
    }
    if (got <= 0) return false;
    buffer_.append(part.data(), static_cast<std::size_t>(got));
    return true;
}

std::string FrontClient::read(std::size_t size) {
    while (buffer_.size() < size && more()) {
    }
    std::string out = buffer_.substr(0, size);
    buffer_.erase(0, out.size());
    return out;
}

std::string FrontClient::read_until(std::string_view mark) {
    std::size_t searched = 0;
    for (;;) {
        const std::size_t found = buffer_.find(mark, searched);
        if (found != std::string::npos) return read(found + mark.size());
        searched = buffer_.size() < mark.size() ? 0 : buffer_.size() - mark.size();
        if (!more()) return read(buffer_.size());
    }
}

std::string FrontClient::read_to_end() {
    while (more()) {
    }
    return read(buffer_.size());
}

bool FrontClient::at_end() { return buffer_.empty() && !more(); }

std::string FrontClient::line() {
    std::string text = read_until("\r\n");
    if (!text.ends_with("\r\n")) throw std::runtime_error("the answer was cut: " + text);
    text.resize(text.size() - 2);
    return text;
}

FrontAnswer FrontClient::read_answer(bool no_body) {
    FrontAnswer answer;
    const std::string status = line();
    if (!status.starts_with("HTTP/1.1 ") || status.size() < 13) {
        throw std::runtime_error("no status line: " + status);
    }
    answer.status = std::stoi(status.substr(9, 3));
    answer.head = status + "\r\n";
    for (std::string text = line(); !text.empty(); text = line()) {
        answer.head += text + "\r\n";
        const std::size_t colon = text.find(": ");
        if (colon == std::string::npos) throw std::runtime_error("no header line: " + text);
        std::string name = text.substr(0, colon);
        std::transform(name.begin(), name.end(), name.begin(),
                       [](unsigned char c) { return static_cast<char>(std::tolower(c)); });
        answer.field[name] = text.substr(colon + 2);
    }
    answer.chunked = answer.field.contains("transfer-encoding");
    if (no_body || answer.status < 200 || answer.status == 204 || answer.status == 304) {
        answer.whole = true;
    } else if (answer.chunked) {
        for (;;) {
            const std::string size = read_until("\r\n");
            if (!size.ends_with("\r\n")) return answer;
            const std::size_t length = std::stoul(size, nullptr, 16);
            const std::string chunk = read(length + 2);
            answer.body += chunk.substr(0, length);
            if (chunk.size() < length + 2) return answer;
            if (length == 0) break;
        }
        answer.whole = true;
    } else if (answer.field.contains("content-length")) {
        const std::size_t length = std::stoul(answer.field["content-length"]);
        answer.body = read(length);
        answer.whole = answer.body.size() == length;
    } else {
        answer.body = read_to_end();
        answer.whole = true;
    }
    return answer;
}

}  // namespace larder::test
