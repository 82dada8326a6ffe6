// How much a plugin stores: what it adds to GET /api/storage/usage. Not a metric: it is asked for,
// and may be counted when it is.
#pragma once

#include <cstdint>
#include <string_view>

namespace larder {

inline constexpr std::string_view kUsage = "larder.usage/1";

// Takes one plugin's figures; names are those of the JSON members, each section once. [worker]
class UsageSink {
public:
    // Begins a section: "data_store". Figures go into the one begun last.
    virtual void section(std::string_view name) = 0;
    virtual void count(std::string_view name, std::uint64_t value) = 0;  // "size" in bytes
    virtual void percent(std::string_view name, double value) = 0;       // "quota_used"

protected:
    ~UsageSink() = default;
};

// The extension kUsage of a plugin.
class Usage {
public:
    // While the plugin serves. What it throws leaves its sections out. [worker]
    virtual void measure(UsageSink& sink) = 0;

protected:
    ~Usage() = default;
};

}  // namespace larder
