#include "backup_verify.hpp"

#include <fmt/format.h>

#include <array>
#include <filesystem>
#include <utility>

#include "backup_paths.hpp"
#include "larder/time.hpp"
#include "storage-kit/json.hpp"
#include "storage-kit/sqlite.hpp"

namespace larder::backup {
namespace {

namespace fs = std::filesystem;

constexpr std::uint64_t kMostJson = 4ULL << 30U;  // bytes that are held in memory to be parsed

bool is_whole_database(const std::string& path) {
    try {
        storage::sqlite::Connection database(path, storage::sqlite::Connection::Access::read_only);
        bool whole = true;
        database.query("PRAGMA integrity_check", {}, [&](const storage::sqlite::Row& row) {
            whole = whole && row.text(0) == "ok";
        });
        return whole;
    } catch (const Error&) {
        return false;
    }
}

void append(std::vector<Fault>& all, std::vector<Fault>&& more) {
    for (Fault& fault : more) all.push_back(std::move(fault));
}

}  // namespace

Unpacker::Unpacker(std::string folder, Where where, Operation& operation)
    : folder_(std::move(folder)), where_(std::move(where)), operation_(operation) {
    storage::FileSystem::real().make_directory(folder_);
}

Unpacker::~Unpacker() {
    std::error_code left;  // the next start clears it
    if (is_scratch_) fs::remove(file_path_, left);
}

bool Unpacker::begin(const std::string& path, std::uint64_t size) {
    auto& files = storage::FileSystem::real();
    std::string place = where_ ? where_(path) : std::string();
    is_json_ = is_own_json(path) && size <= kMostJson;
    is_scratch_ = place.empty() && is_database(path);
    if (is_scratch_) place = "scratch.db";
    text_.clear();
    at_ = 0;
    file_.reset();
    if (place.empty()) return is_json_;
    file_path_ = fmt::format("{}/{}", folder_, place);
    files.make_directory(storage::parent_of(file_path_));
    file_ = files.create(file_path_);
    return true;
}

void Unpacker::take(std::string_view bytes) {
    operation_.check();
    if (is_json_) text_ += bytes;
    if (!file_) return;
    const std::array<std::string_view, 1> parts = {bytes};
    file_->write(at_, parts);
    at_ += bytes.size();
}

std::string Unpacker::end(const std::string& path) {
    file_.reset();
    ++operation_.files;
    if (is_json_) {
        try {
            storage::json::check(text_);
        } catch (const storage::json::InvalidJson&) {
            return "invalid-json";
        }
    }
    if (!is_database(path)) return {};
    const bool whole = is_whole_database(file_path_);
    std::error_code left;
    for (const char* suffix : {"-wal", "-shm"}) fs::remove(file_path_ + suffix, left);
    if (is_scratch_) fs::remove(file_path_, left);
    is_scratch_ = false;
    return whole ? std::string() : "sqlite";
}

std::vector<Fault> judge_archive(const Site& site, const Record& record, Operation& operation,
                                 FileTaker& taker) {
    const ReadOptions options{site.options().key_file, [&](std::uint64_t bytes) {
                                  operation.check();
                                  operation.bytes = bytes;
                              }};
    try {
        Reading reading = read_archive(site.catalog.archive_path(record), options, &taker);
        std::vector<Fault> faults;
        if (reading.archive_sha256 != record.archive_sha256 ||
            reading.archive_size != record.size) {
            faults.push_back({record.backup_id, "archive-hash"});
        }
        const bool is_other =
            reading.has_manifest && reading.manifest.checksum() != record.checksum;
        if (is_other) faults.push_back({std::string(kManifestName), "manifest"});
        append(faults, std::move(reading.faults));
        return faults;
    } catch (const Error& error) {
        if (error.slug() != "archive-missing") throw;
        return {{record.backup_id, "archive-missing"}};
    }
}

std::vector<Fault> verify_backup(const Site& site, Operation& operation, const Record& record) {
    std::vector<Fault> faults;
    std::vector<Record> links = {record};
    try {
        links = links_of(site.catalog, record);
    } catch (const Error& error) {
        if (error.slug() != "missing-parent") throw;
        faults.push_back({record.backup_id, "missing-parent"});
    }
    operation.phase("verify");
    const std::string scratch = site.catalog.staged("verify");
    for (const Record& link : links) {
        operation.total = link.size;
        Unpacker unpacker(scratch, {}, operation);
        append(faults, judge_archive(site, link, operation, unpacker));
    }
    std::error_code left;
    fs::remove_all(scratch, left);
    // Without its key an archive cannot be judged, which is not damage.
    const auto is_damage = [](const Fault& fault) { return fault.kind != "wrong-key"; };
    const auto damage = std::find_if(faults.begin(), faults.end(), is_damage);
    const bool is_damaged = damage != faults.end();
    const bool is_judged = is_damaged || faults.empty();
    Record now = site.catalog.get(record.backup_id);
    now.verified_ms = faults.empty() ? unix_now_ms() : 0;
    if (is_judged) now.is_damaged = is_damaged;
    site.catalog.update(now);
    auto& alerts = site.host.alerts();
    if (is_damaged) {
        alerts.raise(damage_alert(record.backup_id), Severity::error,
                     fmt::format("backup {} is not whole: {} faults, one is {} of {}; make "
                                 "another one",
                                 record.backup_id, faults.size(), damage->kind,
                                 damage->path.empty() ? "the archive" : damage->path));
    }
    if (!is_judged) {
        alerts.raise(unreadable_alert(record.backup_id), Severity::error,
                     fmt::format("backup {} cannot be verified nor restored: backup.key_file has "
                                 "not the key of its archives",
                                 record.backup_id));
        return faults;
    }
    alerts.resolve(unreadable_alert(record.backup_id));
    if (!is_damaged) alerts.resolve(damage_alert(record.backup_id));
    return faults;
}

std::string faults_json(const std::vector<Fault>& faults) {
    std::string list;
    for (const Fault& fault : faults) {
        list += fmt::format(R"({}{{"path":{},"kind":{}}})", list.empty() ? "" : ",",
                            storage::json::quoted(fault.path), storage::json::quoted(fault.kind));
    }
    return fmt::format(R"({{"ok":{},"faults":[{}]}})", faults.empty(), list);
}

Error not_whole(const std::vector<Fault>& faults) {
    std::string list = faults_json(faults);
    const std::size_t begin = list.find('[');
    return std::move(
        Error(Errc::conflict, "not-whole",
              fmt::format("the backup is not whole: {} of {}; nothing was changed",
                          faults.front().kind,
                          faults.front().path.empty() ? "its archive" : faults.front().path))
            .with("faults", list.substr(begin, list.size() - begin - 1)));
}

}  // namespace larder::backup
