#include "admin/account_answers.hpp"

#include <fmt/format.h>

#include <stdexcept>

#include "access/secrets.hpp"
#include "admin/body.hpp"

namespace larder::admin {

Object describe(const access::User& user) {
    Object row = object();
    row.set("name", user.name);
    row.set("roles", texts(user.roles));
    row.set("disabled", user.disabled);
    row.set("created_at", rfc3339(user.created_ms));
    row.set("updated_at", rfc3339(user.updated_ms));
    return row;
}

Object describe(const access::Token& token) {
    Object row = object();
    row.set("id", token.id);
    row.set("name", token.name);
    row.set("starts_with", fmt::format("{}{}", access::kTokenMark, token.id));
    row.set("user", token.user.empty() ? Poco::Dynamic::Var() : Poco::Dynamic::Var(token.user));
    row.set("scopes", texts(token.scopes));
    row.set("prefixes", texts(token.prefixes));
    row.set("created_at", rfc3339(token.created_ms));
    row.set("expires_at", time_or_null(token.expires_ms));
    row.set("last_used", time_or_null(*token.last_used_ms));
    return row;
}

Array texts(const std::vector<std::string>& all) {
    Array array;
    for (const std::string& text : all) array.add(text);
    return array;
}

Error no_such_user() { return {Errc::not_found, "user-not-found", "no user has this name"}; }

Error no_such_token() {
    return {Errc::not_found, "token-not-found", "no token has this id; it may have been revoked"};
}

void demand(std::string_view pointer, const std::function<void()>& check) {
    try {
        check();
    } catch (const std::invalid_argument& error) {
        throw invalid_field(pointer, error.what());
    }
}

}  // namespace larder::admin
