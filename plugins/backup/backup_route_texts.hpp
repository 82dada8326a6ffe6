// What the routes of backups say of themselves: parameters, problem codes, and what they answer as
// JSON Schema. Told by GET /openapi.json; no request is judged by it.
#pragma once

#include <string_view>

namespace larder::backup {

inline constexpr std::string_view kIdParameter = "id: of the backup, or latest";
inline constexpr std::string_view kWaitParameters =
    "Prefer: wait=60 answers when it is over, at most so many seconds later";
inline constexpr std::string_view kIdWaitParameters =
    "id: of the backup, or latest;"
    "Prefer: wait=60 answers when it is over, at most so many seconds later";
inline constexpr std::string_view kVerifyParameters =
    "id: of the backup, or latest; Prefer: respond-async answers at once, wait=60 at most so late";
inline constexpr std::string_view kArchiveParameters =
    "id: of the backup, or latest; Range: one range of bytes;"
    "If-Range: the ETag or Last-Modified that it is of";
inline constexpr std::string_view kArchiveHeaders =
    "ETag: the archive's SHA-256 in quotes; Last-Modified: when the backup was made;"
    "Content-Disposition: the archive's name; Accept-Ranges: bytes;"
    "Content-Range: which part of the archive this is";
inline constexpr std::string_view kLocation = "Location: the backup, or its progress";

inline constexpr std::string_view kIdProblems = "404 backup-not-found: there is no such backup";
inline constexpr std::string_view kReadProblems =
    "404 backup-not-found; 404 archive-missing: the backup's archive is not there;"
    "500 damaged: the archive is not what was written; 500 storage-failed";
inline constexpr std::string_view kArchiveProblems =
    "404 backup-not-found; 404 archive-missing; 412 precondition-failed; 500 storage-failed;"
    "416 range-not-satisfiable: the range that was asked for lies outside of the archive";
inline constexpr std::string_view kCreateProblems =
    "404 archive-missing; 409 no-parent: there is nothing that an incremental backup could be "
    "based on;"
    "409 no-key: backup.key_file names no file with a key;"
    "409 missing-parent: what the backup is based on is not there;"
    "409 not-whole: the backup did not pass its verification, `faults` tells where;"
    "500 damaged; 500 storage-failed; 500 internal;"
    "503 not-held: a plugin did not come to rest; 503 cancelled: the plugin was stopped meanwhile;"
    "503 read-only; 503 overloaded; 507 disk-full";
inline constexpr std::string_view kVerifyProblems =
    "404 backup-not-found; 409 no-key; 500 storage-failed; 503 cancelled; 503 read-only;"
    "503 overloaded; 507 disk-full";
inline constexpr std::string_view kRestoreProblems =
    "404 backup-not-found; 409 no-key; 409 not-whole; 409 swap-running: another restore is not "
    "over;"
    "409 plugin-disabled: a plugin whose data would be restored is turned off;"
    "409 plugin-stuck: a plugin does not stop;"
    "409 restore-failed: a plugin refused what was restored, the old state is in place;"
    "422 invalid-plan: no plugin owns the data; 500 storage-failed; 500 internal;"
    "503 not-held; 503 cancelled; 503 stopping: the daemon is being stopped; 503 overloaded;"
    "507 disk-full";
inline constexpr std::string_view kDeleteProblems =
    "404 backup-not-found; 409 has-dependents: another backup is based on it;"
    "409 last-verified: no other backup is known to be whole;"
    "409 in-use: it is being made, verified or restored; 500 storage-failed; 503 read-only";
inline constexpr std::string_view kImportProblems =
    "409 exists: the archive is listed already; 409 no-key;"
    "413 archive-too-large: the archive has more than `limit` bytes;"
    "422 invalid-archive: the archive cannot be restored, `reason` and `faults` tell why;"
    "500 storage-failed; 503 cancelled; 503 read-only; 507 disk-full";
inline constexpr std::string_view kProgressProblems =
    "404 backup-not-found; 503 too-many-watchers: there are `limit` watchers already";

// ---- schemas

inline constexpr std::string_view kRecordSchema = R"({"type": "object",
    "required": ["backup_id", "state"],
    "properties": {
        "backup_id": {"type": "string"}, "created_at": {"type": "string", "format": "date-time"},
        "type": {"enum": ["full", "incremental"]}, "file_path": {"type": "string"},
        "size": {"type": "integer"}, "checksum": {"type": "string"},
        "archive_sha256": {"type": "string"}, "parent": {"type": ["string", "null"]},
        "partial": {"type": "boolean"},
        "components": {"type": "array", "items": {"type": "string"}},
        "total_size": {"type": "integer"}, "total_files": {"type": "integer"},
        "compression_ratio": {"type": "number"}, "duration": {"type": "number"},
        "pause": {"type": "number"},
        "state": {"enum": ["queued", "running", "failed", "complete", "damaged", "done"]},
        "verified_at": {"type": ["string", "null"], "format": "date-time"},
        "integrity_verified": {"type": "boolean"}, "encrypted": {"type": "boolean"},
        "note": {"type": "string"},
        "files": {"type": ["array", "integer"]},
        "deleted": {"type": "array", "items": {"type": "string"}}}})";
inline constexpr std::string_view kListSchema =
    R"({"allOf": [{"$ref": "#/components/schemas/List"},
        {"properties": {"items": {"items": {"type": "object",
            "required": ["backup_id", "created_at", "type", "file_path", "size", "checksum"]}}}}]})";
inline constexpr std::string_view kCreateSchema = R"({"type": "object", "properties": {
    "type": {"enum": ["full", "incremental"]},
    "components": {"type": "array", "items": {"type": "string"}},
    "encrypt": {"type": "boolean"}, "note": {"type": "string", "maxLength": 4096}}})";
inline constexpr std::string_view kVerifiedSchema = R"({"type": "object",
    "properties": {"ok": {"type": "boolean"}, "faults": {"type": "array", "items": {
        "type": "object", "required": ["path", "kind"], "properties": {
            "path": {"type": "string"}, "kind": {"enum": ["archive-hash", "archive-missing",
                "unreadable", "wrong-key", "damaged", "manifest-missing", "manifest",
                "missing-parent", "hostile-path", "not-a-file", "duplicate", "file-missing",
                "file-hash", "file-unlisted", "invalid-json", "sqlite"]}}}}}})";
inline constexpr std::string_view kAskRestoreSchema = R"({"type": "object", "properties": {
    "components": {"type": "array", "items": {"type": "string"}},
    "dry_run": {"type": "boolean"}}})";
inline constexpr std::string_view kRestoredSchema = R"({"type": "object",
    "required": ["backup_id"], "properties": {
        "backup_id": {"type": "string"}, "dry_run": {"type": "boolean"},
        "components": {"type": "array"}, "kept": {"type": "array"},
        "changes": {"type": "array", "items": {"type": "object",
            "required": ["path", "change", "size"],
            "properties": {"change": {"enum": ["add", "replace", "remove"]}}}}}})";
inline constexpr std::string_view kAskCleanupSchema = R"({"type": "object", "properties": {
    "keep_count": {"type": "integer"}, "keep_daily": {"type": "integer"},
    "keep_weekly": {"type": "integer"}, "keep_monthly": {"type": "integer"},
    "dry_run": {"type": "boolean"}}})";
inline constexpr std::string_view kCleanupSchema =
    R"({"allOf": [{"$ref": "#/components/schemas/List"},
        {"required": ["removed", "freed", "dry_run"],
         "properties": {"removed": {"type": "integer"}, "freed": {"type": "integer"},
            "dry_run": {"type": "boolean"},
            "items": {"items": {"type": "object", "required": ["backup_id", "action", "reason"],
                "properties": {"action": {"enum": ["keep", "remove"]}}}}}}]})";

}  // namespace larder::backup
