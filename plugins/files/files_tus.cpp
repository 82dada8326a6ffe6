// A PATCH writes into its upload as bytes come; a POST that has a body is a creation and a PATCH in
// one. Every answer, refusals included, carries Tus-Resumable.
//
//   TusBody     the bytes of one request
//   Done        a request of which no bytes are wanted
//   routes, creation, PATCH, HEAD and DELETE
#include "files_tus.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <span>
#include <utility>

#include "files_answers.hpp"
#include "files_digest.hpp"
#include "files_route_texts.hpp"
#include "files_tus_fields.hpp"
#include "larder/time.hpp"

namespace larder::files {
namespace {

constexpr std::uint64_t kAnyBody = std::uint64_t{1} << 62U;  // the upload's own length comes first

std::string url_of_upload(std::string_view id) { return fmt::format("/api/files/tus/{}", id); }

// Runs `work`; what it throws leaves with the header that every answer of tus has.
template <class Work> auto as_tus(Work work) {
    try {
        return work();
    } catch (const Error& error) {
        Error told = error;
        throw std::move(told.with_header("Tus-Resumable", std::string(tus::kVersion)));
    }
}

Response tus_answer(int status) {
    Response response;
    response.status = status;
    response.headers.emplace_back("Tus-Resumable", tus::kVersion);
    return response;
}

void tell_state(Response& response, const TusState& state) {
    response.headers.emplace_back("Upload-Offset", std::to_string(state.offset));
    if (state.filename.empty()) {
        response.headers.emplace_back("Upload-Expires", http_date(state.expires_ms / 1000));
    } else {
        response.headers.emplace_back("Content-Location", url_of(state.filename));
    }
}

bool is_checksum(std::string_view name) {
    constexpr std::string_view kName = "upload-checksum";
    return std::equal(name.begin(), name.end(), kName.begin(), kName.end(), [](char a, char b) {
        return a == b || (a >= 'A' && a <= 'Z' && (a | 0x20) == b);
    });
}

// The bytes of one request.
class TusBody final : public Upload {
public:
    TusBody(TusUploads& uploads, const Request& request, const std::string& id,
            std::uint64_t offset, std::optional<std::uint64_t> length, bool creates)
        : uploads_(uploads),
          upload_(uploads.find(id)),
          request_id_(request.id()),
          creates_(creates) {
        std::unique_ptr<Checksum> checksum;
        const auto field = request.header("Upload-Checksum");
        if (field) {
            tus::Sum sum = tus::sum_of(*field);
            checksum = Checksum::of(sum.algorithm);
            announced_ = std::move(sum.value);
        } else if (tus::announces_trailer(request)) {
            // Which algorithm it will be is told at the end: all of them are kept ready.
            awaits_trailer_ = true;
            checksum = std::make_unique<AllChecksums>();
        }
        turn_ = upload_->begin(offset, length, request.content_length(), std::move(checksum));
    }

    void take(std::span<const std::byte> bytes) override {
        as_tus([&] {
            upload_->append(turn_, {reinterpret_cast<const char*>(bytes.data()), bytes.size()});
        });
    }

    Response finish(const Headers& trailers) override {
        return as_tus([&] {
            if (awaits_trailer_) choose_trailer(trailers);
            if (!upload_->end(turn_, announced_)) {
                Response response =
                    problem_answer(request_id_, 460, "checksum-mismatch", "Checksum Mismatch",
                                   "what came does not have its Upload-Checksum; nothing of it is "
                                   "kept");
                response.headers.emplace_back("Tus-Resumable", tus::kVersion);
                if (creates_) uploads_.terminate(upload_->id());
                return response;
            }
            Response response = tus_answer(creates_ ? 201 : 204);
            if (creates_) response.headers.emplace_back("Location", url_of_upload(upload_->id()));
            tell_state(response, upload_->state());
            return response;
        });
    }

    void abort() noexcept override {
        upload_->abandon(turn_);
        if (!creates_) return;
        // Nobody was told where it is, so nobody will go on with it.
        try {
            uploads_.terminate(upload_->id());
        } catch (const std::exception&) {
            return;  // it expires
        }
    }

private:
    // Sums up by every algorithm, for one that is told at the end.
    class AllChecksums final : public Checksum {
    public:
        void update(std::string_view bytes) override {
            for (const auto& [name, sum] : sums_) sum->update(bytes);
        }
        std::string finish() override {
            for (const auto& [name, sum] : sums_) {
                if (name == chosen_) return sum->finish();
            }
            return {};
        }
        void choose(std::string_view algorithm) { chosen_ = algorithm; }

    private:
        std::vector<std::pair<std::string_view, std::unique_ptr<Checksum>>> sums_ = make();
        std::string chosen_;

        static std::vector<std::pair<std::string_view, std::unique_ptr<Checksum>>> make() {
            std::vector<std::pair<std::string_view, std::unique_ptr<Checksum>>> sums;
            for (const std::string_view name : {"sha1", "sha256", "crc32c"}) {
                sums.emplace_back(name, Checksum::of(name));
            }
            return sums;
        }
    };

    void choose_trailer(const Headers& trailers) {
        const auto field = std::find_if(trailers.begin(), trailers.end(), [](const auto& trailer) {
            return is_checksum(trailer.first);
        });
        if (field == trailers.end()) {
            throw tus::invalid_upload("the trailer Upload-Checksum was announced and did not come");
        }
        tus::Sum sum = tus::sum_of(field->second);
        static_cast<AllChecksums&>(*turn_.checksum).choose(sum.algorithm);
        announced_ = std::move(sum.value);
    }

    TusUploads& uploads_;
    const TusUploadPtr upload_;
    const std::string request_id_;
    const bool creates_;
    bool awaits_trailer_ = false;
    std::string announced_;
    TusUpload::Turn turn_;
};

// A request whose work is done before its body, of which nothing is wanted.
class Done final : public Upload {
public:
    explicit Done(Response response) : response_(std::move(response)) {}
    void take(std::span<const std::byte> bytes) override {
        if (bytes.empty()) return;
        throw std::move(tus::invalid_upload("this request takes no body")
                            .with_header("Tus-Resumable", std::string(tus::kVersion)));
    }
    Response finish(const Headers& /*trailers*/) override { return std::move(response_); }
    void abort() noexcept override {}

private:
    Response response_;
};

}  // namespace

void TusRoutes::declare(Routes& routes) {
    declare_uploads(routes);
    const auto bind = [this](const char* allow) {
        return
            [this, allow](const Request&, Reply reply) { std::move(reply).send(options(allow)); };
    };
    routes.prompt({.method = Method::options,
                   .pattern = "/api/files/tus",
                   .permission = Permission::open,
                   .summary = "What of tus is spoken here",
                   .answers = "204",
                   .answer_headers = kTusOptionHeaders},
                  bind("POST, OPTIONS"));
    routes.prompt({.method = Method::options,
                   .pattern = "/api/files/tus/{id}",
                   .permission = Permission::open,
                   .summary = "What of tus is spoken here",
                   .parameters = kUploadParameters,
                   .answers = "204",
                   .answer_headers = kTusOptionHeaders},
                  bind("GET, HEAD, POST, PATCH, DELETE, OPTIONS"));
    routes.blocking({.method = Method::get,
                     .pattern = "/api/files/tus/{id}",
                     .permission = Permission::write,
                     .summary = "How far a resumable upload has come",
                     .parameters = kUploadParameters,
                     .answers = "200",
                     .answer_headers = kTusStateHeaders,
                     .problems = kTusHeadProblems},
                    [this](const Request& request) { return head(request); });
    routes.blocking({.method = Method::del,
                     .pattern = "/api/files/tus/{id}",
                     .permission = Permission::write,
                     .summary = "End a resumable upload and remove what came of it",
                     .parameters = kUploadParameters,
                     .answers = "204",
                     .answer_headers = kTusHeader,
                     .problems = kTusProblems},
                    [this](const Request& request) { return terminate(request); });
}

void TusRoutes::declare_uploads(Routes& routes) {
    routes.upload(
        {.method = Method::post,
         .pattern = "/api/files/tus",
         .permission = Permission::write,
         .summary = "Begin a resumable upload, with its first bytes or without; or make a "
                    "file of partial ones",
         .media_types = tus::kBodyType,
         .max_body = kAnyBody,
         .parameters = kTusCreateParameters,
         .answers = "201",
         .answer_headers = kTusCreatedHeaders,
         .problems = kTusCreateProblems},
        [this](const Request& request, const std::shared_ptr<Cancel>&) {
            return as_tus([&] { return create(request); });
        });
    routes.upload({.method = Method::patch,
                   .pattern = "/api/files/tus/{id}",
                   .permission = Permission::write,
                   .summary = "The next bytes of a resumable upload; those of the latest request "
                              "count",
                   .media_types = tus::kBodyType,
                   .max_body = kAnyBody,
                   .parameters = kTusPatchParameters,
                   .answers = "204",
                   .answer_headers = kTusStateHeaders,
                   .problems = kTusPatchProblems},
                  [this](const Request& request, const std::shared_ptr<Cancel>&) {
                      return as_tus([&] { return patch(request); });
                  });
    routes.upload({.method = Method::post,
                   .pattern = "/api/files/tus/{id}",
                   .permission = Permission::write,
                   .summary = "PATCH or DELETE, for clients that can only POST",
                   .media_types = tus::kBodyType,
                   .max_body = kAnyBody,
                   .parameters = kTusPostParameters,
                   .answers = "204",
                   .answer_headers = kTusStateHeaders,
                   .problems = kTusPatchProblems},
                  [this](const Request& request, const std::shared_ptr<Cancel>&) {
                      return as_tus([&] { return post(request); });
                  });
}

Response TusRoutes::options(std::string_view allow) const {
    Response response = tus_answer(204);
    response.headers.emplace_back("Allow", allow);
    response.headers.emplace_back("Tus-Version", tus::kVersion);
    response.headers.emplace_back("Tus-Extension", tus::kExtensions);
    response.headers.emplace_back("Tus-Max-Size", std::to_string(files_.max_file_size()));
    response.headers.emplace_back("Tus-Checksum-Algorithm", kChecksumAlgorithms);
    return response;
}

std::unique_ptr<Upload> TusRoutes::create(const Request& request) {
    tus::check_version(request);
    const auto length = tus::number_field(request, "Upload-Length");
    const auto deferred = request.header("Upload-Defer-Length");
    const tus::Concat concat = tus::concat_of(request);
    const tus::Metadata metadata = tus::metadata_of(request);
    if (deferred && *deferred != "1") throw tus::invalid_upload("Upload-Defer-Length is 1");
    if (concat.final ? (length || deferred) : (length.has_value() == deferred.has_value())) {
        throw tus::invalid_upload(concat.final
                                      ? "a final upload has the length of its parts"
                                      : "either Upload-Length or Upload-Defer-Length is wanted");
    }
    TusPlan plan;
    plan.length = length;
    plan.metadata = metadata.raw;
    plan.concat = concat.raw;
    plan.partial = concat.partial;
    plan.name = files_.checked_name(metadata.filename);
    plan.media_type = metadata.media_type;
    plan.sender = sender_of(request);
    if (concat.final) {
        const std::string id = uploads_.concatenate(std::move(plan), concat.ids);
        Response response = tus_answer(201);
        response.headers.emplace_back("Location", url_of_upload(id));
        tell_state(response, uploads_.state(id));
        return std::make_unique<Done>(std::move(response));
    }
    if (length) files_.check_size(*length);
    const std::string id = uploads_.create(std::move(plan));
    const bool has_body = request.header("Content-Type").value_or("") == tus::kBodyType &&
                          (!request.content_length() || *request.content_length() > 0);
    if (has_body) {
        try {
            return std::make_unique<TusBody>(uploads_, request, id, 0, std::nullopt, true);
        } catch (const Error&) {
            uploads_.terminate(id);
            throw;
        }
    }
    Response response = tus_answer(201);
    response.headers.emplace_back("Location", url_of_upload(id));
    tell_state(response, uploads_.state(id));
    return std::make_unique<Done>(std::move(response));
}

std::unique_ptr<Upload> TusRoutes::patch(const Request& request) {
    tus::check_version(request);
    const std::string id(request.param("id"));
    std::string type(request.header("Content-Type").value_or(""));
    type.resize(std::min(type.find_first_of("; \t"), type.size()));
    if (type != tus::kBodyType) {
        throw Error(Errc::unsupported_media, "unsupported-media-type",
                    fmt::format("this route takes {}", tus::kBodyType))
            .with_header("Accept", std::string(tus::kBodyType));
    }
    uploads_.find(id);  // 404 comes before what is wrong with the request
    const auto offset = tus::number_field(request, "Upload-Offset");
    if (!offset) throw tus::invalid_upload("Upload-Offset is wanted");
    return std::make_unique<TusBody>(uploads_, request, id, *offset,
                                     tus::number_field(request, "Upload-Length"), false);
}

std::unique_ptr<Upload> TusRoutes::post(const Request& request) {
    const auto method = request.header("X-HTTP-Method-Override").value_or("");
    if (method == "PATCH") return patch(request);
    if (method == "DELETE") return std::make_unique<Done>(terminate(request));
    throw tus::invalid_upload("a POST here wants X-HTTP-Method-Override: PATCH or DELETE");
}

Response TusRoutes::head(const Request& request) {
    return as_tus([&] {
        tus::check_version(request);
        const TusState state = uploads_.state(std::string(request.param("id")));
        Response response = tus_answer(200);
        tell_state(response, state);
        if (state.length) {
            response.headers.emplace_back("Upload-Length", std::to_string(*state.length));
        } else {
            response.headers.emplace_back("Upload-Defer-Length", "1");
        }
        if (!state.metadata.empty()) {
            response.headers.emplace_back("Upload-Metadata", state.metadata);
        }
        if (!state.concat.empty()) response.headers.emplace_back("Upload-Concat", state.concat);
        response.headers.emplace_back("Cache-Control", "no-store");
        return response;
    });
}

Response TusRoutes::terminate(const Request& request) {
    return as_tus([&] {
        tus::check_version(request);
        uploads_.terminate(std::string(request.param("id")));
        return tus_answer(204);
    });
}

}  // namespace larder::files
