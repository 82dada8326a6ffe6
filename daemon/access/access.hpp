// Who asks and what they may do: judged on a request's head, before any handler. Also the rules
// that keep web pages from reaching a loopback daemon (cross-site requests, DNS rebinding). The
// accounts themselves are accounts.hpp's.
//
// The way of credentials, and what it costs. Access is one reactor's; what it learns of accounts it
// keeps, until Accounts::version() has moved, so that a revoked token is refused from the moment
// its DELETE was answered. A request costs one atomic load for that, and:
//
//   none            the Unix socket's peer, if it is root or the daemon's own user; else nobody
//   Bearer          SHA-256 of the token, compared in constant time with what is kept for its id
//   Basic, known    SHA-256 of name and password, looked up in Logins under its lock
//   Basic, new      scrypt on a worker (Logins), while the exchange waits with nothing read: the
//                   dispatcher answers BodyPlan::later, and begin() is called again when it is done
//
//   accounts.hpp    users, tokens, users.json      rights.hpp    scopes, roles, prefixes
//   secrets.hpp     scrypt, token texts            principal.hpp who it turned out to be
//   logins.hpp      passwords tried, remembered    throttle.hpp  how often they may be
//   failures.hpp    what failed, for the audit
#pragma once

#include <cstdint>
#include <map>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "access/accounts.hpp"
#include "access/failures.hpp"
#include "access/logins.hpp"
#include "access/principal.hpp"
#include "http/http.hpp"
#include "larder/http.hpp"

namespace larder::access {

// A request refused: what the client is told.
struct Refusal {
    int status;
    std::string_view slug;
    std::string detail;
    int retry_after = 0;  // seconds; 0: no word of it
};

struct Policy {
    bool auth_enabled = false;
    std::vector<std::string> own_hosts;      // listeners' names and addresses, lower case, no port
    bool any_address = false;                // a wildcard listener: any IP literal is ours
    std::vector<std::string> allowed_hosts;  // http.allowed_hosts
    std::vector<std::string> allowed_origins;  // http.allowed_origins, "https://example.org"
    std::uint32_t own_uid = 0;  // the daemon's; it and root are admins by Unix socket
};

// What credentials are judged by; all of it outlives every Access.
struct Keepers {
    Accounts& accounts;
    Logins& logins;
    Failures& failures;
};

// Each reactor keeps a copy of its own. [io]
class Access {
public:
    // `keepers` may be null where auth is off.
    explicit Access(Policy policy, const Keepers* keepers = nullptr);

    // 421 for a Host that is not ours, 403 for a change that another site's page asks for.
    std::optional<Refusal> judge_site(const http::Head& head, const http::Peer& peer,
                                      bool changes) const;

    // One of the three, or none of them: there are no credentials, and they are wanted.
    struct Identity {
        PrincipalPtr principal;
        std::optional<Refusal> refusal;  // 401, 429, 503, 500
        AttemptPtr attempt;              // a password is being tried: ask again with it
    };
    // `tried` is what an earlier call for this exchange gave; when an attempt that is given now
    // tells, the exchange's begin_again() is called.
    Identity identify(const std::shared_ptr<http::Exchange>& exchange, const Attempt* tried) const;
    static Refusal unauthorized();

private:
    bool is_own_host(std::string_view authority) const;
    bool is_local_admin(const http::Peer& peer) const noexcept;
    void refresh() const;
    Identity by_token(std::string_view text, const http::Exchange& exchange) const;
    Identity by_password(std::string_view encoded, const std::shared_ptr<http::Exchange>& exchange,
                         const Attempt* tried) const;
    PrincipalPtr user(const User& user) const;
    Identity refused(Fault fault, std::string_view detail, const http::Exchange& exchange,
                     std::string_view actor) const;

    Policy policy_;                 // constant after construction
    const Keepers* const keepers_;  // likewise
    mutable std::string last_own_;  // the authority judged ours last: clients repeat theirs
    // What is known of the accounts, as of `version_`; principals are this reactor's own, so that
    // reactors do not share their counts.
    mutable std::uint64_t version_ = 0;
    mutable std::shared_ptr<const Directory> directory_;
    mutable std::map<std::string, PrincipalPtr, std::less<>> users_, tokens_;
};

// The host of "host:port" or "[::1]:port", lower case, without brackets.
std::string host_of(std::string_view authority);
bool is_loopback_name(std::string_view host);
bool is_ip_literal(std::string_view host);

}  // namespace larder::access
