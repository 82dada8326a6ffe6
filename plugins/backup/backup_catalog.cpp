#include "backup_catalog.hpp"

#include <fmt/format.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <filesystem>
#include <limits>
#include <set>
#include <utility>

#include "backup_paths.hpp"
#include "backup_reader.hpp"
#include "storage-kit/atomic_file.hpp"
#include "storage-kit/json.hpp"

namespace larder::backup {
namespace {

namespace fs = std::filesystem;
using storage::DocumentPtr;
using storage::FileSystem;

constexpr std::string_view kStaging = ".staging", kManifests = ".manifests";

void link_to(const std::string& from, const std::string& to) {
    if (::link(from.c_str(), to.c_str()) != 0) {
        throw std::system_error(errno, std::generic_category(), "link " + to);
    }
}

bool is_same_file(const std::string& a, const std::string& b) {
    struct stat one {
    }, other{};
    return ::stat(a.c_str(), &one) == 0 && ::stat(b.c_str(), &other) == 0 &&
           one.st_ino == other.st_ino && one.st_dev == other.st_dev;
}

std::vector<Record> by_age(const std::vector<DocumentPtr>& documents) {
    std::vector<Record> records;
    for (const DocumentPtr& document : documents) {
        if (is_backup_id(document->key)) records.push_back(record_of(document->value));
    }
    std::sort(records.begin(), records.end(), is_older);
    return records;
}

}  // namespace

Error backup_not_found() {
    return {Errc::not_found, "backup-not-found", "there is no such backup"};
}

Catalog::Catalog(Host& host, std::string key_file)
    : host_(host),
      directory_(host.data_directory()),
      key_file_(std::move(key_file)),
      committer_("larder-backup-c") {
    auto& files = FileSystem::real();
    for (const auto name : {kStaging, kManifests}) {
        files.make_directory(fmt::format("{}/{}", folder(), name));
    }
    storage::StoreOptions options;
    options.shape = {"backups", "total_size", "size", "total_backups"};
    options.report = [this](const storage::Finding& finding) {
        host_.log().write(Level::warning, fmt::format("{}: {}", kIndexName, finding.text));
    };
    options.state_changed = [this](storage::StoreState state, const std::string& why) {
        using State = storage::StoreState;
        host_.report(state == State::open        ? Health::ok
                     : state == State::read_only ? Health::read_only
                                                 : Health::degraded,
                     why);
    };
    store_ = std::make_unique<storage::DocumentStore>(
        files, fmt::format("{}/{}", folder(), kIndexName), committer_, std::move(options));
    const std::vector<Record> records = all();
    clear_leftovers(records);
    tell_of_damage(records);
}

Catalog::~Catalog() {
    try {
        store_->close();
    } catch (const Error& error) {
        host_.log().write(Level::warning,
                          fmt::format("{}: {}; its journal stays", kIndexName, error.what()));
    }
}

// The alerts of the last run ended with it; the damage did not.
void Catalog::tell_of_damage(const std::vector<Record>& records) const {
    for (const Record& record : records) {
        if (!record.is_damaged) continue;
        host_.alerts().raise(damage_alert(record.backup_id), Severity::error,
                             fmt::format("backup {} was not whole when it was last verified; make "
                                         "another one, and delete it",
                                         record.backup_id));
    }
}

// A staged file whose archive has no record was on its way in, or on its way out: both go.
void Catalog::clear_leftovers(const std::vector<Record>& records) {
    auto& files = FileSystem::real();
    std::set<std::string> recorded;
    for (const Record& record : records) recorded.insert(record.file_path);
    const std::string staging = fmt::format("{}/{}", folder(), kStaging);
    std::vector<std::string> archives;
    for (const std::string& name : files.list(folder())) {
        if (is_backup_id(name.substr(0, name.find('.')))) archives.push_back(name);
    }
    for (const std::string& name : files.list(staging)) {
        const std::string path = fmt::format("{}/{}", staging, name);
        for (const std::string& archive : archives) {
            const bool is_listed = recorded.contains(fmt::format("{}/{}", kFolder, archive));
            const std::string other = fmt::format("{}/{}", folder(), archive);
            if (!is_listed && is_same_file(path, other)) files.remove(other);
        }
        fs::remove_all(path);
    }
    for (const std::string& archive : archives) {
        const std::string path = fmt::format("{}/{}", kFolder, archive);
        if (recorded.contains(path) || !files.exists(fmt::format("{}/{}", directory_, path))) {
            continue;
        }
        host_.log().write(
            Level::warning,
            fmt::format("{} is in no record and left alone; import it to use it", path));
    }
    for (const std::string& name : files.list(fmt::format("{}/{}", folder(), kManifests))) {
        if (!find(name.substr(0, name.find('.')))) {
            files.remove(fmt::format("{}/{}/{}", folder(), kManifests, name));
        }
    }
    files.sync_directory(folder());
}

// ---- looking

std::vector<Record> Catalog::all() const {
    return by_age(store_->list({}, {}, std::numeric_limits<std::size_t>::max()));
}

std::optional<Record> Catalog::find(std::string_view id) const {
    if (id == "latest") {
        auto records = all();
        if (records.empty()) return std::nullopt;
        return std::move(records.back());
    }
    if (!is_backup_id(id)) return std::nullopt;
    const DocumentPtr document = store_->get(id);
    if (!document) return std::nullopt;
    return record_of(document->value);
}

Record Catalog::get(std::string_view id) const {
    auto record = find(id);
    if (!record) throw backup_not_found();
    return *std::move(record);
}

std::string Catalog::manifest_path(const std::string& id) const {
    return fmt::format("{}/{}/{}.json", folder(), kManifests, id);
}

Manifest Catalog::manifest(const Record& record) const {
    auto& files = FileSystem::real();
    const std::string path = manifest_path(record.backup_id);
    if (files.exists(path)) {
        try {
            Manifest manifest = read_manifest(storage::read_file(files, path));
            if (manifest.checksum() == record.checksum) return manifest;
        } catch (const Error& error) {
            host_.log().write(Level::warning, fmt::format("{}: {}; it is read from the archive",
                                                          path, error.detail()));
        }
    }
    Reading reading = read_archive(archive_path(record), {key_file_, {}}, nullptr);
    if (!reading.has_manifest || reading.manifest.checksum() != record.checksum) {
        throw Error(Errc::corrupt, "damaged", "the archive is not as it was written; verify it");
    }
    storage::write_atomically(files, path, reading.manifest.json());
    return std::move(reading.manifest);
}

std::string Catalog::free_id(std::int64_t now_ms) const { return free_id(backup_id_at(now_ms)); }

std::string Catalog::free_id(const std::string& wanted) const {
    auto& files = FileSystem::real();
    const auto is_taken = [&](const std::string& id) {
        const std::string path = fmt::format("{}/{}.tar.gz", folder(), id);
        return find(id).has_value() || files.exists(path) || files.exists(path + ".enc");
    };
    std::string id = wanted;
    const std::string base = wanted.substr(0, backup_id_at(0).size());
    for (int number = 1; is_taken(id); ++number) id = fmt::format("{}-{}", base, number);
    return id;
}

std::string Catalog::staged(std::string_view name) const {
    return fmt::format("{}/{}/{}", folder(), kStaging, name);
}

std::string Catalog::archive_path(const Record& record) const {
    return fmt::format("{}/{}", directory_, record.file_path);
}

// ---- changing

void Catalog::commit(const storage::Change& change) {
    const storage::Outcome outcome = store_->commit_and_wait(change);
    if (outcome.refused) throw Error(*outcome.refused);
    try {
        store_->checkpoint();  // few and small: so the readable file is never behind
    } catch (const Error& error) {
        host_.log().write(Level::warning,
                          fmt::format("{}: {}; its journal goes on", kIndexName, error.what()));
    }
}

void Catalog::add(const Record& record, const Manifest& manifest, const std::string& staged_path) {
    const std::scoped_lock lock(changing_);
    if (record.is_incremental() && !find(record.parent)) {
        throw Error(Errc::conflict, "missing-parent",
                    fmt::format("{}, which it is based on, was deleted meanwhile", record.parent));
    }
    auto& files = FileSystem::real();
    const std::string path = archive_path(record);
    const std::string listed = manifest_path(record.backup_id);
    storage::write_atomically(files, listed, manifest.json());
    link_to(staged_path, path);
    try {
        files.sync_directory(folder());
        commit([&](storage::Transaction& transaction) {
            transaction.set(record.backup_id, record_json(record), 0, {});
        });
    } catch (const std::exception&) {
        files.remove(path);
        files.remove(listed);
        throw;
    }
    files.remove(staged_path);
}

void Catalog::update(const Record& record) {
    commit([&](storage::Transaction& transaction) {
        if (transaction.get(record.backup_id) == nullptr) return;  // removed meanwhile
        transaction.set(record.backup_id, record_json(record), 0, {});
    });
}

void Catalog::remove(const std::string& id) {
    const std::scoped_lock lock(changing_);
    auto& files = FileSystem::real();
    const Record record = get(id);
    const auto records = all();
    const auto is_other = [&](const Record& other) { return other.backup_id != record.backup_id; };
    for (const Record& other : records) {
        if (other.parent != record.backup_id) continue;
        throw Error(Errc::conflict, "has-dependents",
                    fmt::format("{} is based on it; delete that one first", other.backup_id));
    }
    const bool is_last = std::none_of(records.begin(), records.end(), [&](const Record& other) {
        // One of some components is no stand-in for one of all.
        return is_other(other) && other.verified_ms != 0 &&
               (record.is_partial || !other.is_partial);
    });
    if (record.verified_ms != 0 && is_last) {
        throw Error(Errc::conflict, "last-verified",
                    "it is the only backup that is known to be whole; make and verify another one "
                    "first");
    }
    const std::string path = archive_path(record), leaving = staged(record.backup_id + ".gone");
    const bool is_there = files.exists(path);
    if (is_there) {
        files.remove(leaving);
        link_to(path, leaving);
        files.sync_directory(storage::parent_of(leaving));
    }
    commit([&](storage::Transaction& transaction) { transaction.remove(record.backup_id); });
    host_.alerts().resolve(damage_alert(record.backup_id));
    host_.alerts().resolve(unreadable_alert(record.backup_id));
    files.remove(path);
    files.remove(manifest_path(record.backup_id));
    files.sync_directory(folder());
    files.remove(leaving);
}

}  // namespace larder::backup
