// The programs plugin's life: settings in, programs and executions recovered, the sandbox probed,
// routes declared. What programs are is programs_store.hpp's, how they run runner.hpp's.
#pragma once

#include <memory>

#include "execution_records.hpp"
#include "execution_routes.hpp"
#include "larder/cleanup.hpp"
#include "larder/plugin.hpp"
#include "larder/progress.hpp"
#include "larder/snapshot.hpp"
#include "larder/usage.hpp"
#include "larder/warming.hpp"
#include "programs_routes.hpp"
#include "programs_store.hpp"
#include "programs_uploads.hpp"
#include "runner.hpp"
#include "sandbox.hpp"
#include "schedules.hpp"

namespace larder::programs {

class ProgramsPlugin final : public Plugin,
                             public Reloadable,
                             public Usage,
                             public Cleanable,
                             public Progress,
                             public Snapshotable,
                             public WarmSource {
public:
    explicit ProgramsPlugin(Host& host) : host_(host) {}

    void configure(const Settings& settings) override;
    void start(Routes& routes) override;
    void drain() noexcept override;
    void stop() noexcept override;
    void* extension(std::string_view id) noexcept override;

    void reload(const Settings& now) override;

    void measure(UsageSink& sink) override;

    void clean(const CleanupRequest& request, CleanupSink& sink) override;

    void tell(ProgressSink& sink) override;

    // The records of the programs that were run or uploaded last.
    void give(std::string_view what, std::size_t most, WarmSink& sink) override;

    void hold(bool on) noexcept override;
    std::unique_ptr<Moment> pin() override;
    void adopt(std::string_view previous) override;

private:
    Host& host_;
    std::unique_ptr<ProgramStore> store_;
    std::unique_ptr<ExecutionRecords> records_;
    std::unique_ptr<Sandbox> sandbox_;
    std::unique_ptr<Runner> runner_;
    std::unique_ptr<Schedules> schedules_;
    std::unique_ptr<Ticket> retention_, checkpoint_;
    std::unique_ptr<UploadRoutes> upload_routes_;
    std::unique_ptr<ProgramRoutes> program_routes_;
    std::unique_ptr<ExecutionRoutes> execution_routes_;
};

}  // namespace larder::programs
