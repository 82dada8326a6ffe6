// send() only queues and posts one letter for many blocks, so that a fan-out to ten thousand
// watchers costs the sender a lock each and no system call.
#include "http/event_stream.hpp"

#include <sys/uio.h>

#include <algorithm>
#include <array>
#include <utility>

#include "http/response_writer.hpp"

namespace larder::http {

namespace {
constexpr std::size_t kBatch = 62;  // blocks in one writev, beside the chunk's two ends
}

StreamQueue::StreamQueue(std::shared_ptr<Reactor> reactor, std::shared_ptr<Mailed> to,
                         std::uint64_t what, StreamHead&& head)
    : reactor_(std::move(reactor)), to_(std::move(to)), what_(what), head_(std::move(head)) {}

EventStream::Sent StreamQueue::send(Block block) noexcept {
    std::unique_lock lock(mutex_);
    if (ended_ || closing_) return Sent::closed;
    if (block == nullptr || block->empty()) return Sent::taken;
    // One block alone may be larger than the limit, or it could never be sent.
    if (blocks_ > 0 && (blocks_ + 1 > kMaxBlocks || bytes_ + block->size() > kMaxBytes)) {
        full_ = true;
        return Sent::full;
    }
    ++blocks_;
    bytes_ += block->size();
    queue_.push_back(std::move(block));
    wake(lock);
    return Sent::taken;
}

void StreamQueue::close() noexcept {
    std::unique_lock lock(mutex_);
    if (ended_ || closing_) return;
    closing_ = true;
    wake(lock);
}

void StreamQueue::wake(std::unique_lock<std::mutex>& lock) noexcept {
    if (mailed_) return;
    mailed_ = true;
    const std::shared_ptr<Reactor> reactor = reactor_;
    std::shared_ptr<Mailed> to = to_;
    lock.unlock();
    if (reactor) reactor->mail(std::move(to), what_);
}

void StreamQueue::end(bool tell) noexcept {
    std::shared_ptr<Mailed> to;
    std::shared_ptr<Reactor> reactor;
    std::vector<Block> queue;
    {
        const std::lock_guard lock(mutex_);
        if (ended_) return;
        ended_ = true;
        to = std::move(to_);
        reactor = std::move(reactor_);
        queue = std::move(queue_);
    }
    const std::function<void()> closed = std::exchange(head_.closed, nullptr);
    head_.writable = nullptr;
    if (tell && closed) closed();
}

void StreamQueue::take(std::vector<Block>& out, std::size_t limit, bool& closing) {
    const std::lock_guard lock(mutex_);
    const std::size_t count = std::min(limit, queue_.size());
    const auto end = queue_.begin() + static_cast<std::ptrdiff_t>(count);
    std::move(queue_.begin(), end, std::back_inserter(out));
    queue_.erase(queue_.begin(), end);
    closing = closing_ && queue_.empty();
    // What comes from here on needs a letter of its own only once the queue was seen empty.
    mailed_ = !queue_.empty();
}

void StreamQueue::sent(std::size_t blocks, std::size_t bytes) {
    {
        const std::lock_guard lock(mutex_);
        blocks_ -= blocks;
        bytes_ -= bytes;
        if (!full_ || blocks_ > kMaxBlocks / 2 || bytes_ > kMaxBytes / 2) return;
        full_ = false;
    }
    if (head_.writable) head_.writable();
}

void StreamWriter::start(std::string&& head, bool chunked) {
    reset();
    before_ = std::move(head);
    chunked_ = chunked;
    head_ = true;
}

void StreamWriter::reset() noexcept {
    before_.clear();
    batch_.clear();
    after_ = {};
    part_ = at_ = 0;
    body_sent_ = 0;
    closing_ = over_ = begun_ = head_ = false;
}

// True: there is something to write.
bool StreamWriter::refill(StreamQueue& queue) {
    if (over_) return false;
    part_ = at_ = 0;
    before_.clear();
    batch_.clear();
    after_ = {};
    queue.take(batch_, kBatch, closing_);
    over_ = closing_;
    if (!chunked_) return !batch_.empty();
    if (!batch_.empty()) {
        std::size_t size = 0;
        for (const StreamQueue::Block& block : batch_) size += block->size();
        append_chunk_size(before_, size);
        after_ = over_ ? "\r\n0\r\n\r\n" : "\r\n";
    } else if (over_) {
        after_ = "0\r\n\r\n";
    }
    return !batch_.empty() || over_;
}

void StreamWriter::consume(std::size_t size, StreamQueue& queue) {
    begun_ = true;
    std::size_t blocks = 0, bytes = 0;
    while (size > 0) {
        const bool in_batch = part_ > 0 && part_ <= batch_.size();
        const std::size_t length = part_ == 0 ? before_.size()
                                   : in_batch ? batch_[part_ - 1]->size()
                                              : after_.size();
        const std::size_t take = std::min(size, length - at_);
        at_ += take;
        size -= take;
        if (in_batch) body_sent_ += take;
        if (at_ < length) break;
        if (in_batch) {
            ++blocks;
            bytes += length;
            batch_[part_ - 1] = nullptr;
        }
        ++part_;
        at_ = 0;
    }
    if (blocks > 0) queue.sent(blocks, bytes);
}

StreamWriter::Progress StreamWriter::advance(Transport& transport, StreamQueue& queue) {
    for (;;) {
        std::array<iovec, kBatch + 2> parts;
        std::size_t count = 0;
        std::size_t at = at_;
        for (std::size_t i = part_; i < batch_.size() + 2; ++i, at = 0) {
            std::string_view text = before_;
            if (i > 0) text = i <= batch_.size() ? std::string_view(*batch_[i - 1]) : after_;
            text.remove_prefix(at);
            // NOLINTNEXTLINE(cppcoreguidelines-pro-type-const-cast): iovec knows no const
            if (!text.empty()) parts[count++] = {const_cast<char*>(text.data()), text.size()};
        }
        if (count == 0) {
            if (refill(queue)) continue;
            return over_ ? Progress::done : Progress::idle;
        }
        const Written written = transport.write({parts.data(), count}, false);
        if (written.state == Written::State::blocked) return Progress::blocked;
        if (written.state == Written::State::failed) return Progress::failed;
        consume(written.size, queue);
    }
}

}  // namespace larder::http
