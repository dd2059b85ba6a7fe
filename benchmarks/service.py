"""The service itself, as it is served: `cds-service serve` with a database of its own, and the call that it answers."""

import json
import secrets
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from benchmarks.calls import request
from benchmarks.processes import Server, running
from tests.processes import free_port
from tests.samples import CALM, call, response
from tests.tokens import ISSUER, KeyPair, key_set

ROOT = Path(__file__).parent.parent
COMMAND = str(Path(sys.executable).with_name("cds-service"))
PUBLIC = "https://cds.example"  # what tokens are for; the service itself stands on this machine, without TLS
PATH = "/cds-services/low-back-pain-patient-view"
DATABASE = "served.sqlite"
ANSWERS = CALM | {  # every question that can be shown together, an alarm among the answers
    "age": 40,
    "rf-bladder-bowel": "new",
    "rf-leg": "numbness",
    "rf-leg-sides": "one",
    "rf-leg-progress": "no",
    "rf-unwell": "yes",
    "rf-fever": "no",
}


def body(**members: Any) -> bytes:
    """The call: patient-view with a Patient and a whole response in the prefetch, without blanks, as EHRs write it."""
    return json.dumps(call(response(ANSWERS), **members), separators=(",", ":")).encode()


def requests(calls: int) -> list[bytes]:
    """So many calls, all of them in development mode."""
    return [request(PATH, body())] * calls


@contextmanager
def served(folder: Path, *keys: KeyPair, wait: bool = True, **settings: str) -> Iterator[Server]:
    """The service in production mode, for a client with these keys; without keys in development mode.

    `settings` replace its settings (CDS_...). Raises RuntimeError when it does not start.
    """
    port = free_port()
    own = settings_in(folder, keys) | {"CDS_PORT": str(port)} | settings
    with running([COMMAND, "serve"], folder, port, own, wait=wait) as server:
        yield server


def settings_in(folder: Path, keys: tuple[KeyPair, ...] = ()) -> dict[str, str]:
    """Both modes record decisions in an SQLite file in the folder, and neither meets its limit of calls."""
    table = f'[ehr]\nissuer = {json.dumps(ISSUER)}\njwks = "keys.json"\n' if keys else "[development]\n"
    written = {"clients.toml": f"{table}calls-per-second = 1000000\n", "keys.json": key_set(*(k.jwk() for k in keys))}
    for name, text in written.items():
        if not (folder / name).exists():
            (folder / name).write_text(text, "utf-8")
            (folder / name).chmod(0o600)
    both = {"CDS_CLIENTS": str(folder / "clients.toml"), "CDS_DATABASE_URL": f"sqlite:///{folder / DATABASE}"}
    production = {"CDS_PUBLIC_URL": PUBLIC, "CDS_PATIENT_KEY": secrets.token_hex(32), "CDS_ALLOW_UNSIGNED": "1"}
    return both | (production if keys else {"CDS_DEVELOPMENT": "1"})
