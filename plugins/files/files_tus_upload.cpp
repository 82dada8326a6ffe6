// One resumable upload and the requests that write it, of which only the latest counts. What they
// are together, and how they are kept: files_tus_uploads.cpp.
#include <fmt/format.h>

#include <algorithm>
#include <limits>
#include <system_error>
#include <utility>

#include "files_hashing.hpp"
#include "files_tus_uploads.hpp"
#include "larder/time.hpp"

namespace larder::files {
namespace {

Error upload_expired() {
    return {Errc::gone, "upload-expired", "the upload rested too long and was removed; begin anew"};
}
Error taken_over() {
    return {Errc::conflict, "taken-over", "another request goes on with this upload"};
}

}  // namespace

TusUpload::TusUpload(TusUploads& owner, std::string id, TusPlan plan)
    : owner_(owner),
      id_(std::move(id)),
      plan_(std::move(plan)),
      room_(owner.files_.quota()),
      touched_ms_(unix_now_ms()) {}

std::int64_t TusUpload::deadline() const { return touched_ms_ + owner_.files_.upload_expiry_ms(); }

void TusUpload::check_open() const {
    if (terminated_) throw upload_not_found();
    if (expired_ || (filename_.empty() && deadline() <= unix_now_ms())) throw upload_expired();
}

void TusUpload::roll_back(std::uint64_t offset) {
    unproven_from_.reset();
    file_->cut_to(offset);
    offset_ = offset;
    if (hashed_ > offset) {
        // What was hashed cannot be taken out of the sum: it is made anew at the end.
        sha_.finish();
        hashed_ = 0;
    }
}

TusUpload::Turn TusUpload::begin(std::uint64_t offset, std::optional<std::uint64_t> length,
                                 std::optional<std::uint64_t> coming,
                                 std::unique_ptr<Checksum> checksum) {
    const std::scoped_lock lock(mutex_);
    check_open();
    if (plan_.concat.starts_with("final")) {
        throw Error(Errc::forbidden, "upload-final", "a final upload takes no bytes of its own");
    }
    Turn turn;
    turn.number = ++turns_;
    try {
        if (!file_ && filename_.empty()) {
            file_ = std::make_unique<StagedFile>(owner_.path_of(id_), false);
        }
        if (unproven_from_) roll_back(*unproven_from_);
    } catch (const std::system_error& error) {
        throw disk_error(error);
    }
    if (offset != offset_) {
        throw Error(Errc::conflict, "offset-mismatch",
                    fmt::format("the upload stands at byte {}", offset_))
            .with_header("Upload-Offset", std::to_string(offset_));
    }
    if (length && plan_.length && *length != *plan_.length) {
        throw Error(Errc::conflict, "length-mismatch", "the upload has another Upload-Length");
    }
    if (length && !plan_.length) {
        owner_.files_.check_size(*length);
        if (*length < offset_) {
            throw Error(Errc::conflict, "length-mismatch", "more bytes than that came already");
        }
        room_.resize(*length);
        plan_.length = length;
        owner_.save(*this);
    }
    const std::uint64_t most = plan_.length.value_or(owner_.files_.max_file_size());
    if (coming && *coming > most - std::min(most, offset_)) {
        throw Error(Errc::too_large, "upload-too-long",
                    fmt::format("{} bytes are still to come", most - std::min(most, offset_)))
            .with("limit", std::to_string(most - std::min(most, offset_)));
    }
    touched_ms_ = unix_now_ms();
    turn.from = offset_;
    if (!checksum) return turn;
    if (!std::exchange(checked_, true)) owner_.save(*this);
    unproven_from_ = offset_;
    turn.checksum = std::move(checksum);
    return turn;
}

void TusUpload::append(Turn& turn, std::string_view bytes) {
    const std::scoped_lock lock(mutex_);
    if (turn.number != turns_ || terminated_) throw taken_over();
    if (bytes.empty()) return;
    if (!file_) throw upload_expired();
    try {
        const std::uint64_t most = plan_.length.value_or(owner_.files_.max_file_size());
        if (bytes.size() > most - std::min(most, file_->size())) {
            roll_back(turn.from);
            throw Error(Errc::too_large, "upload-too-long", "more came than the upload has")
                .with("limit", std::to_string(most));
        }
        if (!plan_.length) room_.cover(file_->size() + bytes.size());
        try {
            if (hashed_ == file_->size()) {
                hashed_ += bytes.size();
                hash_beside(owner_.files_.host().workers(), sha_, bytes,
                            [&] { file_->append(bytes); });
            } else {
                file_->append(bytes);
            }
        } catch (const std::system_error&) {
            hashed_ = std::numeric_limits<std::uint64_t>::max();  // further than the file
            roll_back(unproven_from_ ? turn.from : offset_);
            throw;
        }
    } catch (const std::system_error& error) {
        throw disk_error(error);
    }
    if (turn.checksum) {
        turn.checksum->update(bytes);
    } else {
        offset_ = file_->size();
    }
}

bool TusUpload::end(Turn& turn, std::string_view announced_sum) {
    const std::scoped_lock lock(mutex_);
    if (turn.number != turns_ || terminated_) throw taken_over();
    touched_ms_ = unix_now_ms();
    if (!filename_.empty()) return true;  // it had all of its bytes before
    try {
        if (turn.checksum) {
            if (turn.checksum->finish() != announced_sum) {
                roll_back(turn.from);
                file_.reset();
                return false;
            }
            offset_ = file_->size();
            unproven_from_.reset();
        }
        file_->sync();
    } catch (const std::system_error& error) {
        throw disk_error(error);
    }
    if (checked_) owner_.save(*this);
    if (plan_.length && offset_ == *plan_.length && !plan_.partial) owner_.complete(*this);
    file_.reset();
    return true;
}

void TusUpload::abandon(Turn& turn) noexcept {
    const std::scoped_lock lock(mutex_);
    if (turn.number != turns_ || !file_) return;
    try {
        touched_ms_ = unix_now_ms();
        if (turn.checksum && unproven_from_) roll_back(turn.from);
        if (checked_) owner_.save(*this);
        file_.reset();
    } catch (const std::exception& error) {
        // The next PATCH, or the next start, cuts off what was not proven.
        owner_.files_.host().log().write(
            Level::warning, fmt::format("upload {}: a broken PATCH: {}", id_, error.what()));
    }
}

TusState TusUpload::state() {
    const std::scoped_lock lock(mutex_);
    check_open();
    const bool is_whole = plan_.length && offset_ == *plan_.length;
    if (is_whole && filename_.empty() && !plan_.partial) owner_.complete(*this);
    return {offset_, plan_.length, plan_.metadata, plan_.concat, deadline(), filename_};
}

}  // namespace larder::files
