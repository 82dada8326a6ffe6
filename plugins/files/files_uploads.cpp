// What is sent is hashed and written as it comes, into a staged file that holds room of the quota;
// at the end all of a request's files become files in one step. Memory: one piece of the body.
#include "files_uploads.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <optional>
#include <span>
#include <system_error>
#include <utility>
#include <vector>

#include "files_answers.hpp"
#include "files_digest.hpp"
#include "files_hashing.hpp"
#include "files_multipart.hpp"
#include "files_route_texts.hpp"
#include "storage-kit/digest.hpp"

namespace larder::files {
namespace {

// Of a form, what its delimiters and part heads take at most where only a rough figure is wanted.
constexpr std::uint64_t kAroundParts = 64U << 10U;
constexpr std::uint64_t kAnyBody = std::uint64_t{1} << 62U;  // other limits come first

std::string_view text_of(std::span<const std::byte> bytes) {
    return {reinterpret_cast<const char*>(bytes.data()), bytes.size()};
}

// One file on its way in. What it throws is Error alone.
class Incoming {
public:
    Incoming(Files& files, std::string name, std::string_view sent_type)
        : files_(files), room_(files.quota()), name_(std::move(name)), sent_type_(sent_type) {
        try {
            staged_ = files_.blobs().stage();
        } catch (const std::system_error& error) {
            throw disk_error(error);
        }
        staged_name_ = StagedName(staged_->path());
    }

    Quota::Reservation& room() noexcept { return room_; }

    void append(std::string_view bytes) {
        const std::uint64_t size = staged_->size() + bytes.size();
        files_.check_size(size);
        room_.cover(size);
        try {
            hash_beside(files_.host().workers(), sha_, bytes, [&] { staged_->append(bytes); });
        } catch (const std::system_error& error) {
            throw disk_error(error);
        }
    }

    // No more comes: on disk, closed, holding no more room than it needs.
    void end() {
        try {
            room_.resize(staged_->size());
            staged_->sync();
            finished_ = {staged_->path(),          &room_,     staged_->size(),  name_,
                         files_.type_of(*staged_), sent_type_, sha_.finish_hex()};
            staged_.reset();
        } catch (const std::system_error& error) {
            throw disk_error(error);
        }
    }
    const Finished& finished() const noexcept { return finished_; }
    void keep_staged() noexcept { staged_name_.keep(); }

private:
    Files& files_;
    Quota::Reservation room_;
    std::unique_ptr<StagedFile> staged_;
    StagedName staged_name_{{}};
    storage::Sha256 sha_;
    const std::string name_, sent_type_;
    Finished finished_{};
};

using Incomings = std::vector<std::unique_ptr<Incoming>>;

Response publish(Files& files, const Incomings& incomings, const Sender& sender) {
    std::vector<Finished> finished;
    for (const auto& incoming : incomings) finished.push_back(incoming->finished());
    try {
        return created_answer(files.publish(finished, sender));
    } catch (const Error& error) {
        if (error.code() == Errc::io_failed) {
            for (const auto& incoming : incomings) incoming->keep_staged();
        }
        throw;
    }
}

// ---- PUT

class RawUpload final : public Upload {
public:
    RawUpload(Files& files, const Request& request, std::string name)
        : files_(files), sender_(sender_of(request)) {
        for (const char* field : {"Content-Digest", "Repr-Digest"}) {
            if (const auto value = request.header(field)) expect(*value);
        }
        const auto length = request.content_length();
        if (length) files.quota().demand(*length);
        if (length) files.check_disk(*length);
        incomings_.push_back(std::make_unique<Incoming>(
            files, std::move(name), request.header("Content-Type").value_or("")));
        if (length) incomings_.front()->room().resize(*length);
    }

    void take(std::span<const std::byte> bytes) override {
        incomings_.front()->append(text_of(bytes));
    }

    Response finish(const Headers& trailers) override {
        for (const auto& [name, value] : trailers) {
            const bool digest = name.size() == 14 || name.size() == 11;
            if (digest && (is_field(name, "content-digest") || is_field(name, "repr-digest"))) {
                expect(value);
            }
        }
        incomings_.front()->end();
        const std::string& sha256 = incomings_.front()->finished().sha256;
        for (const std::string& wanted : expected_) {
            if (wanted == sha256) continue;
            throw Error(Errc::bad_request, "digest-mismatch",
                        "what came does not have the SHA-256 that was announced");
        }
        return publish(files_, incomings_, sender_);
    }

    void abort() noexcept override { incomings_.clear(); }

private:
    static bool is_field(std::string_view name, std::string_view lower) {
        return std::equal(name.begin(), name.end(), lower.begin(), lower.end(), [](char a, char b) {
            return a == b || (a >= 'A' && a <= 'Z' && (a | 0x20) == b);
        });
    }
    void expect(std::string_view field) {
        if (auto sha256 = sha256_in(field)) expected_.push_back(std::move(*sha256));
    }

    Files& files_;
    const Sender sender_;
    std::vector<std::string> expected_;
    Incomings incomings_;
};

// ---- POST

class FormUpload final : public Upload, private MultipartReader::Listener {
public:
    FormUpload(Files& files, const Request& request, std::string_view boundary)
        : files_(files),
          sender_(sender_of(request)),
          length_(request.content_length()),
          reader_(boundary, *this) {
        if (!length_) return;
        const std::uint64_t least = *length_ - std::min(*length_, kAroundParts);
        files.quota().demand(least);
        files.check_disk(least);
    }

    void take(std::span<const std::byte> bytes) override { reader_.push(text_of(bytes)); }

    Response finish(const Headers& /*trailers*/) override {
        reader_.finish();
        if (incomings_.empty()) {
            throw Error(Errc::bad_request, "no-file",
                        "the form has no part named file that has a filename");
        }
        return publish(files_, incomings_, sender_);
    }

    void abort() noexcept override { incomings_.clear(); }

private:
    void begin_part(PartHead&& head) override {
        taking_ = head.name == "file" && head.filename.has_value();
        // What a browser sends for a field in which nothing was chosen has no name and no bytes.
        unnamed_ = taking_ && head.filename->empty();
        if (!taking_) return;
        incomings_.push_back(std::make_unique<Incoming>(files_, files_.checked_name(*head.filename),
                                                        head.content_type));
        if (!length_) return;
        const std::uint64_t gone = reader_.offset() + reader_.least_tail();
        const std::uint64_t most = *length_ - std::min(*length_, gone);
        // All that is still to come may be this file's. Where that does not fit, it may be less.
        if (most <= files_.quota().figures().available()) {
            try {
                incomings_.back()->room().resize(most);
            } catch (const Error&) {
                return;  // somebody was faster: room is taken as bytes come
            }
        }
    }
    void part_bytes(std::string_view bytes) override {
        if (!taking_) return;
        unnamed_ = false;
        incomings_.back()->append(bytes);
    }
    void end_part() override {
        if (!taking_) return;
        if (unnamed_) return incomings_.pop_back();
        incomings_.back()->end();
    }

    Files& files_;
    const Sender sender_;
    const std::optional<std::uint64_t> length_;
    MultipartReader reader_;
    Incomings incomings_;
    bool taking_ = false, unnamed_ = false;
};

}  // namespace

void UploadRoutes::declare(Routes& routes) {
    routes.upload(
        {.method = Method::put,
         .pattern = "/api/files/{filename}",
         .permission = Permission::write,
         .summary = "Store the body as a new file of this original name",
         .media_types = "*/*",
         .max_body = kAnyBody,
         .parameters = kPutParameters,
         .answers = "201 application/json",
         .answer_schema = kRecordSchema,
         .answer_headers = kCreatedHeaders,
         .problems = kPutProblems},
        [this](const Request& request, const std::shared_ptr<Cancel>&) { return put(request); });
    routes.upload(
        {.method = Method::post,
         .pattern = "/api/files/upload",
         .permission = Permission::write,
         .summary = "Store the files of a form's parts named file, all of them or none",
         .media_types = "multipart/form-data",
         .max_body = kAnyBody,
         .answers = "201 application/json",
         .answer_schema = kUploadedSchema,
         .answer_headers = kCreatedHeaders,
         .problems = kPostProblems},
        [this](const Request& request, const std::shared_ptr<Cancel>&) { return post(request); });
}

std::unique_ptr<Upload> UploadRoutes::put(const Request& request) {
    std::string name = files_.checked_name(request.param("filename"));
    if (const auto length = request.content_length()) files_.check_size(*length);
    return std::make_unique<RawUpload>(files_, request, std::move(name));
}

std::unique_ptr<Upload> UploadRoutes::post(const Request& request) {
    const std::string boundary = boundary_of(request.header("Content-Type").value_or(""));
    return std::make_unique<FormUpload>(files_, request, boundary);
}

}  // namespace larder::files
