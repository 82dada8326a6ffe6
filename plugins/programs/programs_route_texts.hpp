// What the routes of programs say of themselves: parameters, problem codes, and what they answer as
// JSON Schema. Told by GET /openapi.json; no request is judged by it.
#pragma once

#include <string_view>

namespace larder::programs {

inline constexpr std::string_view kIdParameter = "id: of the program";
inline constexpr std::string_view kExecutionParameter = "eid: of the execution";
inline constexpr std::string_view kExecuteParameters =
    "id: of the program; Prefer: respond-async to be answered at once;"
    "Idempotency-Key: for 24 hours, one run is begun however often the request is sent";

// ---- problems. A meaning stands with one route; the table of codes takes it from there.

inline constexpr std::string_view kProgramProblems =
    "404 program-not-found: there is no such program";
inline constexpr std::string_view kPatchProblems = "403 forbidden; 404 program-not-found";
inline constexpr std::string_view kFileProblems = "404 program-not-found; 404 file-not-found";
inline constexpr std::string_view kUploadProblems =
    "400 invalid-multipart; 400 no-file;"
    "400 several-files: the form has more than one part named file;"
    "413 file-too-large; 415 unsupported-program: the file is no .py, .sh, .js or .zip;"
    "422 invalid-archive: the ZIP archive is not taken, `reason` says why; 422 invalid-field;"
    "507 quota-exceeded";
inline constexpr std::string_view kExecuteProblems =
    "404 program-not-found; 404 execution-not-found: there is no such execution;"
    "409 no-main-file: nothing in the project can be run;"
    "422 idempotency-mismatch: the key was sent with another body before;"
    "429 queue-full: `limit` runs wait already;"
    "503 sandbox-unavailable: the sandbox that programs run in cannot be had, `reason` says why;"
    "503 interpreter-missing: what runs programs of this language is not installed;"
    "503 restoring";
inline constexpr std::string_view kExecutionProblems = "404 execution-not-found";
inline constexpr std::string_view kCancelProblems =
    "404 execution-not-found; 409 execution-ended: the run has ended already";
inline constexpr std::string_view kScheduleProblems =
    "404 program-not-found; 404 no-schedule: the program has no schedule";
inline constexpr std::string_view kPutScheduleProblems =
    "404 program-not-found; 409 no-main-file; 422 invalid-schedule";

// ---- JSON Schemas

inline constexpr std::string_view kProgramSchema = R"({"type": "object",
    "required": ["program_id", "type", "filename", "original_name", "language", "main_file", "size",
                 "upload_time", "storage_path", "execution_count", "last_executed", "success_count",
                 "error_count", "avg_execution_time", "total_execution_time", "network"],
    "properties": {
        "program_id": {"type": "string"}, "project_id": {"type": "string"},
        "type": {"enum": ["single", "project"]},
        "filename": {"type": "string"}, "original_name": {"type": "string"},
        "language": {"enum": ["python", "bash", "javascript", null]},
        "main_file": {"type": ["string", "null"]}, "main_file_reason": {"type": "string"},
        "main_file_candidates": {"type": "array", "items": {"type": "string"}},
        "file_count": {"type": "integer"},
        "files": {"type": "array", "items": {"type": "string"}},
        "size": {"type": "integer"}, "upload_time": {"type": "string", "format": "date-time"},
        "storage_path": {"type": "string"}, "execution_count": {"type": "integer"},
        "last_executed": {"type": ["string", "null"], "format": "date-time"},
        "success_count": {"type": "integer"}, "error_count": {"type": "integer"},
        "avg_execution_time": {"type": "number"}, "total_execution_time": {"type": "number"},
        "network": {"type": "boolean"}, "schedule": {"type": "object"}}})";
inline constexpr std::string_view kProgramsSchema =
    R"({"allOf": [{"$ref": "#/components/schemas/List"},
        {"properties": {"items": {"items": {"type": "object",
            "required": ["program_id", "type", "filename", "size", "execution_count"]}}}}]})";
inline constexpr std::string_view kFilesSchema =
    R"({"allOf": [{"$ref": "#/components/schemas/List"},
        {"properties": {"items": {"items": {"type": "object",
            "required": ["path", "type", "size", "modified_at"]}}}}]})";
inline constexpr std::string_view kStorageSchema = R"({"type": "object",
    "required": ["total_programs", "total_projects", "total_size", "quota", "available"],
    "properties": {"total_programs": {"type": "integer"}, "total_projects": {"type": "integer"},
        "total_size": {"type": "integer"}, "quota": {"type": "integer"},
        "available": {"type": "integer"}}})";
inline constexpr std::string_view kLanguagesSchema = R"({"type": "object",
    "required": ["languages", "isolation"],
    "properties": {
        "languages": {"type": "array", "items": {"type": "object",
            "required": ["language", "interpreter", "path", "available", "version"]}},
        "isolation": {"type": "object", "required": ["tier", "reason", "memory_enforced"],
            "properties": {"tier": {"enum": ["full", "reduced", "none", "unavailable"]},
                "reason": {"type": ["string", "null"]}}}}})";
inline constexpr std::string_view kPatchSchema = R"({"type": "object", "properties": {
    "original_name": {"type": "string"}, "filename": {"type": "string"},
    "main_file": {"type": "string"}, "network": {"type": "boolean"}}})";
inline constexpr std::string_view kExecuteSchema = R"({"type": "object", "properties": {
    "args": {"type": ["array", "string"], "items": {"type": "string"}},
    "stdin": {"type": "string"},
    "env": {"type": "object", "additionalProperties": {"type": "string"}},
    "timeout": {"type": "number"}}})";
inline constexpr std::string_view kExecutionSchema = R"({"type": "object",
    "required": ["execution_id", "program_id", "state", "stdout_bytes", "stderr_bytes", "truncated",
                 "return_code", "signal", "timed_out", "limit_hit", "execution_time", "cpu_time",
                 "max_rss"],
    "properties": {
        "execution_id": {"type": "integer"}, "program_id": {"type": "string"},
        "state": {"enum": ["queued", "running", "succeeded", "failed", "timed_out", "cancelled",
                           "lost"]},
        "stdout": {"type": "string"}, "stderr": {"type": "string"},
        "stdout_bytes": {"type": "integer"}, "stderr_bytes": {"type": "integer"},
        "truncated": {"type": "boolean"}, "return_code": {"type": ["integer", "null"]},
        "signal": {"type": ["string", "null"]}, "timed_out": {"type": "boolean"},
        "limit_hit": {"enum": ["wall", "cpu", "memory", "pids", "output", "disk", null]},
        "execution_time": {"type": "number"}, "cpu_time": {"type": "number"},
        "max_rss": {"type": "integer"}, "success": {"type": ["boolean", "null"]},
        "isolation": {"type": ["string", "null"]}, "memory_enforced": {"type": "boolean"}}})";
inline constexpr std::string_view kExecutionsSchema =
    R"({"allOf": [{"$ref": "#/components/schemas/List"},
        {"properties": {"items": {"items": {"type": "object",
            "required": ["execution_id", "state", "return_code", "execution_time"]}}}}]})";
inline constexpr std::string_view kStatsSchema = R"({"type": "object",
    "required": ["program_id", "total_runs", "success_count", "error_count", "avg_time", "max_time",
                 "p50", "p95"],
    "properties": {"program_id": {"type": "string"}, "total_runs": {"type": "integer"},
        "success_count": {"type": "integer"}, "error_count": {"type": "integer"},
        "avg_time": {"type": "number"}, "max_time": {"type": "number"},
        "p50": {"type": "number"}, "p95": {"type": "number"}, "running": {"type": "integer"}}})";
inline constexpr std::string_view kScheduleSchema = R"({"type": "object", "properties": {
    "cron": {"type": "string"}, "every": {"type": "integer"},
    "args": {"type": ["array", "string"], "items": {"type": "string"}},
    "catch_up": {"enum": ["none", "one", "all"]}, "on_busy": {"enum": ["skip", "queue"]}}})";

}  // namespace larder::programs
