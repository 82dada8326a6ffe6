// Two passes over the same walk: one that judges and one that copies, so that nothing is written
// for a folder that cannot be taken over.
//
// Contents: times · reading · the walk, part by part · copying · the two passes.
#include "origin_import.hpp"

#include <fmt/format.h>
#include <sys/stat.h>
#include <unistd.h>

#include <array>
#include <cstdlib>
#include <ctime>
#include <functional>
#include <memory>
#include <set>
#include <system_error>
#include <utility>

#include "command.hpp"
#include "larder/error.hpp"
#include "larder/time.hpp"
#include "storage-kit/atomic_file.hpp"
#include "storage-kit/digest.hpp"
#include "storage-kit/file_system.hpp"
#include "storage-kit/json.hpp"
#include "storage-kit/sqlite.hpp"
#include "storage-kit/timestamps.hpp"

namespace larder::ctl {
namespace {

namespace fs = std::filesystem;
namespace json = storage::json;

constexpr std::size_t kPiece = 1U << 18U;
constexpr std::uint64_t kMostJson = 1ULL << 30U;

}  // namespace

// ---- times

Zone::Zone(const std::string& name) : is_utc_(name == "UTC") {
    if (is_utc_ || name == "local") return;
    std::error_code fault;
    const bool is_plain = name.find("..") == std::string::npos && !name.starts_with('/');
    if (name.empty() || !is_plain || !fs::is_regular_file("/usr/share/zoneinfo/" + name, fault)) {
        throw UsageError(fmt::format(
            "--zone: '{}' is no time zone that this system knows; give UTC, local or a name such "
            "as Europe/Paris (package tzdata)",
            name));
    }
    ::setenv("TZ", (":" + name).c_str(), 1);
    ::tzset();
}

std::int64_t Zone::to_utc_ms(std::int64_t local_ms) const {
    if (is_utc_) return local_ms;
    const std::int64_t part = ((local_ms % 1000) + 1000) % 1000;
    const std::time_t seconds = (local_ms - part) / 1000;
    std::tm fields{};
    ::gmtime_r(&seconds, &fields);
    fields.tm_isdst = -1;  // the zone knows
    return std::int64_t{1000} * ::mktime(&fields) + part;
}

std::string with_zoned_times(std::string_view value, const Zone& zone, std::uint64_t& changed) {
    if (value.starts_with('"')) {
        const std::string text = json::unquoted(value);
        const auto time = storage::parse_any_time(text);
        if (!time || text.find_first_of("Zz+", 10) != std::string::npos ||
            text.find('-', 10) != std::string::npos) {
            return std::string(value);
        }
        ++changed;
        return json::quoted(rfc3339(zone.to_utc_ms(*time)));
    }
    const bool is_object = value.starts_with('{');
    if (!is_object && !value.starts_with('[')) return std::string(value);
    std::string out(1, is_object ? '{' : '[');
    for (json::Walk child(value); child.next();) {
        if (out.size() > 1) out += ',';
        if (is_object) out.append(child.name()).append(1, ':');
        out += with_zoned_times(child.value(), zone, changed);
    }
    return out += is_object ? '}' : ']';
}

namespace {

// ---- reading

class Importer {
public:
    Importer(const OriginPlan& plan, const Zone& zone, bool copies)
        : from_(plan.from), into_(plan.to.string() + ".importing"), zone_(zone), copies_(copies) {}

    OriginReport run();
    const fs::path& made() const noexcept { return into_; }

private:
    using Names = std::set<std::string>;

    void take_values(const std::string& part, const std::vector<std::string>& files);
    void take_files();
    void take_record(std::string_view record, const std::string& name, Names& known);
    void take_programs();
    void take_databases();
    void take_tree(const std::string& part, const std::string& folder, const Names& times = {});
    void take_users();
    void tell_strangers();

    // Nothing where it is not there or was found damaged.
    std::optional<std::string> json_at(const std::string& name);
    // What is there by that name, when it is a plain file; links and the like are told.
    bool is_plain(const std::string& name);
    std::vector<std::string> names_in(const std::string& folder) const;

    void put(const std::string& name, std::string_view content);
    // Its SHA-256, where `wants_hash`.
    std::string copy(const std::string& name, bool wants_hash);
    OriginPart& part(const std::string& name);
    void count(const std::string& name, std::uint64_t bytes);
    void damage(const std::string& name, const std::string& what) {
        report_.damaged.push_back(name + ": " + what);
    }
    void note(const std::string& name, const std::string& what) {
        report_.notes.push_back(name + ": " + what);
    }

    const fs::path from_, into_;
    const Zone& zone_;
    const bool copies_;
    storage::FileSystem& files_ = storage::FileSystem::real();
    OriginReport report_;
};

std::optional<std::string> Importer::json_at(const std::string& name) {
    if (!is_plain(name)) return std::nullopt;
    if (fs::file_size(from_ / name) > kMostJson) {
        damage(name, "it is larger than 1 GiB");
        return std::nullopt;
    }
    try {
        std::string text = json::compact(storage::read_file(files_, from_ / name));
        if (text.starts_with('{')) return text;
        damage(name, "it holds no JSON object");
    } catch (const json::InvalidJson& error) {
        damage(name, fmt::format("it is no JSON: {} at byte {}", error.what(), error.offset()));
    }
    return std::nullopt;
}

bool Importer::is_plain(const std::string& name) {
    struct stat status {};
    if (::lstat((from_ / name).c_str(), &status) != 0) return false;
    if (S_ISREG(status.st_mode)) return true;
    if (!S_ISDIR(status.st_mode)) note(name, "no plain file; left out");
    return false;
}

std::vector<std::string> Importer::names_in(const std::string& folder) const {
    std::error_code fault;
    if (!fs::is_directory(from_ / folder, fault)) return {};
    return files_.list(from_ / folder);
}

OriginPart& Importer::part(const std::string& name) {
    for (OriginPart& known : report_.parts) {
        if (known.name == name) return known;
    }
    return report_.parts.emplace_back(OriginPart{name, 0, 0});
}

void Importer::count(const std::string& name, std::uint64_t bytes) {
    OriginPart& counted = part(name);
    ++counted.count;
    counted.bytes += bytes;
}

// ---- the walk, part by part

// Keys and values: as they stand, every byte.
void Importer::take_values(const std::string& part_name, const std::vector<std::string>& files) {
    for (const std::string& name : files) {
        const auto text = json_at(name);
        if (!text) continue;
        OriginPart& counted = part(part_name);
        for (json::Walk member(*text); member.next();) ++counted.count;
        counted.bytes += fs::file_size(from_ / name);
        copy(name, false);
    }
}

void Importer::take_record(std::string_view record, const std::string& name, Names& known) {
    std::string hash;
    std::optional<std::uint64_t> size;
    for (json::Walk member(record); member.next();) {
        if (member.name() == R"("hash")" && member.value().starts_with('"')) {
            hash = json::unquoted(member.value());
        } else if (member.name() == R"("size")") {
            size = std::strtoull(std::string(member.value()).c_str(), nullptr, 10);
        }
    }
    const std::string path = "files/" + name;
    if (name.empty() || name.find('/') != std::string::npos || name == "." || name == "..") {
        return damage(path, "its record has no plain file name");
    }
    known.insert(name);
    if (!is_plain(path)) return damage(path, "there is a record and no file");
    const std::uint64_t there = fs::file_size(from_ / path);
    if (size && *size != there) {
        return damage(path, fmt::format("its record says {} bytes, it has {}", *size, there));
    }
    const std::string is = copy(path, hash.size() == 64);
    if (!is.empty() && is != hash) return damage(path, "its SHA-256 is not its record's");
    count("files", there);
}

void Importer::take_files() {
    const std::string index = "files/files_metadata.json";
    Names known{"files_metadata.json"};
    if (const auto text = json_at(index)) {
        for (json::Walk member(*text); member.next();) {
            if (member.name() != R"("files")") continue;
            for (json::Walk record(member.value()); record.next();) {
                take_record(record.value(), json::unquoted(record.name()), known);
            }
        }
        put(index, with_zoned_times(*text, zone_, report_.times));
    }
    for (const std::string& name : names_in("files")) {
        const std::string path = "files/" + name;
        if (known.contains(name) || !is_plain(path)) continue;
        copy(path, false);
        note(path, "no record speaks of it; it is kept, and larderd will tell of it");
    }
}

// A folder as it is, but for the times in the JSON files called so.
void Importer::take_tree(const std::string& part_name, const std::string& folder,
                         const Names& times) {
    for (const std::string& name : names_in(folder)) {
        const std::string path = folder + "/" + name;
        std::error_code fault;
        const fs::file_status status = fs::symlink_status(from_ / path, fault);
        if (fs::is_directory(status)) {
            if (copies_) files_.make_directory(into_ / path);
            take_tree(part_name, path, times);
        } else if (is_plain(path)) {
            count(part_name, fs::file_size(from_ / path));
            const auto text = times.contains(name) ? json_at(path) : std::nullopt;
            if (text) put(path, with_zoned_times(*text, zone_, report_.times));
            if (!times.contains(name)) copy(path, false);
        }
    }
}

void Importer::take_programs() {
    if (const auto text = json_at("programs/programs.json")) {
        put("programs/programs.json", with_zoned_times(*text, zone_, report_.times));
    }
    for (const std::string& name : names_in("programs")) {
        if (name == "programs.json" || name == "db") continue;
        const std::string path = "programs/" + name;
        std::error_code fault;
        if (!fs::is_directory(fs::symlink_status(from_ / path, fault))) {
            if (is_plain(path)) note(path, "the origin has no such file; left out");
            continue;
        }
        if (copies_) files_.make_directory(into_ / path);
        take_tree(name == "logs" ? "logs" : "programs", path, {".metadata.json"});
    }
}

// Their times are UTC already: SQLite's CURRENT_TIMESTAMP made them.
void Importer::take_databases() {
    for (const std::string& name : names_in("programs/db")) {
        const std::string path = "programs/db/" + name;
        if (!name.ends_with(".db") || !is_plain(path)) continue;
        try {
            storage::sqlite::Connection database(from_ / path,
                                                 storage::sqlite::Connection::Access::read_only);
            std::string verdict;
            database.query("PRAGMA quick_check(1)", {},
                           [&](const auto& row) { verdict = row.text(0); });
            if (verdict != "ok") throw Error(Errc::corrupt, "damaged", verdict);
            count("databases", fs::file_size(from_ / path));
            if (!copies_) continue;
            files_.make_directory(into_ / "programs/db");
            database.backup_to(into_ / path);
        } catch (const Error& error) {
            damage(path, error.internal().empty() ? error.detail() : error.internal());
        }
    }
}

void Importer::take_users() {
    if (!is_plain("users.json")) return;
    count("users", fs::file_size(from_ / "users.json"));
    copy("users.json", false);
    note("users.json",
         "passwords cannot be taken over; make the accounts anew with larderctl user add, which "
         "keeps this file as users.json.origin");
}

void Importer::tell_strangers() {
    static const Names known{"storage.json", "users.json", "config", "files",
                             "programs",     "backups",    "logs"};
    for (const std::string& name : names_in(".")) {
        if (!known.contains(name)) note(name, "the origin has no such name; left out");
    }
}

OriginReport Importer::run() {
    std::vector<std::string> config;
    for (const std::string& name : names_in("config")) {
        if (name.ends_with(".json")) config.push_back("config/" + name);
    }
    take_values("values", {"storage.json"});
    take_values("configuration", config);
    take_files();
    take_programs();
    take_databases();
    take_tree("backups", "backups", {"backup_index.json"});
    take_tree("logs", "logs");
    take_users();
    tell_strangers();
    return std::move(report_);
}

// ---- copying

void Importer::put(const std::string& name, std::string_view content) {
    if (!copies_) return;
    files_.make_directory(storage::parent_of(into_ / name));
    storage::write_atomically(files_, into_ / name, content);
}

std::string Importer::copy(const std::string& name, bool wants_hash) {
    if (!copies_ && !wants_hash) return {};
    const auto source = files_.open_read(from_ / name);
    std::unique_ptr<storage::File> target;
    if (copies_) {
        files_.make_directory(storage::parent_of(into_ / name));
        target = files_.create(into_ / name);
    }
    storage::Sha256 hash;
    std::string piece(kPiece, '\0');
    for (std::uint64_t at = 0;;) {
        const std::size_t got = source->read(at, piece);
        if (got == 0) break;
        const std::string_view bytes(piece.data(), got);
        if (wants_hash) hash.update(bytes);
        if (target) target->write(at, std::array{bytes});
        at += got;
    }
    if (target) target->sync_data();
    return wants_hash ? hash.finish_hex() : std::string();
}

// The names are on disk before the directory gets its own; and all of it belongs to whom the
// folder above it belongs, so that a daemon that is not root can use what root imported.
void settle(const fs::path& made, const fs::path& above) {
    struct stat owner {};
    if (::stat(above.c_str(), &owner) != 0) {
        throw std::system_error(errno, std::generic_category(), above.string());
    }
    const auto give = [&](const fs::path& path) {
        if (::geteuid() != 0) return;
        if (::lchown(path.c_str(), owner.st_uid, owner.st_gid) != 0) {
            throw std::system_error(errno, std::generic_category(), path.string());
        }
    };
    storage::FileSystem& files = storage::FileSystem::real();
    give(made);
    files.sync_directory(made);
    for (const auto& entry : fs::recursive_directory_iterator(made)) {
        give(entry.path());
        if (entry.is_directory()) files.sync_directory(entry.path());
    }
}

// ---- the two passes

void demand_places(const OriginPlan& plan) {
    std::error_code fault;
    const auto has = [&](const char* name) { return fs::exists(plan.from / name, fault); };
    if (!fs::is_directory(plan.from, fault)) {
        throw LocalError(fmt::format("there is no folder {}; name the origin's data/ folder",
                                     plan.from.string()));
    }
    if (!has("storage.json") && !has("files") && !has("programs") && !has("config")) {
        throw LocalError(fmt::format(
            "{} has neither storage.json nor files/, programs/ or config/; name the origin's "
            "data/ folder itself",
            plan.from.string()));
    }
    if (fs::exists(plan.to, fault) && !fs::is_empty(plan.to, fault)) {
        throw LocalError(fmt::format(
            "{} holds data already; stop larderd and move it away, or name another folder with "
            "--into",
            plan.to.string()));
    }
    const fs::path above = fs::absolute(plan.to).parent_path();
    if (!fs::is_directory(above, fault)) {
        throw LocalError(fmt::format("there is no folder {}; make it first", above.string()));
    }
    const std::uint64_t wanted = storage::bytes_below(plan.from);
    const fs::space_info room = fs::space(above, fault);
    if (!fault && room.available < wanted) {
        throw LocalError(fmt::format("{} has {} bytes free and the origin's data is {}",
                                     above.string(), room.available, wanted));
    }
}

OriginReport carried_out(const OriginPlan& plan, const Zone& zone) {
    demand_places(plan);
    OriginReport judged = Importer(plan, zone, false).run();
    if (plan.dry_run || (!judged.damaged.empty() && !plan.skip_damaged)) return judged;
    Importer copier(plan, zone, true);
    fs::remove_all(copier.made());  // of an import that was cut off
    storage::FileSystem& files = storage::FileSystem::real();
    files.make_directory(copier.made());
    OriginReport done = copier.run();
    const fs::path above = fs::absolute(plan.to).parent_path();
    std::error_code fault;
    settle(copier.made(), fs::exists(plan.to, fault) ? plan.to : above);
    files.rename(copier.made(), plan.to);
    files.sync_directory(above);
    return done;
}

}  // namespace

OriginReport import_origin(const OriginPlan& plan, const Zone& zone) {
    try {
        return carried_out(plan, zone);
    } catch (const std::system_error& error) {
        throw LocalError(error.what());
    }
}

}  // namespace larder::ctl
