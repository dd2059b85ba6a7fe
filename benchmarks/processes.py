"""Servers as processes of their own: started, waited for, ended; what they take of the processor and of memory."""

import os
import socket
import subprocess
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path

PATIENCE = 60.0  # seconds for a start, and for an end
_TICKS = os.sysconf("SC_CLK_TCK")
_USER_TIME = 11  # of the fields of /proc/PID/stat behind the name; proc(5)


@dataclass(frozen=True)
class Server:
    """A server that listens, and the process that was started for it."""

    port: int
    process: int


@contextmanager
def running(
    command: Sequence[str], folder: Path, port: int, settings: Mapping[str, str], *, wait: bool = True
) -> Iterator[Server]:
    """The server that this command starts in the folder; it ends with the block. What it says goes to said.txt there.

    Without `wait` it is handed out before it listens. Raises RuntimeError when it does not start.
    """
    own = {name: value for name, value in os.environ.items() if not name.startswith("CDS_")}
    with (folder / "said.txt").open("wb") as said:
        process = subprocess.Popen(command, cwd=folder, env={**own, **settings}, stdout=said, stderr=said)  # noqa: S603 - commands of these measurements
    try:
        if wait:
            _until_it_listens(process, port, folder / "said.txt")
        yield Server(port, process.pid)
    finally:
        process.terminate()
        process.wait(PATIENCE)


def cpu_seconds(*processes: int) -> float:
    """What these have taken of the processor until now: user and system, all threads, all children."""
    return sum(_cpu(one) for process in processes for one in _family(process))


def memory(server: Server) -> int:
    """Proportional set size in kB of the server and its children."""
    return sum(_proportional(process) for process in _family(server.process))


def _until_it_listens(process: subprocess.Popen[bytes], port: int, said: Path) -> None:
    until = time.monotonic() + PATIENCE
    while time.monotonic() < until and process.poll() is None:
        with socket.socket() as one:
            if one.connect_ex(("127.0.0.1", port)) == 0:
                return
        time.sleep(0.02)
    raise RuntimeError(f"a server did not start: {said.read_text('utf-8', 'replace')[-500:]}")


def _family(process: int) -> list[int]:
    """The process, its children, and theirs; those that end meanwhile may be missing."""
    found = [process]
    for one in found:
        with suppress(OSError):
            for task in Path(f"/proc/{one}/task").iterdir():
                found += [int(child) for child in (task / "children").read_text().split()]
    return found


def _cpu(process: int) -> float:
    """Its own threads', and that of children who have ended; 0 when it has ended itself."""
    with suppress(OSError):
        return _ticks(process)
    return 0.0


def _ticks(process: int) -> float:
    fields = Path(f"/proc/{process}/stat").read_text().rpartition(")")[2].split()
    return sum(int(ticks) for ticks in fields[_USER_TIME : _USER_TIME + 4]) / _TICKS


def _proportional(process: int) -> int:
    lines = Path(f"/proc/{process}/smaps_rollup").read_text().splitlines()
    return next(int(line.split()[1]) for line in lines if line.startswith("Pss:"))
