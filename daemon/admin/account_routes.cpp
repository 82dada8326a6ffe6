#include "admin/account_routes.hpp"

#include <fmt/format.h>

#include <chrono>
#include <utility>

#include "access/principal.hpp"
#include "access/secrets.hpp"
#include "admin/account_answers.hpp"
#include "admin/account_schemas.hpp"
#include "admin/asker.hpp"
#include "admin/body.hpp"
#include "larder/time.hpp"
#include "routing/call.hpp"

namespace larder::admin {
namespace {

using access::Directory;
using access::Principal;
using access::User;

constexpr std::size_t kLongestText = 4096;  // bounds of their own are checked after it
constexpr std::string_view kWhoami = "/api/whoami";
constexpr std::string_view kPassword = "/api/users/{name}/password";

std::vector<std::string> roles_of(const Members& body) {
    auto roles = body.texts("roles");
    for (std::size_t i = 0; i < roles.size(); ++i) {
        demand(fmt::format("/roles/{}", i), [&] { access::check_role(roles[i]); });
    }
    return roles;
}

std::string password_of(const Members& body) {
    std::string password = body.required_text("password", kLongestText);
    demand("/password", [&] { access::check_password(password); });
    return password;
}

User& existing(Directory& directory, const std::string& name) {
    const auto found = directory.users.find(name);
    if (found == directory.users.end()) throw no_such_user();
    return found->second;
}

std::string_view by_word(Principal::By by) noexcept {
    switch (by) {
        case Principal::By::nothing: return "none";
        case Principal::By::socket: return "socket";
        case Principal::By::password: return "password";
        case Principal::By::token: return "token";
    }
    return "none";
}

Response no_content() {
    Response response;
    response.status = 204;
    return response;
}

}  // namespace

bool AccountRoutes::is_for_any_caller(const Route& route) noexcept {
    return route.pattern == kWhoami || route.pattern == kPassword;
}

void AccountRoutes::declare(Routes& routes) {
    const auto bind = [this](auto method) {
        return [this, method](const Request& request) { return (this->*method)(request); };
    };
    routes.blocking({.method = Method::get,
                     .pattern = kWhoami,
                     .permission = Permission::read,
                     .summary = "Who asks, and what they may do; any credentials will do",
                     .answer_schema = kWhoamiSchema},
                    bind(&AccountRoutes::whoami));
    routes.blocking({.method = Method::get,
                     .pattern = "/api/users",
                     .permission = Permission::admin,
                     .summary = "The users",
                     .queries = "limit,cursor",
                     .answer_schema = kUserListSchema},
                    bind(&AccountRoutes::list));
    routes.blocking({.method = Method::get,
                     .pattern = "/api/users/{name}",
                     .permission = Permission::admin,
                     .summary = "One user",
                     .answer_schema = kUserSchema,
                     .problems = "404 user-not-found: no user has this name"},
                    bind(&AccountRoutes::show));
    declare_changes(routes);
}

void AccountRoutes::declare_changes(Routes& routes) {
    const auto bind = [this](auto method) {
        return [this, method](const Request& request) { return (this->*method)(request); };
    };
    routes.blocking({.method = Method::post,
                     .pattern = "/api/users",
                     .permission = Permission::admin,
                     .summary = "Add a user",
                     .media_types = "application/json",
                     .schema = kNewUserSchema,
                     .answers = "201 application/json",
                     .answer_schema = kUserSchema,
                     .answer_headers = "Location: where the user stands",
                     .problems = kAddUserProblems},
                    bind(&AccountRoutes::add));
    routes.blocking({.method = Method::patch,
                     .pattern = "/api/users/{name}",
                     .permission = Permission::admin,
                     .summary = "Change a user's roles, or disable it",
                     .media_types = "application/merge-patch+json,application/json",
                     .schema = kUserPatchSchema,
                     .answer_schema = kUserSchema,
                     .problems = kUserProblems},
                    bind(&AccountRoutes::change));
    routes.blocking({.method = Method::del,
                     .pattern = "/api/users/{name}",
                     .permission = Permission::admin,
                     .summary = "Remove a user, and the tokens that belong to it",
                     .answers = "204",
                     .problems = kUserProblems},
                    bind(&AccountRoutes::remove));
    routes.blocking({.method = Method::put,
                     .pattern = kPassword,
                     .permission = Permission::write,
                     .summary = "Set a password: an admin anybody's, others their own",
                     .media_types = "application/json",
                     .schema = kPasswordSchema,
                     .answers = "204",
                     .problems = kPasswordProblems},
                    bind(&AccountRoutes::set_password));
}

Response AccountRoutes::list(const Request& request) const {
    std::vector<User> users;
    for (const auto& [name, user] : accounts_.now()->users) users.push_back(user);
    return page(
        request, "users", users, [](const User& user) -> const std::string& { return user.name; },
        [](const User& user) { return describe(user); });
}

Response AccountRoutes::show(const Request& request) const {
    const auto directory = accounts_.now();
    const auto found = directory->users.find(request.param("name"));
    if (found == directory->users.end()) throw no_such_user();
    return json(describe(found->second));
}

Response AccountRoutes::add(const Request& request) {
    const Members body = Members::of_body(request.body());
    User user;
    user.name = body.required_text("name", kLongestText);
    demand("/name", [&] { access::check_user_name(user.name); });
    const std::string password = password_of(body);
    user.roles = roles_of(body);
    user.disabled = body.flag("disabled").value_or(false);
    body.end();
    user.created_ms = user.updated_ms = unix_now_ms();
    const auto refuse_twice = [&](const Directory& directory) {
        if (!directory.users.contains(user.name)) return;
        throw Error(Errc::conflict, "user-exists", "there is a user of this name already");
    };
    refuse_twice(*accounts_.now());
    user.password_hash = access::hash_password(password);
    Asker(request).record(audit_, "user.add", user.name);
    accounts_.change([&](Directory& directory) {
        refuse_twice(directory);
        directory.users.emplace(user.name, user);
    });
    Response response = json(describe(user), 201);
    response.headers.emplace_back("Location", "/api/users/" + user.name);
    return response;
}

Response AccountRoutes::change(const Request& request) {
    const std::string name(request.param("name"));
    const Members body = Members::of_body(request.body());
    const bool has_roles = body.value("roles").has_value();
    const auto roles = roles_of(body);
    const auto disabled = body.flag("disabled");
    body.end();
    if (!accounts_.now()->users.contains(name)) throw no_such_user();
    Asker(request).record(audit_, "user.change", name, request.body());
    User after;
    accounts_.change([&](Directory& directory) {
        User& user = existing(directory, name);
        if (has_roles) user.roles = roles;
        if (disabled) user.disabled = *disabled;
        user.updated_ms = unix_now_ms();
        after = user;
    });
    return json(describe(after));
}

Response AccountRoutes::remove(const Request& request) {
    const std::string name(request.param("name"));
    if (!accounts_.now()->users.contains(name)) throw no_such_user();
    Asker(request).record(audit_, "user.remove", name);
    accounts_.change([&](Directory& directory) {
        if (directory.users.erase(name) == 0) throw no_such_user();
        std::erase_if(directory.tokens,
                      [&](const auto& entry) { return entry.second.user == name; });
    });
    return no_content();
}

// An admin may set anybody's. Others may set their own, and show that they know it: by the password
// that this very request came with, or by `current`.
void AccountRoutes::judge_password_change(const Request& request, const std::string& name,
                                          const std::string* current) {
    const auto& caller = routing::caller_of(request);
    if (caller->rights.is_admin()) return;
    if (caller->user != name) {
        throw Error(Errc::forbidden, "forbidden", "only an admin may set another's password");
    }
    if (caller->by == Principal::By::password) return;
    if (current == nullptr) {
        throw invalid_field("/current", "the body lacks current, the password as it is now");
    }
    const auto checked = logins_.check(name, *current, {request.peer_address(), request.id()});
    if (const auto* throttled = std::get_if<access::Logins::Throttled>(&checked)) {
        const auto seconds = std::chrono::ceil<std::chrono::seconds>(throttled->wait).count();
        throw Error(Errc::too_many_requests, "too-many-logins",
                    "too many wrong passwords for this user or from this address")
            .with_header("Retry-After", std::to_string(seconds));
    }
    if (std::get<bool>(checked)) return;
    throw Error(Errc::forbidden, "wrong-password", "the current password is another");
}

Response AccountRoutes::set_password(const Request& request) {
    const std::string name(request.param("name"));
    const Members body = Members::of_body(request.body());
    const std::string password = password_of(body);
    const auto current = body.text("current", kLongestText);
    body.end();
    judge_password_change(request, name, current ? &*current : nullptr);
    if (!accounts_.now()->users.contains(name)) throw no_such_user();
    const std::string hash = access::hash_password(password);
    Asker(request).record(audit_, "user.password", name);
    accounts_.change([&](Directory& directory) {
        User& user = existing(directory, name);
        user.password_hash = hash;
        user.updated_ms = unix_now_ms();
    });
    return no_content();
}

Response AccountRoutes::whoami(const Request& request) const {
    const auto& caller = routing::caller_of(request);
    const auto directory = accounts_.now();
    const auto user = directory->users.find(caller->user);
    const auto token = directory->tokens.find(caller->token_id);
    const bool has_user = user != directory->users.end();
    const bool has_token = token != directory->tokens.end();
    Object body = object();
    body.set("name", caller->name);
    body.set("by", std::string(by_word(caller->by)));
    body.set("auth_enabled", auth_enabled_());
    body.set("admin", caller->rights.is_admin());
    body.set("user", has_user ? Poco::Dynamic::Var(describe(user->second)) : Poco::Dynamic::Var());
    body.set("token",
             has_token ? Poco::Dynamic::Var(describe(token->second)) : Poco::Dynamic::Var());
    return json(body);
}

}  // namespace larder::admin
