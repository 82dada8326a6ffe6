"""kv: reads and durable writes over HTTP, and what an idle connection costs."""
import base64
import contextlib
import json
import os
import pathlib
import re
import resource
import socket
import threading
import time
import urllib.request

from benches import kv_scale, peers
from benches.load import Load, interleaved, report

KEYS = 1000
VALUE = json.dumps({"text": "x" * 89})  # 100 bytes of JSON


def key(i: int) -> str:
    return f"bench-key-{i:010d}"  # 20 bytes


def status_of(pid: int, field: str) -> int:
    text = pathlib.Path(f"/proc/{pid}/status").read_text()
    return int(re.search(rf"^{field}:\s+(\d+)", text, re.M).group(1))


def bare_sync(folder: pathlib.Path, seconds: float) -> float:
    """One write and one fdatasync of as many bytes as a journal line holds, again and again."""
    line = b"x" * 220 + b"\n"
    file = os.open(folder / "bare", os.O_WRONLY | os.O_CREAT, 0o640)
    try:
        os.write(file, b"\0" * (8 << 20))
        os.fsync(file)
        os.lseek(file, 0, os.SEEK_SET)
        count, end = 0, time.monotonic() + seconds
        while time.monotonic() < end:
            if count % 20000 == 0:
                os.lseek(file, 0, os.SEEK_SET)
            os.write(file, line)
            os.fdatasync(file)
            count += 1
        return count / seconds
    finally:
        os.close(file)


def idle_connections(root: pathlib.Path, count: int) -> None:
    limit = resource.getrlimit(resource.RLIMIT_NOFILE)[1]
    resource.setrlimit(resource.RLIMIT_NOFILE, (limit, limit))
    count = min(count, limit - 100)
    with peers.scratch(root) as folder, peers.larderd(root, folder) as (process, port):
        def visit():
            client = socket.create_connection(("127.0.0.1", port))
            client.sendall(b"GET /healthz HTTP/1.1\r\nHost: localhost\r\n\r\n")
            client.recv(4096)
            return client

        clients = [visit() for _ in range(200)]  # what is made once is made
        threads, before = status_of(process.pid, "Threads"), status_of(process.pid, "RssAnon")
        clients += [visit() for _ in range(count)]
        after = status_of(process.pid, "RssAnon")
        grown = status_of(process.pid, "Threads") - threads
        print(f"\nidle keep-alive connections: {count:,}\n"
              f"  memory a connection  {(after - before) * 1024 / count:>10,.0f} bytes"
              f"   (at most 12,288 wanted)\n  threads they cost    {grown:>10}", flush=True)
        for client in clients:
            client.close()


class SlowCrowd:
    """200 clients that send a body a byte at a time, and 200 that read a large value as slowly."""

    def __init__(self, port: int):
        self.port, self.ending = port, threading.Event()
        self.clients = [self.connect(b"PUT /api/kv/storage/slow%d HTTP/1.1\r\nHost: localhost\r\n"
                                     b"Content-Length: 100000\r\n\r\n" % i) for i in range(200)]
        self.readers = [self.connect(b"GET /api/kv/storage/large HTTP/1.1\r\nHost: localhost\r\n\r\n",
                                     4096) for _ in range(200)]
        self.thread = threading.Thread(target=self.dawdle)

    def connect(self, head: bytes, receive: int = 0) -> socket.socket:
        client = socket.socket()
        if receive:
            client.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, receive)
        client.connect(("127.0.0.1", self.port))
        client.sendall(head)
        return client

    def dawdle(self) -> None:
        while not self.ending.wait(0.2):
            for client in self.clients:
                client.send(b" ")
            for client in self.readers:
                client.recv(1024)

    def __enter__(self):
        self.thread.start()
        return self

    def __exit__(self, *_):
        self.ending.set()
        self.thread.join()
        for client in self.clients + self.readers:
            client.close()


def slow_clients(root: pathlib.Path, options) -> None:
    with peers.scratch(root) as folder, peers.larderd(root, folder) as (_, port):
        large = json.dumps("y" * 1000000).encode()
        urllib.request.urlopen(urllib.request.Request(
            f"http://127.0.0.1:{port}/api/kv/storage/large", large, method="PUT"))
        urllib.request.urlopen(urllib.request.Request(
            f"http://127.0.0.1:{port}/api/kv/storage/{key(0)}", VALUE.encode(), method="PUT"))
        load = Load(folder, "beside_slow", [("GET", f"/api/kv/storage/{key(0)}", None)])

        def beside_slow() -> float:
            with SlowCrowd(port):
                return load.run(port, 64, options.seconds)

        report("kv GET, 64 connections, beside 200 slow senders and 200 slow readers", "/s",
               interleaved(options.rounds, {
                   "beside them": beside_slow,
                   "alone": lambda: load.run(port, 64, options.seconds)}), {})


def against_peers(root: pathlib.Path, options, wanted) -> None:
    with contextlib.ExitStack() as stack:
        folder = stack.enter_context(peers.scratch(root))
        _, ours = stack.enter_context(peers.larderd(root, folder))
        redis = stack.enter_context(peers.webdis(folder))
        etcd = stack.enter_context(peers.etcd(folder))
        nginx = stack.enter_context(peers.nginx(folder, VALUE))
        keys = [key(i) for i in range(KEYS)]

        def coded(text: str) -> str:
            return base64.b64encode(text.encode()).decode()

        json_type = {"Content-Type": "application/json"}
        our_put = Load(folder, "our_put",
                       [("PUT", f"/api/kv/storage/{k}", VALUE) for k in keys], json_type)
        our_get = Load(folder, "our_get", [("GET", f"/api/kv/storage/{k}", None) for k in keys])
        redis_put = Load(folder, "redis_put", [("PUT", f"/SET/{k}", VALUE) for k in keys])
        redis_get = Load(folder, "redis_get", [("GET", f"/GET/{k}", None) for k in keys])
        etcd_put = Load(folder, "etcd_put",
                        [("POST", "/v3/kv/put", json.dumps({"key": coded(k), "value": coded(VALUE)}))
                         for k in keys])
        nginx_get = Load(folder, "nginx_get", [("GET", f"/{k}", None) for k in keys])
        our_put.run(ours, 8, 1)  # every key is there
        redis_put.run(redis, 8, 1)

        def measured(load, port, connections):
            return lambda: load.run(port, connections, options.seconds)

        if wanted("get"):
            report("kv GET, 1,000 keys of 100 bytes, 64 connections", "/s", interleaved(
                options.rounds, {"larderd": measured(our_get, ours, 64),
                                 "webdis + Redis": measured(redis_get, redis, 64),
                                 "nginx return 200": measured(nginx_get, nginx, 64)}),
                   {"webdis + Redis": 1.5, "nginx return 200": 0.85})
        if wanted("put"):
            report("kv PUT, durable, 64 connections", "/s", interleaved(
                options.rounds, {"larderd": measured(our_put, ours, 64),
                                 "webdis + Redis, always": measured(redis_put, redis, 64),
                                 "etcd": measured(etcd_put, etcd, 64)}),
                   {"webdis + Redis, always": 1.3, "etcd": 4})
        if wanted("one"):
            report("kv PUT, durable, 1 connection", "/s", interleaved(
                options.rounds, {"larderd": measured(our_put, ours, 1),
                                 "write + fdatasync": lambda: bare_sync(folder, options.seconds),
                                 "webdis + Redis, always": measured(redis_put, redis, 1)}),
                   {"write + fdatasync": 0.5, "webdis + Redis, always": 1.2})


def run(root: pathlib.Path, options) -> None:
    def wanted(row: str) -> bool:
        return options.only in row

    if any(wanted(row) for row in ("get", "put", "one")):
        against_peers(root, options, wanted)
    if wanted("slow"):
        slow_clients(root, options)
    if wanted("idle"):
        idle_connections(root, 10000)
    if wanted("watch"):
        kv_scale.watching(root, options)
    if wanted("million"):
        kv_scale.a_million_keys(root, options)
