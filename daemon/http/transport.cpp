// Plain reads go through Asio, which spares an epoll_ctl a request; everything else is a direct
// call on the non-blocking descriptor, and Asio is asked to wait only when that says EAGAIN.
#include "http/transport.hpp"

#include <openssl/err.h>
#include <openssl/ssl.h>
#include <sys/ioctl.h>
#include <sys/sendfile.h>
#include <sys/socket.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <cerrno>
#include <cstring>
#include <limits>
#include <utility>

namespace larder::http {

namespace asio = boost::asio;

using Event = TransportUser::Event;

namespace {

constexpr std::size_t kRecord = 16384;  // one TLS record's worth of plain bytes
constexpr std::size_t kFileSlice = std::size_t{1}
                                   << 20U;  // a turn of sendfile: others wait meanwhile

Event event_of(const boost::system::error_code& error) noexcept {
    if (!error) return Event::ok;
    return error == asio::error::eof ? Event::end : Event::failed;
}

Written outcome(ssize_t result) noexcept {
    if (result >= 0) return {Written::State::some, static_cast<std::size_t>(result)};
    const bool again = errno == EAGAIN || errno == EWOULDBLOCK || errno == EINTR;
    return {again ? Written::State::blocked : Written::State::failed};
}

std::shared_ptr<TransportUser> hold(TransportUser& user) { return user.shared_from_this(); }

}  // namespace

void FreeSsl::operator()(SSL* ssl) const noexcept { SSL_free(ssl); }

Transport::Transport(asio::io_context& io, int fd, int family, SslPointer ssl)
    : socket_(io), ssl_(std::move(ssl)) {
    boost::system::error_code ignored;  // the descriptor stays unusable and every call will say so
    socket_.assign(asio::generic::stream_protocol(family, 0), fd, ignored);
    if (ignored) ::close(fd);
    socket_.native_non_blocking(true, ignored);
    if (ssl_) SSL_set_fd(ssl_.get(), fd);
}

Transport::~Transport() = default;

void Transport::handshake(TransportUser& user) {
    ERR_clear_error();
    const int result = SSL_accept(ssl_.get());
    if (result == 1) {
        handshaken_ = true;
        asio::post(socket_.get_executor(), [self = hold(user)] { self->on_handshake(Event::ok); });
        return;
    }
    const int error = SSL_get_error(ssl_.get(), result);
    if (error != SSL_ERROR_WANT_READ && error != SSL_ERROR_WANT_WRITE) {
        asio::post(socket_.get_executor(),
                   [self = hold(user)] { self->on_handshake(Event::failed); });
        return;
    }
    socket_.async_wait(
        error == SSL_ERROR_WANT_READ ? asio::socket_base::wait_read : asio::socket_base::wait_write,
        [this, self = hold(user)](const boost::system::error_code& failed) {
            if (failed) return self->on_handshake(Event::failed);
            handshake(*self);
        });
}

void Transport::read(TransportUser& user, std::span<char> into) {
    if (ssl_) return read_secure(user, into);
    socket_.async_read_some(
        asio::buffer(into.data(), into.size()),
        [self = hold(user)](const boost::system::error_code& error, std::size_t size) {
            self->on_read(event_of(error), size);
        });
}

void Transport::read_secure(TransportUser& user, std::span<char> into) {
    std::size_t size = 0;
    int error = SSL_ERROR_NONE;
    while (size < into.size() && error == SSL_ERROR_NONE) {
        ERR_clear_error();
        std::size_t got = 0;
        const int result = SSL_read_ex(ssl_.get(), into.data() + size, into.size() - size, &got);
        size += got;
        error = SSL_get_error(ssl_.get(), result);
    }
    const bool waits = error == SSL_ERROR_WANT_READ || error == SSL_ERROR_WANT_WRITE;
    if (size > 0 || !waits) {
        // Bytes that came before an end are handed out first; the next call meets the end again.
        const Event event = size > 0                         ? Event::ok
                            : error == SSL_ERROR_ZERO_RETURN ? Event::end
                                                             : Event::failed;
        asio::post(socket_.get_executor(),
                   [self = hold(user), event, size] { self->on_read(event, size); });
        return;
    }
    socket_.async_wait(
        error == SSL_ERROR_WANT_READ ? asio::socket_base::wait_read : asio::socket_base::wait_write,
        [this, into, self = hold(user)](const boost::system::error_code& failed) {
            if (failed) return self->on_read(Event::failed, 0);
            read_secure(*self, into);
        });
}

Written Transport::write(std::span<const iovec> parts, bool more) noexcept {
    if (!ssl_) {
        msghdr message{};
        message.msg_iov = const_cast<iovec*>(parts.data());  // NOLINT: sendmsg does not write to it
        message.msg_iovlen = parts.size();
        const int flags = MSG_NOSIGNAL | MSG_DONTWAIT | (more ? MSG_MORE : 0);
        return outcome(::sendmsg(socket_.native_handle(), &message, flags));
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
        return outcome(::sendfile(socket_.native_handle(), fd, &at, count));
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
    const int error = SSL_get_error(ssl_.get(), result);
    const bool waits = error == SSL_ERROR_WANT_READ || error == SSL_ERROR_WANT_WRITE;
    return {waits ? Written::State::blocked : Written::State::failed};
}

void Transport::wait_writable(TransportUser& user) {
    socket_.async_wait(asio::socket_base::wait_write,
                       [self = hold(user)](const boost::system::error_code& error) {
                           self->on_writable(event_of(error));
                       });
}

Written Transport::drop_input(std::size_t limit) noexcept {
    static thread_local std::array<char, 65536> nowhere;
    std::size_t dropped = 0;
    while (dropped < limit) {
        const ssize_t got =
            ::recv(socket_.native_handle(), nowhere.data(), nowhere.size(), MSG_DONTWAIT);
        if (got < 0) {
            const Written end = outcome(got);
            if (dropped > 0 && end.state == Written::State::blocked) break;
            return end;
        }
        if (got == 0) return {Written::State::some, 0};
        dropped += static_cast<std::size_t>(got);
    }
    return {Written::State::some, dropped};
}

void Transport::wait_readable(TransportUser& user) {
    socket_.async_wait(asio::socket_base::wait_read,
                       [self = hold(user)](const boost::system::error_code& error) {
                           self->on_read(error ? Event::failed : Event::ok, 0);
                       });
}

bool Transport::has_input() noexcept {
    char byte = 0;
    return ::recv(socket_.native_handle(), &byte, 1, MSG_DONTWAIT | MSG_PEEK) > 0;
}

void Transport::shutdown_send() noexcept {
    if (ssl_ && handshaken_) {
        ERR_clear_error();
        SSL_shutdown(ssl_.get());
    }
    ::shutdown(socket_.native_handle(), SHUT_WR);
}

void Transport::close() noexcept {
    if (!socket_.is_open()) return;
    if (ssl_ && handshaken_) {
        ERR_clear_error();
        SSL_shutdown(ssl_.get());
    }
    boost::system::error_code ignored;  // closed is closed
    socket_.close(ignored);
}

}  // namespace larder::http
