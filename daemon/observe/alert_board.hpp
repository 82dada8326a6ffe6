// The alerts of daemon and plugins, those that stand and the latest of those that are over. In
// memory; who wants to keep them subscribes to alert_changed.
#pragma once

#include <cstdint>
#include <deque>
#include <functional>
#include <map>
#include <mutex>
#include <optional>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "larder/alerts.hpp"
#include "larder/host.hpp"

namespace larder::observe {

struct Alert {
    std::uint64_t id = 0;  // grows with each that is raised anew
    std::string key, source, text;
    Severity severity = Severity::warning;
    std::int64_t raised_ms = 0, latest_ms = 0;
    std::int64_t resolved_ms = 0;  // 0: it stands
    std::uint64_t count = 1;       // times it was raised
};

class AlertBoard {
public:
    static constexpr std::size_t kMost = 1000;  // standing, and again over

    // `changed` hears of each alert that is raised anew, gets another severity, or is resolved; it
    // must neither wait nor call back. [any]
    AlertBoard(Log& log, std::function<std::int64_t()> clock_ms,
               std::function<void(const Alert&)> changed);

    // As Alerts::raise() and resolve(), for a source. Beyond kMost standing ones the log alone
    // hears of it. [any]
    void raise(std::string_view source, std::string_view key, Severity severity,
               std::string_view text) noexcept;
    void resolve(std::string_view source, std::string_view key) noexcept;
    void resolve_all(std::string_view source) noexcept;

    std::vector<Alert> all() const;  // the latest first [any]

private:
    using Key = std::pair<std::string, std::string>;  // source, key
    void end(std::map<Key, Alert>::iterator place);

    Log& log_;
    const std::function<std::int64_t()> clock_ms_;
    const std::function<void(const Alert&)> changed_;
    mutable std::mutex mutex_;  // guards all below
    std::uint64_t next_id_ = 1;
    std::map<Key, Alert> standing_;
    std::deque<Alert> over_;  // the latest at the back
};

// The Alerts of one source. The board outlives it.
class OwnedAlerts final : public Alerts {
public:
    OwnedAlerts(AlertBoard& board, std::string source)
        : board_(board), source_(std::move(source)) {}
    void raise(std::string_view key, Severity severity, std::string_view text) noexcept override {
        board_.raise(source_, key, severity, text);
    }
    void resolve(std::string_view key) noexcept override { board_.resolve(source_, key); }
    void resolve_all() noexcept { board_.resolve_all(source_); }

private:
    AlertBoard& board_;
    const std::string source_;
};

}  // namespace larder::observe
