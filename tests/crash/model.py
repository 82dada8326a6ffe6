#!/usr/bin/env python3
"""Random requests to kv, through stops and kills; every answer must be what a model in memory says.

COUNT requests (100000) come from eight clients, each the only writer of one bucket, so that what must be
answered is known to the byte: reads, conditions, times to live, patches, increments, transactions,
lists, filters, pages, bucket removals and watches. Every few thousand the daemon is stopped, or killed
under way; then all it holds is compared, and what was under way must be done or not done, not half.

The same seed makes the same requests as far as nothing expires: the moment of an expiry, and of a kill,
is the kernel's.
"""

import argparse
import collections
import os
import random
import shutil
import sys
import tempfile
import threading
import time

from daemon import Daemon, Failed
from history import SETTINGS, refuse_alarms
from kv_worker import Worker

BUCKETS = ("storage", "feature_flags", "m1", "m2", "m3", "m4", "m5", "m6")
LEAST_LIFE, MOST_LIFE = 1000, 4000  # requests of one life of the daemon
STOPS = 0.3                         # of the ends; the others are kills
PATIENCE = 120.0                    # seconds for one life


class Share:
    """The requests of one life, taken one by one by all clients."""

    def __init__(self, count):
        self._left = count
        self._lock = threading.Lock()
        self.over = threading.Event()

    def take(self):
        with self._lock:
            self._left -= 1
            if self._left < 0:
                self.over.set()
                return False
            return True

    def end(self):
        with self._lock:
            self._left = 0
        self.over.set()


class Drill:
    """One run: the clients and their models, and the lives of the daemon."""

    def __init__(self, options, data):
        self.binary = options.larderd
        self.data = data
        self.random = random.Random(options.seed)
        self.workers = [Worker(name, i, random.Random(f"{options.seed}/{name}"), options.without)
                        for i, name in enumerate(BUCKETS)]
        self.kills = self.stops = 0

    def life(self, count):
        """So many requests, an end, and the proof that the next start shows the same."""
        daemon = self._start()
        kill = self.random.random() > STOPS
        # Those beyond the end of a kill are what is under way then.
        share = Share(count + 1000 if kill else count)
        try:
            threads = [worker.thread(daemon.port, share) for worker in self.workers]
            for thread in threads:
                thread.start()
            if kill:
                self._wait_for(share, count)
                daemon.kill()
                self.kills += 1
            for thread in threads:
                thread.join(PATIENCE)
                if thread.is_alive():
                    raise Failed(f"a client waits longer than {PATIENCE} s")
            self._raise_failures()
            if not kill:
                self._stop(daemon)
        finally:
            daemon.kill()
        refuse_alarms(daemon)

    def _wait_for(self, share, count):
        until = time.monotonic() + PATIENCE
        begin = self.requests()
        while self.requests() - begin < count and time.monotonic() < until:
            if share.over.wait(0.002):
                return

    def _stop(self, daemon):
        code = daemon.stop()
        self.stops += 1
        if code != 0:
            raise Failed(f"SIGTERM ended larderd with {code}; it said:\n{daemon.log}")
        for worker in self.workers:
            worker.check_file(self.data)

    def _start(self):
        daemon = Daemon(self.binary, self.data, SETTINGS)
        try:
            refuse_alarms(daemon)
            for worker in self.workers:
                worker.resolve(daemon.port)
        except BaseException:
            daemon.kill()
            raise
        return daemon

    def finish(self):
        self._start().kill()

    def requests(self):
        return sum(len_of(worker) for worker in self.workers)

    def _raise_failures(self):
        for worker in self.workers:
            if worker.failure:
                raise worker.failure

    def report(self, seconds):
        counts = collections.Counter()
        for worker in self.workers:
            counts.update(worker.counts)
        kinds = {name: n for name, n in counts.items() if isinstance(name, str)}
        statuses = {name: n for name, n in counts.items() if isinstance(name, int)}
        print(f"  {self.requests() / seconds:.0f} requests a second; ends: {self.kills} SIGKILL, "
              f"{self.stops} SIGTERM")
        print("  " + ", ".join(f"{n} {name}" for name, n in sorted(kinds.items())))
        print("  answers: " + ", ".join(f"{status}: {n}" for status, n in sorted(statuses.items())))
        ledgers = [worker.ledger for worker in self.workers if worker.ledger]
        if ledgers:
            print(f"  watches: {sum(l.events for l in ledgers)} events, of which "
                  f"{sum(l.expiries for l in ledgers)} expiries; "
                  f"{sum(l.resumptions for l in ledgers)} resumed, "
                  f"{sum(l.compactions for l in ledgers)} too old after a restart")


def len_of(worker):
    return sum(n for name, n in worker.counts.items() if isinstance(name, int))


def main():
    arguments = argparse.ArgumentParser(prog="tools/drill model",
                                        description=__doc__.split("\n", maxsplit=1)[0])
    arguments.add_argument("count", nargs="?", type=int, default=100_000)
    arguments.add_argument("at", nargs="?", type=int, metavar="seed")
    arguments.add_argument("--seed", type=int)
    arguments.add_argument("--without", action="append", default=[], metavar="KIND",
                           help="leave out a kind of request, such as watch or transaction")
    arguments.add_argument("--larderd", required=True)
    options = arguments.parse_args()
    if options.seed is None:
        options.seed = options.at if options.at is not None else random.randrange(1 << 32)
    data = tempfile.mkdtemp(prefix="larder-model-")
    print(f"model: {options.count} requests, seed {options.seed}", flush=True)
    drill = Drill(options, os.path.join(data, "data"))
    told = 10_000
    began = time.monotonic()
    try:
        while (left := options.count - drill.requests()) > 0:
            drill.life(min(left, drill.random.randrange(LEAST_LIFE, MOST_LIFE)))
            if drill.requests() >= told:
                print(f"  {drill.requests()} requests", flush=True)
                told += 10_000
        drill.finish()
    except Failed as error:
        print(f"FAILED after {drill.requests()} requests, seed {options.seed}: {error}\n"
              f"  the data directory is kept: {data}")
        print(f"{drill.requests()} passed, 1 failed")
        return 1
    except KeyboardInterrupt:
        shutil.rmtree(data, ignore_errors=True)
        print("stopped by hand: nothing is proved")
        return 130
    drill.report(time.monotonic() - began)
    shutil.rmtree(data)
    print(f"{drill.requests()} passed, 0 failed")
    return 0


if __name__ == "__main__":
    sys.exit(main())
