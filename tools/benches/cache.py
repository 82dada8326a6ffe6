"""cache: reads from memory over HTTP, what stays when there is too little room, and how soon one daemon hears
of another's change."""
import bisect
import collections
import contextlib
import http.client
import itertools
import json
import os
import pathlib
import random
import statistics
import time

from benches import peers
from benches.load import Load, interleaved, report

KEYS = 1000
VALUE = json.dumps({"text": "x" * 89})  # 100 bytes of JSON


def key(i: int) -> str:
    return f"bench-key-{i:010d}"  # 20 bytes


@contextlib.contextmanager
def settings(**values):
    """LARDER_CACHE_… for the daemons that are started meanwhile."""
    names = {f"LARDER_CACHE_{name.upper()}": value for name, value in values.items()}
    os.environ.update(names)
    try:
        yield
    finally:
        for name in names:
            del os.environ[name]


class Client:
    def __init__(self, port: int):
        self.connection = http.client.HTTPConnection("127.0.0.1", port, timeout=30)

    def ask(self, method: str, path: str, body=None):
        self.connection.request(method, path, body)
        answer = self.connection.getresponse()
        return answer.status, answer.read()

    def stats(self) -> dict:
        return json.loads(self.ask("GET", "/api/cache/stats")[1])


def reads(root: pathlib.Path, options) -> None:
    with contextlib.ExitStack() as stack:
        folder = stack.enter_context(peers.scratch(root))
        _, ours = stack.enter_context(peers.larderd(root, folder))
        redis = stack.enter_context(peers.webdis(folder))
        keys = [key(i) for i in range(KEYS)]
        Load(folder, "our_put", [("PUT", f"/api/cache/{k}?ttl=86400", VALUE) for k in keys],
             {"Content-Type": "application/json"}).run(ours, 8, 1)
        Load(folder, "redis_put", [("PUT", f"/SET/{k}", VALUE) for k in keys]).run(redis, 8, 1)
        our_get = Load(folder, "our_get", [("GET", f"/api/cache/{k}", None) for k in keys])
        redis_get = Load(folder, "redis_get", [("GET", f"/GET/{k}", None) for k in keys])
        report("cache GET, a hit in memory, 1,000 keys of 100 bytes, 64 connections", "/s", interleaved(
            options.rounds, {"larderd": lambda: our_get.run(ours, 64, options.seconds),
                             "webdis + Redis": lambda: redis_get.run(redis, 64, options.seconds)}),
               {"webdis + Redis": 1.5})


def zipf(keys: int, exponent: float, count: int) -> list:
    below = list(itertools.accumulate(1 / rank ** exponent for rank in range(1, keys + 1)))
    chance = random.Random(7)
    return [bisect.bisect(below, chance.random() * below[-1]) for _ in range(count)]


def lru_hits(trace, room: int) -> int:
    kept, hits = collections.OrderedDict(), 0
    for one in trace:
        if one in kept:
            hits += 1
            kept.move_to_end(one)
            continue
        kept[one] = True
        if len(kept) > room:
            kept.popitem(last=False)
    return hits


def admission(root: pathlib.Path) -> None:
    """A miss is filled, as users of a cache do. The others get room for as many entries as ours kept."""
    trace, value = zipf(50_000, 0.99, 200_000), b"v" * 400
    with settings(memory="4MiB"), peers.scratch(root) as folder, \
            peers.larderd(root, folder) as (_, port):
        client, hits = Client(port), 0
        for one in trace:
            if client.ask("GET", f"/api/cache/k{one}")[0] == 200:
                hits += 1
            else:
                client.ask("PUT", f"/api/cache/k{one}", value)
        facts = client.stats()["l1"]
    room, total = facts["entries"], len(trace)
    frequent = collections.Counter(trace).most_common(room)
    bound = sum(count - 1 for _, count in frequent)  # the first of each is a miss for everybody
    print(f"\ncache, Zipf(0.99) over 50,000 keys, room for {room}: share of hits")
    print(f"  larderd {hits / total:.3f}, LRU {lru_hits(trace, room) / total:.3f}, "
          f"keeping the most frequent, known beforehand {bound / total:.3f}")
    print(f"  memory: {facts['bytes'] / facts['capacity']:.3f} of the budget, as counted")


def budget(root: pathlib.Path) -> None:
    """What the process takes beyond what it took when idle, when ten times the budget was stored."""
    def anonymous(pid):
        for line in pathlib.Path(f"/proc/{pid}/status").read_text().splitlines():
            if line.startswith("RssAnon"):
                return int(line.split()[1]) * 1024
        raise RuntimeError("no RssAnon")

    megabytes = 64
    print(f"\ncache, memory beside a budget of {megabytes} MiB")
    for size in (100, 4000, 200_000):
        with settings(memory=f"{megabytes}MiB"), peers.scratch(root) as folder, \
                peers.larderd(root, folder) as (process, port):
            client, count = Client(port), min(400_000, 5 * (megabytes << 20) // (size + 300))
            for i in range(1000):
                client.ask("GET", f"/api/cache/k{i}")
            before = anonymous(process.pid)
            for i in range(count):
                client.ask("PUT", f"/api/cache/key-{i}", b"v" * size)
            grown = anonymous(process.pid) - before
            print(f"  values of {size:>7} bytes: {grown / (megabytes << 20):.3f} of it "
                  f"({client.stats()['l1']['entries']} entries of {count})", flush=True)


def hearing(root: pathlib.Path, rounds: int) -> None:
    port = peers.free_port()
    with peers.scratch(root) as folder, contextlib.ExitStack() as stack:
        stack.enter_context(peers.running(
            ["redis-server", "--port", port, "--bind", "127.0.0.1", "--save", "", "--dir", folder], port))
        with settings(redis_url=f"redis://127.0.0.1:{port}"):
            clients = []
            for name in ("one", "two"):
                (folder / name).mkdir()
                _, at = stack.enter_context(peers.larderd(root, folder / name))
                clients.append(Client(at))
        times = []
        for i in range(rounds):
            clients[0].ask("PUT", "/api/cache/k", str(i))
            began = time.monotonic()
            while clients[1].ask("GET", "/api/cache/k")[1] != str(i).encode():
                pass
            times.append((time.monotonic() - began) * 1000)
        times.sort()
        print(f"\ncache, from one daemon's answer to the other's reading it: median "
              f"{statistics.median(times):.2f} ms, the longest of {rounds} {times[-1]:.2f} ms", flush=True)


def run(root: pathlib.Path, options) -> None:
    if options.only in "get":
        reads(root, options)
    if options.only in "zipf":
        admission(root)
    if options.only in "memory":
        budget(root)
    if options.only in "hear":
        hearing(root, 500)
