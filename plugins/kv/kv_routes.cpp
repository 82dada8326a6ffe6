#include "kv_routes.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <utility>

#include "kv_values.hpp"
#include "larder/conditional.hpp"
#include "larder/time.hpp"
#include "storage-kit/json.hpp"
#include "storage-kit/query.hpp"

namespace larder::kv {
namespace {

using storage::after_of;
using storage::Document;
using storage::DocumentPtr;
using storage::flag_of;
using storage::invalid_parameter;
using storage::limit_of;
using storage::next_json;
using storage::Outcome;
using storage::Transaction;

constexpr std::size_t kShareFrom = 8U << 10U;      // smaller values are cheaper to copy
constexpr std::size_t kOffloadFrom = 128U << 10U;  // larger bodies are checked on a worker
constexpr std::size_t kMaxPageBytes = 1U << 20U;   // a page of values ends early beyond this
constexpr std::string_view kBucketCursor = "kv.buckets", kKeyCursor = "kv.keys";

bool is_live(const Document& document, std::int64_t now) noexcept {
    return document.expires_ms == 0 || document.expires_ms > now;
}

Response json_answer(int status, std::string body) {
    Response response;
    response.status = status;
    response.headers.emplace_back("Content-Type", "application/json");
    response.body = std::move(body);
    return response;
}

void describe(Response& response, const Document& document) {
    response.headers.emplace_back("ETag", etag_of(document.revision));
    response.headers.emplace_back("Last-Modified", http_date(document.updated_ms / 1000));
}

void tell_version(Response& response, const storage::Version& version) {
    response.headers.emplace_back("Larder-Revision", revision_header(version));
}

Error key_not_found() { return {Errc::not_found, "key-not-found", "the bucket has no such key"}; }

// The document as a change sees it: what has expired is not there.
DocumentPtr live(const Transaction& transaction, std::string_view key) {
    DocumentPtr document = transaction.get(key);
    if (document && !is_live(*document, transaction.now_ms())) document.reset();
    return document;
}

void check(const Preconditions& wanted, const DocumentPtr& document) {
    if (!wanted.any()) return;
    const std::string_view failing =
        document ? wanted.failing(etag_of(document->revision), document->updated_ms / 1000)
                 : wanted.failing({}, 0);
    if (failing.empty()) return;
    throw Error(Errc::precondition_failed, "precondition-failed",
                fmt::format("{} does not hold for the key as it stands", failing))
        .with("condition", storage::json::quoted(failing));
}

// One look at all of a bucket, told as one object a chunk at a time.
class WholeBucket {
public:
    explicit WholeBucket(std::shared_ptr<Bucket> bucket) : bucket_(std::move(bucket)) {}

    bool fill(std::string& chunk) {
        if (chunk_count_++ == 0) {
            documents_ = bucket_->store().list({}, {}, SIZE_MAX);
            chunk += '{';
        }
        const std::int64_t now = unix_now_ms();
        for (; at_ < documents_.size() && chunk.size() < kChunk; ++at_) {
            if (!is_live(*documents_[at_], now)) continue;
            if (std::exchange(some_, true)) chunk += ',';
            storage::json::append_quoted(chunk, documents_[at_]->key);
            chunk.append(":").append(documents_[at_]->value);
        }
        if (at_ < documents_.size()) return true;
        chunk += '}';
        return false;
    }

private:
    static constexpr std::size_t kChunk = 64U << 10U;

    const std::shared_ptr<Bucket> bucket_;
    std::vector<DocumentPtr> documents_;
    std::size_t at_ = 0, chunk_count_ = 0;
    bool some_ = false;
};

}  // namespace

// A write on its way: what the handler read of the request, and the right to answer it.
struct KvRoutes::Put {
    Reply reply;
    std::shared_ptr<Bucket> bucket;
    std::string key, body, value, metadata;
    Preconditions wanted;
    std::int64_t created_ms = 0, updated_ms = 0, expires_ms = 0;
    std::uint64_t revision = 0;
    bool replaced = false;
};

KvRoutes::KvRoutes(Buckets& buckets, Host& host, std::uint64_t max_value)
    : buckets_(buckets),
      host_(host),
      max_value_(max_value),
      writes_(host.metrics().counter("larder_kv_writes_total", "Changes that are on disk.")),
      refused_writes_(host.metrics().counter("larder_kv_refused_writes_total",
                                             "Changes that were refused, for any reason.")) {}

void KvRoutes::declare(Routes& routes) {
    const auto bind = [this](auto method) {
        return [this, method](const Request& request, Reply reply) {
            (this->*method)(request, std::move(reply));
        };
    };
    routes.prompt({Method::get, "/api/kv", Permission::read, "List the buckets", "limit,cursor", "",
                   "", 1U << 20U, ""},
                  bind(&KvRoutes::list_buckets));
    routes.prompt({Method::get, "/api/kv/{bucket}", Permission::read,
                   "List a bucket's keys in byte order, or all of them as one object",
                   "prefix,limit,cursor,values,all", "", "", 1U << 20U, ""},
                  bind(&KvRoutes::list_keys));
    routes.prompt({Method::get, "/api/kv/{bucket}/{key...}", Permission::read,
                   "Read a value, or its whole record", "meta", "", "", 1U << 20U, ""},
                  bind(&KvRoutes::get));
    routes.prompt({Method::put, "/api/kv/{bucket}/{key...}", Permission::write,
                   "Set a value; on disk before the answer", "", "application/json", "true",
                   max_value_, "if-match,if-none-match,if-unmodified-since"},
                  bind(&KvRoutes::put));
    routes.prompt({Method::del, "/api/kv/{bucket}/{key...}", Permission::write, "Delete a key", "",
                   "", "", 1U << 20U, "if-match,if-none-match,if-unmodified-since"},
                  bind(&KvRoutes::remove));
}

std::shared_ptr<Bucket> KvRoutes::existing(const Request& request) const {
    auto bucket = buckets_.find(request.param("bucket"));
    if (bucket) return bucket;
    throw Error(Errc::not_found, "bucket-not-found",
                "there is no such bucket; the first write to it makes it");
}

void KvRoutes::list_buckets(const Request& request, Reply reply) const {
    const std::size_t limit = limit_of(request);
    const std::string after = after_of(request, kBucketCursor);
    std::string body = R"({"items":[)", last;
    std::size_t count = 0;
    bool more = false;
    for (const auto& bucket : buckets_.all()) {
        if (!after.empty() && bucket->name() <= after) continue;
        if (count == limit) {
            more = true;
            break;
        }
        const char* comma = count++ > 0 ? "," : "";
        last = bucket->name();
        if (!bucket->is_readable()) {
            body += fmt::format(
                R"({}{{"bucket":"{}","file":"{}","keys":null,"bytes":null,"revision":null,"epoch":null}})",
                comma, bucket->name(), bucket->file());
            continue;
        }
        const auto& store = bucket->store();
        const auto version = store.version();
        body += fmt::format(
            R"({}{{"bucket":"{}","file":"{}","keys":{},"bytes":{},"revision":{},"epoch":{}}})",
            comma, bucket->name(), bucket->file(), store.count(), store.value_bytes(),
            version.revision, version.epoch);
    }
    body += fmt::format(R"(],"next":{}}})", next_json(kBucketCursor, more ? last : ""));
    std::move(reply).send(json_answer(200, std::move(body)));
}

void KvRoutes::list_keys(const Request& request, Reply reply) const {
    const auto bucket = existing(request);
    const auto& store = bucket->store();
    if (flag_of(request, "all")) {
        for (const char* other : {"prefix", "limit", "cursor", "values"}) {
            if (request.query(other)) {
                throw invalid_parameter(other, "all=true goes with no other parameter");
            }
        }
        Response response;
        response.headers.emplace_back("Content-Type", "application/json");
        tell_version(response, store.version());
        response.body = [whole = std::make_shared<WholeBucket>(bucket)](std::string& chunk) {
            chunk.clear();
            return whole->fill(chunk);
        };
        std::move(reply).send(std::move(response));
        return;
    }
    const std::size_t limit = limit_of(request);
    const bool values = flag_of(request, "values");
    const std::string_view prefix = request.query("prefix").value_or("");
    std::string after = after_of(request, kKeyCursor);
    const auto version = store.version();
    const std::int64_t now = unix_now_ms();
    std::string body = R"({"items":[)", last;
    std::size_t count = 0;
    bool more = false;
    // Expired keys are passed over, so a page may take more than one look.
    for (;;) {
        const std::size_t asked = limit + 1 - count;
        const auto documents = store.list(prefix, after, asked);
        for (const DocumentPtr& document : documents) {
            after = document->key;
            if (!is_live(*document, now)) continue;
            if (count == limit || body.size() > kMaxPageBytes) {
                more = true;
                break;
            }
            if (count++ > 0) body += ',';
            body += R"({"key":)";
            storage::json::append_quoted(body, document->key);
            body += fmt::format(R"(,"revision":{})", document->revision);
            if (values) body.append(R"(,"value":)").append(document->value);
            body += '}';
            last = document->key;
        }
        if (more || documents.size() < asked) break;
    }
    body += fmt::format(R"(],"next":{}}})", next_json(kKeyCursor, more ? last : ""));
    Response response = json_answer(200, std::move(body));
    tell_version(response, version);
    std::move(reply).send(std::move(response));
}

void KvRoutes::get(const Request& request, Reply reply) const {
    const auto bucket = existing(request);
    const std::string_view key = request.param("key");
    check_key(key);
    const bool whole_record = flag_of(request, "meta");
    const auto& store = bucket->store();
    const auto version = store.version();
    const DocumentPtr document = store.get(key);
    if (!document || !is_live(*document, unix_now_ms())) {
        throw key_not_found().with_header("Larder-Revision", revision_header(version));
    }
    Response response;
    response.headers.reserve(4);
    response.headers.emplace_back("Content-Type", "application/json");
    describe(response, *document);
    tell_version(response, version);
    if (whole_record) {
        response.body = record_json(*document);
    } else if (document->value.size() < kShareFrom) {
        response.body = std::string(document->value);
    } else {
        response.body = SharedBytes{document, document->value};
    }
    std::move(reply).send(std::move(response));
}

void KvRoutes::put(const Request& request, Reply reply) {
    const std::string_view name = request.param("bucket");
    const std::string_view key = request.param("key");
    check_key(key);
    std::string metadata;
    if (const auto header = request.header("Larder-Metadata")) {
        metadata = check_metadata(*header);
    }
    auto wanted = Preconditions::of(request);
    if (wanted.if_match && !buckets_.find(name)) check(wanted, nullptr);
    auto put = std::make_shared<Put>(Put{std::move(reply),
                                         buckets_.find_or_make(name),
                                         std::string(key),
                                         {},
                                         {},
                                         std::move(metadata),
                                         std::move(wanted)});
    const auto take_body = [](Put& target, std::string_view body) {
        try {
            target.value = storage::json::compact(body);
        } catch (const storage::json::InvalidJson& error) {
            throw Error(Errc::bad_request, "invalid-json",
                        fmt::format("the body is no JSON value: {}", error.what()))
                .with("offset", std::to_string(error.offset()));
        }
    };
    if (request.body().size() < kOffloadFrom) {
        take_body(*put, request.body());
        commit(put);
        return;
    }
    put->body = request.body();
    const bool posted = host_.workers().post([this, put, take_body] {
        try {
            take_body(*put, std::exchange(put->body, {}));
            commit(put);
        } catch (const Error& error) {
            std::move(put->reply).fail(error);
        }
    });
    if (!posted) {
        throw Error(Errc::unavailable, "overloaded", "all workers are busy and their queue is full")
            .with_header("Retry-After", "1");
    }
}

void KvRoutes::commit(const std::shared_ptr<Put>& put) {
    auto& store = put->bucket->store();
    store.commit(
        [put](Transaction& transaction) {
            const DocumentPtr before = live(transaction, put->key);
            check(put->wanted, before);
            if (!before) transaction.remove(put->key);  // an expired one leaves nothing behind
            transaction.set(put->key, put->value, put->expires_ms, put->metadata);
            put->replaced = before != nullptr;
            put->revision = transaction.revision();
            put->updated_ms = transaction.now_ms();
            put->created_ms = before ? before->created_ms : put->updated_ms;
        },
        [this, put](const Outcome& outcome) {
            if (outcome.refused) return refuse(*put, outcome);
            writes_.add();
            Response response = json_answer(put->replaced ? 200 : 201,
                                            written_json(put->key, put->revision, put->created_ms,
                                                         put->updated_ms, put->expires_ms));
            response.headers.emplace_back("ETag", etag_of(put->revision));
            tell_version(response, outcome.version);
            std::move(put->reply).send(std::move(response));
        });
}

void KvRoutes::refuse(Put& put, const Outcome& outcome) {
    refused_writes_.add();
    Error error = *outcome.refused;
    error.with_header("Larder-Revision", revision_header(outcome.version));
    std::move(put.reply).fail(error);
}

void KvRoutes::remove(const Request& request, Reply reply) {
    check_key(request.param("key"));
    auto put = std::make_shared<Put>(Put{std::move(reply),
                                         existing(request),
                                         std::string(request.param("key")),
                                         {},
                                         {},
                                         {},
                                         Preconditions::of(request)});
    put->bucket->store().commit(
        [put](Transaction& transaction) {
            const DocumentPtr before = live(transaction, put->key);
            if (!before) throw key_not_found();
            check(put->wanted, before);
            transaction.remove(put->key);
        },
        [this, put](const Outcome& outcome) {
            if (outcome.refused) return refuse(*put, outcome);
            writes_.add();
            Response response;
            response.status = 204;
            tell_version(response, outcome.version);
            std::move(put->reply).send(std::move(response));
        });
}

}  // namespace larder::kv
