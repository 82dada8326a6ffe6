// Resumable uploads between their requests: what each is, how far it has come, and how it becomes a
// file. Outlives a kill: the bytes lie in files/.tus/<id>, the rest in uploads.json beside them.
// Knows no header fields.
#pragma once

#include <cstdint>
#include <map>
#include <memory>
#include <mutex>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "files_digest.hpp"
#include "files_store.hpp"
#include "storage-kit/digest.hpp"
#include "storage-kit/document_store.hpp"

namespace larder::files {

// What a client said of an upload when it made it.
struct TusPlan {
    std::optional<std::uint64_t> length;  // nothing: told later
    std::string metadata, concat;         // as sent
    std::string name, media_type;         // sanitized; may be empty
    bool partial = false;
    Sender sender;
};

// How one stands, for answers.
struct TusState {
    std::uint64_t offset = 0;
    std::optional<std::uint64_t> length;
    std::string metadata, concat;
    std::int64_t expires_ms = 0;
    std::string filename;  // of the file that it became; empty before
};

class TusUpload;
using TusUploadPtr = std::shared_ptr<TusUpload>;

class TusUploads {
public:
    // Takes up what an earlier run left. Throws Error, std::system_error. [control]
    explicit TusUploads(Files& files);
    ~TusUploads();

    // Errors: not_found "upload-not-found", gone "upload-expired", and the store's. [worker]

    // Reserves its room and makes it. Returns its id.
    std::string create(TusPlan plan);
    // Makes a file of finished partial uploads, and an upload that stands for it.
    std::string concatenate(TusPlan plan, const std::vector<std::string>& ids);
    TusState state(const std::string& id);
    void terminate(const std::string& id);
    TusUploadPtr find(const std::string& id);

    void complete_interrupted();  // those that had all bytes when the daemon was killed
    void expire();                // removes what has rested too long

    storage::DocumentStore& store() noexcept { return *store_; }
    storage::Committer::Progress progress() const { return committer_.progress(); }  // [any]

private:
    friend class TusUpload;
    void take_up();
    void save(const TusUpload& upload);  // with its mutex held, as below
    void complete(TusUpload& upload);
    void drop(const std::string& id);
    std::string path_of(const std::string& id) const;
    std::vector<TusUploadPtr> all() const;

    Files& files_;
    storage::Committer committer_;
    std::unique_ptr<storage::DocumentStore> store_;
    mutable std::mutex mutex_;
    std::map<std::string, TusUploadPtr> uploads_;  // guarded by mutex_
};

// One upload. Its writers are requests: the latest one is the writer, whatever became of those
// before. All of it [worker].
class TusUpload {
public:
    // One request's part of the body.
    struct Turn {
        std::uint64_t number = 0;
        std::uint64_t from = 0;              // where it began
        std::unique_ptr<Checksum> checksum;  // null where none was announced
    };

    TusUpload(TusUploads& owner, std::string id, TusPlan plan);

    const std::string& id() const noexcept { return id_; }

    // Takes over from whoever writes now. `offset` must be where the upload stands, else
    // Error{conflict, "offset-mismatch"}; `length` is told now where it was not before; `coming`
    // bytes must fit, else Error{too_large, "upload-too-long"}.
    Turn begin(std::uint64_t offset, std::optional<std::uint64_t> length,
               std::optional<std::uint64_t> coming, std::unique_ptr<Checksum> checksum);
    // Throws Error{conflict, "taken-over"} once another request writes.
    void append(Turn& turn, std::string_view bytes);
    // What came is durable; the file is made where that was the last of it. False: the checksum is
    // another, nothing of this turn is kept.
    bool end(Turn& turn, std::string_view announced_sum);
    void abandon(Turn& turn) noexcept;  // the connection broke

    TusState state();

private:
    friend class TusUploads;

    std::int64_t deadline() const;
    void roll_back(std::uint64_t offset);
    void check_open() const;

    TusUploads& owner_;
    const std::string id_;

    std::mutex mutex_;  // guards all below
    TusPlan plan_;
    Quota::Reservation room_;
    std::unique_ptr<StagedFile> file_;  // open while somebody writes
    std::uint64_t offset_ = 0;          // as clients are told
    std::uint64_t turns_ = 0;
    std::optional<std::uint64_t> unproven_from_;  // bytes from here on await their checksum
    bool checked_ = false;  // some turn had a checksum: the offset is kept with the record
    storage::Sha256 sha_;
    std::uint64_t hashed_ = 0;  // bytes that sha_ has seen
    std::int64_t touched_ms_ = 0;
    std::string filename_;  // of the file that it became
    bool expired_ = false, terminated_ = false;
};

Error upload_not_found();

}  // namespace larder::files
