// Any bytes through the JSON check: no crash, no loop, and a verdict that simdjson's shares where
// the two must agree. Not a corpus of cases: that is json_test.cpp.
#include <simdjson.h>

#include <algorithm>
#include <cstdint>
#include <cstring>
#include <string>
#include <string_view>

#include "fuzz/require.hpp"
#include "storage-kit/json.hpp"

namespace {

namespace json = larder::storage::json;

void walk(std::string_view text, int depth) {
    for (json::Walk child(text); child.next();) {
        require(!child.value().empty(), "a child without text");
        if (!child.name().empty()) {
            json::check(child.name());
            const std::string name = json::unquoted(child.name());
            require(json::unquoted(json::quoted(name)) == name, "quoting loses something");
        }
        json::check(child.value());
        if (depth > 0) walk(child.value(), depth - 1);
    }
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
    const std::string text(reinterpret_cast<const char*>(data), size);
    simdjson::dom::parser parser;
    simdjson::dom::element element;
    const simdjson::error_code theirs = parser.parse(text).get(element);
    try {
        const std::string compact = json::compact(text);
        json::check(text);
        require(json::compact(compact) == compact, "compact text changes when compacted");
        require(compact.size() <= text.size(), "compact text is longer");
        require(compact.find('\n') == std::string::npos, "compact text has a line break");
        walk(text, 2);
        const bool number_out_of_range = theirs == simdjson::NUMBER_ERROR;
        // simdjson 3.0 refuses a scalar at the root more narrowly than it should; containers count.
        const std::size_t first = text.find_first_not_of(" \t\r\n");
        const bool container = text[first] == '{' || text[first] == '[';
        require(theirs == simdjson::SUCCESS || number_out_of_range || !container ||
                    theirs == simdjson::DEPTH_ERROR,
                "accepted what simdjson refuses");
    } catch (const json::InvalidJson& error) {
        require(error.offset() <= size, "an offset outside the text");
        const bool mark = size >= 3 && std::memcmp(data, "\xEF\xBB\xBF", 3) == 0;
        // simdjson takes names that occur twice, counts depth in another way and skips a byte order
        // mark.
        if (theirs == simdjson::SUCCESS && !mark) {
            require(std::strcmp(error.what(), "a name occurs twice") == 0 ||
                        std::strcmp(error.what(), "nested too deep") == 0 ||
                        std::strstr(error.what(), "surrogate") != nullptr,
                    error.what());
        }
    }
    json::check(json::quoted(text));
    return 0;
}
