// A real larderd, started for a test on a free loopback port with a data directory of its own. Not
// the client: that is raw_client.hpp.
#pragma once

#include <sys/types.h>

#include <chrono>
#include <functional>
#include <mutex>
#include <optional>
#include <string>
#include <thread>
#include <utility>
#include <vector>

#include "support/eventually.hpp"
#include "support/temporary_folder.hpp"

namespace larder::test {

struct DaemonOptions {
    std::string data_directory;                                         // required
    std::vector<std::string> arguments = {};                            // further options
    std::vector<std::pair<std::string, std::string>> environment = {};  // LARDER_…
    std::vector<std::string> wrapper = {};  // "strace", "-f", … before larderd
    bool listen = true;                     // --listen 127.0.0.1:0
    bool expect_ready = true;               // wait for the ready line
    // Listening sockets handed over as a service manager does: descriptors 3, 4…, LISTEN_FDS.
    std::vector<int> inherited_sockets = {};
};

class DaemonProcess {
public:
    // Throws std::runtime_error with what it said when it does not become ready.
    explicit DaemonProcess(DaemonOptions options);
    ~DaemonProcess();  // kills it if it still runs
    DaemonProcess(const DaemonProcess&) = delete;
    DaemonProcess& operator=(const DaemonProcess&) = delete;

    int port() const noexcept { return port_; }
    pid_t pid() const noexcept { return pid_; }
    std::string log() const;  // all of its stderr up to now
    bool wait_for_log(const std::string& text) const;
    bool is_running() const;

    void signal(int number) const;
    int stop();   // SIGTERM, waits; the exit code, or 128 + signal
    int wait();   // waits for its own end
    void kill();  // SIGKILL, waits

    static std::string binary();     // build/<preset>/bin/larderd
    static std::string larderctl();  // beside it

private:
    void read_log();

    pid_t pid_ = -1;
    int port_ = 0;
    int log_fd_ = -1;
    mutable std::mutex mutex_;
    std::string log_;  // guarded by mutex_
    bool log_ended_ = false;
    std::optional<int> exit_;
    std::thread reader_;
};

}  // namespace larder::test
