#include "storage-kit/json_merge.hpp"

#include <algorithm>
#include <utility>
#include <vector>

#include "storage-kit/json.hpp"
#include "storage-kit/json_limits.hpp"

namespace larder::storage::json {
namespace {

// A member of the patch, and whether the target had one of that name.
struct Change {
    std::string name;
    std::string_view literal, value;
    bool met = false;
};

// No deeper than its texts are: positions of the result are positions of one of them.
class Merge {
public:
    Merge(std::string_view target, std::string_view patch) : target_(target), patch_(patch) {
        out_.reserve(target.size() + patch.size());
    }

    void value(std::string_view target, std::string_view patch) {
        if (patch.front() != '{') {
            out_ += patch;
        } else {
            object(target.starts_with('{') ? target : "{}", patch);
        }
    }

    std::string take() { return std::move(out_); }

private:
    void object(std::string_view target, std::string_view patch) {
        std::vector<Change> changes;
        for (Walk child(patch, &patch_); child.next();) {
            changes.push_back({unquoted(child.name()), child.name(), child.value()});
        }
        std::vector<Change*> by_name;
        by_name.reserve(changes.size());
        for (Change& change : changes) by_name.push_back(&change);
        std::sort(by_name.begin(), by_name.end(),
                  [](const Change* a, const Change* b) { return a->name < b->name; });

        out_ += '{';
        const std::size_t begin = out_.size();
        const auto member = [&](std::string_view literal) {
            if (out_.size() > begin) out_ += ',';
            out_.append(literal).append(":");
        };
        std::string scratch;
        for (Walk child(target, &target_); child.next();) {
            const std::string_view name = text_of(child.name(), scratch);
            const auto found = std::lower_bound(
                by_name.begin(), by_name.end(), name,
                [](const Change* change, std::string_view text) { return change->name < text; });
            if (found == by_name.end() || (*found)->name != name) {
                member(child.name());
                out_ += child.value();
                continue;
            }
            (*found)->met = true;
            if ((*found)->value == "null") continue;
            member(child.name());
            value(child.value(), (*found)->value);
        }
        for (const Change& change : changes) {
            if (change.met || change.value == "null") continue;
            member(change.literal);
            value({}, change.value);
        }
        out_ += '}';
    }

    const LongParts target_, patch_;
    std::string out_;
};

}  // namespace

std::string merge_patch(std::string_view target, std::string_view patch, std::uint64_t max_bytes) {
    Merge merge(target, patch);
    merge.value(target, patch);
    std::string result = merge.take();
    require_size(result.size(), max_bytes);
    return result;
}

}  // namespace larder::storage::json
