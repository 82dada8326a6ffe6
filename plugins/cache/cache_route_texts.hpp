// What the routes of this plugin say of themselves: parameters, headers, problem codes, and what
// they answer as JSON Schema. Told by GET /openapi.json; no request is judged by it.
#pragma once

#include <string_view>

namespace larder::cache {

// ---- entries

inline constexpr std::string_view kKeyParameter = "key: 1-1024 bytes of UTF-8";
inline constexpr std::string_view kGetParameters =
    "key: 1-1024 bytes of UTF-8, the first part of which is none of stats, warm, leaderboards, "
    "lists;"
    "wait number: if somebody else is filling the key, wait for so many seconds, at most 30";
inline constexpr std::string_view kPutParameters =
    "key: 1-1024 bytes of UTF-8, the first part of which is none of stats, warm, leaderboards, "
    "lists;"
    "ttl number: seconds until it is a miss, cache.default_ttl if absent;"
    "stale number: seconds behind that in which it is still given, as stale;"
    "tags: up to 16 words with commas between them, by which it can be invalidated;"
    "Larder-Fill-Token: what the miss gave";
inline constexpr std::string_view kGetHeaders =
    "Larder-Cache: l1-hit, l2-hit, or stale;"
    "Age: seconds since it was stored;"
    "Larder-Fill-Token: with stale, for the one who is to fill it anew";
inline constexpr std::string_view kEraseParameters =
    "pattern: keys that it matches, with * ? [a-z] and a backslash as Redis takes them;"
    "prefix: keys that begin with it;"
    "tag: entries that bear it;"
    "all boolean: every entry";
inline constexpr std::string_view kGetProblems =
    "400 invalid-key: the key is too long, no UTF-8, or kept for the cache itself;"
    "404 cache-miss: there is nothing under the key, and Larder-Fill-Token is for who fills it";
inline constexpr std::string_view kPutProblems =
    "400 invalid-key;"
    "400 invalid-fill-token: the token is none of ours;"
    "409 stale-fill: the key was invalidated since the token was given, so make the value anew";
inline constexpr std::string_view kKeyProblems = "400 invalid-key";

inline constexpr std::string_view kRemovedSchema = R"({"type": "object", "required": ["removed"],
    "properties": {"removed": {"type": "integer", "minimum": 0}}})";
inline constexpr std::string_view kWarmParameters =
    "dry_run boolean: count what would be stored, and store nothing";
inline constexpr std::string_view kWarmedSchema = R"({"type": "object",
    "required": ["warmed", "dry_run", "missing"],
    "properties": {"warmed": {"type": "integer", "minimum": 0},
                   "dry_run": {"type": "boolean"},
                   "missing": {"type": "array", "items": {"type": "string"}}}})";
inline constexpr std::string_view kStatsSchema = R"({"type": "object",
    "required": ["l1", "l2", "fills", "sessions", "limits"],
    "properties": {
        "l1": {"type": "object", "required": ["hits", "stale_hits", "misses", "entries", "bytes",
                                              "capacity", "evictions"]},
        "l2": {"type": "object", "required": ["configured", "state", "reason", "since", "hits",
                                              "stale_hits", "misses", "errors", "returns"],
               "properties": {"state": {"enum": ["none", "ok", "away"]}}},
        "fills": {"type": "object", "required": ["waiting", "stale_fills"]},
        "sessions": {"type": "object"}, "limits": {"type": "object"}}})";

// ---- sessions

inline constexpr std::string_view kSessionParameter = "id: what POST /api/sessions gave";
inline constexpr std::string_view kSessionBody = R"({"type": "object", "required": ["user_id"],
    "properties": {
        "user_id": {"type": "string", "minLength": 1, "maxLength": 256},
        "data": {"type": "object"},
        "ttl": {"type": "number", "exclusiveMinimum": 0,
                "description": "Seconds after the last read; cache.session_ttl if absent."}}})";
inline constexpr std::string_view kSessionPatch = R"({"type": "object",
    "properties": {
        "data": {"type": "object", "description": "A merge patch (RFC 7396)."},
        "ttl": {"type": "number", "exclusiveMinimum": 0}}})";
inline constexpr std::string_view kSessionSchema = R"({"type": "object",
    "required": ["session_id", "user_id", "created_at", "last_activity", "expires_at",
                 "ip_address", "data"],
    "properties": {
        "session_id": {"type": "string"}, "user_id": {"type": "string"},
        "created_at": {"type": "string", "format": "date-time"},
        "last_activity": {"type": "string", "format": "date-time"},
        "expires_at": {"type": "string", "format": "date-time"},
        "ip_address": {"type": "string"}, "data": {"type": "object"}}})";
inline constexpr std::string_view kSessionListSchema =
    R"({"allOf": [{"$ref": "#/components/schemas/List"},
        {"properties": {"items": {"items": {"type": "object",
            "required": ["user_id", "created_at", "last_activity", "expires_at", "ip_address"]}}}}]})";
inline constexpr std::string_view kSessionProblems =
    "404 session-not-found: there is no such session, or it has ended";
inline constexpr std::string_view kSessionPatchProblems =
    "404 session-not-found; 413 session-too-large: its data would be longer than `limit` bytes;"
    "409 session-busy: others change it all the time";
inline constexpr std::string_view kSessionCreateProblems =
    "413 session-too-large; 503 sessions-full: sessions take as much memory as "
    "cache.session_memory allows";

// ---- limits

inline constexpr std::string_view kLimitBody = R"({"type": "object",
    "required": ["key", "limit", "window"],
    "properties": {
        "key": {"type": "string", "minLength": 1, "maxLength": 256},
        "limit": {"type": "integer", "minimum": 1, "maximum": 1000000},
        "window": {"type": "number", "minimum": 0.1, "maximum": 31622400,
                   "description": "Seconds in which the whole limit refills."},
        "cost": {"type": "integer", "minimum": 0, "default": 1}}})";
inline constexpr std::string_view kLimitSchema = R"({"type": "object",
    "required": ["allowed", "remaining", "reset"],
    "properties": {
        "allowed": {"type": "boolean"}, "remaining": {"type": "integer", "minimum": 0},
        "reset": {"type": "number", "description": "Seconds until the whole limit is there again."}}})";
inline constexpr std::string_view kLimitHeaders =
    "RateLimit: what is left and when it is whole again; RateLimit-Policy: the limit and its "
    "window";
inline constexpr std::string_view kLimitProblems =
    "400 invalid-name: the name is not 1-64 of letters, digits, '.', '_' and '-';"
    "429 rate-limited: the limit is spent, try again after `Retry-After` seconds";

// ---- leaderboards and lists

inline constexpr std::string_view kBoardBody = R"({"type": "object", "required": ["member"],
    "properties": {
        "member": {"type": "string", "minLength": 1, "maxLength": 256},
        "by": {"type": "number"}, "score": {"type": "number"}}})";
inline constexpr std::string_view kMemberSchema = R"({"type": "object",
    "required": ["member", "score", "rank"],
    "properties": {"member": {"type": "string"}, "score": {"type": "number"},
                   "rank": {"type": "integer", "minimum": 1}}})";
inline constexpr std::string_view kBoardSchema =
    R"({"allOf": [{"$ref": "#/components/schemas/List"},
        {"properties": {"items": {"items": {"type": "object",
            "required": ["member", "score", "rank"]}}}}]})";
inline constexpr std::string_view kBoardProblems =
    "400 invalid-name: the name is not 1-64 of letters, digits, '.', '_' and '-';"
    "404 member-not-found: the board has no such member";
inline constexpr std::string_view kScoreProblems =
    "400 invalid-name; 409 not-a-number: the score would be beyond double precision;"
    "507 board-full: the board, or the number of boards, is as large as may be";
inline constexpr std::string_view kListParameters =
    "name: 1-64 of letters, digits, '.', '_' and '-';"
    "keep integer: how many of the newest are kept, 1-1000, 100 if absent";
inline constexpr std::string_view kPushBody = R"({"type": "object", "required": ["value"],
    "properties": {"value": {}}})";
inline constexpr std::string_view kPushedSchema = R"({"type": "object", "required": ["length"],
    "properties": {"length": {"type": "integer", "minimum": 1}}})";
inline constexpr std::string_view kValuesSchema = R"({"$ref": "#/components/schemas/List"})";
inline constexpr std::string_view kListProblems = "400 invalid-name";
inline constexpr std::string_view kPushProblems =
    "400 invalid-name; 413 value-too-large: the value is longer than `limit` bytes;"
    "507 list-full: there are as many lists as may be";

}  // namespace larder::cache
