// Which system calls a program may not make, as a filter that bubblewrap installs. All others are
// allowed: namespaces, not this list, are what keeps a program in; it takes kernel code away from
// those who look for holes.
#pragma once

namespace larder::programs {

// A descriptor of the filter (BPF), rewound; with `network` the Internet families are allowed. -1
// where it cannot be made.
int make_filter(bool network);

}  // namespace larder::programs
