#!/usr/bin/env python3
"""Backups under load, each restored into a new data directory: every invariant holds in it.

While transactions move amounts between keys, a number goes up in one bucket and then in another, values
name files by their hash, and pairs of samples go into SQLite, COUNT backups (30) are made, every third an
incremental one. Each is imported into a daemon with nothing, restored, and looked at before and after a
restart.
"""

import argparse
import hashlib
import json
import os
import random
import shutil
import sqlite3
import sys
import threading
import time

import whole
from backups import ask, content, judge_leftovers, make, pages, restore
from daemon import Client, Cut, Daemon, Failed

SETTINGS = {"LARDER_DAEMON_ACCESS_LOG": "false", "LARDER_BACKUP_SCHEDULE": "off"}
ACCOUNTS, EACH = 50, 1000
BUCKETS = ("accounts", "storage", "later", "papers")
REST = (0.05, 0.4)  # seconds between backups


class Work(threading.Thread):
    """One kind of load with its own connection, until told to end."""

    def __init__(self, port, seed, step):
        super().__init__(daemon=True)
        self.port, self.random, self.step = port, random.Random(seed), step
        self.over, self.failure, self.done = threading.Event(), None, 0
        self.start()

    def run(self):
        try:
            client = Client(self.port)
            while not self.over.is_set():
                self.step(client, self.random, self.done)
                self.done += 1
        except (Cut, Failed) as failure:
            self.failure = failure

    def end(self):
        self.over.set()
        self.join()
        if self.failure:
            raise Failed(f"load: {self.failure}")


def move(client, chance, _):
    """A transaction that keeps the sum of all accounts."""
    giver, taker = chance.sample(range(ACCOUNTS), 2)
    amount = chance.randrange(1, 20)
    ask(client, "POST", "/api/kv/accounts", "", {"ops": [
        {"op": "increment", "key": f"a{giver}", "by": -amount},
        {"op": "increment", "key": f"a{taker}", "by": amount}]})


def follow(client, _, turn):
    """One bucket is never ahead of the one that is written before it, and at most one behind."""
    ask(client, "PUT", "/api/kv/storage/first", "", str(turn).encode())
    ask(client, "PUT", "/api/kv/later/second", "", str(turn).encode())


def paper(client, chance, turn):
    """A value that names a file is written after it, and removed before it."""
    name = f"p{turn % 25}"
    old = client.request("GET", f"/api/kv/papers/{name}")
    if old.status == 200:
        ask(client, "DELETE", f"/api/kv/papers/{name}", expect=(204,))
        ask(client, "DELETE", f"/api/files/{json.loads(old.body)['file']}", expect=(204,))
    stored = ask(client, "PUT", f"/api/files/{name}.bin", "", chance.randbytes(chance.randrange(60_000)))
    ask(client, "PUT", f"/api/kv/papers/{name}", "",
        {"file": stored["filename"], "sha256": stored["hash"]})


def sample(client, _, turn):
    """Two samples in one request: both are kept, or none."""
    ask(client, "POST", "/api/metrics/performance", "Content-Type: application/json\r\n",
        json.dumps([{"metric_name": "left", "metric_value": turn},
                    {"metric_name": "right", "metric_value": turn}]).encode(),
        (200, 201, 202, 204))
    time.sleep(0.005)


def samples_in(data):
    """How many of each kind SQLite has; its own check included."""
    counts = {}
    folder = os.path.join(data, "programs", "db")
    for name in sorted(os.listdir(folder)):
        if not name.endswith(".db"):
            continue
        with sqlite3.connect(f"file:{os.path.join(folder, name)}?mode=ro", uri=True) as database:
            said = database.execute("PRAGMA integrity_check").fetchall()
            if said != [("ok",)]:
                raise Failed(f"{name}: SQLite says {said[:3]}")
            if name != "metrics.db":
                continue
            for kind in ("left", "right"):
                counts[kind] = database.execute(
                    "SELECT count(*) FROM performance_metrics WHERE metric_name = ?", (kind,)
                ).fetchone()[0]
    return counts


def judge(client, data, stage):
    values, files = content(client, BUCKETS)
    total = sum(values["accounts"].values())
    if len(values["accounts"]) != ACCOUNTS or total != ACCOUNTS * EACH:
        raise Failed(f"{stage}: {len(values['accounts'])} accounts have {total} together, expected "
                     f"{ACCOUNTS * EACH}")
    first, second = values["storage"].get("first", -1), values["later"].get("second", -1)
    if not second <= first <= second + 1:
        raise Failed(f"{stage}: storage is at {first}, the bucket written after it at {second}")
    for key, value in values["papers"].items():
        if files.get(value["file"]) != value["sha256"]:
            raise Failed(f"{stage}: papers/{key} names {value}, the file has "
                         f"{files.get(value['file'])}")
    if len(files) > len(values["papers"]) + 1:
        raise Failed(f"{stage}: {len(files)} files for {len(values['papers'])} values that name one")
    chain = ask(client, "GET", "/api/audit/verify")
    if not chain.get("intact", chain.get("ok")):
        raise Failed(f"{stage}: the audit chain is broken: {chain}")
    return len(values["papers"])


def restore_anew(options, folder, archives):
    """Into a data directory that has nothing: the last of `archives`, with what it is based on."""
    data = os.path.join(folder, "anew")
    daemon = Daemon(options.larderd, data, SETTINGS)
    try:
        client = Client(daemon.port)
        for archive in archives:
            with open(archive, "rb") as file:
                taken = ask(client, "POST", "/api/backups/import", "Content-Type: application/gzip\r\n",
                            file.read(), (201,))
        restore(client, taken["backup_id"])
        judge(client, data, f"{taken['backup_id']} restored")
        judge_leftovers(client, data)
        restored = [item for item in pages(client, "/api/audit?action=restored")]
        if not restored:
            raise Failed("the audit has no record of the restore")
        if daemon.stop() != 0 or "Sanitizer" in daemon.log:
            raise Failed(f"larderd did not end well; it said:\n{daemon.log[-4000:]}")
        counts = samples_in(data)
        if counts["left"] != counts["right"]:
            raise Failed(f"{taken['backup_id']}: of each pair both are kept or none, there are {counts}")
        daemon = Daemon(options.larderd, data, SETTINGS)
        papers = judge(Client(daemon.port), data, f"{taken['backup_id']} after a restart")
        return papers, counts["left"]
    finally:
        daemon.kill()
        shutil.rmtree(data, ignore_errors=True)


def drill(options, folder):
    chance = random.Random(options.seed)
    data = os.path.join(folder, "data")
    daemon = Daemon(options.larderd, data, SETTINGS)
    chains, pauses = [], []
    try:
        client = Client(daemon.port)
        for number in range(ACCOUNTS):
            ask(client, "PUT", f"/api/kv/accounts/a{number}", "", str(EACH).encode())
        works = [Work(daemon.port, chance.random(), step)
                 for step in (move, move, move, follow, paper, sample)]
        for turn in range(options.count):
            time.sleep(chance.uniform(*REST))
            incremental = turn % 3 == 2
            backup_id = make(client, {"type": "incremental" if incremental else "full"})
            told = ask(client, "GET", f"/api/backups/{backup_id}")
            pauses.append(told["pause"])
            chains.append((chains[-1] if incremental else []) + [os.path.join(data, told["file_path"])])
        for work in works:
            work.end()
        done = sum(work.done for work in works)
        papers = samples = 0
        for chain in chains:
            found = restore_anew(options, folder, chain)
            papers, samples = papers + found[0], samples + found[1]
        code = daemon.stop()
    finally:
        daemon.kill()
    if code != 0 or "Sanitizer" in daemon.log:
        raise Failed(f"larderd ended with {code}; it said:\n{daemon.log[-4000:]}")
    if not papers or not samples:
        raise Failed(f"the load was too little to prove anything: {papers} papers, {samples} samples")
    print(f"  {options.count} backups under {done} requests, each restored into a new data directory: "
          f"{papers} files that values name, {samples} pairs of samples; writers were held "
          f"{1000 * max(pauses):.1f} ms at most")


def main():
    arguments = argparse.ArgumentParser(prog="tools/drill restore", description=__doc__)
    arguments.add_argument("count", nargs="?", type=int, default=30, help="backups")
    arguments.add_argument("--seed", type=int, default=random.SystemRandom().randrange(1 << 32))
    arguments.add_argument("--larderd", required=True)
    options = arguments.parse_args()
    print(f"restore: {options.count} backups, seed {options.seed}", flush=True)
    return whole.run("restore", lambda folder: drill(options, folder))


if __name__ == "__main__":
    sys.exit(main())
