"""Random requests about several keys of a kv bucket: transactions and lists.

ManyKeys makes them, for the Planner of kv_operations.py.
"""

import json

import kv_json
from kv_json import Number
from kv_model import Mismatch, Outcome, Record
from kv_one import Operation, incremented, quote


class ManyKeys:
    """Needs what OneKey needs, and OneKey's parts."""

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
