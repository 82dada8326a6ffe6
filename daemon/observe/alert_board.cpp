#include "observe/alert_board.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <new>

namespace larder::observe {
namespace {

constexpr std::size_t kLongestText = 64U << 10U;

Level level_for(Severity severity) {
    return severity >= Severity::error     ? Level::error
           : severity == Severity::warning ? Level::warning
                                           : Level::notice;
}

}  // namespace

AlertBoard::AlertBoard(Log& log, std::function<std::int64_t()> clock_ms,
                       std::function<void(const Alert&)> changed)
    : log_(log), clock_ms_(std::move(clock_ms)), changed_(std::move(changed)) {}

void AlertBoard::raise(std::string_view source, std::string_view key, Severity severity,
                       std::string_view text) noexcept {
    try {
        text = text.substr(0, kLongestText);
        const std::scoped_lock lock(mutex_);
        const std::int64_t now = clock_ms_();
        const Key place{std::string(source), std::string(key)};
        const auto found = standing_.find(place);
        if (found != standing_.end()) {
            Alert& alert = found->second;
            ++alert.count;
            alert.latest_ms = now;
            alert.text = text;
            if (std::exchange(alert.severity, severity) == severity) return;
            log_.write(level_for(severity), fmt::format("alert {} of {} is {} now: {}", key, source,
                                                        severity_word(severity), text));
            return changed_(alert);
        }
        log_.write(level_for(severity), fmt::format("alert {} of {}: {}", key, source, text));
        if (standing_.size() >= kMost) return;
        Alert alert;
        alert.id = next_id_++;
        alert.key = key;
        alert.source = source;
        alert.text = text;
        alert.severity = severity;
        alert.raised_ms = alert.latest_ms = now;
        changed_(standing_.emplace(place, std::move(alert)).first->second);
    } catch (const std::bad_alloc&) {
        log_.write(Level::error, "an alert was lost for lack of memory");
    }
}

void AlertBoard::resolve(std::string_view source, std::string_view key) noexcept {
    try {
        const std::scoped_lock lock(mutex_);
        const auto found = standing_.find({std::string(source), std::string(key)});
        if (found != standing_.end()) end(found);
    } catch (const std::bad_alloc&) {
        log_.write(Level::error, "the end of an alert was lost for lack of memory");
    }
}

void AlertBoard::resolve_all(std::string_view source) noexcept {
    try {
        const std::scoped_lock lock(mutex_);
        for (auto place = standing_.begin(); place != standing_.end();) {
            const auto here = place++;
            if (here->first.first == source) end(here);
        }
    } catch (const std::bad_alloc&) {
        log_.write(Level::error, "the end of an alert was lost for lack of memory");
    }
}

// With mutex_ held.
void AlertBoard::end(std::map<Key, Alert>::iterator place) {
    Alert alert = std::move(standing_.extract(place).mapped());
    alert.resolved_ms = clock_ms_();
    log_.write(Level::notice, fmt::format("alert {} of {} is over", alert.key, alert.source));
    if (over_.size() == kMost) over_.pop_front();
    over_.push_back(std::move(alert));
    changed_(over_.back());
}

std::vector<Alert> AlertBoard::all() const {
    std::vector<Alert> alerts;
    {
        const std::scoped_lock lock(mutex_);
        alerts.assign(over_.begin(), over_.end());
        for (const auto& [key, alert] : standing_) alerts.push_back(alert);
    }
    std::sort(alerts.begin(), alerts.end(),
              [](const Alert& a, const Alert& b) { return a.id > b.id; });
    return alerts;
}

}  // namespace larder::observe
