// Begins a daemon that goes into the background: whoever started it is kept until it is known how
// that went. Not the going itself, which is the application frame's.
#pragma once

#include <string_view>

namespace larder::system {

// Forks. In the child it returns and the verdict is awaited; in the parent it does not: it prints
// what tell() says and ends with its code, or with EXIT_FAILURE when the child ended without a
// word. Before any thread is started; at most once. [control]
void begin_background();

// The verdict: 0 when it serves. Only the first counts; without begin_background() nothing happens
// and false is returned. [control]
bool tell(int code, std::string_view text);

}  // namespace larder::system
