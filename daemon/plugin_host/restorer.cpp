#include "plugin_host/restorer.hpp"

#include <fmt/format.h>

#include <algorithm>

#include "larder/time.hpp"
#include "plugin_host/claims.hpp"

namespace larder::plugin_host {
namespace {

std::string plain(std::string path) {
    if (path.ends_with('/')) path.pop_back();
    return path;
}

// Shows what it restores as being restored, to the end of a scope.
class Marked {
public:
    explicit Marked(const std::vector<std::atomic<bool>*>& marks) : marks_(marks) {
        for (auto* const mark : marks_) *mark = true;
    }
    ~Marked() {
        for (auto* const mark : marks_) *mark = false;
    }
    Marked(const Marked&) = delete;
    Marked& operator=(const Marked&) = delete;

private:
    const std::vector<std::atomic<bool>*> marks_;
};

}  // namespace

Restorer::Entries Restorer::owners_of(const std::vector<std::string>& paths) const {
    Entries owners;
    for (const auto& entry : plugins_.plugins_) {
        const Library& library = entry->life->library();
        if (!library.is_taken()) continue;
        const bool concerned = std::any_of(paths.begin(), paths.end(),
                                           [&](const auto& path) { return claims(library, path); });
        if (concerned) owners.push_back(entry.get());
    }
    return owners;
}

void Restorer::judge(const std::string& caller, const std::vector<SwapItem>& plan) const {
    if (plan.empty()) throw Error(Errc::unprocessable, "invalid-plan", "there is nothing to swap");
    for (const SwapItem& item : plan) {
        if (const OwnFile* const file = own_.find(plain(item.path))) {
            judge_own(*file, item);
            continue;
        }
        const Entries owners = owners_of({plain(item.path)});
        if (!is_inner_path(plain(item.path)) || owners.size() != 1) {
            throw Error(Errc::unprocessable, "invalid-plan",
                        fmt::format("{} is the data of no plugin, or of several", item.path));
        }
        const Lifecycle& owner = *owners.front()->life;
        if (owner.name() == caller) {
            throw Error(
                Errc::unprocessable, "invalid-plan",
                fmt::format("{} is {}'s own, which cannot be stopped for it", item.path, caller));
        }
        if (owner.is_alive()) continue;
        throw Error(Errc::conflict, "plugin-disabled",
                    fmt::format("plugin {} does not run, so that it cannot take over {}; turn it "
                                "on first",
                                owner.name(), item.path));
    }
}

// Looked at before anything is touched: a daemon that cannot read its own could not start again.
void Restorer::judge_own(const OwnFile& file, const SwapItem& item) const {
    const std::string staged = fmt::format("{}/{}", directory_, item.staged);
    if (!is_inner_path(item.staged) || !files_.exists(staged)) {
        throw Error(
            Errc::unprocessable, "invalid-plan",
            fmt::format("nothing is staged for {}, and the daemon is never without it", item.path));
    }
    try {
        file.check(staged);
    } catch (const Error& error) {
        throw Error(Errc::unprocessable, "invalid-plan",
                    fmt::format("what is staged for {} cannot be read", item.path))
            .because(error.detail());
    }
}

void Restorer::settle(storage::FileSystem& files, const std::string& directory, Log& log) {
    auto swap = Swap::unfinished(files, directory);
    if (!swap) return;
    if (swap->state() == Swap::State::forward) swap->forward();
    if (swap->state() != Swap::State::back) return;
    swap->back();
    swap->finish();
    log.write(Level::warning, "a restore was cut short; what it replaced is in place again");
}

void Restorer::prepare() {
    unfinished_ = Swap::unfinished(files_, directory_);
    if (!unfinished_) return;
    for (Supervisor::Entry* const entry : owners_of(unfinished_->paths())) {
        entry->life->adopt_next(unfinished_->aside());
    }
}

void Restorer::conclude() {
    if (!unfinished_) return;
    const Entries owners = owners_of(unfinished_->paths());
    std::string off;
    bool failed = false;
    for (Supervisor::Entry* const entry : owners) {
        const State state = entry->life->standing().state;
        if (state == State::disabled) off = entry->life->name();
        failed = failed || state == State::failed;
    }
    if (failed) {
        OwnFiles::Restore own(own_, unfinished_->paths());
        put_back(*unfinished_, owners, own);
        log_.write(Level::error,
                   "a restore was cut short, and its plugins did not start with the "
                   "restored data; what it replaced is in place again");
    } else if (!off.empty()) {
        log_.write(Level::warning,
                   fmt::format("a restore was cut short; it is finished when the daemon starts "
                               "with plugin {} turned on",
                               off));
        return;
    } else {
        unfinished_->finish();
        log_.write(Level::notice, "a restore that was cut short is finished");
    }
    unfinished_.reset();
}

void Restorer::carry_out(const std::string& caller, const std::vector<SwapItem>& plan) {
    const std::unique_lock one_at_a_time(mutex_, std::try_to_lock);
    if (!one_at_a_time.owns_lock()) {
        throw Error(Errc::conflict, "swap-running", "another restore is under way");
    }
    judge(caller, plan);
    std::vector<std::string> paths;
    paths.reserve(plan.size());
    for (const SwapItem& item : plan) paths.push_back(plain(item.path));
    const Entries owners = owners_of(paths);
    std::vector<std::unique_lock<Turn>> walks;
    std::vector<std::atomic<bool>*> marks;
    walks.reserve(owners.size());
    marks.reserve(owners.size());
    for (Supervisor::Entry* const entry : owners) {
        walks.emplace_back(entry->walk);
        marks.push_back(&entry->restoring);
    }
    if (plugins_.stopping_) {
        throw Error(Errc::unavailable, "stopping", "the daemon is being stopped");
    }
    const Marked marked(marks);
    std::optional<Swap> swap;
    OwnFiles::Restore own(own_, paths);
    std::string fault;
    try {
        stop(owners);
        swap.emplace(files_, directory_, plan, unix_now_ms());
        swap->forward();
        own.take_over();
        fault = start(owners, swap->aside());
    } catch (const std::system_error& error) {
        fault = error.what();
    } catch (const Error& error) {
        if (!swap) {  // before anything was moved
            start(owners, {});
            throw;
        }
        fault = error.detail();
    }
    if (fault.empty()) return swap->finish();
    if (!swap) {
        start(owners, {});
        throw Error(Errc::io_failed, "storage-failed", "the disk failed: nothing was restored")
            .because(fault);
    }
    put_back(*swap, owners, own);
    throw Error(
        Errc::conflict, "restore-failed",
        fmt::format("nothing was restored, and what was there is in place again: {}", fault));
}

void Restorer::stop(const Entries& entries) {
    for (Supervisor::Entry* const entry : entries) {
        if (entry->life->is_alive()) plugins_.stop(*entry, "its data is being restored");
    }
}

// Why one did not start; empty where all did. `previous` is what they have to adopt, if anything.
std::string Restorer::start(const Entries& entries, const std::string& previous) {
    std::string fault;
    for (Supervisor::Entry* const entry : entries) {
        Lifecycle& life = *entry->life;
        if (life.is_alive() || life.standing().stuck) continue;
        life.adopt_next(previous);
        try {
            plugins_.start_with(*entry, plugins_.hooks_.configuration().section(life.name()));
        } catch (const Error& error) {
            fault = error.detail();
        }
    }
    return fault;
}

void Restorer::put_back(Swap& swap, const Entries& entries, OwnFiles::Restore& own) {
    try {
        stop(entries);
        swap.back();
        own.take_over();
        swap.finish();
    } catch (const std::system_error& error) {
        throw Error(Errc::io_failed, "storage-failed",
                    "the disk failed while what was replaced was put back; restart the daemon")
            .because(error.what());
    }
    start(entries, {});
}

}  // namespace larder::plugin_host
