// Who may do what: judged on a request's head, before any handler. Also the rules that keep web
// pages from reaching a loopback daemon (cross-site requests, DNS rebinding). No users are kept
// here.
#pragma once

#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "http/http.hpp"
#include "larder/http.hpp"

namespace larder::access {

// A request refused: what the client is told.
struct Refusal {
    int status;
    std::string_view slug;
    std::string detail;
};

struct Policy {
    bool auth_enabled = false;
    std::vector<std::string> own_hosts;      // listeners' names and addresses, lower case, no port
    bool any_address = false;                // a wildcard listener: any IP literal is ours
    std::vector<std::string> allowed_hosts;  // http.allowed_hosts
    std::vector<std::string> allowed_origins;  // http.allowed_origins, "https://example.org"
    std::uint32_t own_uid = 0;  // the daemon's; it and root are admins by Unix socket
};

// Each reactor keeps a copy of its own. [io]
class Access {
public:
    explicit Access(Policy policy);

    // 421 for a Host that is not ours, 403 for a change that another site's page asks for.
    std::optional<Refusal> judge_site(const http::Head& head, const http::Peer& peer,
                                      bool changes) const;
    // Whether credentials are wanted and missing: 401.
    std::optional<Refusal> judge_credentials(const http::Peer& peer, Permission permission) const;
    // The caller's name for records; empty where auth is off.
    std::string_view principal(const http::Peer& peer) const;

private:
    bool is_own_host(std::string_view authority) const;
    bool is_local_admin(const http::Peer& peer) const noexcept;

    Policy policy_;                 // constant after construction
    mutable std::string last_own_;  // the authority judged ours last: clients repeat theirs
};

// The host of "host:port" or "[::1]:port", lower case, without brackets.
std::string host_of(std::string_view authority);
bool is_loopback_name(std::string_view host);
bool is_ip_literal(std::string_view host);

}  // namespace larder::access
