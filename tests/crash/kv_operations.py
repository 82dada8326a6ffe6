"""Random requests to a kv bucket, and what must come of each.

Planner.next() makes an Operation that fits what the bucket holds: mostly ones that succeed, some that
must be refused. Its outcomes(now) are what the answer may be if the daemon judged it at that moment.
"""

import kv_json
from kv_many import ManyKeys
from kv_model import Outcome
from kv_one import OneKey, Operation

BROKEN = [b"", b"{", b'{"a":1,"a":2}', b"[1,]", b"01", b"nul", b'"\\ud800"', b"\xff", b"1 2",
          b'"\n"', b"[" * 1025 + b"]" * 1025]


class Planner(OneKey, ManyKeys):
    """Makes the requests of one bucket, for its only writer."""

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
