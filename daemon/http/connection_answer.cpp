// How a connection answers: whose word counts, how the answer is framed, how it leaves, and what
// becomes of the connection afterwards.
//
// Contents: from any thread · framing · sending · generators · streams · the end.
#include <algorithm>
#include <utility>

#include <fmt/format.h>

#include "http/connection.hpp"
#include "http/problem.hpp"

namespace larder::http {

namespace {

constexpr std::uint64_t kPassedOver = 64U << 10U;  // of an unread body, to keep the connection
// Dropped before a connection is closed for good: as much as a client may have sent that looks for
// its answer only then.
constexpr std::size_t kLinger = 16U << 20U;
constexpr std::chrono::milliseconds kLingerTime{2000};
constexpr std::string_view kStreamFields =
    "Content-Type: text/event-stream\r\nCache-Control: no-cache\r\n";

bool has_no_body(int status) noexcept { return status == 204 || status == 304; }

}  // namespace

// ---- from any thread

void Connection::answer(Response&& response) noexcept {
    if (answered_.exchange(true, std::memory_order_acq_rel)) {
        if (refused_.load(std::memory_order_acquire)) return;  // the front's refusal was first
        return log_misuse("a second answer was given; it is dropped");
    }
    if (reactor_->here()) {
        begin_answer(std::move(response));
        return proceed_later();
    }
    late_answer_ = std::move(response);
    reactor_->mail(self(), letter(Letter::answer));
}

std::shared_ptr<EventStream> Connection::stream(StreamHead&& head) noexcept {
    const auto queue =
        std::make_shared<StreamQueue>(reactor_, self(), letter(Letter::flush), std::move(head));
    if (answered_.exchange(true, std::memory_order_acq_rel)) {
        log_misuse("a second answer was given, a stream; it is dropped");
        queue->end(false);
        return queue;
    }
    // By mail also on this thread, so that `closed` is never called before the caller has the
    // stream.
    late_stream_ = queue;
    if (!reactor_->mail(self(), letter(Letter::stream))) queue->end(false);
    return queue;
}

void Connection::log_misuse(std::string_view what) const {
    reactor_->log(Level::error, fmt::format("request {}: {}", id_, what));
}

// ---- framing

// Whether the connection can go on after this answer, as far as the rest of the body is concerned.
bool Connection::may_keep() const {
    if (input_ == Input::whole) return true;
    if (headless_ || head_.chunked || body_left_ > kPassedOver) return false;
    return !head_.expects_continue || continued_;
}

void Connection::leave_body() {
    // Who has sent its last byte may have sent further requests before it.
    const bool is_last = end_seen_ && buffer_.empty() && side_.empty();
    if (reactor_->environment().draining.load(std::memory_order_relaxed) || is_last ||
        !may_keep()) {
        keep_ = false;
    }
    stop_sink();
}

void Connection::write_head(int status, const Headers& headers, std::string_view extra,
                            Framing framing, std::uint64_t length, std::string& out) {
    status_ = status;
    if (framing == Framing::until_close) keep_ = false;
    ResponseHead head;
    head.status = status;
    head.headers = &headers;
    head.extra = extra;
    head.framing = framing;
    head.length = length;
    head.close = !keep_;
    head.version = head_.version;
    head.date = reactor_->date();
    head.id = id_;
    append_head(out, head);
}

void Connection::begin_answer(Response&& response) {
    Response leaving = std::move(response);
    if (phase_ != Phase::exchange) {  // the client has left
        if (leaving.sent) leaving.sent(0, false);
        leaving = Response();  // what the application made goes before its attachment
        attachment.reset();
        return;
    }
    answered_.store(true, std::memory_order_relaxed);
    leave_body();
    if (std::string reason = refusal_of(leaving.status, leaving.headers); !reason.empty()) {
        reactor_->log(Level::error,
                      fmt::format("request {}: the answer cannot be sent: {}", id_, reason));
        if (leaving.sent) leaving.sent(0, false);
        leaving = problem(500, "internal", "the answer that was made cannot be sent", id_);
    }
    std::uint64_t length = 0;
    const bool known = Outgoing::length_of(leaving, length);
    Framing framing = known ? Framing::length : Framing::chunked;
    if (!known && head_.version == 10) framing = Framing::until_close;
    if (has_no_body(leaving.status)) framing = Framing::none;
    const bool bodyless = framing == Framing::none || head_.method == "HEAD";
    write_head(leaving.status, leaving.headers, {}, framing, length, out_.head());
    sent_ = std::move(leaving.sent);
    out_.start(std::move(leaving), framing, bodyless);
    output_ = Output::sending;
    send_on();
}

// ---- sending

void Connection::send_on() {
    if (output_ != Output::sending) return;
    switch (out_.advance(transport_)) {
        case Outgoing::Progress::done: return answer_is_out();
        case Outgoing::Progress::failed: return client_gone();
        case Outgoing::Progress::blocked:
            wait_for(Wait::write, reactor_->options().body_timeout);
            if (!writing_) {
                writing_ = true;
                transport_.wait_writable();
            }
            return pull_generator();
        case Outgoing::Progress::starved: wait_for_nothing(); return pull_generator();
    }
}

// ---- generators

void Connection::pull_generator() {
    if (!out_.hungry()) return;
    if (out_.feed()->pull(*reactor_, self(), letter(Letter::chunk))) return;
    // No worker is free. While the socket is blocked its next room tries again, else the wheel.
    if (!writing_) wait_for(Wait::retry, TimerWheel::kSlot);
}

void Connection::take_generated() {
    if (output_ != Output::sending || !out_.feed()) return;
    std::string chunk;
    const GeneratorFeed::Outcome outcome = out_.feed()->collect(chunk);
    if (outcome == GeneratorFeed::Outcome::none) return;
    if (outcome == GeneratorFeed::Outcome::failed) return client_gone();
    out_.add_chunk(std::move(chunk), outcome == GeneratorFeed::Outcome::last);
    if (writing_) return pull_generator();
    send_on();
}

// ---- streams

void Connection::begin_stream(std::shared_ptr<StreamQueue> stream) {
    if (phase_ != Phase::exchange) {
        stream->end(true);
        attachment.reset();
        return;
    }
    const Headers headers = std::move(stream->head().headers);
    const std::string reason = refusal_of(200, headers);
    if (!reason.empty() || head_.method == "HEAD") {
        stream->end(true);
        Response response;
        response.headers = headers;
        if (reason.empty()) {
            response.headers.emplace_back("Content-Type", "text/event-stream");
            response.headers.emplace_back("Cache-Control", "no-cache");
            response.body = Generator([](std::string&) { return false; });
        }
        return begin_answer(std::move(response));
    }
    leave_body();
    keep_ = false;  // what the client sends meanwhile is thrown away
    const bool chunked = head_.version == 11;
    std::string text;
    write_head(200, headers, kStreamFields, chunked ? Framing::chunked : Framing::until_close, 0,
               text);
    stream_ = std::move(stream);
    writer_.start(std::move(text), chunked);
    output_ = Output::streaming;
    dropped_ = 0;
    flush_stream();
}

void Connection::flush_stream() {
    const std::shared_ptr<StreamQueue> stream = stream_;
    switch (writer_.advance(transport_, *stream)) {
        case StreamWriter::Progress::idle: return wait_for_nothing();
        case StreamWriter::Progress::done: return answer_is_out();
        case StreamWriter::Progress::failed: return client_gone();
        case StreamWriter::Progress::blocked:
            wait_for(Wait::write, reactor_->options().body_timeout);
            if (!writing_) {
                writing_ = true;
                transport_.wait_writable();
            }
            return;
    }
}

// ---- the end

void Connection::answer_is_out() {
    const bool streamed = output_ == Output::streaming;
    const std::uint64_t bytes = streamed ? writer_.body_sent() : out_.body_sent();
    output_ = Output::done;
    wait_for_nothing();
    if (streamed) stream_->end(false);
    const Clock::time_point now = Clock::now();
    report(bytes, true, now);
    end_exchange();
    if (!keep_) return linger();
    if (input_ == Input::unread) {
        phase_ = Phase::dropping;
        return wait_until(Wait::body, now + reactor_->options().body_timeout);
    }
    phase_ = Phase::head;
    wait_until(Wait::idle, now + reactor_->options().idle_timeout);
}

void Connection::report(std::uint64_t bytes_out, bool whole, Clock::time_point now) {
    if (const auto sent = std::exchange(sent_, nullptr)) sent(bytes_out, whole);
    reactor_->environment().application->ended({headless_ ? nullptr : this, reactor_->index(),
                                                &peer_, status_, received_, bytes_out, now - began_,
                                                whole});
}

// Lets go of what belongs to the exchange; what comes late for it is told by the number.
void Connection::end_exchange() {
    serial_.fetch_add(1, std::memory_order_relaxed);
    plan_.sink.reset();
    stream_.reset();
    writer_.reset();
    out_.reset();
    decoder_.reset();
    body_ = {};
    if (!(reading_ && target_ == Target::body)) {
        body_store_.clear();
        body_store_.shrink_to_fit();
    }
    if (!(reading_ && target_ == Target::chunk)) chunk_ = {};
    if (side_.capacity() > 0 && !(reading_ && target_ == Target::side)) {
        // What followed the body's last chunk is the beginning of the next request.
        if (!side_.empty() && keep_) std::swap(buffer_, side_);
        side_.release();
    }
    {
        const std::lock_guard lock(mutex_);
        cancel_.reset();
    }
    attachment.reset();  // last: what the application made is gone before it
}

// All is said. Closing at once would reset the connection if the client is still sending, and take
// the answer with it (RFC 9112 §9.6).
void Connection::linger() {
    if (end_seen_) return close();
    phase_ = Phase::lingering;
    dropped_ = 0;
    transport_.shutdown_send();
    wait_for(Wait::linger, kLingerTime);
}

void Connection::linger_on(Event event) {
    if (event != Event::ok) return close();
    const Written dropped = transport_.drop_input(kLinger - dropped_);
    const bool end = dropped.state == Written::State::some && dropped.size == 0;
    if (end || dropped.state == Written::State::failed) return close();
    dropped_ += dropped.size;
    if (dropped_ >= kLinger) return close();
    want_read();
}

// The client has left, or is cut: whoever works for it hears so.
void Connection::client_gone() {
    if (phase_ == Phase::closed) return;
    const bool busy = phase_ == Phase::exchange;
    const bool answering = output_ == Output::sending || output_ == Output::streaming;
    std::shared_ptr<Cancel> cancel;
    {
        const std::lock_guard lock(mutex_);
        gone_ = true;
        cancel = cancel_;
    }
    if (!busy) return close();
    // The application was asked for nothing yet, so it will never answer and let go by that.
    const bool unasked = output_ == Output::pending && (undecided_ || input_ == Input::buffering) &&
                         !answered_.load(std::memory_order_acquire);
    close();
    if (cancel) cancel->cancel();
    stop_sink();
    plan_.sink.reset();  // it most likely holds the exchange
    const bool streamed = output_ == Output::streaming;
    const std::uint64_t bytes = streamed ? writer_.body_sent() : out_.body_sent();
    if (!(streamed ? writer_.begun() : out_.begun())) status_ = 0;
    output_ = Output::done;
    const std::shared_ptr<StreamQueue> stream = std::exchange(stream_, nullptr);
    if (stream) stream->end(true);
    report(answering ? bytes : 0, false, Clock::now());
    out_.reset();
    if (answering || unasked) end_exchange();
}

void Connection::close() {
    if (phase_ == Phase::closed) return;
    phase_ = Phase::closed;
    wait_ = Wait::none;
    // Whoever holds the exchange may let it go on another thread.
    reactor_->wheel().remove(*this);
    transport_.close();
    reactor_->dismiss(*this);
}

}  // namespace larder::http
