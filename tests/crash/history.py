"""What was written to a kv daemon, what of it was answered, and what a restart must therefore show.

Not a drill: crash.py and powercut.py say when the daemon ends and how. The rules that check() holds
the daemon to, for each key of three buckets:

  - the state on disk is the last acknowledged write, or one sent after it whose answer never came;
    what a reader saw counts as acknowledged, since nothing may be shown before it is durable
  - keys with one writer keep that writer's order; keys shared by several are changed by
    compare-and-swap alone, and no swap may be lost or win twice
  - no revision is given twice in an epoch, none goes back, and the epoch does not change
  - times and metadata are those that were acknowledged
  - single reads, the list, all=true, the bucket list and, after a clean stop, the readable file agree

An acknowledgement counts when its last byte was here before `cut`, the moment of a power cut.

  Write, Key       one change, and one key's changes since the last check
  History          the books and the check
  Writer, Reader   the threads that fill the books
  Load             all of them, for one cycle
"""

import json
import os
import random
import threading
import time
import urllib.parse

from daemon import Client, Cut, Failed

BUCKETS = {"storage": "storage.json", "feature_flags": "config/feature_flags.json",
           "drill": "kv/drill.json"}
# Checkpoints as often as they can be had: most renames and removals are theirs.
SETTINGS = {"LARDER_KV_CHECKPOINT_SIZE": "64KiB", "LARDER_KV_CHECKPOINT_INTERVAL": "1s",
            "LARDER_DAEMON_ACCESS_LOG": "false"}
# What a daemon says of its own files when it takes them for damaged or for edited by somebody.
ALARMS = ("damaged", "edited", "read-only", "is gone")
WRITERS = 8
READERS = 2
KEYS_A_WRITER = 4   # in each bucket
SHARED_KEYS = 2     # in each bucket
PAGE = 50           # small enough that a list takes several
NEVER = float("inf")


def refuse_alarms(daemon):
    """A sudden end is no damage, and nobody edits files here."""
    for line in daemon.log.splitlines():
        if any(alarm in line for alarm in ALARMS):
            raise Failed(f"after a sudden end the daemon says: {line}")


class Write:
    """One change that was sent. Only its writer acknowledges it, only readers see it."""

    __slots__ = ("n", "value", "metadata", "expected", "refused", "acked", "seen", "revision",
                 "created", "updated")

    def __init__(self, n, value, metadata=None, expected=None):
        self.n = n
        self.value = value          # bytes; None is a delete
        self.metadata = metadata    # text of a JSON object, or None
        self.expected = expected    # the revision that a compare-and-swap asked for; 0: absent
        self.refused = False
        self.acked = self.seen = NEVER
        self.revision = None
        self.created = self.updated = None

    def known(self, cut):
        return min(self.acked, self.seen) < cut


class Key:
    """A key's state at the last check, and the changes sent since."""

    def __init__(self, bucket, name, shared):
        self.bucket = bucket
        self.name = name
        self.shared = shared
        self.base = Write(0, None)
        self.base.revision = 0
        self.tail = []
        self.target = f"/api/kv/{bucket}/{urllib.parse.quote(name)}"

    def candidates(self, cut):
        """The writes of which one must be on disk; the first is acknowledged."""
        sent = [write for write in self.tail if not write.refused]
        if not self.shared:
            last = max((i for i, write in enumerate(sent) if write.known(cut)), default=-1)
            return [sent[last] if last >= 0 else self.base] + sent[last + 1:]
        known = sorted((write for write in sent if write.known(cut)), key=lambda w: w.revision)
        before = self.base
        for write in known:
            if write.expected != before.revision:
                raise Failed(f"{self.target}: write {write.n} was swapped for revision "
                             f"{write.expected} and became {write.revision}, but what stood before "
                             f"it is {before.revision} (write {before.n}): a swap was lost")
            before = write
        return [before] + [write for write in sent
                           if not write.known(cut) and write.expected >= before.revision]


class History:
    """The books. Threads append to keys' tails; all else is the drill's own thread's."""

    def __init__(self):
        self.keys = {}
        for bucket in BUCKETS:
            names = [(f"w{w}/key {i}", False) for w in range(WRITERS) for i in range(KEYS_A_WRITER)]
            names += [(f"shared/{i}", True) for i in range(SHARED_KEYS)]
            for name, shared in names:
                self.keys[bucket, name] = Key(bucket, name, shared)
        self.epochs = {}
        self.floor = dict.fromkeys(BUCKETS, 0)      # each bucket's revision at the last check
        self.given = {bucket: {} for bucket in BUCKETS}     # revision -> write that has it
        self.contents = {bucket: {} for bucket in BUCKETS}  # as of the last check
        self.acked = self.unknown = self.surfaced = self.refused = self.seen = 0
        self._numbers = 0
        self._lock = threading.Lock()

    def number(self):
        with self._lock:
            self._numbers += 1
            return self._numbers

    def check(self, port, cut=NEVER):
        """Holds a restarted daemon to the rules, then closes the books of the cycle."""
        client = Client(port)
        ready = client.request("GET", "/readyz")
        if ready.status != 200:
            raise Failed(f"/readyz is {ready.status} after a restart: {ready.body.decode()}")
        rows = json.loads(client.request("GET", "/api/kv").body)["items"]
        rows = {row["bucket"]: row for row in rows}
        for bucket in BUCKETS:
            self._check_bucket(client, bucket, rows.get(bucket), cut)
        client.close()

    def check_files(self, data):
        """After a clean stop: the readable files are whole and need no journal. Their contents."""
        found = {}
        for bucket, file in BUCKETS.items():
            path = os.path.join(data, file)
            for left in (".journal", ".journal.old", ".tmp", ".meta.tmp"):
                if os.path.exists(path + left):
                    raise Failed(f"{path}{left} is there after a clean stop")
            found[bucket] = {}
            if os.path.exists(path):
                with open(path, encoding="utf-8") as text:
                    found[bucket] = json.load(text)
        return found

    # ---- one bucket

    def _check_bucket(self, client, bucket, row, cut):
        whole = client.request("GET", f"/api/kv/{bucket}?all=true")
        if whole.status == 404:
            contents, listed, revision = {}, {}, 0
        else:
            epoch, revision = whole.revision()
            if self.epochs.setdefault(bucket, epoch) != epoch:
                raise Failed(f"{bucket}: epoch was {self.epochs[bucket]}, is {epoch}: the daemon "
                             "takes its own files for a stranger's")
            contents = json.loads(whole.body)
            listed = self._list(client, bucket)
        if {key: item["value"] for key, item in listed.items()} != contents:
            raise Failed(f"{bucket}: the list and all=true differ")
        if row is not None and (row["keys"] != len(contents) or row["revision"] != revision):
            raise Failed(f"{bucket}: /api/kv tells {row}, all=true has {len(contents)} keys at "
                         f"revision {revision}")
        keys = [key for key in self.keys.values() if key.bucket == bucket]
        for key in keys:
            client.send("GET", key.target + "?meta=true")
        for key in keys:
            answer = client.answer()
            self._check_key(key, answer, contents, listed, cut)
            contents_has = key.name in contents
            if contents_has != (answer.status == 200):
                raise Failed(f"{key.target}: a read is {answer.status}, all=true "
                             f"{'has' if contents_has else 'lacks'} it")
        strangers = set(contents) - {key.name for key in keys}
        if strangers:
            raise Failed(f"{bucket}: holds keys that nobody wrote: {sorted(strangers)}")
        highest = max(self.given[bucket], default=0)
        if revision < highest or revision < self.floor[bucket]:
            raise Failed(f"{bucket}: is at revision {revision}; {highest} was given before, and "
                         f"the last restart showed {self.floor[bucket]}: revisions went back")
        self.floor[bucket] = revision
        self.contents[bucket] = contents

    def _list(self, client, bucket):
        found = {}
        cursor = ""
        while True:
            page = client.request("GET", f"/api/kv/{bucket}?values=true&limit={PAGE}{cursor}")
            body = json.loads(page.body)
            for item in body["items"]:
                if found and item["key"].encode() <= max(found).encode():
                    raise Failed(f"{bucket}: the list is out of order at {item['key']}")
                found[item["key"]] = item
            if body["next"] is None:
                return found
            cursor = "&cursor=" + urllib.parse.quote(body["next"])

    # ---- one key

    def _check_key(self, key, answer, contents, listed, cut):
        candidates = key.candidates(cut)
        found = self._match(key, answer, candidates)
        self._count(key, found, cut)
        for write in key.tail:
            if write.known(cut):
                self._give(key, write)
        if found.value is not None:
            record = json.loads(answer.body)
            revision = answer.etag()
            if (record["revision"], listed[key.name]["revision"]) != (revision, revision):
                raise Failed(f"{key.target}: ETag {revision}, record {record['revision']}, list "
                             f"{listed[key.name]['revision']}")
            if contents[key.name] != record["value"]:
                raise Failed(f"{key.target}: a read and all=true differ")
            self._judge_record(key, found, record, cut)
            found.revision = revision
            self._give(key, found)
            found.created, found.updated = record["created_at"], record["updated_at"]
        key.base = found
        key.tail = []

    @staticmethod
    def _match(key, answer, candidates):
        if answer.status == 404:
            value = None
        elif answer.status == 200:
            # The bytes as they were sent: numbers and escapes are not to be rewritten.
            value = answer.body.partition(b'"value":')[2].rpartition(b',"created_at"')[0]
        else:
            raise Failed(f"{key.target}: a read is {answer.status}: {answer.body.decode()}")
        for write in reversed(candidates):
            if write.value == value:
                return write
        wanted = [f"{w.n} (revision {w.revision})" for w in candidates]
        shown = value[:60].decode(errors="replace") if value is not None else "nothing"
        raise Failed(f"{key.target}: holds {shown}; expected write {wanted[0]}"
                     + (f" or, not answered: {', '.join(wanted[1:])}" if wanted[1:] else ""))

    @staticmethod
    def _judge_record(key, write, record, cut):
        metadata = json.loads(write.metadata or "{}")
        if record["metadata"] != metadata:
            raise Failed(f"{key.target}: metadata {record['metadata']}, expected {metadata}")
        if record["expires_at"] is not None:
            raise Failed(f"{key.target}: expires at {record['expires_at']}; nobody asked for that")
        acknowledged = write is key.base or write.acked < cut
        if not acknowledged or write.updated is None:
            return
        if (record["created_at"], record["updated_at"]) != (write.created, write.updated):
            raise Failed(f"{key.target}: created {record['created_at']} and updated "
                         f"{record['updated_at']}; {write.created} and {write.updated} were "
                         "acknowledged")
        if write.revision != record["revision"]:
            raise Failed(f"{key.target}: revision {record['revision']}, {write.revision} was "
                         "acknowledged")

    def _give(self, key, write):
        """A revision that a client knows is this write's for ever, and is above all older ones."""
        if write is key.base:
            return
        other = self.given[key.bucket].setdefault(write.revision, write.n)
        if other != write.n:
            raise Failed(f"{key.bucket}: revision {write.revision} was given to write {other} and "
                         f"to write {write.n} of {key.name}")
        if write.revision <= self.floor[key.bucket]:
            raise Failed(f"{key.target}: write {write.n} got revision {write.revision}; the restart "
                         f"before it showed {self.floor[key.bucket]}")

    def _count(self, key, found, cut):
        for write in key.tail:
            if write.refused:
                self.refused += 1
            elif write.acked < cut:
                self.acked += 1
            else:
                self.unknown += 1
                self.surfaced += write is found
                self.seen += write.seen < cut


class Worker(threading.Thread):
    """A client of its own; ends when the daemon does. What it finds wrong is raised by Load.join()."""

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


class Writer(Worker):
    """Sets and deletes its own keys, and swaps the shared ones."""

    def __init__(self, load, number):
        super().__init__(load, f"writer {number}")
        self.number = number
        prefix = f"w{number}/"
        self.own = [k for k in load.history.keys.values() if k.name.startswith(prefix)]
        self.shared = [k for k in load.history.keys.values() if k.shared]
        # Each own key's present state; False where an error left it in doubt.
        self.now = {key: key.base for key in self.own}

    def step(self, client):
        chance = self.random.random()
        if chance < 0.1:
            return self._swap(client, self.random.choice(self.shared))
        key = self.random.choice(self.own)
        present = self.now[key]
        sure = present is not False
        if sure and present.value is not None and chance < 0.25:
            return self._send(client, key, Write(self.load.history.number(), None), "DELETE", "")
        headers = ""
        write = self._write()
        if write.metadata:
            headers += f"Larder-Metadata: {write.metadata}\r\n"
        wrong = False
        if sure and chance > 0.8:
            wrong = chance > 0.95
            headers += self._condition(present, wrong)
        return self._send(client, key, write, "PUT", headers, wrong)

    def _write(self, expected=None):
        n = self.load.history.number()
        size = self.random.choice((0, 0, 0, 0, 0, 0, 300, 1000, 1000, 8000))
        value = {"n": n, "π": "a\"\\\u00e9", "x": [1, None, 0.5], "fill": "x" * size}
        metadata = json.dumps({"n": n}) if self.random.random() < 0.3 else None
        metadata = metadata and metadata.replace(" ", "")
        return Write(n, json.dumps(value, separators=(",", ":")).encode(), metadata, expected)

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
        answer = client.request(method, key.target, headers, write.value)
        expected = {412} if wrong else {204} if write.value is None else {200, 201}
        if before is not False and not wrong and write.value is not None:
            expected = {201} if before.value is None else {200}
        if answer.status in expected:
            if not wrong:
                self._acknowledge(write, answer)
                self.now[key] = write
            return
        self._unexpected(key, write, answer, expected)
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
            return self._unexpected(key, Write(0, None), present, {200, 404})
        write = self._write(expected)
        if write.metadata:
            condition += f"Larder-Metadata: {write.metadata}\r\n"
        key.tail.append(write)
        answer = client.request("PUT", key.target, condition, write.value)
        if answer.status == 412:
            write.refused = True
        elif answer.status == (201 if expected == 0 else 200):
            self._acknowledge(write, answer)
        else:
            self._unexpected(key, write, answer, {200, 201, 412})

    @staticmethod
    def _acknowledge(write, answer):
        if write.value is None:
            write.revision = answer.revision()[1]
        else:
            record = json.loads(answer.body)
            write.revision = answer.etag()
            write.created, write.updated = record["created_at"], record["updated_at"]
            if record["revision"] != write.revision:
                raise Failed(f"ETag {write.revision}, body {answer.body.decode()}")
        write.acked = answer.at

    def _unexpected(self, key, write, answer, expected):
        if answer.status == 503:
            write.refused = True
        if answer.status not in self.load.tolerated:
            raise Failed(f"{key.target}: write {write.n} was answered {answer.status}, expected "
                         f"{sorted(expected)}: {answer.body.decode()}")


class Reader(Worker):
    """Reads at random: what it is shown must outlive every end of the daemon."""

    def __init__(self, load, number):
        super().__init__(load, f"reader {number}")
        self.keys = list(load.history.keys.values())
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
