#include "support/tracer.hpp"

#include <fcntl.h>
#include <fmt/format.h>
#include <signal.h>
#include <sys/wait.h>
#include <unistd.h>

#include <array>
#include <cerrno>
#include <filesystem>
#include <fstream>
#include <stdexcept>
#include <system_error>

#include "support/daemon_process.hpp"

namespace larder::test {
namespace {

// The call that an injection is about: what stands before its first colon.
std::string call_of(const std::string& injection) {
    return injection.substr(0, injection.find(':'));
}

void await_end(pid_t pid) {
    int status = 0;
    while (waitpid(pid, &status, 0) < 0 && errno == EINTR) {
    }
}

// Starts strace with its messages in a pipe, of which the reading end is returned.
int start_strace(const std::vector<std::string>& arguments, pid_t& pid) {
    std::vector<std::string> words{"strace", "-o", "/dev/null"};
    words.insert(words.end(), arguments.begin(), arguments.end());
    std::vector<char*> raw;
    raw.reserve(words.size() + 1);
    for (std::string& word : words) raw.push_back(word.data());
    raw.push_back(nullptr);
    std::array<int, 2> fds{};
    if (pipe2(fds.data(), O_CLOEXEC) != 0) throw std::runtime_error("pipe2");
    pid = fork();
    if (pid < 0) throw std::runtime_error("fork");
    if (pid == 0) {
        dup2(fds[1], STDERR_FILENO);
        execvp(raw[0], raw.data());
        _exit(127);
    }
    close(fds[1]);
    return fds[0];
}

// Reads until `mark` was said; what was said where it ended without.
std::string await_words(int fd, const std::string& mark) {
    std::string said;
    std::array<char, 1024> buffer{};
    while (said.find(mark) == std::string::npos) {
        const ssize_t got = read(fd, buffer.data(), buffer.size());
        if (got < 0 && errno == EINTR) continue;
        if (got <= 0) return said.empty() ? "strace said nothing; is it installed?" : said;
        said.append(buffer.data(), static_cast<std::size_t>(got));
    }
    return {};
}

}  // namespace

std::string tracing_unavailable() {
    static const std::string why = [] {
        const pid_t child = fork();
        if (child == 0) {
            pause();
            _exit(0);
        }
        std::string reason;
        try {
            const Tracer tracer(child, {"fdatasync:error=EIO:when=1"});
        } catch (const std::runtime_error& error) {
            reason = error.what();
        }
        kill(child, SIGKILL);
        await_end(child);
        return reason;
    }();
    return why;
}

pid_t thread_named(pid_t process, const std::string& name) {
    pid_t id = 0;
    // A thread that names itself has its name a moment after it was started.
    const bool found = eventually([&] {
        std::error_code gone;  // a thread, or all of them: looked for again
        for (const auto& task :
             std::filesystem::directory_iterator(fmt::format("/proc/{}/task", process), gone)) {
            std::ifstream file(task.path() / "comm");
            std::string line;
            if (std::getline(file, line) && line == name) id = std::stoi(task.path().filename());
        }
        return id != 0;
    });
    if (found) return id;
    throw std::runtime_error(fmt::format("process {} has no thread {}", process, name));
}

Tracer::Tracer(pid_t thread, const std::vector<std::string>& injections, bool whole_process) {
    std::vector<std::string> arguments{"-p", std::to_string(thread)};
    if (whole_process) arguments.emplace_back("-f");
    std::string calls;
    for (const std::string& injection : injections) {
        calls += (calls.empty() ? "" : ",") + call_of(injection);
        arguments.insert(arguments.end(), {"-e", "inject=" + injection});
    }
    arguments.insert(arguments.end(), {"-e", "trace=" + calls});
    const int messages = start_strace(arguments, pid_);
    const std::string trouble = await_words(messages, "attached");
    if (trouble.empty()) {
        messages_ = messages;  // kept open: with no reader, its next word would end it
        return;
    }
    close(messages);
    kill(pid_, SIGKILL);
    await_end(pid_);
    throw std::runtime_error(fmt::format("strace cannot attach: {}", trouble));
}

Tracer::~Tracer() {
    // An interrupted strace detaches. A second signal while it does so would be lost on it.
    kill(pid_, SIGINT);
    await_end(pid_);
    close(messages_);
}

}  // namespace larder::test
