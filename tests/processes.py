"""Our command as a process of its own: where it stands, its settings, a port for it, and until it listens there."""

import contextlib
import os
import random
import socket
import subprocess
import sys
from itertools import count
from pathlib import Path

import pytest

COMMAND = str(Path(sys.executable).with_name("cds-service"))
_PORTS = range(10_000, 30_000)  # below those that the system hands out by itself, to whoever asks for any
_FIRST = count(random.randrange(len(_PORTS)))  # noqa: S311 - no secret; other processes begin elsewhere


def free_port() -> int:
    """A port of this machine on which nobody listens, and which nobody is likely to take before we do.

    Between the choice and the start of a server lie seconds. A port that the system chose could go to another test
    meanwhile, and ours would then call a stranger.
    """
    for number in _FIRST:
        port = _PORTS[number % len(_PORTS)]
        with socket.socket() as one, contextlib.suppress(OSError):
            one.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            one.bind(("127.0.0.1", port))
            return port
    raise AssertionError


def environment(folder: Path, **settings: str) -> dict[str, str]:
    """These settings and none of this machine's; the database is a file in the folder."""
    own = {name: value for name, value in os.environ.items() if not name.startswith("CDS_")}
    return own | {"CDS_DATABASE_URL": f"sqlite:///{folder / 'decisions.sqlite'}"} | settings


def until_it_listens(port: int, process: subprocess.Popen[bytes]) -> None:
    """Waits for the port to open; fails as soon as the process ends."""
    for _ in range(300):
        with socket.socket() as one:
            if one.connect_ex(("127.0.0.1", port)) == 0:
                return
        with contextlib.suppress(subprocess.TimeoutExpired):
            process.wait(timeout=0.1)
            pytest.fail("the service ended at start")
    pytest.fail("nothing listens")
