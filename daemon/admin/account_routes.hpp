// Users over HTTP: /api/users, their passwords, and /api/whoami. Not tokens (token_routes.hpp), nor
// what a user may do (access/rights.hpp).
#pragma once

#include <functional>

#include "access/accounts.hpp"
#include "access/logins.hpp"
#include "larder/alerts.hpp"
#include "larder/http.hpp"

namespace larder::admin {

class AccountRoutes {
public:
    // All of it outlives this. `auth_enabled` tells what is in force.
    AccountRoutes(access::Accounts& accounts, access::Logins& logins, Audit& audit,
                  std::function<bool()> auth_enabled)
        : accounts_(accounts),
          logins_(logins),
          audit_(audit),
          auth_enabled_(std::move(auth_enabled)) {}

    void declare(Routes& routes);
    // Whoever has credentials may ask who they are, and change a password that they know.
    static bool is_for_any_caller(const Route& route) noexcept;

private:
    void declare_changes(Routes& routes);
    Response list(const Request& request) const;
    Response show(const Request& request) const;
    Response add(const Request& request);
    Response change(const Request& request);
    Response remove(const Request& request);
    Response set_password(const Request& request);
    Response whoami(const Request& request) const;
    void judge_password_change(const Request& request, const std::string& name,
                               const std::string* current);

    access::Accounts& accounts_;
    access::Logins& logins_;
    Audit& audit_;
    const std::function<bool()> auth_enabled_;
};

}  // namespace larder::admin
