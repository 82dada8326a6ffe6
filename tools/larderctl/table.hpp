// Rows in columns that fit the terminal, for people; what programs read is --json.
#pragma once

#include <string>
#include <string_view>
#include <vector>

namespace larder::ctl {

class Table {
public:
    explicit Table(std::vector<std::string> heads) { rows_.push_back(std::move(heads)); }

    void add(std::vector<std::string> row) { rows_.push_back(std::move(row)); }
    // Columns as wide as their widest cell; on a terminal the last one is cut to what is left.
    std::string text(std::size_t width) const;
    void print() const;  // to standard output, in its width

private:
    std::vector<std::vector<std::string>> rows_;
};

// Control bytes become '?', so that no stored text commands a terminal.
std::string printable(std::string_view text);

}  // namespace larder::ctl
