// JSON Patch (RFC 6902) on texts: parsed once, applied to any number of values, all or nothing.
// What is not touched keeps its bytes and its place.
#pragma once

#include <cstdint>
#include <memory>
#include <string>
#include <string_view>

namespace larder::storage::json {

// Immutable, cheap to copy. [any]
class Patch {
public:
    static constexpr std::size_t kMaxOperations = 10'000;

    // `compact` has passed compact(). Throws Error{unprocessable, "invalid-patch"} with the member
    // "pointer" for whatever section 3 and 4 do not allow: no array of objects, an unknown "op", a
    // member that is missing or no string or no JSON pointer, a move into what is moved.
    static Patch parse(std::string_view compact);

    // The changed text of `target`, which is compact and checked. Throws, "pointer" naming the
    // operation: Error{conflict, "patch-test-failed"}; Error{conflict, "patch-failed"} where an
    // operation's place is not there, or the whole value is removed. Throws Error{too_large,
    // "value-too-large"} for a result over `max_bytes` and for values over four times that on the
    // way; Error{unprocessable, "value-too-deep"} for more than kMaxDepth levels in the result.
    std::string apply(std::string_view target, std::uint64_t max_bytes) const;

private:
    struct Parsed;
    explicit Patch(std::shared_ptr<const Parsed> parsed) : parsed_(std::move(parsed)) {}

    std::shared_ptr<const Parsed> parsed_;
};

}  // namespace larder::storage::json
