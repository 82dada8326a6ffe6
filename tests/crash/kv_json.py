"""JSON for the model drill: values, RFC 6901, 6902 and 7396 as they are written, and random ones.

Not the daemon's way: values are Python's own, numbers excepted, which keep their text (Number), and
every edit makes a copy. Objects keep their order, which is part of what is compared.

  Number, parse, write, spaced   values and texts
  same, equal                    to the byte but for escapes; by RFC 6902 section 4.6
  find, merge, patch, meets      what the interface does with values
  Author                         random values and edits that fit a given value
"""

import copy
import json
import re
from decimal import Decimal

MISSING = object()
OPERATORS = ("=", "!=", "<", "<=", ">", ">=")


class Number:
    """A number as it was written."""

    __slots__ = ("text",)

    def __init__(self, text):
        self.text = text

    def __repr__(self):
        return self.text

    def __deepcopy__(self, _):
        return self

    def value(self):
        return Decimal(self.text)


class PatchFailed(Exception):
    """An operation of a JSON patch cannot be done; `number` says which, `test` whether it is one."""

    def __init__(self, number, test):
        super().__init__(number)
        self.number = number
        self.test = test


def parse(text):
    return json.loads(text, parse_int=Number, parse_float=Number)


def write(value):
    """Without white space."""
    if isinstance(value, Number):
        return value.text
    if isinstance(value, dict):
        return "{" + ",".join(f"{write(name)}:{write(item)}" for name, item in value.items()) + "}"
    if isinstance(value, list):
        return "[" + ",".join(map(write, value)) + "]"
    return json.dumps(value, ensure_ascii=False)


def spaced(text, random):
    """The same value with white space between its tokens."""
    tokens = re.findall(r'"(?:[^"\\]|\\.)*"|[\[\]{},:]|[^\[\]{},:"]+', text)
    return "".join(random.choice(("", "", " ", "\n", "\t ", "\r\n")) + token for token in tokens)


def same(a, b):
    """Members in the same order, numbers in the same digits."""
    if type(a) is not type(b):
        return False
    if isinstance(a, Number):
        return a.text == b.text
    if isinstance(a, dict):
        return list(a) == list(b) and all(same(a[name], b[name]) for name in a)
    if isinstance(a, list):
        return len(a) == len(b) and all(map(same, a, b))
    return a == b


def equal(a, b):
    if type(a) is not type(b):
        return False
    if isinstance(a, Number):
        return a.value() == b.value()
    if isinstance(a, dict):
        return a.keys() == b.keys() and all(equal(a[name], b[name]) for name in a)
    if isinstance(a, list):
        return len(a) == len(b) and all(map(equal, a, b))
    return a == b


# ---- RFC 6901

def tokens_of(pointer):
    return [token.replace("~1", "/").replace("~0", "~") for token in pointer.split("/")[1:]]


def pointer_to(tokens):
    return "".join("/" + str(token).replace("~", "~0").replace("/", "~1") for token in tokens)


def _index(token, count):
    if re.fullmatch(r"0|[1-9][0-9]*", token) and int(token) < count:
        return int(token)
    return None


def find(value, tokens):
    """The part, or MISSING."""
    for token in tokens:
        if isinstance(value, dict) and token in value:
            value = value[token]
        elif isinstance(value, list) and _index(token, len(value)) is not None:
            value = value[int(token)]
        else:
            return MISSING
    return value


# ---- RFC 7396

def merge(target, change):
    if not isinstance(change, dict):
        return copy.deepcopy(change)
    target = copy.deepcopy(target) if isinstance(target, dict) else {}
    for name, value in change.items():
        if value is None:
            target.pop(name, None)
        else:
            target[name] = merge(target.get(name), value)
    return target


# ---- RFC 6902

def _add(root, tokens, value):
    if not tokens:
        return value
    parent = find(root, tokens[:-1])
    if isinstance(parent, dict):
        parent[tokens[-1]] = value
    elif isinstance(parent, list):
        index = len(parent) if tokens[-1] == "-" else _index(tokens[-1], len(parent) + 1)
        if index is None:
            raise KeyError
        parent.insert(index, value)
    else:
        raise KeyError
    return root


def _remove(root, tokens):
    if not tokens or find(root, tokens) is MISSING:
        raise KeyError
    parent = find(root, tokens[:-1])
    del parent[tokens[-1] if isinstance(parent, dict) else int(tokens[-1])]
    return root


def _replace(root, tokens, value):
    if not tokens:
        return value
    if find(root, tokens) is MISSING:
        raise KeyError
    parent = find(root, tokens[:-1])
    parent[tokens[-1] if isinstance(parent, dict) else int(tokens[-1])] = value
    return root


def _operate(root, op):
    path = tokens_of(op["path"])
    kind = op["op"]
    if kind == "remove":
        return _remove(root, path)
    if kind == "add":
        return _add(root, path, copy.deepcopy(op["value"]))
    if kind == "replace":
        return _replace(root, path, copy.deepcopy(op["value"]))
    if kind == "test":
        found = find(root, path)
        if found is MISSING or not equal(found, op["value"]):
            raise KeyError
        return root
    source = tokens_of(op["from"])
    found = find(root, source)
    if found is MISSING:
        raise KeyError
    if kind == "copy":
        return _add(root, path, copy.deepcopy(found))
    if source == path:
        return root
    return _add(_remove(root, source), path, found)


def patch(value, operations):
    value = copy.deepcopy(value)
    for number, op in enumerate(operations):
        try:
            value = _operate(value, op)
        except KeyError as error:
            raise PatchFailed(number, op["op"] == "test") from error
    return value


# ---- where

def meets(value, tokens, operator, operand):
    part = find(value, tokens)
    if part is MISSING or type(part) is not type(operand):
        return False
    if operator in ("=", "!="):
        return equal(part, operand) == (operator == "=")
    if isinstance(part, Number):
        a, b = part.value(), operand.value()
    elif isinstance(part, str):
        a, b = part, operand  # Python compares code points
    else:
        return False
    return {"<": a < b, "<=": a <= b, ">": a > b, ">=": a >= b}[operator]


class Author:
    """Random values of few names, so that edits meet what is there."""

    NAMES = ("a", "b", "c", "n", "", "a/b", "m~n", "0", "käse", 'q"\\', "𝄞")
    NUMBERS = ("0", "-0", "1", "2", "3", "10", "1.0", "0.1000", "1e400", "-1E-5", "1e3", "0.5",
               "9007199254740993", "3.14159265358979323846264338327950288",
               "1234567890123456789012345678901234567890")
    STRINGS = ("", "a", "b", "text", "π", "a\"\\/\n", "𝄞", "\u0001", "x" * 40)

    def __init__(self, random):
        self.random = random

    def value(self, depth=3):
        chance = self.random.random()
        if depth > 0 and chance < 0.35:
            names = self.random.sample(self.NAMES, self.random.randrange(5))
            return {name: self.value(depth - 1) for name in names}
        if depth > 0 and chance < 0.55:
            return [self.value(depth - 1) for _ in range(self.random.randrange(5))]
        if chance < 0.75:
            return Number(self.random.choice(self.NUMBERS))
        if chance < 0.9:
            return self.random.choice(self.STRINGS)
        return self.random.choice((None, True, False))

    def tokens(self, value):
        """The way to a part, or now and then to none."""
        way = []
        while self.random.random() < 0.8:
            if isinstance(value, dict):
                some = self.random.random() < 0.85 and value
                way.append(self.random.choice(list(value) if some else self.NAMES))
            elif isinstance(value, list):
                way.append(self.random.choice([str(i) for i in range(len(value) + 1)] + ["-", "01"]))
            else:
                if self.random.random() < 0.1:
                    way.append("0")
                break
            value = find(value, way[-1:])
            if value is MISSING:
                break
        return way

    def merge_for(self, value):
        """A merge patch that touches what is there, or replaces it."""
        if not isinstance(value, dict) or self.random.random() < 0.05:
            return self.value()
        change = {}
        for name in self.random.sample(self.NAMES, self.random.randrange(4)):
            change[name] = self.random.choice((None, self.merge_for(value.get(name)), self.value(2)))
        return change

    def operations_for(self, value):
        """A JSON patch of which most can be done, and what it makes of the value or None."""
        operations = []
        for _ in range(self.random.randrange(1, 7)):
            op = self._operation(value)
            try:
                value = patch(value, [op])
            except PatchFailed:
                if self.random.random() < 0.8:
                    continue
                return operations + [op]
            operations.append(op)
        return operations

    def _operation(self, value):
        kind = self.random.choice(("add", "add", "remove", "replace", "move", "copy", "test"))
        op = {"op": kind, "path": pointer_to(self.tokens(value))}
        if kind in ("add", "replace"):
            op["value"] = self.value(2)
        elif kind in ("move", "copy"):
            op["from"] = pointer_to(self.tokens(value))
            if kind == "move" and op["path"].startswith(op["from"] + "/"):
                op["op"] = "copy"
        elif kind == "test":
            found = find(value, tokens_of(op["path"]))
            wrong = found is MISSING or self.random.random() < 0.1
            op["value"] = self.value(1) if wrong else copy.deepcopy(found)
        if self.random.random() < 0.1:
            op["x"] = [1]
        return op
