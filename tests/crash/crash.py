#!/usr/bin/env python3
"""Kills the daemon under concurrent writers; nothing acknowledged may be missing after a restart.

COUNT cycles (1000) share one data directory. Each starts larderd, lets eight writers and two readers
at it, ends it 0 to 300 ms later and holds what the next start shows to the rules of history.py. The
end is SIGKILL; every 10th a SIGTERM, after which the readable files must be whole; and every 25th is
followed by kills during the recovery itself. Checkpoints are forced as often as they can be, and every
third kill waits for one to begin and falls into its midst.

A SIGKILL leaves the page cache to the kernel: what was written but not synced survives it. That the
daemon syncs is powercut.py's to prove.
"""

import argparse
import os
import random
import shutil
import statistics
import sys
import tempfile
import time

from daemon import Daemon, Failed
from history import BUCKETS, SETTINGS, History, refuse_alarms
from load import Load

CLEAN_EVERY = 10
DOUBLE_EVERY = 25
AIMED_EVERY = 3
MOST_LOAD = 0.3       # seconds
MOST_FOLD = 0.015     # seconds after a checkpoint's first file is seen; all buckets take about that
MOST_RECOVERY = 0.06  # seconds until a kill during recovery; a start takes about as long
HALF_MADE = (".journal.new", ".journal.old", ".tmp", ".meta.tmp")  # only while a checkpoint is made

class Drill:
    """One run: the data directory that all cycles share, and the counts."""

    def __init__(self, binary, data, seed):
        self.binary = binary
        self.data = data
        self.seed = seed
        self.random = random.Random(seed)
        self.history = History()
        self.files = None       # what the readable files held after a clean stop
        self.kills = self.stops = self.doubles = self.recovered = self.halves = 0
        self.starts = []        # seconds until ready

    def cycle(self, number):
        """One life of the daemon, and the proof that the one before it kept its word."""
        if number % DOUBLE_EVERY == 0:
            self._kill_in_recovery()
        daemon = self._start_checked()
        load = Load(self.history, daemon.port, f"{self.seed}/{number}",
                    tolerated={503} if number % CLEAN_EVERY == 0 else ())
        try:
            self._wait(load, number)
            if number % CLEAN_EVERY == 0:
                code = daemon.stop()
                self.stops += 1
            else:
                daemon.kill()
                code = 0
                self.kills += 1
                self.halves += self._half_made()
        finally:
            daemon.kill()
        load.join()
        refuse_alarms(daemon)
        if code != 0:
            raise Failed(f"SIGTERM ended larderd with {code}; it said:\n{daemon.log}")
        if number % CLEAN_EVERY == 0:
            self.files = self.history.check_files(self.data)

    def _wait(self, load, number):
        """Until the moment of the end: random, or random within a checkpoint."""
        if number % AIMED_EVERY != 0:
            return load.wait(self.random.uniform(0, MOST_LOAD))
        until = time.monotonic() + MOST_LOAD
        while time.monotonic() < until and not self._half_made():
            load.wait(0.001)
        return load.wait(self.random.uniform(0, MOST_FOLD))

    def _half_made(self):
        return any(os.path.exists(os.path.join(self.data, file + ending))
                   for file in BUCKETS.values() for ending in HALF_MADE)

    def finish(self):
        """The last cycle is checked as well."""
        self._start_checked().kill()

    def _start_checked(self):
        began = time.monotonic()
        daemon = Daemon(self.binary, self.data, SETTINGS)
        try:
            self.starts.append(time.monotonic() - began)
            self.recovered += "were taken from the journal" in daemon.log
            refuse_alarms(daemon)
            self.history.check(daemon.port)
            if self.files is not None and not self.history.agrees_with(self.files):
                raise Failed("the readable files of the clean stop differ from what is served")
            self.files = None
        except BaseException:
            daemon.kill()
            raise
        return daemon

    def _kill_in_recovery(self):
        for _ in range(2):
            daemon = Daemon(self.binary, self.data, SETTINGS, wait=False)
            time.sleep(self.random.uniform(0, MOST_RECOVERY))
            daemon.kill()
            refuse_alarms(daemon)
            self.doubles += 1

    def report(self, seconds, cycles):
        book = self.history
        print(f"  {cycles / seconds:.1f} cycles a second; ready after "
              f"{statistics.median(self.starts) * 1000:.0f} ms (most "
              f"{max(self.starts) * 1000:.0f} ms)")
        print(f"  ends: {self.kills} SIGKILL, {self.stops} SIGTERM, {self.doubles} in recovery; "
              f"{self.halves} left a half-made checkpoint; {self.recovered} starts found a journal")
        print(f"  writes: {book.acked} acknowledged, {book.refused} refused, {book.unknown} without "
              f"an answer, of which {book.surfaced} are on disk and {book.seen} were read")


def main():
    arguments = argparse.ArgumentParser(prog="tools/drill crash", description=__doc__.split("\n")[0])
    arguments.add_argument("count", nargs="?", type=int, default=1000)
    arguments.add_argument("--seed", type=int, default=random.SystemRandom().randrange(1 << 32))
    arguments.add_argument("--larderd", required=True)
    options = arguments.parse_args()
    sys.setswitchinterval(0.0005)  # the moment of a kill is not to wait for ten threads in turn
    data = tempfile.mkdtemp(prefix="larder-crash-")
    print(f"crash: {options.count} cycles, seed {options.seed}", flush=True)
    drill = Drill(options.larderd, os.path.join(data, "data"), options.seed)
    passed = 0
    began = time.monotonic()
    try:
        while passed < options.count:
            drill.cycle(passed + 1)
            passed += 1
            if passed % 100 == 0:
                print(f"  {passed} cycles, {drill.history.acked} writes acknowledged", flush=True)
        drill.finish()
    except Failed as error:
        print(f"FAILED in cycle {passed + 1}: {error}\n  the data directory is kept: {data}")
        print(f"{passed} passed, 1 failed")
        return 1
    except KeyboardInterrupt:
        shutil.rmtree(data, ignore_errors=True)
        print(f"stopped by hand after {passed} cycles: nothing is proved")
        return 130
    drill.report(time.monotonic() - began, passed)
    shutil.rmtree(data)
    print(f"{passed} passed, 0 failed")
    return 0


if __name__ == "__main__":
    sys.exit(main())
