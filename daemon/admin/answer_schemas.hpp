// What the daemon's own routes answer, as JSON Schema, for GET /openapi.json. The tests hold every
// answer against it; the routes themselves never read it.
#pragma once

#include <string_view>

namespace larder::admin {

inline constexpr std::string_view kHealthSchema = R"({"type": "object", "required": ["status"],
    "properties": {"status": {"const": "ok"}}})";

inline constexpr std::string_view kReadySchema = R"({"type": "object",
    "required": ["status", "items"],
    "properties": {
        "status": {"enum": ["ready", "not-ready"]},
        "items": {"type": "array", "items": {"type": "object",
            "required": ["name", "kind", "state", "since"],
            "properties": {
                "name": {"type": "string"}, "kind": {"type": "string"},
                "state": {"enum": ["ok", "degraded", "failed", "disabled", "read-only"]},
                "since": {"type": "string", "format": "date-time"},
                "reason": {"type": "string"}}}}}})";

inline constexpr std::string_view kStatusSchema = R"({"type": "object",
    "required": ["version", "api_version", "pid", "started_at", "uptime", "listeners",
                 "data_directory", "connections", "memory", "plugins"],
    "properties": {
        "version": {"type": "string"}, "api_version": {"type": "string"},
        "pid": {"type": "integer"}, "started_at": {"type": "string", "format": "date-time"},
        "uptime": {"type": "number"},
        "listeners": {"type": "array", "items": {"type": "string"}},
        "data_directory": {"type": "string"},
        "connections": {"type": "object", "required": ["open", "total", "refused"]},
        "requests_total": {"type": "integer"},
        "memory": {"type": "object", "required": ["resident", "anonymous"]},
        "workers": {"type": "object", "required": ["running", "queued"]},
        "plugins": {"type": "array", "items": {"type": "object",
            "required": ["name", "version", "state"]}}}})";

inline constexpr std::string_view kPluginSchema = R"({"type": "object",
    "required": ["name", "version", "api_version", "summary", "file", "data", "state", "reason",
                 "since", "stuck", "enabled", "choice", "routes", "settings"],
    "properties": {
        "name": {"type": "string"}, "version": {"type": ["string", "null"]},
        "api_version": {"type": "string"}, "summary": {"type": "string"},
        "file": {"type": "string"},
        "data": {"type": "array", "items": {"type": "string"},
                 "description": "What is its own in the data directory."},
        "state": {"enum": ["refused", "stopped", "starting", "running", "degraded", "read-only",
                           "draining", "failed", "disabled"]},
        "reason": {"type": "string"}, "since": {"type": "string", "format": "date-time"},
        "stuck": {"type": "boolean"}, "enabled": {"type": "boolean"},
        "choice": {"type": "object", "required": ["configured", "origin", "chosen"]},
        "routes": {"type": "array", "items": {"type": "object",
            "required": ["method", "path", "permission", "summary"]}},
        "settings": {"type": "array", "items": {"type": "object",
            "required": ["key", "value", "origin", "default", "type", "live", "secret", "says"]}}}})";

inline constexpr std::string_view kPluginListSchema =
    R"({"allOf": [{"$ref": "#/components/schemas/List"},
        {"properties": {"items": {"items": {"type": "object",
            "required": ["name", "version", "api_version", "summary", "file", "data", "state",
                         "reason", "since", "stuck", "enabled", "choice", "routes", "settings"]}}}}]})";

inline constexpr std::string_view kPluginParameters = "name: the plugin's id, as in its .ini";
inline constexpr std::string_view kPluginProblems =
    "404 plugin-not-found: no file in the plugin folders is a plugin of this name";

inline constexpr std::string_view kActionProblems =
    "404 plugin-not-found; 409 plugin-refused: its file or its claims were not taken;"
    "409 plugin-stuck: a call into it never returned, it is out until the daemon is restarted;"
    "409 plugin-failed: it did not come to run; 409 plugin-disabled: it is off;"
    "409 plugin-in-use: another plugin holds what it offers;"
    "409 busy: another reload is under way;"
    "422 invalid-configuration: the configuration is mistaken, see `file`, `line` and `key`;"
    "422 settings-refused: the plugin refuses its settings as a whole;"
    "500 storage-failed; 503 audit-refused; 503 stopping: the daemon is being stopped; 507 "
    "disk-full";

inline constexpr std::string_view kLimitsSchema = R"({"type": "object",
    "required": ["header_section", "target", "body", "head_timeout", "body_timeout",
                 "idle_timeout", "max_connections", "worker_threads", "worker_queue",
                 "list_limit", "list_limit_default", "json_depth", "routes", "plugins"],
    "properties": {
        "routes": {"type": "array", "items": {"type": "object",
            "required": ["method", "path", "body"]}},
        "plugins": {"type": "object"}}})";

inline constexpr std::string_view kConfigSchema =
    R"({"allOf": [{"$ref": "#/components/schemas/List"},
        {"properties": {"items": {"items": {"type": "object",
            "required": ["key", "value", "origin", "default", "type", "live", "secret", "says"],
            "properties": {
                "key": {"type": "string"}, "value": {"type": "string"},
                "origin": {"type": "object", "required": ["kind"]}}}}}}]})";

inline constexpr std::string_view kReloadSchema = R"({"type": "object",
    "required": ["applied", "needs_restart"],
    "properties": {
        "applied": {"type": "array", "items": {"type": "object",
            "required": ["key", "before", "after"]}},
        "needs_restart": {"type": "array", "items": {"type": "object",
            "required": ["key", "before", "after"]}}}})";

inline constexpr std::string_view kReloadProblems =
    "422 invalid-configuration: the configuration is mistaken and nothing has changed, see `file`, "
    "`line` and `key`;"
    "409 busy: another reload is under way;"
    "409 plugin-stuck;"
    "422 settings-refused: a plugin refuses its settings as a whole;"
    "503 audit-refused; 503 stopping: the daemon is being stopped";

inline constexpr std::string_view kUsageSchema = R"({"type": "object",
    "required": ["total", "file_system"],
    "properties": {"total": {"type": "integer"},
        "file_system": {"type": "object", "required": ["size", "free", "available"]}},
    "additionalProperties": {"type": "object"}})";

inline constexpr std::string_view kCleanupSchema = R"({"type": "object",
    "properties": {
        "older_than_days": {"type": "number", "minimum": 0,
            "description": "Files that were uploaded longer ago; absent: none."},
        "only_never_downloaded": {"type": "boolean", "default": true,
            "description": "Of these only such as nobody ever fetched."},
        "metrics_older_than_days": {"type": "number", "minimum": 0},
        "keep_backups": {"type": "integer", "minimum": 1,
            "description": "The latest so many stay, and always the newest that was verified."},
        "dry_run": {"type": "boolean", "default": false}},
    "additionalProperties": false})";
inline constexpr std::string_view kCleanedSchema = R"({"type": "object",
    "required": ["dry_run", "removed", "count", "bytes_freed"],
    "properties": {"dry_run": {"type": "boolean"}, "count": {"type": "integer"},
        "bytes_freed": {"type": "integer"},
        "removed": {"type": "array", "description": "The first thousand; `count` counts all.",
            "items": {"type": "object", "required": ["kind", "name", "size"]}},
        "failed": {"type": "array", "description": "Plugins that could not go on, and why.",
            "items": {"type": "object", "required": ["plugin", "code", "detail"]}}}})";
inline constexpr std::string_view kCleanupProblems =
    "409 busy: another cleanup is under way; "
    "503 audit-refused: the action could not be recorded, so it was not done";

// ---- jobs and alerts

inline constexpr std::string_view kJobListSchema =
    R"({"allOf": [{"$ref": "#/components/schemas/List"},
        {"properties": {"items": {"items": {"type": "object",
            "required": ["name", "plugin", "schedule", "running", "last_run", "outcome",
                         "duration", "next_run"]}}}}]})";
inline constexpr std::string_view kJobSchema = R"({"type": "object",
    "required": ["name", "plugin", "schedule", "running", "last_run", "outcome", "duration",
                 "next_run", "history"],
    "properties": {
        "name": {"type": "string"}, "schedule": {"type": "string"},
        "running": {"type": "boolean"}, "last_run": {"type": ["string", "null"]},
        "outcome": {"type": ["string", "null"]}, "duration": {"type": ["number", "null"]},
        "next_run": {"type": ["string", "null"]},
        "history": {"type": "array", "items": {"type": "object",
            "required": ["due", "started_at", "duration", "outcome", "trigger", "error"]}}}})";
inline constexpr std::string_view kJobAcceptedSchema = R"({"type": "object",
    "required": ["name", "accepted"],
    "properties": {"name": {"type": "string"}, "accepted": {"const": true}}})";
inline constexpr std::string_view kAlertListSchema =
    R"({"allOf": [{"$ref": "#/components/schemas/List"},
        {"properties": {"items": {"items": {"type": "object",
            "required": ["id", "key", "severity", "source", "text", "state", "raised_at",
                         "latest_at", "resolved_at", "count"],
            "properties": {"state": {"enum": ["raised", "resolved"]}}}}}}]})";
inline constexpr std::string_view kJobProblems = "404 job-not-found: no job has this name";
inline constexpr std::string_view kJobRunProblems =
    "404 job-not-found; 409 job-running: it runs already; "
    "503 audit-refused: the action could not be recorded, so it was not done";

}  // namespace larder::admin
