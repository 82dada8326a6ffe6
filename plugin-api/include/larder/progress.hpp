// Whether a plugin's threads get on with what they are handed: the daemon tells the service manager
// that all is well only while they do. Not a measure of work; larder/usage.hpp and metrics are.
#pragma once

#include <cstdint>
#include <string_view>

namespace larder {

inline constexpr std::string_view kProgress = "larder.progress/1";

// Takes how one plugin's threads stand. [any]
class ProgressSink {
public:
    // A thread by name, each once. `done` grows with each piece of work that it ends; `waiting`:
    // something is under way on it or waits for it. One that has had something to do all the while
    // and ended none of it, from one look to the next, is taken to hang. Looks are seconds apart.
    virtual void thread(std::string_view name, std::uint64_t done, bool waiting) = 0;

protected:
    ~ProgressSink() = default;
};

// The extension kProgress of a plugin.
class Progress {
public:
    // While the plugin serves. Must not wait for the threads that it tells of. [any]
    virtual void tell(ProgressSink& sink) = 0;

protected:
    ~Progress() = default;
};

}  // namespace larder
