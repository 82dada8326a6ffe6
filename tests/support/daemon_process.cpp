#include "support/daemon_process.hpp"

#include <fcntl.h>
#include <fmt/format.h>
#include <signal.h>
#include <sys/wait.h>
#include <unistd.h>

#include <array>
#include <cerrno>
#include <charconv>
#include <cstdlib>
#include <filesystem>
#include <stdexcept>

namespace larder::test {

namespace fs = std::filesystem;

namespace {

constexpr int kFirstInherited = 3;  // sd_listen_fds(3)
constexpr int kAside = 200;         // descriptors the ones above cannot meet

// In the child: puts the sockets where sd_listen_fds(3) wants them, open over exec.
void hand_over(const std::vector<int>& sockets) {
    if (sockets.empty()) return;
    std::vector<int> aside;
    aside.reserve(sockets.size());
    for (const int socket : sockets) aside.push_back(fcntl(socket, F_DUPFD_CLOEXEC, kAside));
    for (std::size_t i = 0; i < aside.size(); ++i) {
        dup2(aside[i], kFirstInherited + static_cast<int>(i));
    }
    setenv("LISTEN_FDS", std::to_string(sockets.size()).c_str(), 1);
    setenv("LISTEN_PID", std::to_string(getpid()).c_str(), 1);
}

}  // namespace

std::string DaemonProcess::binary() {
    return (fs::read_symlink("/proc/self/exe").parent_path() / "larderd").string();
}

std::string DaemonProcess::larderctl() {
    return (fs::read_symlink("/proc/self/exe").parent_path() / "larderctl").string();
}

DaemonProcess::DaemonProcess(DaemonOptions options) {
    std::array<int, 2> pipe_fds{};
    if (pipe2(pipe_fds.data(), O_CLOEXEC) != 0) throw std::runtime_error("pipe2");
    std::vector<std::string> words = options.wrapper;
    words.push_back(binary());
    words.insert(words.end(), {"--data-dir", options.data_directory});
    if (options.listen) words.insert(words.end(), {"--listen", "127.0.0.1:0"});
    words.insert(words.end(), options.arguments.begin(), options.arguments.end());
    std::vector<char*> arguments;
    arguments.reserve(words.size() + 1);
    for (std::string& word : words) arguments.push_back(word.data());
    arguments.push_back(nullptr);
    pid_ = fork();
    if (pid_ < 0) throw std::runtime_error("fork");
    if (pid_ == 0) {
        dup2(pipe_fds[1], STDERR_FILENO);
        for (const auto& [name, value] : options.environment) {
            setenv(name.c_str(), value.c_str(), 1);
        }
        hand_over(options.inherited_sockets);
        execvp(arguments[0], arguments.data());
        _exit(127);
    }
    close(pipe_fds[1]);
    log_fd_ = pipe_fds[0];
    reader_ = std::thread([this] { read_log(); });
    if (!options.expect_ready) return;
    const std::string marker = "larderd: ready on http";
    const bool ready = eventually([&] {
        const std::scoped_lock lock(mutex_);
        const std::size_t at = log_.find(marker);
        if (at == std::string::npos || log_.find('\n', at) == std::string::npos) {
            return log_ended_;
        }
        const std::string line = log_.substr(at, log_.find('\n', at) - at);
        std::from_chars(line.data() + line.rfind(':') + 1, line.data() + line.size(), port_);
        return true;
    });
    if (ready && port_ != 0) return;
    kill();
    throw std::runtime_error("larderd did not become ready; it said:\n" + log());
}

DaemonProcess::~DaemonProcess() { kill(); }

void DaemonProcess::read_log() {
    std::array<char, 4096> buffer{};
    for (;;) {
        const ssize_t got = read(log_fd_, buffer.data(), buffer.size());
        if (got < 0 && errno == EINTR) continue;
        const std::scoped_lock lock(mutex_);
        if (got <= 0) {
            log_ended_ = true;
            return;
        }
        log_.append(buffer.data(), static_cast<std::size_t>(got));
    }
}

std::string DaemonProcess::log() const {
    const std::scoped_lock lock(mutex_);
    return log_;
}

bool DaemonProcess::wait_for_log(const std::string& text) const {
    return eventually([&] { return log().find(text) != std::string::npos; });
}

bool DaemonProcess::is_running() const { return !exit_ && ::kill(pid_, 0) == 0; }

void DaemonProcess::signal(int number) const { ::kill(pid_, number); }

int DaemonProcess::wait() {
    if (!exit_) {
        int status = 0;
        while (waitpid(pid_, &status, 0) < 0 && errno == EINTR) {
        }
        exit_ = WIFSIGNALED(status) ? 128 + WTERMSIG(status) : WEXITSTATUS(status);
    }
    if (reader_.joinable()) {
        reader_.join();
        close(log_fd_);
    }
    return *exit_;
}

int DaemonProcess::stop() {
    signal(SIGTERM);
    return wait();
}

void DaemonProcess::kill() {
    if (!exit_) signal(SIGKILL);
    wait();
}

}  // namespace larder::test
