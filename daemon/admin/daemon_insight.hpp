// The daemon's service larder.insight/1: its counts of requests and its own standing, put together
// from where they are. Not the counting: that is observe's.
#pragma once

#include <functional>
#include <string>

#include "http/http.hpp"
#include "larder/insight.hpp"
#include "observe/alert_board.hpp"
#include "observe/http_metrics.hpp"
#include "observe/request_samples.hpp"
#include "plugin_host/supervisor.hpp"

namespace larder::admin {

// All of it outlives the service.
struct InsightSources {
    const observe::HttpMetrics& requests;
    observe::RequestSamples& samples;
    http::Server& server;
    const plugin_host::Supervisor& plugins;
    const observe::AlertBoard& alerts;
    std::string data_directory;
    std::string version;
    std::int64_t started_ms;
};

class DaemonInsight final : public Insight {
public:
    explicit DaemonInsight(InsightSources sources) : sources_(std::move(sources)) {}

    void visit_requests(const std::function<void(const RequestSeries&)>& take) override;
    void sample_requests(std::uint32_t a_second) noexcept override {
        sources_.samples.set_rate(a_second);
    }
    void take_samples(const std::function<void(const RequestSample&)>& take) override {
        sources_.samples.take(take);
    }
    DaemonFacts facts() const override;
    void storage(UsageSink& sink) override;

private:
    const InsightSources sources_;
};

}  // namespace larder::admin
