// What the routes of users and tokens take and answer, as JSON Schema, for GET /openapi.json.
#pragma once

#include <string_view>

namespace larder::admin {

inline constexpr std::string_view kUserSchema = R"({"type": "object",
    "required": ["name", "roles", "disabled", "created_at", "updated_at"],
    "properties": {"name": {"type": "string"},
        "roles": {"type": "array", "items": {"type": "string"}},
        "disabled": {"type": "boolean"}},
    "not": {"required": ["password"]}})";
inline constexpr std::string_view kUserListSchema =
    R"({"allOf": [{"$ref": "#/components/schemas/List"},
        {"properties": {"items": {"items": {"type": "object",
            "required": ["name", "roles", "disabled", "created_at", "updated_at"]}}}}]})";
inline constexpr std::string_view kNewUserSchema = R"({"type": "object",
    "required": ["name", "password"],
    "properties": {
        "name": {"type": "string", "pattern": "^[A-Za-z0-9][A-Za-z0-9._@-]{0,63}$"},
        "password": {"type": "string", "minLength": 8, "maxLength": 1024},
        "roles": {"type": "array", "items": {"type": "string"},
            "description": "admin (everything), editor (*:read, *:write, *:execute), viewer (*:read), or scopes such as kv:read; see tokens."},
        "disabled": {"type": "boolean", "default": false}},
    "additionalProperties": false})";
inline constexpr std::string_view kUserPatchSchema = R"({"type": "object",
    "properties": {"roles": {"type": "array", "items": {"type": "string"}},
        "disabled": {"type": "boolean"}},
    "additionalProperties": false})";
inline constexpr std::string_view kPasswordSchema = R"({"type": "object",
    "required": ["password"],
    "properties": {
        "password": {"type": "string", "minLength": 8, "maxLength": 1024},
        "current": {"type": "string",
            "description": "Wanted of those who are no admin and came with a token."}},
    "additionalProperties": false})";

inline constexpr std::string_view kWhoamiSchema = R"({"type": "object",
    "required": ["name", "by", "auth_enabled", "admin", "user", "token"],
    "properties": {
        "name": {"type": "string", "description": "As in the audit; empty where auth is off."},
        "by": {"enum": ["none", "socket", "password", "token"]},
        "auth_enabled": {"type": "boolean"}, "admin": {"type": "boolean"},
        "user": {"type": ["object", "null"]}, "token": {"type": ["object", "null"]}}})";

inline constexpr std::string_view kTokenListSchema =
    R"({"allOf": [{"$ref": "#/components/schemas/List"},
        {"properties": {"items": {"items": {"type": "object",
            "required": ["id", "name", "starts_with", "user", "scopes", "prefixes", "created_at",
                         "expires_at", "last_used"],
            "not": {"required": ["secret"]}}}}}]})";
inline constexpr std::string_view kMadeTokenSchema = R"({"type": "object",
    "required": ["id", "name", "starts_with", "user", "scopes", "prefixes", "created_at",
                 "expires_at", "last_used", "secret"],
    "properties": {"secret": {"type": "string", "pattern": "^larder_",
        "description": "Sent as Authorization: Bearer larder_…; it cannot be had again."}}})";
inline constexpr std::string_view kNewTokenSchema = R"({"type": "object",
    "required": ["name", "scopes"],
    "properties": {
        "name": {"type": "string", "maxLength": 64, "description": "What it is for."},
        "scopes": {"type": "array", "minItems": 1, "items": {"type": "string"},
            "description": "admin (everything), or AREA:PERMISSION. The area is a plugin's name, daemon for the daemon's own routes, or *; the permission read, write, execute, admin or *. No permission brings another."},
        "prefixes": {"type": "array", "items": {"type": "string"},
            "description": "What the paths below /api/ must begin with, such as kv/settings/; none: any."},
        "expires_at": {"type": ["string", "null"], "format": "date-time"},
        "user": {"type": ["string", "null"],
            "description": "Whose it is: it may do no more than that user, and goes with it."}},
    "additionalProperties": false})";

inline constexpr std::string_view kAddUserProblems =
    "409 user-exists: there is a user of this name already;"
    "500 storage-failed; 503 audit-refused; 507 disk-full";
inline constexpr std::string_view kUserProblems =
    "404 user-not-found: no user has this name;"
    "500 storage-failed; 503 audit-refused; 507 disk-full";
inline constexpr std::string_view kPasswordProblems =
    "404 user-not-found; 403 wrong-password: `current` is not the password;"
    "500 storage-failed; 503 audit-refused; 507 disk-full";
inline constexpr std::string_view kAddTokenProblems =
    "409 too-many-tokens: revoke what is not used;"
    "500 storage-failed; 503 audit-refused; 507 disk-full";
inline constexpr std::string_view kTokenProblems =
    "404 token-not-found: no token has this id;"
    "500 storage-failed; 503 audit-refused; 507 disk-full";

}  // namespace larder::admin
