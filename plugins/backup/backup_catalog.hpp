// The backups that there are: records in backups/backup_index.json, archives beside it, manifests
// kept at hand. Every change is whole after a kill. Not the making and reading of archives.
#pragma once

#include <functional>
#include <mutex>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "backup_record.hpp"
#include "larder/host.hpp"
#include "storage-kit/disk_error.hpp"
#include "storage-kit/document_store.hpp"

namespace larder::backup {

inline constexpr std::string_view kFolder = "backups";
inline constexpr std::string_view kIndexName = "backup_index.json";

using storage::disk_error;
Error backup_not_found();

class Catalog {
public:
    // Opens the index, and removes what a kill left. Throws Error, std::system_error. [control]
    Catalog(Host& host, std::string key_file);
    ~Catalog();
    Catalog(const Catalog&) = delete;
    Catalog& operator=(const Catalog&) = delete;

    std::vector<Record> all() const;  // oldest first [any]
    // By id, or "latest". [any]
    std::optional<Record> find(std::string_view id) const;
    Record get(std::string_view id) const;  // throws backup_not_found() [any]
    // From the manifest at hand, else from the archive. Throws Error{corrupt}. [worker]
    Manifest manifest(const Record& record) const;

    // An id that no backup has: of this time, with "-1", "-2"… where it is taken. [worker]
    std::string free_id(std::int64_t now_ms) const;
    std::string free_id(const std::string& wanted) const;
    std::string staged(std::string_view name) const;  // a path in the staging folder
    std::string archive_path(const Record& record) const;
    const std::string& data_directory() const noexcept { return directory_; }

    // The changes throw the store's Error, std::system_error. [worker]

    // A finished archive that stands at `staged_path`; takes it over. Throws Error{conflict,
    // "missing-parent"} where what it is based on went meanwhile.
    void add(const Record& record, const Manifest& manifest, const std::string& staged_path);
    void update(const Record& record);
    // Throws Error{conflict} "has-dependents", "last-verified".
    void remove(const std::string& id);
    storage::Committer& committer() noexcept { return committer_; }

private:
    std::string folder() const { return directory_ + "/" + std::string(kFolder); }
    std::string manifest_path(const std::string& id) const;
    void clear_leftovers(const std::vector<Record>& records);
    void tell_of_damage(const std::vector<Record>& records) const;
    void commit(const storage::Change& change);

    Host& host_;
    const std::string directory_, key_file_;
    storage::Committer committer_;
    std::mutex changing_;  // held over add() and remove(), which look at other records
    std::unique_ptr<storage::DocumentStore> store_;
};

}  // namespace larder::backup
