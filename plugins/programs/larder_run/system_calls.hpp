// Which system calls a program may not make, as a filter that bubblewrap installs. All others are
// allowed: namespaces, not this list, are what keeps a program in; it takes kernel code away from
// those who look for holes. The list is in print_filters.cpp, by which the build makes the filters.
#pragma once

#include <string_view>

namespace larder::programs {

// BPF; with `network` the Internet families are allowed.
std::string_view system_call_filter(bool network);

}  // namespace larder::programs
