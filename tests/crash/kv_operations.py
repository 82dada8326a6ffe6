"""Random requests to a kv bucket, and what must come of each.

Planner.next() makes an Operation that fits what the bucket holds: mostly ones that succeed, some that
must be refused. Its outcomes(now) are what the answer may be if the daemon judged it at that moment.
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
BROKEN = [b"", b"{", b'{"a":1,"a":2}', b"[1,]", b"01", b"nul", b'"\\ud800"', b"\xff", b"1 2",
          b'"\n"', b"[" * 1025 + b"]" * 1025]


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


class Planner:
    """Makes the requests of one bucket. `sent` is the moment of sending, set by the worker."""

    def __init__(self, bucket, random):
        self.bucket = bucket
        self.random = random
        self.author = kv_json.Author(random)
        self.kinds = ((self.put, 30), (self.get, 15), (self.delete, 8), (self.merge, 7),
                      (self.patch, 9), (self.increment, 8), (self.transaction, 10), (self.page, 7),
                      (self.where, 4), (self.everything, 1), (self.buckets, 0.5),
                      (self.refused, 4), (self.checkpoint, 0.2), (self.remove_bucket, 0.15))
        self.cursor = None  # of the list under way: its query, the last key
        self.unseen = []    # keys whose deadline no answer told yet

    def leave_out(self, kinds):
        self.kinds = tuple(kind for kind in self.kinds
                           if kind[0].__name__.replace("_", "-") not in kinds)

    def next(self, now):
        if self.unseen:
            return self.get_meta(self.unseen.pop())
        makers, weights = zip(*self.kinds)
        return self.random.choices(makers, weights)[0](now)

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

    # ---- several keys

    def transaction(self, now):
        living = self.bucket.living(now)
        conditions = [self._transaction_condition(living)
                      for _ in range(self.random.choice((0, 0, 1, 2)))]
        count = 40 if self.random.random() < 0.03 else self.random.randrange(1, 6)
        ops = [self._transaction_op(living) for _ in range(count)]
        body = {"ops": ops}
        if conditions or self.random.random() < 0.3:
            body["if"] = conditions
        names = {op["key"] for op in ops} | {condition["key"] for condition in conditions}

        def outcomes(moment):
            there = self.bucket.living(moment)
            for index, condition in enumerate(conditions):
                if not _holds(condition, there.get(condition["key"])):
                    yield Outcome(412, "precondition-failed", members={"condition": index})
                    return
            changes = _transacted(ops, there)
            if changes is None:
                yield Outcome(409, "not-a-number")
                return
            yield Outcome(200, None, changes, self._transacted(changes, len(ops)))
        return Operation("transaction", "POST", self.bucket.target, outcomes, "",
                         self._body(kv_json.write(_numbers(body))), names)

    def _transacted(self, changes, count):
        def look(answer):
            body = json.loads(answer.body)
            if len(body["results"]) != count:
                raise Mismatch(f"{len(body['results'])} results of {count} operations")
            for name, record in changes.items():
                if record is not None:
                    record.judge_revision(body["revision"])
                    if record.ttl is not None:
                        self.unseen.append(name)
        return look

    def _transaction_condition(self, living):
        name = self._name(living)
        record = living.get(name)
        right = self.random.random() < 0.85
        if record and record.revision and self.random.random() < 0.6:
            return {"key": name, "revision": record.revision + (0 if right else 1)}
        return {"key": name, "exists": (record is not None) == right}

    def _transaction_op(self, living):
        chance = self.random.random()
        if chance < 0.25:
            return {"op": "delete", "key": self._name(living, 0.6)}
        if chance < 0.5:
            name = self.random.choice(("n/1", "n/2", "n/3"))
            return {"op": "increment", "key": name, "by": self.random.choice((1, 5, -2))}
        op = {"op": "set", "key": self._name(living, 0.5), "value": self.author.value(2)}
        if op["key"].startswith("n/"):
            op["value"] = Number("5")
        if self.random.random() < 0.2:
            op["ttl"] = self.random.choice((1e5, 250000.25))
        if self.random.random() < 0.2:
            op["metadata"] = {"by": "transaction"}
        return op

    # ---- lists

    def page(self, now):
        """The next page of a list, or the first of another."""
        if self.cursor is None or self.random.random() < 0.3:
            prefix = self.random.choice(("", "", "", "n/", "p", "a", "π", "none"))
            self.cursor = (prefix, self.random.random() < 0.5, None, None, 0)
        prefix, values, cursor, after, since = self.cursor
        limit = self.random.choice((1, 2, 3, 5, 1000))
        query = f"limit={limit}" + (f"&prefix={quote(prefix)}" if prefix else "")
        query += ("&values=true" if values else "") + (f"&cursor={quote(cursor)}" if cursor else "")

        def outcomes(moment):
            there = self.bucket.living(moment)
            names = sorted((n for n in there if n.startswith(prefix)
                            and (after is None or n.encode() > after.encode())),
                           key=lambda n: n.encode())

            def look(answer):
                body = kv_json.parse(answer.body.decode())
                found = {item["key"] for item in body["items"]}
                # What was written since the page before may be told or not.
                told = [n for n in names if cursor is None or n in found
                        or (there[n].revision or since + 1) <= since]
                _judge_items(body["items"], told[:limit], there, values)
                more = {len(told) > limit, len(told) > limit or len(names) > len(told)}
                if (body["next"] is not None) not in more:
                    raise Mismatch(f"next is {body['next']}; {len(told)} keys, limit {limit}")
                self.cursor = None
                if body["next"] is not None:
                    self.cursor = (prefix, values, body["next"], told[limit - 1],
                                   answer.revision()[1])
            yield from self._listed(look)
        return Operation("list", "GET", f"{self.bucket.target}?{query}", outcomes)

    def where(self, now):
        living = self.bucket.living(now)
        conditions = []
        for _ in range(self.random.choice((1, 1, 2))):
            record = living.get(self._name(living, 0.95))
            tokens = self.author.tokens(record.value) if record else []
            if any(c in token for token in tokens for c in "=<>!"):
                tokens = []
            found = kv_json.find(record.value, tokens) if record else kv_json.MISSING
            near = found is not kv_json.MISSING and self.random.random() < 0.6
            operand = found if near else self.author.value(1)
            conditions.append((tokens, self.random.choice(kv_json.OPERATORS), operand))
        query = "&".join("where=" + quote(kv_json.pointer_to(tokens) + op + kv_json.write(operand))
                         for tokens, op, operand in conditions)

        def outcomes(moment):
            there = self.bucket.living(moment)
            names = sorted((n for n, record in there.items()
                            if all(kv_json.meets(record.value, *c) for c in conditions)),
                           key=lambda n: n.encode())

            def look(answer):
                body = kv_json.parse(answer.body.decode())
                if body["next"] is not None:
                    raise Mismatch(f"next is {body['next']} with less keys than the limit")
                _judge_items(body["items"], names, there, False)
            yield from self._listed(look)
        return Operation("where", "GET", f"{self.bucket.target}?limit=1000&{query}", outcomes)

    def everything(self, _):
        def outcomes(moment):
            there = self.bucket.living(moment)

            def look(answer):
                body = kv_json.parse(answer.body.decode())
                if sorted(body) != sorted(there):
                    raise Mismatch(f"all=true has {sorted(body)}, expected {sorted(there)}")
                for name, value in body.items():
                    if not kv_json.same(value, there[name].value):
                        raise Mismatch(f"all=true has {kv_json.write(value)[:300]} for {name}")
            yield from self._listed(look)
        return Operation("all", "GET", self.bucket.target + "?all=true", outcomes)

    def _listed(self, look):
        yield Outcome(200, look=look)
        if not self.bucket.exists:
            yield Outcome(404, "bucket-not-found")

    def buckets(self, _):
        def outcomes(_moment):
            def look(answer):
                rows = {row["bucket"]: row for row in json.loads(answer.body)["items"]}
                if self.bucket.exists and self.bucket.name not in rows:
                    raise Mismatch(f"{self.bucket.name} is not listed")
            yield Outcome(200, look=look)
        return Operation("buckets", "GET", "/api/kv?limit=1000", outcomes)

    # ---- the rest

    def refused(self, now):
        """Requests that must change nothing."""
        name = self._name(self.bucket.living(now))
        target = self._target(name)
        merge = "Content-Type: application/merge-patch+json\r\n"
        way = self.random.randrange(9)
        absent = "key-not-found|bucket-not-found"
        method, headers, body, wanted = "PUT", "", b"1", []
        if way == 0:
            body, wanted = self.random.choice(BROKEN), [(400, "invalid-json")]
        elif way == 1:
            target += "?ttl=" + self.random.choice(("0", "-1", "x", "", "1e999", "nan", "inf"))
            wanted = [(400, "invalid-parameter")]
        elif way == 2:
            target, wanted = target + "?nothing=1", [(400, "invalid-parameter")]
        elif way == 3:
            method, headers, body = "PATCH", merge, b"{"
            wanted = [(400, "invalid-json"), (404, absent)]
        elif way == 4:
            method, body, wanted = "PATCH", b"{}", [(415, None)]
        elif way == 5:
            headers, wanted = "Larder-Metadata: [1]\r\n", [(422, "invalid-field")]
        elif way == 6:
            method, target = "POST", target + "/increment"
            body = self.random.choice((b'{"by":1.5}', b'{"by":"1"}', b'{"x":1}', b"[]",
                                       b'{"by":9223372036854775808}'))
            wanted = [(422, "invalid-field")]
        elif way == 7:
            method, target = "POST", self.bucket.target
            body = self.random.choice((
                b"[]", b"{}", b'{"ops":{}}', b'{"ops":[{"op":"set","key":"a"}]}',
                b'{"ops":[{"op":"set","key":"a","value":1},{"op":"fly","key":"a"}]}',
                b'{"ops":[],"x":1}', b'{"ops":[{"op":"delete","key":""}]}',
                b'{"if":[{"key":"a"}],"ops":[]}'))
            wanted = [(422, "invalid-field")]
        else:
            method, target, body = "DELETE", self.bucket.target + "?confirm=other", None
            wanted = [(400, None), (404, "bucket-not-found")]
        return Operation("refused", method, target,
                         lambda _: [Outcome(status, code) for status, code in wanted], headers, body,
                         (name,))

    def checkpoint(self, _):
        def outcomes(_moment):
            yield Outcome(200)
            yield Outcome(204)
            if not self.bucket.exists:
                yield Outcome(404, "bucket-not-found")
        return Operation("checkpoint", "POST", self.bucket.target + "/checkpoint", outcomes, "", b"")

    def remove_bucket(self, _):
        def outcomes(_moment):
            gone = Outcome(204)
            gone.removes_bucket = True
            yield gone
            if not self.bucket.exists:
                yield Outcome(404, "bucket-not-found")
        return Operation("bucket removal", "DELETE",
                         f"{self.bucket.target}?confirm={self.bucket.name}", outcomes)





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


def _holds(condition, record):
    if "exists" in condition:
        return (record is not None) == condition["exists"]
    return record is not None and record.revision == condition["revision"]


def _transacted(ops, there):
    """Keys and their new records after all ops, None where one of them cannot be done."""
    changes = {}
    for op in ops:
        name = op["key"]
        old = changes[name] if name in changes else there.get(name)
        if op["op"] == "delete":
            changes[name] = None
        elif op["op"] == "set":
            changes[name] = Record(op["value"], kv_json.write(op["value"]), op.get("metadata"), None,
                                   op.get("ttl"), old.created if old else None)
        else:
            changes[name] = incremented(old, op["by"])
            if changes[name] is None:
                return None
    return changes


def _numbers(value):
    """Python's own numbers as Numbers, to be written."""
    if isinstance(value, dict):
        return {name: _numbers(item) for name, item in value.items()}
    if isinstance(value, list):
        return [_numbers(item) for item in value]
    if isinstance(value, (int, float)) and not isinstance(value, bool):
        return Number(repr(value))
    return value


def _judge_items(items, names, there, values):
    found = [item["key"] for item in items]
    if found != names:
        raise Mismatch(f"keys are {found}, expected {names}")
    for item in items:
        record = there[item["key"]]
        record.judge_revision(int(item["revision"].text))
        if values != ("value" in item):
            raise Mismatch(f"{item['key']} has {'a' if 'value' in item else 'no'} value")
        if values and not kv_json.same(item["value"], record.value):
            raise Mismatch(f"{item['key']} has {kv_json.write(item['value'])[:300]}, expected "
                           f"{kv_json.write(record.value)[:300]}")
