#include "larder_run/sandboxed_child.hpp"

#include <fcntl.h>
#include <grp.h>
#include <sched.h>
#include <sys/mount.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cerrno>
#include <cstdint>
#include <cstring>
#include <filesystem>
#include <string>
#include <string_view>
#include <system_error>
#include <vector>

#include "larder_run/descriptors.hpp"
#include "larder_run/sandbox_arguments.hpp"
#include "larder_run/system_calls.hpp"
#include "run_protocol.hpp"

namespace larder::programs {
namespace {

constexpr const char* kBubblewrap = "/usr/bin/bwrap";
// One line: programs that ask who they are get an answer.
constexpr std::string_view kPasswd = "sandbox:x:1000:1000::/work:/bin/sh\n";
constexpr std::uint64_t kBehindCgroup = 16;  // its limit, which tells that it was met, comes first
constexpr rlim_t kDescriptors = 1024;

[[noreturn]] void give_up(const char* doing) {
    const std::string text = std::string("larder-run: ") + doing + ": " + strerror(errno) + "\n";
    [[maybe_unused]] const ssize_t said = ::write(2, text.data(), text.size());
    ::_exit(127);
}

void limit(__rlimit_resource what, rlim_t value) {
    const rlimit both{value, value};
    if (::setrlimit(what, &both) != 0) give_up("setrlimit");
}

// The program's folder, and larder-limit, may stand where another user cannot reach them. So they
// are bound to places that all can reach, in mounts that nobody else sees.
HostPlaces bind_within_reach(const HostPlaces& places) {
    if (::unshare(CLONE_NEWNS) != 0) give_up("unshare");
    if (::mount("none", "/", nullptr, MS_REC | MS_PRIVATE, nullptr) != 0) give_up("mount /");
    // They may be below /tmp themselves: they are held by descriptors.
    const int folder = places.folder.empty() ? -1 : ::open(places.folder.c_str(), O_PATH);
    const int limiter = ::open(places.limiter.c_str(), O_PATH);
    if ((folder < 0 && !places.folder.empty()) || limiter < 0) give_up("open");
    if (::mount("none", "/tmp", "tmpfs", MS_NOSUID | MS_NODEV, "size=64k,mode=0755") != 0) {
        give_up("mount /tmp");
    }
    const auto bind = [](int fd, const char* to) {
        const std::string from = "/proc/self/fd/" + std::to_string(fd);
        if (::mount(from.c_str(), to, nullptr, MS_BIND, nullptr) != 0) give_up("bind");
        ::close(fd);
    };
    HostPlaces bound{{}, "/tmp/limit"};
    const int made = ::open("/tmp/limit", O_CREAT | O_EXCL | O_WRONLY | O_CLOEXEC, 0644);
    if (made < 0) give_up("create");
    ::close(made);
    bind(limiter, "/tmp/limit");
    if (folder >= 0) {
        bound.folder = "/tmp/app";
        if (::mkdir("/tmp/app", 0755) != 0) give_up("mkdir");
        bind(folder, "/tmp/app");
    }
    return bound;
}

void become(std::int64_t uid) {
    const auto id = static_cast<uid_t>(uid);
    if (::setgroups(0, nullptr) != 0 || ::setresgid(id, id, id) != 0 ||
        ::setresuid(id, id, id) != 0) {
        give_up("setresuid");
    }
}

std::vector<char*> pointers(std::vector<std::string>& words) {
    std::vector<char*> pointers;
    pointers.reserve(words.size() + 1);
    for (std::string& word : words) pointers.push_back(word.data());
    pointers.push_back(nullptr);
    return pointers;
}

std::string beside_us(const char* name) {
    std::error_code fault;
    return std::filesystem::read_symlink("/proc/self/exe", fault).replace_filename(name).string();
}

// Lays a descriptor at its place, without the flag that would close it.
void lay(int from, int to) {
    if (from < 0) return;
    if (from == to) {
        ::fcntl(from, F_SETFD, 0);
    } else if (::dup2(from, to) < 0) {
        give_up("dup2");
    }
}

}  // namespace

void run_child(const RunRequest& request, const RunCgroup* cgroup, const ChildFiles& files) {
    // Above all places that are laid below, so that none is overwritten before its time.
    const auto high = [](int fd) { return fd < 0 ? -1 : ::fcntl(fd, F_DUPFD_CLOEXEC, 64); };
    const int input = high(protocol::kInputFd), out = high(files.out), err = high(files.err);
    const int status = high(files.status), begin = high(files.begin);
    lay(input, 0);
    lay(out, 1);
    lay(err, 2);
    if (cgroup != nullptr && !cgroup->enter()) give_up("cgroup.procs");
    limit(RLIMIT_CORE, 0);
    limit(RLIMIT_NOFILE, kDescriptors);
    limit(RLIMIT_FSIZE, request.data_quota);
    // Of each process; the sum of them is watched from outside.
    limit(RLIMIT_CPU, static_cast<rlim_t>(request.cpu_ms / 1000 + 2));

    if (request.isolation == "none") {
        if (request.address_space > 0) limit(RLIMIT_AS, request.address_space);
        ::setsid();
        if (::chdir(request.folder.c_str()) != 0) give_up("chdir");
        std::vector<std::string> words = request.command, environment = request.environment;
        environment.insert(environment.begin(),
                           {"PATH=/usr/bin:/bin", "LANG=C.UTF-8", "HOME=/tmp"});
        ::close_range(3, 63, 0);  // its own end of the pipe by which it is told, too
        ::close_range(64, ~0U, CLOSE_RANGE_CLOEXEC);
        char told = 0;
        if (::read(begin, &told, 1) != 1) ::_exit(127);
        ::execve(words.front().c_str(), pointers(words).data(), pointers(environment).data());
        give_up(words.front().c_str());
    }

    const int filter = high(memory_file("filter", system_call_filter(request.network)));
    if (filter < 0) give_up("filter");
    HostPlaces places{request.folder, beside_us("larder-limit")};
    if (request.uid >= 0) {
        places = bind_within_reach(places);
        become(request.uid);
    }
    std::string arguments;
    for (const std::string& word : sandbox_arguments(request, places)) {
        arguments.append(word).append(1, '\0');
    }
    const int words_fd = high(memory_file("arguments", arguments));
    const int passwd = high(memory_file("passwd", kPasswd)), empty = high(memory_file("empty", {}));
    ::close_range(3, 63, CLOSE_RANGE_UNSHARE);
    lay(words_fd, kArgumentsFd);
    lay(filter, kFilterFd);
    lay(status, kStatusFd);
    lay(passwd, kPasswdFd);
    lay(begin, kBeginFd);
    if (!request.folder.empty() && request.has_metadata) lay(empty, kEmptyFd);
    // bubblewrap's own environment can be read in the sandbox.
    std::vector<std::string> words{"bwrap", "--args", "9", "--"}, environment{"PATH=/usr/bin:/bin"};
    const std::vector<std::string> command = limited_command(
        request, places.limiter,
        request.processes + (cgroup != nullptr ? kBehindCgroup : kSandboxProcesses));
    words.insert(words.end(), command.begin(), command.end());
    ::execve(kBubblewrap, pointers(words).data(), pointers(environment).data());
    give_up(kBubblewrap);
}

}  // namespace larder::programs
