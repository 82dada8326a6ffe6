// What counts after a kill: for an upload without checksums every byte in its data file, for one
// with them the offset in its record, so that bytes whose sum was not proven are never taken.
//
//   all of them
//   as they are kept
// One upload and its writers: files_tus_upload.cpp.
#include "files_tus_uploads.hpp"

#include <fmt/format.h>
#include <unistd.h>

#include <algorithm>
#include <charconv>
#include <limits>
#include <random>
#include <system_error>
#include <utility>

#include "larder/time.hpp"
#include "storage-kit/file_system.hpp"
#include "storage-kit/json.hpp"
#include "storage-kit/timestamps.hpp"

namespace larder::files {
namespace {

using storage::Outcome;
using storage::Transaction;

constexpr std::size_t kMostUploads = 10'000;
constexpr const char* kStoreFile = "uploads.json";

std::string random_id() {
    static thread_local std::random_device source;
    std::string id;
    for (int i = 0; i < 4; ++i) id += fmt::format("{:08x}", source());
    return id;
}

bool is_id(std::string_view text) {
    return text.size() == 32 &&
           text.find_first_not_of("0123456789abcdef") == std::string_view::npos;
}

void check(const Outcome& outcome) {
    if (outcome.refused) throw Error(*outcome.refused);
}

}  // namespace

Error upload_not_found() {
    return {Errc::not_found, "upload-not-found", "there is no such upload"};
}

// ---- all of them

TusUploads::TusUploads(Files& files) : files_(files), committer_("larder-files-tus") {
    storage::StoreOptions options;
    options.report = [this](const storage::Finding& finding) {
        files_.host().log().write(Level::warning, finding.text);
    };
    store_ = std::make_unique<storage::DocumentStore>(
        storage::FileSystem::real(),
        fmt::format("{}/{}", files_.blobs().partial_folder(), kStoreFile), committer_,
        std::move(options));
    take_up();
}

TusUploads::~TusUploads() {
    try {
        store_->close();
    } catch (const Error& error) {
        files_.host().log().write(
            Level::error, fmt::format("the list of resumable uploads was not folded: {}; its "
                                      "journal keeps it",
                                      error.what()));
    }
}

std::string TusUploads::path_of(const std::string& id) const {
    return fmt::format("{}/{}", files_.blobs().partial_folder(), id);
}

std::vector<TusUploadPtr> TusUploads::all() const {
    const std::scoped_lock lock(mutex_);
    std::vector<TusUploadPtr> all;
    for (const auto& [id, upload] : uploads_) all.push_back(upload);
    return all;
}

TusUploadPtr TusUploads::find(const std::string& id) {
    const std::scoped_lock lock(mutex_);
    const auto found = uploads_.find(id);
    if (found == uploads_.end()) throw upload_not_found();
    return found->second;
}

std::string TusUploads::create(TusPlan plan) {
    std::string id = random_id();
    auto upload = std::make_shared<TusUpload>(*this, id, std::move(plan));
    const std::scoped_lock upload_lock(upload->mutex_);
    const std::uint64_t length = upload->plan_.length.value_or(0);
    files_.check_size(length);
    upload->room_.resize(length);
    files_.check_disk(length);
    {
        const std::scoped_lock lock(mutex_);
        if (uploads_.size() >= kMostUploads) {
            throw Error(Errc::unavailable, "too-many-uploads",
                        fmt::format("there are {} unfinished uploads already", kMostUploads))
                .with("limit", std::to_string(kMostUploads))
                .with_header("Retry-After", "60");
        }
    }
    StagedName data(path_of(id));
    try {
        StagedFile(path_of(id), true).sync();
        storage::FileSystem::real().sync_directory(files_.blobs().partial_folder());
    } catch (const std::system_error& error) {
        throw disk_error(error);
    }
    save(*upload);
    data.keep();
    if (upload->plan_.length == 0 && !upload->plan_.partial) {
        try {
            upload->file_ = std::make_unique<StagedFile>(path_of(id), false);
        } catch (const std::system_error& error) {
            throw disk_error(error);
        }
        complete(*upload);
        upload->file_.reset();
    }
    const std::scoped_lock lock(mutex_);
    uploads_.emplace(id, upload);
    return id;
}

std::string TusUploads::concatenate(TusPlan plan, const std::vector<std::string>& ids) {
    std::uint64_t length = 0;
    std::vector<TusUploadPtr> parts;
    for (const std::string& id : ids) {
        parts.push_back(find(id));
        const std::scoped_lock lock(parts.back()->mutex_);
        const TusUpload& part = *parts.back();
        part.check_open();
        if (!part.plan_.partial) {
            throw Error(Errc::bad_request, "invalid-upload",
                        "not all of these are partial uploads");
        }
        if (!part.plan_.length || part.offset_ != *part.plan_.length) {
            throw Error(Errc::conflict, "upload-incomplete",
                        "not all of the partial uploads have all of their bytes");
        }
        length += part.offset_;
    }
    files_.check_size(length);
    plan.length = length;
    std::string id = random_id();
    auto upload = std::make_shared<TusUpload>(*this, id, std::move(plan));
    const std::scoped_lock upload_lock(upload->mutex_);
    upload->room_.resize(length);
    files_.check_disk(length);
    StagedName data(path_of(id));
    try {
        upload->file_ = std::make_unique<StagedFile>(path_of(id), true);
        for (const TusUploadPtr& part : parts) {
            const StagedFile source(path_of(part->id()), false);
            source.read_from(0, [&](std::string_view bytes) {
                upload->sha_.update(bytes);
                upload->file_->append(bytes);
            });
        }
        upload->offset_ = upload->hashed_ = upload->file_->size();
        upload->file_->sync();
    } catch (const std::system_error& error) {
        throw disk_error(error);
    }
    complete(*upload);
    upload->file_.reset();
    const std::scoped_lock lock(mutex_);
    uploads_.emplace(id, upload);
    return id;
}

// Makes the file. Where that fails the upload stays as it is, whole: it is tried again when
// somebody asks for it.
void TusUploads::complete(TusUpload& upload) {
    Finished finished;
    finished.path = path_of(upload.id_);
    try {
        if (!upload.file_) upload.file_ = std::make_unique<StagedFile>(finished.path, false);
        if (upload.hashed_ > upload.file_->size()) {
            upload.sha_.finish();
            upload.hashed_ = 0;
        }
        upload.file_->read_from(upload.hashed_, [&](std::string_view bytes) {
            upload.sha_.update(bytes);
            upload.hashed_ += bytes.size();
        });
        finished.mime_type = files_.type_of(*upload.file_);
    } catch (const std::system_error& error) {
        throw disk_error(error);
    }
    finished.room = &upload.room_;
    finished.size = upload.file_->size();
    finished.original_name = upload.plan_.name;
    finished.sent_mime_type = upload.plan_.media_type;
    finished.sha256 = upload.sha_.finish_hex();
    upload.hashed_ = 0;  // should it have to be made again
    upload.filename_ = files_.publish({finished}, upload.plan_.sender).front().filename;
    try {
        save(upload);
    } catch (const Error& error) {
        // The file is there, which counts; the next start finds that they are the same.
        files_.host().log().write(
            Level::warning, fmt::format("upload {} is the file {}, but its end is not kept: {}",
                                        upload.id_, upload.filename_, error.what()));
        return;
    }
    ::unlink(finished.path.c_str());
}

TusState TusUploads::state(const std::string& id) { return find(id)->state(); }

void TusUploads::drop(const std::string& id) {
    check(store_->commit_and_wait([&](Transaction& transaction) { transaction.remove(id); }));
    ::unlink(path_of(id).c_str());
    const std::scoped_lock lock(mutex_);
    uploads_.erase(id);
}

void TusUploads::terminate(const std::string& id) {
    const TusUploadPtr upload = find(id);
    const std::scoped_lock lock(upload->mutex_);
    upload->check_open();
    drop(id);
    upload->terminated_ = true;
    ++upload->turns_;
    upload->file_.reset();
    upload->room_ = Quota::Reservation();
}

void TusUploads::complete_interrupted() {
    for (const TusUploadPtr& upload : all()) {
        const std::scoped_lock lock(upload->mutex_);
        const bool is_whole = upload->plan_.length && upload->offset_ == *upload->plan_.length;
        if (!is_whole || upload->plan_.partial || !upload->filename_.empty() || upload->expired_) {
            continue;
        }
        try {
            complete(*upload);
            upload->file_.reset();
        } catch (const std::exception& error) {
            files_.host().log().write(
                Level::warning, fmt::format("upload {} has all of its bytes but is no file yet: {}",
                                            upload->id_, error.what()));
        }
    }
}

// What has expired is told so for as long again; then it is as if it had never been.
void TusUploads::expire() {
    const std::int64_t now = unix_now_ms();
    for (const TusUploadPtr& upload : all()) {
        const std::scoped_lock lock(upload->mutex_);
        if (upload->deadline() > now) continue;
        const bool is_over = upload->expired_ || !upload->filename_.empty();
        if (is_over) {
            if (upload->deadline() + files_.upload_expiry_ms() <= now) drop(upload->id_);
            continue;
        }
        ++upload->turns_;
        upload->expired_ = true;
        upload->file_.reset();
        ::unlink(path_of(upload->id_).c_str());
        upload->room_ = Quota::Reservation();
        save(*upload);
    }
}

// ---- as they are kept

void TusUploads::save(const TusUpload& upload) {
    using storage::json::quoted;
    const TusPlan& plan = upload.plan_;
    std::string value = fmt::format(
        R"({{"length":{},"metadata":{},"concat":{},"name":{},"media_type":{},"ip":{},"principal":{},"touched_at":"{}")",
        plan.length ? std::to_string(*plan.length) : "null", quoted(plan.metadata),
        quoted(plan.concat), quoted(plan.name), quoted(plan.media_type), quoted(plan.sender.ip),
        quoted(plan.sender.principal), rfc3339(upload.touched_ms_));
    if (plan.partial) value += R"(,"partial":true)";
    if (upload.expired_) value += R"(,"expired":true)";
    if (upload.checked_) {
        value +=
            fmt::format(R"(,"checked_offset":{})", upload.unproven_from_.value_or(upload.offset_));
    }
    if (!upload.filename_.empty()) value += fmt::format(R"(,"file":{})", quoted(upload.filename_));
    value += '}';
    check(store_->commit_and_wait(
        [&](Transaction& transaction) { transaction.set(upload.id_, value, 0, {}); }));
}

void TusUploads::take_up() {
    const auto text = [](std::string_view json) {
        return json.starts_with('"') ? storage::json::unquoted(json) : std::string();
    };
    const auto number = [](std::string_view json) {
        std::uint64_t value = 0;
        std::from_chars(json.data(), json.data() + json.size(), value);
        return value;
    };
    for (const auto& document : store_->list({}, {}, std::numeric_limits<std::size_t>::max())) {
        TusPlan plan;
        std::optional<std::uint64_t> checked;
        std::string filename;
        std::int64_t touched = 0;
        bool expired = false;
        for (storage::json::Walk member(document->value); member.next();) {
            const std::string_view name = member.name(), value = member.value();
            if (name == R"("length")" && value != "null") plan.length = number(value);
            if (name == R"("metadata")") plan.metadata = text(value);
            if (name == R"("concat")") plan.concat = text(value);
            if (name == R"("name")") plan.name = text(value);
            if (name == R"("media_type")") plan.media_type = text(value);
            if (name == R"("ip")") plan.sender.ip = text(value);
            if (name == R"("principal")") plan.sender.principal = text(value);
            if (name == R"("touched_at")")
                touched = storage::parse_any_time(text(value)).value_or(0);
            if (name == R"("partial")") plan.partial = true;
            if (name == R"("expired")") expired = true;
            if (name == R"("checked_offset")") checked = number(value);
            if (name == R"("file")") filename = text(value);
        }
        auto upload =
            std::make_shared<TusUpload>(*this, std::string(document->key), std::move(plan));
        upload->touched_ms_ = touched;
        upload->filename_ = std::move(filename);
        upload->expired_ = expired;
        uploads_.emplace(upload->id_, upload);
        const std::string path = path_of(upload->id_);
        if (!upload->filename_.empty()) upload->offset_ = upload->plan_.length.value_or(0);
        if (!upload->filename_.empty() || expired) continue;
        upload->filename_ = files_.blobs().twin_of(path);  // the file was made, and then the kill
        if (!upload->filename_.empty()) {
            upload->offset_ = upload->plan_.length.value_or(0);
            save(*upload);
            continue;
        }
        try {
            StagedFile file(path, false);
            upload->checked_ = checked.has_value();
            const std::uint64_t most =
                std::min(upload->plan_.length.value_or(file.size()), checked.value_or(file.size()));
            if (file.size() > most) file.cut_to(most);
            upload->offset_ = file.size();
            upload->touched_ms_ =
                std::max(touched, storage::FileSystem::real().open_read(path)->modified_ms());
            upload->room_.force(upload->plan_.length.value_or(file.size()));
        } catch (const std::system_error& error) {
            files_.host().log().write(Level::error,
                                      fmt::format("upload {}: its bytes are gone: {}; it is over",
                                                  upload->id_, error.what()));
            upload->expired_ = true;
        }
    }
    // Bytes of uploads that were never acknowledged, that were made files, or that have ended.
    for (const std::string& name :
         storage::FileSystem::real().list(files_.blobs().partial_folder())) {
        const auto found = uploads_.find(name);
        const bool wanted =
            found != uploads_.end() && found->second->filename_.empty() && !found->second->expired_;
        if (is_id(name) && !wanted) ::unlink(path_of(name).c_str());
    }
}

}  // namespace larder::files
