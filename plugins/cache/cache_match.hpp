// Which entries an invalidation means: those of a prefix, a pattern, a tag, or all. Not how they
// are found.
#pragma once

#include <string>
#include <string_view>
#include <vector>

namespace larder::cache {

struct Match {
    enum class Kind : char { prefix = 'p', pattern = 'g', tag = 't', all = 'a' };
    Kind kind;
    std::string text;  // of all: empty

    bool matches(std::string_view key, const std::vector<std::string>& tags) const;
};

// As Redis matches: * any bytes, ? one, [a-z] [^a] one of a set, \ takes the next as it is. Time
// grows with the product of both lengths at most. [any]
bool glob_matches(std::string_view pattern, std::string_view text);
// What stands before a pattern's first special character, as it stands for itself.
std::string literal_prefix(std::string_view pattern);
// The text so that a pattern takes it for itself.
std::string glob_escaped(std::string_view text);

}  // namespace larder::cache
