"""Whether calls wait for the database while a purge and reports run on it.

That they wait for the processor is no matter of the database. So the slowest call is set beside the slowest of the same
calls while two loops take as much of the processor as the purge and the reports did.
"""

import os
import shutil
import signal
import sqlite3
import subprocess
import sys
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import ExitStack, closing, contextmanager
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from tempfile import TemporaryDirectory

from benchmarks.calls import Answers, answers
from benchmarks.filled import fill
from benchmarks.goals import Goal
from benchmarks.processes import cpu_seconds
from benchmarks.service import COMMAND, DATABASE, requests, served, settings_in
from benchmarks.turns import ratios
from cds_service.store.database import BUSY

RATE = 4  # screenings a second
OLD = 1830 + 60  # days: longer than records are kept
WORK = (f"exec {COMMAND} purge", f"while true; do {COMMAND} report; done")
LOOP = """
import sys, time
share = float(sys.argv[1])
while True:
    begun = time.process_time()
    while time.process_time() - begun < share / 100: pass
    time.sleep((1 - share) / 100)
"""


@dataclass(frozen=True)
class _Round:
    beside: Answers
    busy: Answers
    purged: int  # decisions


def goals(rounds: int, *, quick: bool) -> list[Goal]:
    """Each round begins with the same database of decisions, half of which are past their lifetime."""
    count, seconds = (10_000, 2) if quick else (200_000, 12)
    with TemporaryDirectory() as name:
        filled = fill(Path(name), count, age=OLD)
        found = [_round(filled, seconds) for _ in range(rounds)]
    beside = [one.beside.milliseconds(1) for one in found]
    busy = [one.busy.milliseconds(1) for one in found]
    figures = f"beside {_range(beside)}, loops {_range(busy)}, purged {min(one.purged for one in found)} or more"
    slowest, bounded = "slowest call beside purge and report", tuple(one / 1000 / BUSY for one in beside)
    return [
        Goal(f"purge: {slowest} / beside loops of as much CPU", "<= 2", None, 2.0, ratios(beside, busy), figures),
        Goal("purge: calls refused", "0", None, 0.0, tuple(one.beside.without_card for one in found)),
        Goal(f"purge: {slowest} / {BUSY} s, then a call is refused", "", None, None, bounded),
    ]


def _round(filled: Path, seconds: int) -> _Round:
    with TemporaryDirectory() as name:
        folder = Path(name)
        shutil.copy(filled, folder / DATABASE)
        before = _decisions(folder)
        with served(folder) as server:
            answers([server.port], requests(200))  # to warm up
            paced = partial(answers, [server.port], requests(RATE * seconds), rate=RATE)
            settings = settings_in(folder)
            with _working([["sh", "-c", work] for work in WORK], settings) as workers:
                beside, begun = paced(), time.monotonic() - seconds
                shares = [cpu_seconds(worker) / (time.monotonic() - begun) for worker in workers]
            purged = before - _decisions(folder)
            with _working([[sys.executable, "-c", LOOP, f"{min(share, 1):.3f}"] for share in shares], {}):
                return _Round(beside, paced(), purged)


@contextmanager
def _working(commands: Sequence[Sequence[str]], settings: Mapping[str, str]) -> Iterator[list[int]]:
    """The processes that these commands start; they and theirs end with the block."""
    with ExitStack() as stack:
        yield [stack.enter_context(_worker(command, settings)) for command in commands]


@contextmanager
def _worker(command: Sequence[str], settings: Mapping[str, str]) -> Iterator[int]:
    quiet = subprocess.DEVNULL
    environment = os.environ | settings
    process = subprocess.Popen(command, env=environment, stdout=quiet, stderr=quiet, start_new_session=True)  # noqa: S603 - commands of these measurements
    try:
        yield process.pid
    finally:
        os.killpg(process.pid, signal.SIGTERM)
        process.wait()


def _decisions(folder: Path) -> int:
    with closing(sqlite3.connect(folder / DATABASE)) as database:
        return int(database.execute("SELECT count(*) FROM decisions").fetchone()[0])


def _range(milliseconds: list[float]) -> str:
    return f"{min(milliseconds):.0f} to {max(milliseconds):.0f} ms"
