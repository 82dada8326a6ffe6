// What the plugin's routes say of themselves: parameters, problem codes, and what they answer as
// JSON Schema. Told by GET /openapi.json; no request is judged by it.
#pragma once

#include <string_view>

namespace larder::metrics {

// ---- parameters

inline constexpr std::string_view kHttpParameters =
    "endpoint: a route's template as /api/kv/{bucket}/{key}, absent: a list of all;"
    "method: GET, PUT and so on, absent means all;"
    "hours number: how far back, 24 if absent";
inline constexpr std::string_view kSeriesParameters =
    "endpoint: a route's template as /api/kv/{bucket}/{key}, absent means all;"
    "method: GET, PUT and so on, absent means all;"
    "hours number: how far back, 24 if absent;"
    "step number: seconds between points, absent: about 200 points";
inline constexpr std::string_view kPerformanceParameters =
    "name: the metric's, absent: a list of all names;"
    "tag.*: only records whose tag of this name has this value, as tag.host=a;"
    "hours number: how far back, 24 if absent;"
    "step number: seconds between points, absent: about 200 points;"
    "agg: avg, sum, min, max, count or p95, avg if absent";
inline constexpr std::string_view kSystemParameters =
    "hours number: how far back, 24 if absent;"
    "step number: seconds between points, absent: about 200 points";
inline constexpr std::string_view kErrorParameters =
    "category: only errors of it; severity: only errors of it;"
    "resolved boolean: only those that are, or are not";
inline constexpr std::string_view kAuditParameters =
    "actor: only what this one did; action: only this;"
    "since: only records from this time on (RFC 3339), or behind this number";

// ---- problems

inline constexpr std::string_view kReadProblems =
    "500 database-damaged: the database is damaged, restore a backup;"
    "500 storage-failed; 507 disk-full;"
    "503 database-busy: another program has locked the database;"
    "503 database-unavailable: the database's file cannot be used";
inline constexpr std::string_view kWriteProblems =
    "500 database-damaged; 503 database-busy; 503 database-unavailable;"
    "503 audit-refused: the change cannot be recorded in the audit, so it was not made";
inline constexpr std::string_view kOptimizeProblems =
    "400 invalid-json; 422 invalid-field;"
    "500 database-damaged; 503 database-busy; 503 database-unavailable;"
    "503 audit-refused: the change cannot be recorded in the audit, so it was not made";
inline constexpr std::string_view kErrorReadProblems =
    "404 error-not-found: there is no such error;"
    "500 database-damaged; 500 storage-failed; 503 database-busy; 503 database-unavailable;"
    "507 disk-full";
inline constexpr std::string_view kResolveProblems =
    "404 error-not-found;"
    "500 database-damaged; 503 database-busy; 503 database-unavailable; 503 audit-refused";

// ---- shapes

inline constexpr std::string_view kHttpSchema = R"({"type": "object",
    "properties": {
        "endpoint": {"type": "string"}, "method": {"type": ["string", "null"]},
        "hours": {"type": "number"},
        "request_count": {"type": "integer"}, "avg_duration": {"type": ["number", "null"]},
        "min_duration": {"type": ["number", "null"]}, "max_duration": {"type": ["number", "null"]},
        "error_count": {"type": "integer"}, "p50": {"type": ["number", "null"]},
        "p95": {"type": ["number", "null"]}, "p99": {"type": ["number", "null"]},
        "bytes_in": {"type": "integer"}, "bytes_out": {"type": "integer"},
        "items": {"type": "array", "items": {"type": "object",
            "required": ["endpoint", "request_count", "avg_duration", "min_duration",
                "max_duration", "error_count", "p50", "p95", "p99", "bytes_in", "bytes_out"]}},
        "next": {"type": ["string", "null"]}}})";
inline constexpr std::string_view kPointsSchema = R"({"type": "object", "required": ["points"],
    "properties": {"step": {"type": "integer"},
        "points": {"type": "array", "items": {"type": "object", "required": ["time"],
            "properties": {"time": {"type": "string", "format": "date-time"}}}}}})";
inline constexpr std::string_view kPerformanceSchema = R"({"type": "object",
    "properties": {"step": {"type": "integer"},
        "points": {"type": "array", "items": {"type": "object", "required": ["time", "value"],
            "properties": {"time": {"type": "string", "format": "date-time"},
                           "value": {"type": "number"}}}},
        "items": {"type": "array", "items": {"type": "object", "required": ["name"]}},
        "next": {"type": ["string", "null"]}}})";
inline constexpr std::string_view kRecordsSchema = R"({"type": ["object", "array"],
    "required": ["metric_name", "metric_value"], "additionalProperties": false,
    "properties": {
        "metric_name": {"type": "string"}, "metric_value": {"type": "number"},
        "metric_unit": {"type": ["string", "null"]},
        "tags": {"type": ["object", "null"],
            "additionalProperties": {"type": ["string", "number", "boolean", "null"]}},
        "timestamp": {"type": ["string", "null"]}},
    "items": {"type": "object", "required": ["metric_name", "metric_value"]}})";
inline constexpr std::string_view kAcceptedSchema = R"({"type": "object",
    "required": ["accepted"], "properties": {"accepted": {"type": "integer"}}})";
inline constexpr std::string_view kDashboardSchema = R"({"type": "object",
    "required": ["total_programs", "total_files", "storage_used", "requests", "errors", "system"],
    "properties": {
        "total_programs": {"type": "integer"}, "total_files": {"type": "integer"},
        "storage_used": {"type": "object"}, "requests": {"type": "object"},
        "errors": {"type": "object"}, "system": {"type": ["object", "null"]}}})";
// Nothing at all is as good as {}.
inline constexpr std::string_view kOptimizeSchema = R"({"type": "object",
    "additionalProperties": false,
    "properties": {"dry_run": {"type": "boolean",
        "description": "only tell what is there to be given back"}}})";
inline constexpr std::string_view kOptimizedSchema = R"({"type": "object",
    "required": ["dry_run", "databases"],
    "properties": {"dry_run": {"type": "boolean"}, "databases": {"type": "array", "items": {"type": "object",
        "required": ["name", "bytes_before", "bytes_after"]}}}})";
inline constexpr std::string_view kCleanedSchema = R"({"type": "object", "required": ["removed"],
    "properties": {"removed": {"type": "object",
        "additionalProperties": {"type": "integer"}}}})";

inline constexpr std::string_view kNewErrorSchema = R"({"type": "object", "required": ["message"],
    "additionalProperties": false,
    "properties": {
        "message": {"type": "string"}, "category": {"type": ["string", "null"]},
        "severity": {"type": ["string", "null"]}, "stack_trace": {"type": ["string", "null"]},
        "endpoint": {"type": ["string", "null"]}, "method": {"type": ["string", "null"]},
        "request_data": {}, "user_id": {"type": ["string", "null"]}, "context": {}}})";
inline constexpr std::string_view kErrorSchema = R"({"type": "object",
    "required": ["error_id", "timestamp", "last_seen", "category", "severity", "message",
        "resolved", "resolved_at", "occurrences", "grouping"],
    "properties": {
        "error_id": {"type": "string"}, "timestamp": {"type": "string", "format": "date-time"},
        "resolved": {"type": "boolean"}, "occurrences": {"type": "integer"},
        "grouping": {"type": ["object", "null"]}}})";
inline constexpr std::string_view kListSchema = R"({"$ref": "#/components/schemas/List"})";
inline constexpr std::string_view kAuditSchema =
    R"({"allOf": [{"$ref": "#/components/schemas/List"},
        {"properties": {"items": {"items": {"type": "object",
            "required": ["seq", "time", "actor", "action", "target", "ip_address", "request_id",
                "outcome", "details"],
            "properties": {"seq": {"type": "integer"}, "actor": {"type": "string"},
                "action": {"type": "string"}, "outcome": {"type": "string"}}}}}}]})";
inline constexpr std::string_view kVerdictSchema = R"({"type": "object",
    "required": ["ok", "checked", "faults"],
    "properties": {"ok": {"type": "boolean"}, "checked": {"type": "integer"},
        "faults": {"type": "array", "items": {"type": "object", "required": ["kind", "seq"],
            "properties": {"kind": {"enum": ["edited", "inserted", "reordered", "truncated",
                "removed"]}, "seq": {"type": "integer"}}}}}})";

}  // namespace larder::metrics
