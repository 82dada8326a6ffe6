#include "routing/call.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <stdexcept>

#include "http/problem.hpp"
#include "routing/conditions.hpp"
#include "routing/rate_headers.hpp"

namespace larder::routing {
namespace {

// A generator may run on a worker when its exchange is over: it keeps the call, and so the pass.
struct HeldGenerator {
    std::shared_ptr<Call> call;
    Generator generator;  // goes before the call

    bool operator()(std::string& chunk) const {
        if (!call->is_live()) throw std::runtime_error("its plugin is stopped");
        return generator(chunk);
    }
};

// Whether a route declares a query parameter: by its name, or by "tag.*" all of that beginning.
// Whether a parameter is one of a family: "tag.*" knows tag.color.
bool is_family(const std::vector<std::string_view>& known, std::string_view name) {
    return std::any_of(known.begin(), known.end(), [&](std::string_view one) {
        return one.ends_with(".*") && name.starts_with(one.substr(0, one.size() - 1));
    });
}

bool takes_query(const std::vector<std::string_view>& known, std::string_view name) {
    return std::find(known.begin(), known.end(), name) != known.end() || is_family(known, name);
}

// What is taken where a stream can't be had any more.
class EndedStream final : public EventStream {
public:
    Sent send(std::shared_ptr<const std::string> /*block*/) noexcept override {
        return Sent::closed;
    }
    void close() noexcept override {}
};

// What the path of a request names, below /api: "kv/settings/theme". A folder ends in a slash, so
// that "kv/settings/" covers the bucket as well as its keys; a tail behind the rest is no part of
// it.
std::string resource_of(const Pattern& pattern,
                        const std::array<std::string_view, kMaxParameters>& values) {
    std::string name;
    std::size_t value = 0;
    bool rest = false;
    for (const Segment& segment : pattern.segments) {
        rest = segment.kind == Segment::Kind::rest;
        const bool fixed = segment.kind == Segment::Kind::fixed;
        name += '/';
        name += fixed ? std::string_view(segment.text) : values[value++];
    }
    if (!rest) name += '/';
    static constexpr std::string_view kRoot = "/api/";
    return name.substr(name.starts_with(kRoot) ? kRoot.size() : 1);
}

}  // namespace

Error stopped(const Owner& owner) {
    const std::string reason = fmt::format("plugin {} is being stopped", owner.name);
    return Error(Errc::unavailable, "plugin-disabled", reason)
        .with("reason", http::json_quoted(reason))
        .with_header("Retry-After", "1");
}

Call::Call(std::shared_ptr<http::Exchange> exchange, std::shared_ptr<const RouteTable> table,
           const Match& match, access::PrincipalPtr principal)
    : exchange_(std::move(exchange)),
      table_(std::move(table)),
      endpoint_(match.endpoint),
      principal_(std::move(principal)),
      values_(match.values) {}

std::string_view Call::decode_one(std::string_view text, bool query) {
    if (text.find('%') == std::string_view::npos &&
        (!query || text.find('+') == std::string_view::npos)) {
        return text;
    }
    const std::size_t begin = decoded_.size();
    if (percent_decode(text, decoded_, query)) return std::string_view(decoded_).substr(begin);
    if (query) {
        throw Error(Errc::bad_request, "invalid-parameter",
                    "a query parameter has a malformed %-escape or a NUL")
            .with("parameter", http::json_quoted(text));
    }
    throw Error(Errc::bad_request, "bad-request", "the path has a malformed %-escape or a NUL");
}

void Call::decode(const Match& match) {
    const std::string_view target = exchange_->head().target;
    const std::size_t mark = std::min(target.find('?'), target.size());
    if (target.find_first_of("%+") == std::string_view::npos && mark == target.size()) return;
    decoded_.reserve(target.size());  // decoding never grows, so views into it stay good
    for (std::size_t i = 0; i < match.value_count; ++i) {
        values_[i] = decode_one(match.values[i], false);
    }
    std::string_view rest = target.substr(std::min(mark + 1, target.size()));
    while (!rest.empty()) {
        const std::size_t end = std::min(rest.find('&'), rest.size());
        const std::string_view pair = rest.substr(0, end);
        rest.remove_prefix(std::min(end + 1, rest.size()));
        if (pair.empty()) continue;
        const std::size_t equals = std::min(pair.find('='), pair.size());
        const std::string_view name = decode_one(pair.substr(0, equals), true);
        const auto& known = endpoint_->queries;
        if (!takes_query(known, name)) {
            throw Error(Errc::bad_request, "invalid-parameter",
                        known.empty() ? "this route takes no query parameters"
                                      : fmt::format("unknown query parameter; this route takes: {}",
                                                    fmt::join(known, ", ")))
                .with("parameter", http::json_quoted(name));
        }
        if (query(name) && !takes_query(endpoint_->repeatable, name) && !is_family(known, name)) {
            throw Error(Errc::bad_request, "invalid-parameter", "this parameter may be given once")
                .with("parameter", http::json_quoted(name));
        }
        query_.emplace_back(name, decode_one(pair.substr(std::min(equals + 1, pair.size())), true));
    }
}

const access::PrincipalPtr& caller_of(const Request& request) {
    return static_cast<const Call&>(request).caller();
}

Reply Call::make_reply() {
    self_ = shared_from_this();
    return Reply(this);
}

std::string_view Call::param(std::string_view name) const {
    std::size_t index = 0;
    for (const Segment& segment : endpoint_->pattern.segments) {
        if (segment.kind == Segment::Kind::fixed) continue;
        if (segment.text == name) return values_[index];
        ++index;
    }
    return {};
}

std::optional<std::string_view> Call::query(std::string_view name) const {
    for (const auto& [key, value] : query_) {
        if (key == name) return value;
    }
    return std::nullopt;
}

std::vector<std::string_view> Call::queries(std::string_view name) const {
    std::vector<std::string_view> values;
    for (const auto& [key, value] : query_) {
        if (key == name) values.push_back(value);
    }
    return values;
}

std::optional<std::string_view> Call::header(std::string_view name) const {
    const auto is_it = [name](const http::Field& field) {
        return http::equals_ignoring_case(field.name, name);
    };
    const auto& fields = exchange_->head().fields;
    const auto first = std::find_if(fields.begin(), fields.end(), is_it);
    if (first == fields.end()) return std::nullopt;
    if (std::find_if(first + 1, fields.end(), is_it) == fields.end()) return first->value;
    std::string& joined = joined_.emplace_back(first->value);
    for (auto field = first + 1; field != fields.end(); ++field) {
        if (is_it(*field)) joined.append(", ").append(field->value);
    }
    return joined;
}

std::optional<std::uint64_t> Call::content_length() const noexcept {
    return exchange_->head().content_length;
}

bool Call::may(Permission permission, std::string_view resource) const {
    if (permission == Permission::open) return true;
    if (principal_ == nullptr) return false;
    const std::string_view area = resource.substr(0, resource.find('/'));
    return principal_->rights.allow(area, permission) && principal_->rights.cover(resource);
}

bool Call::is_allowed() const {
    if (endpoint_->route.permission == Permission::open) return true;
    if (principal_ == nullptr) return false;
    if (endpoint_->for_any_caller) return true;
    const access::Rights& rights = principal_->rights;
    const std::string& owner = endpoint_->owner->name;
    if (!rights.allow(owner == "larderd" ? access::kDaemonArea : owner,
                      endpoint_->route.permission)) {
        return false;
    }
    if (!rights.is_confined()) return true;
    const std::string name = resource_of(endpoint_->pattern, values_);
    if (rights.cover(name)) return true;
    // A list of what begins with `prefix` shows no more than that.
    const auto prefix = query("prefix");
    return endpoint_->route.method == Method::get && prefix &&
           rights.cover(name + std::string(*prefix));
}

void Call::answer(Response&& response) noexcept {
    apply_conditions(exchange_->head(), response);
    add_rate_headers(limit_, response.headers);
    if (auto* generator = std::get_if<Generator>(&response.body)) {
        response.body = HeldGenerator{shared_from_this(), std::move(*generator)};
    }
    exchange_->answer(std::move(response));
}

void Call::answer_problem(const Error& error) noexcept {
    if (!error.internal().empty()) log(Level::warning, error.internal());
    Response response = http::problem(error, id());
    add_rate_headers(limit_, response.headers);
    if (response.status >= 500) {
        report(response.status, error.slug(),
               error.internal().empty() ? error.detail() : error.internal());
    }
    exchange_->answer(std::move(response));
}

// Also where nobody waits any more: an answer is what lets the exchange go.
void Call::answer_gone() noexcept {
    exchange_->answer(http::problem(stopped(*endpoint_->owner), id()));
}

void Call::withdraw() noexcept {
    unsigned seen = phase_.load();
    while ((seen & (kRunning | kAnswered)) == 0) {
        if (phase_.compare_exchange_weak(seen, seen | kAnswered)) return answer_gone();
    }
}

void Call::ended() noexcept {
    // Only a prompt handler can have put its Reply where the host cannot reach it.
    if (!std::holds_alternative<PromptHandler>(endpoint_->handler)) return;
    if ((phase_.load() & kUsed) == 0) pass_.set_aside();
}

void Call::answer_internal_error(std::string_view what) noexcept {
    log(Level::error, what);
    report(500, "internal", what);
    exchange_->answer(http::problem(500, "internal",
                                    "the daemon failed to answer; its log tells more under this "
                                    "request id",
                                    id()));
}

void Call::log(Level level, std::string_view message) const noexcept {
    if (endpoint_->owner->log == nullptr) return;
    endpoint_->owner->log->write(
        level, fmt::format("{} {}: {} (request {})", method_name(endpoint_->route.method),
                           endpoint_->route.pattern, message, id()));
}

void Call::report(int status, std::string_view slug, std::string_view message) const noexcept {
    if (endpoint_->owner->errors == nullptr) return;
    const std::string context =
        fmt::format(R"({{"status":{},"code":{}}})", status, http::json_quoted(slug));
    ErrorReport report;
    report.message = message;
    report.category = "http";
    report.endpoint = observe::route_of(*endpoint_->series);
    report.method = method_name(endpoint_->route.method);
    report.request_id = id();
    report.user_id = principal();
    report.context = context;
    endpoint_->owner->errors->report(report);
}

void Call::send(Response&& response) noexcept {
    const auto keep = std::move(self_);
    if ((phase_.fetch_or(kAnswered | kUsed) & kAnswered) != 0) return;
    if (!is_live()) return answer_gone();
    answer(std::move(response));
}

void Call::fail(const Error& error) noexcept {
    const auto keep = std::move(self_);
    if ((phase_.fetch_or(kAnswered | kUsed) & kAnswered) != 0) return;
    if (!is_live()) return answer_gone();
    answer_problem(error);
}

std::shared_ptr<EventStream> Call::stream(StreamHead head) noexcept {
    const auto keep = std::move(self_);
    const bool ours = (phase_.fetch_or(kAnswered | kUsed) & kAnswered) == 0;
    if (ours && is_live()) {
        add_rate_headers(limit_, head.headers);
        return exchange_->stream(std::move(head));
    }
    if (ours) answer_gone();
    return std::make_shared<EndedStream>();
}

void Call::drop() noexcept {
    const auto keep = std::move(self_);
    // While the handler runs this may be its own Reply unwinding: what it throws is the answer.
    if ((phase_.fetch_or(kDropped | kUsed) & kRunning) != 0 || !claim()) return;
    if (!is_live()) return answer_gone();
    answer_internal_error("the reply was dropped without an answer");
}

void Call::end_handler(const Error* thrown, std::string_view foreign) noexcept {
    const unsigned before = phase_.fetch_and(~kRunning);
    if ((before & kDropped) == 0) {
        // The reply went elsewhere first and answers, or has answered, on its own.
        if (thrown != nullptr || !foreign.empty()) {
            const std::string_view what = thrown != nullptr ? thrown->what() : foreign;
            log(Level::error, what);
            report(500, "internal", what);
        }
        return;
    }
    if (!claim()) return;
    if (thrown != nullptr) {
        answer_problem(*thrown);
    } else if (!is_live()) {
        answer_gone();
    } else {
        answer_internal_error(foreign.empty() ? "the reply was dropped without an answer"
                                              : foreign);
    }
}

}  // namespace larder::routing
