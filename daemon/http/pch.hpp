// The library's precompiled header: Asio and Beast, which take most of its compile time. Nothing of
// our own stands here, so that an edit of ours never rebuilds it.
#pragma once

// Asio 1.74 forgets these two under C++20.
#include <functional>
#include <utility>

#include <boost/asio/buffer.hpp>
#include <boost/asio/generic/stream_protocol.hpp>
#include <boost/asio/io_context.hpp>
#include <boost/asio/posix/stream_descriptor.hpp>
#include <boost/asio/post.hpp>
#include <boost/asio/steady_timer.hpp>
#include <boost/beast/http/basic_parser.hpp>
