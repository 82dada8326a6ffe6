// A plugin that has jobs done, hears of requests, raises alerts, stores the audit and reports its
// usage; all of it can be seen and moved by its routes. For tests alone.
#include <array>
#include <atomic>
#include <chrono>
#include <map>
#include <memory>
#include <mutex>
#include <string>
#include <thread>
#include <vector>

#include "larder/cleanup.hpp"
#include "larder/export.hpp"
#include "larder/usage.hpp"

namespace {

using namespace larder;

class Shelf final : public Plugin,
                    public AuditSink,
                    public ErrorSink,
                    public Usage,
                    public Cleanable,
                    public Snapshotable {
public:
    explicit Shelf(Host& host) : host_(host) {}

    void configure(const Settings& /*settings*/) override {}

    void start(Routes& routes) override {
        Scheduler& scheduler = host_.scheduler();
        tickets_.push_back(
            scheduler.add({"tidy", "daily 02:00", true, {}, [this](JobRun&) { ++tidied_; }}));
        tickets_.push_back(scheduler.add({"broken", "every 1h", false, {}, [](JobRun&) {
                                              throw Error(Errc::io_failed, "no-shelf", "no shelf");
                                          }}));
        tickets_.push_back(scheduler.add({"patient", "every 1h", false, {}, [](JobRun& run) {
                                              while (!run.cancel().cancelled()) {
                                                  std::this_thread::sleep_for(
                                                      std::chrono::milliseconds(1));
                                              }
                                          }}));
        if (host_.settings().flag("fail")) throw Error(Errc::internal, "told-to", "it was told to");
        tickets_.push_back(host_.events().subscribe(
            event_bit(EventKind::request_ended) | event_bit(EventKind::plugin_changed) |
                event_bit(EventKind::alert_changed),
            [this](const EventBatch& batch) { take(batch); }));
        host_.services().offer(kAuditSink, static_cast<AuditSink*>(this));
        host_.services().offer(kErrorSink, static_cast<ErrorSink*>(this));
        const auto route = [](Method method, std::string_view pattern, std::string_view queries) {
            return Route{method, pattern, Permission::write, "for tests", queries,
                         "",     "",      1U << 20U,         ""};
        };
        routes.blocking(route(Method::get, "/api/shelf/seen", "what"), [this](const Request& ask) {
            const std::scoped_lock lock(mutex_);
            return text(seen_[std::string(ask.query("what").value_or(""))]);
        });
        routes.blocking(route(Method::get, "/api/shelf/tidied", ""),
                        [this](const Request&) { return text(std::to_string(tidied_)); });
        routes.blocking(route(Method::post, "/api/shelf/alert", "text"),
                        [this](const Request& ask) {
                            host_.alerts().raise("dust", Severity::warning, *ask.query("text"));
                            return text("");
                        });
        routes.blocking(route(Method::del, "/api/shelf/alert", ""), [this](const Request&) {
            host_.alerts().resolve("dust");
            return text("");
        });
        routes.blocking(route(Method::post, "/api/shelf/stiff", ""), [this](const Request&) {
            stiff_ = true;
            return text("");
        });
        routes.blocking(route(Method::post, "/api/shelf/break", ""),
                        [](const Request&) -> Response { throw std::runtime_error("dropped"); });
        routes.blocking(route(Method::post, "/api/shelf/refuse", ""), [this](const Request&) {
            refuses_ = true;
            return text("");
        });
    }

    void drain() noexcept override {}
    void stop() noexcept override { tickets_.clear(); }

    void* extension(std::string_view id) noexcept override {
        if (id == kUsage) return static_cast<Usage*>(this);
        if (id == kCleanable) return static_cast<Cleanable*>(this);
        if (id == kSnapshotable) return static_cast<Snapshotable*>(this);
        return nullptr;
    }

    void hold(bool on) noexcept override {
        if (on && stiff_.exchange(false)) {
            std::this_thread::sleep_for(std::chrono::milliseconds(500));
        }
    }
    std::unique_ptr<Moment> pin() override {
        class Nothing final : public Moment {
            void write(SnapshotSink& sink) override { sink.add_bytes("shelf/pinned", "yes"); }
        };
        return std::make_unique<Nothing>();
    }
    void adopt(std::string_view /*previous*/) override {}

    void measure(UsageSink& sink) override {
        sink.section("shelf_store");
        sink.count("size", 42);
        sink.percent("quota_used", 12.5);
    }

    void clean(const CleanupRequest& request, CleanupSink& sink) override {
        if (request.older_than_days < 0 || !dusty_) return;
        sink.removed("dust", "dust.txt", 7);
        sink.removed("dust", "more dust.txt", 30);
        if (!request.dry_run) dusty_ = false;
        if (request.older_than_days == 0) throw Error(Errc::io_failed, "no-broom", "no broom");
    }

    void take(const AuditRecord& record) override {
        if (refuses_) throw Error(Errc::unavailable, "audit-refused", "the audit cannot be kept");
        note("audit", std::string(record.action) + " " + std::string(record.target));
    }

    void take(const ErrorReport& report) noexcept override {
        note("errors", std::string(report.source) + " " + std::string(report.category) + " " +
                           std::string(report.endpoint) + " " + std::string(report.message));
    }

private:
    static Response text(std::string body) {
        Response response;
        response.headers.emplace_back("Content-Type", "text/plain");
        response.body = std::move(body);
        return response;
    }
    void note(const std::string& what, const std::string& line) {
        const std::scoped_lock lock(mutex_);
        seen_[what] += line + "\n";
    }
    void take(const EventBatch& batch) {
        for (const Event* const event : batch.events) {
            if (const auto* ended = event_as<RequestEnded>(*event)) {
                note("requests", std::string(ended->plugin) + " " + std::string(ended->method) +
                                     " " + std::string(ended->route) + " " +
                                     std::to_string(ended->status) + " " +
                                     std::string(ended->request_id));
            } else if (const auto* changed = event_as<PluginChanged>(*event)) {
                note("plugins", std::string(changed->plugin) + " " + std::string(changed->state));
            } else if (const auto* alert = event_as<AlertChanged>(*event)) {
                note("alerts", std::string(alert->source) + " " + std::string(alert->key) +
                                   (alert->raised ? " raised" : " resolved"));
            }
        }
    }

    Host& host_;
    std::atomic<int> tidied_{0};
    std::atomic<bool> refuses_{false}, stiff_{false}, dusty_{true};
    std::mutex mutex_;
    std::map<std::string, std::string> seen_;  // guarded by mutex_
    std::vector<std::unique_ptr<Ticket>> tickets_;
};

constinit const std::array<Setting, 1> kSettings = {
    {{"fail", "flag", "false", nullptr, nullptr, "Fail half-way through the start.", false,
      false}}};

constinit const PluginEntry kEntry = {
    "shelf",
    "1",
    "uses what the host offers",
    "/api/shelf",
    "shelf/",
    kSettings.data(),
    kSettings.size(),
    [](Host& host) -> Plugin* { return new Shelf(host); },
    [](Plugin* plugin) noexcept { delete static_cast<Shelf*>(plugin); },
};

}  // namespace

LARDER_PLUGIN(kEntry)
