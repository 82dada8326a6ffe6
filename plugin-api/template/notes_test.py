"""The notes plugin in a real larderd: python3 notes_test.py LARDERD NOTES.SO"""
import json
import os
import pathlib
import re
import subprocess
import sys
import tempfile
import time
import urllib.error
import urllib.request

larderd, plugin = (pathlib.Path(argument).resolve() for argument in sys.argv[1:3])


class Daemon:
    """larderd on a free port, with this plugin beside its own; its data stay from start to start."""

    def __init__(self, folder: pathlib.Path):
        (folder / "plugins.d").mkdir(exist_ok=True)
        (folder / "larder.ini").touch()
        self.ini = folder / "plugins.d" / "notes.ini"
        self.configure()
        command = [larderd, "--config", folder / "larder.ini", "--data-dir", folder / "data",
                   "--listen", "127.0.0.1:0"]
        environment = {**os.environ, "LARDER_DAEMON_PLUGIN_DIRS": str(plugin.parent)}
        self.process = subprocess.Popen(command, stderr=subprocess.PIPE, text=True, env=environment)
        said = []
        for line in self.process.stderr:
            said.append(line)
            if ready := re.search(r"ready on (http://\S+)", line):
                self.url = ready[1]
                return
        raise SystemExit("larderd did not start:\n" + "".join(said))

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.process.terminate()
        self.process.communicate(timeout=30)
        assert self.process.returncode == 0, f"larderd ended with {self.process.returncode}"

    def configure(self, **settings):
        lines = [f"{key} = {value}\n" for key, value in settings.items()]
        self.ini.write_text("[notes]\nenabled = true\n" + "".join(lines))

    def ask(self, method, path, body=None, content_type="application/json"):
        request = urllib.request.Request(self.url + path, method=method, data=body,
                                         headers={"Content-Type": content_type} if body else {})
        try:
            with urllib.request.urlopen(request, timeout=10) as answer:
                return answer.status, answer.read().decode()
        except urllib.error.HTTPError as refusal:
            return refusal.code, refusal.read().decode()


def expect(wanted, got):
    assert wanted == got, f"expected {wanted!r}, got {got!r}"


def main(folder: pathlib.Path):
    with Daemon(folder) as daemon:
        status, body = daemon.ask("GET", "/api/plugins/notes")
        expect((200, "running"), (status, json.loads(body)["state"]))

        watch = urllib.request.urlopen(daemon.url + "/api/notes?watch=true", timeout=10)
        watch.readline()
        status, body = daemon.ask("POST", "/api/notes", b'{"text": "buy flour"}')
        expect(201, status)
        note = json.loads(body)
        expect("buy flour", note["text"])
        lines = [watch.readline().decode() for _ in range(3)]
        expect("event: note\n", lines[1])
        expect(note, json.loads(lines[2].removeprefix("data: ")))
        watch.close()

        expect((201, '{"written":2}'),
               daemon.ask("POST", "/api/notes/import", b"eggs\nmilk\n", "text/plain"))
        expect((200, "buy flour\neggs\nmilk\n"), daemon.ask("GET", "/api/notes/text"))
        expect(422, daemon.ask("POST", "/api/notes", b'{"txt": 1}')[0])
        expect(400, daemon.ask("POST", "/api/notes", b"{")[0])
        expect(413, daemon.ask("POST", "/api/notes", b'{"text": "%s"}' % (b"x" * 5000))[0])
        expect(404, daemon.ask("GET", "/api/notes/none")[0])
    with Daemon(folder) as daemon:  # what was acknowledged is still there
        expect((200, note), (lambda s, b: (s, json.loads(b)))(*daemon.ask("GET", "/api/notes/" + note["id"])))
        expect(204, daemon.ask("DELETE", "/api/notes/" + note["id"])[0])
        expect(404, daemon.ask("DELETE", "/api/notes/" + note["id"])[0])
        page = json.loads(daemon.ask("GET", "/api/notes?limit=1")[1])
        expect("eggs", page["items"][0]["text"])
        page = json.loads(daemon.ask("GET", "/api/notes?limit=1&cursor=" + page["next"])[1])
        expect(("milk", None), (page["items"][0]["text"], page["next"]))

        daemon.configure(keep_for="1s", max_length=20)  # both are live
        status, body = daemon.ask("POST", "/api/reload")
        expect((200, 2, 0), (status, len(json.loads(body)["applied"]),
                             len(json.loads(body)["needs_restart"])))
        expect(413, daemon.ask("POST", "/api/notes", b'{"text": "%s"}' % (b"x" * 21))[0])
        deadline = time.monotonic() + 30
        while daemon.ask("GET", "/api/notes/text")[1]:  # until they are older than a second
            assert time.monotonic() < deadline, "the job forgot nothing"
            daemon.ask("POST", "/api/scheduler/jobs/notes.forget/run")
            time.sleep(0.05)
    print("notes: all is well")


with tempfile.TemporaryDirectory() as scratch:
    main(pathlib.Path(scratch))
