// How much may be stored: room is reserved before bytes come, given back when they do not become a
// file, and turned into used room when they do. In memory; what is used is counted anew at a start.
#pragma once

#include <cstdint>
#include <mutex>

namespace larder::files {

class Quota {
public:
    // Room that an upload holds; given back by its destructor. One thread at a time.
    class Reservation {
    public:
        Reservation() = default;
        explicit Reservation(Quota& quota) noexcept : quota_(&quota) {}
        Reservation(Reservation&& other) noexcept;
        Reservation& operator=(Reservation&& other) noexcept;
        ~Reservation();

        std::uint64_t held() const noexcept { return held_; }
        // Makes it hold so much, more or less than before. Throws Error{no_space,
        // "quota-exceeded"} with `available`: it then holds what it held.
        void resize(std::uint64_t bytes);
        // Whether there is room or not: for what was promised before a restart.
        void force(std::uint64_t bytes) noexcept;
        // Makes it hold at least so much, in steps while there is room for them. Throws as
        // resize() does.
        void cover(std::uint64_t bytes);

    private:
        friend class Quota;
        Quota* quota_ = nullptr;
        std::uint64_t held_ = 0;
    };

    struct Figures {
        std::uint64_t limit, used, reserved;
        std::uint64_t available() const noexcept {
            return limit > used + reserved ? limit - used - reserved : 0;
        }
    };

    void set_limit(std::uint64_t bytes);  // [any]
    Figures figures() const;              // [any]
    // Throws Error{no_space, "quota-exceeded"} where so much cannot be reserved now. [any]
    void demand(std::uint64_t bytes) const;

    void add_used(std::uint64_t bytes);     // [any]
    void remove_used(std::uint64_t bytes);  // [any]
    // What `from` holds is given back and `bytes` are used, in one step. [any]
    void settle(Reservation& from, std::uint64_t bytes);

private:
    mutable std::mutex mutex_;
    Figures figures_{0, 0, 0};  // guarded by mutex_
};

}  // namespace larder::files
