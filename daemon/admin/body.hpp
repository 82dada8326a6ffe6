// The JSON object in a request's body, member by member, with the refusals that all routes share.
// For the daemon's own small bodies: every member is known by name, and nothing nests but lists.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "larder/error.hpp"

namespace larder::admin {

// Error{unprocessable, "invalid-field"} that points at a member: "/roles/0". [any]
Error invalid_field(std::string_view pointer, std::string detail);

// Nothing is read where a member is absent; a wrong type throws invalid_field(). [any]
class Body {
public:
    // Throws Error{bad_request, "invalid-json"}, and invalid_field() for what is no object or has
    // a member that is none of `known`. An empty text is an object without members.
    Body(std::string_view text, std::initializer_list<std::string_view> known);

    bool has(std::string_view name) const noexcept { return find(name) != nullptr; }
    bool is_null(std::string_view name) const noexcept;
    std::optional<std::string> text(std::string_view name) const;
    std::optional<bool> flag(std::string_view name) const;
    std::optional<std::int64_t> integer(std::string_view name, std::int64_t least,
                                        std::int64_t most) const;
    std::optional<std::vector<std::string>> texts(std::string_view name) const;
    // As text(), but throws invalid_field() where there is none.
    std::string required(std::string_view name) const;

private:
    const std::string_view* find(std::string_view name) const noexcept;

    std::string text_;  // what the views look into
    std::vector<std::pair<std::string, std::string_view>> members_;
};

}  // namespace larder::admin
