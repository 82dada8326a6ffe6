"""A larderd process and a keep-alive HTTP client for the drills; judges nothing that it carries.

The client speaks just enough HTTP/1.1 to be strict about it: an answer that is cut short is Cut, never
a short answer, since a drill must not take half a sentence for an acknowledgement.
"""

import os
import signal
import socket
import subprocess
import threading
import time

READY = "larderd: ready on http"
PATIENCE = 20.0  # seconds that a healthy daemon needs for nothing that is asked of it here


class Cut(Exception):
    """The connection ended before an answer was whole: what became of the request is not known."""


class Failed(Exception):
    """The proof does not hold; the text says where and what was expected."""


class Answer:
    """One answer: status, headers (names in lower case), body, and when its last byte was here."""

    __slots__ = ("status", "headers", "body", "at")

    def __init__(self, status, headers, body):
        self.status = status
        self.headers = headers
        self.body = body
        self.at = time.monotonic()

    def revision(self):
        """Epoch and revision of Larder-Revision."""
        epoch, _, revision = self.headers["larder-revision"].partition("-")
        return int(epoch), int(revision)

    def etag(self):
        return int(self.headers["etag"].strip('"'))


class Client:
    """A keep-alive connection. One thread at a time."""

    def __init__(self, port):
        self._buffer = b""
        try:
            self._socket = socket.create_connection(("127.0.0.1", port), timeout=PATIENCE)
            self._socket.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        except OSError as error:
            raise Cut(str(error)) from error

    def close(self):
        self._socket.close()

    def shut(self):
        """Ends the connection under a thread that reads from it."""
        try:
            self._socket.shutdown(socket.SHUT_RDWR)
        except OSError:
            pass  # it had ended by itself

    def request(self, method, target, headers="", body=None):
        """Sends one request and waits for its answer."""
        self.send(method, target, headers, body)
        return self.answer()

    def send(self, method, target, headers="", body=None):
        """Sends without waiting: several requests may be under way, answered in order."""
        head = f"{method} {target} HTTP/1.1\r\nHost: localhost\r\n{headers}"
        if body is not None:
            head += f"Content-Length: {len(body)}\r\n"
        try:
            self._socket.sendall(head.encode() + b"\r\n" + (body or b""))
        except OSError as error:
            raise Cut(str(error)) from error

    def answer(self):
        status, headers = self.head()
        if status in (204, 304):
            return Answer(status, headers, b"")
        if headers.get("transfer-encoding") == "chunked":
            body = b""
            while chunk := self.chunk():
                body += chunk
            return Answer(status, headers, body)
        return Answer(status, headers, self.take(int(headers["content-length"])))

    def head(self):
        """Status and headers of the next answer; its body is then to be read."""
        head = self._until(b"\r\n\r\n").decode("latin-1").split("\r\n")
        headers = {}
        for line in head[1:]:
            name, _, value = line.partition(":")
            headers[name.lower()] = value.strip()
        return int(head[0].split(" ")[1]), headers

    def chunk(self):
        """The next of a chunked body, empty at its end."""
        size = int(self._until(b"\r\n"), 16)
        chunk = self.take(size)
        self._until(b"\r\n")
        return chunk

    def _more(self):
        try:
            got = self._socket.recv(262144)
        except TimeoutError as error:
            raise Failed(f"no answer within {PATIENCE} s") from error
        except OSError as error:
            raise Cut(str(error)) from error
        if not got:
            raise Cut("closed")
        self._buffer += got

    def _until(self, mark):
        while mark not in self._buffer:
            self._more()
        taken, _, self._buffer = self._buffer.partition(mark)
        return taken

    def take(self, count):
        while len(self._buffer) < count:
            self._more()
        taken, self._buffer = self._buffer[:count], self._buffer[count:]
        return taken


class Daemon:
    """A larderd on a free loopback port; its stderr is collected in `log`."""

    def __init__(self, binary, data, settings, wait=True):
        self.data = data
        self.log = ""
        self.port = 0
        self._ready = threading.Event()
        environment = {**os.environ, **settings}
        self._process = subprocess.Popen(
            [binary, "--data-dir", data, "--listen", "127.0.0.1:0"],
            stdin=subprocess.DEVNULL, stderr=subprocess.PIPE, env=environment, text=True,
            errors="replace")
        self._reader = threading.Thread(target=self._read, daemon=True)
        self._reader.start()
        if wait:
            self._ready.wait(PATIENCE)
            if not self.port:
                self.kill()
                raise Failed(f"larderd did not become ready on {data}; it said:\n{self.log}")

    @property
    def pid(self):
        return self._process.pid

    def _read(self):
        for line in self._process.stderr:
            self.log += line
            if line.startswith(READY):
                self.port = int(line.rsplit(":", 1)[1])
                self._ready.set()
        self._ready.set()

    def kill(self):
        """SIGKILL, and its end awaited."""
        self._process.send_signal(signal.SIGKILL)
        self._end()

    def stop(self):
        """SIGTERM; the exit code of an end that must come by itself."""
        self._process.send_signal(signal.SIGTERM)
        try:
            return self._end()
        except subprocess.TimeoutExpired as error:
            self.kill()
            raise Failed(f"larderd did not stop within {PATIENCE} s of SIGTERM; it said:\n"
                         f"{self.log}") from error

    def _end(self):
        code = self._process.wait(PATIENCE)
        self._reader.join()
        self._process.stderr.close()
        return code
