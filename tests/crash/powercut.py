#!/usr/bin/env python3
"""Cuts the disk off under concurrent writers; nothing acknowledged before may be missing afterwards.

COUNT cuts (100) of an ext4 on a loop device: EXT4_IOC_SHUTDOWN without a flush of its log forgets, as a
power cut does, what no sync has put on the disk. After each the daemon is killed, the file system is
mounted again, and what the next start shows is held to the rules of history.py. Every 10th cut falls
into the start itself. Wants root and loop devices; says SKIPPED, and ends with 0, where they are not.

At the instant of the cut a sync may return although its data is dropped. So a write counts as
acknowledged when its answer was here before the cut was asked for.
"""

import argparse
import fcntl
import os
import random
import shutil
import signal
import struct
import subprocess
import sys
import tempfile
import time

from daemon import Daemon, Failed
from history import NEVER, SETTINGS, History, refuse_alarms
from load import Load

EXT4_IOC_SHUTDOWN = 0x8004587D
NO_LOG_FLUSH = 2
IMAGE_BYTES = 128 << 20
START_EVERY = 10
MOST_LOAD = 0.4   # seconds
MOST_START = 0.1  # seconds until a cut during the start
MOST_AFTER = 0.03  # seconds that the daemon lives on without its disk


class Skipped(Exception):
    """This machine cannot cut a disk off; the text says why."""


def run(*words):
    done = subprocess.run(words, stdin=subprocess.DEVNULL, capture_output=True, text=True,
                          check=False)
    if done.returncode != 0:
        raise Skipped(f"{' '.join(words)}: {(done.stderr or done.stdout).strip()}")
    return done.stdout.strip()


class Disk:
    """An ext4 of our own that can be cut off; a context manager that leaves nothing behind."""

    def __init__(self):
        self.folder = tempfile.mkdtemp(prefix="larder-powercut-")
        self.mounted = os.path.join(self.folder, "disk")
        self.device = None
        self.repairs = 0

    def __enter__(self):
        try:
            if os.geteuid() != 0:
                raise Skipped("loop devices and mounts want root")
            image = os.path.join(self.folder, "image")
            os.mkdir(self.mounted)
            with open(image, "wb") as file:
                file.truncate(IMAGE_BYTES)
            self.device = run("losetup", "--find", "--show", image)
            run("mkfs.ext4", "-q", "-F", self.device)
            run("mount", "-t", "ext4", self.device, self.mounted)
            self.cut()
            self.mount_again()
        except BaseException:
            self.__exit__()
            raise
        return self

    def __exit__(self, *_):
        if os.path.ismount(self.mounted):
            self._quietly("umount", "--lazy", self.mounted)
        if self.device:
            self._quietly("losetup", "--detach", self.device)
        shutil.rmtree(self.folder, ignore_errors=True)

    @staticmethod
    def _quietly(*words):
        subprocess.run(words, stdin=subprocess.DEVNULL, stderr=subprocess.DEVNULL, check=False)

    def cut(self):
        """Returns the moment before which an answer counts."""
        fd = os.open(self.mounted, os.O_RDONLY | os.O_DIRECTORY)
        try:
            moment = time.monotonic()
            fcntl.ioctl(fd, EXT4_IOC_SHUTDOWN, struct.pack("I", NO_LOG_FLUSH))
        except OSError as error:
            raise Skipped(f"this kernel does not shut an ext4 down: {error}") from error
        finally:
            os.close(fd)
        return moment

    def mount_again(self):
        """Nothing may have a file open there. Mends the file system where mounting does not."""
        try:
            run("umount", self.mounted)
            try:
                run("mount", "-t", "ext4", self.device, self.mounted)
            except Skipped:
                subprocess.run(("fsck.ext4", "-p", self.device), capture_output=True, check=False)
                self.repairs += 1
                run("mount", "-t", "ext4", self.device, self.mounted)
        except Skipped as error:
            raise Failed(f"the disk does not come back: {error}") from error


class Drill:
    """One run: the disk that all cuts share, and the counts."""

    def __init__(self, binary, disk, seed):
        self.binary = binary
        self.disk = disk
        self.data = os.path.join(disk.mounted, "data")
        self.seed = seed
        self.random = random.Random(seed)
        self.history = History()
        self.last_cut = NEVER
        self.starts_cut = self.torn = 0

    def cycle(self, number):
        if number % START_EVERY == 0:
            self._cut_the_start()
        daemon = self.start_checked()
        load = None
        try:
            load = Load(self.history, daemon.port, f"{self.seed}/{number}", tolerated={500, 503})
            load.wait(self.random.uniform(0, MOST_LOAD))
            self.last_cut = self.disk.cut()
            time.sleep(self.random.uniform(0, MOST_AFTER))
        finally:
            daemon.kill()
        load.join()
        self.disk.mount_again()

    def start_checked(self):
        daemon = Daemon(self.binary, self.data, SETTINGS)
        try:
            refuse_alarms(daemon)
            self.torn += "cut off, it was never acknowledged" in daemon.log
            self.history.check(daemon.port, self.last_cut)
        except BaseException:
            daemon.kill()
            raise
        return daemon

    def _cut_the_start(self):
        daemon = Daemon(self.binary, self.data, SETTINGS, wait=False)
        time.sleep(self.random.uniform(0, MOST_START))
        self.disk.cut()
        daemon.kill()
        self.disk.mount_again()
        self.starts_cut += 1

    def report(self):
        book = self.history
        print(f"  {self.starts_cut} further cuts during a start; {self.torn} starts found a torn "
              f"line; {self.disk.repairs} times the file system wanted a repair")
        print(f"  writes: {book.acked} acknowledged before a cut, 0 of them lost; {book.unknown} "
              f"without an answer by then, of which {book.surfaced} are on disk")


def stop_by_hand(*_):
    raise KeyboardInterrupt


def prove(options):
    """The number of cuts that passed, and the failure that ended them."""
    passed = 0
    with Disk() as disk:
        drill = Drill(options.larderd, disk, options.seed)
        try:
            while passed < options.count:
                drill.cycle(passed + 1)
                passed += 1
                if passed % 25 == 0:
                    print(f"  {passed} cuts, {drill.history.acked} writes acknowledged", flush=True)
            drill.start_checked().kill()
        except Failed as error:
            kept = tempfile.mkdtemp(prefix="larder-powercut-failed-")
            if os.path.isdir(drill.data):
                shutil.copytree(drill.data, os.path.join(kept, "data"), dirs_exist_ok=True,
                                ignore=shutil.ignore_patterns("*.sock"))
            return passed, f"{error}\n  the data directory is kept: {kept}"
        drill.report()
    return passed, None


def main():
    arguments = argparse.ArgumentParser(prog="tools/drill powercut",
                                        description=__doc__.split("\n", maxsplit=1)[0])
    arguments.add_argument("count", nargs="?", type=int, default=100)
    arguments.add_argument("--seed", type=int, default=random.SystemRandom().randrange(1 << 32))
    arguments.add_argument("--larderd", required=True)
    options = arguments.parse_args()
    for number in (signal.SIGTERM, signal.SIGHUP):
        signal.signal(number, stop_by_hand)
    sys.setswitchinterval(0.0005)  # the moment of a cut is not to wait for ten threads in turn
    print(f"powercut: {options.count} cuts, seed {options.seed}", flush=True)
    try:
        passed, failure = prove(options)
    except Skipped as why:
        print(f"SKIPPED: {why}")
        return 0
    except KeyboardInterrupt:
        print("stopped by hand: nothing is proved")
        return 130
    if failure:
        print(f"FAILED at cut {passed + 1}: {failure}")
    print(f"{passed} passed, {1 if failure else 0} failed")
    return 1 if failure else 0


if __name__ == "__main__":
    sys.exit(main())
