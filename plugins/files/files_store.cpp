// Publishing and removing are the two ways of a file, each safe against a crash at any step; the
// README's table tells what each leaves and what reconcile() makes of it.
//
//   life, settings
//   judging uploads
//   publishing
//   opening
//   removing
// Integrity, strays and health: files_integrity.cpp.
#include "files_store.hpp"

#include <fmt/format.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <system_error>
#include <utility>

#include "files_digest.hpp"
#include "files_name.hpp"
#include "larder/time.hpp"

namespace larder::files {
namespace {

using storage::Finding;
using storage::StoreState;

constexpr std::size_t kMostOpen = 256;  // files kept open for downloads
constexpr std::string_view kOctets = "application/octet-stream";

Error damaged(std::string_view reason) {
    return std::move(
        Error(Errc::corrupt, "file-damaged",
              fmt::format("the file is not what was stored: {}; restore it from a backup, or "
                          "delete it",
                          reason))
            .with("reason", fmt::format("\"{}\"", reason)));
}

Level level_of(Finding::Kind kind) {
    return kind == Finding::Kind::damaged || kind == Finding::Kind::unreadable ? Level::error
           : kind == Finding::Kind::recovered                                  ? Level::info
                                                                               : Level::warning;
}

void make_headers(OpenFile& file, const Record& record) {
    file.etag = fmt::format("\"{}\"", record.hash);
    file.unmodified = {{"ETag", file.etag},
                       {"Repr-Digest", digest_field(record.hash)},
                       {"Last-Modified", http_date(record.uploaded_ms / 1000)},
                       {"Accept-Ranges", "bytes"}};
    file.headers = {
        {"Content-Type", record.mime_type},
        {"Content-Disposition", content_disposition("attachment", record.original_name)}};
    file.headers.insert(file.headers.end(), file.unmodified.begin(), file.unmodified.end());
}

// Of what can be told without reading it: it has a name, and the size of its record.
bool is_as_recorded(int fd, const Record& record) {
    struct stat status {};
    return ::fstat(fd, &status) == 0 && S_ISREG(status.st_mode) && status.st_nlink > 0 &&
           static_cast<std::uint64_t>(status.st_size) == record.size;
}

}  // namespace

// ---- life, settings

Files::Files(Host& host)
    : host_(host),
      blobs_(fmt::format("{}/files", host.data_directory())),
      open_(kMostOpen),
      uploads_(host.metrics().counter("larder_files_uploads_total", "Files that were stored.")),
      downloads_(host.metrics().counter("larder_files_downloads_total",
                                        "Downloads that began with a file's first byte.")),
      used_(host.metrics().gauge("larder_files_used_bytes", "The sum of the files' sizes.")),
      count_(host.metrics().gauge("larder_files_stored", "How many files there are.")),
      catalog_(
          blobs_.path_of(kRecordsFile), quota_,
          [this](const Finding& finding) {
              host_.log().write(level_of(finding.kind), finding.text);
          },
          [this](StoreState state, const std::string& why) { set_health("records", state, why); },
          [this](const std::string& filename, const EntryPtr& /*after*/) {
              open_.forget(filename);
          }) {
    take_settings(host.settings());
    reconcile();
    report_quota();
}

Files::~Files() {
    try {
        catalog_.write_counts();
        catalog_.store().close();
    } catch (const Error& error) {
        host_.log().write(Level::error,
                          fmt::format("the records were not folded into {}: {}; their journal "
                                      "keeps what the file lacks",
                                      kRecordsFile, error.what()));
    }
}

void Files::take_settings(const Settings& settings) {
    Limits limits;
    limits.max_file_size = settings.bytes("max_file_size");
    limits.scrub_rate = settings.bytes("scrub_rate");
    limits.retention_ms = settings.duration("retention").count();
    limits.upload_expiry_ms = settings.duration("upload_expiry").count();
    limits.blocked = extension_list(settings.text("blocked_extensions"));
    quota_.set_limit(settings.bytes("quota"));
    const std::scoped_lock lock(limits_mutex_);
    limits_ = std::move(limits);
}

std::uint64_t Files::max_file_size() const {
    const std::scoped_lock lock(limits_mutex_);
    return limits_.max_file_size;
}

std::int64_t Files::upload_expiry_ms() const {
    const std::scoped_lock lock(limits_mutex_);
    return limits_.upload_expiry_ms;
}

std::uint64_t Files::scrub_rate() const {
    const std::scoped_lock lock(limits_mutex_);
    return limits_.scrub_rate;
}

// ---- judging uploads

std::string Files::checked_name(std::string_view name) const {
    std::string safe = sanitized_name(name);
    const std::string extension = folded_extension(safe);
    const std::scoped_lock lock(limits_mutex_);
    const auto& blocked = limits_.blocked;
    if (!extension.empty() &&
        std::find(blocked.begin(), blocked.end(), extension) != blocked.end()) {
        throw Error(Errc::unsupported_media, "blocked-extension",
                    "files with this extension are not taken; files.blocked_extensions lists them");
    }
    return safe;
}

void Files::check_size(std::uint64_t bytes) const {
    const std::uint64_t most = max_file_size();
    if (bytes <= most) return;
    throw Error(Errc::too_large, "file-too-large", fmt::format("a file may hold {} bytes", most))
        .with("limit", std::to_string(most));
}

void Files::check_disk(std::uint64_t bytes) const {
    if (bytes <= blobs_.free_bytes()) return;
    throw Error(Errc::no_space, "disk-full", "the disk has no room for the file");
}

// ---- publishing

// The first free one of name_T, name_T-1, …; the file system says which is free.
std::string Files::link_name(const Finished& file, std::int64_t now_ms) {
    const std::int64_t second = now_ms / 1000;
    for (;;) {
        unsigned number = 0;
        {
            const std::scoped_lock lock(names_mutex_);
            if (std::exchange(names_second_, second) != second) next_numbers_.clear();
            number = next_numbers_[file.original_name]++;
        }
        std::string name = stored_name(file.original_name, second, number);
        if (catalog_.find(name) != nullptr) continue;  // a record without a file holds it as well
        if (blobs_.link(file.path, name)) return name;
    }
}

std::string Files::type_of(const StagedFile& file) {
    std::string type = types_.type_of(file.beginning(TypeDetector::kLooksAt));
    return is_media_type(type) ? type : std::string(kOctets);
}

std::vector<Record> Files::publish(const std::vector<Finished>& finished, const Sender& sender) {
    std::vector<Record> records;
    std::int64_t retention_ms = 0;
    {
        const std::scoped_lock lock(limits_mutex_);
        retention_ms = limits_.retention_ms;
    }
    const auto unlink_all = [&] {
        for (const Record& record : records) {
            ::unlink(blobs_.path_of(record.filename).c_str());
        }
    };
    try {
        for (const Finished& file : finished) {
            Record record;
            record.original_name = file.original_name.empty() ? "file" : file.original_name;
            record.sent_mime_type = is_media_type(file.sent_mime_type) ? file.sent_mime_type : "";
            record.mime_type = file.mime_type;
            record.hash = file.sha256;
            record.uploader_ip = sender.ip;
            record.size = file.size;
            record.uploaded_ms = record.accessed_ms = unix_now_ms();
            if (retention_ms > 0) record.expires_ms = record.uploaded_ms + retention_ms;
            record.filename = link_name(file, record.uploaded_ms);
            records.push_back(std::move(record));
        }
        blobs_.sync_folder();
    } catch (const std::system_error& error) {
        unlink_all();
        throw disk_error(error);
    } catch (const Error& error) {
        unlink_all();
        if (error.code() == Errc::io_failed) {
            set_health("folder", StoreState::read_only, "the folder of the files cannot be synced");
        }
        throw;
    }
    std::vector<Arrival> arrivals;
    for (std::size_t i = 0; i < records.size(); ++i) {
        arrivals.push_back({records[i], finished[i].room});
    }
    try {
        catalog_.add(std::move(arrivals));
    } catch (const Error& error) {
        // After a failed sync nobody knows whether the records are on disk: the next start will.
        if (error.code() != Errc::io_failed) unlink_all();
        throw;
    }
    for (const Record& record : records) {
        uploads_.add();
        FileStored event;
        event.filename = record.filename;
        event.original_name = record.original_name;
        event.mime_type = record.mime_type;
        event.sha256 = record.hash;
        event.bytes = record.size;
        event.principal = sender.principal;
        event.request_id = sender.request_id;
        host_.events().publish(event);
    }
    report_quota();
    return records;
}

// ---- opening

EntryPtr Files::find(std::string_view filename) const {
    EntryPtr entry = catalog_.find(filename);
    if (!entry || !is_live(entry->record, unix_now_ms())) throw file_not_found();
    return entry;
}

OpenFilePtr Files::find_open(std::string_view filename) {
    OpenFilePtr file = open_.find(filename);
    if (!file) return nullptr;
    if (!is_live(file->entry->record, unix_now_ms())) throw file_not_found();
    if (is_as_recorded(file->file->fd(), file->entry->record)) return file;
    open_.forget(filename);  // somebody else had a hand in it: open() judges it
    return nullptr;
}

OpenFilePtr Files::open(const EntryPtr& entry) {
    const Record& record = entry->record;
    if (record.damaged_ms != 0) throw damaged("its bytes do not have its SHA-256");
    auto file = std::make_shared<OpenFile>();
    file->entry = entry;
    try {
        file->file = blobs_.open(record.filename);
    } catch (const std::system_error& error) {
        if (storage::is_out_of_descriptors(error)) throw disk_error(error);
        throw Error(Errc::io_failed, "storage-failed", "the disk failed: the file cannot be read")
            .because(error.what());
    }
    if (!file->file) {
        if (catalog_.find(record.filename) != entry) throw file_not_found();  // deleted meanwhile
        note_integrity(record.filename, Integrity::missing);
        throw damaged("it is missing");
    }
    if (!is_as_recorded(file->file->fd(), record)) {
        note_integrity(record.filename, Integrity::damaged);
        throw damaged("its size is another");
    }
    make_headers(*file, record);
    open_.keep(file, [this](const EntryPtr& held) {
        return catalog_.find(held->record.filename) == held;
    });
    return file;
}

// ---- removing

void Files::remove(const std::string& filename, const std::function<void(const Record&)>& judge) {
    try {
        blobs_.mark_doomed(filename);
    } catch (const std::system_error& error) {
        // A removal must work on a full disk; then a crash may leave a file without a record.
        if (!storage::is_no_space(error)) throw disk_error(error);
    }
    try {
        catalog_.remove(filename, judge);
    } catch (const Error& error) {
        // Not found: somebody else removes it. Failed: the next start knows.
        const bool refused = error.code() != Errc::not_found && error.code() != Errc::io_failed;
        if (refused) blobs_.spare(filename);
        throw;
    }
    finish_removal(filename);
    note_integrity(filename, Integrity::gone);
    report_quota();
}

void Files::finish_removal(const std::string& filename) {
    {
        const std::scoped_lock lock(moments_mutex_);
        if (moments_ > 0) {
            deferred_.push_back(filename);
            return;
        }
    }
    blobs_.remove(filename);
}

std::shared_ptr<void> Files::keep_all() {
    {
        const std::scoped_lock lock(moments_mutex_);
        ++moments_;
    }
    return {this, [](void* files) {
                auto& self = *static_cast<Files*>(files);
                std::vector<std::string> names;
                {
                    const std::scoped_lock lock(self.moments_mutex_);
                    if (--self.moments_ == 0) names.swap(self.deferred_);
                }
                for (const std::string& name : names) self.blobs_.remove(name);
            }};
}

}  // namespace larder::files
