#!/usr/bin/env python3
"""Turns plugins off and on under load; nobody else may notice, and nothing may be left behind.

COUNT times (1000) a plugin is disabled, enabled or reloaded while 64 connections read and write kv; then,
a tenth as often, kv itself, while as many use another plugin. A request to what runs must succeed; one to
what is off must be 503 and say why; what kv acknowledged must be there at the end; and memory, threads
and descriptors must not grow.
"""

import argparse
import json
import os
import sys
import threading
import time

import whole
from daemon import Client, Cut, Daemon, Failed

THREADS = 8
PIPES = 8             # connections a thread of load has
WARM_UP = 0.2         # of the cycles, before the first count is taken
MOST_MEMORY = 4 << 20  # bytes that the anonymous memory may grow by: allocators keep some
MOST_OTHERS = 2       # threads, descriptors
FIELDS = {b"patched_id": b"%s", b"/api/patched_prefix": b"/api/%s", b"patched_claim/": b"%s/"}


def install(library, folder, name):
    """The test plugin under another name: see tests/bad_plugins/bad_plugin.cpp."""
    with open(library, "rb") as file:
        content = file.read()
    for mark, form in FIELDS.items():
        value = form % name.encode()
        size = max(len(mark), len(value)) + 1
        at = content.index(mark + b"\0")
        content = content[:at] + value.ljust(size, b"\0") + content[at + size:]
    with open(os.path.join(folder, name + ".so"), "wb") as file:
        file.write(content)


class Load:
    """Threads that send requests over many connections and judge each answer."""

    def __init__(self, port, work, may_be_off):
        self.port = port
        self.work = work
        self.may_be_off = may_be_off
        self.good = self.off = 0
        self.failure = None
        self._over = threading.Event()
        self._lock = threading.Lock()
        self._threads = [threading.Thread(target=self._run, args=(number,))
                         for number in range(THREADS)]
        for thread in self._threads:
            thread.start()

    def stop(self):
        self._over.set()
        for thread in self._threads:
            thread.join()
        if self.failure:
            raise Failed(self.failure)

    def _run(self, number):
        try:
            clients = [Client(self.port) for _ in range(PIPES)]
            turn = 0
            while not self._over.is_set() and not self.failure:
                turn += 1
                asked = [self.work.ask(client, number * PIPES + i, turn)
                         for i, client in enumerate(clients)]
                for client, what in zip(clients, asked):
                    self._judge(client.answer(), what)
            for client in clients:
                client.close()
        except (Cut, Failed) as error:
            self.failure = self.failure or f"a connection failed: {error}"

    def _judge(self, answer, what):
        if answer.status == 503 and self.may_be_off:
            problem = json.loads(answer.body)
            if problem["code"] != "plugin-disabled" or not problem["reason"]:
                self.failure = f"{what}: a 503 without its reason: {answer.body}"
            with self._lock:
                self.off += 1
            return
        if answer.status not in (200, 201):
            self.failure = f"{what}: {answer.status} {answer.body[:300]}"
            return
        self.work.done(what)
        with self._lock:
            self.good += 1


class KvWork:
    """Every connection writes growing numbers to a key of its own and reads it."""

    def __init__(self):
        self.acknowledged = {}

    def ask(self, client, number, turn):
        target = f"/api/kv/storage/key{number}"
        if turn % 4 == 1:
            client.send("PUT", target, body=str(turn).encode())
            return target, turn
        client.send("GET", target)
        return target, 0

    def done(self, what):
        target, turn = what
        if turn:
            self.acknowledged[target] = turn

    def check(self, port):
        client = Client(port)
        for target, turn in self.acknowledged.items():
            answer = client.request("GET", target)
            if answer.status != 200 or int(answer.body) < turn:
                raise Failed(f"{target}: {turn} was acknowledged, there is "
                             f"{answer.status} {answer.body}")
        client.close()


class HelloWork:
    """Every connection asks a plugin for a word, by turns as a prompt and as a blocking handler."""

    def __init__(self, name):
        self.name = name

    def ask(self, client, _, turn):
        target = f"/api/{self.name}/{'work' if turn % 4 == 0 else 'hello'}"
        client.send("GET", target)
        return target

    def done(self, _):
        pass


def threads(pid):
    """Threads but the workers, of which the daemon starts as many as it needs, up to its limit."""
    count = 0
    for task in os.listdir(f"/proc/{pid}/task"):
        try:
            with open(f"/proc/{pid}/task/{task}/comm", encoding="ascii") as file:
                count += file.read().strip() != "larder-worker"
        except FileNotFoundError:  # it ended meanwhile
            pass
    return count


def counts(pid):
    """Anonymous memory in bytes, threads, descriptors."""
    with open(f"/proc/{pid}/status", encoding="ascii") as file:
        status = dict(line.split(":", 1) for line in file)
    return (int(status["RssAnon"].split()[0]) * 1024, threads(pid),
            len(os.listdir(f"/proc/{pid}/fd")))


def walk(client, name, action):
    answer = client.request("POST", f"/api/plugins/{name}/{action}", body=b"")
    if answer.status != 200:
        raise Failed(f"{action} of {name}: {answer.status} {answer.body}")


def turn_over(daemon, name, cycles, loads, most_memory):
    """Walks one plugin; says how long a walk took and what grew."""
    client = Client(daemon.port)
    before = None
    try:
        began = time.monotonic()
        for cycle in range(cycles):
            if cycle >= cycles * WARM_UP and before is None:
                before = counts(daemon.pid)
            if cycle % 3 == 2:
                walk(client, name, "reload")
            else:
                walk(client, name, "disable")
                walk(client, name, "enable")
            if any(load.failure for load in loads):
                break
        seconds = time.monotonic() - began
        after = counts(daemon.pid)
    finally:
        for load in loads:
            load.stop()
        client.close()
    print(f"  {name}: {cycles} cycles in {seconds:.1f} s; "
          + "; ".join(f"{load.good} answers, {load.off} of them off" if not load.may_be_off else
                      f"{load.good} answers and {load.off} times off" for load in loads))
    for what, then, now, most in zip(("anonymous bytes", "threads", "descriptors"), before, after,
                                     (most_memory, MOST_OTHERS, MOST_OTHERS)):
        print(f"    {what}: {then} after the first cycles, {now} at the end")
        if now > then + most:
            raise Failed(f"{what} grew from {then} to {now}")


def drill(options, folder):
    plugins = os.path.join(folder, "plugins")
    os.mkdir(plugins)
    library = os.path.join(os.path.dirname(os.path.dirname(options.larderd)),
                           "lib/larder/test_plugins/bad_plugin.so")
    for name in ("one", "two"):
        install(library, plugins, name)
    daemon = Daemon(options.larderd, os.path.join(folder, "data"),
                    {"LARDER_DAEMON_PLUGIN_DIRS": plugins, "LARDER_ONE_ENABLED": "true",
                     "LARDER_TWO_ENABLED": "true", "LARDER_DAEMON_ACCESS_LOG": "false",
                     # What they remember of changes and requests would pass for growth.
                     "LARDER_KV_WATCH_HISTORY": "64KiB", "LARDER_METRICS_ENABLED": "false"})
    try:
        kv = KvWork()
        seed = Client(daemon.port)
        for number in range(THREADS * PIPES):
            seed.request("PUT", f"/api/kv/storage/key{number}", body=b"0")
        seed.close()
        most = sys.maxsize if options.sanitized else MOST_MEMORY
        turn_over(daemon, "one", options.count, [Load(daemon.port, kv, False),
                                                 Load(daemon.port, HelloWork("one"), True)], most)
        turn_over(daemon, "kv", max(10, options.count // 10),
                  [Load(daemon.port, HelloWork("two"), False), Load(daemon.port, kv, True)], most)
        kv.check(daemon.port)
        code = daemon.stop()
    finally:
        daemon.kill()
    for word in ("Sanitizer", "cut off", "stuck", "second answer"):
        if word in daemon.log:
            raise Failed(f"larderd spoke of '{word}':\n{daemon.log[-4000:]}")
    if code != 0:
        raise Failed(f"larderd ended with {code}; it said:\n{daemon.log[-4000:]}")


def main():
    arguments = argparse.ArgumentParser(prog="tools/drill plugins",
                                        description=__doc__.split("\n", maxsplit=1)[0])
    arguments.add_argument("count", nargs="?", type=int, default=1000)
    arguments.add_argument("--larderd", required=True)
    arguments.add_argument("--sanitized", action="store_true",
                           help="a sanitizer's own memory grows: judge all but that")
    options = arguments.parse_args()
    print(f"plugins: {options.count} cycles", flush=True)
    return whole.run("plugins", lambda folder: drill(options, folder))


if __name__ == "__main__":
    sys.exit(main())
