#include "plugin_host/snapshots.hpp"

#include <fmt/format.h>

#include <condition_variable>
#include <mutex>
#include <thread>
#include <utility>

#include "larder/error.hpp"

namespace larder::plugin_host {
namespace {

using Clock = std::chrono::steady_clock;

struct Part {
    LeasedPower plugin;
    std::unique_ptr<Moment> moment;
};

class TakenSnapshot final : public Snapshot {
public:
    TakenSnapshot(std::vector<Part> parts, std::chrono::microseconds pause)
        : parts_(std::move(parts)), pause_(pause) {}
    std::size_t size() const noexcept override { return parts_.size(); }
    std::string_view plugin(std::size_t index) const noexcept override {
        return parts_[index].plugin.plugin;
    }
    Moment& moment(std::size_t index) noexcept override { return *parts_[index].moment; }
    std::chrono::microseconds pause() const noexcept override { return pause_; }

private:
    std::vector<Part> parts_;  // the moment goes before the pass that keeps its plugin
    const std::chrono::microseconds pause_;
};

// Every plugin is held by a thread of its own, so that one that does not come to rest keeps nobody
// waiting: that thread lets go of it whenever its hold() does return.
struct Meeting {
    std::mutex mutex;
    std::condition_variable changed;
    std::vector<Part> parts;          // each touched by its own thread, until that is over
    std::vector<std::string> faults;  // guarded by mutex, as all below
    std::vector<bool> held, over;
    std::size_t held_count = 0, pinned_count = 0, over_count = 0;
    bool pin = false, release = false;

    void attend(std::size_t index) {
        auto& power = *static_cast<Snapshotable*>(parts[index].plugin.power);
        power.hold(true);
        std::unique_lock lock(mutex);
        held[index] = true;
        ++held_count;
        changed.notify_all();
        changed.wait(lock, [this] { return pin || release; });
        if (!release) {
            lock.unlock();
            std::string fault;
            try {
                parts[index].moment = power.pin();
                if (!parts[index].moment) fault = "its pin() returned nothing";
            } catch (const std::exception& error) {
                fault = error.what();
            } catch (...) {
                fault = "its pin() threw what is no std::exception";
            }
            lock.lock();
            if (!fault.empty()) faults.push_back(parts[index].plugin.plugin + ": " + fault);
            ++pinned_count;
            changed.notify_all();
            changed.wait(lock, [this] { return release; });
        }
        lock.unlock();
        power.hold(false);
        lock.lock();
        over[index] = true;
        ++over_count;
        changed.notify_all();
    }
};

}  // namespace

std::unique_ptr<Snapshot> take_snapshot(std::vector<LeasedPower> plugins,
                                        std::chrono::milliseconds limit) {
    const auto meeting = std::make_shared<Meeting>();
    for (LeasedPower& plugin : plugins) meeting->parts.push_back({std::move(plugin), nullptr});
    const std::size_t all = meeting->parts.size();
    meeting->held.resize(all);
    meeting->over.resize(all);
    const auto began = Clock::now();
    for (std::size_t i = 0; i < all; ++i) {
        std::thread([meeting, i] { meeting->attend(i); }).detach();
    }
    std::unique_lock lock(meeting->mutex);
    auto& changed = meeting->changed;
    bool in_time =
        changed.wait_until(lock, began + limit, [&] { return meeting->held_count == all; });
    if (!in_time) {
        for (std::size_t i = 0; i < all; ++i) {
            if (meeting->held[i]) continue;
            meeting->faults.push_back(fmt::format("{} did not come to rest within {} ms",
                                                  meeting->parts[i].plugin.plugin, limit.count()));
        }
    } else {
        meeting->pin = true;
        changed.notify_all();
        in_time =
            changed.wait_until(lock, began + limit, [&] { return meeting->pinned_count == all; });
        if (!in_time) {
            meeting->faults.push_back(
                fmt::format("pinning took more than {} ms altogether", limit.count()));
        }
    }
    meeting->release = true;
    changed.notify_all();
    if (!in_time || !meeting->faults.empty()) {
        throw Error(
            Errc::unavailable, "not-held",
            fmt::format("there is no moment of all plugins: {}", fmt::join(meeting->faults, "; ")));
    }
    changed.wait(lock, [&] { return meeting->over_count == all; });
    const auto pause = std::chrono::duration_cast<std::chrono::microseconds>(Clock::now() - began);
    return std::make_unique<TakenSnapshot>(std::move(meeting->parts), pause);
}

}  // namespace larder::plugin_host
