// Tokens over HTTP: /api/tokens. What a token may do is access/rights.hpp's.
#pragma once

#include "access/accounts.hpp"
#include "larder/alerts.hpp"
#include "larder/http.hpp"

namespace larder::admin {

class TokenRoutes {
public:
    // Both outlive this.
    TokenRoutes(access::Accounts& accounts, Audit& audit) : accounts_(accounts), audit_(audit) {}

    void declare(Routes& routes);

private:
    Response list(const Request& request) const;
    Response add(const Request& request);
    Response revoke(const Request& request);

    access::Accounts& accounts_;
    Audit& audit_;
};

}  // namespace larder::admin
