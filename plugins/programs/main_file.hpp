// Which file of a project is its program: what larder.json says, else the origin's names in the
// origin's order. A pure function of names.
#pragma once

#include <string>
#include <string_view>
#include <vector>

namespace larder::programs {

struct MainFile {
    std::string file;  // empty: none
    std::string reason;
    std::vector<std::string> candidates;  // all that could have been, the best first; at most 50
};

// `files` are the project's paths; `declared` is what larder.json says, or empty.
MainFile find_main_file(std::vector<std::string> files, std::string_view declared);

// The member `main_file` of a larder.json. Throws Error{unprocessable, "invalid-archive"} with
// `reason` for a text that is none.
std::string declared_main_file(std::string_view larder_json);

}  // namespace larder::programs
