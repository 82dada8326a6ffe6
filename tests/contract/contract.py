#!/usr/bin/env python3
"""What every plugin must pass, shown from outside in a real larderd.

    contract.py LARDERD PLUGIN.SO [--probe PROBE.SO] [--keeps PATH]… [--seed N] [--requests N]

life      turned off, on and anew, again and again: its routes say why they are off, nothing is left behind
choice    what an admin chose holds over a restart, and is taken back by reset
drain     turned off under load: every answer is whole, and either the plugin's or a 503 that says why
settings  a default can be spelled out, nonsense is refused with the setting's name, before the daemon starts
snapshot  what is its own is pinned, changed, restored and adopted; what it shows is as it was, also after a
          restart (with --probe, the plugin beside this suite that drives the daemon's maintenance); but for what
          --keeps names, routes that show something that no restore takes back
requests  random ones, made from what the plugin declares in /openapi.json: never a 500, never an answer that
          is not declared, every refusal a problem document
kill      SIGKILL in the midst of requests: it starts again on what is there
stop      SIGTERM: the daemon ends well and has nothing to complain of

It knows nothing of what a plugin does; that is for the plugin's own tests.
"""
import argparse
import http.client
import json
import os
import pathlib
import random
import re
import signal
import socket
import string
import subprocess
import sys
import tempfile
import threading
import time


class Failed(Exception):
    """What is wrong, in words for the plugin's author."""


def expect(holds, why):
    if not holds:
        raise Failed(why)


class Answer:
    def __init__(self, answer, body):
        self.status, self.body = answer.status, body
        self.type = (answer.getheader("Content-Type") or "").split(";")[0]

    def json(self):
        return json.loads(self.body)

    def __str__(self):
        return f"{self.status} {self.body[:300].decode(errors='replace')}"


class Daemon:
    """A larderd on a free port; its data stay from start to start."""

    def __init__(self, larderd, plugin, probe, data):
        self.larderd, self.plugin, self.probe, self.data = larderd, plugin, probe, data
        self.process, self.port, self.log = None, 0, []

    def environment(self, more=()):
        own = self.larderd.parent.parent / "lib" / "larder" / "plugins"
        found = dict(os.environ)
        folders = {str(file.parent) for file in (self.plugin, self.probe) if file}
        found["LARDER_DAEMON_PLUGIN_DIRS"] = ",".join(sorted(folders - {str(own.resolve())}))
        found["LARDER_PROBE_ENABLED"] = "true"
        found[f"LARDER_{self.plugin.stem.upper()}_ENABLED"] = "true"
        found.update(more)
        return found

    def start(self):
        self.process = subprocess.Popen(
            [self.larderd, "--data-dir", self.data, "--listen", "127.0.0.1:0"],
            stderr=subprocess.PIPE, text=True, env=self.environment())
        ready = threading.Event()

        def read():
            for line in self.process.stderr:
                self.log.append(line)
                if found := re.search(r"ready on http://127.0.0.1:(\d+)", line):
                    self.port = int(found[1])
                    ready.set()
            ready.set()

        threading.Thread(target=read, daemon=True).start()
        ready.wait(60)
        expect(self.process.poll() is None and self.port, "larderd did not start:\n" + "".join(self.log))

    def stop(self):
        self.process.send_signal(signal.SIGTERM)
        return self.process.wait(60)

    def kill(self):
        self.process.kill()
        self.process.wait(60)

    def connection(self):
        return http.client.HTTPConnection("127.0.0.1", self.port, timeout=30)

    def ask(self, method, path, body=None, headers=None, connection=None):
        """One request. A stream is read up to its first bytes; its end is not waited for."""
        own = connection or self.connection()
        try:
            own.request(method, path, body, headers or {})
            answer = own.getresponse()
            if (answer.getheader("Content-Type") or "").startswith("text/event-stream"):
                return Answer(answer, b"")
            return Answer(answer, answer.read())
        finally:
            if connection is None:
                own.close()

    def count(self, what):
        """How many threads ("task") or descriptors ("fd") the process has, but for the daemon's own workers,
        which come as they are needed, up to a number that is set."""
        folder = pathlib.Path(f"/proc/{self.process.pid}/{what}")
        return sum(1 for entry in folder.iterdir() if what != "task" or self.name_of(entry) != "larder-worker")

    @staticmethod
    def name_of(task):
        try:
            return (task / "comm").read_text().strip()
        except OSError:
            return "larder-worker"  # it has just ended


def wait_for(condition, why, seconds=20):
    end = time.monotonic() + seconds
    while not condition():
        expect(time.monotonic() < end, why)
        time.sleep(0.01)


class Contract:
    def __init__(self, larderd, plugin, probe, keeps, seed, requests):
        self.larderd, self.plugin, self.probe, self.keeps = larderd, plugin, probe, keeps
        self.random, self.requests = random.Random(seed), requests
        self.scratch = tempfile.TemporaryDirectory()
        self.daemon = Daemon(larderd, plugin, probe, pathlib.Path(self.scratch.name) / "data")
        self.daemon.start()
        listed = self.daemon.ask("GET", "/api/plugins?limit=1000").json()["items"]
        mine = [item for item in listed if pathlib.Path(item["file"]).resolve() == plugin]
        expect(mine, f"larderd shows no plugin of {plugin}; it shows {[item['file'] for item in listed]}")
        self.name = mine[0]["name"]
        expect(self.state() == "running", f"it does not run: {mine[0]['state']}: {mine[0]['reason']}")
        self.operations = self.declared()
        expect(self.operations, "it declares no route")

    # ---- what is known of it

    def record(self):
        return self.daemon.ask("GET", f"/api/plugins/{self.name}").json()

    def state(self):
        return self.record()["state"]

    def declared(self):
        """(method, path template, operation) of each route, references resolved where they matter."""
        document = self.daemon.ask("GET", "/openapi.json").json()
        parameters = document["components"].get("parameters", {})
        found = []
        for path, item in document["paths"].items():
            for method, operation in item.items():
                if not isinstance(operation, dict) or self.name not in operation.get("tags", []):
                    continue
                operation["parameters"] = [
                    parameters[one["$ref"].rsplit("/", 1)[1]] if "$ref" in one else one
                    for one in operation.get("parameters", [])]
                found.append((method.upper(), path, operation))
        return found

    def plain_gets(self):
        return [path for method, path, _ in self.operations if method == "GET" and "{" not in path]

    def act(self, action):
        answer = self.daemon.ask("POST", f"/api/plugins/{self.name}/{action}")
        expect(answer.status == 200, f"{action} was answered {answer}")
        return answer.json()

    # ---- the checks

    def check_life(self):
        self.act("disable"), self.act("enable")  # what is made once has been made now
        before = self.daemon.count("task"), self.daemon.count("fd")
        for _ in range(20):
            self.act("disable")
            expect(self.state() == "disabled", f"after disable it is {self.state()}")
            for path in self.plain_gets():
                answer = self.daemon.ask("GET", path)
                expect(answer.status == 503 and answer.json()["code"] == "plugin-disabled",
                       f"GET {path} of a plugin that is off was answered {answer}")
            self.act("enable")
            expect(self.state() == "running", f"after enable it is {self.state()}: {self.record()['reason']}")
            self.act("reload")
        # What leaks leaks in every round.
        wait_for(lambda: self.daemon.count("task") <= before[0] + 4 and self.daemon.count("fd") <= before[1] + 4,
                 f"it leaves threads or descriptors behind: {before} before, "
                 f"{self.daemon.count('task'), self.daemon.count('fd')} after 20 rounds")

    def check_choice(self):
        self.act("disable")
        expect(self.daemon.stop() == 0, "the daemon did not end well")
        self.daemon.start()
        expect(self.state() == "disabled", f"turned off, it is {self.state()} after a restart")
        self.act("reset")
        expect(self.state() == "running", f"after reset it is {self.state()}")

    def check_drain(self):
        faults, over = [], threading.Event()

        def load(path):
            connection = self.daemon.connection()
            while not over.is_set():
                try:
                    answer = self.daemon.ask("GET", path, connection=connection)
                    if answer.type == "":
                        connection = self.daemon.connection()
                    if answer.status >= 500 and not (
                            answer.status == 503 and answer.json()["code"] == "plugin-disabled"):
                        faults.append(f"GET {path} was answered {answer}")
                except (http.client.HTTPException, OSError, ValueError) as fault:
                    faults.append(f"GET {path} was cut: {fault!r}")
                    connection = self.daemon.connection()

        paths = self.plain_gets()
        threads = [threading.Thread(target=load, args=(path,)) for path in paths for _ in range(4)]
        for thread in threads:
            thread.start()
        for _ in range(10):
            self.act("disable")
            self.act("enable")
        over.set()
        for thread in threads:
            thread.join()
        expect(not faults, f"{len(faults)} bad answers, the first: {faults[:1]}")

    def check_settings(self):
        for setting in self.daemon.ask("GET", f"/api/plugins/{self.name}").json()["settings"]:
            key, kind = setting["key"].split(".")[-1], setting["type"]
            if key == "enabled":
                continue
            variable = f"LARDER_{self.name}_{key}".upper()
            default = setting.get("default")
            if default:
                self.judge({variable: str(default)}, None)
            if kind not in ("text", "path"):
                self.judge({variable: "no such thing"}, key)

    def judge(self, settings, fault):
        """--check-config takes the settings, or refuses them naming `fault`."""
        run = subprocess.run([self.larderd, "--check-config", "--data-dir", self.daemon.data],
                             env=self.daemon.environment(settings), capture_output=True, text=True, timeout=60)
        if fault is None:
            expect(run.returncode == 0, f"{settings} is refused: {run.stderr}")
        else:
            expect(run.returncode != 0 and fault in run.stderr,
                   f"{settings} is not refused by name: {run.returncode} {run.stderr}")

    def check_requests(self):
        for _ in range(self.requests):
            method, template, operation = self.random.choice(self.operations)
            request = self.make(method, template, operation)
            answer = self.daemon.ask(*request)
            said = f"{request[0]} {request[1]} {request[2]!r:.200} was answered {answer}"
            declared = operation["responses"]
            expect(str(answer.status) in declared or f"{answer.status // 100}XX" in declared,
                   f"{said}, which it does not declare")
            expect(answer.status != 500, said)
            if answer.status >= 400 and method != "HEAD":
                expect(answer.type == "application/problem+json" and answer.json()["status"] == answer.status,
                       f"{said}, which is no problem document")
        expect(self.daemon.ask("GET", "/healthz").status == 200, "the daemon no longer answers")
        expect(self.state() == "running", f"after the requests it is {self.state()}: {self.record()['reason']}")

    def check_snapshot(self):
        if self.probe is None:
            return "skipped, no --probe was given"
        empty = self.shown()
        self.change(lambda: self.shown() != empty)
        before = self.shown()
        answer = self.daemon.ask("POST", "/api/probe/snapshot?into=probe/snap")
        expect(answer.status == 200, f"no snapshot could be taken: {answer}")
        if self.name not in answer.body.decode().split():
            return "ok, it takes no part in snapshots"
        folder, claims = self.daemon.data / "probe/snap" / self.name, self.record()["data"]
        for file in folder.rglob("*"):
            path = str(file.relative_to(folder)) + ("/" if file.is_dir() else "")
            expect(any(path.startswith(claim) or claim.startswith(path) or path.startswith(claim + ".")
                       for claim in claims), f"its snapshot holds {path}, which is none of {claims}")
        self.change(lambda: self.shown() != before)
        query = []
        for claim in (claim.rstrip("/") for claim in claims):
            staged = f"probe/snap/{self.name}/{claim}" if (folder / claim).exists() else ""
            query.append(f"path={self.escaped(claim)}&staged={self.escaped(staged)}")
        answer = self.daemon.ask("POST", "/api/probe/swap?" + "&".join(query))
        expect(answer.status == 200, f"the snapshot was not restored: {answer}")
        expect(self.state() == "running", f"after the restore it is {self.state()}: {self.record()['reason']}")
        for when in ("after the restore", "after the restart that followed"):
            now = self.shown()
            for path, body in before.items():
                expect(now[path] == body, f"{when} GET {path} shows {now[path]!r:.300}, not {body!r:.300} as before")
            expect(self.daemon.stop() == 0, "the daemon did not end well")
            self.daemon.start()
        self.change(lambda: self.shown() != before)
        return "ok"

    def shown(self):
        """What its plain routes show, but for numbers: revisions go on, times differ."""
        found = {}
        for path in set(self.plain_gets()) - set(self.keeps):
            answer = self.daemon.ask("GET", path)
            if answer.status == 200 and answer.type == "application/json":
                found[path] = re.sub(r"[0-9]+", "0", answer.body.decode())
        return found

    def change(self, enough):
        """Random requests that may change something, until it shows; at most 2,000."""
        changing = [one for one in self.operations if one[0] in ("POST", "PUT", "PATCH")]
        for _ in range(2000 if changing else 0):
            self.daemon.ask(*self.make(*self.random.choice(changing)))
            if enough():
                return

    # ---- random requests

    def text(self):
        pick = self.random.random()
        if pick < 0.5:
            return "".join(self.random.choices(string.ascii_lowercase, k=self.random.randint(1, 8)))
        if pick < 0.6:
            return str(self.random.choice([0, -1, 1, 2**63, 10**40]))
        alphabet = string.printable + "äß€😀\0/.%"
        return "".join(self.random.choices(alphabet, k=self.random.randint(0, 40)))

    def escaped(self, text):
        plain = string.ascii_letters + string.digits + "-._~"
        return "".join(chr(byte) if chr(byte) in plain else f"%{byte:02X}" for byte in text.encode())

    def value(self, schema):
        kind = schema.get("type")
        if self.random.random() < 0.15 or not kind:
            return self.text()
        if "enum" in schema and self.random.random() < 0.8:
            return str(self.random.choice(schema["enum"]))
        return {"boolean": lambda: self.random.choice(["true", "false"]),
                "integer": lambda: str(self.random.choice([1, 2, 100, 1000, 1001, 0, -1])),
                "number": lambda: str(self.random.uniform(-1, 100))}.get(kind, self.text)()

    def document(self, schema, depth=0):
        kind = schema.get("type")
        if isinstance(kind, list):
            kind = self.random.choice(kind)
        if self.random.random() < 0.1 or depth > 6:
            kind = None
        if kind == "object":
            known = schema.get("properties", {})
            chosen = {name: self.document(part, depth + 1) for name, part in known.items()
                      if name in schema.get("required", []) or self.random.random() < 0.5}
            if self.random.random() < 0.1:
                chosen[self.text()] = self.text()
            return chosen
        if kind == "array":
            return [self.document(schema.get("items", {}), depth + 1) for _ in range(self.random.randint(0, 4))]
        return self.random.choice([None, True, 0, -7, 1.5, 10**30, self.text(), [], {}, [1, {"a": "b"}]]) \
            if kind not in ("string", "integer", "number", "boolean") \
            else {"string": self.text(), "integer": self.random.randint(-5, 2000),
                  "number": self.random.uniform(-5, 5), "boolean": self.random.random() < 0.5}[kind]

    def body(self, operation):
        content = operation.get("requestBody", {}).get("content", {})
        if not content or self.random.random() < 0.05:
            return None, {}
        media_type, described = self.random.choice(list(content.items()))
        if media_type.endswith("json"):
            text = json.dumps(self.document(described.get("schema", {}))).encode()
        else:
            text = self.random.randbytes(self.random.randint(0, 2000))
        if self.random.random() < 0.15 and text:  # a byte of it is wrong
            at = self.random.randrange(len(text))
            text = text[:at] + self.random.randbytes(1) + text[at + 1:]
        return text, {"Content-Type": media_type}

    def make(self, method, template, operation):
        path, query, headers = template, [], {}
        for parameter in operation["parameters"]:
            name, schema = parameter["name"], parameter.get("schema", {})
            if parameter["in"] == "path":
                path = path.replace("{" + name + "}", self.escaped(self.value(schema) or "x"))
            elif parameter["in"] == "query" and self.random.random() < 0.3:
                query.append(self.escaped(name) + "=" + self.escaped(self.value(schema)))
            elif parameter["in"] == "header" and self.random.random() < 0.2:
                headers[name] = "".join(c for c in self.text() if 32 < ord(c) < 127)
        text, more = self.body(operation)
        return method, path + ("?" + "&".join(query) if query else ""), text, {**headers, **more}

    def check_kill(self):
        for _ in range(3):
            end = threading.Timer(self.random.uniform(0.05, 0.3), self.daemon.process.kill)
            end.start()
            try:
                while True:
                    method, template, operation = self.random.choice(self.operations)
                    self.daemon.ask(*self.make(method, template, operation))
            except (http.client.HTTPException, OSError, socket.timeout):
                pass
            self.daemon.process.wait(60)
            self.daemon.start()
            wait_for(lambda: self.state() == "running",
                     f"killed and started again it is {self.state()}: {self.record()['reason']}")

    def check_stop(self):
        code = self.daemon.stop()
        expect(code == 0, f"larderd ended with {code}:\n" + "".join(self.daemon.log[-20:]))
        complaints = [line for line in self.daemon.log if re.search(r"threw|Sanitizer|runtime error", line)]
        expect(not complaints, "the log has: " + "".join(complaints[:3]))

    def run(self):
        failed = 0
        checks = ("life", "choice", "drain", "settings", "snapshot", "requests", "kill", "stop")
        try:
            for name in checks:
                try:
                    print(f"{name}: {getattr(self, 'check_' + name)() or 'ok'}", flush=True)
                except Failed as why:
                    failed += 1
                    print(f"{name}: {why}", flush=True)
        finally:
            if self.daemon.process.poll() is None:
                self.daemon.kill()
        print(f"{len(checks) - failed} passed, {failed} failed")
        return failed


def main():
    parser = argparse.ArgumentParser(description=__doc__.split("\n", 1)[0])
    parser.add_argument("larderd", type=lambda text: pathlib.Path(text).resolve())
    parser.add_argument("plugin", type=lambda text: pathlib.Path(text).resolve())
    parser.add_argument("--probe", type=lambda text: pathlib.Path(text).resolve(),
                        help="probe.so, without which no snapshot is taken")
    parser.add_argument("--keeps", action="append", default=[], metavar="PATH",
                        help="a route that shows what no restore takes back; repeatable")
    parser.add_argument("--seed", type=int, default=random.randrange(2**32))
    parser.add_argument("--requests", type=int, default=1000)
    given = parser.parse_args()
    print(f"seed {given.seed}")
    try:
        return 1 if Contract(given.larderd, given.plugin, given.probe, given.keeps, given.seed, given.requests).run() else 0
    except Failed as why:
        print(why)
        return 1


if __name__ == "__main__":
    sys.exit(main())
