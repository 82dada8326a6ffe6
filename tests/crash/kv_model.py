"""What a kv bucket must answer, in memory, written from the interface's description alone.

A Bucket holds records, expired ones too until something takes their place: what is there is a question
of the moment, so every judgement is given the moment it is for. An operation (kv_operations.py) says
what must come of it at a moment as an Outcome; the worker (model.py) compares that with the answer,
tries each moment between sending and answer at which something expired, and lets the bucket take the
change.

  Record    one key's present state
  Outcome   what an answer must be, and what the bucket then holds
  Bucket    the records and the revisions
  Change    one change as a watcher must be told of it
"""

import datetime
import json

import kv_json


class Mismatch(Exception):
    """The daemon's answer is none that the description allows."""


def milliseconds(text):
    """Of a time in JSON."""
    moment = datetime.datetime.strptime(text, "%Y-%m-%dT%H:%M:%S.%fZ")
    return round(moment.replace(tzinfo=datetime.timezone.utc).timestamp() * 1000)


class Record:
    """A key's state. None stands for what is not known yet: it is learnt at the first sight."""

    __slots__ = ("value", "text", "metadata", "expires", "created", "updated", "revision")

    def __init__(self, value, text=None, metadata="{}", expires=None, created=None):
        self.value = value          # kv_json
        self.text = text            # as the daemon must write it, byte by byte
        self.metadata = metadata    # parsed with kv_json
        self.expires = expires      # Unix ms; None: never
        self.created = created
        self.updated = None
        self.revision = None

    def lives(self, now):
        return self.expires is None or self.expires > now

    def judge_value(self, text):
        """Of the value as it came in an answer."""
        if self.text is not None:
            if text != self.text:
                raise Mismatch(f"value is {text[:200]}, expected {self.text[:200]}")
            return
        if not kv_json.same(kv_json.parse(text), self.value):
            raise Mismatch(f"value is {text[:300]}, expected {kv_json.write(self.value)[:300]}")
        self.text = text  # from now on these very bytes

    def judge_revision(self, revision):
        if self.revision not in (None, revision):
            raise Mismatch(f"revision is {revision}, expected {self.revision}")
        self.revision = revision

    def judge_times(self, created, updated, expires):
        if self.created not in (None, created):
            raise Mismatch(f"created_at is {created}, expected {self.created}")
        if self.updated not in (None, updated):
            raise Mismatch(f"updated_at is {updated}, expected {self.updated}")
        if expires != self.expires:
            raise Mismatch(f"expires_at is {expires}, expected {self.expires}")
        self.created, self.updated = created, updated


class Outcome:
    """What must come of a request.

    `changes` maps keys to their new Record, or to None where it is removed. `look` is called with the
    answer and raises Mismatch where its body is wrong.
    """

    def __init__(self, status, code=None, changes=None, look=None, members=None, counted=True):
        self.status = status
        self.code = code
        self.changes = changes or {}
        self.look = look
        self.members = members or {}  # that the problem document must have
        # A change of nothing, such as deleting what is not there, may have a revision or not.
        self.counted = counted and bool(changes)

    def judge(self, answer):
        if answer.status != self.status:
            raise Mismatch(f"status is {answer.status}, expected {self.status}: "
                           f"{answer.body[:300].decode(errors='replace')}")
        if self.code is not None:
            problem = json.loads(answer.body)
            if problem["code"] != self.code:
                raise Mismatch(f"code is {problem['code']}, expected {self.code}")
            for name, value in self.members.items():
                if problem.get(name) != value:
                    raise Mismatch(f"{name} is {problem.get(name)}, expected {value}")
        if self.look:
            self.look(answer)


class Change:
    """What a watcher must be told: which keys, within which revisions."""

    __slots__ = ("low", "high", "keys", "certain", "at")

    def __init__(self, low, high, keys, certain, at):
        self.low = low
        self.high = high
        self.keys = keys        # name to Record or None
        self.certain = certain  # False: there may be nothing to tell
        self.at = at            # Unix ms when it was known


class Bucket:
    """One bucket as its only writer knows it."""

    def __init__(self, name):
        self.name = name
        self.target = f"/api/kv/{name}"
        self.records = {}
        self.exists = False     # something was written since it was made or removed
        self.epoch = None
        self.revision = 0       # the highest that was seen
        self.expired = 0        # records whose time came and that are gone or must go
        self.swept = 0          # revisions that only an expiry can have taken
        self.log = []           # Changes, for the watcher to be held against

    def living(self, now):
        return {name: record for name, record in self.records.items() if record.lives(now)}

    def deadlines(self, begin, end):
        return sorted({record.expires for record in self.records.values()
                       if record.expires is not None and begin < record.expires <= end})

    def doomed(self, now):
        """How many expiries there may have been since the bucket began."""
        return self.expired + sum(not record.lives(now) for record in self.records.values())

    def see_version(self, text, changed, now):
        """Of a Larder-Revision after `changed` changes that have one revision each, at most."""
        epoch, revision = map(int, text.split("-"))
        if self.epoch is None:
            self.epoch, self.revision = epoch, max(self.revision, revision - changed)
        if epoch != self.epoch:
            raise Mismatch(f"epoch is {epoch}, expected {self.epoch}")
        if revision < self.revision:
            raise Mismatch(f"revision of the bucket is {revision}, was {self.revision}")
        return revision

    def advance(self, revision, low, high, now):
        """From the last revision seen to this one there were `low` to `high` changes, and expiries."""
        extra = revision - self.revision - high
        if revision - self.revision < low:
            raise Mismatch(f"revision of the bucket is {revision}, expected at least "
                           f"{self.revision + low}")
        if extra > 0:
            self.swept += extra
            if self.swept > self.doomed(now):
                raise Mismatch(f"revision of the bucket is {revision}: since its beginning "
                               f"{self.swept} were taken by nobody, and {self.doomed(now)} "
                               "expired")
        self.revision = revision

    def take(self, outcome, version, now):
        """The change is on disk; `version` is that of the answer, None where nobody knows."""
        before = self.revision
        count = 1 if outcome.changes else 0
        if version is not None:
            revision = self.see_version(version, count, now)
            self.advance(revision, 1 if outcome.counted else 0, count, now)
        if not outcome.changes:
            return
        self.exists = True
        known = [record.revision for record in outcome.changes.values()
                 if record and record.revision is not None]
        low, high = (min(known), max(known)) if known else (before + 1, self.revision)
        if known and low <= before:
            raise Mismatch(f"revision {low} is given anew; the bucket was at {before}")
        self.log.append(Change(low, high, dict(outcome.changes), outcome.counted, now))
        for name, record in outcome.changes.items():
            old = self.records.pop(name, None)
            if old is not None and not old.lives(now):
                self.expired += 1
            if record is not None:
                self.records[name] = record

    def forget(self, now):
        """Everything is gone with the bucket; its revisions are not."""
        self.records = {}
        self.log = []
        self.exists = False
        self.epoch = None
        self.expired = self.swept = 0
