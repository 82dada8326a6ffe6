// What kv's routes say of themselves: parameters, headers, problem codes, and what they answer as
// JSON Schema. Told by GET /openapi.json; no request is judged by it.
#pragma once

#include <string_view>

namespace larder::kv {

inline constexpr std::string_view kParameters =
    "bucket: 1-64 of a-z, 0-9, '_' and '-', beginning with a letter or digit;"
    "key: 1-1024 bytes of UTF-8;"
    "prefix: only keys that begin with it;"
    "values boolean: with each key's value;"
    "all boolean: one object of all keys and values instead of a page;"
    "meta boolean: the whole record instead of the value alone";

inline constexpr std::string_view kPutParameters =
    "bucket: made by its first write, 1-64 of a-z, 0-9, '_' and '-', beginning with a letter or "
    "digit;"
    "key: 1-1024 bytes of UTF-8;"
    "Larder-Metadata: a JSON object of at most 4 KiB that stands in the record, absent clears it";

inline constexpr std::string_view kVersionHeader =
    "Larder-Revision: the bucket's version, <epoch>-<revision>";
inline constexpr std::string_view kValueHeaders =
    "ETag: the key's revision in quotes; Last-Modified: when the key was set;"
    "Larder-Revision: the bucket's version, <epoch>-<revision>";
inline constexpr std::string_view kWrittenHeaders =
    "ETag: the key's new revision in quotes;"
    "Larder-Revision: the bucket's version, <epoch>-<revision>";

inline constexpr std::string_view kBucketProblems =
    "404 bucket-not-found: there is no such bucket, its first write makes it;"
    "503 bucket-unreadable: the bucket's file could not be read when the daemon started";
inline constexpr std::string_view kKeyProblems =
    "400 invalid-key: the key is longer than 1024 bytes or no UTF-8;"
    "404 bucket-not-found; 404 key-not-found: the bucket has no such key;"
    "503 bucket-unreadable";
inline constexpr std::string_view kPutProblems =
    "400 invalid-key; 400 invalid-bucket: this is no bucket's name;"
    "413 metadata-too-large: Larder-Metadata is longer than `limit` bytes;"
    "503 bucket-unreadable; 507 too-many-buckets: there are `limit` buckets already";

inline constexpr std::string_view kBucketListSchema =
    R"({"allOf": [{"$ref": "#/components/schemas/List"},
        {"properties": {"items": {"items": {"type": "object",
            "required": ["bucket", "file", "keys", "bytes", "revision", "epoch"],
            "properties": {
                "bucket": {"type": "string"}, "file": {"type": "string"},
                "keys": {"type": ["integer", "null"]}, "bytes": {"type": ["integer", "null"]},
                "revision": {"type": ["integer", "null"]},
                "epoch": {"type": ["integer", "null"]}}}}}}]})";

inline constexpr std::string_view kWrittenSchema = R"({"type": "object",
    "required": ["key", "revision", "created_at", "updated_at", "expires_at"],
    "properties": {
        "key": {"type": "string"}, "revision": {"type": "integer"},
        "created_at": {"type": "string", "format": "date-time"},
        "updated_at": {"type": "string", "format": "date-time"},
        "expires_at": {"type": ["string", "null"], "format": "date-time"}}})";

}  // namespace larder::kv
