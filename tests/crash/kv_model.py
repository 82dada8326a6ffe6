"""What a kv bucket must answer, in memory, written from the interface's description alone.

A Bucket keeps expired records until something takes their place: what is there is a question of the
moment, so every judgement is given the moment that it is for. An operation (kv_operations.py) says
what must come of it at a moment as an Outcome; the worker (kv_worker.py) compares that with the answer
for each moment between sending and answer at which something expired, and lets the bucket take it.

  Record    one key's present state
  Outcome   what an answer must be, and what the bucket then holds
  Change    one change as a watcher must be told of it
  Bucket    the records and the revisions
"""

import datetime
import json

import kv_json

TTL_SLACK = 2  # ms: a time to live is no whole number of them


class Mismatch(Exception):
    """What the daemon says is nothing that the description allows."""


def milliseconds(text):
    """Of a time in JSON; None of null."""
    if text is None:
        return None
    moment = datetime.datetime.strptime(text, "%Y-%m-%dT%H:%M:%S.%fZ")
    return round(moment.replace(tzinfo=datetime.timezone.utc).timestamp() * 1000)


class Record:
    """A key's state. What is None is not known yet and is learnt at the first sight."""

    __slots__ = ("value", "text", "metadata", "expires", "ttl", "created", "updated", "revision")

    def __init__(self, value, text=None, metadata=None, expires=None, ttl=None, created=None):
        self.value = value          # as kv_json has it
        self.text = text            # as the daemon must write it, byte by byte
        self.metadata = metadata or {}
        self.expires = expires      # Unix ms; None: never
        self.ttl = ttl              # seconds, where `expires` is not known yet
        self.created = created
        self.updated = None
        self.revision = None

    def lives(self, now):
        return self.expires is None or self.expires > now

    def judge_value(self, text):
        """Of the value as it came in an answer."""
        if self.text is None:
            if not kv_json.same(kv_json.parse(text), self.value):
                raise Mismatch(f"value is {text[:400]}, expected {kv_json.write(self.value)[:400]}")
            self.text = text  # from now on these very bytes
        elif text != self.text:
            raise Mismatch(f"value is {text[:400]}, expected {self.text[:400]}")

    def judge_revision(self, revision):
        if self.revision not in (None, revision):
            raise Mismatch(f"revision is {revision}, expected {self.revision}")
        self.revision = revision

    def judge_times(self, body):
        """Of an object with the three times."""
        created, updated, expires = (milliseconds(body[name]) for name in
                                     ("created_at", "updated_at", "expires_at"))
        if self.created not in (None, created):
            raise Mismatch(f"created_at is {created}, expected {self.created}")
        if self.updated not in (None, updated):
            raise Mismatch(f"updated_at is {updated}, expected {self.updated}")
        self.created, self.updated = created, updated
        if self.ttl is not None:
            if expires is None or abs(expires - updated - self.ttl * 1000) > TTL_SLACK:
                raise Mismatch(f"expires_at is {expires}, expected {self.ttl} s after {updated}")
            self.expires, self.ttl = expires, None
        elif expires != self.expires:
            raise Mismatch(f"expires_at is {expires}, expected {self.expires}")

    def judge_record(self, record, text):
        """Of what ?meta=true gives; `text` is its value as it stands there."""
        self.judge_value(text)
        self.judge_revision(int(record["revision"].text))
        self.judge_times(record)
        if not kv_json.same(record["metadata"], self.metadata):
            raise Mismatch(f"metadata is {kv_json.write(record['metadata'])}, expected "
                           f"{kv_json.write(self.metadata)}")


class Outcome:
    """What must come of a request.

    `changes` maps keys to new Records, or to None where one is removed. `look` is called with the
    answer and raises Mismatch where its body is wrong. `members` are what its problem document has.
    """

    def __init__(self, status, code=None, changes=None, look=None, members=None):
        self.status = status
        self.code = code
        self.changes = changes or {}
        self.look = look
        self.members = members or {}
        self.removes_bucket = False

    def judge(self, answer):
        if answer.status != self.status:
            raise Mismatch(f"status is {answer.status}, expected {self.status}: "
                           f"{answer.body[:300].decode(errors='replace')}")
        if self.code is not None:
            problem = json.loads(answer.body)
            if problem["code"] not in self.code.split("|"):
                raise Mismatch(f"code is {problem['code']}, expected {self.code}")
            for name, value in self.members.items():
                if problem.get(name) != value:
                    raise Mismatch(f"{name} is {problem.get(name)}, expected {value}")
        if self.look:
            self.look(answer)


class Change:
    """What a watcher must be told: which keys, and the revisions it may have."""

    __slots__ = ("low", "high", "keys", "before", "unsure")

    def __init__(self, keys, before, unsure):
        self.low = self.high = 0
        self.keys = keys        # name to Record or None
        self.before = before    # those of the names that were there
        self.unsure = unsure    # those of them that expired between sending and answer

    def shows(self, prefix=""):
        """Which keys there is something to tell of: what is removed was there."""
        return {name for name, record in self.keys.items() if name.startswith(prefix) and
                (record or (name in self.before and name not in self.unsure))}


class Bucket:
    """One bucket as its only writer knows it."""

    def __init__(self, name):
        self.name = name
        self.target = f"/api/kv/{name}"
        self.records = {}
        self.exists = False     # something was written since it was made or removed
        self.epoch = None
        self.least_epoch = 0
        self.revision = 0       # the highest seen
        self.expired = 0        # how many records' time came before something took their place
        self.swept = 0          # how many revisions only an expiry can have taken
        self.log = []           # Changes since a watcher was last held against them
        self.ghosts = set()     # keys that may have been set and have expired unseen

    def living(self, now):
        return {name: record for name, record in self.records.items() if record.lives(now)}

    def deadlines(self, begin, end):
        return sorted({record.expires for record in self.records.values()
                       if record.expires is not None and begin < record.expires <= end})

    def judge_version(self, version, least, most, now):
        """Of a Larder-Revision; between `least` and `most` changes came since the last one."""
        epoch, revision = map(int, version.split("-"))
        if self.epoch is None and epoch > self.least_epoch:
            self.epoch = epoch
            self.revision = max(self.revision, revision - most)  # a removal may have taken some
        if epoch != self.epoch:
            raise Mismatch(f"epoch is {epoch}, expected {self.epoch or 'more than '}"
                           f"{self.epoch and '' or self.least_epoch}")
        if revision < self.revision + least:
            raise Mismatch(f"the bucket is at revision {revision}, expected at least "
                           f"{self.revision + least}")
        extra = max(0, revision - self.revision - most)
        doomed = self.expired + sum(not r.lives(now) for r in self.records.values())
        if self.swept + extra > doomed:
            raise Mismatch(f"the bucket is at revision {revision}, expected at most "
                           f"{self.revision + most + doomed - self.swept}: {doomed} keys expired, "
                           f"of which {self.swept} are counted already")
        return revision, extra

    def take(self, outcome, version, moment, now):
        """The answer was right if it was made at `moment`; `version` is its Larder-Revision."""
        before = self.revision
        there = {name for name in outcome.changes if name in self.records and
                 self.records[name].lives(moment)}
        change = Change(dict(outcome.changes), there,
                        {name for name in there if not self.records[name].lives(now)})
        if version is not None:
            revision, extra = self.judge_version(
                version, 1 if change.shows() else 0, 1 if outcome.changes else 0, now)
            before = max(before, self.revision)
            self.swept += extra
            self.revision = revision
        if not outcome.changes:
            return
        self.exists = self.exists or bool(change.shows())
        known = [r.revision for r in outcome.changes.values() if r and r.revision is not None]
        if known and not before < known[0] <= self.revision:
            raise Mismatch(f"the change has revision {known[0]}; the bucket was at {before} before "
                           f"and is at {self.revision}")
        change.low, change.high = (known[0], known[0]) if known else (before + 1, self.revision)
        self.log.append(change)
        for name, record in outcome.changes.items():
            old = self.records.pop(name, None)
            if old is not None and not old.lives(now):
                self.expired += 1
            if record is not None:
                self.records[name] = record

    def remove(self):
        """Its keys and its file are gone; its revisions are not."""
        self.least_epoch = self.epoch or self.least_epoch
        self.records = {}
        self.log = []
        self.exists = False
        self.epoch = None
        self.expired = self.swept = 0
