#include "limit_routes.hpp"

#include <fmt/format.h>

#include <charconv>
#include <cmath>
#include <stdexcept>
#include <utility>

#include "cache_answers.hpp"
#include "cache_route_texts.hpp"
#include "storage-kit/answers.hpp"
#include "storage-kit/json_members.hpp"

namespace larder::cache {
namespace {

namespace json = storage::json;

constexpr std::size_t kMaxKey = 256;
constexpr double kMostLimit = 1'000'000, kLeastWindow = 0.1, kMostWindow = 31'622'400;
constexpr std::int64_t kSecond = 1'000'000;  // microseconds

// A whole number of `least` to `most`.
std::uint64_t whole_number(const json::Members& members, const char* name, double number,
                           double least, double most) {
    if (number >= least && number <= most && number == std::floor(number)) {
        return static_cast<std::uint64_t>(number);
    }
    throw json::invalid_field(members.pointer_of(name),
                              fmt::format("{} is a whole number from {} to {}", name, least, most));
}

double required(const json::Members& members, const char* name) {
    if (const auto number = members.number(name)) return *number;
    throw json::invalid_field(members.pointer_of(name), fmt::format("{} is missing", name));
}

std::int64_t seconds_up(std::int64_t us) { return (us + kSecond - 1) / kSecond; }

double seconds(std::int64_t us) { return static_cast<double>(us) / kSecond; }

}  // namespace

std::optional<Limit> limit_of_setting(std::string_view text) {
    constexpr const char* kWanted =
        "expected off, a number of requests a minute, or requests/time as in 100/10s or 5000/1h";
    if (text == "off") return std::nullopt;
    std::uint64_t requests = 0, count = 60;
    const char* const end = text.data() + text.size();
    auto read = std::from_chars(text.data(), end, requests);
    if (read.ec != std::errc() || requests < 1 || requests > 1'000'000) {
        throw std::invalid_argument(kWanted);
    }
    std::uint64_t unit = 1;
    if (read.ptr != end) {
        if (*read.ptr != '/') throw std::invalid_argument(kWanted);
        read = std::from_chars(read.ptr + 1, end, count);
        const std::string_view rest(read.ptr, static_cast<std::size_t>(end - read.ptr));
        unit = rest.empty() || rest == "s" ? 1 : rest == "m" ? 60 : rest == "h" ? 3600 : 0;
        if (read.ec != std::errc() || count < 1 || count > 86400 || unit == 0) {
            throw std::invalid_argument(kWanted);
        }
    }
    return Limit{requests, static_cast<std::int64_t>(count * unit) * kSecond, 1};
}

void OwnLimit::set(std::optional<Limit> limit) {
    const std::scoped_lock lock(mutex_);
    limit_ = limit;
    is_set_.store(limit.has_value(), std::memory_order_release);
}

RateVerdict OwnLimit::judge(std::string_view address, std::string_view principal) noexcept {
    RateVerdict verdict;
    if (!is_set_.load(std::memory_order_acquire)) return verdict;
    try {
        std::optional<Limit> limit;
        {
            const std::scoped_lock lock(mutex_);
            limit = limit_;
        }
        if (!limit) return verdict;
        // Whoever asks with a token is known by it from wherever it asks.
        const std::string key = principal.empty() ? fmt::format("address {}", address)
                                                  : fmt::format("principal {}", principal);
        const Verdict taken = limits_.take("larderd " + key, *limit);
        verdict.limited = true;
        verdict.allowed = taken.allowed;
        verdict.limit = limit->limit;
        verdict.window_us = limit->window_us;
        verdict.remaining = taken.remaining;
        verdict.reset_us = taken.reset_us;
        verdict.wait_us = taken.wait_us;
    } catch (const std::exception&) {
        return {};  // out of memory: no reason to turn anybody away
    }
    return verdict;
}

void LimitRoutes::declare(Routes& routes) {
    cache::declare(routes, has_redis_,
                   {.method = Method::post,
                    .pattern = "/api/ratelimit/{name}",
                    .permission = Permission::write,
                    .summary = "Take from a limit, if there is enough left of it",
                    .media_types = "application/json",
                    .schema = kLimitBody,
                    .parameters = "name: 1-64 of letters, digits, '.', '_' and '-'",
                    .answer_schema = kLimitSchema,
                    .answer_headers = kLimitHeaders,
                    .problems = kLimitProblems},
                   [this](const Request& request) { return take(request); });
}

Response LimitRoutes::take(const Request& request) {
    const std::string name = name_of(request);
    const auto members = json::Members::of_body(request.body());
    const std::string key = members.required_text("key", kMaxKey);
    Limit limit{};
    limit.limit = whole_number(members, "limit", required(members, "limit"), 1, kMostLimit);
    const double window = required(members, "window");
    if (window < kLeastWindow || window > kMostWindow) {
        throw json::invalid_field(
            members.pointer_of("window"),
            fmt::format("window is {} to {} seconds", kLeastWindow, kMostWindow));
    }
    limit.window_us = std::llround(window * kSecond);
    limit.cost = whole_number(members, "cost", members.number("cost").value_or(1), 0,
                              static_cast<double>(limit.limit));
    members.end();
    const Verdict verdict = limits_.take(fmt::format("{}:{}", name, key), limit);
    const std::string state =
        fmt::format("\"{}\";r={};t={}", name, verdict.remaining, seconds_up(verdict.reset_us));
    const std::string policy =
        fmt::format("\"{}\";q={};w={}", name, limit.limit, seconds_up(limit.window_us));
    const std::string reset = number_json(seconds(verdict.reset_us));
    if (!verdict.allowed) {
        throw Error(Errc::too_many_requests, "rate-limited", "the limit is spent")
            .with("allowed", "false")
            .with("remaining", std::to_string(verdict.remaining))
            .with("reset", reset)
            .with_header("Retry-After",
                         std::to_string(std::max<std::int64_t>(1, seconds_up(verdict.wait_us))))
            .with_header("RateLimit", state)
            .with_header("RateLimit-Policy", policy);
    }
    Response response = storage::json_answer(
        200,
        fmt::format(R"({{"allowed":true,"remaining":{},"reset":{}}})", verdict.remaining, reset));
    response.headers.emplace_back("RateLimit", state);
    response.headers.emplace_back("RateLimit-Policy", policy);
    return response;
}

}  // namespace larder::cache
