#!/usr/bin/env python3
"""Installs the packages in a clean root: README's tour, an upgrade over data, a removal, a purge.

    tools/drill package [--root FOLDER] [--dev] [--boot]

The root is made by debootstrap, or is FOLDER, which has been made by it before and is left changed. apt installs
the older package (the same tree by a lower version), which is used and then upgraded; what was stored, and
what an admin changed, must still be there, and after a purge nothing of it. No service manager runs there:
larderd is started by hand as the user larder, with the settings that were installed. With --dev larder-dev is
installed as well, and the template is built and tested by it. With --boot the root is booted
(systemd-nspawn), and the service manager itself starts, restarts, reloads, watches and confines larderd: booted.sh.

Wants root and a Debian mirror; says SKIPPED, and ends with 0, without root.
"""

import argparse
import importlib.machinery
import importlib.util
import json
import os
import pathlib
import re
import shutil
import signal
import subprocess
import sys
import tempfile

from daemon import Failed

HERE = pathlib.Path(__file__).resolve()
TREE = HERE.parents[2]
OLDER = "0.0.1"
DATA = "var/lib/larder"
# What dpkg and the shells of its scripts keep for themselves, whatever is installed.
NOT_OURS = ("var/log/", "var/cache/", "var/lib/dpkg/", "var/lib/apt/", "proc/", "sys/", "dev/", "tmp/")

passed = 0


def proved(what):
    global passed
    passed += 1
    print(f"  {what}", flush=True)


def expect(holds, what, told=""):
    if not holds:
        raise Failed(f"{what}: not so{': ' if told else ''}{told}")
    proved(what)


def run(*words, **more):
    done = subprocess.run([str(word) for word in words], stdin=subprocess.DEVNULL, text=True,
                          stdout=subprocess.PIPE, stderr=subprocess.STDOUT, check=False, **more)
    if done.returncode != 0:
        raise Failed(f"{' '.join(map(str, words))} ended with {done.returncode}:\n{done.stdout}")
    return done.stdout


def tour_of_readme():
    """tests/clients/readme_tour as a module, for its reading and its comparing."""
    path = str(TREE / "tests/clients/readme_tour")
    spec = importlib.util.spec_from_loader("readme_tour", importlib.machinery.SourceFileLoader(
        "readme_tour", path))
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


class Root:
    """A Debian of its own, in a folder."""

    def __init__(self, folder):
        self.path = pathlib.Path(folder)

    def make(self):
        run("debootstrap", "--variant=minbase", "bookworm", self.path, "http://deb.debian.org/debian")

    def enter(self):
        """Its mounts are this process's own (unshare --mount), and go with it."""
        run("mount", "-t", "proc", "proc", self.path / "proc")
        # Debian starts what it installs; here nothing is started but by us.
        policy = self.path / "usr/sbin/policy-rc.d"
        policy.write_text("#!/bin/sh\nexit 101\n")
        policy.chmod(0o755)

    def inside(self, *words):
        return run("chroot", self.path, "env", "-i", "PATH=/usr/sbin:/usr/bin:/sbin:/bin", "LC_ALL=C.UTF-8",
                   "DEBIAN_FRONTEND=noninteractive", *words)

    def apt(self, *words):
        return self.inside("apt-get", "-y", "-q", "--no-install-recommends", *words)

    def take(self, package):
        shutil.copy(package, self.path / "var/tmp")
        return f"/var/tmp/{pathlib.Path(package).name}"

    def named_larder(self):
        found = []
        for place, folders, files in os.walk(self.path):
            inner = os.path.relpath(place, self.path) + "/"
            inner = "" if inner == "./" else inner
            folders[:] = [name for name in folders if not (inner + name + "/").startswith(NOT_OURS)]
            found += [inner + name for name in folders + files if "larder" in name]
        return sorted(path for path in found if not path.startswith("var/tmp/"))


class Larderd:
    """The installed daemon, as its unit would start it."""

    def __init__(self, root):
        self.process = subprocess.Popen(
            ["chroot", str(root.path), "setpriv", "--reuid=larder", "--regid=larder", "--clear-groups",
             "--no-new-privs", "env", "-i", "RUNTIME_DIRECTORY=/run/larder",
             "LARDER_HTTP_LISTEN=127.0.0.1:0", "/usr/bin/larderd"],
            stdin=subprocess.DEVNULL, stderr=subprocess.PIPE, text=True)
        said = []
        for line in self.process.stderr:
            said.append(line)
            ready = re.search(r"ready on http://127\.0\.0\.1:(\d+)", line)
            if ready:
                self.port = ready.group(1)
                return
        raise Failed("the installed larderd did not become ready:\n" + "".join(said))

    def stop(self):
        if self.process.poll() is None:
            self.process.send_signal(signal.SIGTERM)
        code = self.process.wait(30)
        self.process.stderr.close()
        if code != 0:
            raise Failed(f"the installed larderd ended with {code}")

    def kill(self):
        if self.process.poll() is None:
            self.process.kill()
        self.process.wait()

    def get(self, path):
        return run("curl", "-sf", "-m", "20", f"http://127.0.0.1:{self.port}{path}")


def take_tour(root, scratch):
    tour = tour_of_readme()
    daemon = Larderd(root)
    steps = 0
    try:
        folder = pathlib.Path(scratch) / "tour"
        folder.mkdir()
        (folder / "data").symlink_to(root.path / DATA)
        for command, expected in tour.blocks((TREE / "README.md").read_text()):
            if command.startswith("cat data/"):
                daemon.stop()
            command = command.replace("localhost:8080", f"localhost:{daemon.port}")
            got = subprocess.run(["bash", "-c", command], cwd=folder, capture_output=True, text=True,
                                 timeout=20, check=False).stdout
            if tour.plain(got) != tour.plain(expected):
                raise Failed(f"README's tour: $ {command}\n  it says: {expected}\n  it printed: {got}")
            steps += 1
    finally:
        daemon.kill()
    expect(steps > 10, f"README's tour, {steps} steps")


def judge_installed(root):
    expect("uid=" in root.inside("id", "larder"), "there is a user larder")
    facts = root.inside("stat", "-c", "%U:%G %a", "/var/lib/larder", "/run/larder").split("\n")[:2]
    expect(facts == ["larder:larder 750", "larder:larder 755"], "its folders are its own", str(facts))
    expect(root.inside("stat", "-c", "%U:%G %a", "/etc/larder/larder.ini").strip() == "root:larder 640",
           "who is not of it cannot read its passwords")
    expect("is good" in root.inside("larderd", "--check-config"), "the installed settings are good")
    for unit in ("larder.service", "larder.socket"):
        expect(root.inside("systemctl", "is-enabled", unit).strip() == "enabled", f"{unit} is enabled")
    told = root.inside("systemd-analyze", "verify", "--man=no", "larder.service", "larder.socket")
    expect(told.strip() == "", "systemd-analyze verify has nothing to say", told)
    open_work = root.inside("dpkg", "--audit") + root.inside("apt-get", "check", "-qq")
    expect(open_work == "", "dpkg is content", open_work)


def values(root):
    daemon = Larderd(root)
    try:
        told = daemon.get("/api/kv/storage?all=true") + daemon.get("/api/kv/settings?all=true")
        plugins = json.loads(daemon.get("/api/plugins"))["items"]
        # A root that is entered by chroot grants no namespaces: programs are kept, and cannot run.
        wrong = [f'{plugin["name"]} is {plugin["state"]}' for plugin in plugins
                 if plugin["state"] != "running" and (plugin["name"], plugin["state"]) != ("programs", "degraded")]
        if wrong or not plugins:
            raise Failed(f"of {len(plugins)} plugins: {wrong}")
        daemon.stop()
        return told
    finally:
        daemon.kill()


def judge_upgrade(root, newer, before):
    settings = root.path / "etc/larder/larder.ini"
    settings.write_text(settings.read_text().replace("#idle_timeout = 75s", "idle_timeout = 70s"))
    root.inside("systemctl", "disable", "larder.socket")
    root.apt("install", newer)
    expect(root.inside("dpkg-query", "-W", "-f", "${Version}", "larder") != OLDER, "it is the newer one")
    expect(values(root) == before, "what was stored is there after the upgrade")
    expect("\nidle_timeout = 70s" in settings.read_text(), "a setting that was changed stays so")
    expect(root.inside("stat", "-c", "%U:%G %a", "/etc/larder/larder.ini").strip() == "root:larder 640",
           "and so do the file's owner and mode")
    state = run("chroot", root.path, "sh", "-c", "systemctl is-enabled larder.socket || true")
    expect(state.strip() == "disabled", "a unit that was disabled stays so", state)


def judge_removal(root, newer, before):
    told = root.apt("remove", "larder")
    expect("the data is kept" in told and (root.path / DATA / "storage.json").exists(),
           "a removal keeps the data, and says so", told)
    root.apt("install", newer)
    expect(values(root) == before, "and it is there when the package comes back")
    told = root.apt("purge", "larder")
    expect("removing the data" in told, "a purge says that it removes the data", told)
    left = root.named_larder()
    expect(left == [], "and leaves nothing", str(left))


def build_plugin(root, package):
    root.apt("install", package, "ninja-build")
    root.inside("sh", "-ec", "rm -rf /tmp/notes; cp -r /usr/share/larder/template /tmp/notes; cd /tmp/notes; "
                "cmake -G Ninja -B build >/dev/null; cmake --build build >/dev/null; "
                "ctest --test-dir build --output-on-failure")
    proved("the template is built and tested by larder-dev")
    root.apt("purge", "larder-dev")


BOOTED = {
    "after boot": "active", "status": "serving ", "controllers": "cpu memory pids",
    "by tcp": '{"status":"ok"}', "by its socket": '{"status":"ok"}', "larderctl": "/var/lib/larder",
    "stored": "201", "answered": "many", "refused": "0", "reload": "0", "after the reload": "active",
    "restarts of one that gets on": "0", "restarts of one that is stopped": "1",
    "after the watchdog": "active", "what was stored": "1",
    "a program": "in a sandbox, succeeded", "isolation": "as it should be", "memory is bounded": "memory", "processes are bounded": "pids",
    "the daemon's files": "False", "children": "0", "stopped with": "success",
}


def boot(root):
    """Boots it with a service manager of its own, which runs booted.sh."""
    run(TREE / "tools/install_packages", "boot")
    nspawn = ["systemd-nspawn", "-D", root.path, "--register=no", "--keep-unit", "--private-network"]
    try:
        run(*nspawn, "--quiet", "/bin/true")
    except Failed as error:
        print(f"  SKIPPED: what is booted: {error}")
        return
    root.apt("install", "systemd-sysv", "dbus", "curl", "bubblewrap", "python3-minimal", "procps")
    shutil.copy(HERE.parent / "booted.sh", root.path / "usr/local/bin/booted")
    unit = root.path / "etc/systemd/system/booted.service"
    unit.write_text("[Unit]\nAfter=larder.service\n[Service]\nExecStart=/bin/bash /usr/local/bin/booted\n"
                    "[Install]\nWantedBy=multi-user.target\n")
    root.inside("systemctl", "enable", "booted.service", "larder.socket")
    facts = root.path / "var/tmp/facts"
    # With loopback and nothing else.
    said = subprocess.run([*nspawn, "-b"], stdin=subprocess.DEVNULL, text=True, check=False,
                          stdout=subprocess.PIPE, stderr=subprocess.STDOUT, timeout=300).stdout
    if not facts.exists():
        raise Failed(f"it did not come to boot:\n{said[-2000:]}")
    got = dict(line.split(": ", 1) for line in facts.read_text().splitlines() if ": " in line)
    for name, wanted in BOOTED.items():
        is_so = got.get(name, "").startswith(wanted) if name == "status" else got.get(name) == wanted
        expect(is_so, f"booted: {name}: {wanted}", f"it is '{got.get(name)}'")
    unit.unlink()


def prove(folder, options):
    packages = {}
    for version in ([OLDER], []):
        for path in run(TREE / "tools/package", *version).split():
            packages[pathlib.Path(path).name.split("_")[0], bool(version)] = path
    root = Root(options.root or f"{folder}/root")
    if not options.root:
        root.make()
    proved("a clean root is there")
    root.enter()
    told = root.apt("install", root.take(packages["larder", True]))
    noise = re.findall(r"^.*(?:rror|arning|ailed|cannot).*larder.*$", told, re.M)
    expect(noise == [], "apt installs it without a complaint", "\n".join(noise))
    judge_installed(root)
    take_tour(root, folder)
    before = values(root)
    newer = root.take(packages["larder", False])
    judge_upgrade(root, newer, before)
    if options.boot:
        boot(root)
        before = values(root)
    if options.dev:
        build_plugin(root, root.take(packages["larder-dev", False]))
    judge_removal(root, newer, before)


def prove_inside(options):
    try:
        prove(options.inside, options)
    except Failed as error:
        print(f"FAILED: {error}")
        print(f"  the folder is kept: {options.inside}\n{passed} passed, 1 failed")
        return 1
    print(f"{passed} passed, 0 failed")
    return 0


def main():
    parser = argparse.ArgumentParser(description=__doc__.split("\n", 1)[0])
    parser.add_argument("--larderd", help="not used: it is the packages' that is tried")
    parser.add_argument("--root", help="a clean root that is there already")
    parser.add_argument("--dev", action="store_true", help="build a plugin by larder-dev, too")
    parser.add_argument("--boot", action="store_true", help="boot the root and try the units, too")
    parser.add_argument("--inside", help=argparse.SUPPRESS)
    options = parser.parse_args()
    if options.inside:
        return prove_inside(options)
    if os.geteuid() != 0:
        print("SKIPPED: only root can make a root")
        return 0
    run(TREE / "tools/install_packages", "package", "drill")
    folder = tempfile.mkdtemp(prefix="larder-package-")
    # In a mount namespace of its own, so that nothing is mounted any more when the folder is removed.
    code = subprocess.run(["unshare", "--mount", sys.executable, HERE, "--inside", folder, *sys.argv[1:]],
                          check=False).returncode
    if code == 0:
        shutil.rmtree(folder)
    return code


if __name__ == "__main__":
    sys.exit(main())
