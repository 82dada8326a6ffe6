"""metrics: what recording costs a request, how fast records go in, and first pages over many rows."""
import http.client
import json
import pathlib
import statistics
import subprocess
import threading
import time
import urllib.parse
import urllib.request

from benches import peers
from benches.kv import key, status_of
from benches.load import Load, interleaved, report

BATCH = 2000  # records of a request, rows of a transaction
NAMES, ROWS = 50_000, 1_000_000


def on_and_off(root: pathlib.Path, options) -> None:
    with peers.scratch(root) as folder, peers.larderd(root, folder) as (_, port):
        urllib.request.urlopen(urllib.request.Request(
            f"http://127.0.0.1:{port}/api/kv/storage/{key(0)}", b'{"text":"x"}', method="PUT"))
        load = Load(folder, "get", [("GET", f"/api/kv/storage/{key(0)}", None)])

        def with_plugin(action: str):
            def measure() -> float:
                urllib.request.urlopen(urllib.request.Request(
                    f"http://127.0.0.1:{port}/api/plugins/metrics/{action}", b"", method="POST"))
                return load.run(port, 64, options.seconds)
            return measure

        report("kv GET, 64 connections, metrics recording", "/s",
               interleaved(options.rounds, {"recording on": with_plugin("enable"),
                                            "recording off": with_plugin("disable")}),
               {"recording off": 0.93})


def record(i: int) -> dict:
    return {"metric_name": f"bench.metric.{i % NAMES}", "metric_value": i * 0.5,
            "metric_unit": "ms", "tags": {"host": f"h{i % 7}"}}


def bare_inserts(folder: pathlib.Path, seconds: float) -> float:
    """The same rows into the same table by a program that does nothing else."""
    program = folder / "bare_sqlite"
    if not program.exists():
        subprocess.run(["c++", "-O2", "-o", program, pathlib.Path(__file__).parent / "bare_sqlite.cpp",
                        "-lsqlite3"], check=True)
    for left in folder.glob("bare.db*"):
        left.unlink()
    ran = subprocess.run([program, folder / "bare.db", str(seconds), str(BATCH), str(NAMES)],
                         capture_output=True, text=True, check=True)
    return float(ran.stdout)


def bodies() -> list:
    return [json.dumps([record(i) for i in range(at, at + BATCH)]).encode()
            for at in range(0, 50 * BATCH, BATCH)]


def send(port: int, ready: list, until, sent: list) -> None:
    client = http.client.HTTPConnection("127.0.0.1", port, timeout=60)
    count = 0
    while not until(sum(sent) + count * BATCH):
        client.request("POST", "/api/metrics/performance", ready[count % len(ready)])
        answer = client.getresponse()
        answer.read()
        if answer.status == 202:
            count += 1
        elif answer.status != 503:
            raise SystemExit(f"records were answered {answer.status}")
    sent.append(count * BATCH)


def get(port: int, target: str) -> dict:
    with urllib.request.urlopen(f"http://127.0.0.1:{port}{target}", timeout=60) as answer:
        return json.load(answer)


def ingested(root: pathlib.Path, ready: list, seconds: float) -> float:
    """Records over HTTP by four clients, until the last of them is in the database: a new one, as the peer's is."""
    with peers.scratch(root) as folder, peers.larderd(root, folder) as (_, port):
        sent, begin = [], time.monotonic()
        clients = [threading.Thread(target=send, args=(
            port, ready, lambda _: time.monotonic() - begin > seconds, sent)) for _ in range(4)]
        for client in clients:
            client.start()
        for client in clients:
            client.join()
        get(port, "/api/metrics/performance?limit=1")  # writes what waits
        return sum(sent) / (time.monotonic() - begin)


def ingestion(root: pathlib.Path, options) -> None:
    with peers.scratch(root) as folder:
        ready = bodies()
        report(f"performance records, {BATCH:,} at once", "/s", interleaved(options.rounds, {
            "larderd": lambda: ingested(root, ready, options.seconds),
            "bare SQLite": lambda: bare_inserts(folder, options.seconds)}), {"bare SQLite": 0.8})


def many_rows(root: pathlib.Path) -> None:
    with peers.scratch(root) as folder, peers.larderd(root, folder) as (process, port):
        before = status_of(process.pid, "RssAnon")
        ready = [json.dumps([record(i) for i in range(at, at + BATCH)]).encode()
                 for at in range(0, ROWS, BATCH)]
        client = http.client.HTTPConnection("127.0.0.1", port, timeout=60)
        for body in ready:
            while True:
                client.request("POST", "/api/metrics/performance", body)
                answer = client.getresponse()
                answer.read()
                if answer.status == 202:
                    break
        get(port, "/api/metrics/performance?limit=1")
        grown = status_of(process.pid, "RssAnon") - before
        size = (folder / "data/programs/db/metrics.db").stat().st_size \
            if (folder / "data/programs/db/metrics.db").exists() else 0
        print(f"\n{ROWS:,} records of {NAMES:,} names\n  memory grown by {grown / 1024:,.1f} MiB;"
              f" metrics.db {size / 2**20:,.0f} MiB")
        name = urllib.parse.quote("bench.metric.77")
        for title, target in (("names, first page", "/api/metrics/performance?limit=100"),
                              ("one name, 24 h", f"/api/metrics/performance?name={name}"),
                              ("one name, p95", f"/api/metrics/performance?name={name}&agg=p95"),
                              ("requests, all endpoints", "/api/metrics/http"),
                              ("dashboard", "/api/metrics/dashboard")):
            times = []
            for _ in range(5):
                begin = time.monotonic()
                get(port, target)
                times.append(time.monotonic() - begin)
            print(f"  {title:<26} {statistics.median(times) * 1000:>9.1f} ms", flush=True)


def run(root: pathlib.Path, options) -> None:
    if options.only in "recording":
        on_and_off(root, options)
    if options.only in "ingestion":
        ingestion(root, options)
    if options.only in "million":
        many_rows(root)
