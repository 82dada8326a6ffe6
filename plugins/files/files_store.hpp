// The files as a whole: bytes, records and quota brought together, so that a file is there with its
// record or not at all. Knows no HTTP but the errors it throws.
#pragma once

#include <atomic>
#include <cstdint>
#include <functional>
#include <map>
#include <memory>
#include <mutex>
#include <set>
#include <string>
#include <string_view>
#include <unordered_map>
#include <vector>

#include "files_blobs.hpp"
#include "files_catalog.hpp"
#include "files_open.hpp"
#include "files_quota.hpp"
#include "files_type.hpp"
#include "larder/host.hpp"

namespace larder::files {

// A staged file that is to become one: synced, and known in all that a record tells.
struct Finished {
    std::string path;  // its staged name
    Quota::Reservation* room;
    std::uint64_t size;
    std::string original_name;  // sanitized
    std::string mime_type, sent_mime_type;
    std::string sha256;  // lower hex
};

// Who sent it.
struct Sender {
    std::string ip, principal, request_id;
};

enum class Integrity : std::uint8_t { whole = 1, damaged, missing, gone };

class Files {
public:
    // Recovers what is there, and clears what a crash left. Throws Error. [control]
    explicit Files(Host& host);
    ~Files();
    Files(const Files&) = delete;
    Files& operator=(const Files&) = delete;

    Catalog& catalog() noexcept { return catalog_; }
    Quota& quota() noexcept { return quota_; }
    Blobs& blobs() noexcept { return blobs_; }
    Host& host() noexcept { return host_; }

    void take_settings(const Settings& settings);  // those that may change while running [control]
    std::uint64_t max_file_size() const;           // [any]
    std::int64_t upload_expiry_ms() const;         // of resumable uploads [any]
    std::uint64_t scrub_rate() const;              // bytes a second, 0: as fast as it goes [any]

    // The sanitized name. Throws Error{unsupported_media, "blocked-extension"}. [any]
    std::string checked_name(std::string_view name) const;
    // Throws Error{too_large, "file-too-large"}. [any]
    void check_size(std::uint64_t bytes) const;
    // Throws Error{no_space, "disk-full"} where so much cannot be written. [any]
    void check_disk(std::uint64_t bytes) const;

    // By its first bytes. Throws std::system_error. [worker]
    std::string type_of(const StagedFile& file);
    // Makes files of them, all or none, and tells the world. The staged names are left to the
    // caller, who must keep them where Error{io_failed} is thrown: the next start needs them to
    // tell what became of it. Throws Error. [worker]
    std::vector<Record> publish(const std::vector<Finished>& finished, const Sender& sender);

    // The record of a live file. Throws Error{not_found, "file-not-found"}. [any]
    EntryPtr find(std::string_view filename) const;
    // Its bytes: what is open already, or null [any]; or opened now, which throws Error{corrupt,
    // "file-damaged"} for what is not as its record says [worker].
    OpenFilePtr find_open(std::string_view filename);
    OpenFilePtr open(const EntryPtr& entry);

    // `judge` may throw to refuse. Throws Error{not_found, "file-not-found"}. [worker]
    void remove(const std::string& filename, const std::function<void(const Record&)>& judge);

    // Re-reads a file and remembers what it found. `pace` is told of bytes read; false ends it
    // early, as if the file was whole. [worker]
    Integrity verify(const EntryPtr& entry, const std::function<bool(std::uint64_t)>& pace);

    // What a start found, and verify() since: names, sorted. [any]
    struct Strays {
        std::vector<std::string> orphans;  // files without a record
        std::vector<std::string> missing;  // records without a file
        std::vector<std::string> damaged;
    };
    Strays strays() const;

    // While one of these lives, no file goes from the disk: removals wait for it. [any]
    std::shared_ptr<void> keep_all();

    void report_quota() noexcept;  // [any]
    Counter& downloads() noexcept { return downloads_; }

private:
    std::string link_name(const Finished& file, std::int64_t now_ms);
    void reconcile();
    void finish_removal(const std::string& filename);
    void note_integrity(const std::string& filename, Integrity found);
    void report_strays();
    void set_health(const std::string& what, storage::StoreState state, const std::string& why);

    Host& host_;
    Blobs blobs_;
    Quota quota_;
    TypeDetector types_;
    OpenFiles open_;

    struct Limits {
        std::uint64_t max_file_size = 0, scrub_rate = 0;
        std::int64_t retention_ms = 0, upload_expiry_ms = 0;
        std::vector<std::string> blocked;
    };
    mutable std::mutex limits_mutex_;
    Limits limits_;  // guarded by limits_mutex_

    std::mutex names_mutex_;
    std::int64_t names_second_ = 0;                           // guarded by names_mutex_
    std::unordered_map<std::string, unsigned> next_numbers_;  // of that second; guarded as well

    mutable std::mutex strays_mutex_;
    std::set<std::string> orphans_, missing_, damaged_;  // guarded by strays_mutex_

    std::mutex moments_mutex_;
    std::size_t moments_ = 0;            // guarded by moments_mutex_
    std::vector<std::string> deferred_;  // removals that wait for moments; guarded as well

    std::mutex health_mutex_;
    std::map<std::string, std::pair<storage::StoreState, std::string>> unwell_;  // guarded by it

    std::atomic<bool> quota_raised_{false};

    Counter& uploads_;
    Counter& downloads_;
    Gauge& used_;
    Gauge& count_;

    Catalog catalog_;  // last: its committer calls what stands above
};

}  // namespace larder::files
