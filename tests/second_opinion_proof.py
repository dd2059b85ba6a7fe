"""Very many answer sets, by the functions of the service in two processes and over the real server: `scripts/proof`.

`python -m tests.second_opinion_proof [SETS [CALLS]]`; exit code 1 where the second opinion differs anywhere.
"""

import json
import sys
import time
from collections import Counter
from collections.abc import Iterator
from concurrent.futures import ProcessPoolExecutor
from contextlib import contextmanager
from pathlib import Path
from tempfile import TemporaryDirectory

import click
import requests

from cds_content.loading import load
from tests.advice_as_fhir import RULES
from tests.running import HOOK, ROOT, Running, running
from tests.samples import call
from tests.second_opinion import Opinion, shown
from tests.second_opinion_compared import CHUNK, Case, Service, Tally, about, chunks, compared
from tests.second_opinion_reading import REFUSED

PROCESSES = 2
SHOWN = 5  # differences that are printed
_LONG = 60  # seconds for one call


def main(sets: int = 1_000_000, calls: int = 5_000) -> int:
    """Compares `sets`, in whole chunks, and `calls`; prints the counts, the first differences and the time."""
    since = time.monotonic()
    tally = _in_processes(sets)
    _tell(f"in {PROCESSES} processes", tally, since)
    since = time.monotonic()
    asked = _over_http(calls)
    _tell("over HTTP", asked, since)
    return 1 if tally.differences or asked.differences else 0


def chunk(seed: int) -> Tally:
    """One chunk, drawn with this seed; run in a process of its own."""
    (screening,) = load(ROOT)
    tally = Tally()
    for cases in chunks(screening, CHUNK, seed):
        tally.add(compared(screening, cases))
    return tally


def _in_processes(sets: int) -> Tally:
    total = Tally()
    with ProcessPoolExecutor(PROCESSES) as pool:
        for number, tally in enumerate(pool.map(chunk, range(1, -(-sets // CHUNK) + 1)), start=1):
            total.add(tally)
            click.echo(f"{number * CHUNK} compared, {len(total.differences)} differences", err=True)
    return total


def _over_http(calls: int) -> Tally:
    (screening,) = load(ROOT)
    total = Tally()
    with asking() as ask:
        for cases in chunks(screening, calls, seed=20261123):
            total.add(compared(screening, cases, ask, shown))
    return total


@contextmanager
def asking() -> Iterator[Service]:
    """Starts the real server, and gives how it is asked."""
    with TemporaryDirectory() as folder, running(Path(folder)) as server, requests.Session() as session:
        yield lambda _, case, __: cards(server, session, case)


def cards(server: Running, session: requests.Session, case: Case) -> Opinion:
    """The topics of the cards that the server answers, and all rows that they name."""
    answer = session.post(server.address + HOOK, json=call(case.response, about=about(case)), timeout=_LONG)
    if answer.status_code == 400:
        return Opinion(REFUSED, frozenset())
    answer.raise_for_status()
    told = answer.json()["cards"]
    topics = " ".join(card["source"]["topic"]["code"] for card in told)
    return Opinion(topics, frozenset(row for card in told for row in card["extension"][RULES]["rows"]))


def _tell(what: str, tally: Tally, since: float) -> None:
    kinds: Counter[str] = Counter()
    for layer, number in tally.layers.items():
        kinds[_kind(layer)] += number
    took = time.monotonic() - since
    click.echo(f"{tally.layers.total()} answer sets {what}: {len(tally.differences)} differences, {took:.0f} seconds")
    for name, counted in (("disposition", tally.dispositions), ("layer", kinds)):
        click.echo(f"  by {name}: " + ", ".join(f"{one or 'no card'} {count}" for one, count in counted.most_common()))
    for one in tally.differences[:SHOWN]:
        click.echo(json.dumps(one.as_json()))


def _kind(layer: str) -> str:
    """A layer without the question or the row for which it was drawn."""
    words = layer.split()
    return " ".join(words[:-1]) if len(words) > 1 else layer


if __name__ == "__main__":
    sys.exit(main(*map(int, sys.argv[1:])))
