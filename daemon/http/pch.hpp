// The library's precompiled header: Beast, which takes most of its compile time. Nothing of our own
// stands here, so that an edit of ours never rebuilds it.
#pragma once

// Asio 1.74 forgets these two under C++20.
#include <functional>
#include <utility>

#include <boost/asio/buffer.hpp>
#include <boost/beast/http/basic_parser.hpp>
