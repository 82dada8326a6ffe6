// Memory follows the store: what its commits tell, in their order, is put into the sums.
//
//   life         opening, reconciling
//   reading
//   room
//   changes
#include "programs_store.hpp"

#include <fmt/format.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <filesystem>
#include <limits>
#include <utility>

#include "larder/time.hpp"
#include "storage-kit/atomic_file.hpp"
#include "storage-kit/file_system.hpp"
#include "storage-kit/json.hpp"

namespace larder::programs {
namespace {

namespace fs = std::filesystem;
using storage::DocumentPtr;
using storage::Event;
using storage::Finding;
using storage::Outcome;
using storage::StoreState;
using storage::Transaction;

Level level_of(Finding::Kind kind) {
    return kind == Finding::Kind::damaged || kind == Finding::Kind::unreadable ? Level::error
           : kind == Finding::Kind::recovered                                  ? Level::info
                                                                               : Level::warning;
}

bool exists(const std::string& path) {
    struct stat status {};
    return ::lstat(path.c_str(), &status) == 0;
}

void check(const Outcome& outcome) {
    if (outcome.refused) throw Error(*outcome.refused);
}

Record record_in(const Transaction& transaction, std::string_view id) {
    const DocumentPtr document = transaction.get(id);
    auto record = document ? record_of(id, document->value) : std::nullopt;
    if (!record) throw program_not_found();
    return std::move(*record);
}

}  // namespace

Error program_not_found() {
    return {Errc::not_found, "program-not-found", "there is no such program"};
}

// ---- life

storage::Shape ProgramStore::shape() {
    return {"programs", "total_size", "size", "total_programs", "total_projects", "project_"};
}

ProgramStore::ProgramStore(Host& host, std::string folder)
    : host_(host), folder_(std::move(folder)), committer_("larder-programs") {
    auto& files = storage::FileSystem::real();
    for (const char* inner : {"", "/.staging", "/.trash", "/logs"}) {
        files.make_directory(folder_ + inner);
    }
    storage::StoreOptions options;
    options.shape = shape();
    options.report = [this](const Finding& finding) {
        host_.log().write(level_of(finding.kind), finding.text);
    };
    options.state_changed = [this](StoreState state, const std::string& why) {
        set_health(state, why);
    };
    options.changed = [this](std::vector<Event>&& events) {
        if (documents_) apply(events);  // what the journal brings at the opening is listed below
    };
    auto opened = std::make_unique<storage::DocumentStore>(files, folder_ + "/programs.json",
                                                           committer_, std::move(options));
    for (const DocumentPtr& document :
         opened->list({}, {}, std::numeric_limits<std::size_t>::max())) {
        const auto record = record_of(document->key, document->value);
        if (!record) continue;
        sizes_.emplace(record->id, record->size);
        used_ += record->size;
        projects_ += record->is_project() ? 1 : 0;
    }
    documents_ = std::move(opened);
    reconcile();
}

ProgramStore::~ProgramStore() {
    try {
        documents_->close();
    } catch (const Error& error) {
        host_.log().write(Level::error,
                          fmt::format("the records were not folded into programs.json: {}; their "
                                      "journal keeps what the file lacks",
                                      error.what()));
    }
}

void ProgramStore::set_health(StoreState state, const std::string& why) {
    if (state == StoreState::read_only) {
        host_.report(Health::read_only, why);
    } else {
        host_.report(state == StoreState::full ? Health::degraded : Health::ok, why);
    }
}

void ProgramStore::reconcile() {
    for (const auto& entry : fs::directory_iterator(folder_ + "/.staging")) {
        const std::string id = entry.path().filename().string();
        if (look(id) && !exists(folder_of(id))) {
            fs::rename(entry.path(), folder_of(id));
        } else {
            remove_tree(entry.path());
        }
    }
    for (const auto& entry : fs::directory_iterator(folder_ + "/.trash")) {
        const std::string id = entry.path().filename().string();
        if (look(id) && !exists(folder_of(id))) {
            fs::rename(entry.path(), folder_of(id));  // its removal was not acknowledged
        } else {
            remove_tree(entry.path());
        }
    }
    storage::FileSystem::real().sync_directory(folder_);
    for (const auto& [id, size] : sizes_) {
        if (exists(folder_of(id))) {
            // A folder that Larder made tells so by its metadata; another may be closed to
            // programs.
            if (!exists(folder_of(id) + "/" + std::string(kMetadataFile))) {
                open_to_programs(folder_of(id));
            }
            continue;
        }
        host_.log().write(Level::error,
                          fmt::format("the folder of {} is missing: restore it from a backup, or "
                                      "delete the program",
                                      id));
    }
    for (const auto& entry : fs::directory_iterator(folder_)) {
        const std::string name = entry.path().filename().string();
        if (!name.starts_with("program_") && !name.starts_with("project_")) continue;
        if (look(name)) continue;
        host_.log().write(Level::warning,
                          fmt::format("the folder programs/{} has no record: it is kept, and not "
                                      "shown",
                                      storage::json::quoted(name)));
    }
}

void ProgramStore::apply(const std::vector<Event>& events) {
    const std::scoped_lock lock(mutex_);
    for (const Event& event : events) {
        const std::string id(event.document->key);
        const bool is_project = id.starts_with("project_");
        const auto known = sizes_.find(id);
        if (known != sizes_.end()) {
            used_ -= known->second;
            projects_ -= is_project ? 1 : 0;
            sizes_.erase(known);
        }
        if (event.kind != Event::Kind::set) continue;
        const auto record = record_of(id, event.document->value);
        if (!record) continue;
        used_ += record->size;
        projects_ += is_project ? 1 : 0;
        sizes_.emplace(id, record->size);
    }
}

// ---- reading

std::string ProgramStore::folder_of(std::string_view id) const {
    return fmt::format("{}/{}", folder_, id);
}
std::string ProgramStore::trash_of(std::string_view id) const {
    return fmt::format("{}/.trash/{}", folder_, id);
}

std::optional<Record> ProgramStore::look(std::string_view id) const {
    const DocumentPtr document = documents_->get(id);
    return document ? record_of(id, document->value) : std::nullopt;
}

Record ProgramStore::find(std::string_view id) const {
    auto record = look(id);
    if (!record) throw program_not_found();
    return std::move(*record);
}

std::vector<Record> ProgramStore::list(const std::string& after, std::size_t limit) const {
    std::vector<Record> records;
    for (const DocumentPtr& document : documents_->list({}, after, limit)) {
        if (auto record = record_of(document->key, document->value)) {
            records.push_back(std::move(*record));
        }
    }
    return records;
}

ProgramStore::Figures ProgramStore::figures() const {
    const std::scoped_lock lock(mutex_);
    return {sizes_.size(), projects_, used_, quota_};
}

// ---- room

void ProgramStore::set_quota(std::uint64_t bytes) {
    const std::scoped_lock lock(mutex_);
    quota_ = bytes;
}

void ProgramStore::Room::add(std::uint64_t bytes) {
    const std::scoped_lock lock(store_.mutex_);
    const std::uint64_t taken = store_.used_ + store_.reserved_;
    const std::uint64_t available = store_.quota_ > taken ? store_.quota_ - taken : 0;
    if (bytes > available) {
        throw Error(Errc::no_space, "quota-exceeded",
                    fmt::format("the programs' quota leaves room for {} bytes", available))
            .with("available", std::to_string(available));
    }
    store_.reserved_ += bytes;
    held_ += bytes;
}

ProgramStore::Room::~Room() {
    const std::scoped_lock lock(store_.mutex_);
    store_.reserved_ -= held_;
}

// ---- changes

std::string ProgramStore::new_staging_path() {
    return fmt::format("{}/.staging/{}.{}", folder_, ::getpid(), staged_.fetch_add(1));
}

std::string ProgramStore::free_id(bool is_project) {
    const std::string base =
        fmt::format("{}_{}", is_project ? "project" : "program", unix_now_ms() / 1000);
    const std::scoped_lock lock(mutex_);
    std::string id = base;
    for (unsigned number = 1;; ++number) {
        const bool is_taken = arriving_.contains(id) || sizes_.contains(id) ||
                              exists(folder_of(id)) || exists(trash_of(id));
        if (!is_taken) break;
        id = fmt::format("{}-{}", base, number);
    }
    arriving_.insert(id);
    return id;
}

Record ProgramStore::publish(Record record, StagedFolder& staged, bool is_project) {
    record.id = free_id(is_project);
    record.uploaded_ms = unix_now_ms();
    try {
        staged.make_file(std::string(kMetadataFile),
                         [&](const auto& write) { write(record_json(record) + "\n"); });
        staged.sync();
        staged.rename(fmt::format("{}/.staging/{}", folder_, record.id));
        storage::FileSystem::real().sync_directory(folder_ + "/.staging");
        check(documents_->commit_and_wait([&](Transaction& transaction) {
            transaction.set(record.id, record_json(record), 0, {});
        }));
    } catch (const Error& error) {
        // After a failed sync nobody knows whether the record is on disk: the next start will.
        if (error.code() == Errc::io_failed) staged.keep();
        const std::scoped_lock lock(mutex_);
        arriving_.erase(record.id);
        throw;
    } catch (const std::system_error& error) {
        const std::scoped_lock lock(mutex_);
        arriving_.erase(record.id);
        throw disk_error(error);
    }
    {
        const std::scoped_lock lock(mutex_);
        arriving_.erase(record.id);
    }
    try {
        staged.rename(folder_of(record.id));
        staged.keep();
        storage::FileSystem::real().sync_directory(folder_);
    } catch (const std::system_error& error) {
        staged.keep();  // the record stands; the next start finishes it
        throw disk_error(error);
    }
    return record;
}

void ProgramStore::write_metadata(const Record& record) const noexcept {
    try {
        const std::string path = folder_of(record.id) + "/" + std::string(kMetadataFile);
        storage::write_atomically(storage::FileSystem::real(), path, record_json(record) + "\n");
    } catch (const std::system_error& error) {
        host_.log().write(Level::warning, fmt::format("the metadata of {} was not written ({}); "
                                                      "programs.json has it",
                                                      record.id, error.what()));
    }
}

Record ProgramStore::edit(std::string_view id, const std::function<void(Record&)>& edit) {
    Record record;
    check(documents_->commit_and_wait([&](Transaction& transaction) {
        record = record_in(transaction, id);
        edit(record);
        transaction.set(id, record_json(record), 0, {});
    }));
    write_metadata(record);
    return record;
}

void ProgramStore::count_run(std::string_view id, std::int64_t ended_ms, double seconds,
                             bool succeeded, std::function<void()> done) {
    documents_->commit(
        [id = std::string(id), ended_ms, seconds, succeeded](Transaction& transaction) {
            Record record = record_in(transaction, id);
            ++record.execution_count;
            ++(succeeded ? record.success_count : record.error_count);
            record.total_execution_time += seconds;
            record.last_executed_ms = ended_ms;
            transaction.set(id, record_json(record), 0, {});
        },
        [done = std::move(done)](const Outcome&) { done(); });
}

void ProgramStore::remove(std::string_view id) {
    find(id);
    const std::string folder = folder_of(id), trash = trash_of(id);
    const bool moved = ::rename(folder.c_str(), trash.c_str()) == 0;
    if (!moved && errno != ENOENT) {
        throw disk_error(std::system_error(errno, std::generic_category(), "rename"));
    }
    try {
        check(documents_->commit_and_wait([&](Transaction& transaction) {
            record_in(transaction, id);
            transaction.remove(id);
        }));
    } catch (const Error& error) {
        // Failed: the next start knows whether it was removed. Not found: somebody else did it.
        const bool refused = error.code() != Errc::not_found && error.code() != Errc::io_failed;
        // Where that fails, too, the next start puts it back.
        if (moved && refused) (void)::rename(trash.c_str(), folder.c_str());
        throw;
    }
    {
        const std::scoped_lock lock(mutex_);
        if (moments_ > 0) {
            doomed_.emplace_back(id);
            return;
        }
    }
    remove_tree(trash);
}

std::shared_ptr<void> ProgramStore::keep_all() {
    {
        const std::scoped_lock lock(mutex_);
        ++moments_;
    }
    return {this, [](void* store) {
                auto& self = *static_cast<ProgramStore*>(store);
                std::vector<std::string> doomed;
                {
                    const std::scoped_lock lock(self.mutex_);
                    if (--self.moments_ == 0) doomed.swap(self.doomed_);
                }
                for (const std::string& id : doomed) remove_tree(self.trash_of(id));
            }};
}

}  // namespace larder::programs
