// A pointer and a document, parted by a line's end: what is found is what the slow and obvious way
// finds.
#include <cstdint>
#include <string>
#include <string_view>

#include "fuzz/require.hpp"
#include "larder/error.hpp"
#include "storage-kit/json.hpp"
#include "storage-kit/json_pointer.hpp"
#include "support/naive_json.hpp"

namespace {

namespace json = larder::storage::json;

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
    const std::string_view input(reinterpret_cast<const char*>(data), size);
    const std::size_t end = input.find('\n');
    if (end == std::string_view::npos) return 0;
    try {
        const auto pointer = json::Pointer::parse(input.substr(0, end));
        require(pointer.tokens().size() <= end);
        const std::string document = json::compact(input.substr(end + 1), 64);
        const auto part = json::find(document, pointer);
        auto model = larder::test::NaiveJson::parse(document);
        const auto* const expected = model.find(pointer.tokens());
        require(part.has_value() == (expected != nullptr));
        if (part) require(expected->write() == *part);
    } catch (const json::InvalidJson&) {
        return 0;
    } catch (const larder::Error& error) {
        require(error.slug() == "invalid-pointer");
    }
    return 0;
}
