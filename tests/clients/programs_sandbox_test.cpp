// What programs may not do, each tried by a program that really tries: as the test's own user and,
// where that is root, once more as an ordinary one. Each attempt must fail, and the daemon be well.
#include <fmt/format.h>
#include <signal.h>

#include <chrono>
#include <filesystem>
#include <fstream>
#include <vector>

#include "support/eventually.hpp"
#include "support/listening_socket.hpp"
#include "support/programs_fixture.hpp"
#include "support/zip_maker.hpp"

namespace larder::test {
namespace {

using std::string_literals::operator""s;
namespace fs = std::filesystem;

constexpr unsigned kOrdinaryUser = 61999;

class SandboxTests : public ProgramsFixture {
    CPPUNIT_TEST_SUITE(SandboxTests);
    CPPUNIT_TEST(sees_nothing_of_the_host);
    CPPUNIT_TEST(writes_nowhere_but_where_it_may);
    CPPUNIT_TEST(reaches_no_network);
    CPPUNIT_TEST(makes_no_forbidden_calls);
    CPPUNIT_TEST(touches_no_other_process);
    CPPUNIT_TEST(a_fork_bomb_is_bounded);
    CPPUNIT_TEST(memory_is_bounded);
    CPPUNIT_TEST(processor_time_is_bounded);
    CPPUNIT_TEST(data_is_bounded);
    CPPUNIT_TEST(disks_fill_up_by_themselves);
    CPPUNIT_TEST(whatever_it_ignores_it_ends);
    CPPUNIT_TEST(leaves_nothing_behind);
    CPPUNIT_TEST(a_killed_daemon_leaves_nothing);
    CPPUNIT_TEST(runs_do_not_see_each_other);
    CPPUNIT_TEST(a_flood_keeps_the_daemon_small);
    CPPUNIT_TEST(interpreters_do_what_they_should);
    CPPUNIT_TEST_SUITE_END_ABSTRACT();

protected:
    // Lines that begin with OPEN tell of what went through; a last line says that all was tried.
    void expect_closed(const Object& run) const {
        const std::string said = text(run, "stdout");
        CPPUNIT_ASSERT_MESSAGE(said + text(run, "stderr"), said.find("OPEN") == std::string::npos);
        CPPUNIT_ASSERT_MESSAGE(said + text(run, "stderr"), said.ends_with("tried\n"));
        CPPUNIT_ASSERT(is_alive());
    }
    // Processes whose command line holds the text, dead ones left out.
    static std::vector<int> processes(const std::string& mark) {
        std::vector<int> found;
        for (const auto& entry : fs::directory_iterator("/proc")) {
            const std::string name = entry.path().filename().string();
            if (name.find_first_not_of("0123456789") != std::string::npos) continue;
            std::ifstream file(entry.path() / "cmdline");
            std::string line;
            std::getline(file, line);  // nothing of one that ended meanwhile
            if (line.find(mark) != std::string::npos) found.push_back(std::stoi(name));
        }
        return found;
    }
    bool is_gone(const std::string& mark) const {
        return eventually([&] { return processes(mark).empty(); });
    }
    void restart_with(const std::string& name, const std::string& value) {
        environment_.emplace_back(name, value);
        restart();
    }

public:
    void sees_nothing_of_the_host() {
        if (skips()) return;
        const std::string other = upload("other.py", "secret = 1");
        write_file(*folder_ / "secret", "secret");
        const std::string id = upload("a.py", fmt::format(R"(
import os, sys
def reads(path):
    try:
        with open(path, 'rb') as f: f.read(1)
        print('OPEN', path)
    except OSError: pass
for path in ['/etc/shadow', '/etc/hostname', '/etc/hosts', '/root/.bashrc', '{0}/secret', '{0}/programs.json',
             '{0}/programs/programs.json', '{0}/programs/{1}/other.py', '/app/../{1}/other.py', '/proc/kcore',
             '/proc/1/root/etc/shadow', '/proc/self/root/etc/shadow', '/sys/kernel/notes', '/dev/sda', '/dev/mem',
             '/proc/sysrq-trigger', '/var/lib/dpkg/status', '/home', '/boot', '/run/larder/larder.sock']:
    reads(path)
for folder in ['/home', '/root', '/var', '/srv', '/run', '/boot', '/sys']:
    try:
        if os.listdir(folder): print('OPEN', folder)
    except OSError: pass
if open('/app/.metadata.json').read(): print('OPEN metadata')
for pid in ['1', 'self', '{2}']:
    try: environment = open('/proc/%s/environ' % pid).read()
    except OSError: continue
    if 'LARDER' in environment or 'SECRET' in environment: print('OPEN environment of', pid)
    if '{0}' in open('/proc/%s/cmdline' % pid).read(): print('OPEN command line of', pid)
if os.path.exists('/proc/{2}/cmdline') and 'larderd' in open('/proc/{2}/cmdline').read():
    print('OPEN the daemon')
for name in os.environ:
    if 'LARDER' in name: print('OPEN', name)
for fd in range(3, 1024):
    try:
        os.fstat(fd)
        print('OPEN descriptor', fd, os.readlink('/proc/self/fd/%d' % fd))
    except OSError: pass
if os.getuid() == 0: print('OPEN root')
for line in open('/proc/self/status'):
    if line.startswith('Cap') and int(line.split()[1], 16) != 0: print('OPEN', line)
    if line.startswith('NoNewPrivs') and line.split()[1] != '1': print('OPEN', line)
    if line.startswith('Seccomp:') and line.split()[1] != '2': print('OPEN', line)
print('tried')
)",
                                                          folder_->path(), other, daemon_->pid()));
        expect_closed(execute(id));
    }

    void writes_nowhere_but_where_it_may() {
        if (skips()) return;
        const std::string id = try_upload("a.zip", ZipMaker()
                                                       .add("main.py", R"(
import os
def writes(path):
    try:
        with open(path, 'w') as f: f.write('x')
        return True
    except OSError: return False
for path in ['/app/main.py', '/app/new', '/usr/bin/new', '/new', '/etc/passwd', '/dev/new', '/proc/sys/kernel/hostname',
             '/proc/self/oom_score_adj_', '/bin/new', '/app/.metadata.json', '/sys/new']:
    if writes(path): print('OPEN', path)
for path in ['/app/data/new', '/tmp/new', '/work/new', '/dev/shm/new', '/dev/null']:
    if not writes(path): print('OPEN not to be written:', path)
for way in ['/app/data/../new', '/app/data/link']:
    try:
        if way.endswith('link'): os.symlink('/app/main.py', way)
        if writes(way): print('OPEN', way)
    except OSError: pass
try:
    os.chmod('/app/main.py', 0o777)
    print('OPEN chmod')
except OSError: pass
print('tried')
)")
                                                       .add("data/seed", "")
                                                       .archive())
                                   .member("program_id");
        expect_closed(execute(id));
        CPPUNIT_ASSERT(fs::exists(fs::path(folder_->path()) / "programs" / id / "data/new"));
        // What it left as a link is not followed on the way out.
        CPPUNIT_ASSERT_EQUAL("404 file-not-found"s,
                             outcome("GET", "/api/programs/" + id + "/files/data/link"));
    }

    void reaches_no_network() {
        if (skips()) return;
        const ListeningSocket abstract_socket;
        const std::string id =
            upload("a.py", fmt::format(R"(
import socket
def tries(what, family, kind, address):
    try:
        s = socket.socket(family, kind)
        s.settimeout(2)
        s.connect(address)
        if kind == socket.SOCK_DGRAM: s.send(b'x')
        print('OPEN', what)
    except OSError: pass
tries('tcp', socket.AF_INET, socket.SOCK_STREAM, ('127.0.0.1', {0}))
tries('other tcp', socket.AF_INET, socket.SOCK_STREAM, ('127.0.0.1', {2}))
tries('udp', socket.AF_INET, socket.SOCK_DGRAM, ('127.0.0.1', 53))
tries('tcp6', socket.AF_INET6, socket.SOCK_STREAM, ('::1', {0}))
tries('unix', socket.AF_UNIX, socket.SOCK_STREAM, '{1}/larder.sock')
for name in ['/run/postgresql/.s.PGSQL.5432', '/run/redis/redis.sock', '/run/dbus/system_bus_socket', '\0larder']:
    tries(name, socket.AF_UNIX, socket.SOCK_STREAM, name)
for family in [socket.AF_INET, socket.AF_INET6, socket.AF_NETLINK, socket.AF_PACKET, socket.AF_VSOCK, 38]:
    try:
        socket.socket(family, socket.SOCK_RAW if family == socket.AF_PACKET else socket.SOCK_STREAM)
        print('OPEN family', family)
    except OSError: pass
try:
    socket.getaddrinfo('localhost.localdomain.example', 80)
    print('OPEN names')
except OSError: pass
a, b = socket.socketpair()
a.send(b'x')
if b.recv(1) != b'x': print('OPEN no socketpair')
print('tried')
)",
                                       daemon_->port(), folder_->path(), abstract_socket.port()));
        expect_closed(execute(id));
    }

    void makes_no_forbidden_calls() {
        if (skips()) return;
        const Object run = this->run("a.py", R"(
import ctypes, os, errno
libc = ctypes.CDLL(None, use_errno=True)
libc.syscall.restype = ctypes.c_long
def tries(what, number, *arguments):
    ctypes.set_errno(0)
    answer = libc.syscall(ctypes.c_long(number), *[ctypes.c_long(a) for a in arguments])
    if answer >= 0: print('OPEN', what)
    elif ctypes.get_errno() not in (errno.EPERM, errno.ENOSYS, errno.EAFNOSUPPORT):
        print('OPEN', what, 'fails only by', ctypes.get_errno())
tries('mount', 165, 0, 0, 0, 0, 0)
tries('umount2', 166, 0, 0)
tries('pivot_root', 155, 0, 0)
tries('chroot', 161, 0)
tries('unshare', 272, 0x10000000)
tries('setns', 308, 0, 0)
tries('clone new user', 56, 0x10000000 | 17, 0, 0, 0, 0)
tries('clone3', 435, 0, 0)
tries('ptrace', 101, 16, 1, 0, 0)
tries('process_vm_readv', 310, 1, 0, 0, 0, 0, 0)
tries('keyctl', 250, 0, 0)
tries('add_key', 248, 0, 0, 0, 0, 0)
tries('bpf', 321, 0, 0, 0)
tries('perf_event_open', 298, 0, 0, 0, 0, 0)
tries('userfaultfd', 323, 0)
tries('io_uring_setup', 425, 1, 0)
tries('init_module', 175, 0, 0, 0)
tries('kexec_load', 246, 0, 0, 0, 0)
tries('reboot', 169, 0, 0, 0, 0)
tries('open_by_handle_at', 304, 0, 0, 0)
tries('name_to_handle_at', 303, 0, 0, 0, 0, 0)
tries('personality', 135, 0x0040000)
tries('mknod', 133, 0, 0, 0)
tries('pidfd_getfd', 438, 0, 0, 0)
tries('swapon', 167, 0, 0)
tries('sethostname', 170, 0, 0)
tries('clock_settime', 227, 0, 0)
tries('syslog', 103, 3, 0, 0)
tries('fsopen', 430, 0, 0)
tries('TIOCSTI', 16, 0, 0x5412, 0)
tries('TIOCSTI, with more', 16, 0, 0x100005412, 0)
tries('socket inet', 41, 2, 1, 0)
tries('socket inet, with more', 41, 0x100000002, 1, 0)
print('tried')
)");
        expect_closed(run);
    }

    void touches_no_other_process() {
        if (skips()) return;
        const Object run = this->run("a.py", fmt::format(R"(
import os, signal
for pid in [{0}, {1}]:
    try:
        os.kill(pid, 0)
        print('OPEN', pid)
    except OSError: pass
if len([p for p in os.listdir('/proc') if p.isdigit()]) > 4: print('OPEN many processes')
signal.signal(signal.SIGTERM, signal.SIG_IGN)
try: os.kill(-1, signal.SIGTERM)
except OSError: pass
try: os.kill(1, signal.SIGKILL)
except OSError: pass
try: os.setpriority(os.PRIO_PROCESS, 0, -5); print('OPEN priority')
except OSError: pass
print('tried')
)",
                                                         daemon_->pid(), ::getpid()));
        expect_closed(run);
        CPPUNIT_ASSERT_EQUAL("succeeded 0 null null"s, story(run));
    }

    void a_fork_bomb_is_bounded() {
        if (skips()) return;
        restart_with("LARDER_PROGRAMS_PROCESSES", "16");
        const std::string id = upload("bomb.sh", ":(){ :|:& };:; sleep 1000");
        const long eid = begin(id, R"({"timeout":1.5})");
        CPPUNIT_ASSERT(reaches(eid, "running"));
        const auto from = std::chrono::steady_clock::now();
        CPPUNIT_ASSERT(is_alive());  // while it rages; how fast, no test asserts
        CPPUNIT_ASSERT(std::chrono::steady_clock::now() - from < std::chrono::seconds(15));
        CPPUNIT_ASSERT(reaches(eid, "timed_out"));
        // A program that makes as many processes as it can, and stays.
        const Object many = run("many.py", R"(
import os, time
made = 0
try:
    while made < 1000:
        if os.fork() == 0:
            time.sleep(1000)
        made += 1
except OSError: pass
time.sleep(0.3)
print(made, flush=True)
os._exit(0)
)");
        CPPUNIT_ASSERT(std::stoi(text(many, "stdout")) <= 16);
        CPPUNIT_ASSERT_EQUAL("succeeded 0 null pids"s, story(many));
        CPPUNIT_ASSERT(is_gone("many.py"));
    }

    void memory_is_bounded() {
        if (skips()) return;
        restart_with("LARDER_PROGRAMS_MEMORY", "128MiB");
        const Object one = run("one.py", "x = []\nwhile True: x.append(b'x' * (1 << 20))\n");
        CPPUNIT_ASSERT_EQUAL("failed null SIGKILL memory"s, story(one));
        const Object many = run("many.py", R"(
import os, time
for i in range(6):
    if os.fork() == 0:
        x = b'x' * (40 << 20)
        time.sleep(1000)
time.sleep(1000)
)");
        CPPUNIT_ASSERT_EQUAL("failed null SIGKILL memory"s, story(many));
        CPPUNIT_ASSERT(is_gone("many.py") && is_alive());
    }

    void processor_time_is_bounded() {
        if (skips()) return;
        restart_with("LARDER_PROGRAMS_CPU_TIME", "1s");
        CPPUNIT_ASSERT_EQUAL("failed null SIGKILL cpu"s,
                             story(run("one.sh", "while :; do :; done")));
        const Object many =
            run("many.sh", "for i in 1 2 3 4 5 6 7 8; do while :; do :; done & done; wait");
        CPPUNIT_ASSERT_EQUAL("failed null SIGKILL cpu"s, story(many));
        CPPUNIT_ASSERT(is_gone("many.sh"));
    }

    void data_is_bounded() {
        if (skips()) return;
        restart_with("LARDER_PROGRAMS_DATA_QUOTA", "1MiB");
        const auto with_data = [&](const std::string& program) {
            const std::string archive =
                ZipMaker().add("main.py", program).add("data/s", "").archive();
            return execute(try_upload("a.zip", archive).member("program_id"), R"({"timeout":20})");
        };
        const Object many = with_data(
            "import time\nfor i in range(20):\n    open('data/%d' % i, 'w').write('x' * 200000)\n"
            "time.sleep(1000)\n");
        CPPUNIT_ASSERT_EQUAL("failed null SIGKILL disk"s, story(many));
        // One file alone ends by itself: python takes the signal as an error.
        const Object one = with_data("open('data/big', 'w').write('x' * 3000000)\n");
        CPPUNIT_ASSERT_EQUAL("failed"s, text(one, "state"));
        CPPUNIT_ASSERT(text(one, "stderr").find("File too large") != std::string::npos);
    }

    void disks_fill_up_by_themselves() {
        if (skips()) return;
        const Object run = this->run("a.py", R"(
import os, errno
def fills(folder, most):
    total = 0
    try:
        for i in range(100):
            with open('%s/fill%d' % (folder, i), 'wb') as f:
                for j in range(16):
                    f.write(b'x' * (1 << 20))
                    f.flush()
                    total += 1
            if total > most: break
    except OSError as e: pass
    if total > most: print('OPEN', folder, total)
    for name in os.listdir(folder):
        if name.startswith('fill'): os.unlink(folder + '/' + name)
for folder, most in [('/tmp', 32), ('/work', 32), ('/dev/shm', 16)]: fills(folder, most)
for folder in ['/', '/dev', '/etc', '/app']:
    try:
        open(folder + '/fill', 'w')
        print('OPEN', folder)
    except OSError: pass
made = 0
try:
    for i in range(400000):
        os.mkdir('/tmp/d%d' % i)
        made += 1
except OSError: pass
print('tried')
)",
                                     R"({"timeout":60})");
        CPPUNIT_ASSERT(is_alive());
        const std::string said = text(run, "stdout");
        CPPUNIT_ASSERT_MESSAGE(said, said.find("OPEN") == std::string::npos);
        // So many empty folders end by themselves or by the memory that they take.
        CPPUNIT_ASSERT_MESSAGE(story(run),
                               said.ends_with("tried\n") || text(run, "limit_hit") == "memory");
    }

    void whatever_it_ignores_it_ends() {
        if (skips()) return;
        const Object deaf = run("deaf.py", R"(
import signal, time
for s in range(1, 65):
    try: signal.signal(s, signal.SIG_IGN)
    except (OSError, ValueError): pass
print('deaf', flush=True)
while True: time.sleep(1)
)",
                                R"({"timeout":1})");
        CPPUNIT_ASSERT_EQUAL("timed_out null SIGKILL wall"s, story(deaf));
        CPPUNIT_ASSERT_EQUAL("deaf\n"s, text(deaf, "stdout"));
        const Object stopped = run("stopped.sh", "echo x; kill -STOP $$", R"({"timeout":1})");
        CPPUNIT_ASSERT_EQUAL("timed_out null SIGKILL wall"s, story(stopped));
        CPPUNIT_ASSERT(is_gone("deaf.py") && is_gone("stopped.sh"));
    }

    void leaves_nothing_behind() {
        if (skips()) return;
        // A daemon of two forks and a session of its own, with the pipes held open.
        const Object run = this->run("daemon.py", R"(
import os, time
if os.fork() == 0:
    os.setsid()
    if os.fork() == 0:
        time.sleep(1000)
    os._exit(0)
print('over')
)");
        CPPUNIT_ASSERT_EQUAL("succeeded 0 null null"s, story(run));
        CPPUNIT_ASSERT(run->getValue<double>("execution_time") < 20);
        CPPUNIT_ASSERT(is_gone("daemon.py"));
        const std::string id = upload("b.sh", "setsid nohup sleep 1000 & disown -a; exit 0");
        for (int i = 0; i < 20; ++i) execute(id);
        for (const char* controller : {"memory", "pids", "cpuacct", "unified", "."}) {
            const fs::path root = fs::path("/sys/fs/cgroup") / controller;
            std::error_code absent;
            for (const auto& entry : fs::directory_iterator(root, absent)) {
                const std::string name = entry.path().filename().string();
                if (!name.starts_with("larder-run-")) continue;
                // Other daemons may run beside this test; theirs go as well.
                CPPUNIT_ASSERT_MESSAGE(name, eventually([&] { return !fs::exists(entry.path()); }));
            }
        }
    }

    void a_killed_daemon_leaves_nothing() {
        if (skips()) return;
        const std::string id = upload("killed_daemon.sh",
                                      "trap '' TERM HUP; echo on; "
                                      "setsid bash /app/killed_daemon.sh & "
                                      "while :; do sleep 1; done");
        const long eid = begin(id);
        CPPUNIT_ASSERT(eventually([&] { return text(execution(eid), "stdout").size() > 2; }));
        CPPUNIT_ASSERT(!processes("killed_daemon.sh").empty());
        daemon_->kill();
        CPPUNIT_ASSERT(is_gone("killed_daemon.sh"));
        start();
        CPPUNIT_ASSERT_EQUAL("lost"s, text(execution(eid), "state"));
    }

    void runs_do_not_see_each_other() {
        if (skips()) return;
        const std::string one = upload("one.sh", "echo mine >/tmp/mark; echo on; sleep 1000");
        const long eid = begin(one);
        CPPUNIT_ASSERT(eventually([&] { return text(execution(eid), "stdout") == "on\n"; }));
        const Object other = run("two.py", R"(
import os
if os.path.exists('/tmp/mark'): print('OPEN /tmp')
for pid in os.listdir('/proc'):
    if pid.isdigit() and 'one.sh' in open('/proc/%s/cmdline' % pid).read(): print('OPEN', pid)
print('tried')
)");
        expect_closed(other);
        CPPUNIT_ASSERT_EQUAL("202"s, outcome("DELETE", fmt::format("/api/executions/{}", eid)));
    }

    void a_flood_keeps_the_daemon_small() {
        if (skips()) return;
        const auto resident = [&] {
            const std::string text = read_file(fmt::format("/proc/{}/status", daemon_->pid()));
            const std::size_t at = text.find("RssAnon:");
            return std::stol(text.substr(at + 8)) / 1024;  // MiB
        };
        const std::string id = upload("flood.sh",
                                      "yes 'a line of text' | head -c 2000000000; "
                                      "yes >&2 | head -c 1; exit 0");
        execute(upload("warm.sh", "yes | head -c 3000000"));
        const long before = resident();
        const Object run = execute(id, R"({"timeout":2})");
        CPPUNIT_ASSERT(run->getValue<long>("stdout_bytes") > 10'000'000);
        CPPUNIT_ASSERT_MESSAGE(std::to_string(resident()), resident() - before < 24);
    }

    void interpreters_do_what_they_should() {
        if (skips()) return;
        const Object python = run("a.py", R"(
import threading, tempfile, os, pwd, subprocess, time, random, json, hashlib, sqlite3
threads = [threading.Thread(target=lambda: time.sleep(0.01)) for i in range(8)]
for t in threads: t.start()
for t in threads: t.join()
with tempfile.TemporaryFile() as f: f.write(b'x')
print(pwd.getpwuid(os.getuid()).pw_name, subprocess.run(['sh', '-c', 'echo sub'], capture_output=True, text=True).stdout.strip())
import multiprocessing
if __name__ == '__main__':
    with multiprocessing.Pool(2) as pool: print(pool.map(abs, [-1, 2]))
)");
        CPPUNIT_ASSERT_EQUAL_MESSAGE(text(python, "stderr"), "sandbox sub\n[1, 2]\n"s,
                                     text(python, "stdout"));
        const Object shell = run("a.sh",
                                 "cat <(echo a) <(echo b); echo $((1+2)) | tr 3 c; "
                                 "mktemp >/dev/null && echo ok; whoami; pwd");
        CPPUNIT_ASSERT_EQUAL("a\nb\nc\nok\nsandbox\n/app\n"s, text(shell, "stdout"));
        if (!is_available("javascript")) return;
        const Object node = run("a.js", R"(
const { Worker, isMainThread, parentPort } = require('worker_threads');
if (isMainThread) {
    new Worker(__filename).on('message', m => {
        console.log(m, require('os').userInfo().username,
                    require('child_process').execSync('echo child').toString().trim());
    });
} else parentPort.postMessage('worker');
)");
        CPPUNIT_ASSERT_EQUAL_MESSAGE(text(node, "stderr"), "worker sandbox child\n"s,
                                     text(node, "stdout"));
    }
};

class AsOurselves : public SandboxTests {
    CPPUNIT_TEST_SUB_SUITE(AsOurselves, SandboxTests);
    CPPUNIT_TEST_SUITE_END();
};

// Where the tests run as root: larderd as somebody without any right.
class AsSomebodyElse : public SandboxTests {
    CPPUNIT_TEST_SUB_SUITE(AsSomebodyElse, SandboxTests);
    CPPUNIT_TEST_SUITE_END();

public:
    void setUp() override {
        if (::geteuid() != 0 || !is_installed("setpriv")) return DaemonFixture::setUp();
        folder_ = std::make_unique<TemporaryFolder>();
        CPPUNIT_ASSERT_EQUAL(0, ::chown(folder_->path().c_str(), kOrdinaryUser, kOrdinaryUser));
        wrapper_ = {"setpriv", fmt::format("--reuid={}", kOrdinaryUser),
                    fmt::format("--regid={}", kOrdinaryUser), "--clear-groups"};
        start();
        const std::string found = tier();
        CPPUNIT_ASSERT_MESSAGE(found, found == "reduced" || found == "unavailable");
    }
};

LARDER_TEST_SUITE(AsOurselves);
CPPUNIT_TEST_SUITE_NAMED_REGISTRATION(AsSomebodyElse, LARDER_TEST_FILE);

}  // namespace
}  // namespace larder::test
