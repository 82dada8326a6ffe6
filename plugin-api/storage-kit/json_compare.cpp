// Numbers are compared as decimal texts: a sign, the place of the first digit that counts, and the
// digits. An exponent may itself be longer than any integer type, so it is kept as text where it
// is.
#include "storage-kit/json_compare.hpp"

#include <algorithm>
#include <charconv>
#include <cstdint>
#include <string>
#include <vector>

#include "storage-kit/json_bytes.hpp"

namespace larder::storage::json {
namespace {

using Order = std::strong_ordering;

Order reversed(Order order) { return 0 <=> order; }
Order order_of(int compared) { return compared <=> 0; }

struct Number {
    int sign = 0;               // 0: it is zero, and nothing below counts
    std::string_view digits;    // from the first that is not 0 to the last; may hold the point
    std::int64_t place = 0;     // 10^place is the place before the first digit, without exponent
    bool down = false;          // the exponent is negative
    std::string_view exponent;  // its digits without leading zeros
};

Number parse(std::string_view text) {
    Number number;
    number.sign = text.front() == '-' ? -1 : 1;
    if (number.sign < 0) text.remove_prefix(1);
    const std::size_t e = std::min(text.find_first_of("eE"), text.size());
    std::string_view exponent = text.substr(std::min(e + 1, text.size()));
    const std::string_view mantissa = text.substr(0, e);
    number.down = exponent.starts_with('-');
    exponent.remove_prefix(std::min(exponent.find_first_of("123456789"), exponent.size()));
    number.exponent = exponent;

    const std::size_t first = mantissa.find_first_of("123456789");
    if (first == std::string_view::npos) {
        number.sign = 0;
        return number;
    }
    const std::size_t last = mantissa.find_last_of("123456789");
    number.digits = mantissa.substr(first, last + 1 - first);
    const auto point = static_cast<std::int64_t>(std::min(mantissa.find('.'), mantissa.size()));
    const auto at = static_cast<std::int64_t>(first);
    number.place = at < point ? point - at : point + 1 - at;
    return number;
}

// An integer of any size as digits, and its sign.
struct Whole {
    bool negative;
    std::string digits;  // no leading zeros
};

// A number of at least 19 digits and one that is no longer than a text in memory, so that the sum
// has the first one's sign.
Whole sum(bool negative, std::string_view large, std::int64_t small) {
    Whole whole{negative, "0" + std::string(large)};
    const bool away = negative == (small < 0);
    std::int64_t carry = small < 0 ? -small : small;
    for (std::size_t i = whole.digits.size(); i-- > 0 && carry != 0;) {
        const std::int64_t digit = whole.digits[i] - '0';
        const std::int64_t next = away ? digit + carry : digit - carry;
        // Down to the digit below, so that what is left is at least 0.
        const std::int64_t left = ((next % 10) + 10) % 10;
        whole.digits[i] = static_cast<char>('0' + left);
        carry = away ? (next - left) / 10 : (left - next) / 10;
    }
    whole.digits.erase(0, whole.digits.find_first_not_of('0'));
    return whole;
}

// The place of the first digit, exponent included.
Order compare_places(const Number& a, const Number& b) {
    constexpr std::size_t kFits = 18;  // digits that an int64 holds, whatever is added to it here
    const auto narrow = [](const Number& number) {
        std::int64_t exponent = 0;
        const std::string_view text = number.exponent;
        std::from_chars(text.data(), text.data() + text.size(), exponent);
        return (number.down ? -exponent : exponent) + number.place;
    };
    if (a.exponent.size() <= kFits && b.exponent.size() <= kFits) return narrow(a) <=> narrow(b);
    const auto wide = [&](const Number& number) {
        if (number.exponent.size() > kFits) return sum(number.down, number.exponent, number.place);
        const std::int64_t place = narrow(number);
        return Whole{place < 0, place == 0 ? "" : std::to_string(place < 0 ? -place : place)};
    };
    const Whole wide_a = wide(a);
    const Whole wide_b = wide(b);
    const auto rank = [](const Whole& whole) {
        if (whole.digits.empty()) return 0;
        return whole.negative ? -1 : 1;
    };
    if (rank(wide_a) != rank(wide_b)) return rank(wide_a) <=> rank(wide_b);
    const Order order = wide_a.digits.size() != wide_b.digits.size()
                            ? wide_a.digits.size() <=> wide_b.digits.size()
                            : order_of(wide_a.digits.compare(wide_b.digits));
    return wide_a.negative ? reversed(order) : order;
}

Order compare_digits(std::string_view a, std::string_view b) {
    std::size_t i = 0;
    std::size_t j = 0;
    for (;; ++i, ++j) {
        if (i < a.size() && a[i] == '.') ++i;
        if (j < b.size() && b[j] == '.') ++j;
        if (i >= a.size() || j >= b.size()) return (i < a.size()) <=> (j < b.size());
        if (a[i] != b[j]) return a[i] <=> b[j];
    }
}

struct Member {
    std::string name;
    std::string_view value;
};

std::vector<Member> members(std::string_view object, const LongParts* known) {
    std::vector<Member> found;
    for (Walk child(object, known); child.next();) {
        found.push_back({unquoted(child.name()), child.value()});
    }
    std::sort(found.begin(), found.end(),
              [](const Member& a, const Member& b) { return a.name < b.name; });
    return found;
}

}  // namespace

Kind kind_of(std::string_view value) {
    switch (value.front()) {
        case '{': return Kind::object;
        case '[': return Kind::array;
        case '"': return Kind::string;
        case 't':
        case 'f': return Kind::boolean;
        case 'n': return Kind::null;
        default: return Kind::number;
    }
}

Order compare_numbers(std::string_view a, std::string_view b) {
    const Number x = parse(a);
    const Number y = parse(b);
    if (x.sign != y.sign || x.sign == 0) return x.sign <=> y.sign;
    Order order = compare_places(x, y);
    if (order == Order::equal) order = compare_digits(x.digits, y.digits);
    return x.sign < 0 ? reversed(order) : order;
}

// The order of code points is the order of UTF-8's bytes.
Order compare_strings(std::string_view a, std::string_view b) {
    std::string scratch_a;
    std::string scratch_b;
    return order_of(text_of(a, scratch_a).compare(text_of(b, scratch_b)));
}

bool equal(std::string_view a, std::string_view b, const LongParts* known_a,
           const LongParts* known_b) {
    if (a == b) return true;
    const Kind kind = kind_of(a);
    if (kind != kind_of(b)) return false;
    switch (kind) {
        case Kind::null: return true;
        case Kind::boolean: return false;  // their texts differ
        case Kind::number: return compare_numbers(a, b) == 0;
        case Kind::string: return compare_strings(a, b) == 0;
        case Kind::array: {
            Walk x(a, known_a);
            Walk y(b, known_b);
            for (;;) {
                const bool more = x.next();
                if (more != y.next()) return false;
                if (!more) return true;
                if (!equal(x.value(), y.value(), known_a, known_b)) return false;
            }
        }
        case Kind::object: break;
    }
    const auto x = members(a, known_a);
    const auto y = members(b, known_b);
    return std::equal(x.begin(), x.end(), y.begin(), y.end(),
                      [&](const Member& p, const Member& q) {
                          return p.name == q.name && equal(p.value, q.value, known_a, known_b);
                      });
}

}  // namespace larder::storage::json
