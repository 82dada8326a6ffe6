// users.json as text and back; what it means is accounts.hpp's.
#include <fmt/format.h>

#include <functional>
#include <stdexcept>
#include <utility>

#include "access/accounts.hpp"
#include "access/secrets.hpp"
#include "larder/error.hpp"
#include "larder/time.hpp"
#include "storage-kit/json.hpp"
#include "storage-kit/timestamps.hpp"

namespace larder::access {
namespace {

namespace json = storage::json;

constexpr std::string_view kVersion = "1";

std::string array_of(const std::vector<std::string>& texts) {
    std::string out = "[";
    for (const std::string& text : texts) {
        if (out.size() > 1) out += ", ";
        json::append_quoted(out, text);
    }
    return out + "]";
}

std::string time_of(std::int64_t unix_ms) {
    return unix_ms == 0 ? "null" : fmt::format("\"{}\"", rfc3339(unix_ms));
}

// What is wrong with a file, and where: "tokens.3f…".
class Reader {
public:
    explicit Reader(const std::string& path) : path_(path) {}

    [[noreturn]] void refuse(std::string_view what) const {
        throw Error(Errc::corrupt, "users-unreadable",
                    fmt::format("{}: {}{}{}; mend it, or put a backup of it in its place", path_,
                                place_, place_.empty() ? "" : ": ", what));
    }
    std::string text(std::string_view value) const {
        if (!value.starts_with('"')) refuse("expected a string");
        return json::unquoted(value);
    }
    std::int64_t time(std::string_view value) const {
        if (value == "null") return 0;
        const auto read = storage::parse_rfc3339(text(value));
        if (!read) refuse("expected a time as 2026-11-22T15:26:28.123Z");
        return *read;
    }
    std::vector<std::string> texts(std::string_view value) const {
        if (!value.starts_with('[')) refuse("expected an array");
        std::vector<std::string> all;
        json::Walk elements(value);
        while (elements.next()) all.push_back(text(elements.value()));
        return all;
    }
    void each(std::string_view object,
              const std::function<void(const std::string&, std::string_view)>& use) const {
        if (!object.starts_with('{')) refuse("expected an object");
        json::Walk members(object);
        while (members.next()) use(json::unquoted(members.name()), members.value());
    }
    // Runs a check that throws std::invalid_argument.
    void demand(const std::function<void()>& check) const {
        try {
            check();
        } catch (const std::invalid_argument& error) {
            refuse(error.what());
        }
    }
    void at(std::string place) { place_ = std::move(place); }

private:
    const std::string& path_;
    std::string place_;
};

User user_of(Reader& reader, const std::string& name, std::string_view text) {
    reader.at("users." + name);
    User user;
    user.name = name;
    reader.demand([&] { check_user_name(name); });
    reader.each(text, [&](const std::string& member, std::string_view value) {
        if (member == "password") user.password_hash = reader.text(value);
        if (member == "roles") user.roles = reader.texts(value);
        if (member == "disabled") user.disabled = value == "true";
        if (member == "created_at") user.created_ms = reader.time(value);
        if (member == "updated_at") user.updated_ms = reader.time(value);
    });
    for (const auto& role : user.roles) reader.demand([&] { check_role(role); });
    if (!is_password_hash(user.password_hash)) {
        reader.refuse("expected a password as larderd writes it, $scrypt$…");
    }
    return user;
}

Token token_of(Reader& reader, const std::string& id, std::string_view text) {
    reader.at("tokens." + id);
    Token token;
    token.id = id;
    reader.each(text, [&](const std::string& member, std::string_view value) {
        if (member == "name") token.name = reader.text(value);
        if (member == "sha256") token.sha256 = reader.text(value);
        if (member == "scopes") token.scopes = reader.texts(value);
        if (member == "prefixes") token.prefixes = reader.texts(value);
        if (member == "user" && value != "null") token.user = reader.text(value);
        if (member == "created_at") token.created_ms = reader.time(value);
        if (member == "expires_at") token.expires_ms = reader.time(value);
        if (member == "last_used") *token.last_used_ms = reader.time(value);
    });
    reader.demand([&] { check_token_name(token.name); });
    for (const auto& scope : token.scopes) reader.demand([&] { Grants::check(scope); });
    if (token.sha256.size() != 64) reader.refuse("expected sha256 with 64 hex digits");
    return token;
}

}  // namespace

std::string text_of(const Directory& directory) {
    std::string text = fmt::format("{{\n\"version\": {},\n\"users\": {{", kVersion);
    const char* between = "\n";
    for (const auto& [name, user] : directory.users) {
        text += fmt::format(
            "{}  {}: {{\"password\": {}, \"roles\": {}, \"disabled\": {}, \"created_at\": {}, "
            "\"updated_at\": {}}}",
            std::exchange(between, ",\n"), json::quoted(name), json::quoted(user.password_hash),
            array_of(user.roles), user.disabled, time_of(user.created_ms),
            time_of(user.updated_ms));
    }
    text += "},\n\"tokens\": {";
    between = "\n";
    for (const auto& [id, token] : directory.tokens) {
        text += fmt::format(
            "{}  {}: {{\"name\": {}, \"sha256\": {}, \"scopes\": {}, \"prefixes\": {}, \"user\": "
            "{}, \"created_at\": {}, \"expires_at\": {}, \"last_used\": {}}}",
            std::exchange(between, ",\n"), json::quoted(id), json::quoted(token.name),
            json::quoted(token.sha256), array_of(token.scopes), array_of(token.prefixes),
            token.user.empty() ? "null" : json::quoted(token.user), time_of(token.created_ms),
            time_of(token.expires_ms), time_of(*token.last_used_ms));
    }
    return text + "}\n}\n";
}

Directory directory_of(const std::string& text, const std::string& path) {
    Reader reader(path);
    try {
        json::check(text);
    } catch (const json::InvalidJson& error) {
        reader.refuse(fmt::format("byte {}: {}", error.offset(), error.what()));
    }
    Directory directory;
    std::string version;
    reader.each(text, [&](const std::string& member, std::string_view value) {
        if (member == "version") version = value;
        if (member == "users") {
            reader.each(value, [&](const std::string& name, std::string_view user) {
                directory.users.emplace(name, user_of(reader, name, user));
            });
        }
        if (member == "tokens") {
            reader.each(value, [&](const std::string& id, std::string_view token) {
                directory.tokens.emplace(id, token_of(reader, id, token));
            });
        }
        reader.at("");
    });
    if (version == kVersion) return directory;
    reader.refuse(fmt::format("its version is '{}' and this daemon knows {}", version, kVersion));
}

}  // namespace larder::access
