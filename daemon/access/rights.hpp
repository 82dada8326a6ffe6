// What a caller may do: scopes, and for tokens the names they are confined to. Not who the caller
// is.
//
//   admin                     everything
//   kv:read  files:write      one permission on one area: a plugin's id, or "daemon" for the rest
//   backup:*  *:read          all permissions of an area; one permission on every area
//
// A permission brings no other: who may write may not thereby read. What only an admin may do to
// the daemon itself (users, plugins, settings) wants the scope "admin"; "kv:admin" is for the
// admin's routes of kv. Names are compared with a path below /api/: "kv/settings/theme".
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "larder/http.hpp"

namespace larder::access {

inline constexpr std::string_view kDaemonArea = "daemon";

// Scopes, read. Immutable. [any]
class Grants {
public:
    // Throws std::invalid_argument that says what was expected; `scope` is the one that is wrong.
    static void check(std::string_view scope);
    static Grants of(const std::vector<std::string>& scopes);  // all of them passed check()
    static Grants all() { return of({"admin"}); }

    bool is_admin() const noexcept { return admin_; }
    bool allow(std::string_view area, Permission permission) const noexcept;

private:
    struct Grant {
        std::string area;          // empty: every one
        std::uint8_t permissions;  // bit (Permission)
    };

    bool admin_ = false;
    std::vector<Grant> grants_;
};

// Grants, within the bounds of another's and of names. Immutable. [any]
class Rights {
public:
    explicit Rights(Grants grants) : grants_(std::move(grants)) {}
    Rights(Grants grants, std::optional<Grants> within, std::vector<std::string> prefixes)
        : grants_(std::move(grants)), within_(std::move(within)), prefixes_(std::move(prefixes)) {}

    // Everything, everywhere.
    bool is_admin() const noexcept;
    bool allow(std::string_view area, Permission permission) const noexcept;
    // Whether `name`, or all that begins with it, lies within the prefixes.
    bool cover(std::string_view name) const noexcept;
    bool is_confined() const noexcept { return !prefixes_.empty(); }

private:
    Grants grants_;
    std::optional<Grants> within_;  // the owner's, for a token that belongs to a user
    std::vector<std::string> prefixes_;
};

// The names of roles, and the scopes that each brings.
struct Role {
    std::string_view name;
    std::vector<std::string> scopes;
};
const std::vector<Role>& roles();

// A role is one of roles() or itself a scope. Throws as Grants::check().
void check_role(std::string_view role);
Grants grants_of_roles(const std::vector<std::string>& roles);

}  // namespace larder::access
