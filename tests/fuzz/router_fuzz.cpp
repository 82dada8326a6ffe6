// Puts random methods and targets to a table of the real patterns, and judges what it says by a
// second, slow reading of the pattern. The dispatcher's refusals are not its matter.
#include <cstdint>
#include <memory>
#include <string>
#include <string_view>
#include <vector>

#include "fuzz/require.hpp"
#include "larder/error.hpp"
#include "observe/http_metrics.hpp"
#include "routing/pattern.hpp"
#include "routing/route_table.hpp"

namespace {

using namespace larder;           // NOLINT: one file, no header
using namespace larder::routing;  // NOLINT

struct Declared {
    Method method;
    const char* pattern;
};

constexpr Declared kRoutes[] = {
    {Method::get, "/healthz"},
    {Method::get, "/readyz"},
    {Method::get, "/metrics"},
    {Method::get, "/openapi.json"},
    {Method::get, "/api/status"},
    {Method::get, "/api/plugins"},
    {Method::get, "/api/plugins/{name}"},
    {Method::post, "/api/plugins/{name}/enable"},
    {Method::get, "/api/kv"},
    {Method::get, "/api/kv/{bucket}"},
    {Method::post, "/api/kv/{bucket}"},
    {Method::del, "/api/kv/{bucket}"},
    {Method::post, "/api/kv/{bucket}/checkpoint"},
    {Method::get, "/api/kv/{bucket}/{key...}"},
    {Method::put, "/api/kv/{bucket}/{key...}"},
    {Method::patch, "/api/kv/{bucket}/{key...}"},
    {Method::del, "/api/kv/{bucket}/{key...}"},
    {Method::post, "/api/kv/{bucket}/{key...}/increment"},
    {Method::get, "/api/files"},
    {Method::post, "/api/files/upload"},
    {Method::get, "/api/files/storage"},
    {Method::post, "/api/files/verify"},
    {Method::get, "/api/files/{filename}"},
    {Method::put, "/api/files/{filename}"},
    {Method::del, "/api/files/{filename}"},
    {Method::get, "/api/files/{filename}/metadata"},
    {Method::patch, "/api/files/tus/{id}"},
    {Method::get, "/api/programs/{id}/files/{path...}"},
    {Method::post, "/api/programs/{id}/execute"},
    {Method::get, "/api/cache/{key}"},
    {Method::get, "/api/cache/stats"},
    {Method::get, "/api/backups/{id}/archive"},
};

struct World {
    Owner owner;
    observe::HttpMetrics metrics{1};
    std::unique_ptr<RouteTable> table;

    World() {
        std::vector<EndpointPtr> endpoints;
        for (const Declared& declared : kRoutes) {
            Route route{declared.method, declared.pattern, Permission::read, "", "", "", "", 1, ""};
            endpoints.push_back(make_endpoint(
                route, BlockingHandler([](const Request&) { return Response(); }), owner, metrics));
        }
        table = std::make_unique<RouteTable>(
            std::move(endpoints), std::vector<Unavailable>{{"/api/off", "plugin-disabled", "off"}});
    }
};

// The raw path, put together again from the pattern and the values; the fixed parts may be spelled
// with escapes, so both are decoded before they are compared.
void judge_match(const Match& match, std::string_view path) {
    const Pattern& pattern = match.endpoint->pattern;
    std::string built;
    std::size_t index = 0;
    for (const Segment& segment : pattern.segments) {
        built += '/';
        if (segment.kind == Segment::Kind::fixed) {
            built += segment.text;
            continue;
        }
        require(index < match.value_count);
        const std::string_view value = match.values[index++];
        require(!value.empty());
        require(value.data() >= path.data() &&
                value.data() + value.size() <= path.data() + path.size());
        if (segment.kind == Segment::Kind::parameter) {
            require(value.find('/') == std::string_view::npos);
        }
        built += value;
    }
    require(index == match.value_count);
    built += pattern.tail;
    if (built == path) return;
    std::string wanted, had;
    const bool decodable = percent_decode(built, wanted) && percent_decode(path, had);
    // A value may hold what cannot be decoded; then the fixed parts were spelled as they are.
    require(!decodable || wanted == had);
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
    static const World world;
    if (size < 1) return 0;
    const std::string input(reinterpret_cast<const char*>(data) + 1, size - 1);
    const unsigned pick = data[0] % 8U;
    const auto method = pick == 0 ? std::nullopt : std::optional<Method>(static_cast<Method>(pick));
    const std::string_view path = std::string_view(input).substr(0, input.find('?'));

    const Match match = world.table->match(method, path);
    if (match.endpoint != nullptr) {
        const Method served = method == Method::head ? Method::get : *method;
        require(match.endpoint->route.method == served);
        require((match.allowed >> (static_cast<unsigned>(served) - 1) & 1U) != 0);
        judge_match(match, path);
    } else if (method && match.allowed != 0) {
        const Method served = *method == Method::head ? Method::get : *method;
        require((match.allowed >> (static_cast<unsigned>(served) - 1) & 1U) == 0);
    }
    require(!allow_header(match.allowed).empty());
    const Unavailable* off = world.table->unavailable(path);
    require(off == nullptr || path.starts_with(off->prefix));

    for (const bool query : {false, true}) {
        std::string decoded;
        if (!percent_decode(input, decoded, query)) continue;
        require(decoded.size() <= input.size());
        require(decoded.find('\0') == std::string::npos);
    }
    if (path.size() < 200) {
        try {
            const Pattern pattern = parse_pattern(path);
            require(!pattern.segments.empty());
        } catch (const Error& error) {
            require(error.code() == Errc::internal);
        }
    }
    return 0;
}
