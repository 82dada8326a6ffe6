// An answer on its way out: head and body, whatever its kind, into a transport. Decides nothing
// about the connection and waits for nobody.
#pragma once

#include <sys/uio.h>

#include <cstddef>
#include <cstdint>
#include <deque>
#include <functional>
#include <memory>
#include <string>
#include <string_view>

#include "http/reactor.hpp"
#include "http/response_writer.hpp"
#include "http/transport.hpp"
#include "larder/http.hpp"

namespace larder::http {

// A generator between the workers that run it and the reactor that sends what it makes. One pull at
// a time; what a pull made is read after its mail has come, so no lock is needed.
class GeneratorFeed : public std::enable_shared_from_this<GeneratorFeed> {
public:
    enum class Outcome : std::uint8_t { none = 1, chunk, last, failed };

    explicit GeneratorFeed(Generator generator) : generator_(std::move(generator)) {}

    // Has the next chunk made; `to` gets `what` as mail when it is there. False: no worker is free,
    // try again later. [io]
    bool pull(Reactor& reactor, std::shared_ptr<Mailed> to, std::uint64_t what);
    bool pulling() const noexcept { return pulling_; }  // [io]
    // After the mail: what came, `chunk` filled. none: the mail was a stray. [io]
    Outcome collect(std::string& chunk) noexcept;

private:
    class Pull;

    bool pulling_ = false;  // only the reactor
    // The worker's while pulling_, else the reactor's.
    Generator generator_;
    std::string chunk_;
    Outcome outcome_ = Outcome::none;
};

// One answer after the other. All on the reactor's thread. [io]
class Outgoing {
public:
    enum class Progress : std::uint8_t {
        done = 1,  // all is out
        blocked,   // the socket takes no more now
        starved,   // a generator's next chunk is wanted
        failed     // the client is gone, or a file ended before its region
    };

    // Body length in bytes; false for a generator, whose end nobody knows.
    static bool length_of(const Response& response, std::uint64_t& length) noexcept;

    // `bodyless`: HEAD, 204, 304; the body is let go unread. The head was appended to head().
    void start(Response&& response, Framing framing, bool bodyless);
    std::string& head() noexcept { return head_; }
    Progress advance(Transport& transport);
    void reset();  // lets body, files and generator go

    std::uint64_t body_sent() const noexcept { return body_sent_; }
    bool begun() const noexcept { return begun_; }  // a byte of it has left

    const std::shared_ptr<GeneratorFeed>& feed() const noexcept { return feed_; }
    // Whether the feed should be pulled: it is idle, not at its end, and little is queued.
    bool hungry() const noexcept;
    // Takes a chunk from the feed; `last`: no more will come.
    void add_chunk(std::string&& chunk, bool last);

private:
    struct Block {
        std::string text;
        bool payload;
    };
    struct Gathered;

    void gather(Gathered& gathered) const;
    void consume(std::size_t size) noexcept;
    std::string_view text_part(std::size_t index) const noexcept;
    const FileRegion* file_part(std::size_t index) const noexcept;
    Progress send_file(Transport& transport, const FileRegion& region, std::size_t& budget);

    std::string head_;  // capacity is kept from answer to answer
    std::size_t head_at_ = 0;
    bool begun_ = false;
    Response response_;
    std::size_t part_ = 0, parts_ = 0;  // of the body
    std::uint64_t at_ = 0;              // in that part
    std::uint64_t body_sent_ = 0;

    std::shared_ptr<GeneratorFeed> feed_;
    std::deque<Block> blocks_;
    std::size_t block_at_ = 0;  // in the first block
    std::size_t queued_ = 0;    // bytes in blocks_
    Framing framing_ = Framing::length;
    bool feed_ended_ = false;
};

}  // namespace larder::http
