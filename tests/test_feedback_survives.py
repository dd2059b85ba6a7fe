"""Feedback survives the end of the process: what was answered with 200 is there, once and in order, after `kill -9`."""

import contextlib
import subprocess
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import pytest
import requests
from sqlalchemy import Engine, func, select

from cds_service.store import cards, decisions, feedback, open_store
from tests.processes import COMMAND, environment, free_port, until_it_listens

pytestmark = pytest.mark.timeless  # another process does the work

SERVICE = "/cds-services/low-back-pain-patient-view"
EXAMPLE = "/examples/new-bladder-problems"  # one card
CALLS = 400
ENOUGH = 40  # of them are answered when the process is killed
Json = dict[str, Any]


@contextlib.contextmanager
def running(folder: Path) -> Iterator[tuple[str, subprocess.Popen[bytes]]]:
    """The service in a process of its own, with its database in the folder. It never ends but by SIGKILL."""
    port = free_port()
    settings = environment(folder, CDS_DEVELOPMENT="1", CDS_PORT=str(port))
    process = subprocess.Popen([COMMAND, "serve"], env=settings, cwd=folder, stdout=subprocess.DEVNULL)
    try:
        until_it_listens(port, process)
        yield f"http://127.0.0.1:{port}", process
    finally:
        process.kill()
        process.wait(timeout=60)


@pytest.fixture(name="store")
def _store(tmp_path: Path) -> Iterator[Engine]:
    """The database of the service, as another process sees it."""
    store = open_store(f"sqlite:///{tmp_path / 'decisions.sqlite'}")
    yield store
    store.dispose()


def given(address: str) -> Json:
    """A card of the running service, for its own example."""
    body = requests.get(f"{address}{EXAMPLE}", timeout=60).json()
    (card,) = requests.post(f"{address}{SERVICE}", json=body, timeout=60).json()["cards"]
    return dict(card)


def accepted(card: Json, time: str = "2026-11-22T10:00:00Z") -> Json:
    ids = [{"id": one["uuid"]} for one in card["suggestions"]]
    return {"card": card["uuid"], "outcome": "accepted", "acceptedSuggestions": ids, "outcomeTimestamp": time}


def overridden(card: Json, time: str = "2026-11-22T10:05:00Z") -> Json:
    return {"card": card["uuid"], "outcome": "overridden", "outcomeTimestamp": time}


def tell(address: str, *entries: Json) -> None:
    """Sends the entries in one call; fails unless they are taken."""
    answer = requests.post(f"{address}{SERVICE}/feedback", json={"feedback": entries}, timeout=60)
    assert (answer.status_code, answer.json()) == (200, {"recorded": len(entries)})


def said(*entries: Json) -> list[tuple[str, ...]]:
    """What is to be kept of these entries."""
    return [(one["card"], one["outcome"], one["outcomeTimestamp"]) for one in entries]


def kept(store: Engine) -> list[tuple[str, ...]]:
    """Card, outcome and time of every row, in the order in which they came."""
    query = select(feedback.c.card, feedback.c.outcome, feedback.c.outcome_timestamp).order_by(feedback.c.id)
    with store.connect() as connection:
        return [
            (card, outcome, time.isoformat().replace("+00:00", "Z"))
            for card, outcome, time in connection.execute(query)
        ]


def test_feedback_before_and_after_a_kill_is_kept_once_and_in_order(tmp_path: Path, store: Engine) -> None:
    with running(tmp_path) as (address, _):
        card = given(address)
        tell(address, accepted(card))
    assert kept(store) == said(accepted(card))

    with running(tmp_path) as (address, _):
        tell(address, accepted(card))
        tell(address, overridden(card))
        tell(address, overridden(card), accepted(card))

    assert kept(store) == said(accepted(card), overridden(card))


def test_a_kill_amid_many_calls_loses_nothing_that_was_answered(tmp_path: Path, store: Engine) -> None:
    with running(tmp_path) as (address, process):
        shown, taken = _until_killed(address, process)
    assert ENOUGH <= len(taken) < CALLS, "the process was killed amid the calls"

    found = kept(store)
    assert set(said(*map(accepted, taken))) <= set(found)
    assert len(set(found)) == len(found)
    with store.connect() as connection:
        assert {card["uuid"] for card in shown} <= set(connection.execute(select(cards.c.uuid)).scalars())
        counted = [connection.scalar(select(func.count()).select_from(table)) for table in (decisions, cards)]
    assert counted[0] == counted[1], "no decision without its card"

    with running(tmp_path) as (address, _):
        tell(address, *map(accepted, shown))
    assert sorted(kept(store)) == sorted(said(*map(accepted, shown)))


def _until_killed(address: str, process: subprocess.Popen[bytes]) -> tuple[list[Json], list[Json]]:
    """Cards are asked for and accepted, some at a time, until the process is killed: the cards that were answered, and
    those whose feedback was."""
    shown: list[Json] = []
    taken: list[Json] = []

    def accept(_: int) -> None:
        with contextlib.suppress(requests.ConnectionError, requests.exceptions.ChunkedEncodingError):  # it is gone
            shown.append(card := given(address))
            tell(address, accepted(card))
            taken.append(card)
        if len(taken) >= ENOUGH:
            process.kill()

    with ThreadPoolExecutor(4) as senders:
        list(senders.map(accept, range(CALLS)))
    return shown, taken
