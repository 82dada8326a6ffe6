#!/usr/bin/env python3
"""SIGKILL during uploads, deletes and downloads: every acknowledged file is there, nothing else."""

import argparse
import collections
import hashlib
import json
import os
import random
import sys
import threading
import time

import whole
from daemon import Client, Cut, Daemon, Failed

WORKERS = 6
MOST_BYTES = 400_000
QUOTA = 1 << 30
SETTINGS = {"LARDER_DAEMON_ACCESS_LOG": "false", "LARDER_FILES_QUOTA": str(QUOTA)}
LIFE = (0.02, 0.25)  # seconds from ready to the kill
FORM = "XboundaryX"


class Book:
    """What clients were told. A request without an answer may have been done or not."""

    def __init__(self):
        self.lock = threading.Lock()
        self.files = {}       # stored name: (sha256, size), acknowledged and not deleted
        self.doubtful = {}    # stored name: …, whose DELETE had no answer
        self.unanswered = collections.Counter()  # sha256 of uploads without an answer
        self.uploads = {}     # url of a resumable upload: [bytes, acknowledged offset]
        self.done = 0
        self.counts = {}

    def note(self, what):
        with self.lock:
            self.done += 1
            self.counts[what] = self.counts.get(what, 0) + 1


class Worker(threading.Thread):
    """One client: uploads of four kinds, downloads, deletes, until the daemon is gone."""

    def __init__(self, port, book, seed):
        super().__init__(daemon=True)
        self.port, self.book, self.random = port, book, random.Random(seed)
        self.failure = None
        self.start()

    def run(self):
        try:
            client = Client(self.port)
            while True:
                work = self.random.choices(
                    (self.put, self.form, self.resumable, self.get, self.delete),
                    (30, 15, 20, 20, 15))[0]
                work(client)
                self.book.note(work.__name__)
        except Cut:
            pass  # killed: that is what this is about
        except Failed as failure:
            self.failure = failure
        except Exception as error:  # pylint: disable=broad-except
            self.failure = Failed(f"the drill itself failed: {error!r}")

    def bytes(self):
        size = self.random.choice((0, 1, 1000, 60_000, self.random.randrange(MOST_BYTES)))
        return self.random.randbytes(size)

    def announce(self, *bodies):
        with self.book.lock:
            for body in bodies:
                self.book.unanswered[hashlib.sha256(body).hexdigest()] += 1

    def learn(self, *records):
        with self.book.lock:
            for record in records:
                self.book.files[record["filename"]] = (record["hash"], record["size"])
                self.book.unanswered[record["hash"]] -= 1

    def expect(self, answer, *statuses):
        if answer.status not in statuses:
            raise Failed(f"{answer.status} {answer.body[:300]}, expected {statuses}")

    def put(self, client):
        body = self.bytes()
        self.announce(body)
        answer = client.request("PUT", f"/api/files/f{self.random.randrange(5)}.bin", "", body)
        self.expect(answer, 201)
        self.learn(json.loads(answer.body))

    def form(self, client):
        bodies = [self.bytes() for _ in range(self.random.randrange(1, 4))]
        self.announce(*bodies)
        text = b"".join(
            b'--%s\r\nContent-Disposition: form-data; name="file"; filename="g.bin"\r\n\r\n%s\r\n'
            % (FORM.encode(), body) for body in bodies) + b"--%s--\r\n" % FORM.encode()
        answer = client.request("POST", "/api/files/upload",
                                f"Content-Type: multipart/form-data; boundary={FORM}\r\n", text)
        self.expect(answer, 201)
        told = json.loads(answer.body)
        self.learn(*(told.get("files") or [told]))

    def resumable(self, client):
        with self.book.lock:
            known = [url for url, state in self.book.uploads.items() if not state[2]]
            url = self.random.choice(known) if known and self.random.random() < 0.7 else None
            if url:
                self.book.uploads[url][2] = True  # ours for this turn
        if not url:
            body = self.random.randbytes(self.random.randrange(1, MOST_BYTES))
            answer = client.request("POST", "/api/files/tus",
                                    f"Tus-Resumable: 1.0.0\r\nUpload-Length: {len(body)}\r\n", b"")
            self.expect(answer, 201)
            url = answer.headers["location"]
            with self.book.lock:
                self.book.uploads[url] = [body, 0, True]
        body, told, _ = self.book.uploads[url]
        answer = client.request("GET", url, "Tus-Resumable: 1.0.0\r\n")
        self.expect(answer, 200)
        offset = int(answer.headers["upload-offset"])
        if offset < told:
            raise Failed(f"{url} stands at {offset}, {told} was acknowledged")
        piece = body[offset:offset + self.random.randrange(1, MOST_BYTES)]
        if offset + len(piece) == len(body):
            self.announce(body)
        answer = client.request("PATCH", url, "Tus-Resumable: 1.0.0\r\nUpload-Offset: "
                                f"{offset}\r\nContent-Type: application/offset+octet-stream\r\n", piece)
        self.expect(answer, 204)
        where = answer.headers.get("content-location")
        with self.book.lock:
            if where:
                del self.book.uploads[url]
                name = where.rsplit("/", 1)[1]
                sha256 = hashlib.sha256(body).hexdigest()
                self.book.files[name] = (sha256, len(body))
                self.book.unanswered[sha256] -= 1
            else:
                self.book.uploads[url] = [body, offset + len(piece), False]

    def some_file(self):
        with self.book.lock:
            return self.random.choice(sorted(self.book.files.items())) if self.book.files else None

    def get(self, client):
        chosen = self.some_file()
        if not chosen:
            return
        name, (sha256, _) = chosen
        answer = client.request("GET", f"/api/files/{name}")
        if answer.status == 404:  # somebody deleted it meanwhile
            with self.book.lock:
                if name in self.book.files:
                    raise Failed(f"{name} is acknowledged and not there")
            return
        self.expect(answer, 200)
        if hashlib.sha256(answer.body).hexdigest() != sha256:
            raise Failed(f"{name} has other bytes than were acknowledged")

    def delete(self, client):
        with self.book.lock:
            if len(self.book.files) < 10:
                return
            name = self.random.choice(sorted(self.book.files))
            self.book.doubtful[name] = self.book.files.pop(name)
        answer = client.request("DELETE", f"/api/files/{name}")
        self.expect(answer, 204)
        with self.book.lock:
            del self.book.doubtful[name]


def records_of(client):
    records, cursor = {}, ""
    while True:
        answer = client.request("GET", f"/api/files?limit=1000{cursor}")
        page = json.loads(answer.body)
        records.update((item["filename"], item) for item in page["items"])
        if not page["next"]:
            return records
        cursor = "&cursor=" + page["next"]


def judge(book, port, data):
    """Holds what is there against what clients were told, and takes over what has been learnt."""
    client = Client(port)
    # First: an upload that had all of its bytes becomes a file when it is asked for.
    reserved = 0
    for url, upload in list(book.uploads.items()):
        answer = client.request("GET", url, "Tus-Resumable: 1.0.0\r\n")
        offset = int(answer.headers["upload-offset"])
        if answer.status != 200 or offset < upload[1]:
            raise Failed(f"{url}: {answer.status}, stands at {offset}, {upload[1]} acknowledged")
        if "content-location" in answer.headers:
            del book.uploads[url]  # the last PATCH was done, but not answered
        else:
            reserved += len(upload[0])
            upload[1:] = [offset, False]
    records = records_of(client)
    for name, (sha256, size) in book.files.items():
        record = records.get(name)
        if not record or (record["hash"], record["size"]) != (sha256, size):
            raise Failed(f"{name} was acknowledged; its record is now {record}")
    for name, record in records.items():
        told = book.files.get(name) or book.doubtful.get(name)
        if not told and book.unanswered[record["hash"]] < 1:
            raise Failed(f"{name} has a record that no request made: {record}")
        with open(os.path.join(data, "files", name), "rb") as file:
            if hashlib.sha256(file.read()).hexdigest() != record["hash"]:
                raise Failed(f"{name} is not what its record says")
    on_disk = {name for name in os.listdir(os.path.join(data, "files"))
               if not name.startswith((".", "files_metadata.json"))}
    if on_disk != set(records):
        raise Failed(f"files without a record: {sorted(on_disk - set(records))[:5]}, records "
                     f"without a file: {sorted(set(records) - on_disk)[:5]}")
    for folder in (".staging", ".trash"):
        left = os.listdir(os.path.join(data, "files", folder))
        if left:
            raise Failed(f"{folder} still holds {left[:5]}")
    state = json.loads(client.request("GET", "/api/files/storage").body)
    used = sum(record["size"] for record in records.values())
    if state["used_bytes"] != used or state["file_count"] != len(records):
        raise Failed(f"the quota says {state['used_bytes']} bytes, the files have {used}")
    state = json.loads(client.request("GET", "/api/files/storage").body)
    unknown = state["reserved_bytes"] - reserved  # creations without an answer
    if unknown < 0:
        raise Failed(f"{state['reserved_bytes']} bytes are reserved, uploads want {reserved}")
    client.close()
    book.files = {name: (r["hash"], r["size"]) for name, r in records_of(Client(port)).items()}
    book.doubtful, book.unanswered = {}, collections.Counter()


def drill(options, data):
    chance = random.Random(options.seed)
    book, kills = Book(), 0
    daemon = Daemon(options.larderd, data, SETTINGS)
    try:
        while book.done < options.count:
            workers = [Worker(daemon.port, book, chance.random()) for _ in range(WORKERS)]
            time.sleep(chance.uniform(*LIFE))
            daemon.kill()
            kills += 1
            for worker in workers:
                worker.join()
                if worker.failure:
                    raise worker.failure
            daemon = Daemon(options.larderd, data, SETTINGS)
            judge(book, daemon.port, data)
        code = daemon.stop()
    finally:
        daemon.kill()
    if code != 0 or "Sanitizer" in daemon.log:
        raise Failed(f"larderd ended with {code}; it said:\n{daemon.log[-4000:]}")
    print(f"  {kills} kills, {book.done} requests done: "
          + ", ".join(f"{n} {what}" for what, n in sorted(book.counts.items()))
          + f"; {len(book.files)} files at the end")


def main():
    arguments = argparse.ArgumentParser(prog="tools/drill files", description=__doc__)
    arguments.add_argument("count", nargs="?", type=int, default=5000, help="requests")
    arguments.add_argument("--seed", type=int, default=random.SystemRandom().randrange(1 << 32))
    arguments.add_argument("--larderd", required=True)
    options = arguments.parse_args()
    print(f"files: {options.count} requests, seed {options.seed}", flush=True)
    return whole.run("files", lambda folder: drill(options, os.path.join(folder, "data")))


if __name__ == "__main__":
    sys.exit(main())
