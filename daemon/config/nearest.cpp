// Edit distance (optimal string alignment) over three rows. Not for long texts: names only.
#include "config/nearest.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <vector>

namespace larder::config {

std::size_t edit_distance(std::string_view a, std::string_view b) {
    std::vector<std::size_t> before(b.size() + 1);
    std::vector<std::size_t> last(b.size() + 1);
    std::vector<std::size_t> row(b.size() + 1);
    for (std::size_t j = 0; j <= b.size(); ++j) row[j] = j;
    for (std::size_t i = 1; i <= a.size(); ++i) {
        before.swap(last);
        last.swap(row);
        row[0] = i;
        for (std::size_t j = 1; j <= b.size(); ++j) {
            const std::size_t replaced = last[j - 1] + (a[i - 1] == b[j - 1] ? 0 : 1);
            row[j] = std::min({last[j] + 1, row[j - 1] + 1, replaced});
            if (i > 1 && j > 1 && a[i - 1] == b[j - 2] && a[i - 2] == b[j - 1]) {
                row[j] = std::min(row[j], before[j - 2] + 1);
            }
        }
    }
    return row[b.size()];
}

std::string nearest(std::string_view name, std::span<const std::string> known) {
    if (name.size() > 128) return {};
    std::size_t fewest = std::max<std::size_t>(1, name.size() / 3) + 1;
    std::string found;
    for (const std::string& candidate : known) {
        const std::size_t edits = edit_distance(name, candidate);
        if (edits >= fewest) continue;
        fewest = edits;
        found = candidate;
    }
    return found;
}

std::string did_you_mean(std::string_view name, std::span<const std::string> known) {
    const std::string found = nearest(name, known);
    return found.empty() ? std::string() : fmt::format("; did you mean '{}'?", found);
}

}  // namespace larder::config
