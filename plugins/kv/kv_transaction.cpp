// The shape is read member by member with the JSON pointer of each at hand, so that a refusal can
// say where.
#include "kv_transaction.hpp"

#include <fmt/format.h>

#include <utility>

#include "kv_values.hpp"
#include "larder/error.hpp"
#include "storage-kit/json.hpp"
#include "storage-kit/json_members.hpp"

namespace larder::kv {
namespace {

namespace json = storage::json;
using json::invalid_field;
using json::Members;
using storage::DocumentPtr;

std::string_view get(const Members& members, std::string_view name) {
    if (const auto value = members.find(name)) return *value;
    throw invalid_field(members.pointer_of(name), fmt::format("{} is missing", name));
}

std::string key_in(const Members& members) {
    const std::string_view text = get(members, "key");
    if (!text.starts_with('"')) throw invalid_field(members.pointer_of("key"), "a key is a string");
    std::string key = json::unquoted(text);
    if (key.empty() || key.size() > kMaxKey || key.find('\0') != std::string::npos) {
        throw invalid_field(members.pointer_of("key"),
                            fmt::format("a key is 1 to {} bytes, none of them NUL", kMaxKey));
    }
    return key;
}

template <class Take> void each(const Members& members, std::string_view name, Take take) {
    const auto array = members.find(name);
    if (!array) return;
    const std::string pointer = members.pointer_of(name);
    if (!array->starts_with('[')) throw invalid_field(pointer, fmt::format("{} is an array", name));
    std::size_t count = 0;
    for (json::Walk element(*array); element.next(); ++count) {
        if (count == kMaxOps) {
            throw std::move(
                invalid_field(pointer, fmt::format("{} may have {} elements", name, kMaxOps))
                    .with("limit", std::to_string(kMaxOps)));
        }
        take(Members(element.value(), fmt::format("{}/{}", pointer, count)));
    }
}

Transaction::Condition condition_of(const Members& members) {
    Transaction::Condition condition;
    condition.key = key_in(members);
    if (const auto text = members.find("revision")) {
        const auto revision = exact_integer(*text);
        if (!revision || *revision < 1) {
            throw invalid_field(members.pointer_of("revision"), "a revision is a positive integer");
        }
        condition.revision = static_cast<std::uint64_t>(*revision);
    }
    if (const auto text = members.find("exists")) {
        if (*text != "true" && *text != "false") {
            throw invalid_field(members.pointer_of("exists"), "exists is true or false");
        }
        condition.exists = *text == "true";
    }
    members.end();
    if (!condition.revision && !condition.exists) {
        throw invalid_field(members.pointer_of("revision"), "a condition has a revision or exists");
    }
    return condition;
}

void read_set(const Members& members, Transaction::Op& op, std::uint64_t max_value) {
    op.value = get(members, "value");
    if (op.value.size() > max_value) {
        throw Error(Errc::too_large, "value-too-large",
                    fmt::format("a value may hold {} bytes", max_value))
            .with("limit", std::to_string(max_value))
            .with("pointer", json::quoted(members.pointer_of("value")));
    }
    if (const auto text = members.find("ttl")) {
        const auto ttl = *text == "\"keep\"" ? kKeepTtl : ttl_of(*text).value_or(kNoTtl);
        if (ttl == kNoTtl) {
            throw invalid_field(
                members.pointer_of("ttl"),
                fmt::format("ttl is \"keep\" or seconds: more than 0, at most {}", kMaxTtlSeconds));
        }
        op.ttl_ms = ttl;
    }
    if (const auto text = members.find("metadata")) {
        if (!text->starts_with('{') || text->size() > kMaxMetadata) {
            throw invalid_field(
                members.pointer_of("metadata"),
                fmt::format("metadata is an object of at most {} bytes", kMaxMetadata));
        }
        op.metadata = *text;
    }
}

std::int64_t by_in(const Members& members) {
    const auto text = members.find("by");
    if (!text) return 1;
    const auto by = exact_integer(*text);
    if (!by) throw invalid_field(members.pointer_of("by"), "by is a 64-bit integer");
    return *by;
}

Transaction::Op op_of(const Members& members, std::uint64_t max_value) {
    using Kind = Transaction::Op::Kind;
    Transaction::Op op;
    const std::string_view kind = get(members, "op");
    if (kind != R"("set")" && kind != R"("delete")" && kind != R"("increment")") {
        throw invalid_field(members.pointer_of("op"), "op is set, delete or increment");
    }
    op.kind = kind == R"("set")"      ? Kind::set
              : kind == R"("delete")" ? Kind::remove
                                      : Kind::increment;
    op.key = key_in(members);
    if (op.kind == Kind::set) read_set(members, op, max_value);
    if (op.kind == Kind::increment) op.by = by_in(members);
    members.end();
    return op;
}

}  // namespace

std::int64_t increment(storage::Transaction& transaction, std::string_view key, std::int64_t by) {
    const DocumentPtr before = transaction.get(key);
    const auto number = before ? exact_integer(before->value) : 0;
    std::int64_t sum = 0;
    if (!number) {
        throw Error(Errc::conflict, "not-a-number", "the value is no exact 64-bit integer");
    }
    if (__builtin_add_overflow(*number, by, &sum)) {
        throw Error(Errc::conflict, "not-a-number", "the result would be no 64-bit integer");
    }
    transaction.set(key, std::to_string(sum), before ? before->expires_ms : 0,
                    before ? before->metadata : std::string_view{});
    return sum;
}

std::int64_t by_of(std::string_view body) {
    const Members members(body);
    const std::int64_t by = by_in(members);
    members.end();
    return by;
}

Transaction::Transaction(std::string body, std::uint64_t max_value) : body_(std::move(body)) {
    const Members members(body_);
    each(members, "if",
         [this](const Members& element) { conditions_.push_back(condition_of(element)); });
    get(members, "ops");
    each(members, "ops",
         [this, max_value](const Members& element) { ops_.push_back(op_of(element, max_value)); });
    members.end();
}

void Transaction::check(const storage::Transaction& transaction) const {
    for (std::size_t i = 0; i < conditions_.size(); ++i) {
        const Condition& wanted = conditions_[i];
        const DocumentPtr found = transaction.get(wanted.key);
        const bool same = !wanted.revision || (found && found->revision == *wanted.revision);
        const bool there = !wanted.exists || (found != nullptr) == *wanted.exists;
        if (same && there) continue;
        throw Error(Errc::precondition_failed, "precondition-failed",
                    fmt::format("condition {} does not hold", i))
            .with("condition", std::to_string(i));
    }
}

std::string Transaction::apply(storage::Transaction& transaction) const {
    check(transaction);
    std::string results = "[";
    for (std::size_t i = 0; i < ops_.size(); ++i) {
        const Op& op = ops_[i];
        results += i > 0 ? R"(,{"key":)" : R"({"key":)";
        json::append_quoted(results, op.key);
        const DocumentPtr before = transaction.get(op.key);
        if (op.kind == Op::Kind::remove) {
            transaction.remove(op.key);
            results += before ? R"(,"deleted":true})" : R"(,"deleted":false})";
            continue;
        }
        if (op.kind == Op::Kind::set) {
            transaction.set(op.key, op.value,
                            deadline_of(op.ttl_ms, before.get(), transaction.now_ms()),
                            op.metadata);
            results += fmt::format(R"(,"revision":{}}})", transaction.revision());
            continue;
        }
        try {
            results += fmt::format(R"(,"value":{},"revision":{}}})",
                                   increment(transaction, op.key, op.by), transaction.revision());
        } catch (Error& error) {
            throw error.with("pointer", fmt::format("\"/ops/{}\"", i));
        }
    }
    return results += ']';
}

}  // namespace larder::kv
