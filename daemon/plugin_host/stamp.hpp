// Judges a plugin's file by the stamp in it, before any of its code could run. Reads bytes only; it
// never loads.
#pragma once

#include <string>

#include "larder/abi.hpp"

namespace larder::plugin_host {

struct Verdict {
    bool taken = false;
    std::string why;  // when refused: the field, both sides, the remedy
    AbiStamp stamp;   // as found; only when the file had one
};

// Never throws for what the file holds. [any]
Verdict judge_file(const std::string& path);
Verdict judge_stamp(const AbiStamp& stamp);

}  // namespace larder::plugin_host
