#include "observe/report_desk.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <array>
#include <cstring>
#include <new>
#include <utility>

#include "larder/error.hpp"

namespace larder::observe {
namespace {

constexpr std::size_t kLongestText = 64U << 10U;

std::array<std::string_view*, 10> texts_of(ErrorReport& report) {
    return {&report.message, &report.category,   &report.stack_trace, &report.endpoint,
            &report.method,  &report.request_id, &report.user_id,     &report.request_data,
            &report.context, &report.source};
}
std::array<std::string_view*, 8> texts_of(AuditRecord& record) {
    return {&record.actor,      &record.action,     &record.target,  &record.outcome,
            &record.ip_address, &record.request_id, &record.details, &record.source};
}

// What an older plugin gave, at full size and with what the host adds. Its texts are the caller's.
template <class Report>
Report completed(const Report& given, std::string_view source, std::int64_t now) {
    Report report;
    std::memcpy(static_cast<void*>(&report), &given,
                std::min<std::size_t>(given.size, sizeof(Report)));
    report.size = sizeof(Report);
    report.source = source;
    if (report.time_ms == 0) report.time_ms = now;
    for (std::string_view* const text : texts_of(report)) *text = text->substr(0, kLongestText);
    return report;
}

}  // namespace

template <class Report> class KeptReport {
public:
    explicit KeptReport(const Report& given) : report_(given) {
        for (const std::string_view* const text : texts_of(report_)) texts_.append(*text);
        std::size_t at = 0;
        for (std::string_view* const text : texts_of(report_)) {
            *text = std::string_view(texts_).substr(at, text->size());
            at += text->size();
        }
    }
    KeptReport(const KeptReport&) = delete;
    KeptReport& operator=(const KeptReport&) = delete;
    const Report& get() const noexcept { return report_; }

private:
    std::string texts_;
    Report report_;  // looks into texts_
};

ReportDesk::ReportDesk(Log& log, std::function<std::shared_ptr<void>(std::string_view)> lease,
                       std::function<std::int64_t()> clock_ms)
    : log_(log), lease_(std::move(lease)), clock_ms_(std::move(clock_ms)) {}

ReportDesk::~ReportDesk() = default;

void ReportDesk::report(std::string_view source, const ErrorReport& given) noexcept {
    try {
        const ErrorReport report = completed(given, source, clock_ms_());
        const auto sink = lease_(kErrorSink);
        if (sink) return static_cast<ErrorSink*>(sink.get())->take(report);
        const std::scoped_lock lock(mutex_);
        errors_.push_back(std::make_unique<KeptReport<ErrorReport>>(report));
        if (errors_.size() <= kMost) return;
        errors_.pop_front();
        ++lost_errors_;
    } catch (const std::bad_alloc&) {
        log_.write(Level::error, "an error report was lost for lack of memory");
    }
}

void ReportDesk::record(std::string_view source, const AuditRecord& given) {
    const AuditRecord record = completed(given, source, clock_ms_());
    hand_over();
    const auto sink = lease_(kAuditSink);
    if (sink) return static_cast<AuditSink*>(sink.get())->take(record);
    const std::scoped_lock lock(mutex_);
    records_.push_back(std::make_unique<KeptReport<AuditRecord>>(record));
    if (records_.size() <= kMost) return;
    records_.pop_front();
    ++lost_records_;
}

void ReportDesk::hand_over() {
    const std::scoped_lock one_at_a_time(handing_over_);
    hand_over_errors();
    const auto sink = lease_(kAuditSink);
    while (sink) {
        std::unique_ptr<KeptReport<AuditRecord>> record;
        std::uint64_t lost = 0;
        {
            const std::scoped_lock lock(mutex_);
            lost = std::exchange(lost_records_, 0);
            if (records_.empty()) break;
            record = std::move(records_.front());
            records_.pop_front();
        }
        if (lost > 0) {
            log_.write(Level::warning, fmt::format("{} audit records were lost: nothing that "
                                                   "stores them was running",
                                                   lost));
        }
        try {
            static_cast<AuditSink*>(sink.get())->take(record->get());
        } catch (const Error& error) {
            const std::scoped_lock lock(mutex_);
            records_.push_front(std::move(record));
            log_.write(Level::warning,
                       fmt::format("audit records wait to be stored: {}", error.what()));
            return;
        }
    }
}

void ReportDesk::hand_over_errors() {
    const auto sink = lease_(kErrorSink);
    if (!sink) return;
    std::deque<std::unique_ptr<KeptReport<ErrorReport>>> errors;
    std::uint64_t lost = 0;
    {
        const std::scoped_lock lock(mutex_);
        errors.swap(errors_);
        lost = std::exchange(lost_errors_, 0);
    }
    for (const auto& error : errors) static_cast<ErrorSink*>(sink.get())->take(error->get());
    if (lost == 0) return;
    log_.write(Level::warning, fmt::format("{} error reports were lost: nothing that stores them "
                                           "was running",
                                           lost));
}

std::size_t ReportDesk::kept_errors() const {
    const std::scoped_lock lock(mutex_);
    return errors_.size();
}

std::size_t ReportDesk::kept_records() const {
    const std::scoped_lock lock(mutex_);
    return records_.size();
}

}  // namespace larder::observe
