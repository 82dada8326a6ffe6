// A change is read from its request on the reactor, or on a worker where that takes long; judged
// and made on the committer; answered from there once it is on disk.
//
//   what is written         Write, Edit, Batch
//   routes
//   set, patch, increment, delete
//   transactions
//   whole buckets
#include "kv_writes.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <optional>
#include <utility>
#include <variant>

#include "kv_answers.hpp"
#include "kv_route_texts.hpp"
#include "kv_transaction.hpp"
#include "kv_values.hpp"
#include "larder/conditional.hpp"
#include "larder/time.hpp"
#include "storage-kit/json.hpp"
#include "storage-kit/json_merge.hpp"
#include "storage-kit/json_patch.hpp"
#include "storage-kit/query.hpp"

namespace larder::kv {
namespace {

using storage::DocumentPtr;
using storage::Outcome;

// A transaction's body is read on the reactor: one value of the largest, but not without end.
constexpr std::uint64_t kAroundValue = 64U << 10U, kMaxBatch = 8U << 20U;
constexpr std::string_view kMergePatch = "application/merge-patch+json";
constexpr std::string_view kJsonPatch = "application/json-patch+json";
constexpr std::string_view kConditions = "if-match,if-none-match,if-unmodified-since";

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

std::int64_t ttl_parameter(const Request& request) {
    const auto text = request.query("ttl");
    if (!text) return kNoTtl;
    if (*text == "keep") return kKeepTtl;
    if (const auto ttl = ttl_of(*text)) return *ttl;
    throw storage::invalid_parameter(
        "ttl", fmt::format("ttl is keep or seconds: more than 0, at most {}", kMaxTtlSeconds));
}

using Change = std::variant<std::string, storage::json::Patch>;  // a merge patch is its text

Change change_of(std::string_view body, bool merge) {
    std::string text = compact_json(body, "the patch");
    if (merge) return text;
    return storage::json::Patch::parse(text);
}

bool is_merge_patch(const Request& request) {
    std::string type(request.header("Content-Type").value_or(""));
    type.resize(std::min(type.find_first_of("; \t"), type.size()));
    for (char& c : type) c = static_cast<char>(c >= 'A' && c <= 'Z' ? c | 0x20 : c);
    if (type == kMergePatch || type == kJsonPatch) return type == kMergePatch;
    throw Error(Errc::unsupported_media, "unsupported-media-type",
                fmt::format("a patch is {} or {}", kMergePatch, kJsonPatch))
        .with_header("Accept-Patch", fmt::format("{}, {}", kMergePatch, kJsonPatch));
}

}  // namespace

// ---- what is written

// A write on its way: what the handler read of the request, and the right to answer it.
struct KvWrites::Write {
    Reply reply;
    std::shared_ptr<Bucket> bucket;
    std::string key, value, metadata;
    Preconditions wanted;
    std::int64_t ttl_ms = kNoTtl;
    // What became of it.
    std::int64_t created_ms = 0, updated_ms = 0, expires_ms = 0;
    std::uint64_t revision = 0;
    bool replaced = false;

    // Sets `text` with the deadline and metadata given. [committer]
    void set(storage::Transaction& transaction, const DocumentPtr& before, std::string_view text,
             std::int64_t deadline_ms, std::string_view meta) {
        transaction.set(key, text, deadline_ms, meta);
        replaced = before != nullptr;
        revision = transaction.revision();
        updated_ms = transaction.now_ms();
        created_ms = before ? before->created_ms : updated_ms;
        expires_ms = deadline_ms;
    }
};

// A patch. What is long to apply is applied to a document apart from the committer, and only put in
// place if that document is still the one; which is tried so often.
struct KvWrites::Edit {
    static constexpr int kTriesApart = 3;

    Write write;
    Change change;
    std::uint64_t max_value;
    DocumentPtr applied_to;  // what write.value was made of

    std::string apply(const storage::Document& document) const {
        if (const auto* const merge = std::get_if<std::string>(&change)) {
            return storage::json::merge_patch(document.value, *merge, max_value);
        }
        return std::get<storage::json::Patch>(change).apply(document.value, max_value);
    }
};

struct KvWrites::Batch {
    Reply reply;
    std::shared_ptr<Bucket> bucket;
    std::unique_ptr<const Transaction> plan;
    std::string results;
};

// ---- routes

KvWrites::KvWrites(Buckets& buckets, Host& host, std::uint64_t max_value)
    : buckets_(buckets),
      host_(host),
      max_value_(max_value),
      writes_(host.metrics().counter("larder_kv_writes_total", "Changes that are on disk.")),
      refused_writes_(host.metrics().counter("larder_kv_refused_writes_total",
                                             "Changes that were refused, for any reason.")) {}

void KvWrites::declare(Routes& routes) {
    const auto bind = [this](auto method) {
        return [this, method](const Request& request, Reply reply) {
            telling_version(buckets_, request, [&] { (this->*method)(request, std::move(reply)); });
        };
    };
    declare_keys(routes);
    routes.prompt({.method = Method::post,
                   .pattern = "/api/kv/{bucket}/{key...}/increment",
                   .permission = Permission::write,
                   .summary = "Add to a 64-bit integer, which starts at 0; its ttl and metadata "
                              "stay",
                   .media_types = "application/json",
                   .schema = R"({"type":"object","properties":{"by":{"type":"integer"}}})",
                   .conditions = kConditions,
                   .parameters = kKeyParameters,
                   .answer_schema = kIncrementedSchema,
                   .answer_headers = kWrittenHeaders,
                   .problems = kIncrementProblems},
                  bind(&KvWrites::increment));
    routes.prompt({.method = Method::post,
                   .pattern = "/api/kv/{bucket}",
                   .permission = Permission::write,
                   .summary = "Set, delete and increment keys under conditions, all or nothing",
                   .media_types = "application/json",
                   .schema = kTransactionSchema,
                   .max_body = std::min(max_value_ + kAroundValue, kMaxBatch),
                   .parameters = kBucketParameters,
                   .answer_schema = kTransactedSchema,
                   .answer_headers = kVersionHeader,
                   .problems = kTransactProblems},
                  bind(&KvWrites::transact));
    routes.blocking({.method = Method::post,
                     .pattern = "/api/kv/{bucket}/checkpoint",
                     .permission = Permission::write,
                     .summary = "Fold the journal into the readable file now",
                     .parameters = kBucketParameters,
                     .answer_schema = kCheckpointSchema,
                     .answer_headers = kVersionHeader,
                     .problems = kBucketProblems},
                    [this](const Request& request) {
                        return telling_version(buckets_, request,
                                               [&] { return checkpoint(request); });
                    });
    routes.blocking({.method = Method::del,
                     .pattern = "/api/kv/{bucket}",
                     .permission = Permission::write,
                     .summary = "Remove a bucket with all its keys and its file",
                     .queries = "confirm",
                     .parameters = kRemoveParameters,
                     .answers = "204",
                     .answer_headers = kVersionHeader,
                     .problems = kBucketProblems},
                    [this](const Request& request) {
                        return telling_version(buckets_, request,
                                               [&] { return remove_bucket(request); });
                    });
}

void KvWrites::declare_keys(Routes& routes) {
    const auto bind = [this](auto method) {
        return [this, method](const Request& request, Reply reply) {
            telling_version(buckets_, request, [&] { (this->*method)(request, std::move(reply)); });
        };
    };
    // A key named `checkpoint` is one like any other, but for POST.
    for (const auto& [path, has_key] : {std::pair{"/api/kv/{bucket}/{key...}", true},
                                        std::pair{"/api/kv/{bucket}/checkpoint", false}}) {
        routes.prompt({.method = Method::put,
                       .pattern = path,
                       .permission = Permission::write,
                       .summary = "Set a value; on disk before the answer",
                       .queries = "ttl",
                       .media_types = "application/json",
                       .schema = "true",
                       .max_body = max_value_,
                       .conditions = kConditions,
                       .parameters = has_key ? kPutParameters : without_key(kPutParameters),
                       .answers = "200 application/json; 201 application/json",
                       .answer_schema = kWrittenSchema,
                       .answer_headers = kWrittenHeaders,
                       .problems = kPutProblems},
                      bind(&KvWrites::put));
        routes.prompt(
            {.method = Method::patch,
             .pattern = path,
             .permission = Permission::write,
             .summary =
                 "Change a value that is there by a merge patch or a JSON patch; its ttl and "
                 "metadata stay",
             .media_types = "application/merge-patch+json,application/json-patch+json",
             .schema = "true",
             .max_body = max_value_,
             .conditions = kConditions,
             .parameters = has_key ? kKeyParameters : without_key(kKeyParameters),
             .answer_schema = kWrittenSchema,
             .answer_headers = kWrittenHeaders,
             .problems = kPatchProblems},
            bind(&KvWrites::patch));
        routes.prompt({.method = Method::del,
                       .pattern = path,
                       .permission = Permission::write,
                       .summary = "Delete a key",
                       .conditions = kConditions,
                       .parameters = has_key ? kKeyParameters : without_key(kKeyParameters),
                       .answers = "204",
                       .answer_headers = kVersionHeader,
                       .problems = kKeyProblems},
                      bind(&KvWrites::remove));
    }
}

// ---- set, patch, increment, delete

void KvWrites::refuse(Reply& reply, const Outcome& outcome) {
    refused_writes_.add();
    Error error = *outcome.refused;
    error.with_header(kVersionField, revision_header(outcome.version));
    std::move(reply).fail(error);
}

void KvWrites::answer_written(Write& write, const Outcome& outcome) {
    if (outcome.refused) return refuse(write.reply, outcome);
    writes_.add();
    Response response = json_answer(write.replaced ? 200 : 201,
                                    written_json(write.key, write.revision, write.created_ms,
                                                 write.updated_ms, write.expires_ms));
    response.headers.emplace_back("ETag", etag_of(write.revision));
    tell_version(response, outcome.version);
    std::move(write.reply).send(std::move(response));
}

// A condition that asks for what is there fails without making a bucket.
std::shared_ptr<Bucket> KvWrites::bucket_for(const Request& request, const Write& write) {
    const std::string_view name = request.param("bucket");
    if (write.wanted.if_match && !buckets_.find(name)) check(write.wanted, nullptr);
    return buckets_.find_or_make(name);
}

void KvWrites::put(const Request& request, Reply reply) {
    auto write = std::make_shared<Write>(Write{std::move(reply),
                                               nullptr,
                                               std::string(key_of(request)),
                                               {},
                                               {},
                                               Preconditions::of(request),
                                               ttl_parameter(request)});
    if (const auto header = request.header("Larder-Metadata")) {
        write->metadata = check_metadata(*header);
    }
    write->bucket = bucket_for(request, *write);
    if (request.body().size() < kOffloadFrom) {
        write->value = compact_json(request.body(), "the body");
        return commit_put(write);
    }
    on_worker(host_, {write, &write->reply}, [this, write, body = std::string(request.body())] {
        write->value = compact_json(body, "the body");
        commit_put(write);
    });
}

void KvWrites::commit_put(const std::shared_ptr<Write>& write) {
    write->bucket->store().commit(
        [write](storage::Transaction& transaction) {
            const DocumentPtr before = transaction.get(write->key);
            check(write->wanted, before);
            write->set(transaction, before, write->value,
                       deadline_of(write->ttl_ms, before.get(), transaction.now_ms()),
                       write->metadata);
        },
        [this, write](const Outcome& outcome) { answer_written(*write, outcome); });
}

void KvWrites::patch(const Request& request, Reply reply) {
    const bool merge = is_merge_patch(request);
    const std::string_view key = key_of(request);
    auto bucket = existing_bucket(buckets_, request);
    const DocumentPtr now = bucket->store().get(key);
    if (!now || !is_live(*now, unix_now_ms())) throw key_not_found();
    auto edit = std::make_shared<Edit>(Edit{Write{std::move(reply),
                                                  std::move(bucket),
                                                  std::string(key),
                                                  {},
                                                  {},
                                                  Preconditions::of(request)},
                                            {},
                                            max_value_,
                                            nullptr});
    if (now->value.size() + request.body().size() < kOffloadFrom) {
        edit->change = change_of(request.body(), merge);
        return commit_patch(edit);
    }
    on_worker(host_, {edit, &edit->write.reply},
              [this, edit, merge, body = std::string(request.body())] {
                  edit->change = change_of(body, merge);
                  patch_apart(edit, Edit::kTriesApart);
              });
}

void KvWrites::commit_patch(const std::shared_ptr<Edit>& edit) {
    edit->write.bucket->store().commit(
        [edit](storage::Transaction& transaction) {
            Write& write = edit->write;
            const DocumentPtr before = transaction.get(write.key);
            if (!before) throw key_not_found();
            check(write.wanted, before);
            const bool applied = before == edit->applied_to;
            write.set(transaction, before, applied ? write.value : edit->apply(*before),
                      before->expires_ms, before->metadata);
        },
        [this, edit](const Outcome& outcome) { answer_written(edit->write, outcome); });
}

// [worker]
void KvWrites::patch_apart(const std::shared_ptr<Edit>& edit, int tries) {
    Write& write = edit->write;
    auto& store = write.bucket->store();
    for (; tries > 0; --tries) {
        edit->applied_to = store.get(write.key);
        if (!edit->applied_to || !is_live(*edit->applied_to, unix_now_ms())) throw key_not_found();
        check(write.wanted, edit->applied_to);
        write.value = edit->apply(*edit->applied_to);
        if (store.get(write.key) == edit->applied_to) break;
    }
    commit_patch(edit);
}

void KvWrites::increment(const Request& request, Reply reply) {
    auto write = std::make_shared<Write>(Write{std::move(reply),
                                               nullptr,
                                               std::string(key_of(request)),
                                               {},
                                               {},
                                               Preconditions::of(request)});
    const std::int64_t by =
        request.body().empty() ? 1 : by_of(compact_json(request.body(), "the body"));
    write->bucket = bucket_for(request, *write);
    write->bucket->store().commit(
        [write, by](storage::Transaction& transaction) {
            check(write->wanted, transaction.get(write->key));
            write->value = std::to_string(kv::increment(transaction, write->key, by));
            write->revision = transaction.revision();
        },
        [this, write](const Outcome& outcome) {
            if (outcome.refused) return refuse(write->reply, outcome);
            writes_.add();
            Response response = json_answer(
                200, fmt::format(R"({{"value":{},"revision":{}}})", write->value, write->revision));
            response.headers.emplace_back("ETag", etag_of(write->revision));
            tell_version(response, outcome.version);
            std::move(write->reply).send(std::move(response));
        });
}

void KvWrites::remove(const Request& request, Reply reply) {
    const std::string_view key = key_of(request);
    auto write = std::make_shared<Write>(Write{std::move(reply),
                                               existing_bucket(buckets_, request),
                                               std::string(key),
                                               {},
                                               {},
                                               Preconditions::of(request)});
    write->bucket->store().commit(
        [write](storage::Transaction& transaction) {
            const DocumentPtr before = transaction.get(write->key);
            if (!before) throw key_not_found();
            check(write->wanted, before);
            transaction.remove(write->key);
        },
        [this, write](const Outcome& outcome) {
            if (outcome.refused) return refuse(write->reply, outcome);
            writes_.add();
            Response response;
            response.status = 204;
            tell_version(response, outcome.version);
            std::move(write->reply).send(std::move(response));
        });
}

// ---- transactions

// Who may do what is asked of the request, which is only there during the handler.
void KvWrites::transact(const Request& request, Reply reply) {
    const std::string_view name = request.param("bucket");
    auto batch = std::make_shared<Batch>(Batch{std::move(reply), nullptr, nullptr, {}});
    batch->plan =
        std::make_unique<Transaction>(compact_json(request.body(), "the body"), max_value_);
    const auto demand = [&](Permission permission, const std::string& key,
                            const std::string& pointer) {
        if (request.may(permission, fmt::format("kv/{}/{}", name, key))) return;
        throw Error(Errc::forbidden, "forbidden", "the transaction names a key beyond your rights")
            .with("pointer", storage::json::quoted(pointer));
    };
    for (std::size_t i = 0; i < batch->plan->conditions().size(); ++i) {
        demand(Permission::read, batch->plan->conditions()[i].key, fmt::format("/if/{}/key", i));
    }
    for (std::size_t i = 0; i < batch->plan->ops().size(); ++i) {
        demand(Permission::write, batch->plan->ops()[i].key, fmt::format("/ops/{}/key", i));
    }
    batch->bucket = buckets_.find_or_make(name);
    commit_batch(batch);
}

void KvWrites::commit_batch(const std::shared_ptr<Batch>& batch) {
    batch->bucket->store().commit(
        [batch](storage::Transaction& transaction) {
            batch->results = batch->plan->apply(transaction);
        },
        [this, batch](const Outcome& outcome) {
            if (outcome.refused) return refuse(batch->reply, outcome);
            writes_.add();
            Response response =
                json_answer(200, fmt::format(R"({{"revision":{},"results":{}}})",
                                             outcome.version.revision, batch->results));
            tell_version(response, outcome.version);
            std::move(batch->reply).send(std::move(response));
        });
}

// ---- whole buckets

Response KvWrites::checkpoint(const Request& request) {
    const auto bucket = existing_bucket(buckets_, request);
    auto& store = bucket->store();
    const std::uint64_t revision = store.checkpoint();
    Response response = json_answer(
        200, fmt::format(R"({{"revision":{},"bytes":{}}})", revision, store.value_bytes()));
    tell_version(response, store.version());
    return response;
}

Response KvWrites::remove_bucket(const Request& request) {
    const auto bucket = existing_bucket(buckets_, request);
    if (request.query("confirm").value_or("") != bucket->name()) {
        throw storage::invalid_parameter(
            "confirm",
            fmt::format("confirm={} says that all of the bucket is to go", bucket->name()));
    }
    auto& store = bucket->store();
    store.clear();
    Response response;
    response.status = 204;
    tell_version(response, store.version());
    return response;
}

}  // namespace larder::kv
