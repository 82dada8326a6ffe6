#include "files_record.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <charconv>

#include "larder/time.hpp"
#include "storage-kit/json.hpp"
#include "storage-kit/timestamps.hpp"

namespace larder::files {
namespace {

using storage::json::append_quoted;

void member(std::string& out, std::string_view name, std::string_view text) {
    out.append(",\"").append(name).append("\":");
    append_quoted(out, text);
}

void time_member(std::string& out, std::string_view name, std::int64_t unix_ms) {
    if (unix_ms == 0) {
        out.append(",\"").append(name).append("\":null");
    } else {
        out.append(",\"").append(name).append("\":\"").append(rfc3339(unix_ms)).append("\"");
    }
}

// What stored and answered records have in common, in the origin's order.
std::string common_members(const Record& record) {
    std::string out = "{\"original_name\":";
    append_quoted(out, record.original_name);
    member(out, "filename", record.filename);
    out += fmt::format(R"(,"size":{},"size_mb":{:.2f})", record.size,
                       static_cast<double>(record.size) / (1024.0 * 1024.0));
    time_member(out, "uploaded_at", record.uploaded_ms);
    member(out, "mime_type", record.mime_type);
    member(out, "hash", record.hash);
    member(out, "uploader_ip", record.uploader_ip);
    out += fmt::format(R"(,"download_count":{})", record.download_count);
    time_member(out, "last_accessed", record.accessed_ms);
    return out;
}

std::string text_of(std::string_view json) {
    return json.starts_with('"') ? storage::json::unquoted(json) : std::string();
}

std::uint64_t number_of(std::string_view json) {
    std::uint64_t value = 0;
    std::from_chars(json.data(), json.data() + json.size(), value);
    return value;
}

std::int64_t time_of(std::string_view json) {
    return storage::parse_any_time(text_of(json)).value_or(0);
}

bool is_sha256(std::string_view text) {
    return text.size() == 64 &&
           text.find_first_not_of("0123456789abcdef") == std::string_view::npos;
}

}  // namespace

bool is_live(const Record& record, std::int64_t now_ms) noexcept {
    return record.expires_ms == 0 || record.expires_ms > now_ms;
}

std::string stored_json(const Record& record) {
    std::string out = common_members(record);
    if (!record.sent_mime_type.empty()) member(out, "sent_mime_type", record.sent_mime_type);
    if (record.expires_ms != 0) time_member(out, "expires_at", record.expires_ms);
    if (record.tags != "[]") out.append(",\"tags\":").append(record.tags);
    return out += '}';
}

std::string stored_metadata(const Record& record) {
    if (record.damaged_ms == 0) return {};
    return fmt::format(R"({{"damaged":"{}"}})", rfc3339(record.damaged_ms));
}

std::optional<Record> record_of(const storage::Document& document) {
    if (!document.value.starts_with('{')) return std::nullopt;
    Record record;
    record.filename = document.key;
    bool has_size = false;
    for (storage::json::Walk part(document.value); part.next();) {
        const std::string_view name = part.name();
        const std::string_view value = part.value();
        if (name == R"("original_name")") record.original_name = text_of(value);
        if (name == R"("size")") {
            record.size = number_of(value);
            has_size = value.find_first_not_of("0123456789") == std::string_view::npos;
        }
        if (name == R"("uploaded_at")") record.uploaded_ms = time_of(value);
        if (name == R"("mime_type")") record.mime_type = text_of(value);
        if (name == R"("sent_mime_type")") record.sent_mime_type = text_of(value);
        if (name == R"("hash")") record.hash = text_of(value);
        if (name == R"("uploader_ip")") record.uploader_ip = text_of(value);
        if (name == R"("download_count")") record.download_count = number_of(value);
        if (name == R"("last_accessed")") record.accessed_ms = time_of(value);
        if (name == R"("expires_at")") record.expires_ms = time_of(value);
        if (name == R"("tags")") record.tags = value;
    }
    if (!document.metadata.empty()) {
        for (storage::json::Walk part(document.metadata); part.next();) {
            if (part.name() == R"("damaged")") record.damaged_ms = time_of(part.value());
        }
    }
    if (!has_size || !is_sha256(record.hash)) return std::nullopt;
    if (record.original_name.empty()) record.original_name = record.filename;
    if (!is_media_type(record.mime_type)) record.mime_type = "application/octet-stream";
    if (record.uploaded_ms == 0) record.uploaded_ms = document.created_ms;
    if (record.accessed_ms == 0) record.accessed_ms = record.uploaded_ms;
    return record;
}

std::string answer_json(const Record& record) {
    std::string out = common_members(record);
    member(out, "checksum", record.hash);
    if (!record.sent_mime_type.empty()) member(out, "sent_mime_type", record.sent_mime_type);
    member(out, "url", url_of(record.filename));
    time_member(out, "expires_at", record.expires_ms);
    out.append(",\"tags\":").append(record.tags);
    return out += '}';
}

bool is_media_type(std::string_view text) {
    constexpr std::size_t kMost = 255;
    constexpr std::string_view kMarks = "!#$%&'*+-.^_`|~";
    const std::string_view essence = text.substr(0, text.find(';'));
    const std::size_t slash = essence.find('/');
    const auto is_token = [&](std::string_view part) {
        return !part.empty() && std::all_of(part.begin(), part.end(), [&](char c) {
            return (c >= '0' && c <= '9') || (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') ||
                   kMarks.find(c) != std::string_view::npos;
        });
    };
    return text.size() <= kMost && slash != std::string_view::npos &&
           is_token(essence.substr(0, slash)) &&
           is_token(essence.substr(slash + 1, essence.find_last_not_of(' ') - slash)) &&
           std::all_of(text.begin(), text.end(), [](char c) { return c >= 0x20 && c < 0x7F; });
}

std::string percent_encoded(std::string_view text) {
    constexpr std::string_view kDigits = "0123456789ABCDEF";
    constexpr std::string_view kMarks = "-._~";
    std::string out;
    out.reserve(text.size());
    for (const char c : text) {
        const bool plain = (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') ||
                           (c >= '0' && c <= '9') || kMarks.find(c) != std::string_view::npos;
        const auto byte = static_cast<unsigned char>(c);
        if (plain) {
            out += c;
        } else {
            out += '%';
            out += kDigits[byte >> 4U];
            out += kDigits[byte & 0xFU];
        }
    }
    return out;
}

std::string url_of(std::string_view filename) { return "/api/files/" + percent_encoded(filename); }

}  // namespace larder::files
