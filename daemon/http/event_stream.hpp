// The two ends of a text/event-stream: the queue that a plugin fills from any thread, and the
// writer that the connection empties it with. Heartbeats and the events' shape are the plugin's
// business.
#pragma once

#include <cstddef>
#include <cstdint>
#include <functional>
#include <memory>
#include <mutex>
#include <string>
#include <vector>

#include "http/reactor.hpp"
#include "http/transport.hpp"
#include "larder/http.hpp"

namespace larder::http {

// What the plugin holds. Lives as long as somebody holds it; inert once the client has left.
class StreamQueue final : public EventStream {
public:
    using Block = std::shared_ptr<const std::string>;

    static constexpr std::size_t kMaxBytes = 1U << 20U;
    static constexpr std::size_t kMaxBlocks = 4096;

    // `to` gets `what` as mail when there is something to do: bytes, or an end.
    StreamQueue(std::shared_ptr<Reactor> reactor, std::shared_ptr<Mailed> to, std::uint64_t what,
                StreamHead&& head);

    Sent send(Block block) noexcept override;  // [any]
    void close() noexcept override;            // [any]

    StreamHead& head() noexcept { return head_; }  // [io]
    // From here on send() takes nothing; calls `closed` if `tell`, once. [io]
    void end(bool tell) noexcept;
    // Moves up to `limit` blocks out; `closing`: and no more will come. [io]
    void take(std::vector<Block>& out, std::size_t limit, bool& closing);
    // These bytes and blocks have left the socket; calls `writable` if somebody waits for room.
    // [io]
    void sent(std::size_t blocks, std::size_t bytes);

private:
    void wake(std::unique_lock<std::mutex>& lock) noexcept;

    std::mutex mutex_;
    // Guarded by mutex_.
    std::vector<Block> queue_;
    std::size_t blocks_ = 0, bytes_ = 0;  // queued or on their way, not yet out
    bool ended_ = false, closing_ = false, full_ = false, mailed_ = false;
    std::shared_ptr<Reactor> reactor_;  // let go, with to_, at the end: the connection holds this
    std::shared_ptr<Mailed> to_;

    const std::uint64_t what_;
    StreamHead head_;  // only the reactor
};

// Writes the head, then the queue's blocks: many in one writev, as one chunk. [io]
class StreamWriter {
public:
    enum class Progress : std::uint8_t { idle = 1, blocked, done, failed };

    void start(std::string&& head, bool chunked);
    Progress advance(Transport& transport, StreamQueue& queue);
    void reset() noexcept;
    std::uint64_t body_sent() const noexcept { return body_sent_; }
    bool begun() const noexcept { return begun_; }

private:
    bool refill(StreamQueue& queue);
    void consume(std::size_t size, StreamQueue& queue);

    std::string before_;  // head, or the chunk's size line
    std::vector<StreamQueue::Block> batch_;
    std::string_view after_;         // what ends the chunk
    std::size_t part_ = 0, at_ = 0;  // 0 is before_, then the batch, last after_
    std::uint64_t body_sent_ = 0;
    bool chunked_ = true, closing_ = false, over_ = false, begun_ = false, head_ = false;
};

}  // namespace larder::http
