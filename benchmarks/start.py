"""From the start of the process to the first answer with a card, asked from outside."""

import socket
import time
from collections.abc import Callable
from contextlib import AbstractContextManager, suppress
from functools import partial
from pathlib import Path
from statistics import median
from tempfile import TemporaryDirectory

from benchmarks import beside
from benchmarks.calls import answers
from benchmarks.goals import Goal
from benchmarks.processes import PATIENCE, Server
from benchmarks.service import requests, served
from benchmarks.turns import ratios, turns

PAUSE = 0.005  # seconds between two questions


def goals(rounds: int, *, quick: bool) -> list[Goal]:
    """Ours makes its tables first; HealthChain has none. `quick` makes no difference: it takes what it takes."""
    del quick
    sides = {
        "ours": partial(_seconds, partial(served, wait=False), requests(1)),
        "HealthChain": partial(_seconds, partial(beside.healthchain, wait=False), beside.healthchain_requests(1)),
    }
    found = turns(rounds, sides)
    figures = "; ".join(f"{name} {median(seconds):.2f} s" for name, seconds in found.items())
    title = "start: seconds to the first answer, ours / HealthChain"
    return [Goal(title, "<= 1", None, 1.0, ratios(found["ours"], found["HealthChain"]), figures)]


def _seconds(start: Callable[[Path], AbstractContextManager[Server]], called: list[bytes]) -> float:
    with TemporaryDirectory() as folder:
        begun = time.perf_counter()
        with start(Path(folder)) as server:
            while time.perf_counter() - begun < PATIENCE:
                with suppress(RuntimeError, ConnectionError):
                    if _listens(server.port) and not answers([server.port], called).without_card:
                        return time.perf_counter() - begun
                time.sleep(PAUSE)
    raise RuntimeError("a server did not answer")


def _listens(port: int) -> bool:
    with socket.socket() as one:
        return one.connect_ex(("127.0.0.1", port)) == 0
