// Contents: reading back · the folder: its index, copying, thinning out · what is to be copied ·
// all of it, with the alert
#include "backup_second.hpp"

#include <fcntl.h>
#include <fmt/format.h>

#include <algorithm>
#include <filesystem>
#include <set>
#include <string_view>
#include <system_error>
#include <utility>

#include "backup_members.hpp"
#include "backup_paths.hpp"
#include "backup_staged.hpp"
#include "backup_verify.hpp"
#include "storage-kit/atomic_file.hpp"
#include "storage-kit/digest.hpp"
#include "storage-kit/json.hpp"

namespace larder::backup {
namespace {

namespace fs = std::filesystem;
namespace json = storage::json;
using storage::FileSystem;

constexpr std::string_view kSecond = "second-directory";
constexpr std::size_t kPiece = 256U << 10U;

// Gives all of a file to `take`, and returns its hash.
template <class Take>
std::string read_through(const std::string& path, const Operation& operation, Take take) {
    const auto file = FileSystem::real().open_read(path);
    storage::Sha256 sum;
    std::vector<char> piece(kPiece);
    for (std::uint64_t at = 0;;) {
        operation.check();
        const std::string_view got(piece.data(), file->read(at, piece));
        if (got.empty()) return sum.finish_hex();
        sum.update(got);
        take(at, got);
        at += got.size();
    }
}

// Off the disk, where that can be had: the page cache would only tell what was written.
std::string read_back(const std::string& path, const Operation& operation) {
    const FileHandle file(::open(path.c_str(), O_RDONLY | O_CLOEXEC));
    if (file.fd() >= 0) ::posix_fadvise(file.fd(), 0, 0, POSIX_FADV_DONTNEED);
    return read_through(path, operation, [](std::uint64_t /*at*/, std::string_view /*got*/) {});
}

std::string name_of(const Record& record) {
    return fmt::format("{}.tar.gz{}", record.backup_id, record.is_encrypted ? ".enc" : "");
}

bool is_same(const Record& a, const Record& b) { return a.archive_sha256 == b.archive_sha256; }

}  // namespace

// ---- the folder

Second::Second(std::string folder) : folder_(std::move(folder)) {
    if (!fs::is_directory(folder_)) {
        throw std::system_error(ENOENT, std::generic_category(), folder_);
    }
    read_index();
}

std::string Second::path_of(const Record& record) const {
    return fmt::format("{}/{}", folder_, name_of(record));
}

// One that is unreadable is as good as none: it is made anew as archives are found again.
void Second::read_index() {
    auto& files = FileSystem::real();
    const std::string path = fmt::format("{}/{}", folder_, kIndexName);
    if (!files.exists(path)) return;
    try {
        const std::string text = json::compact(storage::read_file(files, path));
        const std::string_view backups = Members(text).object("backups").value_or("{}");
        for (json::Walk walk(backups); walk.next();) {
            Record record = record_of(walk.value());
            if (!is_backup_id(record.backup_id)) continue;
            std::error_code fault;
            if (fs::file_size(path_of(record), fault) != record.size || fault) continue;
            records_.insert_or_assign(record.backup_id, std::move(record));
        }
    } catch (const json::InvalidJson&) {
        records_.clear();
    } catch (const Error&) {
        records_.clear();
    }
}

// As the daemon's own index looks: with it the folder is one that a data directory can begin with.
void Second::write_index() {
    std::string text = "{\"backups\": {";
    std::uint64_t total = 0;
    for (const auto& [id, record] : records_) {
        text += fmt::format("{}\n{}: {}", text.back() == '{' ? "" : ",", json::quoted(id),
                            record_json(record));
        total += record.size;
    }
    text +=
        fmt::format("\n}}, \"total_size\": {}, \"total_backups\": {}}}\n", total, records_.size());
    storage::write_atomically(FileSystem::real(), fmt::format("{}/{}", folder_, kIndexName), text);
    is_noted_ = false;
}

std::vector<Record> Second::all() const {
    std::vector<Record> records;
    records.reserve(records_.size());
    for (const auto& [id, record] : records_) records.push_back(record);
    std::sort(records.begin(), records.end(), is_older);
    return records;
}

void Second::note(const Record& record) {
    const auto found = records_.find(record.backup_id);
    if (found == records_.end() || !is_same(found->second, record)) return;
    if (record.verified_ms <= found->second.verified_ms) return;
    found->second.verified_ms = record.verified_ms;
    is_noted_ = true;
}

void Second::clear_leftovers() {
    auto& files = FileSystem::real();
    for (const std::string& name : files.list(folder_)) {
        const bool is_ours = is_backup_id(name.substr(0, name.find('.')));
        if (is_ours && name.ends_with(".tmp")) files.remove(fmt::format("{}/{}", folder_, name));
    }
}

void Second::copy(const Record& record, const std::string& from, Operation& operation) {
    if (record.is_incremental() && !records_.contains(record.parent)) {
        throw Error(Errc::conflict, "missing-parent",
                    fmt::format("{}, which it is based on, is not there", record.parent));
    }
    auto& files = FileSystem::real();
    if (!files.exists(from)) {
        throw Error(Errc::not_found, "archive-missing", "the backup's archive is not there");
    }
    operation.phase("copy");
    operation.total = record.size;
    const std::string path = path_of(record);
    // What a kill left between its renaming and the index is whole.
    if (!files.exists(path) || read_back(path, operation) != record.archive_sha256) {
        const Staged staged(path + ".tmp");
        const auto target = files.create(staged.path());
        const std::string sum =
            read_through(from, operation, [&](std::uint64_t at, std::string_view bytes) {
                target->write(at, {&bytes, 1});
                operation.bytes = at + bytes.size();
            });
        if (sum != record.archive_sha256) {
            throw Error(Errc::corrupt, "damaged", "the archive is not as it was written");
        }
        target->sync_data();
        if (read_back(staged.path(), operation) != sum) {
            throw Error(Errc::io_failed, "not-read-back",
                        "what was written there reads back otherwise; do not trust that disk");
        }
        files.rename(staged.path(), path);
        files.sync_directory(folder_);
    }
    Record copied = record;
    copied.file_path = fmt::format("{}/{}", kFolder, name_of(record));
    records_.insert_or_assign(record.backup_id, std::move(copied));
    write_index();
}

// Archives go before their records, and newer ones before older: a kill leaves no half of a chain.
void Second::thin_out(const Keep& keep) {
    bool has_gone = false;
    if (keep.any()) {
        for (const Decision& decision : decide(all(), keep)) {
            if (decision.keep) continue;
            const auto found = records_.find(decision.backup_id);
            FileSystem::real().remove(path_of(found->second));
            records_.erase(found);
            has_gone = true;
        }
    }
    if (has_gone || is_noted_) write_index();
}

// ---- what is to be copied

std::vector<Record> to_copy(const std::vector<Record>& made, const std::vector<Record>& there,
                            const Keep& keep) {
    std::map<std::string, Record> held, missing, all;
    for (const Record& record : there) held.emplace(record.backup_id, record);
    all = held;
    for (const Record& record : made) {
        const auto found = held.find(record.backup_id);
        const bool is_held = found != held.end() && is_same(found->second, record);
        if (is_held || record.is_damaged) continue;
        missing.emplace(record.backup_id, record);
        all.insert_or_assign(record.backup_id, record);
    }
    std::vector<Record> by_age;
    by_age.reserve(all.size());
    for (const auto& [id, record] : all) by_age.push_back(record);
    std::sort(by_age.begin(), by_age.end(), is_older);
    std::set<std::string> unwanted;
    if (keep.any()) {
        for (const Decision& decision : decide(by_age, keep)) {
            if (!decision.keep) unwanted.insert(decision.backup_id);
        }
    }
    std::vector<Record> plan;
    for (const Record& record : by_age) {
        if (unwanted.contains(record.backup_id)) continue;
        std::vector<Record> links;
        for (auto link = missing.find(record.backup_id); link != missing.end();) {
            links.push_back(std::move(link->second));
            missing.erase(link);
            link = missing.find(links.back().parent);
        }
        std::move(links.rbegin(), links.rend(), std::back_inserter(plan));
    }
    return plan;
}

// ---- all of it, with the alert

namespace {

void tell(const Site& site, const std::string& fault) {
    if (fault.empty()) return site.host.alerts().resolve(kSecond);
    site.host.alerts().raise(
        kSecond, Severity::warning,
        fmt::format("backups are missing in backup.second_directory: {}", fault));
}

std::string in_words(const std::system_error& error) {
    return fmt::format("{}; is it mounted and has it room?", error.what());
}

// What went wrong, or nothing. One archive that is bad does not keep the others from their copies.
std::string bring_up(const Site& site, Operation& operation, const Options& options) {
    Second second(options.second_directory);
    second.clear_leftovers();
    const auto made = site.catalog.all();
    for (const Record& record : made) second.note(record);
    second.thin_out(options.second_keep);  // first: it may make the room that is needed
    std::string fault;
    for (const Record& record : to_copy(made, second.all(), options.second_keep)) {
        try {
            second.copy(record, site.catalog.archive_path(record), operation);
        } catch (const Error& error) {
            if (error.slug() == "cancelled") throw;
            if (fault.empty()) fault = fmt::format("{}: {}", record.backup_id, error.detail());
            const bool is_bad = error.slug() == "damaged" || error.slug() == "archive-missing";
            if (is_bad) verify_backup(site, operation, record);  // its own alert tells more
        }
    }
    second.thin_out(options.second_keep);
    return fault;
}

}  // namespace

void keep_second(const Site& site, Operation& operation) {
    const Options options = site.options();
    if (options.second_directory.empty()) return tell(site, {});
    try {
        tell(site, bring_up(site, operation, options));
    } catch (const Error& error) {
        if (error.slug() != "cancelled") tell(site, error.detail());
    } catch (const std::system_error& error) {
        tell(site, in_words(error));
    }
}

bool is_second_behind(const Site& site) {
    const Options options = site.options();
    if (options.second_directory.empty()) return false;
    try {
        const Second second(options.second_directory);
        if (!to_copy(site.catalog.all(), second.all(), options.second_keep).empty()) return true;
        tell(site, {});
    } catch (const std::system_error& error) {
        tell(site, in_words(error));
    }
    return false;
}

}  // namespace larder::backup
