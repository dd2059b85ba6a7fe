"""HTTP servers under 150 slow sockets, each with the whole service and every decision recorded.

The other servers are installed with pip into a folder of this run, or are found in the one that SERVERS names. Loopback
only; about four minutes: python -m benchmarks.servers [WORD ...] measures those whose name holds one of the words.
"""

import json
import os
import shutil
import socket
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from statistics import median, quantiles
from tempfile import TemporaryDirectory

from benchmarks.service import PATH, ROOT
from tests.processes import free_port
from tests.samples import CALM, call, response

SECONDS = 3.0  # of calls, undisturbed and beside slow sockets
CALLERS = 8
SLOW = 150
PATIENCE = 5  # seconds; a call that takes longer has failed
HELD = 16.0  # seconds after which a slow socket should have been closed
PACKAGES = ("waitress", "granian", "gunicorn", "uvicorn", "a2wsgi")
HEAD = f"POST {PATH} HTTP/1.1\r\nHost: x\r\nContent-Type: application/json\r\n".encode()

GRANIAN = "{python} -m granian --host 127.0.0.1 --port {port} --log-level error --no-ws "
GUNICORN = "{python} -m gunicorn -b 127.0.0.1:{port} --log-level critical -k gthread "
SERVERS = {
    "cds-service serve (waitress, own deadlines)": "{command} serve",
    "waitress, 1000 connections, 16 threads": "{python} -m waitress --host 127.0.0.1 --port {port} --threads 16 "
    "--connection-limit 1000 --channel-timeout 20 --asyncore-use-poll benchmarks.served:app",
    "granian WSGI, defaults": GRANIAN + "--interface wsgi benchmarks.served:app",
    "granian WSGI, 1 blocking thread": GRANIAN + "--interface wsgi --blocking-threads 1 benchmarks.served:app",
    "granian ASGI, body read first": GRANIAN
    + "--interface asgi --http1-header-read-timeout 10000 benchmarks.served:buffered",
    "uvicorn, body read first": "{python} -m uvicorn --host 127.0.0.1 --port {port} --log-level critical "
    "benchmarks.served:buffered",
    "gunicorn gthread, 16 threads": GUNICORN + "--threads 16 benchmarks.served:app",
    "gunicorn gthread behind nginx": GUNICORN + "--threads 16 benchmarks.served:app",
}
NGINX = """
user root;
pid {folder}/nginx.pid;
error_log /dev/null;
events {{ worker_connections 2048; }}
http {{
    access_log off;
    client_body_temp_path {folder}/body;
    proxy_temp_path {folder}/proxy;
    fastcgi_temp_path {folder}/fastcgi;
    uwsgi_temp_path {folder}/uwsgi;
    scgi_temp_path {folder}/scgi;
    client_header_timeout 10s;
    client_body_timeout 10s;
    upstream service {{ server 127.0.0.1:{behind}; keepalive 32; }}
    server {{
        listen 127.0.0.1:{port};
        location / {{ proxy_pass http://service; proxy_http_version 1.1; proxy_set_header Connection ""; }}
    }}
}}
"""


@dataclass(frozen=True)
class Calls:
    """What a round of calls gave: those answered per second, how long they took, and how many failed."""

    per_second: float
    p50: float  # milliseconds
    p95: float
    failed: int


@dataclass(frozen=True)
class Figures:
    alone: Calls
    beside: Calls
    closed: int  # of the slow sockets


def main() -> None:
    words = sys.argv[1:]
    with TemporaryDirectory() as temporary:
        packages = _installed(Path(os.environ.get("SERVERS") or f"{temporary}/packages"))
        print(_versions(packages), end="\n\n")
        print(f"{'':45}{'calls/s':>9}{'p50':>7}{'p95':>7}{f'beside {SLOW} slow sockets:':>27}", end="")
        print(f"{'p50':>7}{'p95':>7}{'failed':>8}{'closed':>8}")
        for name, command in SERVERS.items():
            if not words or any(word in name for word in words):
                folder = Path(temporary) / str(len(list(Path(temporary).iterdir())))
                folder.mkdir()
                print(_line(name, _measured(name, command, folder, packages)), flush=True)


def _line(name: str, found: Figures) -> str:
    alone, beside = found.alone, found.beside
    left = f"{name:45}{alone.per_second:9.0f}{alone.p50:7.1f}{alone.p95:7.1f}"
    return f"{left}{'':27}{beside.p50:7.1f}{beside.p95:7.1f}{beside.failed:8}{found.closed:8}"


def _installed(folder: Path) -> Path:
    if not folder.exists():
        install = [sys.executable, "-m", "pip", "install", "--quiet", "--target", str(folder), *PACKAGES]
        subprocess.run(install, check=True, stdout=subprocess.DEVNULL)  # noqa: S603 - fixed words
    return folder


def _versions(packages: Path) -> str:
    script = "import importlib.metadata as m, sys; print(*(f'{p} {m.version(p)}' for p in sys.argv[1:]), sep=', ')"
    told = subprocess.run(  # noqa: S603 - fixed words
        [sys.executable, "-c", script, *PACKAGES],
        env=_environment(packages),
        capture_output=True,
        text=True,
        check=True,
    )
    return f"Python {sys.version.split()[0]}, {told.stdout.strip()}; {os.cpu_count()} cores; milliseconds"


def _environment(packages: Path, **settings: str) -> dict[str, str]:
    own = {name: value for name, value in os.environ.items() if not name.startswith("CDS_")}
    return own | {"PYTHONPATH": f"{ROOT}:{packages}", "CDS_DEVELOPMENT": "1"} | settings


def _measured(name: str, command: str, folder: Path, packages: Path) -> Figures:
    with _serving(name, command, folder, packages) as port:
        _calls(port, 1.0)  # until all is warm
        alone = _calls(port, SECONDS)
        with _slow_sockets(port) as closed:
            began = time.monotonic()
            beside = _calls(port, SECONDS)
            while closed() < SLOW and time.monotonic() - began < HELD:
                time.sleep(0.2)
            return Figures(alone, beside, closed())


@contextmanager
def _serving(name: str, command: str, folder: Path, packages: Path) -> Iterator[int]:
    """The port of the running server; it and what it started end afterwards."""
    port = behind = free_port()
    settings = {"CDS_DATABASE_URL": f"sqlite:///{folder}/decisions.sqlite", "CDS_PORT": str(port)}
    filled = command.format(python=sys.executable, command=Path(sys.executable).with_name("cds-service"), port=port)
    started = [_started(filled.split(), _environment(packages, **settings))]
    _wait_for(behind)
    if "nginx" in name:
        port = free_port()
        (folder / "nginx.conf").write_text(NGINX.format(folder=folder, port=port, behind=behind), "utf-8")
        nginx = shutil.which("nginx") or "/usr/sbin/nginx"
        started.append(_started([nginx, "-p", str(folder), "-c", f"{folder}/nginx.conf", "-g", "daemon off;"], {}))
        _wait_for(port)
    try:
        yield port
    finally:
        for process in started:
            os.killpg(process.pid, 9)
            process.wait()


def _started(command: list[str], environment: dict[str, str]) -> subprocess.Popen[bytes]:
    quiet = {"stdout": subprocess.DEVNULL, "stderr": subprocess.DEVNULL}
    return subprocess.Popen(command, env=environment, cwd=ROOT, start_new_session=True, **quiet)  # type: ignore[call-overload, no-any-return] # noqa: S603 - our own commands


def _wait_for(port: int) -> None:
    for _ in range(300):
        with socket.socket() as one:
            if one.connect_ex(("127.0.0.1", port)) == 0:
                return
        time.sleep(0.1)
    sys.exit("a server did not start")


def _calls(port: int, seconds: float) -> Calls:
    body = json.dumps(call(response(CALM | {"rf-saddle": "new"}))).encode()
    sent = HEAD + b"Content-Length: %d\r\n\r\n" % len(body) + body
    until = time.monotonic() + seconds
    with ThreadPoolExecutor(CALLERS) as pool:
        found = list(pool.map(lambda _: _caller(port, sent, until), range(CALLERS)))
    spent = [one for some, _ in found for one in some]
    failed = sum(one for _, one in found)
    if len(spent) < 2:
        return Calls(0, float("nan"), float("nan"), failed)
    return Calls(len(spent) / seconds, median(spent) * 1000, quantiles(spent, n=20)[-1] * 1000, failed)


def _caller(port: int, sent: bytes, until: float) -> tuple[list[float], int]:
    """Seconds of each call on one connection, and how many failed."""
    spent: list[float] = []
    failed = 0
    while time.monotonic() < until:
        try:
            with socket.create_connection(("127.0.0.1", port), timeout=PATIENCE) as line:
                while time.monotonic() < until:
                    began = time.monotonic()
                    line.sendall(sent)
                    if not _answered(line):
                        break
                    spent.append(time.monotonic() - began)
        except OSError:
            failed += 1
    return spent, failed


def _answered(line: socket.socket) -> bool:
    """Reads one answer, which must be good; False where it is the last on its connection."""
    heard = b""
    while b"\r\n\r\n" not in heard:
        heard += _more(line)
    head, _, body = heard.partition(b"\r\n\r\n")
    if b" 200 " not in head.split(b"\r\n")[0] + b" ":
        raise OSError
    fields = dict(field.lower().split(b": ", 1) for field in head.split(b"\r\n")[1:])
    while len(body) < int(fields[b"content-length"]):
        body += _more(line)
    return fields.get(b"connection") != b"close"


def _more(line: socket.socket) -> bytes:
    told = line.recv(65536)
    if not told:
        raise OSError
    return told


@contextmanager
def _slow_sockets(port: int) -> Iterator[Callable[[], int]]:
    """Half with slow headers, half with dripping bodies; gives how many the server has closed by now."""
    lines = []
    for number in range(SLOW):
        line = socket.create_connection(("127.0.0.1", port), timeout=2)
        line.sendall(HEAD + (b"Content-Length: 5000\r\n\r\n{" if number % 2 else b"X-Slow: "))
        line.setblocking(False)
        lines.append(line)
    closed: set[int] = set()
    ends = threading.Event()

    def drip() -> None:
        while not ends.wait(0.5):
            closed.update(number for number, line in enumerate(lines) if number not in closed and _is_closed(line))

    dripping = threading.Thread(target=drip)
    dripping.start()
    try:
        yield lambda: len(closed)
    finally:
        ends.set()
        dripping.join()
        for line in lines:
            line.close()


def _is_closed(line: socket.socket) -> bool:
    try:
        line.send(b"x")
        return line.recv(1000) is not None  # an answer (408), or the end
    except BlockingIOError:
        return False
    except OSError:
        return True


if __name__ == "__main__":
    main()
