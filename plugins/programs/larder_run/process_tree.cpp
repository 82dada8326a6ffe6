#include "larder_run/process_tree.hpp"

#include <dirent.h>
#include <fcntl.h>
#include <signal.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include <cerrno>
#include <cstdlib>
#include <string>
#include <vector>

#include "larder_run/small_files.hpp"

namespace larder::programs {
namespace {

constexpr std::size_t kMostProcesses = 4096;

// The children that the threads of a process have.
void add_children(pid_t pid, std::vector<pid_t>& found, std::uint64_t& tasks) {
    const std::string folder = "/proc/" + std::to_string(pid) + "/task";
    DIR* const threads = ::opendir(folder.c_str());
    if (threads == nullptr) return;
    while (const dirent* const thread = ::readdir(threads)) {
        if (thread->d_name[0] == '.') continue;
        ++tasks;
        const std::string text = read_file(folder + "/" + thread->d_name + "/children");
        const char* at = text.c_str();
        for (char* end = nullptr; found.size() < kMostProcesses; at = end) {
            const long child = std::strtol(at, &end, 10);
            if (end == at) break;
            found.push_back(static_cast<pid_t>(child));
        }
    }
    ::closedir(threads);
}

// utime, stime, cutime and cstime, in clock ticks: fields 14 to 17 of proc(5)'s stat.
std::uint64_t ticks_of(pid_t pid) {
    const std::string text = read_file("/proc/" + std::to_string(pid) + "/stat");
    const std::size_t behind_name = text.rfind(')');
    if (behind_name == std::string::npos) return 0;
    const char* at = text.c_str() + behind_name + 1;
    std::uint64_t ticks = 0;
    for (int field = 3; field <= 17; ++field) {
        while (*at == ' ') ++at;
        if (field >= 14) ticks += std::strtoull(at, nullptr, 10);
        while (*at != ' ' && *at != '\0') ++at;
    }
    return ticks;
}

}  // namespace

TreeUse look_at_tree(pid_t root) {
    static const auto page = static_cast<std::uint64_t>(::sysconf(_SC_PAGESIZE));
    static const auto hertz = static_cast<std::uint64_t>(::sysconf(_SC_CLK_TCK));
    TreeUse use;
    std::vector<pid_t> found{root};
    for (std::size_t i = 0; i < found.size(); ++i) {
        const pid_t pid = found[i];
        add_children(pid, found, use.tasks);
        use.cpu_us += ticks_of(pid) * 1'000'000 / hertz;
        const std::string memory = read_file("/proc/" + std::to_string(pid) + "/statm");
        char* end = nullptr;
        (void)std::strtoull(memory.c_str(), &end, 10);  // all of it: the second is what is held
        use.resident += std::strtoull(end, nullptr, 10) * page;
    }
    return use;
}

void kill_children() {
    for (int round = 0; round < 1000; ++round) {
        std::vector<pid_t> children;
        std::uint64_t tasks = 0;
        add_children(::getpid(), children, tasks);
        for (const pid_t child : children) ::kill(child, SIGKILL);
        pid_t gone = 0;
        while ((gone = ::waitpid(-1, nullptr, WNOHANG)) > 0) {
        }
        if (gone < 0 && errno == ECHILD) return;
        const timespec pause{0, 1'000'000};
        ::nanosleep(&pause, nullptr);
    }
}

}  // namespace larder::programs
