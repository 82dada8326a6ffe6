// A client that says exactly what a test wants said, byte by byte, and reads answers strictly. It
// forgives nothing and never waits longer than ten seconds.
#pragma once

#include <cstddef>
#include <cstdint>
#include <map>
#include <optional>
#include <string>
#include <string_view>

#include "support/eventually.hpp"

namespace larder::test {

struct FrontAnswer {
    int status = 0;
    std::string head;                          // as received
    std::map<std::string, std::string> field;  // by lower-case name; the last wins
    std::string body;
    bool whole = false;  // the body ended as its framing says
    bool chunked = false;
};

class FrontClient {
public:
    // "127.0.0.1:8080", "[::1]:80", "http://…" or "unix:/path", as Server::addresses() tells them.
    explicit FrontClient(const std::string& address, int receive_buffer = 0);
    // Takes a connected descriptor.
    explicit FrontClient(int fd) : fd_(fd) { limit_waiting(); }
    FrontClient(const FrontClient&) = delete;
    FrontClient& operator=(const FrontClient&) = delete;
    FrontClient(FrontClient&& other) noexcept;
    virtual ~FrontClient();

    int fd() const noexcept { return fd_; }

    // False: the other side did not take all of it.
    virtual bool send(std::string_view bytes);
    void finish_sending();  // FIN
    void reset();           // RST
    void close();

    // One answer; `no_body` for answers to HEAD. Throws std::runtime_error on malformed framing.
    FrontAnswer read_answer(bool no_body = false);
    FrontAnswer exchange(std::string_view request) {
        send(request);
        return read_answer();
    }
    std::string read_to_end();  // until EOF or reset
    // Exactly this many bytes, or fewer at the end.
    std::string read(std::size_t size);
    std::string read_until(std::string_view mark);
    bool at_end();  // waits for EOF or reset: true; bytes: false

protected:
    virtual std::ptrdiff_t receive(char* into, std::size_t size);

private:
    void limit_waiting();
    bool more();
    std::string line();

    int fd_ = -1;
    std::string buffer_;
};

}  // namespace larder::test
