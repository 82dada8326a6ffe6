#include "kv_where.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <compare>

#include "larder/error.hpp"
#include "storage-kit/json.hpp"
#include "storage-kit/json_compare.hpp"

namespace larder::kv {
namespace {

namespace json = storage::json;

[[noreturn]] void refuse(std::string_view text, std::string_view why) {
    throw Error(Errc::bad_request, "invalid-parameter",
                fmt::format("where is a JSON pointer, one of = != < <= > >=, and a JSON value; "
                            "in {} {}",
                            json::quoted(text), why))
        .with("parameter", "\"where\"");
}

// Where the first operator begins, npos where there is none.
std::size_t operator_in(std::string_view text) {
    for (std::size_t at = 0; at < text.size(); ++at) {
        const char c = text[at];
        if (c == '=' || c == '<' || c == '>') return at;
        if (c == '!' && text.substr(at + 1).starts_with('=')) return at;
    }
    return std::string_view::npos;
}

}  // namespace

Where Where::parse(std::span<const std::string_view> conditions) {
    Where where;
    for (const std::string_view text : conditions) where.conditions_.push_back(parse_one(text));
    return where;
}

Where::Condition Where::parse_one(std::string_view text) {
    const std::size_t at = operator_in(text);
    if (at == std::string_view::npos) refuse(text, "there is no operator");
    const bool wide = text[at] != '=' && text.substr(at + 1).starts_with('=');
    Condition condition;
    switch (text[at]) {
        case '=': condition.op = Operator::equal; break;
        case '!': condition.op = Operator::unequal; break;
        case '<': condition.op = wide ? Operator::less_or_equal : Operator::less; break;
        default: condition.op = wide ? Operator::greater_or_equal : Operator::greater;
    }
    try {
        condition.pointer = json::Pointer::parse(text.substr(0, at));
    } catch (const Error& error) {
        refuse(text, fmt::format("the pointer is none: {}", error.detail()));
    }
    try {
        condition.operand = json::compact(text.substr(at + (wide ? 2 : 1)));
    } catch (const json::InvalidJson& error) {
        refuse(text, fmt::format("what follows the operator is no JSON value: {}", error.what()));
    }
    return condition;
}

bool Where::matches(std::string_view value) const {
    return std::all_of(conditions_.begin(), conditions_.end(),
                       [&](const Condition& condition) { return condition.holds(value); });
}

bool Where::Condition::holds(std::string_view value) const {
    const auto part = json::find(value, pointer);
    if (!part) return false;
    const json::Kind kind = json::kind_of(operand);
    if (json::kind_of(*part) != kind) return false;
    if (op == Operator::equal || op == Operator::unequal) {
        return json::equal(*part, operand) == (op == Operator::equal);
    }
    if (kind != json::Kind::number && kind != json::Kind::string) return false;
    const std::strong_ordering order = kind == json::Kind::number
                                           ? json::compare_numbers(*part, operand)
                                           : json::compare_strings(*part, operand);
    switch (op) {
        case Operator::less: return order < 0;
        case Operator::less_or_equal: return order <= 0;
        case Operator::greater: return order > 0;
        default: return order >= 0;
    }
}

}  // namespace larder::kv
