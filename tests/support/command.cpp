#include "support/command.hpp"

#include <fcntl.h>
#include <signal.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cerrno>
#include <chrono>
#include <cstdlib>
#include <filesystem>
#include <sstream>
#include <stdexcept>

#include "support/daemon_process.hpp"

namespace larder::test {

Ran run(std::vector<std::string> words,
        const std::vector<std::pair<std::string, std::string>>& environment) {
    const TemporaryFolder folder;
    const std::string out = folder.path() + "/out", err = folder.path() + "/err";
    std::vector<char*> arguments;
    arguments.reserve(words.size() + 1);
    for (std::string& word : words) arguments.push_back(word.data());
    arguments.push_back(nullptr);
    const pid_t child = fork();
    if (child < 0) throw std::runtime_error("fork");
    if (child == 0) {
        dup2(open("/dev/null", O_RDONLY | O_CLOEXEC), STDIN_FILENO);
        dup2(open(out.c_str(), O_WRONLY | O_CREAT | O_CLOEXEC, 0600), STDOUT_FILENO);
        dup2(open(err.c_str(), O_WRONLY | O_CREAT | O_CLOEXEC, 0600), STDERR_FILENO);
        for (const auto& [name, value] : environment) setenv(name.c_str(), value.c_str(), 1);
        execvp(arguments[0], arguments.data());
        _exit(127);
    }
    int status = 0;
    pid_t ended = 0;
    const bool in_time = eventually(
        [&] {
            ended = waitpid(child, &status, WNOHANG);
            return ended == child;
        },
        std::chrono::minutes(1));
    if (!in_time) {
        ::kill(child, SIGKILL);
        waitpid(child, &status, 0);
    }
    Ran ran;
    ran.exit = WIFSIGNALED(status) ? 128 + WTERMSIG(status) : WEXITSTATUS(status);
    ran.out = read_file(out);
    ran.err = read_file(err);
    return ran;
}

bool is_installed(const std::string& program) {
    const char* const path = std::getenv("PATH");
    std::istringstream folders(path != nullptr ? path : "");
    for (std::string folder; std::getline(folders, folder, ':');) {
        if (access(folder.append("/").append(program).c_str(), X_OK) == 0) return true;
    }
    return false;
}

}  // namespace larder::test
