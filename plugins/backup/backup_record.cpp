#include "backup_record.hpp"

#include <fmt/format.h>

#include <tuple>

#include "backup_members.hpp"
#include "larder/time.hpp"
#include "storage-kit/json.hpp"

namespace larder::backup {

namespace json = storage::json;

bool is_older(const Record& a, const Record& b) {
    return std::tie(a.created_ms, a.backup_id) < std::tie(b.created_ms, b.backup_id);
}

std::string damage_alert(std::string_view backup_id) {
    return fmt::format("damaged-{}", backup_id);
}

std::string unreadable_alert(std::string_view backup_id) {
    return fmt::format("unreadable-{}", backup_id);
}

std::string record_json(const Record& record, std::string_view extra) {
    return fmt::format(
        R"({{"backup_id":{},"created_at":"{}","type":"{}","file_path":{},"size":{},"checksum":"{}",)"
        R"("archive_sha256":"{}","parent":{},"partial":{},"components":{},"total_size":{},"total_files":{},)"
        R"("compression_ratio":{:.4f},"duration":{:.3f},"pause":{:.6f},"state":"{}",)"
        R"("verified_at":{},"integrity_verified":{},"encrypted":{},"note":{}{}}})",
        json::quoted(record.backup_id), rfc3339(record.created_ms),
        record.is_incremental() ? "incremental" : "full", json::quoted(record.file_path),
        record.size, record.checksum, record.archive_sha256, text_or_null(record.parent),
        record.is_partial, json_list(record.components), record.total_size, record.total_files,
        record.compression_ratio, record.duration, record.pause,
        record.is_damaged ? "damaged" : "complete",
        record.verified_ms == 0 ? "null" : json::quoted(rfc3339(record.verified_ms)),
        record.verified_ms != 0, record.is_encrypted, json::quoted(record.note), extra);
}

Record record_of(std::string_view text) {
    const Members body(text);
    Record record;
    record.backup_id = text_of(body, "backup_id");
    record.file_path = text_of(body, "file_path");
    record.created_ms = time_of(body, "created_at");
    record.verified_ms = time_of(body, "verified_at");
    record.size = whole_of(body, "size");
    record.checksum = text_of(body, "checksum");
    record.archive_sha256 = text_of(body, "archive_sha256");
    record.parent = text_of(body, "parent");
    record.components = body.texts("components");
    record.total_size = whole_of(body, "total_size");
    record.total_files = whole_of(body, "total_files");
    record.compression_ratio = body.number("compression_ratio").value_or(0);
    record.duration = body.number("duration").value_or(0);
    record.pause = body.number("pause").value_or(0);
    record.is_encrypted = flag_of(body, "encrypted");
    record.is_partial = flag_of(body, "partial");
    record.is_damaged = text_of(body, "state") == "damaged";
    record.note = text_of(body, "note");
    return record;
}

Record record_of(const Manifest& manifest) {
    Record record;
    record.backup_id = manifest.backup_id;
    record.created_ms = manifest.created_ms;
    record.checksum = manifest.checksum();
    record.parent = manifest.parent;
    record.is_partial = manifest.partial;
    record.components = manifest.components;
    record.total_size = manifest.total_size();
    record.total_files = manifest.files.size();
    record.compression_ratio = manifest.compression_ratio;
    record.pause = static_cast<double>(manifest.pause_us) / 1e6;
    record.note = manifest.note;
    return record;
}

}  // namespace larder::backup
