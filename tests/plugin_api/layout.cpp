// Every type that crosses the line between daemon and plugin, in one library with debug
// information, so that their layouts can be compared with the recorded ones. It is never run.
#include "larder/abi.hpp"
#include "larder/cleanup.hpp"
#include "larder/error.hpp"
#include "larder/export.hpp"
#include "larder/host.hpp"
#include "larder/http.hpp"
#include "larder/insight.hpp"
#include "larder/plugin.hpp"
#include "larder/progress.hpp"
#include "larder/rate_limit.hpp"
#include "larder/usage.hpp"
#include "larder/warming.hpp"

extern "C" __attribute__((visibility("default"))) void larder_contract_layout(
    const larder::AbiStamp&, larder::Plugin&, const larder::PluginEntry&, larder::Host&,
    const larder::Request&, larder::Reply&, larder::PendingReply&, larder::Response&,
    larder::EventStream&, larder::StreamHead&, larder::Upload&, larder::Routes&, larder::Task&,
    const larder::Error&, larder::Cancel&, const larder::Job&, larder::JobRun&,
    const larder::EventBatch&, const larder::RequestEnded&, const larder::FileStored&,
    const larder::ProgramRan&, const larder::PluginChanged&, const larder::AlertChanged&,
    const larder::ErrorReport&, const larder::AuditRecord&, larder::ErrorSink&, larder::AuditSink&,
    larder::Usage&, larder::UsageSink&, larder::Progress&, larder::ProgressSink&,
    larder::Snapshotable&, larder::SnapshotSink&, larder::Moment&, larder::Snapshot&,
    larder::Maintenance&, const larder::SwapItem&, const larder::CleanupRequest&,
    larder::CleanupSink&, larder::Cleanable&, larder::Insight&, const larder::RequestSeries&,
    const larder::RequestSample&, const larder::DaemonFacts&, larder::RateLimiter&,
    larder::WarmSource&, larder::WarmSink&) {}
