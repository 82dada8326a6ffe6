// The kv plugin's life: settings in, buckets opened, routes declared. The HTTP side is
// kv_routes.hpp, the buckets are kv_buckets.hpp.
#pragma once

#include <memory>

#include "kv_buckets.hpp"
#include "kv_routes.hpp"
#include "kv_watch.hpp"
#include "kv_writes.hpp"
#include "larder/plugin.hpp"
#include "larder/progress.hpp"
#include "larder/snapshot.hpp"
#include "larder/usage.hpp"
#include "larder/warming.hpp"

namespace larder::kv {

class KvPlugin final : public Plugin,
                       public Usage,
                       public Progress,
                       public Snapshotable,
                       public WarmSource {
public:
    explicit KvPlugin(Host& host) : host_(host) {}

    void configure(const Settings& settings) override;
    void start(Routes& routes) override;
    void drain() noexcept override;
    void stop() noexcept override;
    void* extension(std::string_view id) noexcept override;

    void measure(UsageSink& sink) override;

    void tell(ProgressSink& sink) override;

    // A bucket that is readable and small enough to be cached.
    void give(std::string_view what, std::size_t most, WarmSink& sink) override;

    void hold(bool on) noexcept override;
    std::unique_ptr<Moment> pin() override;
    void adopt(std::string_view previous) override;

private:
    Host& host_;
    std::unique_ptr<Buckets> buckets_;
    std::unique_ptr<Watches> watches_;
    std::unique_ptr<KvRoutes> routes_;
    std::unique_ptr<KvWrites> writes_;
};

}  // namespace larder::kv
