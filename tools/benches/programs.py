"""programs: what a run costs against a bare bubblewrap, a hundred at once, and the daemon's memory in a flood.

Without control groups means: both as an ordinary user, who is granted none here. What they cost is a row of its own.
"""
import concurrent.futures
import json
import os
import pathlib
import subprocess
import sys
import time
import urllib.request

from benches import peers
from benches.load import Load, interleaved, report

ORDINARY_USER = 65534

BARE = """--unshare-all --unshare-user --disable-userns --die-with-parent --new-session --uid 1000 --gid 1000
 --hostname sandbox --cap-drop ALL --clearenv --setenv PATH /usr/bin:/bin --setenv HOME /work --setenv TMPDIR /tmp
 --setenv LANG C.UTF-8 --ro-bind /usr /usr --symlink usr/bin /bin --symlink usr/sbin /sbin --symlink usr/lib /lib
 --symlink usr/lib64 /lib64 --ro-bind-try /etc/ld.so.cache /etc/ld.so.cache --ro-bind-try /etc/alternatives
 /etc/alternatives --proc /proc --dev /dev --perms 1777 --size 16777216 --tmpfs /dev/shm --remount-ro /dev
 --perms 1777 --size 33554432 --tmpfs /tmp --perms 0700 --size 33554432 --tmpfs /work""".split()


def post(port: int, path: str, body: bytes, **headers) -> dict:
    headers = {name.replace("_", "-"): value for name, value in headers.items()}
    with urllib.request.urlopen(urllib.request.Request(
            f"http://127.0.0.1:{port}{path}", body, headers, method="POST")) as answer:
        return json.load(answer)


def upload(port: int, name: str, text: str) -> str:
    body = (f'--B\r\nContent-Disposition: form-data; name="file"; filename="{name}"\r\n\r\n{text}\r\n--B--\r\n')
    return post(port, "/api/programs", body.encode(),
                Content_Type="multipart/form-data; boundary=B")["program_id"]


def bare(folder: pathlib.Path, under, seconds: float) -> float:
    """Counted by a process of the same user, so that becoming that user is not in the count."""
    script = folder / "bare.sh"
    script.write_text(":\n")
    script.chmod(0o644)
    words = ["bwrap", *BARE, "--ro-bind", str(folder), "/app", "--chdir", "/app", "--remount-ro", "/", "--",
             "/usr/bin/prlimit", "--nproc=64:64", "--", "/usr/bin/bash", "/app/bare.sh"]
    count = ("import json, os, sys, time\n"
             "words, seconds = json.loads(sys.argv[1]), float(sys.argv[2])\n"
             "count, start = 0, time.monotonic()\n"
             "while (spent := time.monotonic() - start) < seconds:\n"
             "    if os.waitpid(os.posix_spawn('/usr/bin/bwrap', words, {}), 0)[1] != 0: sys.exit('bwrap failed')\n"
             "    count += 1\n"
             "print(count / spent)\n")
    return float(subprocess.run([*under, sys.executable, "-c", count, json.dumps(words), str(seconds)], check=True,
                                capture_output=True, text=True).stdout)


def runs(root: pathlib.Path, options, title: str, under, wanted: dict) -> None:
    with peers.scratch(root) as folder:
        if under:
            os.chown(folder, ORDINARY_USER, ORDINARY_USER)
        with peers.larderd(root, folder, under=under) as (_, port):
            languages = json.load(urllib.request.urlopen(f"http://127.0.0.1:{port}/api/programs/languages"))
            execute = f"/api/programs/{upload(port, 'empty.sh', ':' + chr(10))}/execute"
            load = Load(folder, "execute", [("POST", execute, "")])
            report(f"{title} (isolation: {languages['isolation']['tier']})", "/s",
                   interleaved(options.rounds, {
                       "larderd": lambda: load.run(port, 1, options.seconds),
                       "bare bwrap": lambda: bare(folder, under, options.seconds)}), wanted)


def resident(pid: int) -> int:
    status = pathlib.Path(f"/proc/{pid}/status").read_text()
    return int(status.split("RssAnon:")[1].split()[0]) // 1024


def crowd_and_flood(root: pathlib.Path, options) -> None:
    with peers.scratch(root) as folder, peers.larderd(root, folder) as (daemon, port):
        if options.only in "100 at once":
            execute = f"/api/programs/{upload(port, 'empty.sh', ':' + chr(10))}/execute"
            start = time.monotonic()
            with concurrent.futures.ThreadPoolExecutor(100) as pool:
                states = [done["state"] for done in pool.map(lambda _: post(port, execute, b""), range(100))]
            print(f"\n100 at once: {states.count('succeeded')} succeeded in {time.monotonic() - start:.2f} s")
        if options.only in "a flood":
            flood = upload(port, "flood.sh", "yes | head -c 4000000000\n")
            before = resident(daemon.pid)
            done = post(port, f"/api/programs/{flood}/execute", b'{"timeout":60}')
            print(f"a flood of {done['stdout_bytes'] >> 20} MiB in {done['execution_time']:.2f} s: the daemon's memory "
                  f"went from {before} to {resident(daemon.pid)} MiB")


def run(root: pathlib.Path, options) -> None:
    if options.only in "a .sh of : executed, no control group":
        runs(root, options, "a .sh of : executed, one after the other, no control group",
             ["setpriv", f"--reuid={ORDINARY_USER}", f"--regid={ORDINARY_USER}", "--clear-groups"],
             {"bare bwrap": 0.7})
    if options.only in "a .sh of : executed, with control groups":
        runs(root, options, "a .sh of : executed, one after the other, for information", [], {})
    crowd_and_flood(root, options)
