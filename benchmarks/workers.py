"""Two processes on one SQLite file, which share the connections as behind a proxy, beside one process."""

from functools import partial
from pathlib import Path
from tempfile import TemporaryDirectory

from benchmarks.goals import Goal
from benchmarks.service import requests, served, settings_in
from benchmarks.turns import measured, ratios, said, speed, turns


def goals(rounds: int, *, quick: bool) -> list[Goal]:
    """On two cores the calls themselves take a part of the second."""
    called = requests(200 if quick else 1500)
    with TemporaryDirectory() as one, TemporaryDirectory() as other:
        database = settings_in(Path(one))["CDS_DATABASE_URL"]
        with served(Path(one)) as first, served(Path(other), CDS_DATABASE_URL=database) as second:
            both = partial(measured, [first, second], called)
            found = turns(rounds, {"one": partial(measured, [first], called), "two": both})
    ratio = ratios(speed(found["two"]), speed(found["one"]))
    figures = f"two {said(found['two'])}; one {said(found['one'])}"
    return [Goal("workers: calls a second, two processes / one", ">= 1", 1.0, None, ratio, figures)]
