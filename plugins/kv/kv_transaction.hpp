// A transaction as a client wrote it: its shape judged, then carried out on a bucket's committer.
// Knows neither HTTP nor which bucket.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "storage-kit/document_store.hpp"

namespace larder::kv {

inline constexpr std::size_t kMaxOps = 1000;  // and as many conditions

// Adds `by` to the number at `key`, which starts at 0, and keeps its ttl and metadata. Returns the
// sum. Throws Error{conflict, "not-a-number"} where either is no exact 64-bit integer. [committer]
std::int64_t increment(storage::Transaction& transaction, std::string_view key, std::int64_t by);

// What the body {"by":1} of an increment asks for, 1 where it does not say; compact JSON. Throws
// Error{unprocessable, "invalid-field"} with the "pointer" of what is wrong.
std::int64_t by_of(std::string_view body);

class Transaction {
public:
    struct Condition {
        std::string key;
        std::optional<std::uint64_t> revision;
        std::optional<bool> exists;
    };
    struct Op {
        enum class Kind : std::uint8_t { set = 1, remove, increment };
        Kind kind;
        std::string key;
        std::string_view value, metadata;  // of a set, in body_
        std::int64_t ttl_ms = 0;           // of a set: kNoTtl, kKeepTtl, or how long
        std::int64_t by = 1;               // of an increment
    };

    // `body` is compact JSON. Throws Error{unprocessable, "invalid-field"} with the "pointer" of
    // what is wrong, and Error{too_large, "value-too-large"}.
    Transaction(std::string body, std::uint64_t max_value);
    Transaction(const Transaction&) = delete;
    Transaction& operator=(const Transaction&) = delete;

    const std::vector<Condition>& conditions() const noexcept { return conditions_; }
    const std::vector<Op>& ops() const noexcept { return ops_; }

    // All of it, in order; returns the JSON array of results. Throws
    // Error{precondition_failed, "precondition-failed"} with the index of the first "condition"
    // that fails, and what increment() throws, with "pointer". [committer]
    std::string apply(storage::Transaction& transaction) const;

private:
    void check(const storage::Transaction& transaction) const;

    const std::string body_;
    std::vector<Condition> conditions_;
    std::vector<Op> ops_;
};

}  // namespace larder::kv
