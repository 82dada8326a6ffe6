// What kv's routes say of themselves: parameters, headers, problem codes, and what they answer as
// JSON Schema. Told by GET /openapi.json; no request is judged by it.
#pragma once

#include <string_view>

namespace larder::kv {

inline constexpr std::string_view kBucketParameters =
    "bucket: 1-64 of a-z, 0-9, '_' and '-', beginning with a letter or digit";
inline constexpr std::string_view kRemoveParameters =
    "bucket: 1-64 of a-z, 0-9, '_' and '-', beginning with a letter or digit;"
    "confirm: the bucket's name once more";
// Where the path has no parameter `key`, which stands first in those that have one.
constexpr std::string_view without_key(std::string_view parameters) {
    return parameters.substr(parameters.find(';') + 1);
}
inline constexpr std::string_view kKeyParameters =
    "key: 1-1024 bytes of UTF-8;"
    "bucket: 1-64 of a-z, 0-9, '_' and '-', beginning with a letter or digit";
inline constexpr std::string_view kListParameters =
    "bucket: 1-64 of a-z, 0-9, '_' and '-', beginning with a letter or digit;"
    "prefix: only keys that begin with it;"
    "values boolean: with each key's value, which a list leaves out and a watch does not;"
    "where: a JSON Pointer, one of = != < <= > >= and a JSON value, and all of them if repeated;"
    "all boolean: one object of all keys and values instead of a page;"
    "watch boolean: changes as they come, as an event stream;"
    "since: watch from behind this <epoch>-<revision>;"
    "Last-Event-ID: as since, for a watch that goes on";
inline constexpr std::string_view kReadParameters =
    "key: 1-1024 bytes of UTF-8;"
    "bucket: 1-64 of a-z, 0-9, '_' and '-', beginning with a letter or digit;"
    "meta boolean: the whole record instead of the value alone;"
    "pointer: the part of the value that this JSON Pointer (RFC 6901) names";
inline constexpr std::string_view kPutParameters =
    "key: 1-1024 bytes of UTF-8;"
    "bucket: made by its first write, 1-64 of a-z, 0-9, '_' and '-', beginning with a letter or "
    "digit;"
    "ttl: seconds until the key ends, or `keep` for its present deadline, absent ends none;"
    "Larder-Metadata: a JSON object of at most 4 KiB that stands in the record, absent clears it";

inline constexpr std::string_view kVersionHeader =
    "Larder-Revision: the bucket's version, <epoch>-<revision>";
inline constexpr std::string_view kValueHeaders =
    "ETag: the key's revision in quotes; Last-Modified: when the key was set;"
    "Larder-Revision: the bucket's version, <epoch>-<revision>";
inline constexpr std::string_view kWrittenHeaders =
    "ETag: the key's new revision in quotes;"
    "Larder-Revision: the bucket's version, <epoch>-<revision>";

// ---- problems. A meaning stands with one route; the table of codes takes it from there.

inline constexpr std::string_view kBucketProblems =
    "404 bucket-not-found: there is no such bucket, its first write makes it;"
    "503 bucket-unreadable: the bucket's file could not be read when the daemon started";
inline constexpr std::string_view kListProblems =
    "404 bucket-not-found; 503 bucket-unreadable;"
    "410 compacted: changes so long ago are no longer kept;"
    "410 epoch-changed: the history was broken since, by a restore or an edited file;"
    "503 too-many-watchers: there are as many watchers as kv.max_watchers allows";
inline constexpr std::string_view kKeyProblems =
    "400 invalid-key: the key is longer than 1024 bytes or no UTF-8;"
    "404 bucket-not-found; 404 key-not-found: the bucket has no such key;"
    "503 bucket-unreadable";
inline constexpr std::string_view kReadProblems =
    "400 invalid-key; 404 bucket-not-found; 404 key-not-found; 503 bucket-unreadable;"
    "404 pointer-not-found: the value has no such part";
inline constexpr std::string_view kPutProblems =
    "400 invalid-key; 400 invalid-bucket: this is no bucket's name;"
    "413 metadata-too-large: Larder-Metadata is longer than `limit` bytes;"
    "413 value-too-large: the value is longer than `limit` bytes;"
    "503 bucket-unreadable; 507 too-many-buckets: there are `limit` buckets already";
inline constexpr std::string_view kPatchProblems =
    "400 invalid-key; 404 bucket-not-found; 404 key-not-found; 503 bucket-unreadable;"
    "409 patch-test-failed: a `test` of the patch does not hold;"
    "409 patch-failed: an operation of the patch names what is not there;"
    "413 value-too-large; 422 invalid-patch: this is no JSON patch;"
    "422 value-too-deep: the value would have more than 1024 levels";
inline constexpr std::string_view kIncrementProblems =
    "400 invalid-key; 400 invalid-bucket; 503 bucket-unreadable; 507 too-many-buckets;"
    "409 not-a-number: the value, or the result, is no exact 64-bit integer";
inline constexpr std::string_view kTransactProblems =
    "400 invalid-key; 400 invalid-bucket; 409 not-a-number; 412 precondition-failed;"
    "413 metadata-too-large; 413 value-too-large; 422 value-too-deep;"
    "503 bucket-unreadable; 507 too-many-buckets";

// ---- shapes

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
inline constexpr std::string_view kIncrementedSchema = R"({"type": "object",
    "required": ["value", "revision"],
    "properties": {"value": {"type": "integer"}, "revision": {"type": "integer"}}})";
inline constexpr std::string_view kTransactionSchema = R"({"type": "object", "required": ["ops"],
    "properties": {
        "if": {"type": "array", "items": {"type": "object", "required": ["key"],
            "properties": {"key": {"type": "string"}, "revision": {"type": "integer"},
                           "exists": {"type": "boolean"}}}},
        "ops": {"type": "array", "maxItems": 1000,
            "items": {"type": "object", "required": ["op", "key"],
                "properties": {"op": {"enum": ["set", "delete", "increment"]},
                    "key": {"type": "string"}, "ttl": {"type": ["number", "string", "null"]},
                    "metadata": {"type": ["object", "null"]}, "by": {"type": "integer"}}}}}})";
inline constexpr std::string_view kTransactedSchema = R"({"type": "object",
    "required": ["revision", "results"],
    "properties": {"revision": {"type": "integer"},
        "results": {"type": "array", "items": {"type": "object", "required": ["key"]}}}})";
inline constexpr std::string_view kCheckpointSchema = R"({"type": "object",
    "required": ["revision", "bytes"],
    "properties": {"revision": {"type": "integer"}, "bytes": {"type": "integer"}}})";

}  // namespace larder::kv
