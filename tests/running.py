"""The real server in a process of its own, as `cds-service serve` runs it, and raw connections to it.

`python -m tests.running '{"whole": 1}'` serves with less patience than the command, for tests that wait for its end;
`{"fetching": 5}` with more for FHIR servers, for tests of what these answer, however busy this machine is.
"""

import json
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import closing, contextmanager, suppress
from dataclasses import dataclass
from http.client import HTTPConnection
from pathlib import Path
from typing import Any

from tests.processes import COMMAND, environment, free_port

ROOT = Path(__file__).parent.parent
HOOK = "/cds-services/low-back-pain-patient-view"
LONG = 60  # seconds that a test waits for what should come at once


@dataclass(frozen=True)
class Running:
    """A server: where it listens, its process, and the file with all that it has logged."""

    port: int
    process: subprocess.Popen[bytes]
    log: Path

    @property
    def address(self) -> str:
        return f"http://127.0.0.1:{self.port}"

    def connect(self) -> socket.socket:
        """A raw connection, on which nothing waits for longer than LONG."""
        return socket.create_connection(("127.0.0.1", self.port), timeout=LONG)

    def stop(self) -> int:
        """SIGTERM; gives the exit code."""
        self.process.send_signal(signal.SIGTERM)
        return self.process.wait(timeout=LONG)

    def lines(self) -> list[dict[str, Any]]:
        """What was logged; fails for a line that is not JSON."""
        return [json.loads(line) for line in self.log.read_text().splitlines()]

    def until(self, event: str, count: int = 1) -> list[dict[str, Any]]:
        """Waits until so many lines of this event are in the log, and gives them."""
        end = time.monotonic() + LONG
        while time.monotonic() < end:
            found = [line for line in self.lines_so_far() if line["event"] == event]
            if len(found) >= count:
                return found
            time.sleep(0.02)
        raise AssertionError(f"not {count} times in the log: {event}")

    def lines_so_far(self) -> list[dict[str, Any]]:
        text = self.log.read_text()
        return [json.loads(line) for line in text[: text.rfind("\n") + 1].splitlines()]


@contextmanager
def running(
    folder: Path, *, patience: dict[str, float] | None = None, files: int = 0, **settings: str
) -> Iterator[Running]:
    """The server in development mode, unless the settings say otherwise, with its database in the folder.

    With `patience` it waits as long as that says; with `files` it may open no more than so many. It ends with the test.
    """
    port = int(settings.setdefault("CDS_PORT", str(free_port())))
    own = environment(folder, **({"CDS_DEVELOPMENT": "1", "PYTHONPATH": str(ROOT)} | settings))
    command = [sys.executable, "-m", "tests.running", json.dumps(patience)] if patience else [COMMAND, "serve"]
    limited = ["sh", "-c", f'ulimit -n {files} && exec "$@"', "sh", *command] if files else command
    with (folder / "log").open("ab") as log:
        process = subprocess.Popen(limited, env=own, cwd=folder, stdout=subprocess.DEVNULL, stderr=log)
    try:
        _until_it_answers(port, process)
        yield Running(port, process, folder / "log")
    finally:
        process.kill()
        process.wait(timeout=LONG)


def _until_it_answers(port: int, process: subprocess.Popen[bytes]) -> None:
    end = time.monotonic() + 60
    while time.monotonic() < end and process.poll() is None:
        with suppress(OSError), closing(HTTPConnection("127.0.0.1", port, timeout=LONG)) as one:
            one.request("GET", "/health/live")  # it listens before it answers, and before it minds signals
            one.getresponse().read()
            return
        time.sleep(0.05)
    raise AssertionError("the service did not start")


def everything(connection: socket.socket) -> bytes:
    """All that comes until the other side closes; TimeoutError when it does not."""
    heard = b""
    try:
        while told := connection.recv(65536):
            heard += told
    except ConnectionResetError:  # closed while we were still sending
        pass
    return heard


def serve(patience: dict[str, float]) -> None:
    from cds_service import fetch, logs, server
    from cds_service.assembly import prepared
    from cds_service.config import read_settings
    from cds_service.connections import Patience
    from cds_service.web import create_app

    fetch.BUDGET = patience.pop("fetching", fetch.BUDGET)
    logs.start()
    settings = read_settings()
    app = create_app(prepared(settings))
    server.serve(app, settings.host, settings.port, Patience(**patience))


if __name__ == "__main__":
    serve(json.loads(sys.argv[1]))
