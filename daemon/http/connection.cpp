// A connection's life, its loop and its request heads; bodies are in connection_body.cpp, answers
// in connection_answer.cpp.
//
// Contents: life · events · the loop · reading · time · heads · refusals.
//
// The loop is iterative: an answer given inside begin() or run() only changes the state, and the
// next pipelined request is met by the next step, not by a call from within.
#include "http/connection.hpp"

#include <algorithm>
#include <exception>
#include <utility>

#include <fmt/format.h>

#include "http/problem.hpp"
#include "larder/cancel_flag.hpp"

namespace larder::http {

namespace {

constexpr std::size_t kFirstBuffer = 4096;               // what an idle connection keeps
constexpr std::chrono::milliseconds kFirstRequest{500};  // while draining
constexpr std::size_t kStreamInput = 64U << 10U;         // thrown away while a stream is sent

bool is_request_id(std::string_view id) noexcept {
    return !id.empty() && id.size() <= 64 && std::all_of(id.begin(), id.end(), [](char c) {
        return (c >= '0' && c <= '9') || (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') ||
               c == '.' || c == '_' || c == '-';
    });
}

}  // namespace

// ---- life

Connection::Connection(std::shared_ptr<Reactor> reactor, int fd, int family, Peer peer,
                       SslPointer ssl)
    : reactor_(std::move(reactor)),
      peer_(std::move(peer)),
      transport_(reactor_->poller(), fd, family, std::move(ssl), *this) {}

Connection::~Connection() = default;

void Connection::start(bool turn_away) {
    turn_away_ = turn_away;
    reactor_->admit(self());
    if (transport_.secure()) {
        phase_ = Phase::handshake;
        wait_for(Wait::handshake, reactor_->options().head_timeout);
        transport_.handshake();
        return;
    }
    on_handshake(Event::ok);
}

std::shared_ptr<Connection> Connection::self() {
    return std::static_pointer_cast<Connection>(shared_from_this());
}

std::uint64_t Connection::letter(Letter what) const noexcept {
    return (std::uint64_t{serial_.load(std::memory_order_relaxed)} << 8U) |
           static_cast<std::uint64_t>(what);
}

std::shared_ptr<Cancel> Connection::cancel() {
    const std::lock_guard lock(mutex_);
    if (!cancel_) {
        cancel_ = std::make_shared<CancelFlag>();
        if (gone_) cancel_->cancel();
    }
    return cancel_;
}

void Connection::begin_drain() noexcept {
    if (phase_ != Phase::head || parser_.begun() || !buffer_.empty()) return;
    // A request that has arrived but was not read yet is under way, too.
    if (transport_.has_input()) return;
    if (serial_.load(std::memory_order_relaxed) > 1) return close();
    // Who has only just connected is about to ask, and would take a close for a failure.
    const Clock::time_point soon = Clock::now() + kFirstRequest;
    if (deadline() > soon) wait_until(Wait::idle, soon);
}

bool Connection::cut() noexcept {
    const bool busy = phase_ == Phase::exchange;
    client_gone();
    return busy;
}

void Connection::visit(const std::function<bool(Exchange&)>& look) {
    if (phase_ != Phase::exchange || headless_) return;
    const std::uint32_t serial = serial_.load(std::memory_order_relaxed);
    if (!look(*this)) return;
    const bool over = serial != serial_.load(std::memory_order_relaxed);
    if (!over && phase_ == Phase::exchange) client_gone();
}

// ---- events

void Connection::on_handshake(Event event) noexcept {
    if (phase_ == Phase::closed) return;
    if (event != Event::ok) return close();
    phase_ = Phase::head;
    if (turn_away_) {
        refuse(503, "too-many-connections",
               "there are as many connections as are allowed; try again in a second");
    } else {
        wait_for(Wait::idle, reactor_->options().idle_timeout);
    }
    process();
}

void Connection::on_read(Event event, std::size_t size) noexcept {
    reading_ = false;
    if (phase_ == Phase::closed) return;
    if (phase_ == Phase::lingering) return linger_on(event);
    if (event == Event::failed) return client_gone();
    if (event == Event::end) {
        end_seen_ = true;
        at_end();
        return process();
    }
    switch (target_) {
        case Target::buffer: buffer_.filled(size); break;
        case Target::side: side_.filled(size); break;
        case Target::body:
            stored_ += size;
            received_ += size;
            body_left_ -= size;
            break;
        case Target::chunk:
            chunk_.resize(size);
            received_ += size;
            body_left_ -= size;
            break;
        case Target::nowhere:
            dropped_ += size;
            keep_ = false;
            if (dropped_ > kStreamInput) return client_gone();
            break;
    }
    process();
}

void Connection::on_writable(Event event) noexcept {
    writing_ = false;
    if (phase_ != Phase::exchange) return;
    if (event != Event::ok) return client_gone();
    if (output_ == Output::streaming) {
        flush_stream();
    } else if (output_ == Output::sending) {
        send_on();
    }
    process();
}

void Connection::deliver(std::uint64_t what) noexcept {
    const bool current = what >> 8U == serial_.load(std::memory_order_relaxed);
    switch (static_cast<Letter>(what & 0xFFU)) {
        case Letter::answer: begin_answer(std::move(late_answer_)); break;
        case Letter::stream: begin_stream(std::move(late_stream_)); break;
        case Letter::flush:
            if (current && output_ == Output::streaming && !writing_) flush_stream();
            break;
        case Letter::resume:
            if (current) resume();
            break;
        case Letter::chunk:
            if (current) take_generated();
            break;
        case Letter::again:
            if (current && undecided_ && phase_ == Phase::exchange && output_ == Output::pending &&
                !answered_.load(std::memory_order_relaxed)) {
                ask_application();
            }
            break;
        case Letter::proceed: break;
    }
    process();
}

// ---- the loop

void Connection::process() {
    if (in_loop_) return;
    in_loop_ = true;
    while (step()) {
    }
    in_loop_ = false;
    want_read();
}

bool Connection::step() {
    switch (phase_) {
        case Phase::head: return read_head();
        case Phase::exchange: return take_body();
        case Phase::dropping: return drop_body();
        case Phase::handshake:
        case Phase::lingering:
        case Phase::closed: break;
    }
    return false;
}

// After an answer that was given from a foreign stack frame on this thread: the next request is not
// begun from within that frame.
void Connection::proceed_later() {
    if (in_loop_ || phase_ == Phase::closed || (reading_ && buffer_.empty())) return;
    reactor_->mail(self(), letter(Letter::proceed));
}

// ---- reading

// Sees to it that a read is under way wherever something is to be expected of the client.
void Connection::want_read() {
    if (reading_ || phase_ == Phase::closed || phase_ == Phase::handshake) return;
    if (phase_ == Phase::lingering) {
        reading_ = true;
        transport_.wait_readable();
        return;
    }
    if (end_seen_) return;
    if (phase_ == Phase::head || phase_ == Phase::dropping) {
        make_room();
        return read(Target::buffer, buffer_.free());
    }
    if (input_ == Input::buffering || input_ == Input::streaming) return read_body();
    if (input_ == Input::unread) return;
    if (output_ == Output::streaming) return read(Target::nowhere, reactor_->nowhere());
    // The answer is awaited: watch the client, so that its leaving is noticed. What it pipelines
    // waits in the free part of the buffer.
    if (output_ == Output::pending && side_.empty() && !buffer_.free().empty()) {
        read(Target::buffer, buffer_.free());
    }
}

void Connection::read(Target target, std::span<char> into) {
    target_ = target;
    reading_ = true;
    transport_.read(into);
}

// No exchange lives: the buffer may be moved, grown up to the longest head, and shrunk when idle.
void Connection::make_room() {
    if (buffer_.empty()) {
        buffer_.relocate(kFirstBuffer);
        return;
    }
    if (buffer_.free().size() >= kFirstBuffer / 8) return;
    const Options& options = reactor_->options();
    const std::size_t longest = options.max_head + options.max_target + kFirstBuffer;
    const bool compact = buffer_.size() < buffer_.capacity() / 2;
    const std::size_t wanted =
        compact ? buffer_.capacity() : std::min(buffer_.capacity() * 2, longest);
    buffer_.relocate(std::max(wanted, buffer_.size() + kFirstBuffer / 8));
}

void Connection::at_end() {
    if (phase_ == Phase::dropping) return close();
    if (phase_ != Phase::exchange) return;
    if (output_ == Output::streaming) return client_gone();
    if (input_ == Input::buffering || input_ == Input::streaming) {
        refuse(400, "bad-request",
               fmt::format("the body ended after {} bytes, before it was whole", received_));
    }
}

// ---- time

void Connection::wait_until(Wait what, Clock::time_point deadline) noexcept {
    wait_ = what;
    reactor_->wheel().set(*this, deadline);
}

void Connection::wait_for_nothing() noexcept {
    wait_ = Wait::none;
    reactor_->wheel().set(*this, kNever);
}

void Connection::on_deadline() {
    const std::shared_ptr<TransportUser> alive = shared_from_this();
    const Wait due = std::exchange(wait_, Wait::none);
    switch (due) {
        case Wait::none: return;
        case Wait::handshake:
        case Wait::idle:
        case Wait::linger: return close();
        case Wait::write: return client_gone();
        case Wait::retry: send_on(); break;
        case Wait::head:
            refuse(408, "timeout",
                   fmt::format("the head was not whole {} ms after its first byte",
                               reactor_->options().head_timeout.count()));
            break;
        case Wait::body:
            if (phase_ == Phase::dropping) return close();
            refuse(408, "timeout",
                   fmt::format("no body byte came for {} ms; {} bytes had come",
                               reactor_->options().body_timeout.count(),
                               received_ + (stored_ == 0 ? buffer_.size() : 0)));
            break;
    }
    process();
}

// ---- heads

// True: something was done, the loop goes on.
bool Connection::read_head() {
    if (buffer_.empty()) {
        if (end_seen_) close();
        if (reactor_->environment().draining.load(std::memory_order_relaxed)) begin_drain();
        return false;
    }
    const Options& options = reactor_->options();
    const HeadLimits limits{options.max_head, options.max_target};
    switch (parser_.feed(buffer_.view(), limits, head_)) {
        case RequestParser::Verdict::ready: begin_exchange(); return true;
        case RequestParser::Verdict::refused: {
            const Refusal refusal = parser_.refusal();
            refuse(refusal.status, refusal.slug, refusal.detail);
            return true;
        }
        case RequestParser::Verdict::need_more: break;
    }
    if (!parser_.begun()) {
        if (end_seen_) close();
        return false;
    }
    if (end_seen_) {
        refuse(400, "bad-request", "the head ended before it was whole");
        return true;
    }
    if (wait_ != Wait::head) wait_for(Wait::head, options.head_timeout);
    return false;
}

void Connection::begin_exchange() {
    began_ = Clock::now();
    wait_for_nothing();
    reactor_->count_request();
    buffer_.consume(parser_.size());
    keep_ = parser_.keep_alive();
    parser_.reset();
    choose_id();

    phase_ = Phase::exchange;
    output_ = Output::pending;
    headless_ = continued_ = false;
    status_ = 0;
    received_ = dropped_ = 0;
    body_left_ = head_.content_length.value_or(0);
    input_ = head_.chunked || body_left_ > 0 ? Input::unread : Input::whole;
    refused_.store(false, std::memory_order_relaxed);
    answered_.store(false, std::memory_order_release);
    ask_application();
}

void Connection::ask_application() {
    undecided_ = false;
    const std::uint32_t serial = serial_.load(std::memory_order_relaxed);
    const std::shared_ptr<Connection> me = self();
    try {
        BodyPlan plan = reactor_->environment().application->begin(me);
        const bool over = serial != serial_.load(std::memory_order_relaxed);
        if (!over && phase_ == Phase::exchange) return adopt_plan(std::move(plan));
        if (plan.sink) plan.sink->abort();
    } catch (const std::exception& error) {
        application_threw(serial, "begin()", error.what());
    }
}

// The application has no business throwing; the client still gets an answer, unless it has one.
void Connection::application_threw(std::uint32_t serial, std::string_view where,
                                   std::string_view what) {
    reactor_->log(Level::error, fmt::format("the application's {} threw: {}", where, what));
    if (serial != serial_.load(std::memory_order_relaxed) || phase_ != Phase::exchange) return;
    refuse(500, "internal", "the request could not be carried out");
}

// By mail also on this thread: begin() may not have returned yet.
void Connection::begin_again() noexcept { reactor_->mail(self(), letter(Letter::again)); }

void Connection::choose_id() {
    const std::optional<std::string_view> given =
        headless_ ? std::nullopt : head_.field("X-Request-Id");
    if (given && is_request_id(*given)) {
        id_ = *given;
        return;
    }
    std::uint64_t bits = reactor_->random();
    for (char& digit : made_id_) {
        digit = "0123456789abcdef"[bits & 15U];
        bits >>= 4U;
    }
    id_ = {made_id_.data(), made_id_.size()};
}

// ---- refusals

// Answers with a problem and ends the connection: after a framing error nobody knows where the next
// request begins.
void Connection::refuse(int status, std::string_view slug, std::string_view detail,
                        std::string_view member, std::uint64_t value) {
    if (phase_ == Phase::head) {
        phase_ = Phase::exchange;
        headless_ = true;
        began_ = Clock::now();
        received_ = dropped_ = 0;
        choose_id();
        head_ = Head{};
        input_ = Input::unread;
        output_ = Output::pending;
        reactor_->environment().connections_refused.fetch_add(turn_away_ ? 1 : 0,
                                                              std::memory_order_relaxed);
    } else {
        // The right to answer is claimed before the sink hears of the end, or what it answers to
        // that would take the refusal's place.
        refused_.store(true, std::memory_order_release);
        if (answered_.exchange(true)) {
            keep_ = false;  // somebody else's answer is on its way: that one closes
            return stop_sink();
        }
    }
    keep_ = false;
    Response response = problem(status, slug, detail, id_);
    if (!member.empty()) {
        Error error(Errc::too_large, std::string(slug), std::string(detail));
        error.with(std::string(member), fmt::format("{}", value));
        response = problem(error, id_);
        response.status = status;
    }
    if (turn_away_) response.headers.emplace_back("Retry-After", "1");
    begin_answer(std::move(response));
}

void Connection::refuse_too_large(std::uint64_t limit) {
    refuse(413, "body-too-large", fmt::format("the body is longer than {} bytes", limit), "limit",
           limit);
}

}  // namespace larder::http
