"""What the service holds in memory after many calls, beside a handler with the same libraries in memory."""

from collections.abc import Callable
from contextlib import AbstractContextManager
from functools import partial
from pathlib import Path
from statistics import median
from tempfile import TemporaryDirectory

from benchmarks import beside
from benchmarks.goals import Goal
from benchmarks.processes import Server, memory
from benchmarks.service import requests, served
from benchmarks.turns import measured, ratios, turns


def goals(rounds: int, *, quick: bool) -> list[Goal]:
    """Each round starts both anew, one after the other: proportional set size, which counts shared pages by shares."""
    calls = 200 if quick else 2000
    handler = partial(beside.floor, kind="libraries")
    sides = {
        "ours": partial(_held, served, requests(calls)),
        "handler": partial(_held, handler, beside.floor_requests(calls)),
    }
    found = turns(rounds, sides)
    figures = "; ".join(f"{name} {median(held) / 1024:.0f} MB" for name, held in found.items())
    title = f"memory: after {calls} calls, ours / handler that imports the same libraries"
    return [Goal(title, "<= 1.5", None, 1.5, ratios(found["ours"], found["handler"]), figures)]


def _held(start: Callable[[Path], AbstractContextManager[Server]], called: list[bytes]) -> int:
    with TemporaryDirectory() as folder, start(Path(folder)) as server:
        measured([server], called)
        return memory(server)
