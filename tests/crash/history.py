"""What was written to a kv daemon, what of it was answered, and what a restart must therefore show.

Not a drill: crash.py and powercut.py say when the daemon ends and how, load.py writes. The rules that
check() holds the daemon to, for each key of four buckets:

  - the state on disk is the last acknowledged write, or one sent after it whose answer never came;
    what a reader saw counts as acknowledged, since nothing may be shown before it is durable
  - keys with one writer keep that writer's order; keys shared by several are changed by
    compare-and-swap alone, and no swap may be lost or win twice
  - a counter stands at what was acknowledged, or at most one higher for each increment without answer
  - the two keys of a pair, which only transactions change, tell of the same transaction
  - what has a deadline is shown with it until then, and not from then on
  - a bucket that was removed is empty but for what came later; a removal is done or not, not half
  - no revision is given twice, over removals too, and none goes back; the epoch grows with a removal
    and does not change otherwise
  - times and metadata are those that were acknowledged
  - single reads, the list, all=true, the bucket list and, after a clean stop, the readable file agree

An acknowledgement counts when its last byte was here before `cut`, the moment of a power cut.

  Write            one change
  Key, Shared, Counter   one key's changes since the last check
  History          the books and the check
"""

import datetime
import json
import os
import threading
import time
import urllib.parse

from daemon import Client, Failed

BUCKETS = {"storage": "storage.json", "feature_flags": "config/feature_flags.json",
           "drill": "kv/drill.json", "scrap": "kv/scrap.json"}
REMOVABLE = "scrap"  # has one writer, who removes it now and then
# Checkpoints as often as they can be had: most renames and removals are theirs.
SETTINGS = {"LARDER_KV_CHECKPOINT_SIZE": "64KiB", "LARDER_KV_CHECKPOINT_INTERVAL": "1s",
            "LARDER_DAEMON_ACCESS_LOG": "false"}
# What a daemon says of its own files when it takes them for damaged or for edited by somebody.
ALARMS = ("damaged", "edited", "read-only", "is gone")
WRITERS = 8
KEYS_A_WRITER = 4   # in each bucket
SHARED_KEYS = 2     # in each bucket
SCRAP_KEYS = 6
PAGE = 50           # small enough that a list takes several
NEVER = float("inf")


def refuse_alarms(daemon):
    """A sudden end is no damage, and nobody edits files here."""
    for line in daemon.log.splitlines():
        if any(alarm in line for alarm in ALARMS):
            raise Failed(f"after a sudden end the daemon says: {line}")


def unix_ms(text=None):
    """Of a time in JSON, or of now."""
    if text is None:
        return time.time() * 1000
    moment = datetime.datetime.strptime(text, "%Y-%m-%dT%H:%M:%S.%fZ")
    return round(moment.replace(tzinfo=datetime.timezone.utc).timestamp() * 1000)


class Write:
    """One change that was sent. Only its writer acknowledges it, only readers see it."""

    __slots__ = ("n", "value", "metadata", "expected", "ttl", "sent", "expires", "refused", "acked",
                 "seen", "revision", "created", "updated")

    def __init__(self, n, value, metadata=None, expected=None, ttl=None):
        self.n = n
        self.value = value          # bytes; None is a delete
        self.metadata = metadata    # text of a JSON object, or None
        # The revision that a compare-and-swap asked for, 0: absent; "pair" or "removal" for what
        # deletes several keys.
        self.expected = expected
        self.ttl = ttl              # seconds, or None
        self.sent = unix_ms()
        self.expires = None         # Unix ms, once an answer told it
        self.refused = False
        self.acked = self.seen = NEVER
        self.revision = None
        self.created = self.updated = None

    def known(self, cut):
        return min(self.acked, self.seen) < cut

    def may_be_gone(self, now):
        """Deleted, or expired."""
        if self.value is None:
            return True
        return self.ttl is not None and (self.expires or self.sent + self.ttl * 1000) <= now


class Key:
    """A key with one writer: its state at the last check, and the changes sent since."""

    def __init__(self, bucket, name):
        self.bucket = bucket
        self.name = name
        self.base = Write(0, None)
        self.base.revision = 0
        self.tail = []
        self.target = f"/api/kv/{bucket}/{urllib.parse.quote(name)}"

    def sent(self):
        return [write for write in list(self.tail) if not write.refused]

    def candidates(self, cut):
        """The writes of which one must be on disk; the first is acknowledged."""
        sent = self.sent()
        last = max((i for i, write in enumerate(sent) if write.known(cut)), default=-1)
        return [sent[last] if last >= 0 else self.base] + sent[last + 1:]


class Shared(Key):
    """A key of several writers, changed by compare-and-swap alone."""

    def candidates(self, cut):
        sent = self.sent()
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


class Counter(Key):
    """A key that all writers increment by one, and nothing else."""

    def candidates(self, cut):
        sent = self.sent()
        known = sorted((write for write in sent if write.known(cut)), key=lambda w: int(w.value))
        unknown = [write for write in sent if not write.known(cut)]
        values = [int(write.value) for write in known]
        base = int(self.base.value or 0)
        if len(set(values)) < len(values) or (values and values[0] <= base):
            raise Failed(f"{self.target}: stood at {base}, and {values} were answered: an increment "
                         "was lost")
        highest = values[-1] if values else base
        # Increments without an answer may have come between the others.
        left = len(unknown) - (highest - base - len(known))
        if left < 0:
            raise Failed(f"{self.target}: stood at {base}; {len(known)} increments were answered, "
                         f"{len(unknown)} not, and it came to {highest}: one was done twice")
        later = unknown[len(unknown) - left:]
        for number, write in enumerate(later, 1):
            write.value = str(highest + number).encode()
        return [known[-1] if known else self.base] + later


class History:
    """The books. Threads append to keys' tails; all else is the drill's own thread's."""

    def __init__(self):
        self.keys = {}
        for bucket in BUCKETS:
            if bucket == REMOVABLE:
                self._add(Key, bucket, [f"scrap {i}" for i in range(SCRAP_KEYS)])
                continue
            writers = range(WRITERS)
            self._add(Key, bucket, [f"w{w}/key {i}" for w in writers for i in range(KEYS_A_WRITER)])
            self._add(Key, bucket, [f"pair {w}/{i}" for w in writers for i in range(2)])
            self._add(Shared, bucket, [f"shared/{i}" for i in range(SHARED_KEYS)])
            self._add(Counter, bucket, ["counter"])
        self.epochs = {}
        self.removals = []                          # of REMOVABLE, since its epoch was last seen
        self.floor = dict.fromkeys(BUCKETS, 0)      # each bucket's revision at the last check
        self.given = {bucket: {} for bucket in BUCKETS}     # revision -> write that has it
        self.contents = {bucket: {} for bucket in BUCKETS}  # as of the last check
        self.acked = self.unknown = self.surfaced = self.refused = self.seen = 0
        self._numbers = 0
        self._lock = threading.Lock()

    def _add(self, kind, bucket, names):
        for name in names:
            self.keys[bucket, name] = kind(bucket, name)

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

    def agrees_with(self, files):
        """Whether what the last check was shown is what check_files() found, deadlines apart."""
        def lasting(contents):
            return {(bucket, name): value for bucket in BUCKETS
                    for name, value in contents[bucket].items()
                    if self.keys[bucket, name].base.ttl is None}
        return lasting(files) == lasting(self.contents)

    # ---- one bucket

    def _check_bucket(self, client, bucket, row, cut):
        whole = client.request("GET", f"/api/kv/{bucket}?all=true")
        if whole.status == 404:
            contents, listed, revision = {}, {}, 0
        else:
            epoch, revision = whole.revision()
            self._check_epoch(bucket, epoch, cut)
            contents = json.loads(whole.body)
            listed = self._list(client, bucket)
        keys = [key for key in self.keys.values() if key.bucket == bucket]
        began = unix_ms()
        for key in keys:
            client.send("GET", key.target + "?meta=true")
        found = {}
        for key in keys:
            answer = client.answer()
            found[key.name] = self._check_key(key, answer, contents, listed, cut, began)
        ended = unix_ms()
        self._check_contents(bucket, row, contents, listed, revision, ended)
        if bucket == REMOVABLE:
            self._check_removal(keys, found)
        self._check_pairs(bucket, found)
        for key in keys:
            self._close(key, *found[key.name])
        highest = max(self.given[bucket], default=0)
        if whole.status == 404 and bucket == REMOVABLE:
            revision = max(highest, self.floor[bucket])  # not told; what comes next must be higher
        if revision < highest or revision < self.floor[bucket]:
            raise Failed(f"{bucket}: is at revision {revision}; {highest} was given before, and "
                         f"the last restart showed {self.floor[bucket]}: revisions went back")
        self.floor[bucket] = revision
        self.contents[bucket] = contents

    def _check_epoch(self, bucket, epoch, cut):
        removed = [w for w in self.removals if not w.refused] if bucket == REMOVABLE else []
        known = self.epochs.get(bucket, 0 if removed else epoch)
        if epoch < known or (epoch > known and not removed):
            raise Failed(f"{bucket}: epoch was {known}, is {epoch}: the daemon takes its own files "
                         "for a stranger's")
        if epoch == known and any(write.known(cut) for write in removed):
            raise Failed(f"{bucket}: was removed, and its epoch is still {epoch}")
        self.epochs[bucket] = epoch
        if bucket == REMOVABLE:
            self.removals = []

    def _check_contents(self, bucket, row, contents, listed, revision, ended):
        """What the ways to look at a whole bucket tell must be the same, expiries apart."""
        values = {key: item["value"] for key, item in listed.items()}
        for name in set(values) ^ set(contents):
            key = self.keys.get((bucket, name))
            if key is None or not any(w.may_be_gone(ended) for w in [key.base] + key.tail):
                raise Failed(f"{bucket}: the list and all=true differ at {name}")
        if any(values[name] != contents[name] for name in set(values) & set(contents)):
            raise Failed(f"{bucket}: the list and all=true differ")
        # Those that expired since, or that nobody swept yet.
        doubtful = sum(w.ttl is not None for key in self.keys.values() if key.bucket == bucket
                       for w in [key.base] + key.tail)
        if row is not None and (abs(row["keys"] - len(contents)) > doubtful
                                or row["revision"] > revision
                                or row["revision"] + doubtful < revision):
            raise Failed(f"{bucket}: /api/kv tells {row}, all=true has {len(contents)} keys at "
                         f"revision {revision}")
        strangers = {name for name in contents if (bucket, name) not in self.keys}
        if strangers:
            raise Failed(f"{bucket}: holds keys that nobody wrote: {sorted(strangers)}")

    @staticmethod
    def _check_removal(keys, found):
        """One without an answer took all keys or none."""
        left = [name for name, (write, present) in found.items() if present]
        for key in keys:
            write, present = found[key.name]
            before = ([key.base] + key.sent())[-2:][0]
            if left and not present and write.expected == "removal" and write.acked == NEVER and (
                    before.value is not None and before.ttl is None and before.known(NEVER)):
                raise Failed(f"{key.bucket}: was removed by half: {key.name} is gone, {left} are "
                             "not")

    @staticmethod
    def _check_pairs(bucket, found):
        for name, (first, _) in found.items():
            if not name.startswith("pair ") or not name.endswith("/0"):
                continue
            second = found[name[:-1] + "1"][0]
            if (first.n, first.revision) != (second.n, second.revision):
                raise Failed(f"{bucket}: {name} is of transaction {first.n} (revision "
                             f"{first.revision}), its twin of {second.n} ({second.revision}): a "
                             "transaction was done by half")

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

    def _check_key(self, key, answer, contents, listed, cut, began):
        """The write that is shown, and whether its value is there."""
        candidates = key.candidates(cut)
        found = self._match(key, answer, candidates)
        self._count(key, found, cut)
        for write in key.tail:
            if write.known(cut):
                self._give(key, write)
        present = answer.status == 200
        if present:
            record = json.loads(answer.body)
            revision = answer.etag()
            if (record["revision"], listed.get(key.name, {"revision": revision})["revision"]) != (
                    revision, revision):
                raise Failed(f"{key.target}: ETag {revision}, record {record['revision']}, list "
                             f"{listed[key.name]['revision']}")
            if contents.get(key.name) != record["value"]:
                raise Failed(f"{key.target}: a read and all=true differ")
            self._judge_record(key, found, record, cut, began)
            found.revision = revision
            self._give(key, found)
            found.created, found.updated = record["created_at"], record["updated_at"]
        elif key.name in contents and not found.may_be_gone(unix_ms()):
            raise Failed(f"{key.target}: a read is 404, all=true has it")
        return found, present

    @staticmethod
    def _close(key, found, present):
        """The books of the cycle are closed; what has expired is nothing from now on."""
        if not present and found.value is not None:
            gone = Write(found.n, None, ttl=found.ttl)  # perhaps not swept yet
            gone.revision, gone.acked = found.revision or 0, found.acked
            found = gone
        key.base = found
        key.tail = []

    @staticmethod
    def _match(key, answer, candidates):
        now = unix_ms()
        if answer.status == 404:
            value = None
        elif answer.status == 200:
            # The bytes as they were sent: numbers and escapes are not to be rewritten.
            value = answer.body.partition(b'"value":')[2].rpartition(b',"created_at"')[0]
        else:
            raise Failed(f"{key.target}: a read is {answer.status}: {answer.body.decode()}")
        for write in reversed(candidates):
            if write.value == value or (value is None and write.may_be_gone(now)):
                return write
        wanted = [f"{w.n} (revision {w.revision})" for w in candidates]
        shown = value[:60].decode(errors="replace") if value is not None else "nothing"
        raise Failed(f"{key.target}: holds {shown}; expected write {wanted[0]}"
                     + (f" or, not answered: {', '.join(wanted[1:])}" if wanted[1:] else ""))

    @staticmethod
    def _judge_record(key, write, record, cut, began):
        metadata = json.loads(write.metadata or "{}")
        if record["metadata"] != metadata:
            raise Failed(f"{key.target}: metadata {record['metadata']}, expected {metadata}")
        expires = record["expires_at"] and unix_ms(record["expires_at"])
        if (expires is None) != (write.ttl is None):
            raise Failed(f"{key.target}: expires at {record['expires_at']}, and was given "
                         f"{write.ttl} seconds to live")
        if expires is not None and expires <= began:
            raise Failed(f"{key.target}: is shown after {record['expires_at']}, when it expired")
        if expires is not None and write.expires not in (None, expires):
            raise Failed(f"{key.target}: expires at {expires}; {write.expires} was acknowledged")
        write.expires = expires
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
        if write is key.base or write.revision is None:
            return
        if write.value is None and write.expected is not None:
            return  # of several keys, which may all have been absent: then it has no revision
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
