"""The real service for a measurement: `cds-service serve` in a process of its own, with a database of its own."""

import json
import os
import secrets
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from tests.tokens import ISSUER, KeyPair, key_set

COMMAND = str(Path(sys.executable).with_name("cds-service"))
PUBLIC = "https://cds.example"  # what tokens are for; the service itself stands on this machine, without TLS
PATIENCE = 30.0  # seconds for a start, and for an end
CLIENT = "calls-per-second = 1000000\n"


@contextmanager
def served(folder: Path, *keys: KeyPair) -> Iterator[int]:
    """The port of a service in production mode, for a client with these keys; without keys in development mode.

    Raises RuntimeError when it does not start.
    """
    port, settings = free_port(), _settings(folder, keys)
    own = {name: value for name, value in os.environ.items() if not name.startswith("CDS_")}
    with (folder / "said.txt").open("wb") as said:
        process = subprocess.Popen(  # noqa: S603 - the project's own command
            [COMMAND, "serve"], cwd=folder, env=own | settings | {"CDS_PORT": str(port)}, stdout=said, stderr=said
        )
    try:
        _until_it_listens(process, port, folder / "said.txt")
        yield port
    finally:
        process.terminate()
        process.wait(PATIENCE)


def free_port() -> int:
    with socket.socket() as found:
        found.bind(("127.0.0.1", 0))
        return int(found.getsockname()[1])


def _settings(folder: Path, keys: tuple[KeyPair, ...]) -> dict[str, str]:
    """Both modes record decisions in an SQLite file, and neither meets its limit of calls."""
    table = f'[ehr]\nissuer = {json.dumps(ISSUER)}\njwks = "keys.json"\n' if keys else "[development]\n"
    (folder / "clients.toml").write_text(table + CLIENT, "utf-8")
    (folder / "keys.json").write_text(key_set(*(key.jwk() for key in keys)), "utf-8")
    for name in ("clients.toml", "keys.json"):
        (folder / name).chmod(0o600)
    both = {"CDS_CLIENTS": str(folder / "clients.toml"), "CDS_DATABASE_URL": f"sqlite:///{folder / 'served.sqlite'}"}
    production = {"CDS_PUBLIC_URL": PUBLIC, "CDS_PATIENT_KEY": secrets.token_hex(32), "CDS_ALLOW_UNSIGNED": "1"}
    return both | (production if keys else {"CDS_DEVELOPMENT": "1"})


def _until_it_listens(process: subprocess.Popen[bytes], port: int, said: Path) -> None:
    until = time.monotonic() + PATIENCE
    while time.monotonic() < until and process.poll() is None:
        with socket.socket() as one:
            if one.connect_ex(("127.0.0.1", port)) == 0:
                return
        time.sleep(0.05)
    raise RuntimeError(f"the service did not start: {said.read_text('utf-8', 'replace')[-500:]}")
