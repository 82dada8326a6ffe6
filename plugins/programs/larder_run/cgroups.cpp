// v1: one folder in each of the controllers memory, pids and cpuacct, below our own. v2: one folder
// beside the daemon's, which first moves into `main`, since a group with processes of its own may
// have no controllers below it.
#include "larder_run/cgroups.hpp"

#include <dirent.h>
#include <fcntl.h>
#include <signal.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <charconv>
#include <string_view>

#include "larder_run/small_files.hpp"

namespace larder::programs {
namespace {

constexpr const char* kRoot = "/sys/fs/cgroup";
constexpr std::string_view kPrefix = "larder-run-";
// Of its own processes, bubblewrap's two are no part of what a program may have.
constexpr std::uint64_t kSandboxProcesses = 2;

bool write_file(const std::string& path, std::string_view text) {
    const int fd = ::open(path.c_str(), O_WRONLY | O_CLOEXEC);
    if (fd < 0) return false;
    const bool written = ::write(fd, text.data(), text.size()) == static_cast<ssize_t>(text.size());
    ::close(fd);
    return written;
}

bool is_folder(const std::string& path) {
    struct stat status {};
    return ::stat(path.c_str(), &status) == 0 && S_ISDIR(status.st_mode);
}

std::uint64_t number(std::string_view text) {
    std::uint64_t value = 0;
    std::from_chars(text.data(), text.data() + text.size(), value);
    return value;
}

// Of the line "name value"; 0 where there is none.
std::uint64_t field(const std::string& path, std::string_view name) {
    const std::string text = read_file(path);
    for (std::size_t at = 0; at < text.size();) {
        const std::size_t end = std::min(text.find('\n', at), text.size());
        const std::string_view line = std::string_view(text).substr(at, end - at);
        if (line.starts_with(name) && line.size() > name.size() && line[name.size()] == ' ') {
            return number(line.substr(name.size() + 1));
        }
        at = end + 1;
    }
    return 0;
}

// Our own group in a hierarchy: "memory" of v1, or "" for v2.
std::string own_folder(std::string_view controller) {
    const std::string text = read_file("/proc/self/cgroup");
    for (std::size_t at = 0; at < text.size();) {
        const std::size_t end = std::min(text.find('\n', at), text.size());
        const std::string_view line = std::string_view(text).substr(at, end - at);
        at = end + 1;
        const std::size_t one = line.find(':'), two = line.find(':', one + 1);
        if (one == std::string_view::npos || two == std::string_view::npos) continue;
        const std::string names = "," + std::string(line.substr(one + 1, two - one - 1)) + ",";
        if (names != ",," && names.find("," + std::string(controller) + ",") == std::string::npos) {
            continue;
        }
        if ((names == ",,") != controller.empty()) continue;
        std::string root = kRoot;
        if (!controller.empty()) root += "/" + std::string(controller);
        std::string own = root + std::string(line.substr(two + 1));
        // A container may see another tree than the one its path is of.
        if (!is_folder(own)) own = root;
        while (own.ends_with('/')) own.pop_back();
        return own;
    }
    return {};
}

// Where v2 runs go: beside `main`, into which all that stood above it moves first.
std::string delegated_folder() {
    if (!is_folder(kRoot) || read_file(std::string(kRoot) + "/cgroup.controllers").empty()) {
        return {};
    }
    std::string base = own_folder({});
    if (base.ends_with("/main")) base.resize(base.size() - 5);
    if (base.empty() || base == kRoot) return {};
    const auto has_controllers = [&] {
        const std::string given = read_file(base + "/cgroup.subtree_control");
        return given.find("memory") != std::string::npos && given.find("pids") != std::string::npos;
    };
    if (has_controllers()) return base;
    const std::string inner = base + "/main";
    if (::mkdir(inner.c_str(), 0755) != 0 && !is_folder(inner)) return {};
    const std::string members = read_file(base + "/cgroup.procs");
    for (std::size_t at = 0; at < members.size();) {
        const std::size_t end = std::min(members.find('\n', at), members.size());
        write_file(inner + "/cgroup.procs", members.substr(at, end - at));
        at = end + 1;
    }
    write_file(base + "/cgroup.subtree_control", "+memory +pids");
    write_file(base + "/cgroup.subtree_control", "+cpu");
    return has_controllers() ? base : std::string();
}

void sweep_folder(const std::string& base) {
    DIR* const folder = base.empty() ? nullptr : ::opendir(base.c_str());
    if (folder == nullptr) return;
    while (const dirent* const entry = ::readdir(folder)) {
        const std::string_view name(entry->d_name);
        if (!name.starts_with(kPrefix)) continue;
        // Another daemon's run may have made it a moment ago, and have nobody in it yet.
        const auto maker = static_cast<pid_t>(number(name.substr(kPrefix.size())));
        if (::kill(maker, 0) == 0 || errno == EPERM) continue;
        ::rmdir((base + "/" + entry->d_name).c_str());  // fails where it is in use
    }
    ::closedir(folder);
}

void rest() {
    const timespec pause{0, 2'000'000};
    ::nanosleep(&pause, nullptr);
}

}  // namespace

std::unique_ptr<RunCgroup> RunCgroup::make(const RunRequest& request) {
    auto cgroup = std::unique_ptr<RunCgroup>(new RunCgroup());
    if (cgroup->make_v2(request) || cgroup->make_v1(request)) return cgroup;
    return nullptr;
}

bool RunCgroup::make_v2(const RunRequest& request) {
    const std::string base = delegated_folder();
    if (base.empty()) return false;
    const std::string path = base + "/" + std::string(kPrefix) + std::to_string(::getpid());
    if (::mkdir(path.c_str(), 0755) != 0) return false;
    v2_ = true;
    folders_.push_back({path, true, true, true});
    const bool limited =
        write_file(path + "/memory.max", std::to_string(request.memory)) &&
        write_file(path + "/pids.max", std::to_string(request.processes + kSandboxProcesses));
    write_file(path + "/memory.swap.max", "0");
    write_file(path + "/memory.oom.group", "1");
    return limited;
}

bool RunCgroup::make_v1(const RunRequest& request) {
    for (const Folder& left : folders_) ::rmdir(left.path.c_str());
    folders_.clear();
    v2_ = false;
    if (::geteuid() != 0) return false;
    const std::string name = "/" + std::string(kPrefix) + std::to_string(::getpid());
    const auto make = [&](const char* controller) {
        const std::string own = own_folder(controller);
        if (own.empty() || ::mkdir((own + name).c_str(), 0755) != 0) return false;
        folders_.push_back({own + name, false, false, false});
        return true;
    };
    if (!make("memory")) return false;
    const std::string memory = folders_.back().path;
    folders_.back().has_memory = true;
    const std::string bytes = std::to_string(request.memory);
    if (!write_file(memory + "/memory.limit_in_bytes", bytes)) return false;
    write_file(memory + "/memory.memsw.limit_in_bytes", bytes);  // where swap is accounted for
    if (!make("pids")) return false;
    folders_.back().has_processes = true;
    if (!write_file(folders_.back().path + "/pids.max",
                    std::to_string(request.processes + kSandboxProcesses))) {
        return false;
    }
    if (make("cpuacct")) folders_.back().has_cpu = true;
    return true;
}

void RunCgroup::sweep() {
    sweep_folder(delegated_folder());
    if (::geteuid() != 0) return;
    for (const char* controller : {"memory", "pids", "cpuacct"}) {
        sweep_folder(own_folder(controller));
    }
}

RunCgroup::~RunCgroup() {
    kill();
    for (const Folder& folder : folders_) {
        for (int round = 0; round < 500 && ::rmdir(folder.path.c_str()) != 0; ++round) {
            if (errno != EBUSY) break;
            rest();
        }
    }
}

bool RunCgroup::enter() const {
    return std::all_of(folders_.begin(), folders_.end(), [](const Folder& folder) {
        return write_file(folder.path + "/cgroup.procs", "0");
    });
}

bool RunCgroup::out_of_memory() const {
    for (const Folder& folder : folders_) {
        if (!folder.has_memory) continue;
        return field(folder.path + (v2_ ? "/memory.events" : "/memory.oom_control"), "oom_kill") >
               0;
    }
    return false;
}

bool RunCgroup::out_of_processes() const {
    for (const Folder& folder : folders_) {
        if (folder.has_processes) return field(folder.path + "/pids.events", "max") > 0;
    }
    return false;
}

std::uint64_t RunCgroup::cpu_us() const {
    for (const Folder& folder : folders_) {
        if (!folder.has_cpu) continue;
        if (v2_) return field(folder.path + "/cpu.stat", "usage_usec");
        return number(read_file(folder.path + "/cpuacct.usage")) / 1000;
    }
    return 0;
}

std::uint64_t RunCgroup::peak() const {
    for (const Folder& folder : folders_) {
        if (!folder.has_memory) continue;
        return number(
            read_file(folder.path + (v2_ ? "/memory.peak" : "/memory.max_usage_in_bytes")));
    }
    return 0;
}

std::vector<int> RunCgroup::members() const {
    std::vector<int> members;
    const std::string text = read_file(folders_.front().path + "/cgroup.procs");
    for (std::size_t at = 0; at < text.size();) {
        const std::size_t end = std::min(text.find('\n', at), text.size());
        members.push_back(static_cast<int>(number(std::string_view(text).substr(at, end - at))));
        at = end + 1;
    }
    return members;
}

void RunCgroup::kill() const {
    if (folders_.empty()) return;
    if (v2_) write_file(folders_.front().path + "/cgroup.kill", "1");
    for (int round = 0; round < 1000; ++round) {
        const std::vector<int> left = members();
        if (left.empty()) return;
        for (const int pid : left) {
            if (pid > 0) ::kill(pid, SIGKILL);
        }
        rest();
    }
}

}  // namespace larder::programs
