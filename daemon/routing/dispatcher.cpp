#include "routing/dispatcher.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <array>

#include "http/problem.hpp"
#include "larder/time.hpp"
#include "routing/rate_headers.hpp"
#include "routing/upload_session.hpp"

namespace larder::routing {
namespace {

bool changes_something(std::optional<Method> method) noexcept {
    return method != Method::get && method != Method::head && method != Method::options;
}

bool has_body(const http::Head& head) noexcept {
    return head.chunked || head.content_length.value_or(0) > 0;
}

// "type/subtype" without parameters and blanks.
std::string_view essence_of(std::string_view content_type) noexcept {
    content_type = content_type.substr(0, content_type.find(';'));
    while (content_type.ends_with(' ') || content_type.ends_with('\t')) {
        content_type.remove_suffix(1);
    }
    return content_type;
}

// A JSON route also takes any +json type, and curl's default, whose body is JSON all the same.
// A JSON Patch means something else than the document it changes, so it is taken where it is named.
bool takes_type(const std::vector<std::string_view>& types, Method method,
                std::string_view content_type) {
    const std::string_view essence = essence_of(content_type);
    const bool is_foreign = method == Method::patch &&
                            http::equals_ignoring_case(essence, "application/json-patch+json");
    return std::any_of(types.begin(), types.end(), [&](std::string_view type) {
        if (type == "*/*" || http::equals_ignoring_case(type, essence)) return true;
        if (type != "application/json" || is_foreign) return false;
        return http::equals_ignoring_case(essence, "application/x-www-form-urlencoded") ||
               (essence.size() > 5 &&
                http::equals_ignoring_case(essence.substr(essence.size() - 5), "+json"));
    });
}

// A change that wants no body takes one in JSON all the same, and reads nothing of it.
void check_media_type(const Endpoint& endpoint, const http::Head& head) {
    static const std::vector<std::string_view> kJson = {"application/json"};
    const Method method = endpoint.route.method;
    if (endpoint.media_types.empty() && !changes_something(method)) return;
    const auto& types = endpoint.media_types.empty() ? kJson : endpoint.media_types;
    const auto type = head.field("Content-Type");
    if (!type || takes_type(types, method, *type)) return;
    const std::string list = fmt::format("{}", fmt::join(types, ", "));
    throw Error(Errc::unsupported_media, "unsupported-media-type", "this route takes " + list)
        .with_header(method == Method::patch ? "Accept-Patch" : "Accept", list);
}

void check_length(const Endpoint& endpoint, const http::Head& head) {
    if (head.content_length.value_or(0) <= endpoint.route.max_body) return;
    throw Error(Errc::too_large, "body-too-large",
                fmt::format("the body may hold {} bytes", endpoint.route.max_body))
        .with("limit", std::to_string(endpoint.route.max_body));
}

// A condition on a change that nobody judges must not be passed over in silence.
void check_conditions(const Endpoint& endpoint, const http::Head& head) {
    if (!changes_something(endpoint.route.method)) return;
    static constexpr std::array<std::string_view, 5> kConditions = {
        "if-match", "if-none-match", "if-unmodified-since", "if-modified-since", "if-range"};
    for (const std::string_view name : kConditions) {
        if (!head.field(name)) continue;
        const auto& obeyed = endpoint.conditions;
        if (std::find(obeyed.begin(), obeyed.end(), name) != obeyed.end()) continue;
        throw Error(Errc::bad_request, "condition-not-supported",
                    fmt::format("this route does not obey {}", name))
            .with("condition", http::json_quoted(name));
    }
    // RFC 9110 §13.1.4 would have it passed over.
    const auto since = head.field("If-Unmodified-Since");
    if (!since || head.field("If-Match") || parse_http_date(*since)) return;
    throw Error(Errc::bad_request, "bad-request", "If-Unmodified-Since is no date of HTTP")
        .with("condition", http::json_quoted("if-unmodified-since"));
}

Response from_refusal(const access::Refusal& refusal, std::string_view id) {
    Response response = http::problem(refusal.status, refusal.slug, refusal.detail, id);
    if (refusal.status == 401) {
        response.headers.emplace_back("WWW-Authenticate", "Bearer realm=\"larder\"");
        response.headers.emplace_back("WWW-Authenticate", "Basic realm=\"larder\"");
    }
    if (refusal.retry_after > 0) {
        response.headers.emplace_back("Retry-After", std::to_string(refusal.retry_after));
    }
    return response;
}

// Takes the request from its caller's limit; throws when that is spent. What is open to all, by
// which the daemon is watched, is not counted, nor is its admin on a Unix socket.
RateVerdict take_from_limit(const View& view, const http::Peer& peer, Permission wanted,
                            const access::Principal* principal) {
    using By = access::Principal::By;
    if (view.limiter == nullptr || wanted == Permission::open || principal == nullptr) return {};
    const bool named = principal->by == By::password || principal->by == By::token;
    if (peer.local && !named) return {};
    std::string_view caller;
    if (named) caller = principal->token_id.empty() ? principal->name : principal->token_id;
    const RateVerdict verdict = view.limiter->judge(peer.address, caller);
    if (verdict.allowed) return verdict;
    throw limit_spent(verdict);
}

http::BodyPlan answered(http::Exchange& exchange, Response response) {
    exchange.answer(std::move(response));
    return {http::BodyPlan::Kind::answered, 0, nullptr, true};
}

Error queue_full() {
    return Error(Errc::unavailable, "overloaded", "all workers are busy and their queue is full")
        .with_header("Retry-After", "1");
}

}  // namespace

Dispatcher::Dispatcher(std::size_t reactors, jobs::WorkerPool& workers, Observer observer)
    : slots_(reactors), workers_(workers), observer_(std::move(observer)) {}

void Dispatcher::set_view(std::size_t reactor, View view) {
    slots_[reactor].view = std::move(view);
}

http::BodyPlan Dispatcher::begin(const std::shared_ptr<http::Exchange>& exchange) {
    try {
        return route(exchange, slots_[exchange->reactor()]);
    } catch (const Error& error) {
        return answered(*exchange, http::problem(error, exchange->id()));
    }
}

bool Dispatcher::identify(const std::shared_ptr<http::Exchange>& exchange, Slot& slot,
                          Permission wanted, access::PrincipalPtr& principal,
                          http::BodyPlan& plan) {
    access::AttemptPtr tried;
    if (!slot.attempts.empty()) {
        const auto found = slot.attempts.find(exchange.get());
        if (found != slot.attempts.end()) {
            if (found->second->state() == access::Attempt::State::waiting) {
                plan = {http::BodyPlan::Kind::later, 0, nullptr, true};
                return false;
            }
            tried = std::move(found->second);
            slot.attempts.erase(found);
        }
    }
    auto identity = slot.view.access->identify(exchange, tried.get());
    if (identity.attempt) {
        slot.attempts[exchange.get()] = std::move(identity.attempt);
        plan = {http::BodyPlan::Kind::later, 0, nullptr, true};
        return false;
    }
    principal = std::move(identity.principal);
    // What is open to all is so to those, too, whose credentials are wrong.
    if (principal || wanted == Permission::open) return true;
    plan = answered(
        *exchange,
        from_refusal(identity.refusal.value_or(access::Access::unauthorized()), exchange->id()));
    return false;
}

http::BodyPlan Dispatcher::route(const std::shared_ptr<http::Exchange>& exchange, Slot& slot) {
    const View& view = slot.view;
    const http::Head& head = exchange->head();
    const http::Peer& peer = exchange->peer();
    const auto method = method_of(head.method);
    if (const auto refusal = view.access->judge_site(head, peer, changes_something(method))) {
        return answered(*exchange, from_refusal(*refusal, exchange->id()));
    }
    const std::string_view path = head.target.substr(0, head.target.find('?'));
    const Match match = view.table->match(method, path);
    const Unavailable* off = match.allowed == 0 ? view.table->unavailable(path) : nullptr;
    if (method == Method::options && match.endpoint == nullptr && off == nullptr) {
        if (match.allowed == 0 && path != "*") {
            throw Error(Errc::not_found, "not-found", "there is nothing under this path");
        }
        return answered(*exchange, {204, {{"Allow", allow_header(match.allowed)}}, {}, {}});
    }
    // Who has no credentials learns nothing of which paths there are.
    const Permission wanted =
        match.endpoint != nullptr ? match.endpoint->route.permission : Permission::read;
    access::PrincipalPtr principal;
    http::BodyPlan plan{};
    if (!identify(exchange, slot, wanted, principal, plan)) return plan;
    const RateVerdict limit = take_from_limit(view, peer, wanted, principal.get());
    if (off != nullptr) {
        throw Error(Errc::unavailable, off->slug, off->reason)
            .with("reason", http::json_quoted(off->reason));
    }
    if (match.allowed == 0) {
        throw Error(Errc::not_found, "not-found", "there is nothing under this path");
    }
    if (match.endpoint == nullptr) {
        Response response = http::problem(
            405, "method-not-allowed",
            fmt::format("this path takes {}", allow_header(match.allowed)), exchange->id());
        response.headers.emplace_back("Allow", allow_header(match.allowed));
        return answered(*exchange, std::move(response));
    }
    auto call = std::make_shared<Call>(exchange, view.table, match, std::move(principal));
    call->tell_limit(limit);
    exchange->attachment = call;
    return begin_call(call, match);
}

http::BodyPlan Dispatcher::begin_call(const std::shared_ptr<Call>& call, const Match& match) {
    const Endpoint& endpoint = call->endpoint();
    const http::Head& head = call->exchange().head();
    Gate::Pass pass = endpoint.owner->gate.enter();
    if (!pass) throw stopped(*endpoint.owner);
    call->hold(std::move(pass));
    // What a confined caller may use depends on what path and query name, so these come first.
    const bool confined = call->is_confined();
    if (confined) call->decode(match);
    if (!call->is_allowed()) {
        throw Error(Errc::forbidden, "forbidden", "your credentials do not allow this");
    }
    if (has_body(head)) check_media_type(endpoint, head);
    check_length(endpoint, head);
    if (!confined) call->decode(match);
    check_conditions(endpoint, head);
    if (!std::holds_alternative<UploadHandler>(endpoint.handler)) {
        return {http::BodyPlan::Kind::buffer, endpoint.route.max_body, nullptr, true};
    }
    auto session = std::make_shared<UploadSession>(call, workers_);
    if (!session->begin()) throw queue_full();
    return {http::BodyPlan::Kind::stream, endpoint.route.max_body, std::move(session), false};
}

void Dispatcher::run(const std::shared_ptr<http::Exchange>& exchange) {
    const auto call = std::static_pointer_cast<Call>(exchange->attachment);
    const Endpoint& endpoint = call->endpoint();
    if (!call->is_live()) return call->withdraw();
    if (const auto* prompt = std::get_if<PromptHandler>(&endpoint.handler)) {
        Slot& slot = slots_[exchange->reactor()];
        slot.calls.store(slot.calls.load(std::memory_order_relaxed) + 1, std::memory_order_relaxed);
        slot.inside.store(endpoint.owner, std::memory_order_release);
        call->guarded([&] { (*prompt)(*call, call->make_reply()); });
        slot.inside.store(nullptr, std::memory_order_release);
        return;
    }
    const bool posted = workers_.post([call, &endpoint] {
        call->guarded([&] {
            if (call->is_answered()) return;  // it was withdrawn while it waited for a worker
            Reply reply = call->make_reply();
            if (!call->is_live()) throw stopped(*endpoint.owner);
            Response response = std::get<BlockingHandler>(endpoint.handler)(*call);
            std::move(reply).send(std::move(response));
        });
    });
    if (!posted) call->make_reply().fail(queue_full());
}

std::vector<const Owner*> Dispatcher::holding() {
    std::vector<const Owner*> found;
    for (Slot& slot : slots_) {
        const Owner* const inside = slot.inside.load(std::memory_order_acquire);
        const std::uint64_t calls = slot.calls.load(std::memory_order_relaxed);
        if (inside != nullptr && calls == slot.seen) found.push_back(inside);
        slot.seen = inside != nullptr ? calls : 0;
    }
    return found;
}

bool Dispatcher::withdraw(http::Exchange& exchange, const Owner& owner) noexcept {
    const auto call = std::static_pointer_cast<Call>(exchange.attachment);
    if (call == nullptr || call->endpoint().owner != &owner) return false;
    call->withdraw();
    return true;
}

void Dispatcher::ended(const http::Ended& ended) noexcept {
    auto& attempts = slots_[ended.reactor].attempts;
    if (!attempts.empty()) attempts.erase(ended.exchange);
    Call* const call =
        ended.exchange != nullptr ? static_cast<Call*>(ended.exchange->attachment.get()) : nullptr;
    if (call != nullptr) call->ended();
    observer_(ended, call != nullptr ? &call->endpoint() : nullptr,
              call != nullptr ? call->principal() : std::string_view{});
}

}  // namespace larder::routing
