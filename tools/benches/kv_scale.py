"""kv at size: a thousand watchers beside writers, a million keys, and what a checkpoint costs writers."""
import contextlib
import json
import multiprocessing
import pathlib
import select
import socket
import statistics
import threading
import time

from benches import peers
from benches.load import Load, interleaved, report

WATCHERS, RATE, WRITERS, SAMPLE = 1000, 5000, 50, 20
VALUE = json.dumps({"text": "x" * 89})  # 100 bytes of JSON


def put(key: str) -> bytes:
    return (f"PUT /api/kv/storage/{key} HTTP/1.1\r\nHost: localhost\r\nContent-Length: {len(VALUE)}"
            f"\r\n\r\n{VALUE}").encode()


def take_answers(client: socket.socket, count: int, rest: bytes = b"") -> bytes:
    """Reads `count` answers; returns what came of the next ones."""
    while count > 0:
        head, mark, after = rest.partition(b"\r\n\r\n")
        if mark:
            length = int(head.lower().split(b"content-length:")[1].split(b"\r\n")[0])
            if len(after) >= length:
                assert head.startswith(b"HTTP/1.1 20"), head
                rest, count = after[length:], count - 1
                continue
        more = client.recv(1 << 16)
        if not more:
            raise RuntimeError("larderd closed a writer's connection")
        rest += more
    return rest


def watch(port: int, count: int, pipe) -> None:
    """In a process of its own: opens streams, reads them until told to end, tells what came."""
    poll, clients, seen = select.epoll(), {}, {}
    for i in range(count):
        client = socket.create_connection(("127.0.0.1", port))
        client.sendall(b"GET /api/kv/storage?watch=true HTTP/1.0\r\nHost: localhost\r\n\r\n")
        clients[client.fileno()] = client
        poll.register(client.fileno(), select.EPOLLIN)
        if i < SAMPLE:
            seen[client.fileno()] = 0
    pipe.send("ready")
    size, buffer, ended = 0, bytearray(1 << 20), 0
    while not pipe.poll():
        for fd, _ in poll.poll(0.1):
            got = clients[fd].recv_into(buffer)
            size += got
            if got == 0:
                poll.unregister(fd)
                ended += 1
            if fd in seen:
                seen[fd] += buffer.count(b"\nid: ", 0, got)
    pipe.send((list(seen.values()), size, ended))


@contextlib.contextmanager
def watchers(port: int, count: int):
    ours, theirs = multiprocessing.Pipe()
    process = multiprocessing.Process(target=watch, args=(port, count, theirs), daemon=True)
    process.start()
    ours.recv()
    result = {}
    try:
        yield result
    finally:
        ours.send("end")
        result["seen"], result["bytes"], result["ended"] = ours.recv()
        process.join()


def paced_writes(port: int, seconds: float) -> tuple:
    """RATE writes a second by WRITERS connections, each with one under way; how many, and their rate."""
    clients = [socket.create_connection(("127.0.0.1", port)) for _ in range(WRITERS)]
    begin, made = time.monotonic(), 0
    while (now := time.monotonic()) < begin + seconds:
        due = min(WRITERS, int((now - begin) * RATE) - made)
        if due <= 0:
            time.sleep(0.001)
            continue
        for i in range(due):
            clients[i].sendall(put(f"bench-key-{(made + i) % 1000:010d}"))
        for i in range(due):
            take_answers(clients[i], 1)
        made += due
    for client in clients:
        client.close()
    return made, made / (time.monotonic() - begin)


def watching(root: pathlib.Path, options) -> None:
    with peers.scratch(root) as folder, peers.larderd(root, folder) as (_, port):
        load = Load(folder, "watched_put",
                    [("PUT", f"/api/kv/storage/bench-key-{i:010d}", VALUE) for i in range(1000)],
                    {"Content-Type": "application/json"})
        load.run(port, 8, 1)
        with watchers(port, WATCHERS) as result:
            made, rate = paced_writes(port, options.seconds)
            time.sleep(2)  # what is on its way arrives
        whole = [seen / made for seen in result["seen"]]
        print(f"\nkv watch: {WATCHERS:,} watchers, {RATE:,} writes/s asked for\n"
              f"  writes made                    {rate:>12,.0f} /s\n"
              f"  delivered to all               {result['bytes'] / options.seconds / 1e6:>12,.0f} MB/s\n"
              f"  of the changes, a watcher got  {min(whole) * 100:>12,.1f} % at least\n"
              f"  cut off as too slow            {result['ended']:>12,}", flush=True)

        def beside_watchers() -> float:
            with watchers(port, WATCHERS):
                return load.run(port, 64, options.seconds)

        report(f"kv PUT, durable, 64 connections, beside {WATCHERS:,} watchers of everything", "/s",
               interleaved(options.rounds, {
                   "beside them": beside_watchers,
                   "alone": lambda: load.run(port, 64, options.seconds)}), {})


def fill(port: int, count: int) -> None:
    """Keys of 20 bytes, values of 100, a thousand a transaction."""
    client, rest = socket.create_connection(("127.0.0.1", port)), b""
    for first in range(0, count, 1000):
        ops = ",".join(f'{{"op":"set","key":"bench-key-{i:010d}","value":{VALUE}}}'
                       for i in range(first, first + 1000))
        body = f'{{"ops":[{ops}]}}'.encode()
        client.sendall(b"POST /api/kv/storage HTTP/1.1\r\nHost: localhost\r\nContent-Length: %d\r\n\r\n"
                       % len(body) + body)
        rest = take_answers(client, 1, rest)
    client.close()


def anonymous_bytes(pid: int) -> int:
    for line in pathlib.Path(f"/proc/{pid}/status").read_text().splitlines():
        if line.startswith("RssAnon:"):
            return int(line.split()[1]) * 1024
    raise RuntimeError("no RssAnon")


def put_times(port: int, ending: threading.Event) -> list:
    """Seconds that single writes took, one after the other, until `ending`."""
    client, times, rest, i = socket.create_connection(("127.0.0.1", port)), [], b"", 0
    while not ending.is_set():
        begin = time.perf_counter()
        client.sendall(put(f"bench-key-{i % 1000:010d}"))
        rest = take_answers(client, 1, rest)
        times.append(time.perf_counter() - begin)
        i += 1
    client.close()
    return times


def at_permille(times: list, permille: int) -> float:
    return sorted(times)[min(len(times) - 1, len(times) * permille // 1000)] * 1000


def a_million_keys(root: pathlib.Path, options) -> None:
    count = 1_000_000
    with peers.scratch(root) as folder:
        with peers.larderd(root, folder) as (process, port):
            fresh = anonymous_bytes(process.pid)
            fill(port, count)
        starts, memory = [], []
        for _ in range(options.rounds):
            begin = time.monotonic()
            with peers.larderd(root, folder) as (process, port):
                starts.append(time.monotonic() - begin)
                memory.append((anonymous_bytes(process.pid) - fresh) / count)
        print(f"\nkv, {count:,} keys of 20 bytes with values of 100\n"
              f"  start-up           {statistics.median(starts):>10.2f} s  (at most 3 wanted)\n"
              f"  memory a key       {statistics.median(memory):>10,.0f} bytes  (at most 350 wanted)",
              flush=True)
        with peers.larderd(root, folder) as (_, port):
            figures = {}
            for name in ("alone", "during checkpoints"):
                ending, times = threading.Event(), []
                writer = threading.Thread(target=lambda: times.extend(put_times(port, ending)))
                writer.start()
                until = time.monotonic() + max(options.seconds, 3)
                while time.monotonic() < until:
                    if name == "alone":
                        time.sleep(0.1)
                        continue
                    with socket.create_connection(("127.0.0.1", port)) as client:
                        client.sendall(b"POST /api/kv/storage/checkpoint HTTP/1.1\r\n"
                                       b"Host: localhost\r\nContent-Length: 0\r\n\r\n")
                        take_answers(client, 1)
                ending.set()
                writer.join()
                figures[name] = times
            print("\nkv, a write's time while a million keys are folded, 1 connection, ms")
            for name, times in figures.items():
                print(f"  {name:<20} p50 {at_permille(times, 500):>8.2f}   p99.9 "
                      f"{at_permille(times, 999):>8.2f}   most {max(times) * 1000:>8.2f}", flush=True)
