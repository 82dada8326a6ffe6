// A patch and a document, parted by a line's end, through both kinds of patch: the result is valid
// JSON within its limits, a merge is what the slow and obvious way makes of it, and what was made
// passes a test for itself.
#include <cstdint>
#include <string>
#include <string_view>

#include "fuzz/require.hpp"
#include "larder/error.hpp"
#include "storage-kit/json.hpp"
#include "storage-kit/json_merge.hpp"
#include "storage-kit/json_patch.hpp"
#include "support/naive_json.hpp"

namespace {

namespace json = larder::storage::json;

constexpr std::uint64_t kLimit = 64U << 10U;

void merge(const std::string& document, const std::string& patch) {
    auto model = larder::test::NaiveJson::parse(document);
    model.merge(larder::test::NaiveJson::parse(patch));
    const std::string merged = json::merge_patch(document, patch, kLimit);
    require(merged == model.write());
    require(json::merge_patch(merged, patch, kLimit) == merged);
}

void edit(const std::string& document, const std::string& text) {
    const auto patch = json::Patch::parse(text);
    const std::string result = patch.apply(document, kLimit);
    require(result.size() <= kLimit);
    json::check(result);
    require(json::compact(result) == result);
    const std::string test = R"([{"op":"test","path":"","value":)" + result + "}]";
    if (json::depth_of(test) > json::kMaxDepth) return;
    require(json::Patch::parse(test).apply(result, kLimit) == result);
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
    const std::string_view input(reinterpret_cast<const char*>(data), size);
    const std::size_t end = input.find('\n');
    if (end == std::string_view::npos) return 0;
    try {
        const std::string patch = json::compact(input.substr(0, end), 64);
        const std::string document = json::compact(input.substr(end + 1), 64);
        merge(document, patch);
        edit(document, patch);
    } catch (const json::InvalidJson&) {
        return 0;
    } catch (const larder::Error& error) {
        require(!error.slug().empty() && !error.members().empty());
    }
    return 0;
}
