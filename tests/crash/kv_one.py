"""Random requests about one key of a kv bucket, and what must come of each.

Operation is a request with the answers that it may have; OneKey makes them, for the Planner of
kv_operations.py. Those about several keys are in kv_many.py.

  quote, value_text, Operation   of all requests
  OneKey                         parts of requests; put, get, delete, patches, increment
  incremented                    what an increment leaves
"""

import email.utils
import json
import re
import urllib.parse

import kv_json
from kv_json import Number
from kv_model import Mismatch, Outcome, Record

MIN_INT, MAX_INT = -(1 << 63), (1 << 63) - 1
KEYS = ["a", "b", "c", "n/1", "n/2", "n/3", "a/b", "p/1", "p/2", "p/x/y", "π", "with space", "q?#&=",
        "%2F", "..", ".", "a//b", "/lead", "x/increment", "checkpoint", "u\\n", "𝄞", "zz", "Z", "~"]


def quote(text):
    return urllib.parse.quote(text, safe="")


def quoted_key(name, random):
    """A path as a client may write it: raw slashes or escaped ones."""
    return urllib.parse.quote(name, safe="/" if random.random() < 0.7 else "")


def value_text(body):
    """The value as it stands in a record."""
    return re.match(r'\{"key":"(?:[^"\\]|\\.)*","value":(.*),"created_at":"', body, re.S)[1]


class Operation:
    """One request. `names` are the keys it is about, empty for all."""

    def __init__(self, kind, method, target, outcomes, headers="", body=None, names=()):
        self.kind = kind
        self.method = method
        self.target = target
        self.outcomes = outcomes
        self.headers = headers
        self.body = body
        self.names = names

    def __str__(self):
        headers = self.headers.replace("\r\n", " | ")
        body = "" if self.body is None else self.body[:1500].decode(errors="replace")
        return f"{self.method} {self.target} {headers}{body}"


class OneKey:
    """Needs `bucket`, `random`, `author`."""

    # ---- parts of requests

    def _name(self, living, there=0.75):
        if living and self.random.random() < there:
            return self.random.choice(sorted(living))
        return self.random.choice(KEYS)

    def _target(self, name):
        return f"{self.bucket.target}/{quoted_key(name, self.random)}"

    def _body(self, text):
        if self.random.random() < 0.2:
            text = kv_json.spaced(text, self.random)
        return text.encode()

    def _ttl(self):
        """A query and the ttl: seconds, "keep", or None."""
        chance = self.random.random()
        if chance < 0.6:
            return "", None
        if chance < 0.7:
            return "?ttl=keep", "keep"
        if chance < 0.85:
            ttl = self.random.choice((1000, 2500.5, 86400, 4e6))
        else:
            ttl = self.random.choice((0.02, 0.05, 0.1, 0.25, 0.5, 1))
        return f"?ttl={ttl:g}" if ttl < 1e5 else "?ttl=4000000", ttl

    def _metadata(self):
        if self.random.random() < 0.7:
            return "", {}
        metadata = {"owner": self.random.choice(("ann", "bob")), "n": Number(
            self.random.choice(kv_json.Author.NUMBERS)), "x": [None, True]}
        return f"Larder-Metadata: {kv_json.write(metadata)}\r\n", metadata

    def _condition(self, record):
        """Headers, and a function from a record or None to the names of what may fail (or '')."""
        revision = record.revision if record and record.revision else 999999999
        chance = self.random.randrange(12)
        if chance == 0:
            return f'If-Match: "{revision}"\r\n', lambda r: _unless(r and r.revision == revision,
                                                                     "if-match")
        if chance == 1:
            return (f'If-Match: "1", "x,y",  "{revision}"\r\n',
                    lambda r: _unless(r and r.revision in (1, revision), "if-match"))
        if chance == 2:
            return "If-Match: *\r\n", lambda r: _unless(r, "if-match")
        if chance == 3:
            return (f'If-Match: W/"{revision}"\r\n',
                    lambda r: {"if-match"})  # a weak tag never matches strongly
        if chance in (4, 5):
            return "If-None-Match: *\r\n", lambda r: _unless(not r, "if-none-match")
        if chance == 6:
            return (f'If-None-Match: W/"{revision}"\r\n',
                    lambda r: _unless(not r or r.revision != revision, "if-none-match"))
        if chance == 7:
            return (f'If-None-Match: "{revision + 1}"\r\n',
                    lambda r: _unless(not r or r.revision != revision + 1, "if-none-match"))
        if chance == 8:
            return (f'If-Match: "{revision}"\r\nIf-Unmodified-Since: '
                    "Sat, 01 Jan 2000 00:00:00 GMT\r\n",
                    lambda r: _unless(r and r.revision == revision, "if-match"))
        moment = record.updated // 1000 if record and record.updated else 4102444800
        moment -= self.random.choice((0, 0, 1, 5))
        return (f"If-Unmodified-Since: {email.utils.formatdate(moment, usegmt=True)}\r\n",
                lambda r: _unmodified(r, moment))

    def _conditionally(self, living, name, chance=0.25):
        if self.random.random() > chance:
            return "", lambda record: {""}
        return self._condition(living.get(name))

    @staticmethod
    def _written(name, record, fresh):
        """What the answer to a change of one key must say."""
        def look(answer):
            body = json.loads(answer.body)
            if fresh and body["created_at"] != body["updated_at"]:
                raise Mismatch(f"a new key was created at {body['created_at']} and updated at "
                               f"{body['updated_at']}")
            if body["key"] != name:
                raise Mismatch(f"key is {body['key']}, expected {name}")
            if answer.etag() != body["revision"]:
                raise Mismatch(f"ETag is {answer.headers['etag']}, the body says {body['revision']}")
            record.judge_revision(body["revision"])
            record.judge_times(body)
        return look

    def _absent(self):
        return Outcome(404, "key-not-found" if self.bucket.exists else
                       "key-not-found|bucket-not-found")

    # ---- one key

    def put(self, now):
        living = self.bucket.living(now)
        name = self._name(living, 0.4)
        value = self.author.value()
        if name.startswith("n/") and self.random.random() < 0.8:
            value = Number(str(self.random.choice((0, 1, -7, 41, MAX_INT, MIN_INT, MAX_INT - 3))))
        text = kv_json.write(value)
        query, ttl = self._ttl()
        header, metadata = self._metadata()
        condition, failing = self._conditionally(living, name)

        def outcomes(moment):
            old = self.bucket.living(moment).get(name)
            for why in failing(old):
                if why:
                    yield _precondition(why)
                    continue
                keep = ttl == "keep"
                record = Record(value, text, metadata, old.expires if keep and old else None,
                                None if keep else ttl, old.created if old else None)
                yield Outcome(200 if old else 201, None, {name: record},
                              self._written(name, record, old is None))
        return Operation("put", "PUT", self._target(name) + query, outcomes, header + condition,
                         self._body(text), (name,))

    def get(self, now):
        living = self.bucket.living(now)
        name = self._name(living, 0.9)
        record = living.get(name)
        way = self.random.randrange(4)
        if way == 0:
            return self.get_meta(name)
        if way == 1:
            return self._get_part(name, record)
        condition, known = "", -1
        if way == 2 and record and record.revision:
            known = record.revision + self.random.choice((0, 0, 1))
            condition = f'If-None-Match: "{known}"\r\n'

        def outcomes(moment):
            there = self.bucket.living(moment).get(name)
            if not there:
                yield self._absent()
                return

            def look(answer):
                there.judge_revision(answer.etag())
                if answer.status == 200:
                    there.judge_value(answer.body.decode())
            yield Outcome(304 if there.revision == known else 200, look=look)
        return Operation("get", "GET", self._target(name), outcomes, condition, None, (name,))

    def get_meta(self, name):
        def outcomes(moment):
            there = self.bucket.living(moment).get(name)
            if not there:
                yield self._absent()
                return

            def look(answer):
                text = answer.body.decode()
                record = kv_json.parse(text)
                if record["key"] != name or answer.etag() != int(record["revision"].text):
                    raise Mismatch(f"the record is {text[:300]}, ETag {answer.headers['etag']}")
                there.judge_record(record, value_text(text))
            yield Outcome(200, look=look)
        return Operation("get meta", "GET", self._target(name) + "?meta=true", outcomes,
                         names=(name,))

    def _get_part(self, name, record):
        tokens = self.author.tokens(record.value if record else {})
        query = "?pointer=" + quote(kv_json.pointer_to(tokens))

        def outcomes(moment):
            there = self.bucket.living(moment).get(name)
            if not there:
                yield self._absent()
                return
            part = kv_json.find(there.value, tokens)
            if part is kv_json.MISSING:
                yield Outcome(404, "pointer-not-found")
                return

            def look(answer):
                there.judge_revision(answer.etag())
                if not kv_json.same(kv_json.parse(answer.body.decode()), part):
                    raise Mismatch(f"part is {answer.body[:300]}, expected {kv_json.write(part)}")
            yield Outcome(200, look=look)
        return Operation("get part", "GET", self._target(name) + query, outcomes, names=(name,))

    def delete(self, now):
        living = self.bucket.living(now)
        name = self._name(living, 0.85)
        condition, failing = self._conditionally(living, name)

        def outcomes(moment):
            there = self.bucket.living(moment).get(name)
            if not there:
                yield self._absent()
                return
            for why in failing(there):
                yield _precondition(why) if why else Outcome(204, None, {name: None})
        return Operation("delete", "DELETE", self._target(name), outcomes, condition, None, (name,))

    def merge(self, now):
        living = self.bucket.living(now)
        name = self._name(living, 0.95)
        old = living.get(name)
        change = self.author.merge_for(old.value if old else {})

        def edit(value):
            return kv_json.merge(value, change)
        return self._edit("merge", name, living, "merge-patch", kv_json.write(change), edit)

    def patch(self, now):
        living = self.bucket.living(now)
        name = self._name(living, 0.95)
        old = living.get(name)
        operations = self.author.operations_for(old.value if old else {})

        def edit(value):
            return kv_json.patch(value, operations)
        return self._edit("patch", name, living, "json-patch", kv_json.write(operations), edit)

    def _edit(self, kind, name, living, media, text, edit):
        condition, failing = self._conditionally(living, name, 0.15)

        def outcomes(moment):
            old = self.bucket.living(moment).get(name)
            if not old:
                yield self._absent()
                return
            for why in failing(old):
                if why:
                    yield _precondition(why)
                    continue
                try:
                    record = Record(edit(old.value), None, old.metadata, old.expires,
                                    created=old.created)
                except kv_json.PatchFailed as error:
                    yield Outcome(409, "patch-test-failed" if error.test else "patch-failed",
                                  members={"pointer": f"/{error.number}"})
                    continue
                yield Outcome(200, None, {name: record}, self._written(name, record, False))
        headers = f"Content-Type: application/{media}+json\r\n" + condition
        return Operation(kind, "PATCH", self._target(name), outcomes, headers, self._body(text),
                         (name,))

    def increment(self, now):
        living = self.bucket.living(now)
        name = self.random.choice(("n/1", "n/2", "n/3")) if self.random.random() < 0.8 else (
            self._name(living, 0.7))
        by = self.random.choice((1, 1, 1, 2, -1, 0, 40, MAX_INT, MIN_INT))

        def outcomes(moment):
            old = self.bucket.living(moment).get(name)
            record = incremented(old, by)
            if record is None:
                yield Outcome(409, "not-a-number")
                return

            def look(answer):
                body = kv_json.parse(answer.body.decode())
                record.judge_revision(int(body["revision"].text))
                if body["value"].text != record.text:
                    raise Mismatch(f"value is {body['value']}, expected {record.text}")
            yield Outcome(200, None, {name: record}, look)
        return Operation("increment", "POST", self._target(name) + "/increment", outcomes, "",
                         self._body(f'{{"by":{by}}}'), (name,))


def _unless(holds, name):
    return {""} if holds else {name}


def _unmodified(record, moment):
    if record is None:
        return {"", "if-unmodified-since"}  # there is no date to compare: a server may do either
    if record.updated is None:
        return {"", "if-unmodified-since"}  # not seen yet
    return _unless(record.updated // 1000 <= moment, "if-unmodified-since")


def _precondition(why):
    return Outcome(412, "precondition-failed", members={"condition": why})


def _integer(value):
    """The exact integer that a number stands for, None where it is none."""
    if not isinstance(value, Number) or len(value.text) > 60:
        return None
    number = value.value()
    if number != 0 and (number.adjusted() > 30 or number != number.to_integral_value()):
        return None
    return int(number) if MIN_INT <= number <= MAX_INT else None


def incremented(old, by):
    """The record after adding, None where that cannot be."""
    start = _integer(old.value) if old else 0
    if start is None or not MIN_INT <= start + by <= MAX_INT:
        return None
    text = str(start + by)
    return Record(Number(text), text, old.metadata if old else None, old.expires if old else None,
                  old.ttl if old else None, old.created if old else None)
