// A real redis-server for a test, on a free loopback port, that the test may kill, stop and start
// again on the same port. Not a stand-in: those that lie are lying_server.hpp's.
#pragma once

#include <sys/types.h>

#include <string>
#include <vector>

#include "support/temporary_folder.hpp"

namespace larder::test {

class RedisServer {
public:
    // Further words of its command line: "--requirepass", "secret". Throws std::runtime_error when
    // it does not come to answer.
    explicit RedisServer(std::vector<std::string> options = {});
    ~RedisServer();
    RedisServer(const RedisServer&) = delete;
    RedisServer& operator=(const RedisServer&) = delete;

    int port() const noexcept { return port_; }
    std::string url() const { return "redis://127.0.0.1:" + std::to_string(port_); }
    void kill();          // SIGKILL, waits
    void start();         // after kill(), with nothing in it
    void pause() const;   // SIGSTOP
    void resume() const;  // SIGCONT

    // One command by redis-cli; what it printed.
    std::string command(const std::vector<std::string>& words) const;

private:
    TemporaryFolder folder_;
    const std::vector<std::string> options_;
    int port_ = 0;
    pid_t pid_ = -1;
};

}  // namespace larder::test
