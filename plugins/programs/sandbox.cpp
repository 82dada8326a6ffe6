// larder-run is started by posix_spawn, with no environment, and with no descriptor but its own: a
// fork of the daemon would copy its page tables, and a descriptor that is left open would be a
// program's.
#include "sandbox.hpp"

#include <fcntl.h>
#include <fmt/format.h>
#include <poll.h>
#include <signal.h>
#include <spawn.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <cerrno>
#include <chrono>
#include <cstring>

#include "programs_folder.hpp"
#include "storage-kit/digest.hpp"
#include "storage-kit/json.hpp"

namespace larder::programs {
namespace {

using protocol::append_item;
using storage::OwnedFd;

struct Interpreter {
    std::string_view language, name, path;
};
constexpr std::array<Interpreter, 3> kInterpreters = {{{"python", "python3", "/usr/bin/python3"},
                                                       {"bash", "bash", "/usr/bin/bash"},
                                                       {"javascript", "node", "/usr/bin/node"}}};

constexpr const char* kBubblewrap = "/usr/bin/bwrap";
constexpr std::uint64_t kReducedProcesses = 32;
constexpr std::int64_t kProbeMs = 10'000;
// A root daemon's programs each have a user of their own, of so many.
constexpr std::uint32_t kUsers = 64;

const Interpreter* interpreter_of(std::string_view language) {
    const auto found =
        std::find_if(kInterpreters.begin(), kInterpreters.end(),
                     [&](const Interpreter& known) { return known.language == language; });
    return found == kInterpreters.end() ? nullptr : &*found;
}

bool is_there(std::string_view path) { return ::access(std::string(path).c_str(), X_OK) == 0; }

Error sandbox_unavailable(const std::string& reason) {
    return std::move(Error(Errc::unavailable, "sandbox-unavailable",
                           fmt::format("programs cannot be run here: {}", reason))
                         .with("reason", storage::json::quoted(reason)));
}

// Above the places that a child's own descriptors are laid at.
OwnedFd lifted(int fd) {
    const int high = ::fcntl(fd, F_DUPFD_CLOEXEC, 16);
    if (high < 0) throw sandbox_unavailable(fmt::format("descriptors: {}", strerror(errno)));
    return OwnedFd(high);
}

OwnedFd memory_file(const char* name, std::string_view bytes) {
    const OwnedFd fd(::memfd_create(name, MFD_CLOEXEC | MFD_ALLOW_SEALING));
    if (fd.get() < 0) throw sandbox_unavailable(fmt::format("memfd_create: {}", strerror(errno)));
    for (std::size_t at = 0; at < bytes.size();) {
        const ssize_t wrote = ::write(fd.get(), bytes.data() + at, bytes.size() - at);
        if (wrote <= 0) throw sandbox_unavailable(fmt::format("memfd: {}", strerror(errno)));
        at += static_cast<std::size_t>(wrote);
    }
    ::lseek(fd.get(), 0, SEEK_SET);
    ::fcntl(fd.get(), F_ADD_SEALS, F_SEAL_SHRINK | F_SEAL_GROW | F_SEAL_WRITE | F_SEAL_SEAL);
    return lifted(fd.get());
}

// Beside the daemon, as it is built; or where it is installed.
std::string find_helper() {
    std::string self(4096, '\0');
    const ssize_t length = ::readlink("/proc/self/exe", self.data(), self.size());
    self.resize(length > 0 ? static_cast<std::size_t>(length) : 0);
    const std::string folder = self.substr(0, self.rfind('/'));
    for (const char* place : {"/larder-run", "/../libexec/larder/larder-run"}) {
        if (is_there(folder + place)) return folder + place;
    }
    return {};
}

// What an admin can do about what bubblewrap says.
std::string with_cure(const std::string& fault) {
    const auto says = [&](const char* text) { return fault.find(text) != std::string::npos; };
    std::string cure;
    if (says("No permissions to create new namespace") || says("Operation not permitted")) {
        cure =
            "allow unprivileged user namespaces (sysctl kernel.unprivileged_userns_clone=1; in a "
            "container its seccomp profile; in a unit RestrictNamespaces=no)";
    } else if (says("max_*_namespaces") || says("ENOSPC")) {
        cure = "raise user.max_user_namespaces";
    } else if (says("uid map") || says("RTM_NEWADDR")) {
        cure = "give /usr/bin/bwrap an AppArmor profile that allows userns";
    } else if (says("mount /: Invalid argument")) {
        cure = "it runs in a chroot, where the kernel grants no user namespaces: run it outside";
    } else if (says("NETLINK")) {
        cure = "add AF_NETLINK to RestrictAddressFamilies of the unit";
    }
    return cure.empty() ? fault : fmt::format("{}; {}", fault, cure);
}

}  // namespace

std::string_view word_of(Tier tier) {
    switch (tier) {
        case Tier::full: return "full";
        case Tier::reduced: return "reduced";
        case Tier::bare: return "none";
        case Tier::none: return "unavailable";
    }
    return "unavailable";
}

Sandbox::Sandbox(Host& host) : host_(host), helper_(host.settings().text("helper")) {
    if (helper_.empty()) helper_ = find_helper();
    probe();
    Log& log = host_.log();
    if (tier_ == Tier::none) {
        log.write(Level::warning, fmt::format("programs cannot be run: {}", reason_));
    } else if (tier_ == Tier::bare) {
        log.write(Level::warning,
                  "programs.isolation = none: programs run with all that the daemon may do");
    } else if (tier_ == Tier::reduced) {
        log.write(Level::warning,
                  "no control group can be had: the memory of programs is watched, not bounded, "
                  "and two run at once at most; start under systemd with Delegate=yes");
    } else {
        log.write(Level::info, "programs run isolated, in control groups");
    }
}

void Sandbox::probe() {
    const Settings& settings = host_.settings();
    most_processes_ = static_cast<std::uint64_t>(settings.integer("processes"));
    if (helper_.empty() || !is_there(helper_)) {
        reason_ =
            "larder-run is neither beside larderd nor in ../libexec/larder; install it, or "
            "name it by programs.helper";
        return;
    }
    if (settings.text("isolation") == "none") {
        tier_ = Tier::bare;
        return;
    }
    if (!is_there(kBubblewrap)) {
        reason_ = "/usr/bin/bwrap is missing; install the package bubblewrap";
        return;
    }
    // /proc may be covered, and what forbids more namespaces may be read-only: both can be missed.
    constexpr std::pair<bool, bool> kVariants[] = {{true, true}, {true, false}, {false, false}};
    std::string first_fault;
    for (const auto& [proc, no_userns] : kVariants) {
        proc_ = proc;
        no_userns_ = no_userns;
        const Outcome outcome = try_command({"/usr/bin/true"}, true);
        if (first_fault.empty()) first_fault = outcome.fault;
        if (!outcome.good) continue;
        tier_ = outcome.cgroup ? Tier::full : Tier::reduced;
        if (!proc) host_.log().write(Level::notice, "programs get no /proc: it is covered here");
        break;
    }
    if (tier_ == Tier::none) {
        while (first_fault.ends_with('\n')) first_fault.pop_back();
        reason_ = with_cure(first_fault);
    } else if (tier_ == Tier::reduced && settings.text("require") == "full") {
        tier_ = Tier::none;
        reason_ =
            "programs.require = full, and no control group can be had; start under systemd "
            "with Delegate=yes, or set programs.require = namespaces";
    }
    if (tier_ == Tier::reduced) most_processes_ = std::min(most_processes_, kReducedProcesses);
}

void Sandbox::demand(std::string_view language) const {
    if (tier_ == Tier::none) throw sandbox_unavailable(reason_);
    const Interpreter* const interpreter = interpreter_of(language);
    if (interpreter != nullptr && is_there(interpreter->path)) return;
    throw Error(Errc::unavailable, "interpreter-missing",
                fmt::format("{} is not installed",
                            interpreter == nullptr ? "an interpreter for it" : interpreter->path));
}

void Sandbox::add_common(std::string& items) const {
    append_item(items, "isolation", tier_ == Tier::bare ? "none" : "bwrap");
    append_item(items, "proc", proc_ ? "1" : "0");
    append_item(items, "no_userns", no_userns_ ? "1" : "0");
    append_item(items, "processes", std::to_string(most_processes_));
}

RunProcess Sandbox::start(const ExecutionRequest& request, const std::string& folder) const {
    const Settings& settings = host_.settings();
    const Interpreter* const interpreter = interpreter_of(request.language);
    if (tier_ == Tier::none || interpreter == nullptr) throw sandbox_unavailable(reason_);
    const std::uint64_t memory = settings.bytes("memory");
    const std::string place = tier_ == Tier::bare ? folder : "/app";
    std::string items;
    add_common(items);
    append_item(items, "folder", folder);
    append_item(items, "data", is_there(folder + "/data") ? "1" : "0");
    append_item(items, "metadata",
                ::access((folder + "/.metadata.json").c_str(), F_OK) == 0 ? "1" : "0");
    append_item(items, "network", request.network ? "1" : "0");
    append_item(items, "wall_ms", std::to_string(request.timeout_ms));
    const std::int64_t cpu = settings.duration("cpu_time").count();
    append_item(items, "cpu_ms", std::to_string(cpu > 0 ? cpu : request.timeout_ms + 1000));
    append_item(items, "memory", std::to_string(memory));
    append_item(items, "output", std::to_string(settings.bytes("output")));
    append_item(items, "data_quota", std::to_string(settings.bytes("data_quota")));
    if (::geteuid() == 0 && tier_ != Tier::bare) {
        const auto first = settings.integer("first_uid");
        append_item(items, "uid",
                    std::to_string(first + storage::crc32c(request.program_id) % kUsers));
    }
    const bool is_node = request.language == "javascript";
    if (tier_ != Tier::full) {
        // Far behind what is watched; node reserves more than a gigabyte that it never touches.
        const std::uint64_t least = is_node ? std::uint64_t{3} << 30U : 0;
        append_item(items, "address_space", std::to_string(std::max(memory * 2, least)));
    }
    append_item(items, "arg", interpreter->path);
    if (request.language == "python") append_item(items, "arg", "-B");
    if (is_node) {
        const std::uint64_t heap = std::max<std::uint64_t>(memory / 2, 64U << 20U) >> 20U;
        append_item(items, "arg", fmt::format("--max-old-space-size={}", heap));
    }
    append_item(items, "arg", place + "/" + request.main_file);
    for (const std::string& argument : request.arguments) append_item(items, "arg", argument);
    for (const std::string& entry : request.environment) append_item(items, "env", entry);
    return spawn(items, request.input);
}

void RunProcess::tell(char what) const noexcept {
    // One that ended already is not there to hear it.
    [[maybe_unused]] const ssize_t told = ::write(control.get(), &what, 1);
}

RunProcess Sandbox::spawn(const std::string& items, std::string_view input) const {
    const OwnedFd request_fd = memory_file("request", items),
                  input_fd = memory_file("input", input);
    int frames[2], control[2];
    if (::pipe2(frames, O_CLOEXEC) != 0) throw sandbox_unavailable(strerror(errno));
    RunProcess process;
    process.frames = OwnedFd(frames[0]);
    const OwnedFd frames_end = lifted(frames[1]);
    ::close(frames[1]);
    if (::pipe2(control, O_CLOEXEC) != 0) throw sandbox_unavailable(strerror(errno));
    process.control = OwnedFd(control[1]);
    const OwnedFd control_end = lifted(control[0]);
    ::close(control[0]);

    posix_spawn_file_actions_t actions;
    posix_spawnattr_t attributes;
    ::posix_spawn_file_actions_init(&actions);
    ::posix_spawnattr_init(&attributes);
    const auto lay = [&](int from, int to) {
        ::posix_spawn_file_actions_adddup2(&actions, from, to);
    };
    lay(request_fd.get(), protocol::kRequestFd);
    lay(frames_end.get(), protocol::kFramesFd);
    ::posix_spawn_file_actions_addopen(&actions, 2, "/dev/null", O_WRONLY, 0);
    lay(control_end.get(), protocol::kControlFd);
    lay(input_fd.get(), protocol::kInputFd);
    ::posix_spawn_file_actions_addclosefrom_np(&actions, protocol::kInputFd + 1);
    sigset_t none, all;
    ::sigemptyset(&none);
    ::sigfillset(&all);
    ::posix_spawnattr_setsigmask(&attributes, &none);
    ::posix_spawnattr_setsigdefault(&attributes, &all);
    // A group of its own: what a terminal sends to the daemon's is not for it.
    ::posix_spawnattr_setpgroup(&attributes, 0);
    ::posix_spawnattr_setflags(
        &attributes, POSIX_SPAWN_SETSIGMASK | POSIX_SPAWN_SETSIGDEF | POSIX_SPAWN_SETPGROUP);
    std::string name = "larder-run", path = "PATH=/usr/bin:/bin";
    char* const words[] = {name.data(), nullptr};
    char* const environment[] = {path.data(), nullptr};
    const int fault =
        ::posix_spawn(&process.pid, helper_.c_str(), &actions, &attributes, words, environment);
    ::posix_spawn_file_actions_destroy(&actions);
    ::posix_spawnattr_destroy(&attributes);
    if (fault != 0) throw sandbox_unavailable(fmt::format("larder-run: {}", strerror(fault)));
    return process;
}

Sandbox::Outcome Sandbox::try_command(const std::vector<std::string>& command, bool sweep) const {
    Outcome outcome;
    try {
        std::string items;
        add_common(items);
        append_item(items, "sweep", sweep ? "1" : "0");
        append_item(items, "wall_ms", std::to_string(kProbeMs));
        if (::geteuid() == 0 && tier_ != Tier::bare) {
            append_item(items, "uid", std::to_string(host_.settings().integer("first_uid")));
        }
        if (tier_ == Tier::bare) append_item(items, "folder", "/");
        for (const std::string& word : command) append_item(items, "arg", word);
        const RunProcess process = spawn(items, {});
        process.tell(protocol::kBegin);
        FrameReader frames;
        const auto take = [&](protocol::Frame kind, std::string_view bytes) {
            if (kind == protocol::Frame::out_first) outcome.out += bytes;
            if (kind != protocol::Frame::result) return;
            protocol::each_item(bytes, [&](std::string_view name, std::string_view value) {
                if (name == "code") outcome.good = value == "0";
                if (name == "cgroup") outcome.cgroup = value == "1";
                if (name == "fault") outcome.fault = value;
            });
        };
        const auto end = std::chrono::steady_clock::now() + std::chrono::milliseconds(2 * kProbeMs);
        char block[65536];
        while (std::chrono::steady_clock::now() < end) {
            pollfd polled{process.frames.get(), POLLIN, 0};
            if (::poll(&polled, 1, 1000) <= 0) continue;
            const ssize_t got = ::read(process.frames.get(), block, sizeof block);
            if (got <= 0 || !frames.push({block, static_cast<std::size_t>(got)}, take)) break;
        }
        ::kill(process.pid, SIGKILL);  // it has ended, unless it hangs
        ::waitpid(process.pid, nullptr, 0);
    } catch (const Error& error) {
        outcome.fault = error.detail();
    }
    return outcome;
}

std::vector<Language> Sandbox::languages() const {
    std::vector<Language> found;
    for (const Interpreter& known : kInterpreters) {
        Language language{known.language, known.name, known.path, {}};
        if (is_there(known.path) && tier_ != Tier::none) {
            struct stat status {};
            ::stat(std::string(known.path).c_str(), &status);
            const std::scoped_lock lock(versions_mutex_);
            auto& [changed, version] = versions_[known.path];
            if (version.empty() || changed != status.st_ctim.tv_sec) {
                const Outcome outcome = try_command({std::string(known.path), "--version"}, false);
                changed = status.st_ctim.tv_sec;
                version = outcome.out.substr(0, outcome.out.find('\n'));
            }
            language.version = version;
        }
        found.push_back(std::move(language));
    }
    return found;
}

std::string Sandbox::describe_json() const {
    const bool runs = tier_ != Tier::none, isolated = runs && tier_ != Tier::bare;
    const Settings& settings = host_.settings();
    return fmt::format(
        R"({{"tier":"{}","reason":{},"namespaces":{},"system_call_filter":{},)"
        R"("memory_enforced":{},"network":"{}","memory":{},"processes":{},"output":{},)"
        R"("data_quota":{},"timeout":{:.3f},"max_timeout":{:.3f}}})",
        word_of(tier_), reason_.empty() ? "null" : storage::json::quoted(reason_), isolated,
        isolated, tier_ == Tier::full, isolated ? "where an admin allows it" : "as the daemon's",
        settings.bytes("memory"), most_processes_, settings.bytes("output"),
        settings.bytes("data_quota"),
        static_cast<double>(settings.duration("timeout").count()) / 1000.0,
        static_cast<double>(settings.duration("max_timeout").count()) / 1000.0);
}

bool FrameReader::push(std::string_view bytes,
                       const std::function<void(protocol::Frame, std::string_view)>& take) {
    buffer_ += bytes;
    std::size_t at = 0;
    while (buffer_.size() - at >= protocol::kHead) {
        const std::string_view rest = std::string_view(buffer_).substr(at);
        const std::uint32_t length = protocol::frame_length(rest);
        if (length > protocol::kMaxFrame) return false;
        if (rest.size() < protocol::kHead + length) break;
        take(static_cast<protocol::Frame>(rest.front()), rest.substr(protocol::kHead, length));
        at += protocol::kHead + length;
    }
    buffer_.erase(0, at);
    return true;
}

}  // namespace larder::programs
