#include "access/access.hpp"

#include <arpa/inet.h>
#include <fmt/format.h>

#include <algorithm>
#include <cctype>
#include <utility>

#include "access/secrets.hpp"
#include "larder/time.hpp"
#include "storage-kit/digest.hpp"
#include "storage-kit/encodings.hpp"

namespace larder::access {
namespace {

std::string lower(std::string_view text) {
    std::string out(text);
    std::transform(out.begin(), out.end(), out.begin(),
                   [](unsigned char c) { return static_cast<char>(std::tolower(c)); });
    return out;
}

constexpr std::int64_t kUseMs = 60000;  // how exactly a token's last use is kept

// What follows the scheme's name, which is compared without case (RFC 9110 §11.1); nothing for
// another scheme.
std::optional<std::string_view> after_scheme(std::string_view credentials,
                                             std::string_view scheme) {
    if (credentials.size() <= scheme.size() || credentials[scheme.size()] != ' ' ||
        !http::equals_ignoring_case(credentials.substr(0, scheme.size()), scheme)) {
        return std::nullopt;
    }
    credentials.remove_prefix(scheme.size() + 1);
    while (credentials.starts_with(' ')) credentials.remove_prefix(1);
    return credentials;
}

PrincipalPtr make_nameless(Principal::By by, std::string name) {
    Principal principal;
    principal.by = by;
    principal.name = std::move(name);
    return std::make_shared<Principal>(std::move(principal));
}

void lower_all(std::vector<std::string>& texts) {
    for (auto& text : texts) text = lower(text);
}

}  // namespace

Access::Access(Policy policy, const Keepers* keepers)
    : policy_(std::move(policy)), keepers_(keepers) {
    lower_all(policy_.allowed_hosts);
    lower_all(policy_.allowed_origins);
}

std::string host_of(std::string_view authority) {
    if (authority.starts_with('[')) {
        const std::size_t end = authority.find(']');
        return lower(authority.substr(1, end == std::string_view::npos ? end : end - 1));
    }
    return lower(authority.substr(0, authority.find(':')));
}

bool is_ip_literal(std::string_view host) {
    in6_addr address{};
    const std::string text(host);
    return inet_pton(AF_INET, text.c_str(), &address) == 1 ||
           inet_pton(AF_INET6, text.c_str(), &address) == 1;
}

bool is_loopback_name(std::string_view host) {
    if (host == "localhost" || host.ends_with(".localhost") || host == "::1") return true;
    in_addr address{};
    return inet_pton(AF_INET, std::string(host).c_str(), &address) == 1 &&
           (ntohl(address.s_addr) >> 24U) == 127;
}

bool Access::is_own_host(std::string_view authority) const {
    if (authority == last_own_) return true;
    const std::string host = host_of(authority);
    const auto in = [&host](const std::vector<std::string>& names) {
        return std::find(names.begin(), names.end(), host) != names.end();
    };
    const bool own = is_loopback_name(host) || in(policy_.own_hosts) || in(policy_.allowed_hosts) ||
                     (policy_.any_address && is_ip_literal(host));
    if (own) last_own_ = authority;
    return own;
}

bool Access::is_local_admin(const http::Peer& peer) const noexcept {
    return peer.local && (peer.uid == 0 || peer.uid == policy_.own_uid);
}

std::optional<Refusal> Access::judge_site(const http::Head& head, const http::Peer& peer,
                                          bool changes) const {
    // A web page cannot reach a Unix socket, so any name will do there.
    if (!peer.local && !head.authority.empty() && !is_own_host(head.authority)) {
        return Refusal{421, "misdirected",
                       "the Host header names no address of this daemon; an admin can add the "
                       "name to http.allowed_hosts"};
    }
    if (!changes) return std::nullopt;
    const auto& allowed = policy_.allowed_origins;
    const auto origin = head.field("Origin");
    const std::string given = lower(origin.value_or(""));
    if (std::find(allowed.begin(), allowed.end(), given) != allowed.end()) return std::nullopt;
    const bool own_origin =
        given == fmt::format("{}://{}", peer.tls ? "https" : "http", lower(head.authority));
    const bool cross_site = lower(head.field("Sec-Fetch-Site").value_or("")) == "cross-site";
    const bool foreign = (origin && !own_origin) || cross_site;
    if (!foreign) return std::nullopt;
    return Refusal{403, "cross-site",
                   "a page of another site may not change anything here; an admin can add its "
                   "origin to http.allowed_origins"};
}

Refusal Access::unauthorized() {
    return {401, "unauthorized",
            "this wants credentials: a token (Authorization: Bearer larder_…) or a user's name and "
            "password (Basic)"};
}

Access::Identity Access::identify(const std::shared_ptr<http::Exchange>& exchange,
                                  const Attempt* tried) const {
    static const thread_local PrincipalPtr everybody = make_nameless(Principal::By::nothing, "");
    static const thread_local PrincipalPtr local = make_nameless(Principal::By::socket, "local");
    if (!policy_.auth_enabled) return {everybody, {}, {}};
    const auto given = exchange->head().field("Authorization");
    if (!given && is_local_admin(exchange->peer())) return {local, {}, {}};
    if (!given || keepers_ == nullptr) return {};
    refresh();
    if (const auto token = after_scheme(*given, "Bearer")) {
        return by_token(*token, *exchange);
    }
    if (const auto encoded = after_scheme(*given, "Basic")) {
        return by_password(*encoded, exchange, tried);
    }
    return refused(Fault::malformed, "the Authorization header is neither Bearer nor Basic",
                   *exchange, "");
}

void Access::refresh() const {
    const std::uint64_t version = keepers_->accounts.version();
    if (version == version_) return;
    // The version is read first: what is kept may be newer than it says, never older.
    directory_ = keepers_->accounts.now();
    version_ = version;
    users_.clear();
    tokens_.clear();
}

Access::Identity Access::by_token(std::string_view text, const http::Exchange& exchange) const {
    const auto id = token_id(text);
    const auto wrong = [&](Fault fault, std::string_view detail) {
        return refused(fault, detail, exchange, id.value_or(""));
    };
    if (!id) return wrong(Fault::malformed, "this is no token of larderd's");
    const auto found = directory_->tokens.find(*id);
    static thread_local storage::Sha256 sum;
    sum.update(text);
    const std::string digest = sum.finish_hex();
    if (found == directory_->tokens.end() || !is_same(digest, found->second.sha256)) {
        return wrong(Fault::token, "there is no such token; it may have been revoked");
    }
    const Token& token = found->second;
    const std::int64_t now = unix_now_ms();
    if (token.expires_ms != 0 && token.expires_ms <= now) {
        return wrong(Fault::expired, "the token has expired; ask an admin for another");
    }
    auto known = tokens_.find(*id);
    if (known == tokens_.end()) {
        known = tokens_.emplace(token.id, principal_of(token, *directory_)).first;
    }
    if (!known->second) return wrong(Fault::token, "the token's user is gone or disabled");
    if (now - token.last_used_ms->load(std::memory_order_relaxed) >= kUseMs) {
        token.last_used_ms->store(now, std::memory_order_relaxed);
    }
    return {known->second, {}, {}};
}

Access::Identity Access::by_password(std::string_view encoded,
                                     const std::shared_ptr<http::Exchange>& exchange,
                                     const Attempt* tried) const {
    const auto pair = storage::from_any_base64(encoded);
    const std::size_t colon = pair ? pair->find(':') : std::string::npos;
    if (colon == std::string::npos) {
        return refused(Fault::malformed, "the Basic credentials are no name:password in base64",
                       *exchange, "");
    }
    const std::string_view name = std::string_view(*pair).substr(0, colon);
    const std::string_view password = std::string_view(*pair).substr(colon + 1);
    const auto found = directory_->users.find(name);
    const bool known = found != directory_->users.end() && !found->second.disabled;
    if (known && keepers_->logins.remembers(found->second, password)) {
        return {user(found->second), {}, {}};
    }
    if (tried != nullptr && tried->state() != Attempt::State::waiting) {
        if (tried->state() == Attempt::State::right && known) return {user(found->second), {}, {}};
        if (tried->state() == Attempt::State::failed) {
            return {nullptr, Refusal{500, "internal", "the password could not be tried"}, {}};
        }
        return {nullptr, Refusal{401, "unauthorized", "name or password is wrong"}, {}};
    }
    auto begun = keepers_->logins.begin(name, password, {exchange->peer().address, exchange->id()},
                                        [exchange] { exchange->begin_again(); });
    if (const auto* throttled = std::get_if<Logins::Throttled>(&begun)) {
        const auto seconds = std::chrono::ceil<std::chrono::seconds>(throttled->wait).count();
        return {nullptr,
                Refusal{429, "too-many-logins",
                        "too many wrong passwords for this user or from this address",
                        static_cast<int>(seconds)},
                {}};
    }
    if (std::holds_alternative<Logins::Busy>(begun)) {
        return {nullptr, Refusal{503, "overloaded", "too many passwords wait to be tried", 1}, {}};
    }
    return {nullptr, {}, std::get<AttemptPtr>(std::move(begun))};
}

PrincipalPtr Access::user(const User& user) const {
    auto known = users_.find(user.name);
    if (known == users_.end()) known = users_.emplace(user.name, principal_of(user)).first;
    return known->second;
}

Access::Identity Access::refused(Fault fault, std::string_view detail,
                                 const http::Exchange& exchange, std::string_view actor) const {
    keepers_->failures.note(fault, exchange.peer().address, actor, exchange.id());
    return {nullptr, Refusal{401, "unauthorized", std::string(detail)}, {}};
}

}  // namespace larder::access
