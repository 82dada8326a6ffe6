// A program's output on its way to the daemon: frames that wait, and streams of which the first and
// the last part are kept.
#pragma once

#include <unistd.h>

#include <cerrno>
#include <cstddef>
#include <cstdint>
#include <string>
#include <string_view>

#include "larder_run/descriptors.hpp"
#include "larder_run/kept_output.hpp"
#include "run_protocol.hpp"

namespace larder::programs {

// Frames that wait for the daemon to take them. Never in the way of the run: what is kept is
// bounded, and live output is left out while there is much of it.
class Frames {
public:
    void add(protocol::Frame kind, std::string_view bytes) {
        protocol::append_frame(waiting_, kind, bytes);
    }
    bool is_empty() const noexcept { return waiting_.empty(); }
    std::size_t size() const noexcept { return waiting_.size(); }

    // False: nobody reads any more.
    bool flush() {
        while (!waiting_.empty()) {
            const ssize_t wrote = ::write(protocol::kFramesFd, waiting_.data(), waiting_.size());
            if (wrote < 0 && errno == EINTR) continue;
            if (wrote < 0) return errno == EAGAIN;
            waiting_.erase(0, static_cast<std::size_t>(wrote));
        }
        return true;
    }

private:
    std::string waiting_;
};

class Stream {
public:
    Stream(std::uint64_t most, protocol::Frame first, protocol::Frame live, protocol::Frame last)
        : kept_(most), first_(first), live_(live), last_(last) {}

    Pipe pipe;

    // Reads what is there; false at the end.
    bool pump(Frames& frames, std::int64_t now_ms) {
        char block[65536];
        const ssize_t got = ::read(pipe.read_end, block, sizeof block);
        if (got < 0) return errno == EAGAIN || errno == EINTR;
        if (got == 0) return false;
        const std::string_view bytes(block, static_cast<std::size_t>(got));
        if (beginning_.size() < kBeginning) beginning_ += bytes.substr(0, kBeginning);
        const std::size_t first = kept_.take(bytes);
        if (first > 0) frames.add(first_, bytes.substr(0, first));
        const std::string_view rest = bytes.substr(first);
        if (now_ms - live_since_ >= kLiveMs) {
            live_since_ = now_ms;
            live_bytes_ = 0;
        }
        if (!rest.empty() && live_bytes_ < kLiveBytes && frames.size() < kLiveBytes) {
            live_bytes_ += rest.size();
            const std::uint64_t offset = kept_.total() - rest.size();
            std::string live;
            for (unsigned shift = 0; shift < 64; shift += 8) {
                live += static_cast<char>((offset >> shift) & 0xFFU);
            }
            frames.add(live_, live.append(rest));
        }
        return true;
    }
    void finish(Frames& frames) const {
        if (!kept_.tail().empty()) frames.add(last_, kept_.tail());
    }
    std::uint64_t total() const noexcept { return kept_.total(); }
    const std::string& beginning() const noexcept { return beginning_; }

private:
    static constexpr std::int64_t kLiveMs = 50;  // in which so much live output may pass
    static constexpr std::size_t kLiveBytes = 64U << 10U;
    static constexpr std::size_t kBeginning = 1000;  // of what a failed set-up said
    KeptOutput kept_;
    const protocol::Frame first_, live_, last_;
    std::string beginning_;
    std::int64_t live_since_ = 0;
    std::size_t live_bytes_ = 0;
};

}  // namespace larder::programs
