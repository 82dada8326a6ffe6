#include "kv_routes.hpp"

#include <fmt/format.h>

#include <optional>
#include <utility>

#include "kv_answers.hpp"
#include "kv_route_texts.hpp"
#include "kv_values.hpp"
#include "kv_watch.hpp"
#include "kv_where.hpp"
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
using storage::json::Pointer;

constexpr std::size_t kShareFrom = 8U << 10U;     // smaller values are cheaper to copy
constexpr std::size_t kMaxPageBytes = 1U << 20U;  // a page of values ends early beyond this
constexpr std::size_t kLookAtOnce = 1000, kMostSeen = 100'000;  // documents, for a page
constexpr std::string_view kBucketCursor = "kv.buckets", kKeyCursor = "kv.keys";

void describe(Response& response, const Document& document) {
    response.headers.emplace_back("ETag", etag_of(document.revision));
    response.headers.emplace_back("Last-Modified", http_date(document.updated_ms / 1000));
}

// Part of a document, or all of it, as a body.
decltype(Response::body) body_of(const DocumentPtr& document, std::string_view text) {
    if (text.size() < kShareFrom) return std::string(text);
    return SharedBytes{document, text};
}

// One page of a bucket's keys, as it was asked for.
struct Page {
    std::shared_ptr<Bucket> bucket;
    std::string prefix, after;
    std::size_t limit;
    bool values;
    std::optional<Where> where;

    Response fill();
    void add(const Document& document);

    std::string body = R"({"items":[)";
    std::size_t count = 0;
};

void Page::add(const Document& document) {
    if (count++ > 0) body += ',';
    body += R"({"key":)";
    storage::json::append_quoted(body, document.key);
    body += fmt::format(R"(,"revision":{})", document.revision);
    if (values) body.append(R"(,"value":)").append(document.value);
    body += '}';
}

// Keys that have expired or do not meet the conditions are passed over, so a page may take more
// than one look; one that has looked at very many ends early, with the cursor of where it came to.
Response Page::fill() {
    const auto& store = bucket->store();
    const auto version = store.version();
    const std::int64_t now = unix_now_ms();
    std::size_t seen = 0;
    bool more = false;
    while (!more) {
        const std::size_t asked = where ? kLookAtOnce : limit + 1 - count;
        const auto documents = store.list(prefix, after, asked);
        for (const DocumentPtr& document : documents) {
            more = seen++ == kMostSeen;
            if (more) break;
            const bool shown =
                is_live(*document, now) && (!where || where->matches(document->value));
            more = shown && (count == limit || body.size() > kMaxPageBytes);
            if (more) break;
            after = document->key;
            if (shown) add(*document);
        }
        if (documents.size() < asked) break;
    }
    body += fmt::format(R"(],"next":{}}})", next_json(kKeyCursor, more ? after : ""));
    Response response = json_answer(200, std::move(body));
    tell_version(response, version);
    return response;
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

// As a parameter: what is wrong with it is told as of any other.
Pointer parsed(std::string_view text) {
    try {
        return Pointer::parse(text);
    } catch (const Error& error) {
        throw invalid_parameter("pointer", error.detail());
    }
}

}  // namespace

KvRoutes::KvRoutes(Buckets& buckets, Watches& watches, Host& host)
    : buckets_(buckets), watches_(watches), host_(host) {}

void KvRoutes::declare(Routes& routes) {
    const auto bind = [this](auto method) {
        return [this, method](const Request& request, Reply reply) {
            telling_version(buckets_, request, [&] { (this->*method)(request, std::move(reply)); });
        };
    };
    routes.prompt({.method = Method::get,
                   .pattern = "/api/kv",
                   .permission = Permission::read,
                   .summary = "List the buckets",
                   .queries = "limit,cursor",
                   .answer_schema = kBucketListSchema},
                  bind(&KvRoutes::list_buckets));
    routes.prompt({.method = Method::get,
                   .pattern = "/api/kv/{bucket}",
                   .permission = Permission::read,
                   .summary = "List a bucket's keys in byte order, or all of them as one object, "
                              "or watch them change",
                   .queries = "prefix,limit,cursor,values,where+,all,watch,since",
                   .parameters = kListParameters,
                   .answers = "200 application/json; 200 text/event-stream",
                   .answer_schema = R"({"type": "object"})",
                   .answer_headers = kVersionHeader,
                   .problems = kListProblems},
                  bind(&KvRoutes::list_keys));
    // A key named `checkpoint` is one like any other, but for POST.
    for (const auto& [path, has_key] : {std::pair{"/api/kv/{bucket}/{key...}", true},
                                        std::pair{"/api/kv/{bucket}/checkpoint", false}}) {
        routes.prompt({.method = Method::get,
                       .pattern = path,
                       .permission = Permission::read,
                       .summary = "Read a value, a part of it, or its whole record",
                       .queries = "meta,pointer",
                       .parameters = has_key ? kReadParameters : without_key(kReadParameters),
                       .answer_schema = "true",
                       .answer_headers = kValueHeaders,
                       .problems = kReadProblems},
                      bind(&KvRoutes::get));
    }
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

void KvRoutes::give_all(const Request& request, const std::shared_ptr<Bucket>& bucket,
                        Reply reply) {
    for (const char* other : {"prefix", "limit", "cursor", "values", "where"}) {
        if (request.query(other)) {
            throw invalid_parameter(other, "all=true goes with no other parameter");
        }
    }
    Response response;
    response.headers.emplace_back("Content-Type", "application/json");
    tell_version(response, bucket->store().version());
    response.body = [whole = std::make_shared<WholeBucket>(bucket)](std::string& chunk) {
        chunk.clear();
        return whole->fill(chunk);
    };
    std::move(reply).send(std::move(response));
}

void KvRoutes::list_keys(const Request& request, Reply reply) const {
    if (flag_of(request, "watch")) return watches_.open(request, std::move(reply));
    if (request.query("since")) throw invalid_parameter("since", "since goes with watch=true");
    auto bucket = existing_bucket(buckets_, request);
    if (flag_of(request, "all")) return give_all(request, bucket, std::move(reply));
    Page page{std::move(bucket),
              std::string(request.query("prefix").value_or("")),
              after_of(request, kKeyCursor),
              limit_of(request),
              flag_of(request, "values"),
              std::nullopt};
    const auto conditions = request.queries("where");
    if (conditions.empty()) return std::move(reply).send(page.fill());
    // Looks at values, many for one that it shows: not the reactor's work.
    page.where = Where::parse(conditions);
    const auto held = std::make_shared<Reply>(std::move(reply));
    on_worker(host_, held,
              [held, page = std::move(page)]() mutable { std::move(*held).send(page.fill()); });
}

void KvRoutes::get(const Request& request, Reply reply) const {
    const auto bucket = existing_bucket(buckets_, request);
    const std::string_view key = key_of(request);
    const bool whole_record = flag_of(request, "meta");
    const auto pointer = request.query("pointer");
    if (whole_record && pointer) {
        throw invalid_parameter("pointer", "pointer goes without meta=true");
    }
    const auto& store = bucket->store();
    const auto version = store.version();
    const DocumentPtr document = store.get(key);
    if (!document || !is_live(*document, unix_now_ms())) {
        throw key_not_found().with_header(kVersionField, revision_header(version));
    }
    Response response;
    response.headers.reserve(4);
    response.headers.emplace_back("Content-Type", "application/json");
    describe(response, *document);
    tell_version(response, version);
    if (pointer) {
        return give_part(document, parsed(*pointer), version, std::move(response),
                         std::move(reply));
    }
    if (whole_record) {
        response.body = record_json(*document);
    } else {
        response.body = body_of(document, document->value);
    }
    std::move(reply).send(std::move(response));
}

void KvRoutes::give_part(const DocumentPtr& document, Pointer pointer,
                         const storage::Version& version, Response response, Reply reply) const {
    auto take = [document, pointer = std::move(pointer), version,
                 response = std::move(response)](Reply& to) mutable {
        const auto part = storage::json::find(document->value, pointer);
        if (!part) {
            throw Error(Errc::not_found, "pointer-not-found", "the value has no such part")
                .with_header(kVersionField, revision_header(version));
        }
        response.body = body_of(document, *part);
        std::move(to).send(std::move(response));
    };
    if (document->value.size() < kOffloadFrom) return take(reply);
    const auto held = std::make_shared<Reply>(std::move(reply));
    on_worker(host_, held, [held, take = std::move(take)]() mutable { take(*held); });
}

}  // namespace larder::kv
