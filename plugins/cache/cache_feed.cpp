#include "cache_feed.hpp"

#include <map>
#include <string>
#include <utility>
#include <vector>

#include "larder/events.hpp"
#include "storage-kit/json.hpp"

namespace larder::cache {
namespace {

constexpr std::size_t kUploads = 100;

struct Heard {
    std::map<std::string, double> runs;  // by program
    std::vector<std::string> uploads;    // the oldest first
    bool warm = false;
};

}  // namespace

void Feed::start() {
    const std::uint32_t kinds = event_bit(EventKind::program_ran) |
                                event_bit(EventKind::file_stored) |
                                event_bit(EventKind::plugin_changed);
    ticket_ = host_.events().subscribe(kinds, [this](const EventBatch& batch) { take(batch); });
}

// All subscribers share the thread of this call: what may wait for Redis is a worker's.
void Feed::take(const EventBatch& batch) {
    Heard heard;
    for (const Event* const event : batch.events) {
        if (const auto* const ran = event_as<ProgramRan>(*event)) {
            if (!ran->program_id.empty()) heard.runs[std::string(ran->program_id)] += 1;
        } else if (const auto* const stored = event_as<FileStored>(*event)) {
            heard.uploads.push_back(storage::json::quoted(stored->filename));
        } else if (const auto* const plugin = event_as<PluginChanged>(*event)) {
            const bool gives =
                plugin->plugin == "kv" || plugin->plugin == "programs" || plugin->plugin == "cache";
            heard.warm = heard.warm || (gives && plugin->state == "running");
        }
    }
    if (heard.runs.empty() && heard.uploads.empty() && !heard.warm) return;
    const bool posted = host_.workers().post([this, heard = std::move(heard)] {
        try {
            for (const auto& [program, count] : heard.runs) {
                boards_.score("program_executions", program, count, true);
            }
            for (const std::string& file : heard.uploads) {
                boards_.push("recent_uploads", file, kUploads);
            }
        } catch (const Error& full) {
            host_.log().write(Level::warning, full.what());
        }
        if (heard.warm) warm_();
    });
    if (!posted) {
        host_.log().write(Level::warning,
                          "all workers are busy: some runs and uploads are missing from "
                          "program_executions and recent_uploads");
    }
}

}  // namespace larder::cache
