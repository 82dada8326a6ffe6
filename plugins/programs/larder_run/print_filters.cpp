// Run by the build, not by larder-run: prints the filters of system_calls.hpp as C++. They are the
// same for each run, and to make one takes longer than the rest of what larder-run does.

#include <sched.h>
#include <seccomp.h>
#include <sys/ioctl.h>
#include <sys/socket.h>
#include <unistd.h>

#include <cerrno>
#include <cstdint>
#include <cstdio>
#include <initializer_list>

namespace {

constexpr const char* kForbidden[] = {
    // file systems and roots
    "mount", "umount", "umount2", "pivot_root", "chroot", "fsopen", "fsconfig", "fsmount", "fspick",
    "move_mount", "open_tree", "mount_setattr", "quotactl", "quotactl_fd", "swapon", "swapoff",
    "mknod", "mknodat", "name_to_handle_at", "open_by_handle_at", "fanotify_init", "lookup_dcookie",
    "nfsservctl",
    // namespaces
    "setns", "unshare",
    // keys
    "add_key", "request_key", "keyctl",
    // other processes
    "ptrace", "process_vm_readv", "process_vm_writev", "process_madvise", "kcmp", "pidfd_getfd",
    // the kernel itself
    "bpf", "perf_event_open", "userfaultfd", "init_module", "finit_module", "delete_module",
    "kexec_load", "kexec_file_load", "reboot", "syslog", "acct", "vhangup", "personality",
    "_sysctl", "uselib", "ustat", "sysfs", "iopl", "ioperm", "modify_ldt",
    // clocks of all
    "clock_settime", "clock_adjtime", "settimeofday", "stime", "adjtimex", "sethostname",
    "setdomainname", "move_pages", "migrate_pages", "mbind", "set_mempolicy"};

// As if the kernel had none: libraries then fall back.
constexpr const char* kAbsent[] = {"clone3", "io_uring_setup", "io_uring_enter",
                                   "io_uring_register", "memfd_secret"};

constexpr std::uint64_t kNewNamespace = CLONE_NEWNS | CLONE_NEWCGROUP | CLONE_NEWUTS |
                                        CLONE_NEWIPC | CLONE_NEWUSER | CLONE_NEWPID | CLONE_NEWNET;

bool add_rules(scmp_filter_ctx filter, bool network) {
    bool good = true;
    const auto rule = [&](std::uint32_t action, const char* name) {
        const int number = seccomp_syscall_resolve_name(name);
        if (number == __NR_SCMP_ERROR) return;  // this libseccomp knows it not
        good = seccomp_rule_add(filter, action, number, 0) == 0 && good;
    };
    for (const char* name : kForbidden) rule(SCMP_ACT_ERRNO(EPERM), name);
    for (const char* name : kAbsent) rule(SCMP_ACT_ERRNO(ENOSYS), name);
    const auto judge = [&](std::uint32_t action, int call, const scmp_arg_cmp& argument) {
        good = seccomp_rule_add(filter, action, call, 1, argument) == 0 && good;
    };
    // The library's macros for conditions are C's.
    const auto masked = [](unsigned number, std::uint64_t mask, std::uint64_t value) {
        return scmp_arg_cmp{number, SCMP_CMP_MASKED_EQ, mask, value};
    };
    for (std::uint64_t flag = 1; flag != 0 && flag <= kNewNamespace; flag <<= 1U) {
        if ((kNewNamespace & flag) == 0) continue;
        judge(SCMP_ACT_ERRNO(EPERM), SCMP_SYS(clone), masked(0, flag, flag));
    }
    for (const std::uint64_t request : {std::uint64_t{TIOCSTI}, std::uint64_t{TIOCLINUX}}) {
        judge(SCMP_ACT_ERRNO(EPERM), SCMP_SYS(ioctl), masked(1, 0xFFFFFFFFU, request));
    }
    // socket(2): all families above the last that is allowed, and those below it.
    const auto family = [&](scmp_compare how, std::uint64_t number) {
        judge(SCMP_ACT_ERRNO(EAFNOSUPPORT), SCMP_SYS(socket), scmp_arg_cmp{0, how, number, 0});
    };
    static_assert(AF_UNIX == 1 && AF_INET == 2 && AF_INET6 == 10 && AF_NETLINK == 16);
    family(SCMP_CMP_EQ, AF_UNSPEC);
    if (!network) {
        family(SCMP_CMP_GT, AF_UNIX);
        return good;
    }
    for (std::uint64_t other = AF_INET + 1; other < AF_INET6; ++other) family(SCMP_CMP_EQ, other);
    for (std::uint64_t other = AF_INET6 + 1; other < AF_NETLINK; ++other) {
        family(SCMP_CMP_EQ, other);
    }
    family(SCMP_CMP_GT, AF_NETLINK);
    return good;
}

bool print_filter(const char* name, bool network) {
    scmp_filter_ctx filter = seccomp_init(SCMP_ACT_ALLOW);
    std::FILE* const file = std::tmpfile();
    if (filter == nullptr || file == nullptr || !add_rules(filter, network) ||
        seccomp_export_bpf(filter, ::fileno(file)) != 0) {
        return false;
    }
    seccomp_release(filter);
    std::rewind(file);
    std::printf("constexpr unsigned char %s[] = {", name);
    for (int byte = 0; (byte = std::fgetc(file)) != EOF;) std::printf("%d,", byte);
    std::printf("};\n");
    return std::fclose(file) == 0;
}

}  // namespace

int main() {
    std::printf(
        "#include \"larder_run/system_calls.hpp\"\n"
        "namespace larder::programs {\nnamespace {\n");
    if (!print_filter("kWithoutNetwork", false) || !print_filter("kWithNetwork", true)) return 1;
    std::printf(
        "}\nstd::string_view system_call_filter(bool network) {\n"
        "    if (network) return {reinterpret_cast<const char*>(kWithNetwork), sizeof "
        "kWithNetwork};\n"
        "    return {reinterpret_cast<const char*>(kWithoutNetwork), sizeof kWithoutNetwork};\n"
        "}\n}\n");
    return 0;
}
