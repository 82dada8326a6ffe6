#include "access/failures.hpp"

#include <fmt/format.h>

#include <exception>
#include <new>
#include <utility>
#include <vector>

namespace larder::access {

std::string_view fault_word(Fault fault) noexcept {
    switch (fault) {
        case Fault::malformed: return "malformed";
        case Fault::password: return "wrong-password";
        case Fault::token: return "unknown-token";
        case Fault::expired: return "expired-token";
        case Fault::throttled: return "throttled";
    }
    return "unknown";
}

Failures::Failures(Audit& audit, Log& log, std::function<bool(Task)> post,
                   std::function<std::int64_t()> clock_ms)
    : audit_(audit), log_(log), post_(std::move(post)), clock_ms_(std::move(clock_ms)) {}

void Failures::note(Fault fault, std::string_view address, std::string_view actor,
                    std::string_view request_id) noexcept {
    counts_[static_cast<std::size_t>(fault) - 1].fetch_add(1, std::memory_order_relaxed);
    try {
        bool post = false;
        {
            const std::scoped_lock lock(mutex_);
            Kind kind{fault, std::string(address), std::string(actor.substr(0, 64))};
            if (seen_.size() >= kMostKinds && !seen_.contains(kind)) {
                kind.address = kind.actor = "(many)";
            }
            Seen& seen = seen_[std::move(kind)];
            ++seen.count;
            seen.request_id = request_id;
            const bool due = clock_ms_() - seen.recorded_ms >= kPeriodMs;
            if (due && !posted_) post = posted_ = true;
        }
        if (!post || post_([this] { hand_over(); })) return;
        const std::scoped_lock lock(mutex_);
        posted_ = false;  // no worker is free: the next failure, or the minute's job, tries again
    } catch (const std::bad_alloc&) {
        log_.write(Level::error, "a failed authentication was not recorded for lack of memory");
    }
}

void Failures::hand_over() {
    std::vector<std::pair<Kind, Seen>> due;
    const std::int64_t now = clock_ms_();
    {
        const std::scoped_lock lock(mutex_);
        posted_ = false;
        for (auto place = seen_.begin(); place != seen_.end();) {
            auto& [kind, seen] = *place;
            const bool is_due = now - seen.recorded_ms >= kPeriodMs;
            if (is_due && seen.count == 0) {
                place = seen_.erase(place);
                continue;
            }
            if (is_due) {
                due.emplace_back(kind, seen);
                seen.count = 0;
                seen.recorded_ms = now;
            }
            ++place;
        }
    }
    for (const auto& [kind, seen] : due) {
        const std::string details = fmt::format(R"({{"count":{}}})", seen.count);
        AuditRecord record;
        record.actor = kind.actor;
        record.action = "auth.failed";
        record.outcome = fault_word(kind.fault);
        record.ip_address = kind.address;
        record.request_id = seen.request_id;
        record.details = details;
        try {
            audit_.record(record);
        } catch (const std::exception& error) {
            log_.write(Level::warning,
                       fmt::format("failed authentications wait to be recorded: {}", error.what()));
            const std::scoped_lock lock(mutex_);
            Seen& kept = seen_[kind];
            kept.count += seen.count;
        }
    }
}

std::uint64_t Failures::count(Fault fault) const noexcept {
    return counts_[static_cast<std::size_t>(fault) - 1].load(std::memory_order_relaxed);
}

}  // namespace larder::access
