#include "support/raw_client.hpp"

#include <arpa/inet.h>
#include <fmt/format.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <cerrno>
#include <cstring>
#include <stdexcept>
#include <utility>

#include "support/answer_record.hpp"

namespace larder::test {
namespace {

void set_patience(int fd, std::chrono::milliseconds patience) {
    timeval time{};
    time.tv_sec = patience.count() / 1000;
    time.tv_usec = patience.count() % 1000 * 1000;
    setsockopt(fd, SOL_SOCKET, SO_RCVTIMEO, &time, sizeof(time));
    setsockopt(fd, SOL_SOCKET, SO_SNDTIMEO, &time, sizeof(time));
}

std::string lower(std::string text) {
    std::transform(text.begin(), text.end(), text.begin(),
                   [](unsigned char c) { return static_cast<char>(std::tolower(c)); });
    return text;
}

}  // namespace

std::string Answer::header(const std::string& name) const {
    const auto found = headers.find(lower(name));
    return found == headers.end() ? "" : found->second;
}

std::string Answer::member(const std::string& name) const {
    const std::string mark = fmt::format("\"{}\":\"", name);
    const std::size_t at = body.find(mark);
    if (at == std::string::npos) return {};
    const std::size_t begin = at + mark.size();
    return body.substr(begin, body.find('"', begin) - begin);
}

RawClient::RawClient(int port, std::chrono::milliseconds patience) {
    fd_ = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    set_patience(fd_, patience);
    const int yes = 1;
    setsockopt(fd_, IPPROTO_TCP, TCP_NODELAY, &yes, sizeof(yes));
    sockaddr_in address{};
    address.sin_family = AF_INET;
    address.sin_port = htons(static_cast<std::uint16_t>(port));
    address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    if (connect(fd_, reinterpret_cast<sockaddr*>(&address), sizeof(address)) != 0) {
        const int error = errno;
        close(fd_);
        throw std::runtime_error(fmt::format("connect to port {}: {}", port, strerror(error)));
    }
}

RawClient::RawClient(const std::string& unix_path) {
    fd_ = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
    set_patience(fd_, std::chrono::seconds(20));
    sockaddr_un address{};
    address.sun_family = AF_UNIX;
    if (unix_path.size() >= sizeof(address.sun_path)) throw std::runtime_error("path too long");
    std::memcpy(address.sun_path, unix_path.c_str(), unix_path.size() + 1);
    if (connect(fd_, reinterpret_cast<sockaddr*>(&address), sizeof(address)) != 0) {
        const int error = errno;
        close(fd_);
        throw std::runtime_error(fmt::format("connect to {}: {}", unix_path, strerror(error)));
    }
}

RawClient::~RawClient() { close(fd_); }

bool RawClient::send(std::string_view bytes) {
    while (!bytes.empty()) {
        const ssize_t sent = ::send(fd_, bytes.data(), bytes.size(), MSG_NOSIGNAL);
        if (sent < 0 && errno == EINTR) continue;
        if (sent <= 0) return false;
        bytes.remove_prefix(static_cast<std::size_t>(sent));
    }
    return true;
}

void RawClient::half_close() { shutdown(fd_, SHUT_WR); }

void RawClient::reset() {
    const linger at_once{1, 0};
    setsockopt(fd_, SOL_SOCKET, SO_LINGER, &at_once, sizeof(at_once));
    const int old = fd_;
    fd_ = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    close(old);
}

bool RawClient::fill() {
    std::array<char, 65536> bytes{};
    for (;;) {
        const ssize_t got = recv(fd_, bytes.data(), bytes.size(), 0);
        if (got < 0 && errno == EINTR) continue;
        if (got < 0 && (errno == EAGAIN || errno == EWOULDBLOCK)) {
            throw std::runtime_error("no answer in time; so far: " + buffer_);
        }
        if (got < 0) throw std::runtime_error(fmt::format("recv: {}", strerror(errno)));
        buffer_.append(bytes.data(), static_cast<std::size_t>(got));
        return got > 0;
    }
}

std::string RawClient::take_line() {
    std::size_t end = 0;
    while ((end = buffer_.find("\r\n")) == std::string::npos) {
        if (!fill()) throw std::runtime_error("the answer was cut in a line: " + buffer_);
    }
    std::string line = buffer_.substr(0, end);
    buffer_.erase(0, end + 2);
    return line;
}

std::string RawClient::take(std::size_t count) {
    while (buffer_.size() < count) {
        if (!fill()) throw std::runtime_error("the answer's body was cut");
    }
    std::string bytes = buffer_.substr(0, count);
    buffer_.erase(0, count);
    return bytes;
}

void RawClient::take_headers(std::map<std::string, std::string>& into) {
    for (;;) {
        const std::string line = take_line();
        if (line.empty()) return;
        const std::size_t colon = line.find(':');
        if (colon == std::string::npos) throw std::runtime_error("a header without colon: " + line);
        std::string value = line.substr(colon + 1);
        value.erase(0, value.find_first_not_of(' '));
        std::string& place = into[lower(line.substr(0, colon))];
        place += (place.empty() ? "" : ", ") + value;
    }
}

void RawClient::take_chunks(Answer& answer) {
    for (;;) {
        const std::string line = take_line();
        std::size_t used = 0;
        const std::size_t size = std::stoul(line, &used, 16);
        if (used != line.size()) throw std::runtime_error("a bad chunk size: " + line);
        if (size == 0) break;
        answer.body += take(size);
        if (!take_line().empty()) throw std::runtime_error("a chunk without its end");
    }
    take_headers(answer.trailers);
}

Answer RawClient::read_answer(bool to_head) {
    Answer answer;
    std::string line;
    do {  // interim answers are passed over
        answer = Answer();
        line = take_line();
        if (!line.starts_with("HTTP/1.1 ") || line.size() < 12) {
            throw std::runtime_error("no status line: " + line);
        }
        answer.status = std::stoi(line.substr(9, 3));
        answer.reason = line.size() > 13 ? line.substr(13) : "";
        take_headers(answer.headers);
    } while (answer.status == 100);
    answer.close = lower(answer.header("Connection")) == "close";
    if (to_head || answer.status == 204 || answer.status == 304) return answer;
    if (answer.header("Transfer-Encoding") == "chunked") {
        take_chunks(answer);
    } else if (!answer.header("Content-Length").empty()) {
        answer.body = take(std::stoul(answer.header("Content-Length")));
    } else {
        answer.body = read_to_end();
    }
    return answer;
}

std::optional<Answer> RawClient::try_answer(bool to_head) {
    try {
        while (buffer_.empty()) {
            if (!fill()) return std::nullopt;
        }
    } catch (const std::runtime_error&) {
        return std::nullopt;
    }
    return read_answer(to_head);
}

std::string RawClient::read_some() {
    if (buffer_.empty()) fill();
    return std::exchange(buffer_, {});
}

std::string RawClient::read_to_end() {
    while (fill()) {
    }
    return std::exchange(buffer_, {});
}

bool RawClient::is_closed() {
    try {
        return buffer_.empty() && !fill();
    } catch (const std::runtime_error&) {
        return false;
    }
}

Answer RawClient::request(std::string_view method, std::string_view target,
                          std::string_view headers, std::string_view body) {
    std::string text =
        fmt::format("{} {} HTTP/1.1\r\nHost: localhost\r\n{}", method, target, headers);
    if (!body.empty() || method == "PUT" || method == "POST" || method == "PATCH") {
        text += fmt::format("Content-Length: {}\r\n", body.size());
    }
    text += "\r\n";
    send(text.append(body));
    Answer answer = read_answer(method == "HEAD");
    record_answer(method, target, answer);
    return answer;
}

Answer request(int port, std::string_view method, std::string_view target, std::string_view headers,
               std::string_view body) {
    RawClient client(port);
    return client.request(method, target, headers, body);
}

}  // namespace larder::test
