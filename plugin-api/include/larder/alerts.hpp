// What an admin should hear of: alerts (something is wrong now), errors (something went wrong
// once), and the audit (who changed what). The daemon keeps the latest of each in memory; a plugin
// that offers a sink as a service stores them. Not the log, which is for reading along.
//
// Structs begin with their size and grow only at their ends, as facts do (events.hpp). All texts
// are UTF-8, copied before the call returns, and cut to 64 KiB.
#pragma once

#include <cstdint>
#include <string_view>

namespace larder {

enum class Severity : std::uint8_t { info = 1, warning, error, critical };

// "info" "warning" "error" "critical". [any]
constexpr std::string_view severity_word(Severity severity) noexcept {
    switch (severity) {
        case Severity::info: return "info";
        case Severity::warning: return "warning";
        case Severity::error: return "error";
        case Severity::critical: return "critical";
    }
    return "unknown";
}

class Alerts {
public:
    // `key` names the trouble, not its circumstances: "quota", "redis-away". Raising one that
    // stands already counts it, and replaces severity and text. [any]
    virtual void raise(std::string_view key, Severity severity, std::string_view text) noexcept = 0;
    // The trouble is over. Of what does not stand: no effect. What still stands when the plugin
    // stops is resolved. [any]
    virtual void resolve(std::string_view key) noexcept = 0;

protected:
    ~Alerts() = default;
};

struct ErrorReport {
    std::uint32_t size = sizeof(ErrorReport);
    Severity severity = Severity::error;
    std::string_view message;
    std::string_view category;     // "storage", "http"; free
    std::string_view stack_trace;  // or empty, as all below
    std::string_view endpoint, method, request_id, user_id;
    std::string_view request_data, context;  // JSON
    std::string_view source = {};            // the plugin; filled in by the host
    std::int64_t time_ms = 0;                // Unix; 0: now
};

class Errors {
public:
    // Never refused; without a sink the latest thousand are kept for one. [any]
    virtual void report(const ErrorReport& report) noexcept = 0;

protected:
    ~Errors() = default;
};

struct AuditRecord {
    std::uint32_t size = sizeof(AuditRecord);
    std::string_view actor;    // who: a principal; "" is the daemon itself
    std::string_view action;   // did what: "job.run"
    std::string_view target;   // to what
    std::string_view outcome;  // "ok", or the slug of the refusal
    std::string_view ip_address, request_id;
    std::string_view details;      // JSON object, or empty
    std::string_view source = {};  // the plugin; filled in by the host
    std::int64_t time_ms = 0;      // Unix; 0: now
};

class Audit {
public:
    // Before the action, where it may be refused. Throws what the sink throws, Error{unavailable,
    // "audit-refused"} for instance: then the action must not happen. Without a sink nothing is
    // refused, and the latest thousand are kept for one. [worker, control]
    virtual void record(const AuditRecord& record) = 0;

protected:
    ~Audit() = default;
};

// ---- sinks: what a plugin offers through Services to store the above

inline constexpr std::string_view kErrorSink = "larder.error-sink/1";
inline constexpr std::string_view kAuditSink = "larder.audit-sink/1";

class ErrorSink {
public:
    // Must not wait: it may be an I/O thread that reports. [any]
    virtual void take(const ErrorReport& report) noexcept = 0;

protected:
    ~ErrorSink() = default;
};

class AuditSink {
public:
    // Throws Error to refuse what is to be recorded. [worker, control]
    virtual void take(const AuditRecord& record) = 0;

protected:
    ~AuditSink() = default;
};

}  // namespace larder
