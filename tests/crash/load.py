"""Concurrent clients for the crash and powercut drills: they write, and fill the books of history.py.

  Worker           a thread with a client of its own; ends when the daemon does
  Writer           its own keys, a pair by transactions, and with the others shared keys and a counter
  Remover          the one bucket that is removed now and then
  Reader           looks at random keys
  Load             all of them, for one cycle
"""

import json
import random
import threading
import time

from daemon import Client, Cut, Failed
from history import REMOVABLE, WRITERS, Counter, Shared, Write, unix_ms

READERS = 2
SHORT_TTLS = (0.02, 0.05, 0.2)  # seconds
LONG_TTL = 5000


class Worker(threading.Thread):
    """What it finds wrong is raised by Load.join()."""

    def __init__(self, load, name):
        super().__init__(daemon=True)
        self.load = load
        self.random = random.Random(f"{load.seed}/{name}")
        self.failure = None

    def run(self):
        try:
            client = Client(self.load.port)
            while not self.load.ending:
                self.step(client)
        except Cut:
            pass  # what was under way stays unknown
        except Exception as error:  # pylint: disable=broad-except
            self.failure = error    # raised again by Load.join()

    def make_write(self, expected=None, ttl=None):
        """A value that is nobody else's."""
        n = self.load.history.number()
        size = self.random.choice((0, 0, 0, 0, 0, 0, 300, 1000, 1000, 8000))
        value = {"n": n, "π": "a\"\\\u00e9", "x": [1, None, 0.5], "fill": "x" * size}
        metadata = json.dumps({"n": n}) if self.random.random() < 0.3 else None
        metadata = metadata and metadata.replace(" ", "")
        return Write(n, json.dumps(value, separators=(",", ":")).encode(), metadata, expected, ttl)

    @staticmethod
    def acknowledge(write, answer):
        if write.value is None:
            write.revision = answer.revision()[1]
        else:
            record = json.loads(answer.body)
            write.revision = answer.etag()
            write.created, write.updated = record["created_at"], record["updated_at"]
            write.expires = record["expires_at"] and unix_ms(record["expires_at"])
            if record["revision"] != write.revision:
                raise Failed(f"ETag {write.revision}, body {answer.body.decode()}")
        write.acked = answer.at

    def unexpected(self, target, writes, answer, expected):
        """An error that a stop or a cut may cause; 503 is a promise that nothing was done."""
        if answer.status == 503:
            for write in writes:
                write.refused = True
        if answer.status not in self.load.tolerated:
            raise Failed(f"{target}: write {writes[0].n} was answered {answer.status}, expected "
                         f"{sorted(expected)}: {answer.body.decode()}")


class Writer(Worker):
    """Sets, expires and deletes its own keys, swaps the shared ones, counts, and makes pairs."""

    def __init__(self, load, number):
        super().__init__(load, f"writer {number}")
        self.number = number
        keys = load.history.keys.values()
        self.own = [k for k in keys if k.name.startswith(f"w{number}/")]
        self.shared = [k for k in keys if isinstance(k, Shared)]
        self.counters = [k for k in keys if isinstance(k, Counter)]
        twins = [k for k in keys if k.name.startswith(f"pair {number}/")]
        self.pairs = list(zip(twins[::2], twins[1::2]))
        # Each own key's present state; False where an error or a deadline left it in doubt.
        self.now = {key: False if key.base.ttl else key.base for key in self.own}

    def step(self, client):
        chance = self.random.random()
        if chance < 0.1:
            return self._swap(client, self.random.choice(self.shared))
        if chance < 0.16:
            return self._count(client, self.random.choice(self.counters))
        if chance < 0.24:
            return self._pair(client, self.random.choice(self.pairs))
        return self._own(client, self.random.choice(self.own))

    def _own(self, client, key):
        chance = self.random.random()
        present = self.now[key]
        sure = present is not False
        if sure and present.value is not None and chance < 0.15:
            return self._send(client, key, Write(self.load.history.number(), None), "DELETE", "")
        ttl = None
        if 0.6 < chance < 0.75:
            ttl = self.random.choice(SHORT_TTLS) if chance < 0.7 else LONG_TTL
        write = self.make_write(ttl=ttl)
        headers = f"Larder-Metadata: {write.metadata}\r\n" if write.metadata else ""
        wrong = False
        if sure and chance > 0.8:
            wrong = chance > 0.95
            headers += self._condition(present, wrong)
        return self._send(client, key, write, "PUT", headers, wrong)

    @staticmethod
    def _condition(present, wrong):
        if present.value is None:
            return f'If-Match: "{present.revision or 1}"\r\n' if wrong else "If-None-Match: *\r\n"
        if wrong:
            return "If-None-Match: *\r\n"
        return f'If-Match: "{present.revision}"\r\n'

    def _send(self, client, key, write, method, headers, wrong=False):
        before = self.now[key]
        write.refused = wrong
        key.tail.append(write)
        target = key.target + (f"?ttl={write.ttl}" if write.ttl else "")
        answer = client.request(method, target, headers, write.value)
        expected = {412} if wrong else {204} if write.value is None else {200, 201}
        if before is not False and not wrong and write.value is not None:
            expected = {201} if before.value is None else {200}
        if answer.status in expected:
            if not wrong:
                self.acknowledge(write, answer)
                self.now[key] = False if write.ttl in SHORT_TTLS else write
            return
        self.unexpected(key.target, [write], answer, expected)
        if not write.refused:
            self.now[key] = False

    def _swap(self, client, key):
        present = client.request("GET", key.target)
        if present.status == 200:
            expected, condition = present.etag(), f"If-Match: {present.headers['etag']}\r\n"
            self.load.see(key, present)
        elif present.status == 404:
            expected, condition = 0, "If-None-Match: *\r\n"
        else:
            return self.unexpected(key.target, [Write(0, None)], present, {200, 404})
        write = self.make_write(expected)
        if write.metadata:
            condition += f"Larder-Metadata: {write.metadata}\r\n"
        key.tail.append(write)
        answer = client.request("PUT", key.target, condition, write.value)
        if answer.status == 412:
            write.refused = True
        elif answer.status == (201 if expected == 0 else 200):
            self.acknowledge(write, answer)
        else:
            self.unexpected(key.target, [write], answer, {200, 201, 412})
        return None

    def _count(self, client, key):
        write = Write(self.load.history.number(), b"0")
        key.tail.append(write)
        answer = client.request("POST", key.target + "/increment", "", b'{"by":1}')
        if answer.status != 200:
            return self.unexpected(key.target, [write], answer, {200})
        body = json.loads(answer.body)
        write.value = str(body["value"]).encode()
        write.revision = body["revision"]
        write.acked = answer.at
        return None

    def _pair(self, client, pair):
        """Both or neither, now and then with a condition that fails."""
        removal = self.random.random() < 0.2
        model = Write(self.load.history.number(), None) if removal else self.make_write()
        wrong = self.random.random() < 0.1
        ops, writes = [], []
        for key in pair:
            write = Write(model.n, model.value, model.metadata, "pair")
            write.refused = wrong
            key.tail.append(write)
            writes.append(write)
            change = '"delete"' if removal else (f'"set","value":{model.value.decode()},'
                                                 f'"metadata":{model.metadata or "{}"}')
            ops.append(f'{{"key":"{key.name}","op":{change}}}')
        body = f'{{"ops":[{",".join(ops)}],"if":[{{"key":"nobody","exists":{json.dumps(wrong)}}}]}}'
        answer = client.request("POST", f"/api/kv/{pair[0].bucket}", "", body.encode())
        if answer.status != (412 if wrong else 200):
            return self.unexpected(pair[0].target, writes, answer, {412 if wrong else 200})
        if not wrong:
            revision = json.loads(answer.body)["revision"]
            for write in writes:
                write.revision = revision
                write.acked = answer.at
        return None


class Remover(Worker):
    """The only writer of one bucket, which it fills and removes."""

    def __init__(self, load):
        super().__init__(load, "remover")
        self.own = [k for k in load.history.keys.values() if k.bucket == REMOVABLE]

    def step(self, client):
        if self.random.random() < 0.1:
            return self._remove(client)
        key = self.random.choice(self.own)
        write = self.make_write()
        key.tail.append(write)
        headers = f"Larder-Metadata: {write.metadata}\r\n" if write.metadata else ""
        answer = client.request("PUT", key.target, headers, write.value)
        if answer.status in (200, 201):
            return self.acknowledge(write, answer)
        return self.unexpected(key.target, [write], answer, {200, 201})

    def _remove(self, client):
        number = self.load.history.number()
        writes = []
        for key in self.own:
            write = Write(number, None, expected="removal")
            key.tail.append(write)
            writes.append(write)
        self.load.history.removals.append(writes[0])
        answer = client.request("DELETE", f"/api/kv/{REMOVABLE}?confirm={REMOVABLE}")
        if answer.status == 204:
            for write in writes:
                write.revision, write.acked = self._revision(answer), answer.at
        elif answer.status == 404:
            for write in writes:
                write.refused = True  # there is no such bucket yet
        else:
            self.unexpected(f"/api/kv/{REMOVABLE}", writes, answer, {204, 404})

    @staticmethod
    def _revision(answer):
        return answer.revision()[1] if "larder-revision" in answer.headers else None


class Reader(Worker):
    """Reads at random: what it is shown must outlive every end of the daemon."""

    def __init__(self, load, number):
        super().__init__(load, f"reader {number}")
        self.keys = [k for k in load.history.keys.values() if not isinstance(k, Counter)]
        self.last = {}

    def step(self, client):
        key = self.random.choice(self.keys)
        answer = client.request("GET", key.target)
        if answer.status == 404:
            return
        if answer.status != 200:
            if answer.status not in self.load.tolerated:
                raise Failed(f"{key.target}: a read was answered {answer.status}")
            return
        if answer.etag() < self.last.get(key, 0):
            raise Failed(f"{key.target}: ETag {answer.etag()} after {self.last[key]}")
        self.last[key] = answer.etag()
        self.load.see(key, answer)


class Load:
    """Writers and readers against one life of the daemon."""

    def __init__(self, history, port, seed, tolerated=()):
        self.history = history
        self.port = port
        self.seed = seed
        self.tolerated = frozenset(tolerated)  # statuses that may come where success is expected
        self.ending = False
        self.workers = [Writer(self, i) for i in range(WRITERS)]
        self.workers += [Remover(self)]
        self.workers += [Reader(self, i) for i in range(READERS)]
        for worker in self.workers:
            worker.start()

    def see(self, key, answer):
        """A reader was shown a value: it is durable, and its revision known."""
        n = json.loads(answer.body)["n"]
        if n == key.base.n:
            return
        for write in reversed(key.tail):
            if write.n == n:
                if write.revision not in (None, answer.etag()):
                    raise Failed(f"{key.target}: write {n} has ETag {answer.etag()}, was "
                                 f"acknowledged as {write.revision}")
                write.revision = answer.etag()
                write.seen = min(write.seen, answer.at)
                return
        raise Failed(f"{key.target}: shows write {n}, which nobody sent since the last check")

    def wait(self, seconds):
        """Lets it run, and ends early where a worker found something wrong."""
        until = time.monotonic() + seconds
        while (left := until - time.monotonic()) > 0:
            time.sleep(min(left, 0.02))
            if any(worker.failure for worker in self.workers):
                return

    def join(self):
        """After the daemon's end, or to end by itself. Raises what the workers found."""
        self.ending = True
        for worker in self.workers:
            worker.join()
        for worker in self.workers:
            if worker.failure:
                raise worker.failure
