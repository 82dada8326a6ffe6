#include "table.hpp"

#include <sys/ioctl.h>
#include <unistd.h>

#include <algorithm>
#include <iostream>
#include <string_view>

namespace larder::ctl {
namespace {

std::size_t terminal_width() {
    winsize size{};
    const bool is_terminal = ioctl(STDOUT_FILENO, TIOCGWINSZ, &size) == 0 && size.ws_col > 0;
    return is_terminal ? size.ws_col : std::string::npos;
}

bool begins_character(char c) { return (static_cast<unsigned char>(c) & 0xC0U) != 0x80U; }

// Code points: good enough for names and reasons.
std::size_t width_of(const std::string& text) {
    return static_cast<std::size_t>(std::count_if(text.begin(), text.end(), begins_character));
}

std::string cut(const std::string& text, std::size_t width) {
    if (width_of(text) <= width) return text;
    std::string kept;
    std::size_t count = 0;
    for (const char c : text) {
        if (begins_character(c) && ++count >= width) break;
        kept += c;
    }
    return kept + "…";
}

}  // namespace

std::string printable(std::string_view text) {
    std::string shown;
    for (std::size_t i = 0; i < text.size(); ++i) {
        const auto byte = static_cast<unsigned char>(text[i]);
        const auto next = i + 1 < text.size() ? static_cast<unsigned char>(text[i + 1]) : 0U;
        const bool is_c1 = byte == 0xC2U && next >= 0x80U && next < 0xA0U;  // U+0080 to U+009F
        if (is_c1) ++i;
        shown += byte < 0x20U || byte == 0x7FU || is_c1 ? '?' : text[i];
    }
    return shown;
}

std::string Table::text(std::size_t width) const {
    std::vector<std::size_t> widths;
    for (const auto& row : rows_) {
        widths.resize(std::max(widths.size(), row.size()));
        for (std::size_t i = 0; i < row.size(); ++i) {
            widths[i] = std::max(widths[i], width_of(printable(row[i])));
        }
    }
    std::string out;
    for (const auto& row : rows_) {
        std::string line;
        std::size_t used = 0;
        for (std::size_t i = 0; i < row.size(); ++i) {
            const std::string cell = printable(row[i]);
            if (i + 1 == row.size()) {
                const std::size_t left = width > used ? width - used : 1;
                line += cut(cell, left);
            } else {
                line += cell + std::string(widths[i] - width_of(cell) + 2, ' ');
                used += widths[i] + 2;
            }
        }
        while (line.ends_with(' ')) line.pop_back();
        out += line + '\n';
    }
    return out;
}

void Table::print() const { std::cout << text(terminal_width()); }

}  // namespace larder::ctl
