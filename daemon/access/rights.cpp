#include "access/rights.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <array>
#include <stdexcept>
#include <utility>

namespace larder::access {
namespace {

constexpr std::array<std::pair<std::string_view, Permission>, 4> kPermissions{{
    {"read", Permission::read},
    {"write", Permission::write},
    {"execute", Permission::execute},
    {"admin", Permission::admin},
}};

constexpr std::uint8_t bit(Permission permission) noexcept {
    return static_cast<std::uint8_t>(1U << static_cast<unsigned>(permission));
}

// 0 for what is no permission.
std::uint8_t permissions_of(std::string_view word) noexcept {
    std::uint8_t all = 0;
    for (const auto& [name, permission] : kPermissions) {
        if (name == word) return bit(permission);
        all = static_cast<std::uint8_t>(all | bit(permission));
    }
    return word == "*" ? all : 0;
}

bool is_area(std::string_view word) noexcept {
    const bool letter = !word.empty() && word.front() >= 'a' && word.front() <= 'z';
    return word == "*" ||
           (letter && word.size() <= 32 && std::all_of(word.begin(), word.end(), [](char c) {
                return (c >= 'a' && c <= 'z') || (c >= '0' && c <= '9') || c == '_';
            }));
}

}  // namespace

void Grants::check(std::string_view scope) {
    if (scope == "admin") return;
    const std::size_t colon = std::min(scope.find(':'), scope.size());
    const std::string_view area = scope.substr(0, colon);
    const std::string_view permission = scope.substr(std::min(colon + 1, scope.size()));
    if (!is_area(area) || permissions_of(permission) == 0) {
        throw std::invalid_argument(
            "expected admin or AREA:PERMISSION, such as kv:read, files:write, backup:* or *:read; "
            "the permissions are read, write, execute, admin and *");
    }
    if (area == kDaemonArea && permission == "admin") {
        throw std::invalid_argument(
            "who administers the daemon may do everything; write admin for that");
    }
}

Grants Grants::of(const std::vector<std::string>& scopes) {
    Grants grants;
    for (const std::string_view scope : scopes) {
        if (scope == "admin") {
            grants.admin_ = true;
            continue;
        }
        const std::size_t colon = scope.find(':');
        const std::string_view area = scope.substr(0, colon);
        grants.grants_.push_back(
            {area == "*" ? "" : std::string(area), permissions_of(scope.substr(colon + 1))});
    }
    return grants;
}

bool Grants::allow(std::string_view area, Permission permission) const noexcept {
    if (admin_ || permission == Permission::open) return true;
    if (area == kDaemonArea && permission == Permission::admin) return false;
    return std::any_of(grants_.begin(), grants_.end(), [&](const Grant& grant) {
        return (grant.area.empty() || grant.area == area) &&
               (grant.permissions & bit(permission)) != 0;
    });
}

bool Rights::is_admin() const noexcept {
    return grants_.is_admin() && (!within_ || within_->is_admin()) && prefixes_.empty();
}

bool Rights::allow(std::string_view area, Permission permission) const noexcept {
    return grants_.allow(area, permission) && (!within_ || within_->allow(area, permission));
}

bool Rights::cover(std::string_view name) const noexcept {
    return prefixes_.empty() ||
           std::any_of(prefixes_.begin(), prefixes_.end(),
                       [&](const std::string& prefix) { return name.starts_with(prefix); });
}

const std::vector<Role>& roles() {
    static const std::vector<Role> all = {
        {"admin", {"admin"}},
        {"editor", {"*:read", "*:write", "*:execute"}},
        {"viewer", {"*:read"}},
    };
    return all;
}

void check_role(std::string_view role) {
    for (const Role& known : roles()) {
        if (known.name == role) return;
    }
    try {
        Grants::check(role);
    } catch (const std::invalid_argument& error) {
        throw std::invalid_argument(
            fmt::format("expected a role (admin, editor, viewer) or a scope; {}", error.what()));
    }
}

Grants grants_of_roles(const std::vector<std::string>& given) {
    std::vector<std::string> scopes;
    for (const std::string& role : given) {
        const auto known = std::find_if(roles().begin(), roles().end(),
                                        [&](const Role& one) { return one.name == role; });
        if (known == roles().end()) {
            scopes.push_back(role);
        } else {
            scopes.insert(scopes.end(), known->scopes.begin(), known->scopes.end());
        }
    }
    return Grants::of(scopes);
}

}  // namespace larder::access
