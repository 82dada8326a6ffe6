// Facts that plugins and daemon tell each other: a request ended, a file was stored. In batches,
// and never in the sender's way: what a subscriber does not take in time is dropped and counted.
// Not a log, and not for what must not be lost.
//
// Facts are plain structs that begin with `size` and `kind` and grow only at their ends. The host
// brings what an older plugin publishes to full size, the new members as they are by default; an
// older subscriber sees the beginning that it knows. All texts are UTF-8 and good during the call.
#pragma once

#include <cstdint>
#include <functional>
#include <memory>
#include <span>
#include <string_view>
#include <type_traits>

#include "larder/ticket.hpp"

namespace larder {

enum class EventKind : std::uint16_t {
    request_ended = 1,
    file_stored,
    program_ran,
    plugin_changed,
    alert_changed,
};

struct Event {
    std::uint32_t size;  // of the whole struct, set by its constructor
    EventKind kind;
    std::int64_t time_ms = 0;  // Unix; 0 when published: the host fills it in
};

// Any request but those that the front refused before it had a head.
struct RequestEnded : Event {
    static constexpr EventKind kKind = EventKind::request_ended;
    RequestEnded() : Event{sizeof(RequestEnded), kKind} {}
    std::string_view plugin;  // "larderd" for the daemon's own routes
    std::string_view route;   // the template, "/api/kv/{bucket}/{key}"; empty where none matched
    std::string_view method;  // "GET"; as sent where no route matched
    std::int64_t duration_us = 0;
    std::uint64_t bytes_in = 0, bytes_out = 0;  // bodies
    std::int32_t status = 0;                    // as sent; 0: the client had left
    std::string_view request_id, principal, peer;
};

struct FileStored : Event {
    static constexpr EventKind kKind = EventKind::file_stored;
    FileStored() : Event{sizeof(FileStored), kKind} {}
    std::string_view filename;  // the stored one
    std::string_view original_name, mime_type, sha256;
    std::uint64_t bytes = 0;
    std::string_view principal, request_id;
};

struct ProgramRan : Event {
    static constexpr EventKind kKind = EventKind::program_ran;
    ProgramRan() : Event{sizeof(ProgramRan), kKind} {}
    std::string_view program_id;
    std::int64_t execution_id = 0;
    std::string_view state;  // "succeeded" "failed" "timed_out" "cancelled" "lost"
    std::int64_t duration_us = 0, cpu_us = 0;
    std::uint64_t max_rss = 0;      // bytes
    std::int32_t return_code = -1;  // -1: ended by a signal, or never ran
    std::string_view principal, request_id;
};

struct PluginChanged : Event {
    static constexpr EventKind kKind = EventKind::plugin_changed;
    PluginChanged() : Event{sizeof(PluginChanged), kKind} {}
    std::string_view plugin, state, reason;  // state as /api/plugins shows it
};

struct AlertChanged : Event {
    static constexpr EventKind kKind = EventKind::alert_changed;
    AlertChanged() : Event{sizeof(AlertChanged), kKind} {}
    std::string_view key, source, severity, text;
    bool raised = false;  // false: resolved
};

// The fact itself, where it is of this type. [any]
template <class Fact> const Fact* event_as(const Event& event) noexcept {
    static_assert(std::is_base_of_v<Event, Fact>);
    return event.kind == Fact::kKind ? static_cast<const Fact*>(&event) : nullptr;
}

constexpr std::uint32_t event_bit(EventKind kind) noexcept {
    return 1U << static_cast<unsigned>(kind);
}

struct EventBatch {
    std::span<const Event* const> events;  // in the order in which each thread published them
    std::uint64_t dropped = 0;             // lost to this subscriber since the batch before
};

class Events {
public:
    // Copies the fact; costs next to nothing where nobody subscribed to its kind. [any]
    virtual void publish(const Event& event) noexcept = 0;
    // Whether a fact of this kind would reach anybody: for those that cost something to make. [any]
    virtual bool wanted(EventKind kind) const noexcept = 0;
    // `take` gets what was published, from when start() has returned to stop(): at most 100 ms
    // late, at most some hundred at a time. All subscribers share one thread, so it must not wait
    // for anything: what takes time is posted to the workers. What it throws is logged and costs
    // its batch. `kinds`: event_bit() of each, or'ed. During start() and while the plugin serves.
    // [any]
    [[nodiscard]] virtual std::unique_ptr<Ticket> subscribe(
        std::uint32_t kinds, std::function<void(const EventBatch&)> take) = 0;

protected:
    ~Events() = default;
};

}  // namespace larder
