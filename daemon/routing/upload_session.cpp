#include "routing/upload_session.hpp"

#include <span>
#include <utility>

namespace larder::routing {
namespace {

// Enough to keep a hashing worker busy while the socket fills the next chunks.
constexpr std::size_t kHighWater = 1U << 20U, kLowWater = 256U << 10U;

}  // namespace

UploadSession::UploadSession(std::shared_ptr<Call> call, jobs::WorkerPool& workers)
    : call_(std::move(call)), workers_(workers) {}

bool UploadSession::begin() {
    const std::scoped_lock lock(mutex_);
    busy_ = workers_.post([self = shared_from_this()] { self->run(); });
    return busy_;
}

void UploadSession::wake_worker() {
    if (busy_ || over_) return;
    busy_ = true;
    workers_.resume([self = shared_from_this()] { self->run(); });
}

bool UploadSession::take(std::string&& bytes) {
    const std::scoped_lock lock(mutex_);
    if (over_) return true;  // the answer is out; the front passes over the rest
    queued_bytes_ += bytes.size();
    chunks_.push_back(std::move(bytes));
    wake_worker();
    paused_ = queued_bytes_ >= kHighWater;
    return !paused_;
}

void UploadSession::end(Headers&& trailers) {
    const std::scoped_lock lock(mutex_);
    trailers_ = std::move(trailers);
    wake_worker();
}

void UploadSession::abort() noexcept {
    const std::scoped_lock lock(mutex_);
    aborted_ = true;
    chunks_.clear();
    wake_worker();
}

void UploadSession::run() noexcept {
    call_->guarded([this] {
        if (!opened_) open();
        step();
    });
    const std::scoped_lock lock(mutex_);
    if (upload_ == nullptr) over_ = true;
    busy_ = false;
    const bool more = !chunks_.empty() || trailers_ || aborted_;
    if (more) wake_worker();
}

void UploadSession::open() {
    opened_ = true;
    Reply reply = call_->make_reply();
    {
        const std::scoped_lock lock(mutex_);
        if (aborted_) throw Error(Errc::bad_request, "bad-request", "the body was cut");
    }
    if (!call_->is_live()) throw stopped(*call_->endpoint().owner);
    upload_ = std::get<UploadHandler>(call_->endpoint().handler)(*call_, call_->cancel());
    if (!upload_) throw Error(Errc::internal, "internal", "the upload could not be begun");
    reply_.emplace(std::move(reply));
    {
        const std::scoped_lock lock(mutex_);
        paused_ = false;
    }
    call_->exchange().resume_body();
}

void UploadSession::step() {
    for (;;) {
        std::string chunk;
        bool resume = false;
        {
            const std::scoped_lock lock(mutex_);
            if (aborted_ || !call_->is_live()) break;
            if (chunks_.empty()) {
                if (!trailers_) return;
                break;
            }
            chunk = std::move(chunks_.front());
            chunks_.pop_front();
            queued_bytes_ -= chunk.size();
            resume = paused_ && queued_bytes_ <= kLowWater;
            if (resume) paused_ = false;
        }
        if (resume) call_->exchange().resume_body();
        try {
            upload_->take(std::as_bytes(std::span(chunk)));
        } catch (...) {
            give_up();
            throw;
        }
    }
    const auto finish = [this]() -> std::optional<Headers> {
        const std::scoped_lock lock(mutex_);
        if (aborted_ || !call_->is_live()) return std::nullopt;
        return std::exchange(trailers_, std::nullopt);
    };
    Reply reply = std::move(*reply_);
    reply_.reset();
    const std::optional<Headers> trailers = finish();
    if (!trailers) {
        give_up();
        throw Error(Errc::bad_request, "bad-request", "the body was cut");
    }
    try {
        Response response = upload_->finish(*trailers);
        upload_.reset();
        std::move(reply).send(std::move(response));
    } catch (...) {
        give_up();
        throw;
    }
}

void UploadSession::give_up() noexcept {
    if (upload_) upload_->abort();
    upload_.reset();
    reply_.reset();
}

}  // namespace larder::routing
