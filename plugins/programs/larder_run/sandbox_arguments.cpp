#include "larder_run/sandbox_arguments.hpp"

namespace larder::programs {
namespace {

constexpr const char* kLimiter = "/larder-limit";  // in the sandbox, where it is not below /usr

// /usr is in the sandbox as it is.
bool is_installed(const std::string& limiter) { return limiter.starts_with("/usr/"); }

void add(std::vector<std::string>& words, std::initializer_list<const char*> more) {
    words.insert(words.end(), more.begin(), more.end());
}

}  // namespace

std::vector<std::string> sandbox_arguments(const RunRequest& request, const HostPlaces& places) {
    const std::string passwd = std::to_string(kPasswdFd), empty = std::to_string(kEmptyFd);
    std::vector<std::string> words;
    add(words, {"--unshare-all", "--unshare-user"});
    if (request.network) add(words, {"--share-net"});
    if (request.no_userns) add(words, {"--disable-userns"});
    add(words, {"--die-with-parent", "--new-session", "--uid", "1000", "--gid", "1000"});
    add(words, {"--hostname", "sandbox", "--cap-drop", "ALL", "--clearenv"});
    add(words, {"--setenv", "PATH", "/usr/bin:/bin", "--setenv", "HOME", "/work"});
    add(words, {"--setenv", "TMPDIR", "/tmp", "--setenv", "LANG", "C.UTF-8"});
    for (const std::string& entry : request.environment) {
        const std::size_t equals = entry.find('=');
        if (equals == std::string::npos) continue;
        words.insert(words.end(), {"--setenv", entry.substr(0, equals), entry.substr(equals + 1)});
    }
    add(words,
        {"--ro-bind", "/usr", "/usr", "--symlink", "usr/bin", "/bin", "--symlink", "usr/sbin",
         "/sbin", "--symlink", "usr/lib", "/lib", "--symlink", "usr/lib64", "/lib64"});
    add(words, {"--ro-bind-try", "/etc/ld.so.cache", "/etc/ld.so.cache", "--ro-bind-try",
                "/etc/alternatives", "/etc/alternatives"});
    if (request.network) {
        for (const char* file : {"/etc/resolv.conf", "/etc/hosts", "/etc/nsswitch.conf",
                                 "/etc/services", "/etc/ssl/certs"}) {
            add(words, {"--ro-bind-try", file, file});
        }
    }
    // A file of the root, which is read-only in the end: a mount of its own costs more.
    words.insert(words.end(), {"--perms", "0444", "--file", passwd, "/etc/passwd"});
    if (!is_installed(places.limiter)) {
        words.insert(words.end(), {"--ro-bind", places.limiter, kLimiter});
    }
    if (request.proc) add(words, {"--proc", "/proc"});
    add(words, {"--dev", "/dev", "--perms", "1777", "--size", kSharedMemory, "--tmpfs", "/dev/shm",
                "--remount-ro", "/dev"});
    add(words, {"--perms", "1777", "--size", kTemporary, "--tmpfs", "/tmp"});
    add(words, {"--perms", "0700", "--size", kTemporary, "--tmpfs", "/work"});
    if (!places.folder.empty()) {
        words.insert(words.end(), {"--ro-bind", places.folder, "/app"});
        if (request.has_metadata) {
            words.insert(words.end(),
                         {"--perms", "0444", "--ro-bind-data", empty, "/app/.metadata.json"});
        }
        if (request.has_data) {
            words.insert(words.end(), {"--bind", places.folder + "/data", "/app/data"});
        }
        add(words, {"--chdir", "/app"});
    }
    add(words,
        {"--remount-ro", "/", "--seccomp", "10", "--json-status-fd", "11", "--block-fd", "14"});
    return words;
}

std::vector<std::string> limited_command(const RunRequest& request, const std::string& limiter,
                                         std::uint64_t most_tasks) {
    std::vector<std::string> words{is_installed(limiter) ? limiter : kLimiter,
                                   std::to_string(most_tasks),
                                   std::to_string(request.address_space)};
    words.insert(words.end(), request.command.begin(), request.command.end());
    return words;
}

}  // namespace larder::programs
