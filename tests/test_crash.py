"""The end of processes at any moment, on both databases: what was acknowledged is there, and nothing is there by half.

Four processes write; they are killed in the middle (`kill -9`), or on PostgreSQL, in every second round, the server
crashes. CRASH_ROUNDS says how many rounds; 3 without it.
"""

import os
from collections import Counter
from collections.abc import Iterator, Sequence
from contextlib import suppress
from dataclasses import dataclass
from datetime import datetime, timedelta
from multiprocessing.connection import Connection
from multiprocessing.process import BaseProcess
from typing import Any
from uuid import uuid4

import pytest
from sqlalchemy import Engine

from cds_service.errors import Unavailable
from cds_service.store import (
    audit_events,
    cards,
    create,
    decisions,
    delete,
    feedback,
    open_store,
    record,
    record_feedback,
    responses,
    update,
)
from tests.forked import context
from tests.postgres import Cluster
from tests.store_samples import ENTRY, NOW, ROW, act, card, kept, opened, received

pytestmark = pytest.mark.timeless  # another process does the work

WRITERS = 4
ENOUGH = 12  # what each has acknowledged before the end comes
ROUNDS = int(os.environ.get("CRASH_ROUNDS", "3"))


@dataclass(frozen=True)
class Written:
    """What a writer was told to be kept: table, key, and what only this row holds."""

    table: str
    key: Any
    mark: str


def write(url: str, acknowledged: Connection) -> None:
    """Writes until the end, and tells of each write after the store has acknowledged it."""
    store = open_store(url)
    for number in range(10**9):
        with suppress(Unavailable):  # others write, or the server is gone: nothing is acknowledged
            for written in _once(store, NOW + timedelta(seconds=number)):
                acknowledged.send(written)


def _once(store: Engine, at: datetime) -> Iterator[Written]:
    """One of each: a decision with two cards, feedback on one, a response, its update, and the end of another."""
    uuids = [str(uuid4()), str(uuid4())]
    yield Written("decisions", record(store, act(at), ROW, [card(uuid) for uuid in uuids]), " ".join(uuids))
    record_feedback(store, act(at), [ENTRY | {"card": uuids[0], "comment": uuids[0]}])
    yield Written("feedback", uuids[0], uuids[0])
    made = create(store, act(at), received(mark=uuids[0] * 100))  # more than a page of the database
    yield Written("responses", (made.id, 1), uuids[0] * 100)
    update(store, act(at), made.id, received(mark=uuids[1]), 1)
    yield Written("responses", (made.id, 2), uuids[1])
    delete(store, act(at), made.id)
    yield Written("responses", (made.id, 3), "")


def test_what_was_acknowledged_survives_kill_9_and_nothing_is_there_by_half(
    database_url: str, cluster: Cluster
) -> None:
    open_store(database_url).dispose()
    acknowledged: list[Written] = []
    for number in range(ROUNDS):
        server = cluster if number % 2 and database_url.startswith("postgresql") else None
        acknowledged += _until_the_end(database_url, server)
        with opened(database_url) as store:
            _nothing_is_lost(store, acknowledged)
            _nothing_is_there_by_half(store)

    assert len(acknowledged) >= ROUNDS * WRITERS * ENOUGH


def _until_the_end(url: str, server: Cluster | None) -> list[Written]:
    """What the writers told until they were killed; before that the server may have crashed and come back."""
    ends = [context.Pipe(duplex=False) for _ in range(WRITERS)]
    writers = [context.Process(target=write, args=(url, told)) for _, told in ends]
    for writer in writers:
        writer.start()
    for _, told in ends:
        told.close()
    heard = [one for hear, _ in ends for one in _hear(hear, ENOUGH)]
    _end(writers, server)
    heard += [one for hear, _ in ends for one in _hear(hear, 10**9)]
    for writer in writers:
        writer.join(timeout=60)
        writer.close()
    return heard


def _end(writers: Sequence[BaseProcess], server: Cluster | None) -> None:
    if server:
        server.stop("immediate")
        server.start()
    for writer in writers:
        writer.kill()


def _hear(hear: Connection, count: int) -> Iterator[Written]:
    """So many of the acknowledgements, or those until the writer's end; the last may be cut off."""
    try:
        for _ in range(count):
            yield hear.recv()
    except (EOFError, OSError):
        hear.close()


def _nothing_is_lost(store: Engine, acknowledged: list[Written]) -> None:
    given: dict[int, list[str]] = {}
    for row in kept(store, cards):
        given.setdefault(row["decision"], []).append(row["uuid"])
    found = {Written("decisions", row["id"], " ".join(given[row["id"]])) for row in kept(store, decisions)}
    found |= {Written("feedback", row["card"], row["comment"]) for row in kept(store, feedback)}
    for row in kept(store, responses):
        body = row["body"]
        found.add(Written("responses", (row["id"], row["version"]), body["item"][0]["linkId"] if body else ""))
    ordered = {_sorted(one) for one in acknowledged}
    assert ordered <= {_sorted(one) for one in found}
    assert len(ordered) == len(acknowledged)


def _sorted(one: Written) -> Written:
    """With the cards of a decision in one order."""
    return Written(one.table, one.key, " ".join(sorted(one.mark.split())))


def _nothing_is_there_by_half(store: Engine) -> None:
    """Every decision has both cards, every response its versions without a gap and one current, every row its event."""
    rows = {table.name: kept(store, table) for table in (decisions, cards, feedback, responses, audit_events)}
    assert set(Counter(row["decision"] for row in rows["cards"]).values()) == {2}
    assert {row["decision"] for row in rows["cards"]} == {row["id"] for row in rows["decisions"]}
    versions: dict[str, list[tuple[int, bool]]] = {}
    for row in rows["responses"]:
        versions.setdefault(row["id"], []).append((row["version"], row["current"]))
    for found in versions.values():
        last = len(found)
        assert found == [(version, version == last) for version in range(1, last + 1)]
    events = [row["what"] for row in rows["audit_events"]]
    expected = [f"decision/{row['id']}" for row in rows["decisions"]]
    expected += [f"feedback/{row['id']}" for row in rows["feedback"]]
    expected += [f"QuestionnaireResponse/{row['id']}/_history/{row['version']}" for row in rows["responses"]]
    assert sorted(events) == sorted(expected)
