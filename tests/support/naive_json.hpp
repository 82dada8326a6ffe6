// JSON edits done the slow and obvious way, to judge the quick ones by. Header only: unit tests and
// fuzz targets use it.
#pragma once

#include <optional>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "storage-kit/json.hpp"

namespace larder::test {

struct NaiveMember;

// A value whose scalars and names keep their bytes.
struct NaiveJson {
    using Tokens = std::vector<std::string>;

    char kind = 's';                    // 'o', 'a', or 's' for a scalar
    std::string text;                   // of a scalar
    std::vector<NaiveMember> children;  // in arrays without names

    static NaiveJson parse(std::string_view text);
    std::string write() const;
    // The child's place among the children, nothing where there is none.
    std::optional<std::size_t> place_of(const std::string& token) const;
    NaiveJson* find(const Tokens& tokens, std::size_t up_to);
    NaiveJson* find(const Tokens& tokens) { return find(tokens, tokens.size()); }
    // False where it cannot be done; then nothing was.
    bool add(const Tokens& tokens, NaiveJson value);
    bool remove(const Tokens& tokens);
    void merge(const NaiveJson& patch);  // RFC 7396 section 2, word by word
};

struct NaiveMember {
    std::string name;  // a literal
    NaiveJson value;
};

inline NaiveJson NaiveJson::parse(std::string_view text) {
    NaiveJson value;
    if (text.front() != '{' && text.front() != '[') {
        value.text = text;
        return value;
    }
    value.kind = text.front() == '{' ? 'o' : 'a';
    for (storage::json::Walk child(text); child.next();) {
        value.children.push_back({std::string(child.name()), parse(child.value())});
    }
    return value;
}

inline std::string NaiveJson::write() const {
    if (kind == 's') return text;
    std::string out(1, kind == 'o' ? '{' : '[');
    for (const auto& [name, value] : children) {
        if (out.size() > 1) out += ',';
        if (kind == 'o') out += name + ":";
        out += value.write();
    }
    return out + (kind == 'o' ? '}' : ']');
}

inline std::optional<std::size_t> NaiveJson::place_of(const std::string& token) const {
    for (std::size_t i = 0; i < children.size(); ++i) {
        const std::string name =
            kind == 'o' ? storage::json::unquoted(children[i].name) : std::to_string(i);
        if (name == token) return i;
    }
    return std::nullopt;
}

inline NaiveJson* NaiveJson::find(const Tokens& tokens, std::size_t up_to) {
    NaiveJson* value = this;
    for (std::size_t i = 0; i < up_to; ++i) {
        const auto place = value->place_of(tokens[i]);
        if (!place) return nullptr;
        value = &value->children[*place].value;
    }
    return value;
}
inline bool NaiveJson::add(const Tokens& tokens, NaiveJson value) {
    if (tokens.empty()) {
        *this = std::move(value);
        return true;
    }
    NaiveJson* const parent = find(tokens, tokens.size() - 1);
    if (parent == nullptr || parent->kind == 's') return false;
    const std::string& token = tokens.back();
    auto& siblings = parent->children;
    const auto place = parent->place_of(token);
    if (parent->kind == 'o' && place) {
        siblings[*place].value = std::move(value);
    } else if (parent->kind == 'o') {
        siblings.push_back({storage::json::quoted(token), std::move(value)});
    } else if (place) {
        siblings.insert(siblings.begin() + static_cast<std::ptrdiff_t>(*place),
                        {"", std::move(value)});
    } else if (token == "-" || token == std::to_string(siblings.size())) {
        siblings.push_back({"", std::move(value)});
    } else {
        return false;
    }
    return true;
}

inline bool NaiveJson::remove(const Tokens& tokens) {
    if (tokens.empty()) return false;
    NaiveJson* const parent = find(tokens, tokens.size() - 1);
    if (parent == nullptr) return false;
    const auto place = parent->place_of(tokens.back());
    if (!place) return false;
    parent->children.erase(parent->children.begin() + static_cast<std::ptrdiff_t>(*place));
    return true;
}

inline void NaiveJson::merge(const NaiveJson& patch) {
    if (patch.kind != 'o') {
        *this = patch;
        return;
    }
    if (kind != 'o') {
        *this = NaiveJson();
        kind = 'o';
    }
    for (const auto& [name, value] : patch.children) {
        const auto place = place_of(storage::json::unquoted(name));
        if (value.kind == 's' && value.text == "null") {
            if (place) children.erase(children.begin() + static_cast<std::ptrdiff_t>(*place));
        } else if (place) {
            children[*place].value.merge(value);
        } else {
            NaiveJson made;
            made.merge(value);
            children.push_back({name, std::move(made)});
        }
    }
}

}  // namespace larder::test
