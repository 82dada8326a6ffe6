// JSON values compared by what they stand for: numbers exactly, however large or long, strings by
// code points, objects whatever their order. Not a document model: it reads texts.
#pragma once

#include <compare>
#include <string_view>

#include "storage-kit/json.hpp"

namespace larder::storage::json {

enum class Kind { null = 1, boolean, number, string, array, object };

// All texts below are values that passed check(), without white space around them.

Kind kind_of(std::string_view value);

// Numerically, never by way of a double: 1 = 1.0 = 10e-1, -0 = 0, 1e400 < 1e401. Time and memory
// grow with the texts, not with the exponents. [any]
std::strong_ordering compare_numbers(std::string_view a, std::string_view b);

// The texts that two literals stand for, by code points. [any]
std::strong_ordering compare_strings(std::string_view a, std::string_view b);

// Equality of RFC 6902 section 4.6. `known_a` and `known_b` may shorten the way. [any]
bool equal(std::string_view a, std::string_view b, const LongParts* known_a = nullptr,
           const LongParts* known_b = nullptr);

}  // namespace larder::storage::json
