// What the plugin and larder-run say to each other: a request in one memory file, frames in one
// pipe back. Both come of one build, so there is no version in it. Not for anybody else.
//
// The request is "name=value" items, each ended by NUL; `arg` and `env` may come often.
// Descriptors of larder-run: 0 the request, 1 the frames, 3 the control pipe (any byte: stop the
// run; its end: the daemon is gone), 4 the program's standard input.
#pragma once

#include <cstdint>
#include <cstring>
#include <string>
#include <string_view>

namespace larder::programs::protocol {

inline constexpr int kRequestFd = 0, kFramesFd = 1, kControlFd = 3, kInputFd = 4;

// What is said over the control pipe. Its end means that, too: the daemon is gone.
inline constexpr char kBegin = 'g';  // the program may; its sandbox is made meanwhile
inline constexpr char kCancel = 'c';

// A frame: its kind, the length of what follows (four bytes, least first), and that.
enum class Frame : char {
    started = 's',    // the program's processes are about to begin; nothing in it
    out_first = 'o',  // the beginning of standard output, as it comes
    err_first = 'e',  // of standard error
    out_live = 'O',  // what comes after that, as much as a watcher can bear; not kept. Eight bytes,
                     // least first, tell where in the stream it stands
    err_live = 'E',
    out_last = 't',  // the end, if it is not in the beginning
    err_last = 'u',
    result = 'r',  // "name=value" items, as in the request; the last frame
};

inline constexpr std::size_t kHead = 5;
inline constexpr std::size_t kMaxFrame = 1U << 20U;

inline void append_frame(std::string& out, Frame kind, std::string_view bytes) {
    const auto length = static_cast<std::uint32_t>(bytes.size());
    out += static_cast<char>(kind);
    for (unsigned shift = 0; shift < 32; shift += 8) {
        out += static_cast<char>((length >> shift) & 0xFFU);
    }
    out += bytes;
}

inline std::uint32_t frame_length(std::string_view head) {
    std::uint32_t length = 0;
    for (unsigned i = 0; i < 4; ++i) {
        length |= static_cast<std::uint32_t>(static_cast<unsigned char>(head[i + 1])) << (8 * i);
    }
    return length;
}

inline void append_item(std::string& out, std::string_view name, std::string_view value) {
    out.append(name).append(1, '=').append(value).append(1, '\0');
}

// Calls take(name, value) for each item; what has no '=' or no end is passed over.
template <class Take> void each_item(std::string_view items, Take take) {
    while (!items.empty()) {
        const std::size_t end = items.find('\0');
        if (end == std::string_view::npos) return;
        const std::string_view item = items.substr(0, end);
        items.remove_prefix(end + 1);
        const std::size_t equals = item.find('=');
        if (equals == std::string_view::npos) continue;
        take(item.substr(0, equals), item.substr(equals + 1));
    }
}

}  // namespace larder::programs::protocol
