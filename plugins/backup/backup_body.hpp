// JSON objects read strictly, member by member: bodies of requests, records, manifests. Not for
// large trees: all members are in memory.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "larder/error.hpp"

namespace larder::backup {

// Refuses with 422 and the member's place.
Error invalid_field(std::string_view member, std::string detail);

// One object. Getters give `absent` where there is no such member or it is null, and throw
// invalid_field() for another type.
class Body {
public:
    // A request's body; an empty one is {}. Throws Error{bad_request, "invalid-json"},
    // invalid_field(). [any]
    static Body of_request(std::string_view text);
    // `text` has passed json::check().
    explicit Body(std::string_view text);

    // Refuses any member that is not named here, by commas.
    void allow_only(std::string_view names) const;
    bool has(std::string_view name) const;
    std::string_view raw(std::string_view name) const;  // empty where absent
    std::string text(std::string_view name, std::string_view absent = {}) const;
    bool flag(std::string_view name, bool absent = false) const;
    std::uint64_t number(std::string_view name, std::uint64_t absent = 0) const;
    double real(std::string_view name, double absent = 0) const;
    std::vector<std::string> texts(std::string_view name) const;

private:
    struct Member {
        std::string name, value;
    };
    const Member* find(std::string_view name) const;
    std::vector<Member> members_;
};

std::string json_list(const std::vector<std::string>& texts);
std::string text_or_null(std::string_view text);

// Unix milliseconds of RFC 3339 text as rfc3339() writes it; 0 for anything else. [any]
std::int64_t time_of(std::string_view text);

}  // namespace larder::backup
