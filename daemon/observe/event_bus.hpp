// The facts of larder/events.hpp on their way from whoever publishes them to whoever subscribed.
// Not a queue that anything may rely on: what is not taken in time is dropped and counted.
//
//   publish → a block of the thread's lane → (full, or 100 ms) → each subscriber's queue → take
//
// A fact and its texts are copied once, into a block that all subscribers share. Publishing takes
// the lock of one of a few lanes, which the delivering thread wants ten times a second.
#pragma once

#include <cstdint>
#include <functional>
#include <memory>
#include <string>
#include <thread>

#include "larder/events.hpp"
#include "larder/host.hpp"
#include "observe/exposition.hpp"

namespace larder::observe {

class EventBus {
public:
    // `log` outlives it. Nothing is delivered before start().
    explicit EventBus(Log& log);
    ~EventBus();
    EventBus(const EventBus&) = delete;
    EventBus& operator=(const EventBus&) = delete;

    void start();  // [control]
    void stop();   // delivers what is there, then ends [control]

    void publish(const Event& event) noexcept;   // [any]
    bool wanted(EventKind kind) const noexcept;  // [any]

    using Take = std::function<void(const EventBatch&)>;
    // Nothing is given to it before open(owner). The ticket may outlive this. [any]
    std::unique_ptr<Ticket> subscribe(const std::string& owner, std::uint32_t kinds, Take take);
    // The owner's subscriptions, present and to come, are served from here on. [control]
    void open(const std::string& owner);
    // Delivers to the owner's subscriptions what is there, then drops them; waits for a call in
    // progress. [control]
    void close(const std::string& owner);
    // Drops them, waiting for nothing: the owner's code may hang. [control]
    void abandon(const std::string& owner);

    void flush();  // everything published so far is delivered when it returns; for tests [any]
    void collect(Exposition& page) const;  // [any]

private:
    class Core;
    const std::shared_ptr<Core> core_;
    std::thread thread_;
};

// The Events that one plugin sees.
class OwnedEvents final : public Events {
public:
    OwnedEvents(EventBus& bus, std::string owner) : bus_(bus), owner_(std::move(owner)) {}
    void publish(const Event& event) noexcept override { bus_.publish(event); }
    bool wanted(EventKind kind) const noexcept override { return bus_.wanted(kind); }
    std::unique_ptr<Ticket> subscribe(std::uint32_t kinds,
                                      std::function<void(const EventBatch&)> take) override {
        return bus_.subscribe(owner_, kinds, std::move(take));
    }

private:
    EventBus& bus_;
    const std::string owner_;
};

}  // namespace larder::observe
