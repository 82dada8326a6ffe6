// A condition and a value, parted by a line's end: no crash, and operators that agree with each
// other.
#include <array>
#include <cstdint>
#include <string>
#include <string_view>

#include "fuzz/require.hpp"
#include "kv_where.hpp"
#include "larder/error.hpp"
#include "storage-kit/json.hpp"

namespace {

namespace json = larder::storage::json;

bool matches(const std::string& condition, const std::string& value) {
    const std::array<std::string_view, 1> conditions{condition};
    return larder::kv::Where::parse(conditions).matches(value);
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
    const std::string_view input(reinterpret_cast<const char*>(data), size);
    const std::size_t end = input.find('\n');
    if (end == std::string_view::npos) return 0;
    const std::string condition(input.substr(0, end));
    try {
        const std::string value = json::compact(input.substr(end + 1));
        matches(condition, value);
        // What follows the first operator, with every operator before it.
        std::string operand = condition.substr(condition.find_first_of("=<>") + 1);
        if (operand.starts_with('=')) operand.erase(0, 1);
        const bool equal = matches("=" + operand, value);
        const bool unequal = matches("!=" + operand, value);
        const bool less = matches("<" + operand, value);
        const bool greater = matches(">" + operand, value);
        require(!(equal && unequal) && !(less && greater));
        require(!less || (unequal && matches("<=" + operand, value)));
        require(!greater || (unequal && matches(">=" + operand, value)));
        require(matches("=" + value, value) && !matches("!=" + value, value));
    } catch (const json::InvalidJson&) {
        return 0;
    } catch (const larder::Error& error) {
        require(error.slug() == "invalid-parameter");
    }
    return 0;
}
