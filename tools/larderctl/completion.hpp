// Completion scripts for shells, made of the very table that the command line is read by. They
// complete commands and options; names that the daemon keeps are not asked for.
#pragma once

#include <string>
#include <string_view>
#include <vector>

#include "command.hpp"

namespace larder::ctl {

// `shell` is "bash", "zsh" or "fish"; throws UsageError for another.
std::string completion(std::string_view shell, const std::vector<Command>& commands,
                       const std::vector<Option>& common_options);

}  // namespace larder::ctl
