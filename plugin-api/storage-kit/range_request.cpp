#include "storage-kit/range_request.hpp"

#include <fmt/format.h>

#include "larder/time.hpp"
#include "storage-kit/answers.hpp"
#include "storage-kit/json.hpp"

namespace larder::storage {
namespace {

std::optional<std::string> header_of(const Request& request, std::string_view name) {
    const auto value = request.header(name);
    return value ? std::optional<std::string>(*value) : std::nullopt;
}

}  // namespace

RangeRequest::RangeRequest(const Request& request)
    : is_head_(request.method() == Method::head), wanted_(Preconditions::of(request)) {
    if (!wanted_.if_none_match) if_modified_since_ = header_of(request, "If-Modified-Since");
    if (is_head_) return;  // §14.2: Range is GET's alone
    range_ = header_of(request, "Range");
    if (!range_) return;
    if_range_ = header_of(request, "If-Range");
    request_id_ = request.id();
}

bool RangeRequest::is_known(std::string_view etag, std::int64_t modified,
                            std::string_view what) const {
    const std::string_view failing = wanted_.failing(etag, modified);
    if (failing == "if-none-match") return true;
    if (!failing.empty()) {
        throw Error(Errc::precondition_failed, "precondition-failed",
                    fmt::format("{} does not hold for {}", failing, what))
            .with("condition", json::quoted(failing));
    }
    if (!if_modified_since_) return false;
    const auto since = parse_http_date(*if_modified_since_);
    return since && modified <= *since;
}

Ranges RangeRequest::ranges(std::string_view etag, std::int64_t modified,
                            std::uint64_t size) const {
    // A date in If-Range must be the very one (§13.1.5); an entity tag the strong one.
    const bool is_in_time = !if_range_ || *if_range_ == etag || *if_range_ == http_date(modified);
    return range_ && is_in_time ? parse_ranges(*range_, size) : Ranges();
}

Response RangeRequest::unsatisfiable(std::uint64_t size, std::string_view what) const {
    Response response =
        problem_answer(request_id_, 416, "range-not-satisfiable", "Range Not Satisfiable",
                       fmt::format("no range asked for lies in {}", what));
    response.headers.emplace_back("Content-Range", fmt::format("bytes */{}", size));
    return response;
}

}  // namespace larder::storage
