"""backup: a full backup against tar and pigz, with restic and borg for information; writers' pause."""
import contextlib
import json
import os
import pathlib
import random
import shutil
import subprocess
import threading
import time

from benches import peers
from benches.files import Put, settings
from benches.load import interleaved, report

MIB = 1 << 20
MIXED = 200 * MIB
PAUSE_BYTES, PAUSE_FILES, PAUSE_WRITES = 1 << 30, 100_000, 5_000  # writes: a second


def ask(port: int, method: str, target: str, body: bytes = b"", wait: int = 600) -> dict:
    done = subprocess.run(["curl", "-sf", "-X", method, "-H", f"Prefer: wait={wait}", "-H",
                           "Content-Type: application/json", "--data-binary", "@-",
                           f"http://127.0.0.1:{port}{target}"], input=body, check=True,
                          stdout=subprocess.PIPE)
    return json.loads(done.stdout or b"{}")


def text_of(size: int, chance: random.Random) -> bytes:
    words = [bytes(chance.choices(b"abcdefghijklmnopqrstuvwxyz", k=chance.randrange(2, 10)))
             for _ in range(2000)]
    out = b""
    while len(out) < size:
        out += b" ".join(chance.choices(words, k=1000)) + b"\n"
    return out[:size]


def fill_mixed(port: int) -> None:
    """Half of it random, half text; many small files and some large ones; and values."""
    chance, client, left = random.Random(1), Put(port), MIXED
    text = text_of(8 * MIB, chance)
    while left > 0:
        size = min(left, chance.choice((1024, 20_000, 300_000, 4 * MIB)))
        body = chance.randbytes(size) if chance.random() < 0.5 else text[:size]
        client.send("mixed.bin", body)
        left -= size
    ops = [{"op": "set", "key": f"k{i}", "value": {"number": i, "text": "x" * 100}}
           for i in range(1000)]
    for bucket in range(20):
        ask(port, "POST", f"/api/kv/bench{bucket}", json.dumps({"ops": ops}).encode())


def timed(work) -> float:
    began = time.monotonic()
    work()
    return time.monotonic() - began


def speed(root: pathlib.Path, options) -> None:
    settings(quota="100GiB")
    os.environ["LARDER_BACKUP_VERIFY"] = "off"
    os.environ["LARDER_BACKUP_SCHEDULE"] = "off"
    with contextlib.ExitStack() as stack:
        folder = stack.enter_context(peers.scratch(root))
        _, port = stack.enter_context(peers.larderd(root, folder))
        fill_mixed(port)
        data = folder / "data"
        archive = folder / "tar.gz"

        def ours() -> float:
            def work() -> None:
                ask(port, "POST", "/api/backups", b"{}")
            took = timed(work)
            ask(port, "POST", "/api/backups/cleanup", b'{"keep_count":1}')
            return MIXED / MIB / took

        def pigz() -> float:
            command = (f"tar c --exclude=backups -C {data} . | pigz > {archive} && sync {archive}")
            return MIXED / MIB / timed(lambda: subprocess.run(["sh", "-c", command], check=True))

        def restic() -> float:
            store, key = folder / "restic", {**os.environ, "RESTIC_PASSWORD": "bench",
                                             "XDG_CACHE_HOME": str(folder / "cache")}
            shutil.rmtree(store, ignore_errors=True)
            quiet = {"check": True, "env": key, "stdout": subprocess.DEVNULL}
            subprocess.run(["restic", "-r", store, "init"], **quiet)
            return MIXED / MIB / timed(lambda: subprocess.run(
                ["restic", "-r", store, "backup", "--exclude", "backups", data], **quiet))

        def borg() -> float:
            store, key = folder / "borg", {**os.environ, "BORG_BASE_DIR": str(folder / "borg-base"),
                                           "BORG_UNKNOWN_UNENCRYPTED_REPO_ACCESS_IS_OK": "yes"}
            shutil.rmtree(store, ignore_errors=True)
            quiet = {"check": True, "env": key, "stdout": subprocess.DEVNULL}
            subprocess.run(["borg", "init", "-e", "none", store], **quiet)
            return MIXED / MIB / timed(lambda: subprocess.run(
                ["borg", "create", "--exclude", f"{data}/backups", f"{store}::one", data], **quiet))

        rows = {"larderd": ours, "tar c | pigz": pigz}
        rows |= {name: work for name, work in (("restic", restic), ("borg", borg)) if shutil.which(name)}
        ours()
        report("full backup of 200 MB mixed, without its verification", "MB/s",
               interleaved(options.rounds, rows), {"tar c | pigz": 2})


def pause(root: pathlib.Path, options) -> None:
    """1 GB in 100,000 files and 5,000 writes a second: for how long backups hold writers."""
    settings(quota="100GiB")
    os.environ["LARDER_BACKUP_VERIFY"] = "off"
    os.environ["LARDER_BACKUP_SCHEDULE"] = "off"
    with peers.scratch(root) as folder, peers.larderd(root, folder) as (_, port):
        body, over, done = os.urandom(PAUSE_BYTES // PAUSE_FILES), threading.Event(), [0] * 16

        def upload(worker: int) -> None:
            client = Put(port)
            for _ in range(worker, PAUSE_FILES, 16):
                client.send("small.bin", body)

        def write(worker: int) -> None:
            client, began = Put(port), time.monotonic()
            while not over.is_set():
                client.send_to(f"/api/kv/storage/w{worker}", b"1")
                done[worker] += 1
                ahead = done[worker] / (PAUSE_WRITES / len(done)) - (time.monotonic() - began)
                if ahead > 0:
                    time.sleep(ahead)

        uploads = [threading.Thread(target=upload, args=(number,)) for number in range(16)]
        for thread in uploads:
            thread.start()
        for thread in uploads:
            thread.join()
        writers = [threading.Thread(target=write, args=(number,)) for number in range(len(done))]
        for thread in writers:
            thread.start()
        began, before = time.monotonic(), sum(done)
        pauses = [ask(port, "POST", "/api/backups", b"{}")["pause"] for _ in range(options.rounds)]
        rate = (sum(done) - before) / (time.monotonic() - began)
        over.set()
        for thread in writers:
            thread.join()
        print(f"\n1 GB in {PAUSE_FILES:,} files, {rate:,.0f} kv writes/s meanwhile\n"
              f"  longest pause of writers {1000 * max(pauses):.1f} ms over {len(pauses)} backups "
              "(at most 50 wanted)", flush=True)


def run(root: pathlib.Path, options) -> None:
    if options.only.lower() in "full backup":
        speed(root, options)
    if options.only.lower() in "pause of writers":
        pause(root, options)
