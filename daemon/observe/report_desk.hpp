// Where errors and audit records of daemon and plugins go: to the sink that a plugin offers, or,
// while there is none, into a short memory that the sink gets when it comes. Not their store.
#pragma once

#include <cstdint>
#include <deque>
#include <functional>
#include <memory>
#include <mutex>
#include <string>
#include <string_view>
#include <vector>

#include "larder/alerts.hpp"
#include "larder/host.hpp"

namespace larder::observe {

// One kind of report, ErrorReport or AuditRecord, kept with its texts.
template <class Report> class KeptReport;

class ReportDesk {
public:
    static constexpr std::size_t kMost = 1000;  // of either kind

    // `lease` is Services::lease() or the like.
    ReportDesk(Log& log, std::function<std::shared_ptr<void>(std::string_view id)> lease,
               std::function<std::int64_t()> clock_ms);
    ~ReportDesk();
    ReportDesk(const ReportDesk&) = delete;
    ReportDesk& operator=(const ReportDesk&) = delete;

    void report(std::string_view source, const ErrorReport& report) noexcept;  // [any]
    // Throws what the sink throws. [worker, control]
    void record(std::string_view source, const AuditRecord& record);
    // Gives the sinks that have come what was kept for them. What an audit sink refuses stays.
    // [worker, control]
    void hand_over();

    std::size_t kept_errors() const;  // [any]
    std::size_t kept_records() const;

private:
    void hand_over_errors();

    Log& log_;
    const std::function<std::shared_ptr<void>(std::string_view)> lease_;
    const std::function<std::int64_t()> clock_ms_;
    mutable std::mutex mutex_;  // guards all below
    std::deque<std::unique_ptr<KeptReport<ErrorReport>>> errors_;
    std::deque<std::unique_ptr<KeptReport<AuditRecord>>> records_;
    std::uint64_t lost_errors_ = 0, lost_records_ = 0;
    std::mutex handing_over_;  // one at a time, so that order is kept
};

// The Errors and Audit of one source. The desk outlives it.
class OwnedReports final : public Errors, public Audit {
public:
    OwnedReports(ReportDesk& desk, std::string source) : desk_(desk), source_(std::move(source)) {}
    void report(const ErrorReport& report) noexcept override { desk_.report(source_, report); }
    void record(const AuditRecord& record) override { desk_.record(source_, record); }

private:
    ReportDesk& desk_;
    const std::string source_;
};

}  // namespace larder::observe
