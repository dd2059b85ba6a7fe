"""Whether the service asks a FHIR server that it is agreed to ask, when all it needs was sent along."""

import json
import socket
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

from benchmarks.calls import answers, request
from benchmarks.goals import Goal
from benchmarks.service import PATH, body, served
from tests.samples import bundle


def goals(rounds: int, *, quick: bool) -> list[Goal]:
    """Connections to the FHIR server, which nobody answers. Raises RuntimeError when it cannot be reached at all."""
    calls = 20 if quick else 200
    with TemporaryDirectory() as name, socket.create_server(("127.0.0.1", 0), backlog=128) as canary:
        folder, base = Path(name), f"http://127.0.0.1:{canary.getsockname()[1]}/fhir"
        canary.setblocking(False)
        agreed = f'fhir-servers = ["{base}"]\nopen-fhir-servers = true\nprivate-addresses = true\n'
        (folder / "clients.toml").write_text(f"[development]\n{agreed}", "utf-8")
        (folder / "clients.toml").chmod(0o600)
        with served(folder) as server:
            complete = [request(PATH, body(fhirServer=base, prefetch=_complete()))] * calls
            asked = tuple(_asked(server.port, complete, canary) for _ in range(rounds))
            if not _asked(server.port, [request(PATH, body(fhirServer=base, prefetch={}))], canary):
                raise RuntimeError("without a prefetch the FHIR server was not asked: nothing was measured")
    return [Goal(f"outbound: requests in {calls} calls with all in the prefetch", "0", None, 0.0, asked)]


def _complete() -> dict[str, Any]:
    """Every key of the prefetch that discovery names: the condition of this patient is that there is none."""
    prefetch: dict[str, Any] = json.loads(body())["prefetch"]
    return prefetch | {"conditions": bundle()}


def _asked(port: int, called: list[bytes], canary: socket.socket) -> int:
    """How many connections came in during these calls."""
    answers([port], called)
    count = 0
    while True:
        try:
            canary.accept()[0].close()
        except BlockingIOError:
            return count
        count += 1
