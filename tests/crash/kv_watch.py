"""A watcher of a kv bucket, and what it must have been told.

The stream's form is judged as it comes: one group of events a revision, an id on the last of a group
alone, nothing twice and nothing backwards. What the events say is held against the changes that the
bucket's only writer made; expiries, which nobody asked for, against the deadlines.

  Watcher   reads a stream in a thread of its own
  Ledger    what one watcher was told, over any number of streams
"""

import threading
import time
import urllib.parse

import kv_json
from daemon import PATIENCE, Client, Cut
from kv_model import Mismatch


class Watcher(threading.Thread):
    """One stream. `groups` are (revision, events) in order, events (kind, key, value or None)."""

    def __init__(self, port, target, last_id, by_header):
        super().__init__(daemon=True)
        self.status = None
        self.problem = ""
        self.groups = []        # guarded by _news
        self.last_id = last_id  # guarded by _news
        self.ended = False      # guarded by _news
        self.failure = None
        self._open = []         # events since the last id
        self._news = threading.Condition()
        self._client = Client(port)
        header = f"Last-Event-ID: {last_id}\r\n" if by_header else ""
        since = "0-0" if by_header else last_id  # the header wins
        self._client.send("GET", f"{target}&since={since}", header)
        status, headers = self._client.head()
        self.status = status
        if status != 200:
            self.problem = self._rest(headers)
            self.ended = True
            return
        if headers.get("content-type", "").split(";")[0] != "text/event-stream":
            raise Mismatch(f"a watch is of type {headers.get('content-type')}")
        self.start()

    def _rest(self, headers):
        return self._client.take(int(headers["content-length"])).decode()

    def run(self):
        buffer = b""
        try:
            while chunk := self._client.chunk():
                buffer += chunk
                *blocks, buffer = buffer.split(b"\n\n")
                for block in blocks:
                    self._block(block.decode())
        except Cut:
            pass
        except Exception as error:  # pylint: disable=broad-except
            self.failure = error    # raised by take()
        with self._news:
            self.ended = True
            self._news.notify_all()

    def _block(self, block):
        fields = {}
        for line in block.split("\n"):
            if line and not line.startswith(":"):
                name, _, value = line.partition(":")
                fields[name] = value.removeprefix(" ")
        with self._news:
            if "data" in fields:
                self._event(fields)
            if "id" in fields:
                self._close(fields["id"])
            self._news.notify_all()

    def _event(self, fields):
        data = kv_json.parse(fields["data"])
        revision = int(data["revision"].text)
        if fields["event"] not in ("set", "delete", "expire"):
            raise Mismatch(f"there is no event {fields['event']}")
        if self._open and self._open[0][0] != revision:
            raise Mismatch(f"revision {self._open[0][0]} has no id, and {revision} follows")
        if revision <= int(self.last_id.split("-")[1]):
            raise Mismatch(f"an event of revision {revision} comes after id {self.last_id}")
        self._open.append((revision, fields["event"], data["key"],
                           data.get("value", kv_json.MISSING)))

    def _close(self, new):
        epoch, revision = new.split("-")
        old_epoch, old_revision = self.last_id.split("-")
        if epoch != old_epoch or int(revision) < int(old_revision):
            raise Mismatch(f"id {new} follows id {self.last_id}")
        if self._open:
            if self._open[0][0] != int(revision):
                raise Mismatch(f"id {new} stands on an event of revision {self._open[0][0]}")
            self.groups.append((int(revision), [event[1:] for event in self._open]))
            self._open = []
        self.last_id = new

    def take(self, seconds):
        """What came since the last time, and the last id; waits so long for something to come."""
        with self._news:
            if not self.groups and not self.ended and seconds > 0:
                self._news.wait(seconds)
            groups, self.groups = self.groups, []
            told = self.last_id
        if self.failure:
            raise self.failure
        return groups, told

    def close(self):
        self._client.shut()
        if self.is_alive():
            self.join()


class Ledger:
    """What a watcher of one bucket must be told, from when it began."""

    def __init__(self, bucket, random):
        self.bucket = bucket
        self.random = random
        self.watcher = None
        self.prefix = ""
        self.values = True
        self.told = {}          # keys and their records as far as the watcher knows
        self.last_id = None
        self.events = self.expiries = self.resumptions = self.compactions = 0

    def begin(self, port):
        """Anew: from what the bucket is now."""
        self.end()
        if not self.bucket.exists:
            return
        self.prefix = self.random.choice(("", "", "n/", "p", "a"))
        self.values = self.random.random() < 0.8
        self.told = dict(self.bucket.records)
        self.bucket.log.clear()
        self.last_id = f"{self.bucket.epoch}-{self.bucket.revision}"
        self._open(port)
        if self.watcher.status != 200:
            raise Mismatch(f"a watch since {self.last_id}, which is now, is answered "
                           f"{self.watcher.status}: {self.watcher.problem}")

    def resume(self, port, may_be_compacted):
        """Goes on where the stream broke off; after a restart the history may be gone."""
        if self.watcher is None:
            return self.begin(port)
        self.hold(0)
        self.end()
        self._open(port)
        if self.watcher.status == 200:
            self.resumptions += 1
            return None
        if self.watcher.status != 410 or '"compacted"' not in self.watcher.problem or (
                not may_be_compacted):
            raise Mismatch(f"a watch since {self.last_id} is answered {self.watcher.status}: "
                           f"{self.watcher.problem}")
        self.compactions += 1
        return self.begin(port)

    def refuse_old(self, port, old_id):
        """After the bucket's removal an older id is of another history."""
        watcher = Watcher(port, self.bucket.target + "?watch=true", old_id, False)
        watcher.close()
        right = (410, '"epoch-changed"') if self.bucket.exists else (404, "")
        if watcher.status not in (410, right[0]) or (
                watcher.status == 410 and '"epoch-changed"' not in watcher.problem):
            raise Mismatch(f"a watch since {old_id} of a bucket that was removed is answered "
                           f"{watcher.status}: {watcher.problem}")

    def _open(self, port):
        target = f"{self.bucket.target}?watch=true"
        if self.prefix:
            target += "&prefix=" + urllib.parse.quote(self.prefix, safe="")
        if not self.values:
            target += "&values=false"
        self.watcher = Watcher(port, target, self.last_id, self.random.random() < 0.5)

    def end(self):
        if self.watcher is not None:
            self.watcher.close()
            self.watcher = None

    def check(self, port):
        """Waits until all that was answered was told, and judges it."""
        until = time.monotonic() + PATIENCE
        self.hold(0)
        while left := [c for c in self.bucket.log if c.shows(self.prefix)]:
            if self.watcher.ended:
                Client(port).request("GET", "/healthz")  # Cut, where it ended with the daemon
                raise Mismatch(f"a watch at {self.last_id} ended by itself")
            if time.monotonic() > until:
                raise Mismatch(f"a watcher waits {PATIENCE} s at {self.last_id} for revision "
                               f"{left[0].low} to {left[0].high}, keys {sorted(left[0].keys)}")
            self.hold(0.1)
        self.bucket.log.clear()

    def hold(self, seconds):
        """Judges what came; waits so long for it."""
        groups, self.last_id = self.watcher.take(seconds)
        for number, events in groups:
            changes = [event for event in events if not self._expires(number, event)]
            if changes:
                self._change(number, changes)

    def _expires(self, number, event):
        kind, name, value = event
        if not name.startswith(self.prefix):
            raise Mismatch(f"a watcher of {self.prefix} is told of {name}")
        self.events += 1
        if kind != "expire":
            return False
        # What was set since may already be in the log, but not yet in `told`.
        record = self.told.pop(name, None)
        if record is None or record.expires is None:
            raise Mismatch(f"{name} is told to have expired at revision {number}; its record is "
                           f"{record and record.revision}, without a deadline")
        if record.expires > time.time() * 1000:
            raise Mismatch(f"{name} is told to have expired before its time, {record.expires}")
        if value not in (kv_json.MISSING, None):
            raise Mismatch(f"the expiry of {name} has a value")
        self.expiries += 1
        return True

    def _change(self, number, events):
        log = self.bucket.log
        names = {event[1] for event in events}
        while log and not log[0].shows(self.prefix):
            perhaps = names <= set(log[0].keys) and log[0].low <= number <= log[0].high
            if perhaps or log[0].low > number:
                break
            self._learn(log.pop(0))
        if not log:
            raise Mismatch(f"a watcher is told of revision {number}, keys "
                           f"{[event[1] for event in events]}, which nobody changed")
        change = log.pop(0)
        if not change.low <= number <= change.high:
            raise Mismatch(f"a watcher is told of revision {number}; the next change is "
                           f"{change.low} to {change.high}, keys {sorted(change.keys)}")
        last = {}
        for kind, name, value in events:
            last[name] = (kind, value)
        for name, (kind, value) in last.items():
            if name not in change.keys:
                raise Mismatch(f"revision {number} is told to have changed {name}")
            self._judge(number, name, change.keys[name], kind, value)
        missing = change.shows(self.prefix) - set(last)
        if missing:
            raise Mismatch(f"revision {number} is told without {sorted(missing)}")
        self._learn(change)

    def _judge(self, number, name, record, kind, value):
        if kind != ("set" if record else "delete"):
            raise Mismatch(f"revision {number} is told as {kind} of {name}")
        if record is None or not self.values:
            if value not in (kv_json.MISSING, None):
                raise Mismatch(f"the {kind} of {name} at {number} has a value")
            return
        record.judge_revision(number)
        if value is kv_json.MISSING or not kv_json.same(value, record.value):
            raise Mismatch(f"{name} at {number} is told as {value}, expected "
                           f"{kv_json.write(record.value)[:300]}")

    def _learn(self, change):
        for name, record in change.keys.items():
            if record is None:
                self.told.pop(name, None)
            else:
                self.told[name] = record
