// The daemon's main(): blocks signals, builds Larderd, runs it. Start reading here; go on in
// larderd.hpp, then daemon.hpp.
#include "larderd.hpp"
#include "system/signals.hpp"

int main(int argc, char** argv) {
    larder::system::block_signals();
    larder::Larderd application;
    return application.start(argc, argv);
}
