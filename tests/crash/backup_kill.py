#!/usr/bin/env python3
"""SIGKILL during backups and restores: the old state or the new one, whole, and nothing left behind.

COUNT times (100) during a backup, under writes; then COUNT times during a restore of one of two states.
After each restart: a backup that is listed is whole, one that is not has left nothing; kv and files are
those of before the restore or those of the backup, never parts of both.
"""

import argparse
import os
import random
import sys
import threading
import time

import whole
from backups import ask, content, judge_leftovers, make, pages, restore, verify
from daemon import Client, Cut, Daemon, Failed

BUCKETS = ("storage", "feature_flags", "notes")
SETTINGS = {"LARDER_DAEMON_ACCESS_LOG": "false", "LARDER_BACKUP_VERIFY": "off",
            "LARDER_BACKUP_SCHEDULE": "off"}
FILES, BYTES = 40, 150_000
KEPT = 4  # backups; the others go


def fill(client, chance, mark):
    """A state of its own: no key and no file of another one stays."""
    for bucket in BUCKETS:
        client.request("DELETE", f"/api/kv/{bucket}?confirm={bucket}")
        for number in range(30):
            ask(client, "PUT", f"/api/kv/{bucket}/{mark}{number}", "",
                b'"%s %d"' % (mark.encode(), chance.randrange(1 << 30)))
    for record in list(pages(client, "/api/files")):
        ask(client, "DELETE", f"/api/files/{record['filename']}", expect=(204,))
    for number in range(FILES):
        ask(client, "PUT", f"/api/files/{mark}{number}.bin", "", chance.randbytes(BYTES))


class Writes(threading.Thread):
    """Somebody who writes while backups are made, until the daemon is gone."""

    def __init__(self, port):
        super().__init__(daemon=True)
        self.port, self.last, self.failure = port, 0, None
        self.start()

    def run(self):
        try:
            client = Client(self.port)
            while True:
                ask(client, "PUT", "/api/kv/notes/busy", "", str(self.last + 1).encode())
                self.last += 1
        except Cut:
            pass  # killed: that is what this is about
        except Failed as failure:
            self.failure = failure


class Drill:
    def __init__(self, options, data):
        self.options, self.data = options, data
        self.chance = random.Random(options.seed)
        self.daemon = self.client = None
        self.begin()

    def begin(self):
        self.daemon = Daemon(self.options.larderd, self.data, SETTINGS)
        self.client = Client(self.daemon.port)

    def took(self, work):
        start = time.monotonic()
        work()
        return time.monotonic() - start

    def backups(self):
        """Returns how many were finished before the kill."""
        span, finished = self.took(lambda: make(self.client)), 0
        for turn in range(self.options.count):
            before = {item["backup_id"] for item in pages(self.client, "/api/backups")}
            writes = Writes(self.daemon.port)
            kind = "incremental" if turn % 3 == 2 else "full"
            begun = ask(self.client, "POST", "/api/backups", "", {"type": kind}, (202,))["backup_id"]
            time.sleep(self.chance.uniform(0, 1.3 * span))
            self.daemon.kill()
            writes.join()
            if writes.failure:
                raise writes.failure
            self.begin()
            now = {item["backup_id"] for item in pages(self.client, "/api/backups")}
            if not before <= now <= before | {begun}:
                raise Failed(f"before {sorted(before)}, begun {begun}, now {sorted(now)}")
            judge_leftovers(self.client, self.data)
            if begun in now:
                finished += 1
                verify(self.client, begun)
            busy = int(ask(self.client, "GET", "/api/kv/notes/busy", expect=(200,)))
            if busy not in (writes.last, writes.last + 1) and writes.last:
                raise Failed(f"{writes.last} was acknowledged, there is {busy}")
            ask(self.client, "POST", "/api/backups/cleanup", "", {"keep_count": KEPT})
        return finished

    def told_of(self, backup):
        """How often the audit has that it was restored; a plugin may tell of its part as well."""
        return sum(item["target"] == backup for item in pages(self.client, "/api/audit?action=restored"))

    def restores(self):
        """Returns how many were finished before the kill, or by the start after it."""
        states = {}
        for mark in ("old", "new"):
            fill(self.client, self.chance, mark)
            states[make(self.client)] = content(self.client, BUCKETS)
        ids = sorted(states)
        now, finished = states[ids[1]], 0
        span = self.took(lambda: restore(self.client, ids[1]))
        for _ in range(self.options.count):
            target = ids[0] if now == states[ids[1]] else ids[1]
            told = self.told_of(target)
            ask(self.client, "POST", f"/api/backups/{target}/restore", "", {}, (202,))
            # As often while it unpacks as later, though that is shorter.
            time.sleep(self.chance.choice((0.2, 1.3)) * self.chance.random() * span)
            self.daemon.kill()
            self.begin()
            after = content(self.client, BUCKETS)
            if after not in (now, states[target]):
                raise Failed(f"neither the old state nor {target}: {describe(after, states)}")
            judge_leftovers(self.client, self.data)
            told = self.told_of(target) - told
            # Twice where the kill came between the record and the note that it is written.
            if told not in ((1, 2) if after == states[target] else (0,)):
                raise Failed(f"{target} is {'' if after == states[target] else 'not '}in force, the "
                             f"audit has {told} more records that it was restored")
            finished += after == states[target]
            now = after
        for backup_id in ids:
            verify(self.client, backup_id)
        return finished

    def run(self):
        try:
            fill(self.client, self.chance, "old")
            finished = self.backups()
            print(f"  {self.options.count} kills during backups, {finished} of which were recorded "
                  "and whole", flush=True)
            finished = self.restores()
            print(f"  {self.options.count} kills during restores: {finished} to the new state, "
                  f"{self.options.count - finished} left the old one", flush=True)
            code = self.daemon.stop()
        finally:
            self.daemon.kill()
        if code != 0 or "Sanitizer" in self.daemon.log:
            raise Failed(f"larderd ended with {code}; it said:\n{self.daemon.log[-4000:]}")


def describe(after, states):
    """Which state each part is of."""
    parts = {}
    for bucket in BUCKETS:
        parts[bucket] = [name for name, state in states.items() if state[0][bucket] == after[0][bucket]]
    parts["files"] = [name for name, state in states.items() if state[1] == after[1]]
    return parts


def main():
    arguments = argparse.ArgumentParser(prog="tools/drill backup-kill", description=__doc__)
    arguments.add_argument("count", nargs="?", type=int, default=100, help="kills of each kind")
    arguments.add_argument("--seed", type=int, default=random.SystemRandom().randrange(1 << 32))
    arguments.add_argument("--larderd", required=True)
    options = arguments.parse_args()
    print(f"backup-kill: {options.count} kills of each kind, seed {options.seed}", flush=True)
    return whole.run("backup-kill",
                     lambda folder: Drill(options, os.path.join(folder, "data")).run())


if __name__ == "__main__":
    sys.exit(main())
