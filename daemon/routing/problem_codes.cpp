#include "routing/problem_codes.hpp"

#include <algorithm>
#include <iterator>

#include "routing/route_table.hpp"

namespace larder::routing {
namespace {

constexpr ProblemText kInvalidCursor{400, "invalid-cursor",
                                     "the cursor is not one that this list gave"};
constexpr ProblemText kInvalidJson{400, "invalid-json",
                                   "the body is no JSON; `offset` is the byte where it went wrong"};
constexpr ProblemText kInvalidField{
    422, "invalid-field",
    "a member of the body is unknown or of the wrong type; `pointer` names it"};
constexpr ProblemText kCondition{400, "condition-not-supported",
                                 "a conditional header that this route does not obey"};
constexpr ProblemText kUnauthorized{401, "unauthorized", "the request wants credentials"};
constexpr ProblemText kTooManyLogins{
    429, "too-many-logins",
    "too many wrong passwords for this user or from this address; wait for `Retry-After` seconds"};
constexpr ProblemText kForbidden{403, "forbidden", "the credentials do not allow this"};
constexpr ProblemText kCrossSite{403, "cross-site", "a page of another site may change nothing"};
constexpr ProblemText kPrecondition{412, "precondition-failed",
                                    "a condition does not hold; `condition` names it"};
constexpr ProblemText kMediaType{415, "unsupported-media-type",
                                 "the route does not take this Content-Type"};
constexpr ProblemText kDisabled{503, "plugin-disabled", "the plugin is off; `reason` says why"};
constexpr ProblemText kFailed{503, "plugin-failed",
                              "the plugin did not come to run; `reason` says why"};
constexpr ProblemText kRestoring{503, "restoring", "the plugin's data is being restored"};
constexpr ProblemText kReadOnly{503, "read-only",
                                "the store takes no changes until the daemon is restarted"};
constexpr ProblemText kStorage{500, "storage-failed",
                               "the disk failed: the change may not be kept"};
constexpr ProblemText kDiskFull{507, "disk-full", "the disk is full: nothing was changed"};
// Not on a declared route, so only in the table.
constexpr ProblemText kNotFound{404, "not-found", "there is nothing under this path"};
constexpr ProblemText kMethod{405, "method-not-allowed", "the path takes other methods: `Allow`"};

}  // namespace

const std::vector<ProblemText>& common_problems() {
    static const std::vector<ProblemText> all = {
        {400, "bad-request", "the request is malformed"},
        {400, "invalid-parameter", "a query parameter is unknown or malformed"},
        {408, "timeout", "the request did not come in time"},
        {413, "body-too-large", "the body is longer than `limit` bytes"},
        {414, "target-too-long", "the target is longer than 8 KiB"},
        {417, "expectation-failed", "an Expect other than 100-continue"},
        {421, "misdirected", "the Host header names no address of this daemon"},
        {429, "rate-limited", "the caller's limit is spent; try again after `Retry-After` seconds"},
        {431, "headers-too-large", "the header section is larger than 32 KiB"},
        {500, "internal", "a mistake of the daemon's; its log has the request id"},
        {503, "overloaded", "a queue is full; try again after `Retry-After` seconds"},
        {503, "too-many-connections", "too many connections are open"},
        {505, "http-version", "another version than HTTP/1.1 and HTTP/1.0"},
    };
    return all;
}

std::vector<ProblemText> host_problems(const Route& route, bool of_plugin) {
    std::vector<ProblemText> all;
    const bool changes = route.method != Method::get && route.method != Method::options;
    const auto queries = split_list(route.queries);
    if (route.permission != Permission::open) {
        all.insert(all.end(), {kUnauthorized, kForbidden, kTooManyLogins});
    }
    if (std::find(queries.begin(), queries.end(), "cursor") != queries.end()) {
        all.push_back(kInvalidCursor);
    }
    if (changes) all.insert(all.end(), {kCondition, kCrossSite});
    if (!route.conditions.empty()) all.push_back(kPrecondition);
    if (changes || !route.media_types.empty()) all.push_back(kMediaType);
    if (route.media_types.find("json") != std::string_view::npos) {
        all.insert(all.end(), {kInvalidJson, kInvalidField});
    }
    if (of_plugin) all.insert(all.end(), {kDisabled, kFailed, kRestoring});
    if (of_plugin && changes) all.insert(all.end(), {kReadOnly, kStorage, kDiskFull});
    return all;
}

std::vector<ProblemText> all_host_problems() {
    std::vector<ProblemText> all = common_problems();
    all.insert(all.end(),
               {kInvalidCursor, kInvalidJson, kInvalidField, kCondition, kUnauthorized, kForbidden,
                kTooManyLogins, kCrossSite, kPrecondition, kMediaType, kDisabled, kFailed,
                kRestoring, kReadOnly, kStorage, kDiskFull, kNotFound, kMethod});
    return all;
}

}  // namespace larder::routing
