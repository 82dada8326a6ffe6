// All that a plugin may ask of the daemon. Each plugin gets a Host of its own; it lives from
// create() to destroy(). Interfaces here grow only at the end, guarded by api_minor().
#pragma once

#include <chrono>
#include <cstdint>
#include <memory>
#include <string>
#include <string_view>

#include "larder/alerts.hpp"
#include "larder/events.hpp"
#include "larder/http.hpp"
#include "larder/maintenance.hpp"
#include "larder/scheduler.hpp"

namespace larder {

// One plugin's section of the configuration, already checked against its declared settings. A key
// that was not declared throws Error{internal}. [any]
class Settings {
public:
    virtual std::string text(std::string_view key) const = 0;
    virtual std::int64_t integer(std::string_view key) const = 0;
    virtual bool flag(std::string_view key) const = 0;
    virtual std::uint64_t bytes(std::string_view key) const = 0;
    virtual std::chrono::milliseconds duration(std::string_view key) const = 0;

protected:
    ~Settings() = default;
};

enum class Level : std::uint8_t { debug = 1, info, notice, warning, error };

// Lines carry the plugin's name; one line a call. [any]
class Log {
public:
    virtual void write(Level level, std::string_view message) noexcept = 0;

protected:
    ~Log() = default;
};

// The bounded pool that blocking handlers run on.
class Workers {
public:
    // False: the queue is full; nothing was taken. [any]
    [[nodiscard]] virtual bool post(Task task) = 0;

protected:
    ~Workers() = default;
};

// One plugin's offer to another, by "name/version". The lease keeps the provider from stopping.
class Services {
public:
    // `implementation` must live until stop(). Only inside start(). [control]
    virtual void offer(std::string_view id, void* implementation) = 0;
    // Null when nobody offers it. Let go of it in drain() at the latest. [any]
    virtual std::shared_ptr<void> lease(std::string_view id) = 0;

protected:
    ~Services() = default;
};

// ---- metrics: kept in memory and shown by GET /metrics. Objects live as long as the plugin's
// Host.

class Counter {
public:
    virtual void add(std::uint64_t n = 1) noexcept = 0;  // [any]

protected:
    ~Counter() = default;
};

class Gauge {
public:
    virtual void set(double value) noexcept = 0;  // [any]

protected:
    ~Gauge() = default;
};

class Histogram {
public:
    virtual void observe(double value) noexcept = 0;  // seconds or bytes, as its name says [any]

protected:
    ~Histogram() = default;
};

// Names follow Prometheus: `larder_kv_commits_total`, base units, lower case. `labels` is
// `name="value",…` or empty. Asking twice for the same name and labels gives the same object.
// Throws Error{internal} for a malformed name. Only inside start(). [control]
class Metrics {
public:
    virtual Counter& counter(std::string_view name, std::string_view help,
                             std::string_view labels = {}) = 0;
    virtual Gauge& gauge(std::string_view name, std::string_view help,
                         std::string_view labels = {}) = 0;
    // Bounds are upper limits in growing order; +Inf is added.
    virtual Histogram& histogram(std::string_view name, std::string_view help,
                                 std::span<const double> bounds, std::string_view labels = {}) = 0;

protected:
    ~Metrics() = default;
};

// How a plugin stands, for /readyz and /api/plugins.
enum class Health : std::uint8_t {
    ok = 1,
    degraded,   // serves, with something to say
    read_only,  // data can be read but not changed
};

class Host {
public:
    virtual std::uint16_t api_minor() const noexcept = 0;
    virtual const Settings& settings() const noexcept = 0;
    // The root of the data directory, absolute. A plugin touches only what its entry claims.
    virtual std::string_view data_directory() const noexcept = 0;
    virtual Log& log() noexcept = 0;
    virtual Workers& workers() noexcept = 0;
    virtual Services& services() noexcept = 0;
    virtual Metrics& metrics() noexcept = 0;
    // Replaces what was reported before; `reason` is for the admin. [any]
    virtual void report(Health health, std::string_view reason) noexcept = 0;
    virtual Scheduler& scheduler() noexcept = 0;
    virtual Events& events() noexcept = 0;
    virtual Alerts& alerts() noexcept = 0;
    virtual Errors& errors() noexcept = 0;
    virtual Audit& audit() noexcept = 0;
    virtual Maintenance& maintenance() noexcept = 0;

protected:
    ~Host() = default;
};

}  // namespace larder
