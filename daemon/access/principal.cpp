#include "access/principal.hpp"

#include <optional>
#include <utility>

namespace larder::access {

PrincipalPtr principal_of(const User& user) {
    return std::make_shared<Principal>(Principal{
        Principal::By::password, user.name, Rights(grants_of_roles(user.roles)), user.name, {}});
}

PrincipalPtr principal_of(const Token& token, const Directory& directory) {
    std::optional<Grants> within;
    if (!token.user.empty()) {
        const auto user = directory.users.find(token.user);
        if (user == directory.users.end() || user->second.disabled) return nullptr;
        within = grants_of_roles(user->second.roles);
    }
    const std::string name = (token.user.empty() ? "token" : token.user) + "/" + token.name;
    return std::make_shared<Principal>(Principal{
        Principal::By::token, name,
        Rights(Grants::of(token.scopes), std::move(within), token.prefixes), token.user, token.id});
}

}  // namespace larder::access
