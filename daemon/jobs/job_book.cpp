#include "jobs/job_book.hpp"

#include <fmt/format.h>

#include <charconv>

#include "larder/error.hpp"
#include "storage-kit/atomic_file.hpp"
#include "storage-kit/json.hpp"

namespace larder::jobs {
namespace {

namespace json = storage::json;

constexpr int kVersion = 1;

[[noreturn]] void corrupt(const std::string& path, std::string_view why) {
    throw Error(Errc::corrupt, "job-book",
                fmt::format("{}: {}; move it away to begin a new one", path, why));
}

std::int64_t number_of(const std::string& path, std::string_view text) {
    std::int64_t number = 0;
    const auto [end, fault] = std::from_chars(text.data(), text.data() + text.size(), number);
    if (fault != std::errc() || end != text.data() + text.size()) {
        corrupt(path, fmt::format("expected a number, got {}", text.substr(0, 40)));
    }
    return number;
}

JobRecord record_of(const std::string& path, std::string_view text) {
    JobRecord record;
    for (json::Walk walk(text); walk.next();) {
        const std::string name = json::unquoted(walk.name());
        const std::string_view value = walk.value();
        const bool is_text = value.starts_with('"');
        const std::string words = is_text ? json::unquoted(value) : "";
        const std::int64_t number = is_text ? 0 : number_of(path, value);
        if (name == "anchor") record.anchor_ms = number;
        if (name == "served") record.served_ms = number;
        if (name == "due") record.last.due_ms = number;
        if (name == "started") record.last.started_ms = number;
        if (name == "duration_ms") record.last.duration_ms = number;
        if (name == "failures") record.failures = static_cast<std::uint64_t>(number);
        if (name == "outcome") record.last.outcome = words;
        if (name == "trigger") record.last.trigger = words;
        if (name == "error") record.last.error = words;
    }
    return record;
}

}  // namespace

JobRecords read_job_book(storage::FileSystem& files, const std::string& path) {
    JobRecords records;
    if (!files.exists(path)) return records;
    const std::string text = storage::read_file(files, path);
    try {
        json::check(text);
    } catch (const json::InvalidJson& fault) {
        corrupt(path, fmt::format("{} at byte {}", fault.what(), fault.offset()));
    }
    bool ours = false;
    for (json::Walk walk(text); walk.next();) {
        const std::string name = json::unquoted(walk.name());
        if (name == "larder") ours = walk.value() == "\"jobs\"";
        if (name == "version" && number_of(path, walk.value()) != kVersion) {
            corrupt(path, fmt::format("expected version {}, got {}", kVersion, walk.value()));
        }
        if (name != "jobs") continue;
        for (json::Walk jobs(walk.value()); jobs.next();) {
            records[json::unquoted(jobs.name())] = record_of(path, jobs.value());
        }
    }
    if (!ours) corrupt(path, "it is no list of jobs");
    return records;
}

void write_job_book(storage::FileSystem& files, const std::string& path,
                    const JobRecords& records) {
    std::string text = fmt::format(R"({{"larder":"jobs","version":{},"jobs":{{)", kVersion);
    const char* comma = "\n";
    for (const auto& [name, record] : records) {
        text += fmt::format(
            R"({}{}:{{"anchor":{},"served":{},"due":{},"started":{},"duration_ms":{},"outcome":{},)"
            R"("trigger":{},"error":{},"failures":{}}})",
            comma, json::quoted(name), record.anchor_ms, record.served_ms, record.last.due_ms,
            record.last.started_ms, record.last.duration_ms, json::quoted(record.last.outcome),
            json::quoted(record.last.trigger), json::quoted(record.last.error), record.failures);
        comma = ",\n";
    }
    text += "\n}}\n";
    storage::write_atomically(files, path, text);
}

}  // namespace larder::jobs
