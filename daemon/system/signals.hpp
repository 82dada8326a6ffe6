// The signals a daemon lives by, taken one at a time by the thread that waits for them. No
// handlers: no code of ours runs in signal context.
#pragma once

namespace larder::system {

// Blocks TERM, INT, HUP and ignores PIPE; first in main(), so that every thread inherits it.
void block_signals();

enum class Signal { stop = 1, reload };
Signal wait_for_signal();  // [control]

}  // namespace larder::system
