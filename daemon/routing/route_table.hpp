// All routes in force, by path and method: built once, never changed, swapped as a whole. Not the
// handlers' caller: that is the dispatcher.
#pragma once

#include <array>
#include <atomic>
#include <cstdint>
#include <map>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <variant>
#include <vector>

#include "larder/host.hpp"
#include "larder/http.hpp"
#include "observe/http_metrics.hpp"
#include "routing/gate.hpp"
#include "routing/pattern.hpp"

namespace larder::routing {

// Whose routes they are. Lives as long as the process: a late answer may still look at it.
struct Owner {
    std::string name;  // "kv", or "larderd" for the daemon's own
    Gate gate;
    Log* log = nullptr;
    Errors* errors = nullptr;  // or nobody hears of its 5xx answers
    // Raised when the plugin is cut off: what was begun in an earlier life calls it no more, and
    // its Replies are inert. [any]
    std::atomic<std::uint32_t> life{0};
};

// The template by which a route is counted: "/api/kv/{bucket}/{key...}" is
// "/api/kv/{bucket}/{key}". [any]
std::string route_name(std::string_view pattern);

// A new one; kept where a leak checker finds it. [any]
Owner& make_owner(std::string name);

using Handler = std::variant<PromptHandler, BlockingHandler, UploadHandler>;

// A declared route and where it leads.
struct Endpoint {
    Route route;
    Pattern pattern;
    std::vector<std::string_view> queries, repeatable, media_types,
        conditions;  // the route's, split
    Handler handler;
    Owner* owner;
    observe::RouteSeries* series;
    bool for_any_caller = false;  // with credentials, whatever their rights: /api/whoami
};
using EndpointPtr = std::shared_ptr<const Endpoint>;

// `owner` and `metrics` must outlive it. Throws Error{internal} for a malformed pattern.
std::shared_ptr<Endpoint> make_endpoint(const Route& route, Handler handler, Owner& owner,
                                        observe::HttpMetrics& metrics);

// A path prefix whose plugin does not run, and what its callers are told.
struct Unavailable {
    std::string prefix;  // "/api/kv"
    std::string slug;    // "plugin-disabled" or "plugin-failed"
    std::string reason;
};

inline constexpr std::size_t kMaxParameters = 8;

struct Match {
    const Endpoint* endpoint = nullptr;  // null: no such path, or not by this method
    std::array<std::string_view, kMaxParameters> values;  // raw, in the pattern's order
    std::size_t value_count = 0;
    std::uint8_t allowed = 0;  // bit (Method - 1) for each method the path has; 0: no such path
};

class RouteTable {
public:
    // Throws Error{conflict} when two endpoints claim the same method and path, Error{internal}
    // for a pattern with more than kMaxParameters.
    RouteTable(std::vector<EndpointPtr> endpoints, std::vector<Unavailable> unavailable);

    // `path` is raw, without query. A fixed segment wins over a parameter for every method; a tail
    // behind a rest wins for the methods it has. [any]
    Match match(std::optional<Method> method, std::string_view path) const;
    const Unavailable* unavailable(std::string_view path) const noexcept;
    const std::vector<EndpointPtr>& endpoints() const noexcept { return endpoints_; }
    const std::vector<Unavailable>& all_unavailable() const noexcept { return unavailable_; }

private:
    using ByMethod = std::array<const Endpoint*, 7>;
    struct Node {
        std::map<std::string, Node, std::less<>> fixed;
        std::unique_ptr<Node> parameter;
        ByMethod here{};
        std::vector<std::pair<std::string_view, ByMethod>> rests;  // by tail, "" last
    };

    void add(const Endpoint& endpoint);
    static bool find(const Node& node, std::optional<Method> method, std::string_view path,
                     std::size_t at, Match& match);
    static bool find_rest(const Node& node, std::optional<Method> method, std::string_view rest,
                          Match& match);

    std::vector<EndpointPtr> endpoints_;
    std::vector<Unavailable> unavailable_;
    Node root_;
};

std::string_view method_name(Method method) noexcept;                        // "GET"
std::optional<Method> method_of(std::string_view name) noexcept;             // case matters
std::string allow_header(std::uint8_t allowed);                              // "GET, HEAD, OPTIONS"
std::vector<std::string_view> split_list(std::string_view comma_separated);  // trimmed, none empty

}  // namespace larder::routing
