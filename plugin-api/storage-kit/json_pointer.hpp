// JSON Pointer (RFC 6901): parsed once, followed through texts. Writes nothing: json_patch does.
#pragma once

#include <cstddef>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

namespace larder::storage::json {

// In its string form (section 3 and 5), not as a URI fragment. Immutable after parse(). [any]
class Pointer {
public:
    // "" is the whole document. Throws Error{bad_request, "invalid-pointer"} for text that neither
    // is empty nor begins with '/', for '~' without 0 or 1 after it, and for invalid UTF-8.
    static Pointer parse(std::string_view text);

    // Reference tokens, `~1` and `~0` undone.
    const std::vector<std::string>& tokens() const noexcept { return tokens_; }

    // Leads to something inside of what `other` leads to.
    bool is_below(const Pointer& other) const;

private:
    std::vector<std::string> tokens_;
};

// A token as an array's index: digits without a leading zero; empty for anything else, "-" and what
// no array can be as long as included. [any]
std::optional<std::size_t> index_of(std::string_view token);

// The part of a document as it stands in it, nothing where there is none. The document must have
// passed check(). One pass that ends with the part, whatever its size and depth. [any]
std::optional<std::string_view> find(std::string_view document, const Pointer& pointer);

}  // namespace larder::storage::json
