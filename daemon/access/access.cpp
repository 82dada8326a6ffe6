#include "access/access.hpp"

#include <arpa/inet.h>
#include <fmt/format.h>

#include <algorithm>
#include <cctype>

namespace larder::access {
namespace {

std::string lower(std::string_view text) {
    std::string out(text);
    std::transform(out.begin(), out.end(), out.begin(),
                   [](unsigned char c) { return static_cast<char>(std::tolower(c)); });
    return out;
}

void lower_all(std::vector<std::string>& texts) {
    for (auto& text : texts) text = lower(text);
}

}  // namespace

Access::Access(Policy policy) : policy_(std::move(policy)) {
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

std::optional<Refusal> Access::judge_credentials(const http::Peer& peer,
                                                 Permission permission) const {
    if (!policy_.auth_enabled || permission == Permission::open || is_local_admin(peer)) {
        return std::nullopt;
    }
    return Refusal{401, "unauthorized", "this request wants credentials"};
}

std::string_view Access::principal(const http::Peer& peer) const {
    if (!policy_.auth_enabled) return {};
    return is_local_admin(peer) ? "local" : std::string_view{};
}

}  // namespace larder::access
