#include "files_name.hpp"

#include <fmt/format.h>
#include <utf8proc.h>

#include <algorithm>
#include <array>
#include <cstdlib>
#include <memory>

#include "files_record.hpp"

namespace larder::files {
namespace {

constexpr std::size_t kMaxName = 255;      // bytes; what file systems take
constexpr std::size_t kMaxExtension = 64;  // a longer one is cut
constexpr std::size_t kMaxInput = 4096;    // what is longer is cut before it is looked at

struct Free {
    void operator()(utf8proc_uint8_t* text) const noexcept { std::free(text); }
};

std::string mapped(std::string_view text, int options) {
    utf8proc_uint8_t* raw = nullptr;
    const auto length = utf8proc_map(reinterpret_cast<const utf8proc_uint8_t*>(text.data()),
                                     static_cast<utf8proc_ssize_t>(text.size()), &raw,
                                     static_cast<utf8proc_option_t>(options));
    const std::unique_ptr<utf8proc_uint8_t, Free> owned(raw);
    if (length < 0) return std::string(text);  // no memory: what came is valid all the same
    return {reinterpret_cast<const char*>(raw), static_cast<std::size_t>(length)};
}

// Characters that turn the order of a name's letters round, so that "gpj.exe" reads as "exe.jpg".
bool is_bidi_control(utf8proc_int32_t c) {
    return c == 0x061C || c == 0x200E || c == 0x200F || (c >= 0x202A && c <= 0x202E) ||
           (c >= 0x2066 && c <= 0x2069);
}

bool is_dropped(utf8proc_int32_t c) {
    return c < 0x20 || (c >= 0x7F && c <= 0x9F) || c == 0x2028 || c == 0x2029 || c == 0xFEFF ||
           is_bidi_control(c);
}

std::string without_harmful(std::string_view text) {
    std::string out;
    while (!text.empty()) {
        utf8proc_int32_t c = 0;
        const auto taken = utf8proc_iterate(reinterpret_cast<const utf8proc_uint8_t*>(text.data()),
                                            static_cast<utf8proc_ssize_t>(text.size()), &c);
        if (taken <= 0) {
            out += '_';
            text.remove_prefix(1);
            continue;
        }
        if (!is_dropped(c)) out += text.substr(0, static_cast<std::size_t>(taken));
        text.remove_prefix(static_cast<std::size_t>(taken));
    }
    return out;
}

// The longest beginning of at most `size` bytes that ends between code points.
std::string_view cut(std::string_view text, std::size_t size) {
    if (text.size() <= size) return text;
    while (size > 0 && (static_cast<unsigned char>(text[size]) & 0xC0U) == 0x80U) --size;
    return text.substr(0, size);
}

void trim(std::string& name) {
    name.erase(0, std::min(name.find_first_not_of(". "), name.size()));
    name.erase(name.find_last_not_of(". ") + 1);
}

bool is_reserved(std::string_view name) {
    static constexpr std::array<std::string_view, 6> kNames = {"con", "prn",    "aux",
                                                               "nul", "conin$", "conout$"};
    std::string base(name.substr(0, name.find('.')));
    while (base.ends_with(' ')) base.pop_back();
    std::transform(base.begin(), base.end(), base.begin(),
                   [](char c) { return c >= 'A' && c <= 'Z' ? static_cast<char>(c | 0x20) : c; });
    if (std::find(kNames.begin(), kNames.end(), base) != kNames.end()) return true;
    return base.size() == 4 && (base.starts_with("com") || base.starts_with("lpt")) &&
           base[3] >= '0' && base[3] <= '9';
}

// Base and extension; the extension is empty where there is none.
std::pair<std::string_view, std::string_view> split(std::string_view name) {
    const std::size_t dot = name.rfind('.');
    if (dot == std::string_view::npos || dot == 0) return {name, {}};
    return {name.substr(0, dot), name.substr(dot + 1)};
}

std::string fitted(std::string_view base, std::string_view middle, std::string_view extension) {
    extension = cut(extension, kMaxExtension);
    const std::size_t rest = middle.size() + (extension.empty() ? 0 : extension.size() + 1);
    std::string name(cut(base, kMaxName - rest));
    name += middle;
    if (!extension.empty()) name.append(".").append(extension);
    return name;
}

}  // namespace

std::string sanitized_name(std::string_view name) {
    name = name.substr(std::min(name.find_last_of("/\\") + 1, name.size()));
    // Twice: what is dropped may have stood between a dot and the end, and composing comes after.
    std::string safe = without_harmful(cut(name, kMaxInput));
    trim(safe);
    safe = mapped(safe, UTF8PROC_STABLE | UTF8PROC_COMPOSE);
    if (is_reserved(safe)) safe.insert(0, "_");
    if (safe.size() > kMaxName) {
        const auto [base, extension] = split(safe);
        safe = fitted(base, "", extension);
        trim(safe);
    }
    return safe;
}

std::string stored_name(std::string_view name, std::int64_t unix_seconds, unsigned number) {
    const auto [base, extension] = split(name);
    std::string middle = fmt::format("_{}", unix_seconds);
    if (number > 0) middle += fmt::format("-{}", number);
    return fitted(base.empty() ? "file" : base, middle, extension);
}

std::string folded_extension(std::string_view name) {
    const std::string_view extension = split(name).second;
    if (extension.empty()) return {};
    return mapped(extension, UTF8PROC_STABLE | UTF8PROC_COMPOSE | UTF8PROC_CASEFOLD);
}

std::vector<std::string> extension_list(std::string_view text) {
    std::vector<std::string> list;
    while (!text.empty()) {
        const std::size_t end = std::min(text.find(','), text.size());
        std::string_view item = text.substr(0, end);
        text.remove_prefix(std::min(end + 1, text.size()));
        while (item.starts_with(' ') || item.starts_with('.')) item.remove_prefix(1);
        while (item.ends_with(' ')) item.remove_suffix(1);
        if (!item.empty()) list.push_back(folded_extension(fmt::format("x.{}", item)));
    }
    return list;
}

std::string content_disposition(std::string_view kind, std::string_view name) {
    std::string ascii;
    bool plain = true;
    for (const char c : name) {
        const auto byte = static_cast<unsigned char>(c);
        if (byte >= 0x80) {
            plain = false;
            if ((byte & 0xC0U) != 0x80U) ascii += '_';  // one for a code point
        } else if (c == '"' || c == '\\' || c == '%' || byte < 0x20 || byte == 0x7F) {
            // Quoted pairs and escapes are read differently by different browsers.
            plain = false;
            ascii += '_';
        } else {
            ascii += c;
        }
    }
    std::string header = fmt::format("{}; filename=\"{}\"", kind, ascii);
    if (!plain) header += "; filename*=UTF-8''" + percent_encoded(name);
    return header;
}

}  // namespace larder::files
