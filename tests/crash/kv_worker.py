"""One client of the model drill: the only writer of one bucket, and its model.

perform() sends one request and finds the moment at which its answer is right; resolve() finds out,
after a sudden end, whether the request that was under way was done; both or neither is a failure.
"""

import collections
import copy
import json
import os
import threading
import time

import kv_json
from daemon import Client, Cut, Failed
from history import BUCKETS
from kv_model import Bucket, Mismatch
from kv_one import value_text
from kv_operations import Planner
from kv_watch import Ledger

SHOWN = 20         # requests of the history about the same keys that are printed
LATEST = 10        # and of all others
REMEMBERED = 5000
WATCH_EVERY = 60   # requests, on average
CLOCK_SLACK = 2    # ms: times are cut to milliseconds


def unix_ms():
    return time.time() * 1000


class Worker:
    """Lives as long as the drill; a thread of its own for each life of the daemon."""

    def __init__(self, name, number, random, without):
        self.bucket = Bucket(name)
        self.number = number
        self.random = random
        self.planner = Planner(self.bucket, random)
        self.planner.leave_out(without)
        self.ledger = None if "watch" in without else Ledger(self.bucket, random)
        self.history = collections.deque(maxlen=REMEMBERED)
        self.pending = None     # the request that was under way, and when it was sent
        self.counts = collections.Counter()
        self.failure = None
        self.restarted = False
        self._port = 0

    def thread(self, port, share):
        """To be started: runs until `share` says so or the daemon ends."""
        self._port = port
        return threading.Thread(target=self._run, args=(share,), daemon=True)

    def _run(self, share):
        try:
            client = Client(self._port)
            self._catch_up()
            while share.take():
                self.perform(client, self.planner.next(unix_ms()))
                if self.ledger and self.random.randrange(WATCH_EVERY) == 0:
                    self._look_at_watch()
            client.close()
        except Cut:
            pass  # what was under way is resolved after the restart
        except Exception as error:  # pylint: disable=broad-except
            self.failure = error    # raised by the drill
            share.end()

    # ---- one request

    def perform(self, client, operation):
        sent = unix_ms()
        self.pending = (operation, sent)
        answer = client.request(operation.method, operation.target, operation.headers,
                                operation.body)
        now = unix_ms()
        self.history.append((operation, answer.status, answer.headers.get("larder-revision")))
        self.counts[operation.kind] += 1
        self.counts[answer.status] += 1
        why, right = [], []
        for moment in [sent] + self.bucket.deadlines(sent, now):
            for outcome in operation.outcomes(moment):
                try:
                    outcome.judge(answer)
                    right.append((moment, outcome))
                except Mismatch as mismatch:
                    why.append(str(mismatch))
        try:
            if len(right) > 1 and right[0][1].changes:
                right = self._settle(client, right)
            if right:
                moment, outcome = right[0]
                self.pending = None
                return self._take(operation, outcome, answer, moment, sent, now)
        except Mismatch as mismatch:
            why.append(str(mismatch))
        raise Failed(self._report(operation, answer, why))

    def _settle(self, client, right):
        """Something expired under way, and the answer does not tell before what: the keys do."""
        begin = unix_ms()
        shown, _ = self._dump(client)
        end = unix_ms()
        for moment, outcome in right:
            try:
                self._compare(outcome, moment, shown, begin, end, True)
                return [(moment, outcome)]
            except Mismatch as mismatch:
                why = mismatch
        raise why

    def _take(self, operation, outcome, answer, moment, sent, now):
        version = answer.headers.get("larder-revision")
        if version is None and answer.status < 400 and operation.kind != "buckets":
            raise Mismatch("the answer has no Larder-Revision")
        if outcome.removes_bucket:
            return self._removed()
        if version is not None:
            self.bucket.take(outcome, version, moment, now)
        for record in outcome.changes.values():
            if record and record.updated is not None and not (
                    sent - CLOCK_SLACK <= record.updated <= now):
                raise Mismatch(f"updated_at is {record.updated}; sent at {sent:.0f}, answered at "
                               f"{now:.0f}")
        return None

    def _removed(self):
        epoch, revision = self.bucket.epoch, self.bucket.revision
        self.bucket.remove()
        self.planner.unseen.clear()
        self.planner.cursor = None
        if self.ledger and self.ledger.watcher:
            self.ledger.end()
            self.ledger.refuse_old(self._port, f"{epoch}-{revision}")

    # ---- watching

    def _look_at_watch(self):
        try:
            chance = self.random.random()
            if self.ledger.watcher is None or chance < 0.1:
                self.ledger.begin(self._port)
            elif chance < 0.3:
                self.ledger.resume(self._port, False)
            else:
                self.ledger.check(self._port)
        except Mismatch as mismatch:
            raise Failed(self._report(None, None, [str(mismatch)])) from mismatch

    def _catch_up(self):
        """After a start: the watch goes on where it was."""
        if not self.restarted or self.ledger is None:
            return
        self.restarted = False
        try:
            self.ledger.resume(self._port, True)
        except Mismatch as mismatch:
            raise Failed(self._report(None, None, [str(mismatch)])) from mismatch

    # ---- after a restart

    def resolve(self, port):
        """Holds all of the bucket against the model, and settles what was under way."""
        self.restarted = True
        self.planner.cursor = None
        client = Client(port)
        begin = unix_ms()
        shown, version = self._dump(client)
        end = unix_ms()
        client.close()
        pending, self.pending = self.pending, None
        candidates = [(begin, None)]
        if pending:
            operation, sent = pending
            self.history.append((operation, "none", None))
            self.counts["under way at an end"] += 1
            if operation.kind == "bucket removal" and self._was_removed(version):
                self.counts["under way and done"] += 1
                self._removed_silently(version)
                return
            for moment in [sent] + self.bucket.deadlines(sent, end):
                candidates += [(moment, o) for o in operation.outcomes(moment) if o.changes]
        why, right = [], []
        for moment, outcome in candidates:
            try:
                self._compare(outcome, moment, shown, begin, end, True)
                right.append((moment, outcome))
            except Mismatch as mismatch:
                why.append(("with" if outcome else "without") + " it: " + str(mismatch))
        if len(right) > 1:  # what came and expired meanwhile looks like nothing, and has two
            self.bucket.expired += 2  # revisions
            if self.ledger:
                self.ledger.end()
        for moment, outcome in right:
            try:
                self._adopt(outcome, moment, version, shown, end)
                self._compare(None, begin, shown, begin, end, False)
                self.counts["under way and done"] += outcome is not None
                return
            except Mismatch as mismatch:
                why.append(str(mismatch))
        raise Failed(self._report(pending and pending[0], None, why))

    def _was_removed(self, version):
        return version is None or (self.bucket.epoch is not None and
                                   int(version.split("-")[0]) > self.bucket.epoch)

    def _removed_silently(self, version):
        self.bucket.remove()
        self.planner.unseen.clear()
        if self.ledger:
            self.ledger.end()
        if version is not None:
            self.bucket.judge_version(version, 0, 0, unix_ms())

    def _adopt(self, outcome, moment, version, shown, end):
        if version is None:
            return
        if outcome:
            for name, record in outcome.changes.items():
                if record and name in shown:
                    record.judge_record(*shown[name])
                elif record:
                    record.expires, record.ttl = int(moment), None  # or it would be shown
            self.bucket.take(outcome, version, moment, end)
            return
        revision, extra = self.bucket.judge_version(version, 0, 0, end)
        self.bucket.swept += extra
        self.bucket.revision = revision

    def _dump(self, client):
        """Each key's record as the daemon shows it, and the bucket's Larder-Revision."""
        listing = client.request("GET", self.bucket.target + "?limit=1000")
        if listing.status == 404:
            return {}, None
        shown = {}
        names = [item["key"] for item in json.loads(listing.body)["items"]]
        for name in names:
            operation = self.planner.get_meta(name)
            answer = client.request("GET", operation.target)
            if answer.status == 200:
                text = answer.body.decode()
                shown[name] = (kv_json.parse(text), value_text(text))
        return shown, listing.headers["larder-revision"]

    def _compare(self, outcome, moment, shown, begin, end, trial):
        """Raises Mismatch where the bucket would not hold what is shown; a trial learns nothing."""
        expected = self.bucket.living(moment)
        for name, record in (outcome.changes if outcome else {}).items():
            expected.pop(name, None)
            if record:
                expected[name] = record
        for name, record in expected.items():
            if name in shown:
                record = copy.copy(record) if trial else record
                record.judge_record(*shown[name])
                if not record.lives(begin):
                    raise Mismatch(f"{name} is shown after its deadline {record.expires}")
            elif record.lives(end) and not (record.ttl and moment + record.ttl * 1000 <= end):
                raise Mismatch(f"{name} is gone, revision {record.revision}")
        strangers = sorted(set(shown) - set(expected))
        if strangers:
            raise Mismatch(f"there are keys that should not be: {strangers}")

    def check_file(self, data):
        """After a clean stop the readable file is whole."""
        path = os.path.join(data, BUCKETS.get(self.bucket.name, f"kv/{self.bucket.name}.json"))
        now = unix_ms()
        found = {}
        if os.path.exists(path):
            with open(path, encoding="utf-8") as file:
                found = kv_json.parse(file.read())
        elif self.bucket.living(now):
            raise Failed(f"{path} is not there after a clean stop")
        missing = set(self.bucket.living(now)) - set(found)
        strangers = set(found) - set(self.bucket.records)
        wrong = [name for name in found if name not in strangers and
                 not kv_json.same(found[name], self.bucket.records[name].value)]
        if missing or strangers or wrong:
            raise Failed(f"{path} after a clean stop: lacks {sorted(missing)}, should not have "
                         f"{sorted(strangers)}, has wrong values for {wrong}")

    # ---- telling

    def _report(self, operation, answer, why):
        names = set(operation.names) if operation else set()
        lines = [f"bucket {self.bucket.name} (epoch {self.bucket.epoch}, revision "
                 f"{self.bucket.revision})"]
        matters = [entry for entry in self.history
                   if not names or names & set(entry[0].names)
                   or entry[0].kind in ("bucket removal", "checkpoint")]
        recent = list(self.history)[-LATEST:]
        matters = [entry for entry in matters if entry not in recent][-SHOWN:] + recent
        for old, status, version in matters:
            lines.append(f"  {old}\n      -> {status} {version or ''}")
        if answer is not None:
            lines.append(f"  the answer: {answer.status} {answer.headers}\n"
                         f"      {answer.body[:1500].decode(errors='replace')}")
        for name in sorted(names & set(self.bucket.records))[:8]:
            record = self.bucket.records[name]
            lines.append(f"  the model has {name} = {kv_json.write(record.value)[:400]}, revision "
                         f"{record.revision}, expires {record.expires}")
        lines += [f"  {reason}" for reason in dict.fromkeys(why)]
        return "\n".join(lines)
