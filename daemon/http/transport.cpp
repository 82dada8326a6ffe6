// Every call goes straight to the non-blocking descriptor; the poller is only waited for when that
// says EAGAIN, or has given less than it was asked for.
#include "http/transport.hpp"

#include <openssl/err.h>
#include <openssl/ssl.h>
#include <sys/sendfile.h>
#include <sys/socket.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <cerrno>
#include <cstring>
#include <utility>

namespace larder::http {

using Event = TransportUser::Event;

namespace {

constexpr std::size_t kRecord = 16384;  // one TLS record's worth of plain bytes
constexpr std::size_t kFileSlice = std::size_t{1}
                                   << 20U;  // a turn of sendfile: others wait meanwhile

Written outcome(ssize_t result) noexcept {
    if (result >= 0) return {Written::State::some, static_cast<std::size_t>(result)};
    const bool again = errno == EAGAIN || errno == EWOULDBLOCK || errno == EINTR;
    return {again ? Written::State::blocked : Written::State::failed};
}

}  // namespace

void FreeSsl::operator()(SSL* ssl) const noexcept { SSL_free(ssl); }

Transport::Transport(Poller& poller, int fd, int family, SslPointer ssl, TransportUser& user)
    : poller_(poller),
      user_(user),
      fd_(fd),
      ssl_(std::move(ssl)),
      // On a Unix socket a read also ends where descriptors were passed along.
      stops_short_(family == AF_UNIX) {
    if (ssl_) SSL_set_fd(ssl_.get(), fd);
    const std::uint32_t events = EPOLLIN | EPOLLOUT | EPOLLRDHUP | EPOLLET;
    if (poller_.add(fd, events, *this)) return;
    ::shutdown(fd, SHUT_RDWR);  // the first read meets the end
    ending_ = readable_ = true;
}

Transport::~Transport() { close(); }

void Transport::on_events(std::uint32_t events) noexcept {
    const bool end = (events & (EPOLLRDHUP | EPOLLHUP | EPOLLERR)) != 0;
    if (end) ending_ = true;
    if (end || (events & EPOLLIN) != 0) readable_ = true;
    if ((events & (EPOLLOUT | EPOLLHUP | EPOLLERR)) != 0) writable_ = true;
    const auto alive = user_.weak_from_this().lock();
    if (shaking_) return shake_hands();
    if (wants_writable_ && writable_) {
        wants_writable_ = false;
        user_.on_writable(Event::ok);
    }
    if (wish_ == Wish::none || !readable_) return;
    Read read{Event::ok, 0};
    if (wish_ == Wish::bytes && !(ssl_ ? receive_secure(read) : receive(read))) return;
    wish_ = Wish::none;
    user_.on_read(read.event, read.size);
}

void Transport::wish(Wish what) noexcept {
    wish_ = what;
    if (readable_) poller_.soon(*this);
}

// OpenSSL waits for the one or the other direction.
void Transport::note_blocked(int ssl_error) noexcept {
    (ssl_error == SSL_ERROR_WANT_READ ? readable_ : writable_) = false;
}

void Transport::handshake() {
    shaking_ = true;
    poller_.soon(*this);
}

void Transport::shake_hands() noexcept {
    ERR_clear_error();
    const int result = SSL_accept(ssl_.get());
    const int error = SSL_get_error(ssl_.get(), result);
    if (error == SSL_ERROR_WANT_READ || error == SSL_ERROR_WANT_WRITE) return note_blocked(error);
    shaking_ = false;
    handshaken_ = result == 1;
    user_.on_handshake(handshaken_ ? Event::ok : Event::failed);
}

void Transport::read(std::span<char> into) {
    into_ = into;
    wish(Wish::bytes);
}

bool Transport::receive(Read& read) noexcept {
    const ssize_t got = ::recv(fd_, into_.data(), into_.size(), 0);
    if (got > 0) {
        read.size = static_cast<std::size_t>(got);
        // What comes from here on is a new edge; only an end gives none behind what was left.
        if (read.size < into_.size() && !ending_ && !stops_short_) readable_ = false;
        return true;
    }
    const Written end = outcome(got);
    if (end.state == Written::State::blocked) return readable_ = false;
    read.event = end.state == Written::State::some ? Event::end : Event::failed;
    return true;
}

bool Transport::receive_secure(Read& read) noexcept {
    int error = SSL_ERROR_NONE;
    while (read.size < into_.size() && error == SSL_ERROR_NONE) {
        ERR_clear_error();
        std::size_t got = 0;
        const int result =
            SSL_read_ex(ssl_.get(), into_.data() + read.size, into_.size() - read.size, &got);
        read.size += got;
        error = SSL_get_error(ssl_.get(), result);
    }
    const bool waits = error == SSL_ERROR_WANT_READ || error == SSL_ERROR_WANT_WRITE;
    if (waits) note_blocked(error);
    // Bytes that came before an end are handed out first; the next call meets the end again.
    if (read.size > 0) return true;
    read.event = error == SSL_ERROR_ZERO_RETURN ? Event::end : Event::failed;
    return !waits;
}

Written Transport::sent(ssize_t result) noexcept {
    const Written written = outcome(result);
    if (written.state == Written::State::blocked) writable_ = false;
    return written;
}

Written Transport::write(std::span<const iovec> parts, bool more) noexcept {
    if (!ssl_) {
        msghdr message{};
        message.msg_iov = const_cast<iovec*>(parts.data());  // NOLINT: sendmsg does not write to it
        message.msg_iovlen = parts.size();
        const int flags = MSG_NOSIGNAL | MSG_DONTWAIT | (more ? MSG_MORE : 0);
        return sent(::sendmsg(fd_, &message, flags));
    }
    if (parts.size() == 1) {
        return write_secure(static_cast<const char*>(parts[0].iov_base), parts[0].iov_len);
    }
    // Gathered into one record: a head and a short body would be two otherwise. A call that has to
    // be repeated gathers the same bytes again, as OpenSSL asks for.
    static thread_local std::array<char, kRecord> record;
    std::size_t size = 0;
    for (const iovec& part : parts) {
        const std::size_t take = std::min(part.iov_len, record.size() - size);
        if (take > 0) std::memcpy(record.data() + size, part.iov_base, take);
        size += take;
        if (size == record.size()) break;
    }
    return write_secure(record.data(), size);
}

Written Transport::send_file(int fd, std::uint64_t offset, std::uint64_t length) noexcept {
    if (!ssl_) {
        off_t at = static_cast<off_t>(offset);
        const auto count = static_cast<std::size_t>(std::min<std::uint64_t>(length, kFileSlice));
        return sent(::sendfile(fd_, fd, &at, count));
    }
    static thread_local std::array<char, kRecord> record;
    const auto count = static_cast<std::size_t>(std::min<std::uint64_t>(length, record.size()));
    const ssize_t got = ::pread(fd, record.data(), count, static_cast<off_t>(offset));
    if (got < 0) return {Written::State::failed};
    if (got == 0) return {Written::State::some, 0};
    return write_secure(record.data(), static_cast<std::size_t>(got));
}

Written Transport::write_secure(const char* data, std::size_t size) noexcept {
    ERR_clear_error();
    std::size_t taken = 0;
    const int result = SSL_write_ex(ssl_.get(), data, size, &taken);
    if (result == 1) return {Written::State::some, taken};
    if (SSL_get_error(ssl_.get(), result) != SSL_ERROR_WANT_WRITE) return {Written::State::failed};
    writable_ = false;
    return {Written::State::blocked};
}

void Transport::wait_writable() {
    wants_writable_ = true;
    if (writable_) poller_.soon(*this);
}

Written Transport::drop_input(std::size_t limit) noexcept {
    static thread_local std::array<char, 65536> nowhere;
    std::size_t dropped = 0;
    while (dropped < limit) {
        const ssize_t got = ::recv(fd_, nowhere.data(), nowhere.size(), 0);
        if (got < 0) {
            const Written end = outcome(got);
            if (end.state == Written::State::blocked) readable_ = false;
            if (dropped > 0 && end.state == Written::State::blocked) break;
            return end;
        }
        if (got == 0) return {Written::State::some, 0};
        dropped += static_cast<std::size_t>(got);
    }
    return {Written::State::some, dropped};
}

void Transport::wait_readable() { wish(Wish::readiness); }

bool Transport::has_input() noexcept {
    char byte = 0;
    return ::recv(fd_, &byte, 1, MSG_PEEK) > 0;
}

void Transport::shutdown_send() noexcept {
    if (ssl_ && handshaken_) {
        ERR_clear_error();
        SSL_shutdown(ssl_.get());
    }
    ::shutdown(fd_, SHUT_WR);
}

void Transport::close() noexcept {
    if (fd_ < 0) return;
    if (ssl_ && handshaken_) {
        ERR_clear_error();
        SSL_shutdown(ssl_.get());
    }
    shaking_ = wants_writable_ = false;
    wish_ = Wish::none;
    poller_.remove(fd_, *this);
    ::close(std::exchange(fd_, -1));
}

}  // namespace larder::http
