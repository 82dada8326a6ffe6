// How users and tokens are shown, and what their routes refuse alike. Not the routes.
#pragma once

#include <functional>
#include <string>
#include <string_view>
#include <vector>

#include "access/accounts.hpp"
#include "admin/answers.hpp"
#include "larder/error.hpp"

namespace larder::admin {

Object describe(const access::User& user);    // nothing of its password
Object describe(const access::Token& token);  // nothing of its secret
Array texts(const std::vector<std::string>& all);

Error no_such_user();
Error no_such_token();
// Runs a check that throws std::invalid_argument; that becomes 422 invalid-field. [any]
void demand(std::string_view pointer, const std::function<void()>& check);

}  // namespace larder::admin
