"""What the drills of backups share: requests that must succeed, the whole content of a daemon, leftovers.

Content is read through the daemon, as a client would; leftovers are what stands in the data directory.
"""

import hashlib
import json
import os
import time

from daemon import PATIENCE, Failed

FOLDERS = (".staging", ".restore")


def ask(client, method, target, headers="", body=None, expect=(200, 201)):
    """One request; its body as JSON, where it is some."""
    text = json.dumps(body).encode() if isinstance(body, dict) else body
    answer = client.request(method, target, headers, text)
    if answer.status not in expect:
        raise Failed(f"{method} {target}: {answer.status} {answer.body[:500]}, expected {expect}")
    is_json = answer.headers.get("content-type", "").startswith("application/json")
    return json.loads(answer.body) if is_json and answer.body else answer.body


def pages(client, target):
    """All items of a list."""
    cursor = ""
    while True:
        page = ask(client, "GET", f"{target}{'&' if '?' in target else '?'}limit=1000{cursor}")
        yield from page["items"]
        if not page["next"]:
            return
        cursor = "&cursor=" + page["next"]


def make(client, body=None):
    """A backup that is made and verified; its id."""
    return ask(client, "POST", "/api/backups", "Prefer: wait=120\r\n", body or {}, (201,))["backup_id"]


def restore(client, backup_id, body=None):
    return ask(client, "POST", f"/api/backups/{backup_id}/restore", "Prefer: wait=120\r\n", body or {},
               (200,))


def verify(client, backup_id):
    """Raises unless nothing is wrong with it."""
    verdict = ask(client, "POST", f"/api/backups/{backup_id}/verify", "", b"")
    if not verdict["ok"]:
        raise Failed(f"{backup_id} is not whole: {verdict['faults'][:5]}")


def content(client, buckets):
    """{bucket: values}, {stored name: SHA-256 of the bytes}: all that is there."""
    values = {}
    for bucket in buckets:
        answer = client.request("GET", f"/api/kv/{bucket}?all=true")
        values[bucket] = json.loads(answer.body) if answer.status == 200 else {}
    files = {}
    for record in pages(client, "/api/files"):
        answer = client.request("GET", f"/api/files/{record['filename']}")
        if answer.status != 200:
            raise Failed(f"{record['filename']} has a record and answers {answer.status}")
        files[record["filename"]] = hashlib.sha256(answer.body).hexdigest()
        if files[record["filename"]] != record["hash"]:
            raise Failed(f"{record['filename']} is not what its record says")
    return values, files


def leftovers(data):
    left = [name for name in os.listdir(data) if name.startswith(".swap")]
    for folder in FOLDERS:
        path = os.path.join(data, "backups", folder)
        left += [f"backups/{folder}/{name}" for name in
                 (os.listdir(path) if os.path.isdir(path) else ())]
    return left


def judge_leftovers(client, data):
    """Nothing unfinished lies about, and archives and records are one to one."""
    deadline = time.monotonic() + PATIENCE  # what a kill left is cleared while the daemon serves
    while leftovers(data) and time.monotonic() < deadline:
        time.sleep(0.02)
    if left := leftovers(data):
        raise Failed(f"left behind: {left[:10]}")
    listed = {os.path.basename(item["file_path"]) for item in pages(client, "/api/backups")}
    there = {name for name in os.listdir(os.path.join(data, "backups")) if ".tar.gz" in name}
    if listed != there:
        raise Failed(f"archives without a record: {sorted(there - listed)[:5]}; records without an "
                     f"archive: {sorted(listed - there)[:5]}")
