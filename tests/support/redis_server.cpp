#include "support/redis_server.hpp"

#include <fcntl.h>
#include <signal.h>
#include <sys/prctl.h>
#include <sys/wait.h>
#include <unistd.h>

#include <stdexcept>

#include "support/command.hpp"
#include "support/eventually.hpp"
#include "support/listening_socket.hpp"

namespace larder::test {

RedisServer::RedisServer(std::vector<std::string> options) : options_(std::move(options)) {
    constexpr int kTries = 5;  // somebody else may take the port in between
    for (int i = 0; pid_ < 0; ++i) {
        port_ = ListeningSocket().port();
        try {
            start();
        } catch (const std::runtime_error&) {
            kill();
            if (i == kTries) throw;
        }
    }
}

RedisServer::~RedisServer() { kill(); }

void RedisServer::start() {
    std::vector<std::string> words = {"redis-server",
                                      "--port",
                                      std::to_string(port_),
                                      "--bind",
                                      "127.0.0.1",
                                      "--save",
                                      "",
                                      "--appendonly",
                                      "no",
                                      "--dir",
                                      folder_.path(),
                                      "--enable-debug-command",
                                      "yes"};
    words.insert(words.end(), options_.begin(), options_.end());
    std::vector<char*> arguments;
    for (std::string& word : words) arguments.push_back(word.data());
    arguments.push_back(nullptr);
    pid_ = fork();
    if (pid_ == 0) {
        prctl(PR_SET_PDEATHSIG, SIGKILL);  // a test that aborts leaves none behind
        const int null = open("/dev/null", O_RDWR | O_CLOEXEC);
        dup2(null, STDOUT_FILENO);
        dup2(null, STDERR_FILENO);
        execvp(arguments[0], arguments.data());
        _exit(127);
    }
    const bool answers = pid_ > 0 && eventually([this] {
                             if (waitpid(pid_, nullptr, WNOHANG) == pid_) {
                                 pid_ = -1;
                                 return true;
                             }
                             const std::string said = command({"PING"});
                             return said.find("PONG") == 0 || said.find("NOAUTH") == 0;
                         });
    if (!answers || pid_ < 0) throw std::runtime_error("redis-server does not answer");
}

void RedisServer::kill() {
    if (pid_ <= 0) return;
    ::kill(pid_, SIGKILL);
    waitpid(pid_, nullptr, 0);
    pid_ = -1;
}

// A pid of -1 would mean every process there is.
void RedisServer::pause() const {
    if (pid_ > 0) ::kill(pid_, SIGSTOP);
}

void RedisServer::resume() const {
    if (pid_ > 0) ::kill(pid_, SIGCONT);
}

std::string RedisServer::command(const std::vector<std::string>& words) const {
    std::vector<std::string> all = {"redis-cli", "-p", std::to_string(port_)};
    all.insert(all.end(), words.begin(), words.end());
    return run(all).out;
}

}  // namespace larder::test
