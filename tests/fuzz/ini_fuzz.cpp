// Any bytes through the .ini reader: it must not crash, and what it takes must read back the same
// when written out quoted. Not the meaning of keys.
#include <cstddef>
#include <cstdint>
#include <cstdlib>
#include <string>
#include <string_view>

#include "config/ini.hpp"

using namespace larder::config;  // NOLINT(google-build-using-namespace)

namespace {

std::string written(const IniDocument& document) {
    std::string text;
    std::size_t next = 0;
    for (const IniSection& section : document.sections) {
        text += "[" + section.name + "]\n";
        for (; next < document.entries.size() && document.entries[next].section == section.name;
             ++next) {
            text += document.entries[next].key + " = \"";
            for (const char c : document.entries[next].value) {
                if (c == '"' || c == '\\') text += '\\';
                text += c;
            }
            text += "\"\n";
        }
    }
    return text;
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
    const IniDocument document =
        parse_ini(std::string_view(reinterpret_cast<const char*>(data), size));
    for (const IniFault& fault : document.faults) {
        if (!is_utf8(fault.message) || fault.message.find('\n') != std::string::npos) std::abort();
    }
    if (!document.faults.empty()) return 0;
    const std::string text = written(document);
    if (text.size() > kMaxIniFile) return 0;  // quotes may have made it too long to read back
    const IniDocument again = parse_ini(text);
    for (const IniFault& fault : again.faults) {
        if (fault.message.find("expected a line of at most") == std::string::npos) std::abort();
    }
    if (!again.faults.empty()) return 0;
    if (again.entries.size() != document.entries.size()) std::abort();
    for (std::size_t i = 0; i < again.entries.size(); ++i) {
        if (again.entries[i].section != document.entries[i].section) std::abort();
        if (again.entries[i].key != document.entries[i].key) std::abort();
        if (again.entries[i].value != document.entries[i].value) std::abort();
    }
    return 0;
}
