// The commands about who may: users, their passwords, tokens, and who asks.
#include <Poco/JSON/Array.h>
#include <Poco/JSON/Object.h>
#include <Poco/JSON/Stringifier.h>
#include <fmt/format.h>
#include <fmt/ranges.h>
#include <termios.h>
#include <unistd.h>

#include <cstdio>
#include <iostream>
#include <sstream>

#include "answers.hpp"
#include "command.hpp"
#include "config/value.hpp"
#include "larder/time.hpp"
#include "table.hpp"

namespace larder::ctl {
namespace {

using Poco::JSON::Array;
using Poco::JSON::Object;

std::string words_of(const Object::Ptr& object, const std::string& member) {
    std::vector<std::string> words;
    const auto all = object->getArray(member);
    for (const auto& word : *all) words.push_back(word.toString());
    return words.empty() ? "-" : fmt::format("{}", fmt::join(words, ","));
}

Array list_of(const std::string& comma_separated) {
    Array all;
    for (const auto& word : config::split_list(comma_separated)) all.add(word);
    return all;
}

std::string json_of(const Object& object) {
    std::ostringstream text;
    object.stringify(text);
    return text.str();
}

int told(const Context& context, const Answer& answer, const std::string& words) {
    if (context.json && !answer.body.empty()) return print_json(answer);
    std::cout << printable(words) << '\n';
    return kOk;
}

// What is typed is not shown, to the end of a scope.
class Unseen {
public:
    Unseen() {
        if (tcgetattr(STDIN_FILENO, &before_) != 0) return;
        termios unseen = before_;
        unseen.c_lflag &= ~static_cast<tcflag_t>(ECHO);
        changed_ = tcsetattr(STDIN_FILENO, TCSAFLUSH, &unseen) == 0;
    }
    ~Unseen() {
        if (changed_) tcsetattr(STDIN_FILENO, TCSAFLUSH, &before_);
    }
    Unseen(const Unseen&) = delete;
    Unseen& operator=(const Unseen&) = delete;

private:
    termios before_{};
    bool changed_ = false;
};

std::string ask_unseen(const char* prompt) {
    std::cerr << prompt << std::flush;
    std::string line;
    {
        const Unseen unseen;
        std::getline(std::cin, line);
    }
    std::cerr << '\n';
    return line;
}

// Of the first line of standard input, or asked for twice on a terminal; never of the command
// line, which every user of the machine can read.
std::string read_password() {
    if (isatty(STDIN_FILENO) == 0) {
        std::string line;
        std::getline(std::cin, line);
        if (line.ends_with('\r')) line.pop_back();
        if (line.empty()) {
            throw UsageError("the password is read from standard input, which was empty");
        }
        return line;
    }
    std::string first = ask_unseen("new password: ");
    if (first != ask_unseen("once more: ")) throw UsageError("the two passwords differ");
    return first;
}

std::string user_path(const Context& context) {
    return "/api/users/" + escaped(context.words.arguments[0]);
}

int user_list(Context& context) {
    const Client client = context.client();
    if (context.json) return print_json(client.demand("GET", "/api/users?limit=1000"));
    Table table({"NAME", "ROLES", "DISABLED", "CREATED"});
    for (const auto& user : client.items("/api/users")) {
        table.add({text_of(user, "name"), words_of(user, "roles"),
                   user->getValue<bool>("disabled") ? "yes" : "no", text_of(user, "created_at")});
    }
    table.print();
    return kOk;
}

int user_add(Context& context) {
    const std::string& name = context.words.arguments[0];
    Object body(Poco::JSON_PRESERVE_KEY_ORDER);
    body.set("name", name);
    body.set("roles", list_of(context.words.value("--roles").value_or("viewer")));
    body.set("password", read_password());
    const Answer answer = context.client().demand("POST", "/api/users", json_of(body));
    return told(context, answer, fmt::format("user {} was added", name));
}

int user_password(Context& context) {
    Object body;
    body.set("password", read_password());
    const Answer answer =
        context.client().demand("PUT", user_path(context) + "/password", json_of(body));
    return told(context, answer,
                fmt::format("the password of {} is set", context.words.arguments[0]));
}

int user_patch(Context& context, const Object& body, const std::string& words) {
    const Answer answer = context.client().demand("PATCH", user_path(context), json_of(body));
    return told(context, answer, words);
}

int user_roles(Context& context) {
    Object body;
    body.set("roles", list_of(context.words.arguments[1]));
    return user_patch(context, body,
                      fmt::format("the roles of {} are {}", context.words.arguments[0],
                                  context.words.arguments[1]));
}

int user_disable(Context& context) {
    Object body;
    body.set("disabled", true);
    return user_patch(
        context, body,
        fmt::format("{} is refused from now on, tokens included", context.words.arguments[0]));
}

int user_enable(Context& context) {
    Object body;
    body.set("disabled", false);
    return user_patch(context, body, fmt::format("{} is let in", context.words.arguments[0]));
}

int user_remove(Context& context) {
    const Answer answer = context.client().demand("DELETE", user_path(context));
    return told(context, answer,
                fmt::format("user {} is gone, tokens included", context.words.arguments[0]));
}

int token_list(Context& context) {
    const Client client = context.client();
    if (context.json) return print_json(client.demand("GET", "/api/tokens?limit=1000"));
    Table table({"ID", "NAME", "USER", "EXPIRES", "LAST USED", "SCOPES", "PREFIXES"});
    for (const auto& token : client.items("/api/tokens")) {
        table.add({text_of(token, "id"), text_of(token, "name"), text_of(token, "user"),
                   text_of(token, "expires_at"), text_of(token, "last_used"),
                   words_of(token, "scopes"), words_of(token, "prefixes")});
    }
    table.print();
    return kOk;
}

// "30d" from now, or a time as it is.
std::string expiry_of(const std::string& given) {
    try {
        return rfc3339(unix_now_ms() + config::parse_duration(given).count());
    } catch (const config::ValueError&) {  // no duration: the daemon judges the time
        return given;
    }
}

int token_create(Context& context) {
    Object body(Poco::JSON_PRESERVE_KEY_ORDER);
    body.set("name", context.words.arguments[0]);
    body.set("scopes", list_of(context.words.arguments[1]));
    if (const auto prefixes = context.words.value("--prefixes")) {
        body.set("prefixes", list_of(*prefixes));
    }
    if (const auto user = context.words.value("--user")) body.set("user", *user);
    if (const auto expires = context.words.value("--expires")) {
        body.set("expires_at", expiry_of(*expires));
    }
    const Answer answer = context.client().demand("POST", "/api/tokens", json_of(body));
    if (context.json) return print_json(answer);
    const auto made = object_of(answer);
    // The secret alone on standard output, so that it can be piped to where it is kept.
    std::cerr << printable(fmt::format("token {} ({}); its secret is shown this once:",
                                       text_of(made, "name"), text_of(made, "id")))
              << '\n';
    std::cout << text_of(made, "secret") << '\n';
    return kOk;
}

int token_revoke(Context& context) {
    const std::string& id = context.words.arguments[0];
    const Answer answer = context.client().demand("DELETE", "/api/tokens/" + escaped(id));
    return told(context, answer, fmt::format("token {} is refused from now on", id));
}

int whoami(Context& context) {
    const Client client = context.client();
    if (context.json) return print_json(client.demand("GET", "/api/whoami"));
    const auto me = client.object("GET", "/api/whoami");
    Table table({"name", text_of(me, "name")});
    table.add({"known by", text_of(me, "by")});
    table.add({"admin", me->getValue<bool>("admin") ? "yes" : "no"});
    table.add({"auth", me->getValue<bool>("auth_enabled") ? "on" : "off: everybody may do all"});
    if (!me->isNull("user")) table.add({"roles", words_of(me->getObject("user"), "roles")});
    if (!me->isNull("token")) {
        const auto token = me->getObject("token");
        table.add({"scopes", words_of(token, "scopes")});
        table.add({"prefixes", words_of(token, "prefixes")});
        table.add({"expires", text_of(token, "expires_at")});
    }
    table.print();
    return kOk;
}

}  // namespace

std::vector<Command> account_commands() {
    const auto command = [](std::string_view name, std::string_view arguments, std::size_t count,
                            std::string_view summary, int (*run)(Context&),
                            std::vector<Option> options = {}) {
        return Command{name, arguments, count, count, summary, std::move(options), run};
    };
    return {
        command("whoami", "", 0, "Tell who you are to larderd, and what you may do", whoami),
        command("user list", "", 0, "List the users", user_list),
        command("user add", "NAME", 1, "Add a user; its password is read from standard input",
                user_add,
                {{"--roles", "ROLE,…", "admin, editor, viewer (if none is given) or scopes"}}),
        command("user password", "NAME", 1, "Set a password, read from standard input",
                user_password),
        command("user roles", "NAME ROLE,…", 2, "Give a user these roles and no others",
                user_roles),
        command("user disable", "NAME", 1, "Refuse a user, and the tokens that belong to it",
                user_disable),
        command("user enable", "NAME", 1, "Let a user in again", user_enable),
        command("user remove", "NAME", 1, "Remove a user, and the tokens that belong to it",
                user_remove),
        command("token list", "", 0, "List the tokens, without their secrets", token_list),
        command("token create", "NAME SCOPE,…", 2, "Make a token and print its secret, once",
                token_create,
                {{"--prefixes", "NAME,…", "what it may touch begins so: kv/settings/"},
                 {"--expires", "TIME", "30d from now, or 2027-01-31T00:00:00Z"},
                 {"--user", "NAME", "whose it is, and within whose rights it stays"}}),
        command("token revoke", "ID", 1, "Refuse a token from now on", token_revoke),
    };
}

}  // namespace larder::ctl
