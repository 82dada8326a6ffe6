// Where bytes of an archive come from and go to. Not files: those are opened by whoever makes one.
#pragma once

#include <cstddef>
#include <functional>
#include <span>
#include <string_view>

namespace larder::backup {

// Takes the next bytes; throws to end it all.
using Drain = std::function<void(std::string_view bytes)>;
// Fills the front of `into` and returns how many bytes it gave; 0 at the end.
using Spring = std::function<std::size_t(std::span<char> into)>;

}  // namespace larder::backup
