"""Whether a call costs more when there are many decisions already."""

from functools import partial
from pathlib import Path
from tempfile import TemporaryDirectory

from benchmarks.filled import fill
from benchmarks.goals import Goal
from benchmarks.service import requests, served
from benchmarks.turns import cpu, measured, ratios, said, turns


def goals(rounds: int, *, quick: bool) -> list[Goal]:
    """Two services, each with a database of its own; about a gigabyte on the disk for a moment."""
    calls, count = (200, 10_000) if quick else (1500, 1_000_000)
    with TemporaryDirectory() as one, TemporaryDirectory() as other:
        fill(Path(other), count)
        with served(Path(one)) as empty, served(Path(other)) as full:
            sides = {
                "empty": partial(measured, [empty], requests(calls)),
                "full": partial(measured, [full], requests(calls)),
            }
            found = turns(rounds, sides)
    figures = f"full {said(found['full'])}; empty {said(found['empty'])}"
    ratio = ratios(cpu(found["full"]), cpu(found["empty"]))
    return [Goal(f"million: CPU per call, {count} decisions stored / none", "<= 1.15", None, 1.15, ratio, figures)]
