// Deadlines of one reactor's connections: a wheel of 100 ms slots. Not a scheduler: coarse on
// purpose, so that moving a deadline on the hot path is a store.
#pragma once

#include <array>
#include <chrono>
#include <cstddef>

namespace larder::http {

using Clock = std::chrono::steady_clock;

class TimerWheel;

// Something with one deadline. It unlinks itself when destroyed. All calls on one thread. [io]
class Timed {
public:
    static constexpr Clock::time_point kNever = Clock::time_point::max();

    Timed() = default;
    Timed(const Timed&) = delete;
    Timed& operator=(const Timed&) = delete;
    Clock::time_point deadline() const noexcept { return deadline_; }

    // The deadline has passed; it reads kNever by now and may be set again. May destroy this.
    virtual void on_deadline() = 0;

protected:
    virtual ~Timed();

private:
    friend class TimerWheel;
    void unlink() noexcept;

    Clock::time_point deadline_ = kNever;
    Clock::time_point fires_ = kNever;  // when the slot it hangs in comes round
    Timed* previous_ = nullptr;         // null: in no slot
    Timed* next_ = nullptr;
};

class TimerWheel {
public:
    static constexpr std::chrono::milliseconds kSlot{100};

    explicit TimerWheel(Clock::time_point now);
    TimerWheel(const TimerWheel&) = delete;
    TimerWheel& operator=(const TimerWheel&) = delete;
    ~TimerWheel();

    // Moves a deadline; kNever takes it away. Later than before is a mere store: the entry stays in
    // its slot and is carried on when that comes round. Fires at most kSlot late.
    void set(Timed& entry, Clock::time_point deadline) noexcept {
        entry.deadline_ = deadline;
        if (deadline < entry.fires_) place(entry);
    }
    // Takes it out, so that it may be destroyed on another thread.
    void remove(Timed& entry) noexcept { entry.unlink(); }
    // Fires all that is due at `now`.
    void advance(Clock::time_point now);

private:
    static constexpr std::size_t kSlots = 1024;  // a turn of 102 s; longer ones go round again

    struct Anchor final : Timed {
        void on_deadline() override {}
    };

    void place(Timed& entry) noexcept;
    void fire(Timed& slot, Clock::time_point now);

    std::array<Anchor, kSlots> slots_;
    Clock::time_point turned_;  // all slots up to here have been looked at
    std::size_t hand_ = 0;      // slot of `turned_`
};

}  // namespace larder::http
