// The wheel's slots are rings of entries around an anchor; it owns none of the entries.
#include "http/timer_wheel.hpp"

#include <algorithm>

namespace larder::http {

Timed::~Timed() { unlink(); }

void Timed::unlink() noexcept {
    if (previous_ == nullptr) return;
    previous_->next_ = next_;
    next_->previous_ = previous_;
    previous_ = next_ = nullptr;
    fires_ = kNever;
}

TimerWheel::TimerWheel(Clock::time_point now) : turned_(now) {
    for (Anchor& slot : slots_) slot.previous_ = slot.next_ = &slot;
}

TimerWheel::~TimerWheel() {
    for (Anchor& slot : slots_) {
        while (slot.next_ != &slot) slot.next_->unlink();
    }
}

void TimerWheel::place(Timed& entry) noexcept {
    entry.unlink();
    const auto ahead = std::max(entry.deadline_ - turned_, Clock::duration::zero());
    // Rounded up, so that nothing fires early; at least one slot ahead, since the hand's own is
    // done.
    const auto slots = std::clamp<Clock::duration::rep>(
        (ahead + kSlot - Clock::duration{1}) / kSlot, 1, kSlots - 1);
    Timed& slot = slots_[(hand_ + static_cast<std::size_t>(slots)) % kSlots];
    entry.fires_ = turned_ + slots * kSlot;
    entry.previous_ = slot.previous_;
    entry.next_ = &slot;
    slot.previous_->next_ = &entry;
    slot.previous_ = &entry;
}

void TimerWheel::advance(Clock::time_point now) {
    // After a long sleep (nobody connected) one turn visits every slot; more would visit them
    // again.
    const auto behind = (now - turned_) / kSlot;
    if (behind > static_cast<Clock::duration::rep>(kSlots)) {
        turned_ += (behind - static_cast<Clock::duration::rep>(kSlots)) * kSlot;
    }
    while (turned_ + kSlot <= now) {
        turned_ += kSlot;
        hand_ = (hand_ + 1) % kSlots;
        fire(slots_[hand_], now);
    }
}

void TimerWheel::fire(Timed& slot, Clock::time_point now) {
    if (slot.next_ == &slot) return;
    // Taken off as a whole first: what a callback sets anew must not be met again in this round.
    Anchor due;
    due.next_ = slot.next_;
    due.previous_ = slot.previous_;
    due.next_->previous_ = &due;
    due.previous_->next_ = &due;
    slot.previous_ = slot.next_ = &slot;
    while (due.next_ != &due) {
        Timed& entry = *due.next_;
        entry.unlink();
        if (entry.deadline_ == Timed::kNever) continue;
        if (entry.deadline_ > now) {
            place(entry);
            continue;
        }
        entry.deadline_ = Timed::kNever;
        entry.on_deadline();
    }
    due.previous_ = due.next_ = nullptr;
}

}  // namespace larder::http
