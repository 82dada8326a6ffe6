// What each route was asked and how it answered: counts by status, durations, bytes. Not a history
// and not the access log.
//
// Every reactor counts in cells of its own, which it alone writes, so a record costs a few plain
// adds. A scrape adds the cells up; it may see a request's count before its duration, never a torn
// number.
#pragma once

#include <chrono>
#include <cstdint>
#include <functional>
#include <map>
#include <memory>
#include <mutex>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "larder/insight.hpp"
#include "observe/exposition.hpp"

namespace larder::observe {

// One route and method. Kept for ever by its name, so that counts survive a plugin's restart.
class RouteSeries;

std::string_view route_of(const RouteSeries& series) noexcept;   // [any]
std::string_view method_of(const RouteSeries& series) noexcept;  // [any]

class HttpMetrics {
public:
    explicit HttpMetrics(std::size_t reactors);
    ~HttpMetrics();
    HttpMetrics(const HttpMetrics&) = delete;
    HttpMetrics& operator=(const HttpMetrics&) = delete;

    // By the route's template ("/api/kv/{bucket}/{key}") and the method ("GET"); the same pair
    // gives the same object, which lives as long as this one. Never name it by what a client sent:
    // each name is memory for good. [any]
    RouteSeries& series(std::string_view route_template, std::string_view method);

    // `reactor` is below the number given; each is used by one thread at a time. A status that is
    // not 100 to 599 (nothing was answered) counts as 0. [io]
    void record(RouteSeries& series, std::size_t reactor, int status,
                std::chrono::nanoseconds duration, std::uint64_t bytes_in,
                std::uint64_t bytes_out) noexcept;

    // Families larder_http_requests_total{route,method,status},
    // larder_http_request_duration_seconds, larder_http_request_bytes_total and
    // larder_http_response_bytes_total {route,method}: for MetricsOwner::collect(). Series that
    // were never asked are left out. [any]
    void collect(Exposition& page) const;

    // Likewise, for Insight::visit_requests(). [any]
    void visit(const std::function<void(const RequestSeries&)>& take) const;

private:
    const std::size_t reactors_;
    mutable std::mutex mutex_;
    std::map<std::pair<std::string, std::string>, std::unique_ptr<RouteSeries>> series_;
};

}  // namespace larder::observe
