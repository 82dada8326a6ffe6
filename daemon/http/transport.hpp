// One connected socket, plain or TLS: reading, writing, files and waiting behind one interface.
// Knows no HTTP.
#pragma once

#include <sys/uio.h>

#include <cstddef>
#include <cstdint>
#include <memory>
#include <span>

#include "http/poller.hpp"

using SSL = struct ssl_st;  // NOLINT(readability-identifier-naming): OpenSSL's own name

namespace larder::http {

struct FreeSsl {
    void operator()(SSL* ssl) const noexcept;
};
using SslPointer = std::unique_ptr<SSL, FreeSsl>;

// Hears of completed operations, at the top of the reactor's loop, never from inside a call. [io]
class TransportUser : public std::enable_shared_from_this<TransportUser> {
public:
    enum class Event : std::uint8_t { ok = 1, end, failed };

    virtual void on_read(Event event, std::size_t size) noexcept = 0;
    virtual void on_writable(Event event) noexcept = 0;
    virtual void on_handshake(Event event) noexcept = 0;

protected:
    virtual ~TransportUser() = default;
};

// What came of a write.
struct Written {
    enum class State : std::uint8_t { some = 1, blocked, failed };
    State state;
    std::size_t size = 0;  // bytes taken, with State::some
};

// All on one reactor's thread. [io]
class Transport final : private Watched {
public:
    // Takes the descriptor, which is connected and non-blocking; `family` is the socket's. `user`
    // holds this.
    Transport(Poller& poller, int fd, int family, SslPointer ssl, TransportUser& user);
    Transport(const Transport&) = delete;
    Transport& operator=(const Transport&) = delete;
    ~Transport();

    bool secure() const noexcept { return ssl_ != nullptr; }

    // TLS only, before anything else.
    void handshake();
    // Reads some into memory that stays until on_read. One at a time.
    void read(std::span<char> into);
    // Sends what goes without waiting. `more`: further bytes follow at once.
    Written write(std::span<const iovec> parts, bool more) noexcept;
    // Sends part of a file, at most `length` bytes; some with size 0 is the file's early end.
    Written send_file(int fd, std::uint64_t offset, std::uint64_t length) noexcept;
    // on_writable when it is worth trying again. One at a time.
    void wait_writable();
    // Reads and drops what is at hand, below TLS; `size` 0 with State::some is the end.
    Written drop_input(std::size_t limit) noexcept;
    // on_read(ok, 0) when there is something to read, below TLS. Instead of a read.
    void wait_readable();
    // Whether bytes wait to be read.
    bool has_input() noexcept;

    void shutdown_send() noexcept;  // TLS: with close_notify
    void close() noexcept;          // of what is pending nothing more is heard

private:
    // What the user waits to hear of input.
    enum class Wish : std::uint8_t { none = 1, bytes, readiness };
    struct Read {
        TransportUser::Event event;
        std::size_t size;
    };

    void on_events(std::uint32_t events) noexcept override;
    void wish(Wish what) noexcept;
    void shake_hands() noexcept;
    bool receive(Read& read) noexcept;  // false: nothing is there yet
    bool receive_secure(Read& read) noexcept;
    Written sent(ssize_t result) noexcept;
    Written write_secure(const char* data, std::size_t size) noexcept;
    void note_blocked(int ssl_error) noexcept;

    Poller& poller_;
    TransportUser& user_;
    int fd_;
    SslPointer ssl_;
    std::span<char> into_;
    Wish wish_ = Wish::none;
    bool wants_writable_ = false, shaking_ = false, handshaken_ = false;
    // Epoll tells of edges, so what it told is kept until a call says EAGAIN or has read less than
    // it asked for.
    bool readable_ = false, writable_ = true;
    bool ending_ = false;     // the end was seen, perhaps behind further bytes
    const bool stops_short_;  // a short read does not mean that there is no more
};

}  // namespace larder::http
