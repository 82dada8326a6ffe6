// What a plugin gives a cache to begin with: a service of whoever keeps the data. Not a way to
// read all of it.
#pragma once

#include <cstddef>
#include <string>
#include <string_view>

namespace larder {

// Of kv: `what` is a bucket; gives it whole, as an object of all its keys, under its name.
inline constexpr std::string_view kWarmFromKv = "larder.warm-kv/1";
// Of programs: gives the records of the `most` that were used last, under their ids.
inline constexpr std::string_view kWarmFromPrograms = "larder.warm-programs/1";

class WarmSink {
public:
    virtual void take(std::string_view name, std::string json) = 0;

protected:
    ~WarmSink() = default;
};

class WarmSource {
public:
    // Gives nothing where there is nothing of that name. Throws Error. [worker]
    virtual void give(std::string_view what, std::size_t most, WarmSink& sink) = 0;

protected:
    ~WarmSource() = default;
};

}  // namespace larder
