"""files: downloads against nginx's sendfile, uploads against dd, memory and scale of both."""
import concurrent.futures
import contextlib
import hashlib
import json
import multiprocessing
import os
import pathlib
import queue
import re
import socket
import statistics
import subprocess
import threading
import time

from benches import peers
from benches.load import Load, interleaved, report

MIB = 1 << 20
SIZES = {"1 KiB": (1024, 64), "1 MiB": (MIB, 16), "100 MiB": (100 * MIB, 4)}  # bytes, connections
GIB_UPLOADS = 8
MANY = 100_000


def settings(**values) -> None:
    for name, value in values.items():
        os.environ[f"LARDER_FILES_{name.upper()}"] = value


class Put:
    """A keep-alive connection that uploads."""

    def __init__(self, port: int):
        self.socket = socket.create_connection(("127.0.0.1", port))
        self.socket.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        self.rest = b""

    def send(self, name: str, *parts) -> dict:
        return self.send_to(f"/api/files/{name}", *parts)

    def send_to(self, target: str, *parts) -> dict:
        size = sum(len(part) for part in parts)
        self.socket.sendall(f"PUT {target} HTTP/1.1\r\nHost: localhost\r\n"
                            f"Content-Length: {size}\r\n\r\n".encode())
        for part in parts:
            self.socket.sendall(part)
        while b"\r\n\r\n" not in self.rest:
            self.rest += self.socket.recv(65536)
        head, _, self.rest = self.rest.partition(b"\r\n\r\n")
        length = int(re.search(rb"content-length: (\d+)", head, re.I).group(1))
        while len(self.rest) < length:
            self.rest += self.socket.recv(65536)
        body, self.rest = self.rest[:length], self.rest[length:]
        if head.split(b" ", 2)[1] not in (b"200", b"201"):
            raise RuntimeError(f"{head} {body}")
        return json.loads(body)


def downloads(root: pathlib.Path, options, wanted) -> None:
    with contextlib.ExitStack() as stack:
        folder = stack.enter_context(peers.scratch(root))
        _, ours = stack.enter_context(peers.larderd(root, folder))
        content = folder / "content"
        content.mkdir()
        theirs = stack.enter_context(peers.nginx_files(folder, content))
        for name, (size, connections) in SIZES.items():
            title = f"file GET {name}, {connections} connections"
            if not wanted(title):
                continue
            body = os.urandom(size)
            (content / str(size)).write_bytes(body)
            url = Put(ours).send(f"{size}.bin", body)["url"]
            our_get = Load(folder, f"our_{size}", [("GET", url, None)])
            their_get = Load(folder, f"their_{size}", [("GET", f"/{size}", None)])
            report(title, "/s", interleaved(options.rounds, {
                "larderd": lambda: our_get.run(ours, connections, options.seconds),
                "nginx sendfile": lambda: their_get.run(theirs, connections, options.seconds)}),
                {"nginx sendfile": 0.95})


@contextlib.contextmanager
def receiving_and_hashing():
    """The port of a process that answers what it is sent with its SHA-256: one thread receives,
    one hashes, 8 MiB may lie between them."""
    def answer(connection: socket.socket) -> None:
        filled, free, sha = queue.Queue(), queue.Queue(), hashlib.sha256()
        for _ in range(32):
            free.put(memoryview(bytearray(256 << 10)))

        def hash_all() -> None:
            while (piece := filled.get()) is not None:
                sha.update(piece)
                free.put(memoryview(piece.obj))

        hasher = threading.Thread(target=hash_all)
        hasher.start()
        while count := connection.recv_into(block := free.get()):
            filled.put(block[:count])
        filled.put(None)
        hasher.join()
        connection.sendall(sha.digest())

    with socket.create_server(("127.0.0.1", 0)) as listener:
        def serve() -> None:
            while True:
                with listener.accept()[0] as connection:
                    answer(connection)

        process = multiprocessing.get_context("fork").Process(target=serve, daemon=True)
        process.start()
        try:
            yield listener.getsockname()[1]
        finally:
            process.kill()
            process.join()


def uploads(root: pathlib.Path, options) -> None:
    size = 100 * MIB
    with peers.scratch(root) as folder, peers.larderd(root, folder) as (_, port):
        body = os.urandom(size)
        digest = hashlib.sha256(body).digest()
        source, copy = folder / "source", folder / "copy"
        source.write_bytes(body)
        client = Put(port)

        def ours() -> float:
            began = time.monotonic()
            url = client.send("large.bin", body)["url"]
            rate = size / MIB / (time.monotonic() - began)
            subprocess.run(["curl", "-sf", "-X", "DELETE", f"http://127.0.0.1:{port}{url}"], check=True)
            return rate

        def dd() -> float:
            began = time.monotonic()
            subprocess.run(["dd", f"if={source}", f"of={copy}", "bs=1M", "conv=fdatasync"],
                           check=True, stderr=subprocess.DEVNULL)
            rate = size / MIB / (time.monotonic() - began)
            copy.unlink()
            return rate

        # What no upload can beat on this machine: the same bytes hashed, and received and hashed.
        def hashing() -> float:
            began = time.monotonic()
            hashlib.sha256(body).digest()
            return size / MIB / (time.monotonic() - began)

        with receiving_and_hashing() as bare:
            def receiving() -> float:
                with socket.create_connection(("127.0.0.1", bare)) as sender:
                    began = time.monotonic()
                    sender.sendall(body)
                    sender.shutdown(socket.SHUT_WR)
                    if sender.recv(32) != digest:
                        raise RuntimeError("the bare receiver has other bytes")
                    return size / MIB / (time.monotonic() - began)

            ours()
            report("file PUT 100 MiB, with SHA-256 and sync", "MiB/s",
                   interleaved(max(options.rounds, 5), {
                       "larderd": ours, "dd conv=fdatasync": dd, "SHA-256 alone": hashing,
                       "received and hashed, not written": receiving}),
                   {"dd conv=fdatasync": 0.9})


def small_uploads(root: pathlib.Path, options) -> None:
    with peers.scratch(root) as folder, peers.larderd(root, folder) as (_, port):
        def put(connections: int) -> float:
            end, body = time.monotonic() + options.seconds, os.urandom(1024)

            def work(_) -> int:
                client, count = Put(port), 0
                while time.monotonic() < end:
                    client.send("small.bin", body)
                    count += 1
                return count

            with concurrent.futures.ThreadPoolExecutor(connections) as pool:
                return sum(pool.map(work, range(connections))) / options.seconds

        report("file PUT 1 KiB, durable (for information)", "/s", interleaved(options.rounds, {
            "16 connections": lambda: put(16), "1 connection": lambda: put(1)}), {})


def anonymous(pid: int) -> int:
    text = pathlib.Path(f"/proc/{pid}/status").read_text()
    return int(re.search(r"^RssAnon:\s+(\d+)", text, re.M).group(1)) * 1024


def memory(root: pathlib.Path) -> None:
    """Eight uploads of 1 GiB at once: the most anonymous memory above idle."""
    settings(max_file_size="2GiB", quota="100GiB")
    block = os.urandom(MIB)
    with peers.scratch(root) as folder, peers.larderd(root, folder) as (process, port):
        Put(port).send("warm.bin", b"x" * MIB)
        idle, most = anonymous(process.pid), 0
        began = time.monotonic()
        with concurrent.futures.ThreadPoolExecutor(GIB_UPLOADS) as pool:
            futures = [pool.submit(Put(port).send, f"g{i}.bin", *([block] * 1024))
                       for i in range(GIB_UPLOADS)]
            while not all(future.done() for future in futures):
                most = max(most, anonymous(process.pid))
                time.sleep(0.02)
            for future in futures:
                future.result()
        print(f"\n{GIB_UPLOADS} uploads of 1 GiB at once: {time.monotonic() - began:.0f} s\n"
              f"  anonymous memory above idle  {(most - idle) / MIB:>8.1f} MiB (at most 20 wanted)",
              flush=True)


def scale(root: pathlib.Path) -> None:
    """Uploads up to 100,000 files: what the last thousand cost beside the first, and a list page."""
    settings(quota="100GiB")
    with peers.scratch(root) as folder, peers.larderd(root, folder) as (process, port):
        first, last = [], []

        def work(worker: int) -> None:
            client = Put(port)
            for number in range(worker, MANY, 16):
                client.send(f"file{number:06}.txt", b"x" * 100)

        def timed(into: list, base: int) -> None:
            client = Put(port)
            for number in range(1000):
                began = time.monotonic()
                client.send(f"timed{base + number}.txt", b"x" * 100)
                into.append(time.monotonic() - began)

        timed(first, 0)
        with concurrent.futures.ThreadPoolExecutor(16) as pool:
            list(pool.map(work, range(16)))
        timed(last, 1000)
        ratio = statistics.median(last) / statistics.median(first)
        print(f"\n{MANY:,} files\n  upload, median  first 1,000 {statistics.median(first) * 1e6:,.0f} "
              f"µs, last 1,000 {statistics.median(last) * 1e6:,.0f} µs: {ratio:.2f} × (at most 1.2 "
              f"wanted)\n  anonymous memory  {anonymous(process.pid) / MIB:,.0f} MiB")
        for query in ("limit=100", "limit=1000", "sort=size&order=desc&limit=100",
                      "sort=downloads&limit=100", "prefix=file0999&limit=100", "mime=image/&limit=100"):
            times = []
            for _ in range(20):
                began = time.monotonic()
                subprocess.run(["curl", "-sf", "-o", "/dev/null",
                                f"http://127.0.0.1:{port}/api/files?{query}"], check=True)
                times.append(time.monotonic() - began)
            print(f"  a list page, curl's start included, {query:<32} "
                  f"{statistics.median(times) * 1000:6.1f} ms", flush=True)


def run(root: pathlib.Path, options) -> None:
    def wanted(title: str) -> bool:
        return options.only.lower() in title.lower()

    settings(quota="100GiB")
    downloads(root, options, wanted)
    if wanted("file PUT 100 MiB"):
        uploads(root, options)
    if wanted("file PUT 1 KiB"):
        small_uploads(root, options)
    if wanted("memory"):
        memory(root)
    if wanted("scale"):
        scale(root)
