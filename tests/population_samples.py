"""What the tests of population screening share: lines of responses, the command in its own process, what it wrote."""

import subprocess
import sys
from collections.abc import Iterable
from contextlib import chdir
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import orjson
from click.testing import CliRunner
from pyarrow import csv, parquet

from cds_service.cli_screen import screen
from tests.processes import environment
from tests.samples import CALM, response

AT = "2026-11-20T12:00:00Z"
FILLED_IN = "2026-11-20T08:00:00Z"  # four hours before
# What a shell starts with & is deaf to an interrupt, and so is all that it starts: here it is as at a keyboard.
HEARING = "import signal; signal.signal(signal.SIGINT, signal.default_int_handler)"
COMMAND = [sys.executable, "-c", f"{HEARING}; from cds_service.cli_screen import screen; screen()", "--at", AT]

Table = list[dict[str, Any]]


def calm(number: int, **members: Any) -> dict[str, Any]:
    """A response of patient p<number> with no alarm, who says to be 40 years old."""
    subject = {"reference": f"Patient/p{number}"}
    own = {"id": f"r{number}", "subject": subject, "source": subject, "authored": FILLED_IN}
    return response(CALM | {"age": 40}, **own | members)


def alarm(number: int) -> dict[str, Any]:
    """One who feels less between the legs since a short time."""
    return calm(number, item=response(CALM | {"age": 40, "rf-saddle": "new"})["item"])


def ndjson(resources: Iterable[Any]) -> bytes:
    """One line for each; bytes stand as they are."""
    return b"".join((one if isinstance(one, bytes) else orjson.dumps(one)) + b"\n" for one in resources)


@dataclass(frozen=True)
class Ended:
    """How the command ended: what it printed, and what went wrong (None: nothing did)."""

    stdout: str
    stderr: str
    fault: BaseException | None


def screened(folder: Path, *words: str, **settings: str) -> Ended:
    """The command with these words, run in `folder` and, but for its workers, in this process."""
    words = words if {"--workers", "--scheduler"} & {*words} else (*words, "--workers", "1")
    words = words if "--at" in words else ("--at", AT, *words)
    with chdir(folder):
        found = CliRunner(env=dict(settings)).invoke(screen, words)
    return Ended(found.stdout, found.stderr, found.exception)


def started(folder: Path, *words: str) -> subprocess.Popen[str]:
    """The command in a process of its own, running."""
    pipes: dict[str, Any] = {"stdout": subprocess.PIPE, "stderr": subprocess.PIPE, "text": True}
    return subprocess.Popen([*COMMAND, *words], env=environment(folder), cwd=folder, **pipes)


def rows(path: Path) -> Table:
    """The rows of an output, in their order."""
    if path.suffix == ".parquet":
        found: Table = parquet.read_table(path).to_pylist()
        return found
    words = csv.ConvertOptions(column_types=dict.fromkeys(("authored", "reason", "unknown", "fired"), "string"))
    read: Table = csv.read_csv(path, convert_options=words).to_pylist()
    return read


def short(table: Table, *columns: str) -> list[tuple[Any, ...]]:
    """Only these columns of each row."""
    return [tuple(row[column] for column in columns) for row in table]
