#include "cache_warming.hpp"

#include <fmt/format.h>

#include <memory>
#include <string_view>
#include <utility>

#include "larder/warming.hpp"

namespace larder::cache {
namespace {

constexpr std::size_t kPrograms = 10, kMaxValue = 1U << 20U;
constexpr std::int64_t kProgramMs = 600'000;

class Into final : public WarmSink {
public:
    Into(Tiers* tiers, std::string prefix, std::int64_t ttl_ms)
        : tiers_(tiers), prefix_(std::move(prefix)), ttl_ms_(ttl_ms) {}

    void take(std::string_view name, std::string json) override {
        if (json.size() > kMaxValue) return;
        ++count_;
        if (tiers_ == nullptr) return;
        auto entry = std::make_shared<Entry>();
        entry->key = prefix_ + std::string(name);
        entry->value = std::move(json);
        entry->type = "application/json";
        const std::uint64_t hash = hash_of(entry->key);
        EntryPtr stored;
        tiers_->put(hash, entry, ttl_ms_, 0, std::nullopt, stored);
    }
    std::size_t count() const noexcept { return count_; }

private:
    Tiers* const tiers_;  // null: nothing is stored
    const std::string prefix_;
    const std::int64_t ttl_ms_;
    std::size_t count_ = 0;
};

std::vector<std::string> words_of(std::string_view list) {
    std::vector<std::string> words;
    while (!list.empty()) {
        const std::size_t end = std::min(list.find(','), list.size());
        std::string word(list.substr(0, end));
        std::erase(word, ' ');
        if (!word.empty()) words.push_back(std::move(word));
        list.remove_prefix(std::min(end + 1, list.size()));
    }
    return words;
}

}  // namespace

Warmed Warming::run(bool is_dry) {
    Warmed warmed;
    Tiers* const tiers = is_dry ? nullptr : &tiers_;
    const auto buckets = words_of(host_.settings().text("warm_buckets"));
    const auto from = [&](std::string_view service, const char* name, auto give) {
        const auto held = host_.services().lease(service);
        if (!held) return warmed.missing.emplace_back(name), void();
        try {
            give(*static_cast<WarmSource*>(held.get()));
        } catch (const Error& error) {
            host_.log().write(
                Level::warning,
                fmt::format("nothing to warm the cache with from {}: {}", name, error.what()));
        }
    };
    if (!buckets.empty()) {
        from(kWarmFromKv, "kv", [&](WarmSource& source) {
            Into into(tiers, "", host_.settings().duration("default_ttl").count());
            for (const std::string& bucket : buckets) source.give(bucket, SIZE_MAX, into);
            warmed.count += into.count();
        });
    }
    from(kWarmFromPrograms, "programs", [&](WarmSource& source) {
        Into into(tiers, "program:", kProgramMs);
        source.give("", kPrograms, into);
        warmed.count += into.count();
    });
    return warmed;
}

}  // namespace larder::cache
