#include "admin/token_routes.hpp"

#include <fmt/format.h>

#include <algorithm>

#include "access/secrets.hpp"
#include "admin/account_answers.hpp"
#include "admin/account_schemas.hpp"
#include "admin/asker.hpp"
#include "admin/body.hpp"
#include "larder/time.hpp"
#include "storage-kit/digest.hpp"
#include "storage-kit/timestamps.hpp"

namespace larder::admin {
namespace {

using access::Directory;
using access::Token;

constexpr std::size_t kMostTokens = 10000, kMostWords = 100, kLongestPrefix = 1024,
                      kLongestText = 4096;

// By age, so that a list does not move while it is read.
struct Listed {
    std::string place;
    Token token;
};

std::vector<std::string> few(const Members& body, std::string_view name) {
    auto words = body.texts(name);
    if (words.size() <= kMostWords) return words;
    throw invalid_field(fmt::format("/{}", name), fmt::format("expected at most {}", kMostWords));
}

std::int64_t expiry_of(const Members& body) {
    const auto given = body.text("expires_at", kLongestText);
    if (!given) return 0;
    const auto time = storage::parse_rfc3339(*given);
    if (time && *time > 0) return *time;
    throw invalid_field("/expires_at", "expected a time such as 2027-01-31T00:00:00.000Z, or null");
}

Token token_of(const Members& body) {
    Token token;
    token.name = body.required_text("name", kLongestText);
    demand("/name", [&] { access::check_token_name(token.name); });
    token.scopes = few(body, "scopes");
    if (token.scopes.empty()) {
        throw invalid_field("/scopes", "a token wants at least one scope, such as kv:read");
    }
    for (std::size_t i = 0; i < token.scopes.size(); ++i) {
        demand(fmt::format("/scopes/{}", i), [&] { access::Grants::check(token.scopes[i]); });
    }
    token.prefixes = few(body, "prefixes");
    for (std::size_t i = 0; i < token.prefixes.size(); ++i) {
        const std::string& prefix = token.prefixes[i];
        if (!prefix.empty() && prefix.size() <= kLongestPrefix && prefix.front() != '/') continue;
        throw invalid_field(fmt::format("/prefixes/{}", i),
                            "expected what names begin with, as in paths below /api/: "
                            "kv/settings/");
    }
    token.expires_ms = expiry_of(body);
    token.user = body.text("user", kLongestText).value_or("");
    body.end();
    token.created_ms = unix_now_ms();
    return token;
}

}  // namespace

void TokenRoutes::declare(Routes& routes) {
    const auto bind = [this](auto method) {
        return [this, method](const Request& request) { return (this->*method)(request); };
    };
    routes.blocking({.method = Method::get,
                     .pattern = "/api/tokens",
                     .permission = Permission::admin,
                     .summary = "The tokens, without their secrets, the oldest first",
                     .queries = "limit,cursor",
                     .answer_schema = kTokenListSchema},
                    bind(&TokenRoutes::list));
    routes.blocking({.method = Method::post,
                     .pattern = "/api/tokens",
                     .permission = Permission::admin,
                     .summary = "Make a token; its secret is in this answer alone",
                     .media_types = "application/json",
                     .schema = kNewTokenSchema,
                     .answers = "201 application/json",
                     .answer_schema = kMadeTokenSchema,
                     .problems = kAddTokenProblems},
                    bind(&TokenRoutes::add));
    routes.blocking({.method = Method::del,
                     .pattern = "/api/tokens/{id}",
                     .permission = Permission::admin,
                     .summary = "Revoke a token; it is refused from this answer on",
                     .answers = "204",
                     .problems = kTokenProblems},
                    bind(&TokenRoutes::revoke));
}

Response TokenRoutes::list(const Request& request) const {
    std::vector<Listed> all;
    for (const auto& [id, token] : accounts_.now()->tokens) {
        all.push_back({fmt::format("{:020}{}", token.created_ms, id), token});
    }
    std::sort(all.begin(), all.end(),
              [](const Listed& a, const Listed& b) { return a.place < b.place; });
    return page(
        request, "tokens", all, [](const Listed& one) -> const std::string& { return one.place; },
        [](const Listed& one) { return describe(one.token); });
}

Response TokenRoutes::add(const Request& request) {
    Token token = token_of(Members::of_body(request.body(), {"expires_at", "user"}));
    const access::NewToken made = access::make_token();
    token.id = made.id;
    storage::Sha256 sum;
    sum.update(made.text);
    token.sha256 = sum.finish_hex();
    Object shown = describe(token);
    shown.set("secret", made.text);
    const auto judge = [&](const Directory& directory) {
        if (!token.user.empty() && !directory.users.contains(token.user)) {
            throw invalid_field("/user", "no user has this name");
        }
        if (directory.tokens.size() < kMostTokens) return;
        throw Error(Errc::conflict, "too-many-tokens",
                    fmt::format("there are {} tokens; revoke what is not used", kMostTokens));
    };
    judge(*accounts_.now());
    // The body holds no secret: that was made here.
    Asker(request).record(audit_, "token.add", token.id, request.body());
    accounts_.change([&](Directory& directory) {
        judge(directory);
        directory.tokens.emplace(token.id, token);
    });
    return json(shown, 201);
}

Response TokenRoutes::revoke(const Request& request) {
    const std::string id(request.param("id"));
    if (!accounts_.now()->tokens.contains(id)) throw no_such_token();
    Asker(request).record(audit_, "token.revoke", id);
    accounts_.change([&](Directory& directory) {
        if (directory.tokens.erase(id) == 0) throw no_such_token();
    });
    Response response;
    response.status = 204;
    return response;
}

}  // namespace larder::admin
