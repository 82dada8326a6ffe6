// What the routes of files say of themselves: parameters, headers, problem codes, and what they
// answer as JSON Schema. Told by GET /openapi.json; no request is judged by it.
#pragma once

#include <string_view>

namespace larder::files {

inline constexpr std::string_view kFileParameters = "filename: the stored name";
inline constexpr std::string_view kPutParameters =
    "filename: the original name, of which the stored one is made;"
    "Content-Digest: RFC 9530, of which sha-256 is checked;"
    "Repr-Digest: RFC 9530, of which sha-256 is checked";
inline constexpr std::string_view kDownloadParameters =
    "filename: the stored name;"
    "inline boolean: to be shown, in a sandbox, instead of saved;"
    "Range: up to 16 ranges of bytes; If-Range: the ETag or Last-Modified that they are of";
inline constexpr std::string_view kListParameters =
    "prefix: only files whose original name begins with it;"
    "mime: only files whose type begins with it;"
    "sort: name, the original one, or size, uploaded_at or downloads; order: asc or desc";

inline constexpr std::string_view kCreatedHeaders =
    "Location: where the file is; ETag: its SHA-256 in quotes";
inline constexpr std::string_view kDownloadHeaders =
    "ETag: the file's SHA-256 in quotes; Last-Modified: when it was stored;"
    "Repr-Digest: the file's SHA-256 (RFC 9530);"
    "Content-Disposition: the original name (RFC 6266);"
    "Accept-Ranges: bytes; Content-Range: which part of the file this is";

inline constexpr std::string_view kUploadParameters = "id: of the upload, from its Location";
inline constexpr std::string_view kTusCreateParameters =
    "Tus-Resumable: 1.0.0; Upload-Length integer: bytes of the whole file;"
    "Upload-Defer-Length: 1 where the length is told later;"
    "Upload-Metadata: keys with values in base64, filename names the file and filetype its type;"
    "Upload-Concat: partial, or final with the URLs of partial uploads;"
    "Upload-Checksum: algorithm and sum in base64 of this body";
inline constexpr std::string_view kTusPatchParameters =
    "id: of the upload, from its Location; Tus-Resumable: 1.0.0;"
    "Upload-Offset integer: where the upload stands; Upload-Length integer: where it was deferred;"
    "Upload-Checksum: algorithm and sum in base64 of this body";
inline constexpr std::string_view kTusPostParameters =
    "id: of the upload, from its Location; Tus-Resumable: 1.0.0;"
    "X-HTTP-Method-Override: PATCH or DELETE; Upload-Offset integer: where the upload stands";
inline constexpr std::string_view kTusHeader = "Tus-Resumable: 1.0.0";
inline constexpr std::string_view kTusOptionHeaders =
    "Tus-Resumable: 1.0.0; Tus-Version: 1.0.0; Tus-Extension: what is spoken besides the core;"
    "Tus-Max-Size integer: bytes of the largest file; Tus-Checksum-Algorithm: those that are known";
inline constexpr std::string_view kTusStateHeaders =
    "Tus-Resumable: 1.0.0; Upload-Offset integer: bytes that came so far;"
    "Upload-Length integer: bytes of the whole file; Upload-Defer-Length: 1 while it is not known;"
    "Upload-Metadata: as it was sent; Upload-Concat: as it was sent;"
    "Upload-Expires: until when it may be resumed; Content-Location: the file that it became;"
    "Cache-Control: no-store";
inline constexpr std::string_view kTusCreatedHeaders =
    "Tus-Resumable: 1.0.0; Location: the upload; Upload-Offset integer: bytes that came so far;"
    "Upload-Expires: until when it may be resumed; Content-Location: the file that it became";

// ---- problems. A meaning stands with one route; the table of codes takes it from there.

inline constexpr std::string_view kPutProblems =
    "400 digest-mismatch: the body does not have the SHA-256 that was announced;"
    "413 file-too-large: the file is longer than `limit` bytes;"
    "415 blocked-extension: files with this extension are not taken;"
    "507 quota-exceeded: the quota leaves room for `available` bytes";
inline constexpr std::string_view kPostProblems =
    "400 invalid-multipart: the body is no multipart/form-data, `reason` says why;"
    "400 no-file: the form has no part named file that has a filename;"
    "413 file-too-large; 415 blocked-extension; 507 quota-exceeded";
inline constexpr std::string_view kFileProblems = "404 file-not-found: there is no such file";
inline constexpr std::string_view kPatchProblems = "404 file-not-found; 415 blocked-extension";
inline constexpr std::string_view kDownloadProblems =
    "404 file-not-found; 412 precondition-failed; 500 storage-failed;"
    "416 range-not-satisfiable: no range that was asked for lies in the file;"
    "500 file-damaged: the file is not what was stored, `reason` says how that is known";

inline constexpr std::string_view kTusProblems =
    "404 upload-not-found: there is no such upload;"
    "410 upload-expired: the upload rested too long;"
    "412 tus-version: Tus-Resumable is not 1.0.0, Tus-Version tells what is spoken";
inline constexpr std::string_view kTusHeadProblems =
    "404 upload-not-found; 410 upload-expired; 412 tus-version; 500 storage-failed;"
    "503 read-only; 507 disk-full";
inline constexpr std::string_view kTusCreateProblems =
    "400 invalid-upload: a header of the upload is malformed or goes not with the others;"
    "404 upload-not-found; 409 upload-incomplete: a partial upload has not all of its bytes;"
    "409 taken-over: another request goes on with the upload; 410 upload-expired;"
    "412 tus-version; 413 file-too-large; 413 upload-too-long: more comes than the upload has;"
    "415 blocked-extension; 460 checksum-mismatch: what came does not have its sum;"
    "503 too-many-uploads: there are `limit` unfinished uploads; 507 quota-exceeded";
inline constexpr std::string_view kTusPatchProblems =
    "400 invalid-upload; 403 upload-final: a final upload takes no bytes;"
    "404 upload-not-found; 409 taken-over;"
    "409 offset-mismatch: the upload stands elsewhere, Upload-Offset tells where;"
    "409 length-mismatch: the upload has another length; 410 upload-expired; 412 tus-version;"
    "413 file-too-large; 413 upload-too-long; 460 checksum-mismatch; 507 quota-exceeded";

// ---- schemas

inline constexpr std::string_view kRecordSchema = R"({"type": "object",
    "required": ["original_name", "filename", "size", "size_mb", "uploaded_at", "mime_type",
                 "hash", "checksum", "uploader_ip", "download_count", "last_accessed", "url",
                 "expires_at", "tags"],
    "properties": {
        "original_name": {"type": "string"}, "filename": {"type": "string"},
        "size": {"type": "integer"}, "size_mb": {"type": "number"},
        "uploaded_at": {"type": "string", "format": "date-time"},
        "mime_type": {"type": "string"}, "sent_mime_type": {"type": "string"},
        "hash": {"type": "string", "pattern": "^[0-9a-f]{64}$"},
        "checksum": {"type": "string", "pattern": "^[0-9a-f]{64}$"},
        "uploader_ip": {"type": "string"}, "download_count": {"type": "integer"},
        "last_accessed": {"type": "string", "format": "date-time"},
        "url": {"type": "string"},
        "expires_at": {"type": ["string", "null"], "format": "date-time"},
        "tags": {"type": ["array", "object"]}}})";
inline constexpr std::string_view kUploadedSchema = R"({"type": "object",
    "anyOf": [{"required": ["filename", "hash", "size", "url"]},
              {"required": ["files"], "properties": {"files": {"type": "array",
                  "items": {"type": "object", "required": ["filename", "hash", "size", "url"]}}}}]})";
inline constexpr std::string_view kListSchema =
    R"({"allOf": [{"$ref": "#/components/schemas/List"},
        {"properties": {"items": {"items": {"type": "object",
            "required": ["original_name", "filename", "size", "hash", "uploaded_at", "url"]}}}}]})";
inline constexpr std::string_view kPatchSchema = R"({"type": "object", "properties": {
    "original_name": {"type": "string"}, "mime_type": {"type": "string"},
    "tags": {"type": ["array", "object", "null"]}, "expires_at": {"type": ["string", "null"]}}})";
inline constexpr std::string_view kVerifiedSchema = R"({"type": "object",
    "required": ["checked", "damaged", "missing"],
    "properties": {"checked": {"type": "integer"},
        "damaged": {"type": "array", "items": {"type": "string"}},
        "missing": {"type": "array", "items": {"type": "string"}}}})";
inline constexpr std::string_view kStorageSchema = R"({"type": "object",
    "required": ["used_bytes", "used_mb", "used_gb", "max_bytes", "max_gb", "available_bytes",
                 "usage_percent", "file_count"],
    "properties": {
        "used_bytes": {"type": "integer"}, "used_mb": {"type": "number"},
        "used_gb": {"type": "number"}, "max_bytes": {"type": "integer"},
        "max_gb": {"type": "number"}, "available_bytes": {"type": "integer"},
        "usage_percent": {"type": "number"}, "file_count": {"type": "integer"},
        "reserved_bytes": {"type": "integer"}, "max_file_size": {"type": "integer"},
        "orphans": {"type": "array", "items": {"type": "string"}},
        "missing": {"type": "array", "items": {"type": "string"}},
        "damaged": {"type": "array", "items": {"type": "string"}}}})";

}  // namespace larder::files
