"""Starts larderd and the peers it is measured against, each on a free loopback port, for a while."""
import contextlib
import pathlib
import re
import socket
import subprocess
import tempfile
import time
import urllib.request


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return probe.getsockname()[1]


def wait_for_port(port: int, process: subprocess.Popen, seconds: float = 20) -> None:
    deadline = time.monotonic() + seconds
    while time.monotonic() < deadline:
        if process.poll() is not None:
            raise RuntimeError(f"{process.args[0]} ended with {process.returncode}")
        with contextlib.suppress(OSError), socket.create_connection(("127.0.0.1", port), 0.2):
            return
        time.sleep(0.02)
    raise RuntimeError(f"{process.args[0]} does not listen on port {port}")


@contextlib.contextmanager
def scratch(root: pathlib.Path):
    """A folder on the build's disk: a memory file system would make syncing free."""
    base = root / "build" / "bench"
    base.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(dir=base) as folder:
        yield pathlib.Path(folder)


@contextlib.contextmanager
def running(arguments, port, **keywords):
    process = subprocess.Popen([str(a) for a in arguments], stdout=subprocess.DEVNULL,
                               stderr=subprocess.DEVNULL, **keywords)
    try:
        wait_for_port(port, process)
        yield process
    finally:
        process.terminate()
        try:
            process.wait(20)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait()


@contextlib.contextmanager
def larderd(root: pathlib.Path, folder: pathlib.Path, *arguments, under=()):
    """`under`: words before the command, as `setpriv --reuid=65534` is."""
    process = subprocess.Popen(
        [*under, root / "build/release/bin/larderd", "--data-dir", folder / "data", "--listen",
         "127.0.0.1:0", *arguments],
        stderr=subprocess.PIPE, text=True)
    try:
        for line in process.stderr:
            ready = re.search(r"ready on http://127\.0\.0\.1:(\d+)", line)
            if ready:
                break
        else:
            raise RuntimeError("larderd did not become ready")
        yield process, int(ready.group(1))
    finally:
        process.terminate()
        process.communicate()


@contextlib.contextmanager
def webdis(folder: pathlib.Path):
    """webdis in front of a Redis that syncs each write before it answers."""
    redis_port, port = free_port(), free_port()
    data = folder / "redis"
    data.mkdir()
    with running(["redis-server", "--port", redis_port, "--bind", "127.0.0.1", "--dir", data,
                  "--appendonly", "yes", "--appendfsync", "always", "--save", ""], redis_port):
        config = folder / "webdis.json"
        config.write_text(
            '{"redis_host":"127.0.0.1","redis_port":%d,"http_host":"127.0.0.1","http_port":%d,'
            '"threads":2,"pool_size":8,"daemonize":false,"verbosity":0,"database":0,'
            '"http_max_request_size":1048576,"logfile":"%s"}' % (redis_port, port,
                                                               folder / "webdis.log"))
        with running(["webdis", config], port):
            yield port


@contextlib.contextmanager
def etcd(folder: pathlib.Path):
    port, peer = free_port(), free_port()
    url, peer_url = f"http://127.0.0.1:{port}", f"http://127.0.0.1:{peer}"
    with running(["etcd", "--data-dir", folder / "etcd", "--listen-client-urls", url,
                  "--advertise-client-urls", url, "--listen-peer-urls", peer_url,
                  "--initial-advertise-peer-urls", peer_url, "--initial-cluster",
                  f"default={peer_url}", "--log-level", "error"], port):
        deadline = time.monotonic() + 20
        while time.monotonic() < deadline:  # it listens before it has elected itself
            with contextlib.suppress(OSError):
                request = urllib.request.Request(f"{url}/v3/kv/put", b'{"key":"YQ==","value":"YQ=="}')
                if urllib.request.urlopen(request, timeout=2).status == 200:
                    break
            time.sleep(0.05)
        yield port


@contextlib.contextmanager
def nginx(folder: pathlib.Path, body: str):
    """nginx that answers every request with `body`, without logs: the front of fronts."""
    port = free_port()
    config = folder / "nginx.conf"
    config.write_text(f"""
daemon off; pid {folder}/nginx.pid; error_log /dev/null; worker_processes 2;
events {{ worker_connections 4096; }}
http {{
    access_log off; keepalive_requests 1000000000; keepalive_timeout 300s;
    client_body_temp_path {folder}/nb; proxy_temp_path {folder}/np; fastcgi_temp_path {folder}/nf;
    uwsgi_temp_path {folder}/nu; scgi_temp_path {folder}/ns;
    server {{ listen 127.0.0.1:{port}; default_type application/json;
              location / {{ return 200 '{body}'; }} }}
}}
""")
    with running(["nginx", "-c", config, "-p", folder], port):
        yield port


@contextlib.contextmanager
def nginx_files(folder: pathlib.Path, content: pathlib.Path):
    """nginx that serves a folder by sendfile, its files kept open, without logs."""
    port = free_port()
    config = folder / "nginx_files.conf"
    config.write_text(f"""
daemon off; pid {folder}/nginx_files.pid; error_log /dev/null; worker_processes 2; user root;
events {{ worker_connections 4096; }}
http {{
    access_log off; keepalive_requests 1000000000; keepalive_timeout 300s;
    sendfile on; tcp_nopush on; open_file_cache max=1000 inactive=60s;
    client_body_temp_path {folder}/fb; proxy_temp_path {folder}/fp; fastcgi_temp_path {folder}/ff;
    uwsgi_temp_path {folder}/fu; scgi_temp_path {folder}/fs;
    server {{ listen 127.0.0.1:{port} reuseport; root {content}; }}
}}
""")
    with running(["nginx", "-e", "/dev/null", "-c", config], port):
        yield port
