// The buckets: which there are, in which files they stand, and their upkeep. Knows no HTTP.
#pragma once

#include <chrono>
#include <condition_variable>
#include <cstdint>
#include <functional>
#include <map>
#include <memory>
#include <mutex>
#include <shared_mutex>
#include <string>
#include <string_view>
#include <thread>
#include <vector>

#include "kv_history.hpp"
#include "larder/host.hpp"
#include "storage-kit/document_store.hpp"

namespace larder::kv {

// 1-64 of [a-z0-9_-], the first no dash or underscore.
bool is_bucket_name(std::string_view name) noexcept;

// The bucket's file below the data directory: "storage.json", "config/feature_flags.json",
// "kv/<name>.json".
std::string bucket_file(std::string_view name);

class Bucket {
public:
    Bucket(std::string name, std::string file, HistoryPool& pool)
        : name_(std::move(name)), file_(std::move(file)), history_(pool) {}

    const std::string& name() const noexcept { return name_; }
    const std::string& file() const noexcept { return file_; }
    // Throws Error{unavailable, "bucket-unreadable"} when its file could not be read at start.
    storage::DocumentStore& store() const;
    bool is_readable() const noexcept { return store_ != nullptr; }
    History& history() noexcept { return history_; }

private:
    friend class Buckets;
    const std::string name_, file_;
    History history_;
    std::unique_ptr<storage::DocumentStore> store_;  // null: unreadable
    // Only the upkeep thread: the last checkpoint, when the next may be tried, and at which
    // revision one was tried for a full disk's sake.
    std::chrono::steady_clock::time_point folded_{}, not_before_{};
    std::uint64_t tried_full_ = 0;
};

struct BucketsOptions {
    std::string data_directory;
    std::uint64_t checkpoint_size = 0;
    std::chrono::milliseconds checkpoint_interval{};
    std::uint64_t watch_history = 0;  // bytes of recent changes, over all buckets
};

class Buckets {
public:
    // Opens what is there; a bucket whose file cannot be read stands as unreadable and is reported.
    // Throws Error for what concerns all of them. [control]
    Buckets(BucketsOptions options, Host& host);
    ~Buckets();  // waits for what is pending; folds every journal [control]
    Buckets(const Buckets&) = delete;
    Buckets& operator=(const Buckets&) = delete;

    // Null for a bucket that never was. [any]
    std::shared_ptr<Bucket> find(std::string_view name) const;
    // The same for one that was, and was removed. [any]
    std::shared_ptr<Bucket> find_even_removed(std::string_view name) const;
    // Made if it was not; it has no file before its first write. Throws Error{bad_request,
    // "invalid-bucket"} and Error{no_space, "too-many-buckets"}. [any]
    std::shared_ptr<Bucket> find_or_make(std::string_view name);
    std::vector<std::shared_ptr<Bucket>> all() const;  // those that are, by name [any]
    // hold(true) returns when no change is under way; none begins before hold(false). [any]
    void hold(bool on) { committer_.hold(on); }
    storage::Committer::Progress progress() const { return committer_.progress(); }  // [any]
    HistoryPool& histories() noexcept { return histories_; }

private:
    struct Illness {
        std::string why;
        bool read_only;
    };
    std::shared_ptr<Bucket> open(const std::string& name);
    void report_health();
    void keep_up();  // checkpoints by size and age, and the end of what has expired
    static std::chrono::milliseconds end_what_is_due(storage::DocumentStore& store);
    void fold_if_due(Bucket& bucket);

    const BucketsOptions options_;
    Host& host_;
    HistoryPool histories_;
    storage::Committer committer_;

    mutable std::shared_mutex mutex_;
    std::map<std::string, std::shared_ptr<Bucket>, std::less<>> buckets_;  // guarded by mutex_

    std::mutex health_mutex_;
    std::map<std::string, Illness> unwell_;  // by bucket; guarded by health_mutex_

    std::mutex upkeep_mutex_;
    std::condition_variable upkeep_;
    bool ending_ = false;  // guarded by upkeep_mutex_
    std::thread upkeep_thread_;
};

}  // namespace larder::kv
