// The filter of a list: `where=<JSON Pointer><op><JSON>`. Neither the list nor the query's syntax,
// whose percent-encoding is already undone here.
#pragma once

#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "storage-kit/json_pointer.hpp"

namespace larder::kv {

// Conditions that a value must all meet. Immutable. [any]
class Where {
public:
    // Each condition is split at its first operator, one of = != < <= > >=, so a name that holds
    // one of them cannot be pointed to. Throws Error{bad_request, "invalid-parameter"} with the
    // member "parameter".
    static Where parse(std::span<const std::string_view> conditions);

    // `value` is compact and checked. Numbers compare exactly, strings by code points, arrays and
    // objects by what they stand for; these, true, false and null know = and != alone. A part that
    // is missing, or of another type than the condition's, meets nothing, != included. No copy of
    // the value is made, and no document. [any]
    bool matches(std::string_view value) const;

private:
    enum class Operator { equal = 1, unequal, less, less_or_equal, greater, greater_or_equal };
    struct Condition {
        storage::json::Pointer pointer;
        Operator op = Operator::equal;
        std::string operand;  // compact JSON

        bool holds(std::string_view value) const;
    };

    static Condition parse_one(std::string_view text);

    std::vector<Condition> conditions_;
};

}  // namespace larder::kv
