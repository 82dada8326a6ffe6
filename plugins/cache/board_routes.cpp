#include "board_routes.hpp"

#include <fmt/format.h>

#include <charconv>
#include <cmath>

#include "cache_answers.hpp"
#include "cache_route_texts.hpp"
#include "storage-kit/answers.hpp"
#include "storage-kit/json.hpp"
#include "storage-kit/json_members.hpp"
#include "storage-kit/query.hpp"

namespace larder::cache {
namespace {

namespace json = storage::json;

constexpr std::size_t kMaxMember = 256, kMaxValue = 64U << 10U, kMaxTop = 1000, kDefaultKeep = 100;
constexpr std::string_view kBoardCursor = "cache.board", kListCursor = "cache.list";

std::size_t count_of(const Request& request, std::string_view name, std::size_t absent,
                     std::size_t most) {
    const auto text = request.query(name);
    if (!text) return absent;
    std::size_t count = 0;
    const char* const end = text->data() + text->size();
    const auto read = std::from_chars(text->data(), end, count);
    if (read.ec == std::errc() && read.ptr == end && count >= 1 && count <= most) return count;
    throw storage::invalid_parameter(name, fmt::format("{} is 1 to {}", name, most));
}

std::string standing_json(const Standing& standing) {
    return fmt::format(R"({{"member":{},"score":{},"rank":{}}})", json::quoted(standing.member),
                       number_json(standing.score), standing.rank);
}

// As a cursor has it: "<score> <member>".
std::string position_of(const Standing& standing) {
    return fmt::format("{} {}", standing.score, standing.member);
}

std::optional<Standing> standing_at(std::string_view position) {
    if (position.empty()) return std::nullopt;
    Standing place;
    const char* const end = position.data() + position.size();
    const auto read = std::from_chars(position.data(), end, place.score);
    if (read.ec != std::errc() || read.ptr == end || *read.ptr != ' ' ||
        !std::isfinite(place.score)) {
        throw storage::invalid_cursor();
    }
    place.member.assign(read.ptr + 1, end);
    return place;
}

std::uint64_t number_at(std::string_view position) {
    if (position.empty()) return 0;
    std::uint64_t number = 0;
    const char* const end = position.data() + position.size();
    const auto read = std::from_chars(position.data(), end, number);
    if (read.ec == std::errc() && read.ptr == end) return number;
    throw storage::invalid_cursor();
}

Response gone(bool was_there, const char* code, const char* detail) {
    if (!was_there) throw Error(Errc::not_found, code, detail);
    return {204, {}, {}, {}};
}

}  // namespace

void BoardRoutes::declare(Routes& routes) {
    declare_boards(routes);
    declare_lists(routes);
}

void BoardRoutes::declare_boards(Routes& routes) {
    const auto bind = [this](auto method) {
        return [this, method](const Request& request) { return (this->*method)(request); };
    };
    cache::declare(routes, has_redis_,
                   {.method = Method::post,
                    .pattern = "/api/cache/leaderboards/{name}",
                    .permission = Permission::write,
                    .summary = "Add to a member's score, or set it",
                    .media_types = "application/json",
                    .schema = kBoardBody,
                    .parameters = "name: 1-64 of letters, digits, '.', '_' and '-'",
                    .answer_schema = kMemberSchema,
                    .problems = kScoreProblems},
                   bind(&BoardRoutes::score));
    cache::declare(routes, has_redis_,
                   {.method = Method::get,
                    .pattern = "/api/cache/leaderboards/{name}",
                    .permission = Permission::read,
                    .summary = "A board, the best first",
                    .queries = "top,limit,cursor",
                    .parameters = "name: 1-64 of letters, digits, '.', '_' and '-';"
                                  "top integer: only so many, 1-1000, all on one page: without "
                                  "limit and cursor",
                    .answer_schema = kBoardSchema,
                    .problems = kListProblems},
                   bind(&BoardRoutes::top));
    cache::declare(routes, has_redis_,
                   {.method = Method::get,
                    .pattern = "/api/cache/leaderboards/{name}/{member...}",
                    .permission = Permission::read,
                    .summary = "A member's score and rank",
                    .parameters = "name: 1-64 of letters, digits, '.', '_' and '-';"
                                  "member: 1-256 bytes of UTF-8",
                    .answer_schema = kMemberSchema,
                    .problems = kBoardProblems},
                   bind(&BoardRoutes::member));
    cache::declare(routes, has_redis_,
                   {.method = Method::del,
                    .pattern = "/api/cache/leaderboards/{name}",
                    .permission = Permission::write,
                    .summary = "Remove a board",
                    .parameters = "name: 1-64 of letters, digits, '.', '_' and '-'",
                    .answers = "204",
                    .problems = "400 invalid-name; 404 board-not-found: there is no such board"},
                   bind(&BoardRoutes::remove));
}

void BoardRoutes::declare_lists(Routes& routes) {
    const auto bind = [this](auto method) {
        return [this, method](const Request& request) { return (this->*method)(request); };
    };
    cache::declare(routes, has_redis_,
                   {.method = Method::post,
                    .pattern = "/api/cache/lists/{name}",
                    .permission = Permission::write,
                    .summary = "Put a value at the head of a list, which keeps the newest",
                    .queries = "keep",
                    .media_types = "application/json",
                    .schema = kPushBody,
                    .max_body = kMaxValue + 1024,
                    .parameters = kListParameters,
                    .answers = "201 application/json",
                    .answer_schema = kPushedSchema,
                    .problems = kPushProblems},
                   bind(&BoardRoutes::push));
    cache::declare(routes, has_redis_,
                   {.method = Method::get,
                    .pattern = "/api/cache/lists/{name}",
                    .permission = Permission::read,
                    .summary = "The values of a list, the newest first",
                    .queries = "limit,cursor",
                    .parameters = "name: 1-64 of letters, digits, '.', '_' and '-'",
                    .answer_schema = kValuesSchema,
                    .problems = kListProblems},
                   bind(&BoardRoutes::newest));
    cache::declare(routes, has_redis_,
                   {.method = Method::del,
                    .pattern = "/api/cache/lists/{name}",
                    .permission = Permission::write,
                    .summary = "Remove a list",
                    .parameters = "name: 1-64 of letters, digits, '.', '_' and '-'",
                    .answers = "204",
                    .problems = "400 invalid-name; 404 list-not-found: there is no such list"},
                   bind(&BoardRoutes::remove_list));
}

Response BoardRoutes::score(const Request& request) {
    const std::string name = name_of(request);
    const auto members = json::Members::of_body(request.body());
    const std::string member = members.required_text("member", kMaxMember);
    const auto by = members.number("by"), score = members.number("score");
    members.end();
    if (by && score) {
        throw json::invalid_field(members.pointer_of("score"), "by or score, not both");
    }
    if (!by && !score) {
        throw json::invalid_field(members.pointer_of("by"), "by or score is missing");
    }
    const Standing standing = boards_.score(name, member, by ? *by : *score, by.has_value());
    return storage::json_answer(200, standing_json(standing));
}

Response BoardRoutes::top(const Request& request) {
    const std::string name = name_of(request);
    const bool is_page = !request.query("top");
    for (const char* other : {"limit", "cursor"}) {
        if (!is_page && request.query(other)) {
            throw storage::invalid_parameter(other, "top is all on one page");
        }
    }
    const std::size_t limit =
        is_page ? storage::limit_of(request) : count_of(request, "top", kMaxTop, kMaxTop);
    auto best = boards_.top(name, limit + (is_page ? 1 : 0),
                            standing_at(storage::after_of(request, kBoardCursor)));
    const bool has_more = best.size() > limit;
    if (has_more) best.pop_back();
    std::string body = R"({"items":[)";
    const char* comma = "";
    for (const Standing& standing : best) {
        body.append(std::exchange(comma, ",")).append(standing_json(standing));
    }
    body += fmt::format(R"(],"next":{}}})",
                        storage::next_json(kBoardCursor, has_more ? position_of(best.back()) : ""));
    return storage::json_answer(200, std::move(body));
}

Response BoardRoutes::member(const Request& request) {
    const std::string name = name_of(request);
    const auto standing = boards_.find(name, std::string(request.param("member")));
    if (standing) return storage::json_answer(200, standing_json(*standing));
    throw Error(Errc::not_found, "member-not-found", "the board has no such member");
}

Response BoardRoutes::remove(const Request& request) {
    return gone(boards_.remove(name_of(request)), "board-not-found", "there is no such board");
}

Response BoardRoutes::push(const Request& request) {
    const std::string name = name_of(request);
    const std::size_t keep = count_of(request, "keep", kDefaultKeep, kMostKept);
    const auto members = json::Members::of_body(request.body());
    const auto value = members.find("value");  // null is one, too
    members.end();
    if (!value) throw json::invalid_field(members.pointer_of("value"), "value is missing");
    const std::string text = json::compact(*value);
    if (text.size() > kMaxValue) {
        throw Error(Errc::too_large, "value-too-large",
                    fmt::format("a value may hold {} bytes", kMaxValue))
            .with("limit", std::to_string(kMaxValue));
    }
    return storage::json_answer(201,
                                fmt::format(R"({{"length":{}}})", boards_.push(name, text, keep)));
}

Response BoardRoutes::newest(const Request& request) {
    const std::string name = name_of(request);
    const std::size_t limit = storage::limit_of(request);
    auto newest =
        boards_.newest(name, limit + 1, number_at(storage::after_of(request, kListCursor)));
    const bool has_more = newest.size() > limit;
    if (has_more) newest.pop_back();
    std::string body = R"({"items":[)";
    const char* comma = "";
    for (const auto& [number, value] : newest) {
        try {
            json::check(value);
        } catch (const json::InvalidJson&) {
            continue;  // in Redis others may have put something else there
        }
        body.append(std::exchange(comma, ",")).append(value);
    }
    body += fmt::format(
        R"(],"next":{}}})",
        storage::next_json(kListCursor, has_more ? std::to_string(newest.back().number) : ""));
    return storage::json_answer(200, std::move(body));
}

Response BoardRoutes::remove_list(const Request& request) {
    return gone(boards_.remove_list(name_of(request)), "list-not-found", "there is no such list");
}

}  // namespace larder::cache
