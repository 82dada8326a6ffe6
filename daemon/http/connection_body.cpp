// How a connection takes request bodies: into its buffer, into a string, to a sink, or not at all.
// What a body means is the application's business.
//
// An unread body is never executed as a request, and a cut body never looks whole.
#include <algorithm>
#include <exception>
#include <utility>

#include <fmt/format.h>

#include "http/connection.hpp"

namespace larder::http {

namespace {

constexpr std::size_t kFirstStore = 64U << 10U;  // never more on the client's word alone
constexpr std::size_t kFirstChunk = 16U << 10U;
constexpr std::size_t kMaxChunk = 256U << 10U;
constexpr std::size_t kSide = 64U << 10U;

}  // namespace

void Connection::adopt_plan(BodyPlan&& plan) {
    if (output_ != Output::pending) {  // answered inside begin(), and that answer is still leaving
        if (plan.sink) plan.sink->abort();
        return;
    }
    plan_ = std::move(plan);
    if (plan_.kind == BodyPlan::Kind::answered) return;
    undecided_ = plan_.kind == BodyPlan::Kind::later;
    if (undecided_) return;
    decoder_ = head_.chunked ? std::make_unique<ChunkDecoder>() : nullptr;
    stored_ = 0;
    // A read that outlived an early answer may have left bytes of the body before.
    chunk_.clear();
    body_store_.clear();
    input_ = plan_.kind == BodyPlan::Kind::stream ? Input::streaming : Input::buffering;
    sink_full_ = input_ == Input::streaming && !plan_.sink_ready;
    chunk_step_ = kFirstChunk;
    if (body_left_ > plan_.limit) return refuse_too_large(plan_.limit);
    if (!sink_full_) say_continue();
}

// Only if the client waits for it: a body that has begun to arrive needs no invitation.
void Connection::say_continue() {
    if (!head_.expects_continue || continued_ || input_ == Input::whole) return;
    if (!buffer_.empty() || (!head_.chunked && body_left_ == 0)) return;
    continued_ = true;
    static constexpr std::string_view kContinue = "HTTP/1.1 100 Continue\r\n\r\n";
    // NOLINTNEXTLINE(cppcoreguidelines-pro-type-const-cast): iovec knows no const
    const iovec part{const_cast<char*>(kContinue.data()), kContinue.size()};
    const Written written = transport_.write({&part, 1}, false);
    // A socket without room for 25 bytes belongs to a client that reads nothing.
    if (written.state != Written::State::some || written.size != kContinue.size()) client_gone();
}

// True: something was done, the loop goes on.
bool Connection::take_body() {
    if (input_ == Input::buffering) return take_buffered();
    if (input_ == Input::streaming && !sink_full_) return take_streamed();
    return false;
}

bool Connection::take_buffered() {
    if (head_.chunked) return decode_chunks();
    if (stored_ == 0 && body_left_ <= buffer_.size()) {  // the usual case: it lies there whole
        const auto size = static_cast<std::size_t>(body_left_);
        body_ = buffer_.view().substr(0, size);
        buffer_.consume(size);
        received_ = size;
        body_left_ = 0;
        body_is_whole();
        return true;
    }
    if (stored_ == 0 && body_left_ <= buffer_.reach()) return false;  // it will, when it has come
    if (!buffer_.empty()) {
        const std::string_view come = buffer_.view();
        body_store_.assign(come);
        stored_ = received_ = come.size();
        body_left_ -= come.size();
        buffer_.consume(come.size());
    }
    if (body_left_ > 0) return false;
    body_store_.resize(stored_);
    body_ = body_store_;
    body_is_whole();
    return true;
}

bool Connection::take_streamed() {
    if (head_.chunked) return decode_chunks();
    if (!chunk_.empty() && !reading_) {  // read straight into it
        hand_over();
        return true;
    }
    if (body_left_ > 0 && !buffer_.empty()) {
        const auto size = static_cast<std::size_t>(std::min<std::uint64_t>(
            {body_left_, std::uint64_t{buffer_.size()}, std::uint64_t{kMaxChunk}}));
        chunk_.assign(buffer_.view().substr(0, size));
        buffer_.consume(size);
        received_ += size;
        body_left_ -= size;
        hand_over();
        return true;
    }
    if (body_left_ > 0) return false;
    body_is_whole();
    return true;
}

bool Connection::decode_chunks() {
    InputBuffer& source = buffer_.empty() ? side_ : buffer_;
    bool done = decoder_->done();
    while (!done && !source.empty() && chunk_.size() < kMaxChunk) {
        const ChunkDecoder::Step step = decoder_->step(source.view());
        if (step.state == ChunkDecoder::State::refused) {
            const Refusal refusal = decoder_->refusal();
            refuse(refusal.status, refusal.slug, refusal.detail);
            return true;
        }
        received_ += step.data.size();
        if (received_ > plan_.limit) {
            refuse_too_large(plan_.limit);
            return true;
        }
        if (input_ == Input::streaming) {
            chunk_.append(step.data);
        } else {
            body_store_.append(step.data);
        }
        source.consume(step.used);
        done = step.state == ChunkDecoder::State::done;
    }
    if (input_ == Input::streaming && !chunk_.empty()) {
        const std::uint32_t serial = serial_.load(std::memory_order_relaxed);
        const bool takes_more = hand_over();
        const bool mine =
            serial == serial_.load(std::memory_order_relaxed) && input_ == Input::streaming;
        if (!mine) return true;
        if (!takes_more) return false;  // the end, too, waits until it has room again
        if (!done) return !(buffer_.empty() && side_.empty());
    }
    if (!done) return false;
    body_ = body_store_;
    body_is_whole();
    return true;
}

bool Connection::hand_over() {
    const std::shared_ptr<BodySink> sink = plan_.sink;
    in_sink_ = true;
    resumed_in_sink_ = false;
    const bool takes_more = sink->take(std::exchange(chunk_, {}));
    in_sink_ = false;
    if (input_ != Input::streaming || plan_.sink != sink) {
        sink->abort();  // it answered before the body's end
        return false;
    }
    sink_full_ = !takes_more && !resumed_in_sink_;
    return !sink_full_;
}

void Connection::body_is_whole() {
    const bool streamed = input_ == Input::streaming;
    input_ = Input::whole;
    wait_for_nothing();
    const std::shared_ptr<Connection> me = self();
    if (streamed) {
        const std::shared_ptr<BodySink> sink = plan_.sink;
        sink->end(decoder_ ? decoder_->take_trailers() : Headers{});
        return;
    }
    if (answered_.load(std::memory_order_relaxed)) return;  // from elsewhere, while it arrived
    const std::uint32_t serial = serial_.load(std::memory_order_relaxed);
    try {
        reactor_->environment().application->run(me);
    } catch (const std::exception& error) {
        application_threw(serial, "run()", error.what());
    }
}

// The sink is told that the body will never be whole; from here on nobody wants the rest.
void Connection::stop_sink() {
    const bool streamed = input_ == Input::streaming;
    if (input_ != Input::whole) input_ = Input::unread;
    if (!streamed || in_sink_) return;  // in_sink_: told when take() has returned
    const std::shared_ptr<BodySink> sink = plan_.sink;
    sink->abort();
}

void Connection::resume() {
    if (phase_ != Phase::exchange || input_ != Input::streaming) return;
    sink_full_ = false;
    resumed_in_sink_ = true;
    say_continue();
}

void Connection::resume_body() noexcept {
    if (reactor_->here()) {
        resume();
        if (!in_loop_) reactor_->mail(self(), letter(Letter::proceed));
        return;
    }
    reactor_->mail(self(), letter(Letter::resume));
}

void Connection::read_body() {
    if (input_ == Input::streaming && sink_full_) return wait_for_nothing();
    wait_for(Wait::body, reactor_->options().body_timeout);
    if (head_.chunked) {
        if (side_.capacity() == 0 || side_.empty()) side_.relocate(kSide);
        return read(Target::side, side_.free());
    }
    if (input_ == Input::streaming) {
        // Grows while the reads come back full, so that a slow sender holds little.
        // Up to a multiple of the step: who keeps the body writes whole pages then, which is
        // faster, and so is reading them later.
        const std::uint64_t to_boundary = chunk_step_ - received_ % chunk_step_;
        chunk_.resize(static_cast<std::size_t>(std::min<std::uint64_t>(to_boundary, body_left_)));
        chunk_step_ = std::min(chunk_step_ * 2, kMaxChunk);
        return read(Target::chunk, chunk_);
    }
    if (stored_ == 0 && body_left_ <= buffer_.reach()) return read(Target::buffer, buffer_.free());
    if (stored_ == body_store_.size()) {
        const std::uint64_t grown =
            std::max<std::uint64_t>(kFirstStore, std::uint64_t{stored_} * 2);
        body_store_.resize(static_cast<std::size_t>(std::min(grown, stored_ + body_left_)));
    }
    read(Target::body, std::span(body_store_).subspan(stored_));
}

// The answer is out. True: the loop goes on.
bool Connection::drop_body() {
    const auto size = static_cast<std::size_t>(std::min<std::uint64_t>(body_left_, buffer_.size()));
    buffer_.consume(size);
    body_left_ -= size;
    if (body_left_ == 0) {
        input_ = Input::whole;
        phase_ = Phase::head;
        wait_for(Wait::idle, reactor_->options().idle_timeout);
        return true;
    }
    if (end_seen_) close();
    return false;
}

}  // namespace larder::http
