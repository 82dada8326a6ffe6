#include "routing/route_table.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <deque>
#include <mutex>

namespace larder::routing {
namespace {

constexpr std::array<std::string_view, 7> kMethodNames = {"GET",   "HEAD",   "PUT",    "POST",
                                                          "PATCH", "DELETE", "OPTIONS"};

std::size_t index_of(Method method) noexcept { return static_cast<std::size_t>(method) - 1; }

std::uint8_t mask_of(const std::array<const Endpoint*, 7>& by_method) noexcept {
    unsigned mask = 0;
    for (std::size_t i = 0; i < by_method.size(); ++i) {
        if (by_method[i] != nullptr) mask |= 1U << i;
    }
    return static_cast<std::uint8_t>(mask);
}

void choose(const std::array<const Endpoint*, 7>& by_method, std::optional<Method> method,
            Match& match) noexcept {
    match.allowed |= mask_of(by_method);
    if (match.endpoint == nullptr && method) match.endpoint = by_method[index_of(*method)];
}

bool same_segment(std::string_view fixed, std::string_view raw) {
    if (raw.find('%') == std::string_view::npos) return fixed == raw;
    std::string decoded;
    return percent_decode(raw, decoded) && decoded == fixed;
}

}  // namespace

std::string route_name(std::string_view pattern) {
    std::string name(pattern);
    const std::size_t rest = name.find("...}");
    if (rest != std::string::npos) name.erase(rest, 3);
    return name;
}

Owner& make_owner(std::string name) {
    static std::mutex mutex;
    static auto* const all = new std::deque<Owner>;  // never destroyed
    const std::scoped_lock lock(mutex);
    Owner& owner = all->emplace_back();
    owner.name = std::move(name);
    return owner;
}

std::shared_ptr<Endpoint> make_endpoint(const Route& route, Handler handler, Owner& owner,
                                        observe::HttpMetrics& metrics) {
    std::vector<std::string_view> queries = split_list(route.queries), repeatable;
    for (std::string_view& query : queries) {
        if (!query.ends_with('+')) continue;
        query.remove_suffix(1);
        repeatable.push_back(query);
    }
    return std::make_shared<Endpoint>(
        Endpoint{route, parse_pattern(route.pattern), std::move(queries), std::move(repeatable),
                 split_list(route.media_types), split_list(route.conditions), std::move(handler),
                 &owner, &metrics.series(route_name(route.pattern), method_name(route.method))});
}

RouteTable::RouteTable(std::vector<EndpointPtr> endpoints, std::vector<Unavailable> unavailable)
    : endpoints_(std::move(endpoints)), unavailable_(std::move(unavailable)) {
    for (const EndpointPtr& endpoint : endpoints_) add(*endpoint);
}

void RouteTable::add(const Endpoint& endpoint) {
    const auto parameters =
        std::count_if(endpoint.pattern.segments.begin(), endpoint.pattern.segments.end(),
                      [](const Segment& segment) { return segment.kind != Segment::Kind::fixed; });
    if (static_cast<std::size_t>(parameters) > kMaxParameters) {
        throw Error(Errc::internal, "bad-pattern",
                    fmt::format("route pattern '{}' has {} parameters; {} are kept",
                                endpoint.route.pattern, parameters, kMaxParameters));
    }
    Node* node = &root_;
    ByMethod* place = nullptr;
    for (const Segment& segment : endpoint.pattern.segments) {
        if (segment.kind == Segment::Kind::fixed) {
            node = &node->fixed[std::string(segment.text)];
        } else if (segment.kind == Segment::Kind::parameter) {
            if (!node->parameter) node->parameter = std::make_unique<Node>();
            node = node->parameter.get();
        } else {
            auto& rests = node->rests;
            auto found = std::find_if(rests.begin(), rests.end(), [&](const auto& rest) {
                return rest.first == endpoint.pattern.tail;
            });
            if (found == rests.end()) {
                const auto behind = std::find_if(rests.begin(), rests.end(), [&](const auto& r) {
                    return r.first.size() < endpoint.pattern.tail.size();
                });
                found = rests.insert(behind, {endpoint.pattern.tail, ByMethod{}});
            }
            place = &found->second;
        }
    }
    if (place == nullptr) place = &node->here;
    const Endpoint*& slot = (*place)[index_of(endpoint.route.method)];
    if (slot != nullptr) {
        throw Error(Errc::conflict, "route-conflict",
                    fmt::format("{} {} of {} is already served as {} by {}",
                                method_name(endpoint.route.method), endpoint.route.pattern,
                                endpoint.owner->name, slot->route.pattern, slot->owner->name));
    }
    slot = &endpoint;
}

Match RouteTable::match(std::optional<Method> method, std::string_view path) const {
    if (method == Method::head) method = Method::get;
    Match match;
    if (path.starts_with('/')) find(root_, method, path, 1, match);
    return match;
}

// `at` is where the next segment begins; past the end means that all of the path is used up.
bool RouteTable::find(const Node& node, std::optional<Method> method, std::string_view path,
                      std::size_t at, Match& match) {
    if (at > path.size()) {
        choose(node.here, method, match);
        return match.allowed != 0;
    }
    const std::size_t slash = std::min(path.find('/', at), path.size());
    const std::string_view segment = path.substr(at, slash - at);
    const auto child = node.fixed.find(segment);
    if (child != node.fixed.end() && find(child->second, method, path, slash + 1, match)) {
        return true;
    }
    if (segment.find('%') != std::string_view::npos) {
        for (const auto& [text, next] : node.fixed) {
            if (same_segment(text, segment) && find(next, method, path, slash + 1, match)) {
                return true;
            }
        }
    }
    const std::size_t mark = match.value_count;
    if (node.parameter && !segment.empty() && mark < kMaxParameters) {
        match.values[match.value_count++] = segment;
        if (find(*node.parameter, method, path, slash + 1, match)) return true;
        match.value_count = mark;
    }
    return find_rest(node, method, path.substr(at), match);
}

bool RouteTable::find_rest(const Node& node, std::optional<Method> method, std::string_view rest,
                           Match& match) {
    if (rest.empty() || match.value_count == kMaxParameters) return false;
    std::string_view taken;
    for (const auto& [tail, by_method] : node.rests) {
        if (rest.size() <= tail.size() || !rest.ends_with(tail)) continue;
        const bool chosen_before = match.endpoint != nullptr;
        choose(by_method, method, match);
        if (!chosen_before && match.endpoint != nullptr) {
            taken = rest.substr(0, rest.size() - tail.size());
        }
    }
    if (match.allowed == 0) return false;
    match.values[match.value_count++] = taken;
    return true;
}

const Unavailable* RouteTable::unavailable(std::string_view path) const noexcept {
    for (const Unavailable& entry : unavailable_) {
        if (path.starts_with(entry.prefix) &&
            (path.size() == entry.prefix.size() || path[entry.prefix.size()] == '/')) {
            return &entry;
        }
    }
    return nullptr;
}

std::string_view method_name(Method method) noexcept { return kMethodNames[index_of(method)]; }

std::optional<Method> method_of(std::string_view name) noexcept {
    for (std::size_t i = 0; i < kMethodNames.size(); ++i) {
        if (kMethodNames[i] == name) return static_cast<Method>(i + 1);
    }
    return std::nullopt;
}

std::string allow_header(std::uint8_t allowed) {
    std::string text;
    for (std::size_t i = 0; i < kMethodNames.size(); ++i) {
        const auto method = static_cast<Method>(i + 1);
        const bool get = (allowed & 1U) != 0;
        const bool has = (allowed >> i & 1U) != 0 || method == Method::options ||
                         (method == Method::head && get);
        if (!has) continue;
        if (!text.empty()) text += ", ";
        text += kMethodNames[i];
    }
    return text;
}

std::vector<std::string_view> split_list(std::string_view text) {
    std::vector<std::string_view> parts;
    while (!text.empty()) {
        const std::size_t comma = std::min(text.find(','), text.size());
        std::string_view part = text.substr(0, comma);
        text.remove_prefix(std::min(comma + 1, text.size()));
        while (part.starts_with(' ') || part.starts_with('\t')) part.remove_prefix(1);
        while (part.ends_with(' ') || part.ends_with('\t')) part.remove_suffix(1);
        if (!part.empty()) parts.push_back(part);
    }
    return parts;
}

}  // namespace larder::routing
