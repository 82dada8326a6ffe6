#include "programs_record.hpp"

#include <fmt/format.h>

#include <charconv>

#include "larder/time.hpp"
#include "storage-kit/json.hpp"
#include "storage-kit/timestamps.hpp"

namespace larder::programs {
namespace {

using storage::json::append_quoted;
using storage::json::Walk;

void text_member(std::string& out, std::string_view name, std::string_view text) {
    out.append(",\"").append(name).append("\":");
    append_quoted(out, text);
}

void optional_text(std::string& out, std::string_view name, std::string_view text) {
    if (!text.empty()) return text_member(out, name, text);
    out.append(",\"").append(name).append("\":null");
}

void list_member(std::string& out, std::string_view name, const std::vector<std::string>& items) {
    out.append(",\"").append(name).append("\":[");
    for (const std::string& item : items) {
        if (out.back() != '[') out += ',';
        append_quoted(out, item);
    }
    out += ']';
}

std::string text_of(std::string_view json) {
    return json.starts_with('"') ? storage::json::unquoted(json) : std::string();
}

template <class Number> Number number_of(std::string_view json) {
    Number value{};
    std::from_chars(json.data(), json.data() + json.size(), value);
    return value;
}

// The origin writes its times without a zone; they are UTC.
std::int64_t time_of(std::string_view json) {
    const std::string text = text_of(json);
    if (const auto time = storage::parse_rfc3339(text)) return *time;
    return storage::parse_rfc3339(text + "Z").value_or(0);
}

std::vector<std::string> list_of(std::string_view json) {
    std::vector<std::string> items;
    for (Walk item(json); item.next();) items.push_back(text_of(item.value()));
    return items;
}

}  // namespace

std::string_view language_of(std::string_view file) {
    if (file.ends_with(".py")) return "python";
    if (file.ends_with(".sh")) return "bash";
    if (file.ends_with(".js")) return "javascript";
    return {};
}

std::string_view Record::language() const { return language_of(main_file); }

std::string record_json(const Record& record) {
    std::string out = "{\"program_id\":";
    append_quoted(out, record.id);
    if (record.is_project()) text_member(out, "project_id", record.id);
    text_member(out, "type", record.is_project() ? "project" : "single");
    text_member(out, "filename", record.filename);
    text_member(out, "original_name", record.original_name);
    optional_text(out, "language", record.language());
    optional_text(out, "main_file", record.main_file);
    if (record.is_project()) {
        text_member(out, "main_file_reason", record.main_file_reason);
        list_member(out, "main_file_candidates", record.main_file_candidates);
        out += fmt::format(R"(,"file_count":{})", record.file_count);
        list_member(out, "files", record.files);
    }
    out +=
        fmt::format(R"(,"size":{},"upload_time":"{}")", record.size, rfc3339(record.uploaded_ms));
    text_member(out, "storage_path", fmt::format("programs/{}/", record.id));
    out += fmt::format(R"(,"execution_count":{},"last_executed":)", record.execution_count);
    out += record.last_executed_ms == 0 ? "null"
                                        : fmt::format("\"{}\"", rfc3339(record.last_executed_ms));
    const double average =
        record.execution_count == 0
            ? 0.0
            : record.total_execution_time / static_cast<double>(record.execution_count);
    out += fmt::format(R"(,"success_count":{},"error_count":{},"total_execution_time":{:.6f},)"
                       R"("avg_execution_time":{:.6f},"network":{})",
                       record.success_count, record.error_count, record.total_execution_time,
                       average, record.network);
    if (!record.schedule.empty()) out.append(",\"schedule\":").append(record.schedule);
    return out += '}';
}

std::optional<Record> record_of(std::string_view id, std::string_view json) {
    if (!json.starts_with('{')) return std::nullopt;
    Record record;
    record.id = id;
    for (Walk part(json); part.next();) {
        const std::string_view name = part.name(), value = part.value();
        if (name == R"("filename")") record.filename = text_of(value);
        if (name == R"("original_name")") record.original_name = text_of(value);
        if (name == R"("main_file")") record.main_file = text_of(value);
        if (name == R"("main_file_reason")") record.main_file_reason = text_of(value);
        if (name == R"("main_file_candidates")") record.main_file_candidates = list_of(value);
        if (name == R"("file_count")") record.file_count = number_of<std::uint64_t>(value);
        if (name == R"("files")") record.files = list_of(value);
        if (name == R"("size")") record.size = number_of<std::uint64_t>(value);
        if (name == R"("upload_time")") record.uploaded_ms = time_of(value);
        if (name == R"("last_executed")") record.last_executed_ms = time_of(value);
        if (name == R"("execution_count")") {
            record.execution_count = number_of<std::uint64_t>(value);
        }
        if (name == R"("success_count")") record.success_count = number_of<std::uint64_t>(value);
        if (name == R"("error_count")") record.error_count = number_of<std::uint64_t>(value);
        if (name == R"("total_execution_time")") {
            record.total_execution_time = number_of<double>(value);
        }
        if (name == R"("avg_execution_time")" && record.total_execution_time == 0) {
            record.total_execution_time =
                number_of<double>(value) * static_cast<double>(record.execution_count);
        }
        if (name == R"("network")") record.network = value == "true";
        if (name == R"("schedule")" && value.starts_with('{')) record.schedule = value;
    }
    if (!record.is_project() && record.main_file.empty()) record.main_file = record.filename;
    return record;
}

}  // namespace larder::programs
