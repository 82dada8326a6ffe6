"""programs: what a run costs against a bare bubblewrap, a hundred at once, and the daemon's memory in a flood."""
import concurrent.futures
import json
import pathlib
import subprocess
import time
import urllib.request

from benches import peers
from benches.load import interleaved, report

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


def one_after_the_other(begin, seconds: float) -> float:
    count, start = 0, time.monotonic()
    while (spent := time.monotonic() - start) < seconds:
        begin()
        count += 1
    return count / spent


def bare(folder: pathlib.Path):
    script = folder / "bare.sh"
    script.write_text(":\n")
    words = ["bwrap", *BARE, "--ro-bind", str(folder), "/app", "--chdir", "/app", "--remount-ro", "/", "--",
             "/usr/bin/prlimit", "--nproc=64:64", "--", "/usr/bin/bash", "/app/bare.sh"]
    return lambda: subprocess.run(words, check=True)


def resident(pid: int) -> int:
    status = pathlib.Path(f"/proc/{pid}/status").read_text()
    return int(status.split("RssAnon:")[1].split()[0]) // 1024


def run(root: pathlib.Path, options) -> None:
    with peers.scratch(root) as folder, peers.larderd(root, folder) as (daemon, port):
        tier = json.load(urllib.request.urlopen(f"http://127.0.0.1:{port}/api/programs/languages"))
        print(f"isolation: {tier['isolation']['tier']}")
        empty = upload(port, "empty.sh", ":\n")
        execute = f"/api/programs/{empty}/execute"
        if options.only in "a .sh of : executed":
            report("a .sh of : executed, one after the other", "/s",
                   interleaved(options.rounds, {
                       "larderd": lambda: one_after_the_other(
                           lambda: post(port, execute, b""), options.seconds),
                       "bare bwrap": lambda: one_after_the_other(bare(folder), options.seconds)}),
                   {"bare bwrap": 0.7})
        if options.only in "100 at once":
            start = time.monotonic()
            with concurrent.futures.ThreadPoolExecutor(100) as pool:
                states = [done["state"] for done in pool.map(lambda _: post(port, execute, b""), range(100))]
            print(f"100 at once: {states.count('succeeded')} succeeded in {time.monotonic() - start:.2f} s")
        if options.only in "a flood":
            flood = upload(port, "flood.sh", "yes | head -c 4000000000\n")
            before = resident(daemon.pid)
            done = post(port, f"/api/programs/{flood}/execute", b'{"timeout":60}')
            print(f"a flood of {done['stdout_bytes'] >> 20} MiB in {done['execution_time']:.2f} s: the daemon's memory "
                  f"went from {before} to {resident(daemon.pid)} MiB")
