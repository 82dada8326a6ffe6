// One pass over the text with the state kept in an array, no recursion: depth costs memory that is
// counted, not stack. Not built on simdjson's document model, which rewrites numbers, refuses those
// beyond a double and knows no offsets. Writing and reading checked text is json_text.cpp's.
//
//   Scanner          the grammar, levels and names; strips white space where asked to
//   compact, check
#include "storage-kit/json.hpp"

#include <algorithm>
#include <array>
#include <cstring>
#include <forward_list>
#include <memory_resource>
#include <utility>
#include <vector>

#include "storage-kit/json_bytes.hpp"

namespace larder::storage::json {
namespace {

struct Name {
    std::string_view text;  // unescaped
    std::size_t offset;     // of the literal
};

struct Level {
    std::size_t first_name;  // in the stack of names
    bool object;
    bool ascending;  // names came in strictly growing order so far: no two can be the same
};

// Few names are compared with each other as they come; many once, sorted, when the object closes.
constexpr std::size_t kFewNames = 8;

template <bool kStrip> class Scanner {
public:
    Scanner(std::string_view text, std::size_t max_depth, std::string* out)
        : begin_(text.data()),
          at_(text.data()),
          end_(text.data() + text.size()),
          kept_(text.data()),
          max_depth_(max_depth),
          out_(out) {}

    void run() {
        skip_space();
        value();
        while (!levels_.empty()) {
            skip_space();
            if (levels_.back().object) {
                next_member();
            } else {
                next_element();
            }
        }
        skip_space();
        if (at_ != end_) fail(at_, "expected the end after the value");
        if constexpr (kStrip) out_->append(kept_, end_);
    }

private:
    [[noreturn]] void fail(const char* where, const char* why) const {
        throw InvalidJson(static_cast<std::size_t>(where - begin_), why);
    }

    void skip_space() {
        if (at_ == end_ || !is_space(*at_)) return;
        if constexpr (kStrip) out_->append(kept_, at_);
        while (at_ != end_ && is_space(*at_)) ++at_;
        kept_ = at_;
    }

    // After an opening bracket or a child.
    void next_element() {
        const bool first = std::exchange(opened_, false);
        if (at_ == end_) fail(at_, "an array is not closed");
        if (*at_ == ']') return close();
        if (!first) {
            if (*at_ != ',') fail(at_, "expected ',' or ']' after an element");
            ++at_;
            skip_space();
        }
        value();
    }

    void next_member() {
        const bool first = std::exchange(opened_, false);
        if (at_ == end_) fail(at_, "an object is not closed");
        if (*at_ == '}') return close();
        if (!first) {
            if (*at_ != ',') fail(at_, "expected ',' or '}' after a member");
            ++at_;
            skip_space();
        }
        if (at_ == end_ || *at_ != '"') fail(at_, "expected a name in quotes");
        const char* const literal = at_;
        const bool escaped = string();
        add_name({literal, static_cast<std::size_t>(at_ - literal)}, escaped);
        skip_space();
        if (at_ == end_ || *at_ != ':') fail(at_, "expected ':' after the name");
        ++at_;
        skip_space();
        value();
    }

    void value() {
        if (at_ == end_) fail(at_, "expected a value, found the end");
        switch (*at_) {
            case '{': return open(true);
            case '[': return open(false);
            case '"': string(); return;
            case 't': return word("true");
            case 'f': return word("false");
            case 'n': return word("null");
            default: return number();
        }
    }

    void open(bool object) {
        if (levels_.size() == max_depth_) fail(at_, "nested too deep");
        levels_.push_back({names_.size(), object, true});
        opened_ = true;
        ++at_;
    }

    void close() {
        if (levels_.back().object) {
            check_names();
            names_.resize(levels_.back().first_name);
            if (names_.empty()) unescaped_.clear();
        }
        levels_.pop_back();
        ++at_;
    }

    void word(std::string_view expected) {
        if (static_cast<std::size_t>(end_ - at_) < expected.size() ||
            std::memcmp(at_, expected.data(), expected.size()) != 0) {
            fail(at_, "expected a value");
        }
        at_ += expected.size();
    }

    void digits(const char* why) {
        if (at_ == end_ || !is_digit(*at_)) fail(at_, why);
        while (at_ != end_ && is_digit(*at_)) ++at_;
    }

    void number() {
        if (*at_ == '-') {
            ++at_;
        } else if (!is_digit(*at_)) {
            fail(at_, "expected a value");
        }
        if (at_ != end_ && *at_ == '0') {
            ++at_;
            if (at_ != end_ && is_digit(*at_)) fail(at_, "a number may not begin with 0");
        } else {
            digits("expected a digit");
        }
        if (at_ != end_ && *at_ == '.') {
            ++at_;
            digits("expected a digit after '.'");
        }
        if (at_ != end_ && (*at_ == 'e' || *at_ == 'E')) {
            ++at_;
            if (at_ != end_ && (*at_ == '+' || *at_ == '-')) ++at_;
            digits("expected a digit in the exponent");
        }
    }

    // Steps over the literal; true where it has escapes.
    bool string() {
        const char* const opened = at_++;
        bool escaped = false;
        for (;;) {
            at_ = end_of_plain(at_, end_);
            if (at_ == end_) fail(opened, "a string is not closed");
            if (*at_ == '"') break;
            if (*at_ != '\\') fail(at_, "a control character in a string must be escaped");
            escaped = true;
            escape();
        }
        ++at_;
        return escaped;
    }

    void escape() {
        const char* const start = at_++;
        if (at_ == end_) fail(start, "unknown escape");
        switch (*at_++) {
            case '"':
            case '\\':
            case '/':
            case 'b':
            case 'f':
            case 'n':
            case 'r':
            case 't': return;
            case 'u': break;
            default: fail(start, "unknown escape");
        }
        const int unit = hex4(at_, end_);
        if (unit < 0) fail(start, "expected four hex digits after \\u");
        at_ += 4;
        if (is_low_surrogate(unit)) fail(start, "a low surrogate without its high one");
        if (!is_high_surrogate(unit)) return;
        const bool follows = end_ - at_ >= 6 && at_[0] == '\\' && at_[1] == 'u';
        if (!follows || !is_low_surrogate(hex4(at_ + 2, end_))) {
            fail(start, "a high surrogate without its low one");
        }
        at_ += 6;
    }

    void add_name(std::string_view literal, bool escaped) {
        Level& level = levels_.back();
        std::string_view text = literal.substr(1, literal.size() - 2);
        if (escaped) text = unescaped_.emplace_front(unquoted(literal));
        const auto offset = static_cast<std::size_t>(literal.data() - begin_);
        const std::size_t count = names_.size() - level.first_name;
        if (count > 0 && level.ascending && names_.back().text >= text) level.ascending = false;
        if (!level.ascending && count <= kFewNames) {
            for (std::size_t i = level.first_name; i < names_.size(); ++i) {
                if (names_[i].text == text) fail(literal.data(), "a name occurs twice");
            }
        }
        names_.push_back({text, offset});
    }

    // The names that were not compared as they came. Sorted by text: no hash that a sender could
    // steer.
    void check_names() {
        const Level& level = levels_.back();
        if (level.ascending || names_.size() - level.first_name <= kFewNames + 1) return;
        const auto first = names_.begin() + static_cast<std::ptrdiff_t>(level.first_name);
        std::sort(first, names_.end(), [](const Name& a, const Name& b) {
            const int order = a.text.compare(b.text);
            return order != 0 ? order < 0 : a.offset < b.offset;
        });
        std::size_t earliest = std::string_view::npos;
        for (auto name = first; name + 1 != names_.end(); ++name) {
            if (name->text == (name + 1)->text) earliest = std::min(earliest, (name + 1)->offset);
        }
        if (earliest != std::string_view::npos) fail(begin_ + earliest, "a name occurs twice");
    }

    const char* begin_;
    const char* at_;
    const char* end_;
    const char* kept_;  // not yet copied to out_
    std::size_t max_depth_;
    std::string* out_;
    bool opened_ = false;  // the last step was an opening bracket
    // Small texts allocate nothing: their levels and names fit here.
    std::array<std::byte, 2048> block_;
    std::pmr::monotonic_buffer_resource memory_{block_.data(), block_.size()};
    std::pmr::vector<Level> levels_{&memory_};
    std::pmr::vector<Name> names_{&memory_};
    std::forward_list<std::string> unescaped_;
};

void require_utf8(std::string_view text) {
    const std::size_t bad = invalid_utf8(text);
    if (bad != std::string_view::npos) throw InvalidJson(bad, "invalid UTF-8");
}

}  // namespace

std::string compact(std::string_view text, std::size_t max_depth) {
    require_utf8(text);
    std::string out;
    out.reserve(text.size());
    Scanner<true>(text, max_depth, &out).run();
    return out;
}

void check(std::string_view text, std::size_t max_depth) {
    require_utf8(text);
    Scanner<false>(text, max_depth, nullptr).run();
}

}  // namespace larder::storage::json
