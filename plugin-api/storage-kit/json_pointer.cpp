#include "storage-kit/json_pointer.hpp"

#include <algorithm>
#include <charconv>

#include "larder/error.hpp"
#include "storage-kit/json.hpp"

namespace larder::storage::json {
namespace {

[[noreturn]] void refuse(const char* why) {
    throw Error(Errc::bad_request, "invalid-pointer", why);
}

std::string unescaped(std::string_view token) {
    std::string text;
    text.reserve(token.size());
    for (std::size_t at = 0; at < token.size(); ++at) {
        if (token[at] != '~') {
            text += token[at];
            continue;
        }
        ++at;
        if (at == token.size() || (token[at] != '0' && token[at] != '1')) {
            refuse("in a JSON pointer '~' is written ~0, and '/' within a name ~1");
        }
        text += token[at] == '0' ? '~' : '/';
    }
    return text;
}

}  // namespace

Pointer Pointer::parse(std::string_view text) {
    Pointer pointer;
    if (text.empty()) return pointer;
    if (text.front() != '/') {
        refuse("a JSON pointer is empty or begins with '/'");
    }
    if (invalid_utf8(text) != std::string_view::npos) refuse("a JSON pointer must be UTF-8");
    for (std::size_t at = 1; at <= text.size();) {
        const std::size_t end = std::min(text.find('/', at), text.size());
        pointer.tokens_.push_back(unescaped(text.substr(at, end - at)));
        at = end + 1;
    }
    return pointer;
}

bool Pointer::is_below(const Pointer& other) const {
    return tokens_.size() > other.tokens_.size() &&
           std::equal(other.tokens_.begin(), other.tokens_.end(), tokens_.begin());
}

std::optional<std::size_t> index_of(std::string_view token) {
    if (token.empty() || (token.front() == '0' && token.size() > 1)) return std::nullopt;
    std::size_t index = 0;
    const auto [end, error] = std::from_chars(token.data(), token.data() + token.size(), index);
    if (error != std::errc() || end != token.data() + token.size()) return std::nullopt;
    return index;
}

std::optional<std::string_view> find(std::string_view document, const Pointer& pointer) {
    // Where the part begins, and all that comes after it: no end is looked for on the way down.
    std::string_view part = document;
    std::string scratch;
    const auto step = [&](const std::string& token) {
        Walk child(part);
        if (part.front() == '{') {
            while (child.next()) {
                if (text_of(child.name(), scratch) != token) continue;
                part = child.rest();
                return true;
            }
            return false;
        }
        if (part.front() != '[') return false;
        const auto index = index_of(token);
        if (!index) return false;
        for (std::size_t i = 0; child.next(); ++i) {
            if (i != *index) continue;
            part = child.rest();
            return true;
        }
        return false;
    };
    if (!std::all_of(pointer.tokens().begin(), pointer.tokens().end(), step)) return std::nullopt;
    if (pointer.tokens().empty()) return document;
    Walk only = Walk::elements(part);
    only.next();
    return only.value();
}

}  // namespace larder::storage::json
