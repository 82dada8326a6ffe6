// Names, labels and text of metrics. References: Prometheus exposition format 0.0.4,
// OpenMetrics 1.0.
#include "observe/exposition.hpp"

#include <fmt/format.h>
#include <simdjson.h>

#include <charconv>
#include <cmath>

#include "larder/error.hpp"

namespace larder::observe {

namespace {

[[noreturn]] void refuse(std::string message) {
    throw Error(Errc::internal, "bad-metric", std::move(message));
}

bool is_name(std::string_view name) noexcept {
    if (name.empty() || (name.front() >= '0' && name.front() <= '9')) return false;
    for (const char c : name) {
        if (!((c >= 'a' && c <= 'z') || (c >= '0' && c <= '9') || c == '_')) return false;
    }
    return true;
}

bool is_utf8(std::string_view text) noexcept {
    return simdjson::validate_utf8(text.data(), text.size());
}

// Shortest text that reads back the same. Whole numbers keep a ".0", which OpenMetrics wants in
// `le`.
std::string number(double value) {
    if (std::isnan(value)) return "NaN";
    if (std::isinf(value)) return value > 0 ? "+Inf" : "-Inf";
    std::string text = fmt::format("{}", value);
    if (text.find_first_of(".e") == std::string::npos) text += ".0";
    return text;
}

std::string joined(std::string_view labels, std::string_view more) {
    if (labels.empty()) return std::string(more);
    return fmt::format("{},{}", labels, more);
}

// Reads a quoted value at the start of `rest` and cuts it off; false when it is malformed.
bool skip_value(std::string_view& rest) noexcept {
    if (!rest.starts_with('"')) return false;
    for (std::size_t i = 1; i < rest.size(); ++i) {
        if (rest[i] == '\n') return false;
        if (rest[i] == '"') {
            rest.remove_prefix(i + 1);
            return true;
        }
        if (rest[i] != '\\') continue;
        ++i;
        if (i == rest.size() || (rest[i] != '\\' && rest[i] != '"' && rest[i] != 'n')) return false;
    }
    return false;
}

double quality_of(std::string_view parameters) noexcept {
    const std::size_t at = parameters.find("q=");
    if (at == std::string_view::npos) return 1.0;
    double quality = 0;
    const std::string_view text = parameters.substr(at + 2);
    std::from_chars(text.data(), text.data() + text.size(), quality);
    return quality;
}

std::string_view type_word(MetricType type) noexcept {
    switch (type) {
        case MetricType::counter: return "counter";
        case MetricType::gauge: return "gauge";
        case MetricType::histogram: return "histogram";
    }
    return "unknown";
}

void append_help(std::string& out, std::string_view help, Format format) {
    for (const char c : help) {
        if (c == '\\') {
            out += "\\\\";
        } else if (c == '\n') {
            out += "\\n";
        } else if (c == '"' && format == Format::openmetrics) {
            out += "\\\"";
        } else {
            out += c;
        }
    }
}

}  // namespace

Format format_for(std::string_view accept) {
    double open = 0, plain = 0, any = 0;
    while (!accept.empty()) {
        const std::size_t comma = accept.find(',');
        std::string_view part = accept.substr(0, comma);
        accept.remove_prefix(comma == std::string_view::npos ? accept.size() : comma + 1);
        part.remove_prefix(std::min(part.find_first_not_of(" \t"), part.size()));
        const std::string_view type = part.substr(0, part.find_first_of("; \t"));
        const double quality = quality_of(part.substr(type.size()));
        if (type == "application/openmetrics-text") open = std::max(open, quality);
        if (type == "text/plain") plain = std::max(plain, quality);
        if (type == "*/*" || type == "text/*") any = std::max(any, quality);
    }
    const bool wanted = open > 0 && open >= std::max(plain, any);
    return wanted ? Format::openmetrics : Format::prometheus;
}

std::string_view content_type(Format format) noexcept {
    return format == Format::openmetrics
               ? "application/openmetrics-text; version=1.0.0; charset=utf-8"
               : "text/plain; version=0.0.4; charset=utf-8";
}

std::string label(std::string_view name, std::string_view value) {
    std::string text(name);
    text += "=\"";
    for (const char c : value) {
        if (c == '\\' || c == '"') text += '\\';
        if (c == '\n') {
            text += "\\n";
        } else {
            text += c;
        }
    }
    return text + '"';
}

void check_metric(MetricType type, std::string_view name, std::string_view help) {
    if (!is_name(name)) {
        refuse(fmt::format("expected a metric's name of a-z, 0-9 and _, got '{}'", name));
    }
    const bool total = name.ends_with("_total") && name != "_total";
    if (type == MetricType::counter && !total) {
        refuse(fmt::format("expected a counter's name to end in _total, got '{}'", name));
    }
    // A gauge may end in _info: a constant 1 whose labels tell something, as everybody has it.
    for (const std::string_view suffix : {"_total", "_count", "_sum", "_bucket", "_created"}) {
        if (type != MetricType::counter && name.ends_with(suffix)) {
            refuse(fmt::format("'{}' may not end in {}: readers take it for another kind", name,
                               suffix));
        }
    }
    if (help.empty() || !is_utf8(help)) {
        refuse(fmt::format("metric '{}' has no help of UTF-8 text", name));
    }
}

void check_labels(MetricType type, std::string_view labels) {
    std::set<std::string_view> names;
    std::string_view rest = labels;
    while (!rest.empty()) {
        const std::size_t equals = rest.find('=');
        const std::string_view name = rest.substr(0, equals);
        const bool reserved =
            name.starts_with("__") || (type == MetricType::histogram && name == "le");
        if (equals == std::string_view::npos || !is_name(name) || reserved) {
            refuse(fmt::format("expected labels such as kind=\"a\",code=\"b\", got '{}'", labels));
        }
        if (!names.insert(name).second) {
            refuse(fmt::format("label '{}' stands twice in '{}'", name, labels));
        }
        rest.remove_prefix(equals + 1);
        const bool whole =
            skip_value(rest) && (rest.empty() || (rest.size() > 1 && rest[0] == ','));
        if (!whole) {
            refuse(
                fmt::format("expected a quoted value for each label, with \\\\, \\\" and \\n "
                            "escaped, got '{}'",
                            labels));
        }
        if (!rest.empty()) rest.remove_prefix(1);
    }
    if (!is_utf8(labels)) refuse("expected labels of UTF-8");
}

Exposition::Family* Exposition::family(MetricType type, std::string_view name,
                                       std::string_view help, std::string_view labels) {
    check_metric(type, name, help);
    check_labels(type, labels);
    auto found = families_.find(name);
    if (found == families_.end()) {
        found = families_.emplace(name, Family{type, std::string(help), {}, {}}).first;
    }
    Family& family = found->second;
    if (family.type == type && family.seen.emplace(labels).second) return &family;
    ++refused_;
    return nullptr;
}

void Exposition::counter(std::string_view name, std::string_view help, std::string_view labels,
                         std::uint64_t value) {
    if (Family* const to = family(MetricType::counter, name, help, labels)) {
        to->samples.push_back({"", std::string(labels), fmt::format("{}", value)});
    }
}

void Exposition::counter_seconds(std::string_view name, std::string_view help,
                                 std::string_view labels, double value) {
    if (Family* const to = family(MetricType::counter, name, help, labels)) {
        to->samples.push_back({"", std::string(labels), number(value)});
    }
}

void Exposition::gauge(std::string_view name, std::string_view help, std::string_view labels,
                       double value) {
    if (Family* const to = family(MetricType::gauge, name, help, labels)) {
        to->samples.push_back({"", std::string(labels), number(value)});
    }
}

void Exposition::histogram(std::string_view name, std::string_view help, std::string_view labels,
                           std::span<const double> bounds, std::span<const std::uint64_t> counts,
                           double sum) {
    if (counts.size() != bounds.size() + 1) {
        refuse(fmt::format("histogram '{}' has {} counts for {} bounds", name, counts.size(),
                           bounds.size()));
    }
    Family* const to = family(MetricType::histogram, name, help, labels);
    if (to == nullptr) return;
    std::uint64_t total = 0;
    for (std::size_t i = 0; i < counts.size(); ++i) {
        total += counts[i];
        const std::string le = i < bounds.size() ? number(bounds[i]) : "+Inf";
        to->samples.push_back(
            {"_bucket", joined(labels, label("le", le)), fmt::format("{}", total)});
    }
    to->samples.push_back({"_sum", std::string(labels), number(sum)});
    to->samples.push_back({"_count", std::string(labels), fmt::format("{}", total)});
}

std::string Exposition::text(Format format) const {
    std::string out;
    for (const auto& [name, family] : families_) {
        std::string_view shown = name;
        if (format == Format::openmetrics && family.type == MetricType::counter) {
            shown.remove_suffix(6);  // OpenMetrics names the family without its _total
        }
        out.append("# HELP ").append(shown).append(" ");
        append_help(out, family.help, format);
        out.append("\n# TYPE ").append(shown).append(" ").append(type_word(family.type));
        out += '\n';
        for (const Sample& sample : family.samples) {
            out.append(name).append(sample.suffix);
            if (!sample.labels.empty()) out.append("{").append(sample.labels).append("}");
            out.append(" ").append(sample.value).append("\n");
        }
    }
    if (format == Format::openmetrics) out += "# EOF\n";
    return out;
}

}  // namespace larder::observe
