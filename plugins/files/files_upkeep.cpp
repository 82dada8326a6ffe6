#include "files_upkeep.hpp"

#include <fmt/format.h>
#include <pthread.h>

#include <algorithm>

#include "files_tus_uploads.hpp"
#include "larder/time.hpp"

namespace larder::files {
namespace {

using Clock = std::chrono::steady_clock;

constexpr auto kStep = std::chrono::seconds(10);  // how far counts may be behind
constexpr auto kFoldInterval = std::chrono::minutes(10);
constexpr std::size_t kAtOnce = 1000;  // expired files looked up at a time

}  // namespace

Upkeep::Upkeep(Files& files, TusUploads& uploads) : files_(files), uploads_(uploads) {
    auto& scheduler = files.host().scheduler();
    const auto add = [&](std::string_view name, std::string_view when, auto method) {
        Job job;
        job.name = name;
        job.when = when;
        job.catch_up = true;
        job.run = [this, method](JobRun& run) { (this->*method)(run); };
        jobs_.push_back(scheduler.add(job));
    };
    add("expire", "every 60s", &Upkeep::expire);
    add("verify", "@weekly", &Upkeep::scrub);
    thread_ = std::thread([this] { keep_up(); });
}

Upkeep::~Upkeep() {
    jobs_.clear();
    {
        const std::scoped_lock lock(mutex_);
        ending_ = true;
    }
    wake_.notify_all();
    thread_.join();
}

void Upkeep::keep_up() {
    pthread_setname_np(pthread_self(), "larder-files-up");
    uploads_.complete_interrupted();
    Clock::time_point records_folded = Clock::now(), uploads_folded = records_folded;
    std::unique_lock lock(mutex_);
    while (!wake_.wait_for(lock, kStep, [this] { return ending_; })) {
        lock.unlock();
        files_.catalog().write_counts();
        fold(files_.catalog().store(), records_folded);
        fold(uploads_.store(), uploads_folded);
        lock.lock();
    }
}

void Upkeep::fold(storage::DocumentStore& store, Clock::time_point& folded) {
    const auto now = Clock::now();
    if (store.journal_bytes() == 0 || store.state() == storage::StoreState::read_only) return;
    // On a full disk the only changes are removals, and only a checkpoint makes room of them.
    const bool due = store.wants_checkpoint() || now - folded >= kFoldInterval ||
                     store.state() == storage::StoreState::full;
    if (!due) return;
    folded = now;
    try {
        store.checkpoint();
    } catch (const Error& error) {
        files_.host().log().write(
            Level::warning,
            fmt::format("checkpoint of the records: {}; their journal goes on", error.what()));
    }
}

void Upkeep::expire(JobRun& run) {
    uploads_.expire();
    for (;;) {
        const std::int64_t now = unix_now_ms();
        const auto due = files_.catalog().due(now, kAtOnce);
        for (const EntryPtr& entry : due) {
            if (run.cancel().cancelled()) return;
            try {
                files_.remove(entry->record.filename, [now](const Record& record) {
                    if (!is_live(record, now)) return;
                    throw Error(Errc::conflict, "not-expired", "the file was given more time");
                });
            } catch (const Error& error) {
                const bool lives_on =
                    error.code() == Errc::conflict || error.code() == Errc::not_found;
                if (!lives_on) throw;
            }
        }
        if (due.size() < kAtOnce) return;
    }
}

// Reads everything again, no faster than files.scrub_rate, so that downloads hardly notice.
void Upkeep::scrub(JobRun& run) {
    const auto began = Clock::now();
    std::uint64_t read = 0;
    const auto pace = [&](std::uint64_t bytes) {
        read += bytes;
        const std::uint64_t rate = files_.scrub_rate();
        if (rate > 0) {
            const auto due =
                began + std::chrono::duration_cast<Clock::duration>(std::chrono::duration<double>(
                            static_cast<double>(read) / static_cast<double>(rate)));
            std::unique_lock lock(mutex_);
            // In short steps: a job that is cancelled must end soon.
            while (!ending_ && !run.cancel().cancelled() && Clock::now() < due) {
                wake_.wait_until(lock,
                                 std::min(due, Clock::now() + std::chrono::milliseconds(200)));
            }
        }
        return !run.cancel().cancelled();
    };
    std::size_t bad = 0, seen = 0;
    for (const EntryPtr& entry : files_.catalog().all()) {
        if (run.cancel().cancelled()) return;
        const Integrity found = files_.verify(entry, pace);
        ++seen;
        if (found == Integrity::damaged || found == Integrity::missing) ++bad;
    }
    files_.host().log().write(
        Level::info,
        fmt::format("{} files were verified: {} are not as they were stored", seen, bad));
}

}  // namespace larder::files
