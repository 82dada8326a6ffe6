// What kv gives a cache to begin with: whole buckets, as one object of their keys and values.
#include "kv_answers.hpp"
#include "kv_plugin.hpp"
#include "larder/time.hpp"
#include "storage-kit/json.hpp"

namespace larder::kv {

void KvPlugin::give(std::string_view what, std::size_t /*most*/, WarmSink& sink) {
    constexpr std::uint64_t kMostBytes = 1U << 20U;
    const auto bucket = buckets_->find(what);
    if (!bucket || !bucket->is_readable() || bucket->store().value_bytes() > kMostBytes) return;
    const std::int64_t now = unix_now_ms();
    std::string json = "{";
    for (const auto& document : bucket->store().list({}, {}, SIZE_MAX)) {
        if (!is_live(*document, now)) continue;
        if (json.size() > 1) json += ',';
        storage::json::append_quoted(json, document->key);
        json.append(":").append(document->value);
    }
    if (json.size() > 1) sink.take(what, json + "}");
}

}  // namespace larder::kv
