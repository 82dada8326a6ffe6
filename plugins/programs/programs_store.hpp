// All programs: their records in programs.json, their folders beside it, and how much they may
// hold. Knows neither HTTP nor how programs are run.
//
// A program's folder is whole and synced under programs/.staging/<id> before its record is
// committed, and gets its place after that; the next start finishes what a kill came between.
#pragma once

#include <atomic>
#include <cstdint>
#include <functional>
#include <map>
#include <memory>
#include <mutex>
#include <optional>
#include <set>
#include <string>
#include <string_view>
#include <vector>

#include "larder/host.hpp"
#include "programs_folder.hpp"
#include "programs_record.hpp"
#include "storage-kit/document_store.hpp"

namespace larder::programs {

class ProgramStore {
public:
    // Room that an upload holds; given back by its destructor.
    class Room {
    public:
        explicit Room(ProgramStore& store) : store_(store) {}
        ~Room();
        Room(const Room&) = delete;
        Room& operator=(const Room&) = delete;
        // Throws Error{no_space, "quota-exceeded"} with `available`.
        void add(std::uint64_t bytes);

    private:
        ProgramStore& store_;
        std::uint64_t held_ = 0;
    };

    // Recovers what is there. Throws what DocumentStore throws, std::system_error. [control]
    ProgramStore(Host& host, std::string folder);
    ~ProgramStore();
    ProgramStore(const ProgramStore&) = delete;
    ProgramStore& operator=(const ProgramStore&) = delete;

    Host& host() noexcept { return host_; }
    const std::string& folder() const noexcept { return folder_; }
    std::string folder_of(std::string_view id) const;
    static storage::Shape shape();

    // Throws Error{not_found, "program-not-found"}. [any]
    Record find(std::string_view id) const;
    std::optional<Record> look(std::string_view id) const;
    std::vector<Record> list(const std::string& after, std::size_t limit) const;

    struct Figures {
        std::uint64_t programs = 0, projects = 0, used = 0, quota = 0;
    };
    Figures figures() const;
    void set_quota(std::uint64_t bytes);

    // The following throw Error. [worker]

    std::string new_staging_path();
    // Gives the staged folder an id and a record. `record` wants all but the id.
    Record publish(Record record, StagedFolder& staged, bool is_project);
    // `edit` may throw to refuse. Its .metadata.json follows.
    Record edit(std::string_view id, const std::function<void(Record&)>& edit);
    void remove(std::string_view id);

    // Counts a run that ended; `done` is called when that is durable, or refused. [any]
    void count_run(std::string_view id, std::int64_t ended_ms, double seconds, bool succeeded,
                   std::function<void()> done);

    storage::DocumentStore& documents() noexcept { return *documents_; }
    storage::Committer& committer() noexcept { return committer_; }
    // While it lives, folders of removed programs stay, in .trash. [any]
    std::shared_ptr<void> keep_all();
    std::string trash_of(std::string_view id) const;

private:
    void apply(const std::vector<storage::Event>& events);
    void reconcile();
    std::string free_id(bool is_project);
    void write_metadata(const Record& record) const noexcept;
    void set_health(storage::StoreState state, const std::string& why);

    Host& host_;
    const std::string folder_;
    std::atomic<std::uint64_t> staged_{0};

    mutable std::mutex mutex_;  // guards what follows, up to the next one
    std::map<std::string, std::uint64_t, std::less<>> sizes_;
    std::uint64_t used_ = 0, reserved_ = 0, quota_ = 0, projects_ = 0;
    std::set<std::string> arriving_;
    unsigned moments_ = 0;
    std::vector<std::string> doomed_;

    storage::Committer committer_;
    std::unique_ptr<storage::DocumentStore> documents_;
};

Error program_not_found();

}  // namespace larder::programs
