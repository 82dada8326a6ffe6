// Who a request comes from, once that is known. Not how it became known.
#pragma once

#include <cstdint>
#include <memory>
#include <string>

#include "access/accounts.hpp"
#include "access/rights.hpp"

namespace larder::access {

struct Principal {
    enum class By : std::uint8_t {
        nothing = 1,  // nobody was asked: auth is off, or there were no credentials
        socket,       // the kernel's word: root or the daemon's own user on the Unix socket
        password,
        token,
    };

    By by = By::nothing;
    std::string name;  // for records: "ann", "ann/ci", "token/ci", "local"; empty for nothing
    Rights rights{Grants::all()};
    std::string user, token_id;  // or empty
};
using PrincipalPtr = std::shared_ptr<const Principal>;

PrincipalPtr principal_of(const User& user);
// Null where its user is gone or disabled. Its expiry is not looked at.
PrincipalPtr principal_of(const Token& token, const Directory& directory);

}  // namespace larder::access
