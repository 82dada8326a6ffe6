#include "session_routes.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <cmath>
#include <utility>

#include "cache_answers.hpp"
#include "cache_route_texts.hpp"
#include "larder/secrets.hpp"
#include "larder/time.hpp"
#include "storage-kit/answers.hpp"
#include "storage-kit/digest.hpp"
#include "storage-kit/encodings.hpp"
#include "storage-kit/json.hpp"
#include "storage-kit/json_members.hpp"
#include "storage-kit/json_merge.hpp"
#include "storage-kit/query.hpp"
#include "storage-kit/random.hpp"

namespace larder::cache {
namespace {

namespace json = storage::json;

constexpr std::size_t kMaxUser = 256, kMaxData = 16U << 10U, kIdBytes = 32;
constexpr std::string_view kCursor = "cache.sessions";
constexpr double kMostSeconds = 315'576'000;  // ten years

std::string new_id() {
    return std::string(kSessionIdBegins) + storage::to_hex(storage::random_bytes(kIdBytes));
}

std::string hash_of_id(std::string_view id) {
    storage::Sha256 sha;
    sha.update(id);
    return sha.finish_hex();
}

Error not_found() {
    return {Errc::not_found, "session-not-found", "there is no such session, or it has ended"};
}

Error too_large() {
    return std::move(Error(Errc::too_large, "session-too-large",
                           fmt::format("a session's data may hold {} bytes", kMaxData))
                         .with("limit", std::to_string(kMaxData)));
}

std::optional<std::int64_t> ttl_of(const json::Members& members) {
    const auto seconds = members.number("ttl");
    if (!seconds) return std::nullopt;
    if (*seconds > 0 && *seconds <= kMostSeconds) {
        return static_cast<std::int64_t>(std::ceil(*seconds * 1000));
    }
    throw json::invalid_field(members.pointer_of("ttl"),
                              fmt::format("ttl is seconds: more than 0, at most {}", kMostSeconds));
}

std::string facts_json(const Session& session) {
    return fmt::format(
        R"("user_id":{},"created_at":"{}","last_activity":"{}","expires_at":"{}","ip_address":{})",
        json::quoted(session.user_id), rfc3339(session.created_ms), rfc3339(session.last_ms),
        rfc3339(session.expires_ms), json::quoted(session.ip_address));
}

Response session_answer(int status, std::string_view id, const Session& session) {
    Response response = storage::json_answer(
        status, fmt::format(R"({{"session_id":{},{},"data":{}}})", json::quoted(id),
                            facts_json(session), session.data));
    response.headers.emplace_back("Cache-Control", "no-store");
    return response;
}

}  // namespace

void SessionRoutes::declare(Routes& routes) {
    const auto bind = [this](auto method) {
        return [this, method](const Request& request) { return (this->*method)(request); };
    };
    cache::declare(routes, has_redis_,
                   {.method = Method::post,
                    .pattern = "/api/sessions",
                    .permission = Permission::write,
                    .summary = "Begin a session",
                    .media_types = "application/json",
                    .schema = kSessionBody,
                    .answers = "201 application/json",
                    .answer_schema = kSessionSchema,
                    .answer_headers = "Cache-Control: no-store",
                    .problems = kSessionCreateProblems},
                   bind(&SessionRoutes::create));
    cache::declare(routes, has_redis_,
                   {.method = Method::get,
                    .pattern = "/api/sessions/{id}",
                    .permission = Permission::read,
                    .summary = "Read a session, which puts its end off",
                    .parameters = kSessionParameter,
                    .answer_schema = kSessionSchema,
                    .answer_headers = "Cache-Control: no-store",
                    .problems = kSessionProblems},
                   bind(&SessionRoutes::read));
    cache::declare(routes, has_redis_,
                   {.method = Method::patch,
                    .pattern = "/api/sessions/{id}",
                    .permission = Permission::write,
                    .summary = "Change a session's data by a merge patch, or its time to live",
                    .media_types = "application/json",
                    .schema = kSessionPatch,
                    .parameters = kSessionParameter,
                    .answer_schema = kSessionSchema,
                    .answer_headers = "Cache-Control: no-store",
                    .problems = kSessionPatchProblems},
                   bind(&SessionRoutes::change));
    cache::declare(routes, has_redis_,
                   {.method = Method::del,
                    .pattern = "/api/sessions/{id}",
                    .permission = Permission::write,
                    .summary = "End a session",
                    .parameters = kSessionParameter,
                    .answers = "204",
                    .problems = kSessionProblems},
                   bind(&SessionRoutes::end));
    routes.blocking({.method = Method::get,
                     .pattern = "/api/sessions",
                     .permission = Permission::admin,
                     .summary = "List the sessions, or those of a user, without their ids",
                     .queries = "user_id,limit,cursor",
                     .parameters = "user_id: whose sessions, all if absent",
                     .answer_schema = kSessionListSchema},
                    bind(&SessionRoutes::list));
    routes.blocking({.method = Method::del,
                     .pattern = "/api/sessions",
                     .permission = Permission::write,
                     .summary = "End all sessions of a user",
                     .queries = "user_id",
                     .parameters = "user_id: whose sessions",
                     .answer_schema = kRemovedSchema},
                    bind(&SessionRoutes::end_of));
}

Response SessionRoutes::create(const Request& request) {
    const auto members = json::Members::of_body(request.body());
    const Settings& settings = host_.settings();
    Session session;
    session.user_id = members.required_text("user_id", kMaxUser);
    session.data = json::compact(members.object("data").value_or("{}"));
    session.ttl_ms = ttl_of(members).value_or(settings.duration("session_ttl").count());
    members.end();
    if (session.data.size() > kMaxData) throw too_large();
    session.created_ms = session.last_ms = unix_now_ms();
    session.until_ms = session.created_ms + settings.duration("session_max_age").count();
    session.expires_ms = std::min(session.created_ms + session.ttl_ms, session.until_ms);
    session.ip_address = request.peer_address();
    const std::string id = new_id();
    if (sessions_.create(hash_of_id(id), session)) return session_answer(201, id, session);
    throw Error(Errc::unavailable, "sessions-full",
                "sessions take as much memory as cache.session_memory allows")
        .with_header("Retry-After", "60");
}

Response SessionRoutes::read(const Request& request) {
    const std::string_view id = request.param("id");
    const auto session = sessions_.touch(hash_of_id(id), unix_now_ms());
    if (!session) throw not_found();
    return session_answer(200, id, *session);
}

Response SessionRoutes::change(const Request& request) {
    const auto members = json::Members::of_body(request.body());
    const auto patch = members.object("data");
    const auto ttl = ttl_of(members);
    members.end();
    const std::string text = json::compact(patch.value_or("{}"));
    const std::string_view id = request.param("id");
    const auto session = sessions_.change(hash_of_id(id), unix_now_ms(), [&](Session& changed) {
        changed.data = json::merge_patch(changed.data, text, kMaxData + text.size());
        if (changed.data.size() > kMaxData) throw too_large();
        if (ttl) changed.ttl_ms = *ttl;
    });
    if (!session) throw not_found();
    return session_answer(200, id, *session);
}

Response SessionRoutes::end(const Request& request) {
    if (!sessions_.end(hash_of_id(request.param("id")))) throw not_found();
    return {204, {}, {}, {}};
}

Response SessionRoutes::list(const Request& request) {
    const std::size_t limit = storage::limit_of(request);
    const std::string after = storage::after_of(request, kCursor);
    const std::string user(request.query("user_id").value_or(""));
    std::vector<std::pair<std::string, Session>> all;  // by when they began
    for (Session& session : sessions_.list(user, unix_now_ms())) {
        std::string at = fmt::format("{:015d}{}", session.created_ms, session.id);
        if (at > after) all.emplace_back(std::move(at), std::move(session));
    }
    std::sort(all.begin(), all.end(),
              [](const auto& a, const auto& b) { return a.first < b.first; });
    std::string body = R"({"items":[)", last;
    for (std::size_t i = 0; i < std::min(limit, all.size()); ++i) {
        body += fmt::format("{}{{{}}}", i > 0 ? "," : "", facts_json(all[i].second));
        last = all[i].first;
    }
    body += fmt::format(R"(],"next":{}}})",
                        storage::next_json(kCursor, all.size() > limit ? last : ""));
    return storage::json_answer(200, std::move(body));
}

Response SessionRoutes::end_of(const Request& request) {
    const std::string user(request.query("user_id").value_or(""));
    if (user.empty()) {
        throw storage::invalid_parameter("user_id", "say whose sessions are to end: user_id");
    }
    return storage::json_answer(200, fmt::format(R"({{"removed":{}}})", sessions_.end_of(user)));
}

}  // namespace larder::cache
