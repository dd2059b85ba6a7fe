"""A database that is full, held by another, gone or standing still: nothing is acknowledged, the caller is told to come
back (503), and all goes on when it is there again."""

import os
import signal
import sqlite3
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import psycopg
import pytest
from sqlalchemy import Engine

from cds_service.errors import Unavailable
from cds_service.store import (
    audit_events,
    cards,
    create,
    decisions,
    delete,
    erase,
    events,
    export,
    feedback,
    first_use,
    issued,
    note,
    of_patient,
    open_store,
    purge,
    read,
    record,
    record_feedback,
    responses,
    transaction,
    update,
    writing,
)
from cds_service.store.lifetimes import Keep
from tests.postgres import Cluster, Database
from tests.store_samples import ACT, CARD, ENTRY, NOW, PATIENT, ROW, SERVICE, act, card, kept, opened, received

pytestmark = pytest.mark.timeless  # nothing in it is dated

OTHER_CARD = CARD.replace("3f", "4f")
Call = Callable[[Engine], Any]
WRITES: dict[str, Call] = {
    "record": lambda store: record(store, ACT, ROW, [card(OTHER_CARD)]),
    "feedback": lambda store: record_feedback(store, ACT, [ENTRY]),
    "token": lambda store: first_use(store, "https://ehr.example", "jti-1", NOW, NOW),
    "note": lambda store: note(store, ACT, "R", "x"),
    "create": lambda store: create(store, ACT, received()),
    "update": lambda store: update(store, ACT, "one", received(), None),
    "delete": lambda store: delete(store, ACT, "one"),
    "purge": lambda store: purge(store, Keep(), NOW),
    "erase": lambda store: erase(store, None, [PATIENT], NOW),
    "export": lambda store: export(store, None, [PATIENT], NOW),
}
READS: dict[str, Call] = {
    "issued": lambda store: issued(store, "hospital", SERVICE, [CARD]),
    "read": lambda store: read(store, "hospital", "one"),
    "of a patient": lambda store: of_patient(store, "hospital", PATIENT),
    "events": lambda store: events(store, "hospital", count=1),
}
TABLES = (decisions, cards, feedback, responses, audit_events)


@pytest.fixture(name="postgres_store")
def _postgres_store(database: Database, tmp_path: Path) -> Iterator[Engine]:
    with database("postgresql", tmp_path) as url, opened(url) as store:
        yield store


def filled(store: Engine) -> None:
    """Puts a card into the store, and the response "one"."""
    record(store, ACT, ROW, [card()])
    create(store, act(), received(), "one")


def refused(store: Engine, *calls: Call) -> None:
    """Each of the calls is refused, in words of its own that name nothing that was sent or that the database said."""
    for call in calls:
        with pytest.raises(Unavailable) as answer:
            call(store)
        assert answer.value.status == 503
        assert not [word for word in ("sql", "database", "lock", PATIENT) if word in str(answer.value).lower()]


def unchanged(store: Engine, before: dict[str, Any]) -> None:
    assert {table.name: kept(store, table) for table in TABLES} == before


def tables(store: Engine) -> dict[str, Any]:
    return {table.name: kept(store, table) for table in TABLES}


# The disk of SQLite is full.


def test_on_a_full_disk_nothing_is_acknowledged_and_with_room_again_all_is(tmp_path: Path) -> None:
    with opened(f"sqlite:///{tmp_path / 'd.sqlite'}") as store:
        filled(store)
        before = tables(store)
        with _full(store):
            refused(store, lambda store: record(store, ACT, ROW, [card(OTHER_CARD, "s" * 100_000)]))
            refused(store, lambda store: create(store, ACT, received(mark="m" * 100_000)))
            refused(store, lambda store: record_feedback(store, ACT, [ENTRY | {"comment": "c" * 100_000}]))
            assert len(of_patient(store, "hospital", PATIENT)) == 1
        unchanged(store, before)

        create(store, ACT, received(mark="m" * 100_000))
        assert len(of_patient(store, "hospital", PATIENT)) == 2


@contextmanager
def _full(store: Engine) -> Iterator[None]:
    """The file may not grow: SQLite says of it what it says of a full disk."""
    with store.connect() as connection:
        raw: Any = connection.connection.driver_connection
        (pages,) = raw.execute("PRAGMA page_count").fetchone()
        (room,) = raw.execute("PRAGMA max_page_count").fetchone()
        raw.execute(f"PRAGMA max_page_count={pages}")
    yield  # the pool gives out this connection again
    with store.connect() as connection:
        raw = connection.connection.driver_connection
        raw.execute(f"PRAGMA max_page_count={room}")


def test_a_file_that_may_not_be_written_refuses_writes_and_is_still_read(tmp_path: Path) -> None:
    """As on a disk that the system made read-only after a fault."""
    with opened(f"sqlite:///{tmp_path / 'd.sqlite'}") as store:
        filled(store)
        with store.connect() as connection:
            raw: Any = connection.connection.driver_connection
            raw.execute("PRAGMA query_only=ON")

        refused(store, *(call for name, call in WRITES.items() if name != "purge"))
        assert len(of_patient(store, "hospital", PATIENT)) == 1


# Another process holds what is needed.


def test_while_another_process_writes_to_sqlite_nothing_is_acknowledged_and_then_all_is(tmp_path: Path) -> None:
    with opened(f"sqlite:///{tmp_path / 'd.sqlite'}") as store:
        filled(store)
        before = tables(store)
        holder = sqlite3.connect(tmp_path / "d.sqlite", isolation_level=None)
        holder.execute("BEGIN IMMEDIATE")
        try:
            refused(store, WRITES["record"])
            for read_only in READS.values():
                read_only(store)  # readers do not wait
        finally:
            holder.execute("ROLLBACK")
            holder.close()
        unchanged(store, before)
        for write in WRITES.values():
            write(store)


def test_while_another_process_holds_the_tables_of_postgresql_nothing_is_acknowledged_and_then_all_is(
    postgres_store: Engine,
) -> None:
    filled(postgres_store)
    before = tables(postgres_store)
    with postgres_store.connect() as holder:
        holder.exec_driver_sql("LOCK TABLE responses, decisions IN ACCESS EXCLUSIVE MODE")
        refused(postgres_store, WRITES["record"])
        holder.rollback()
    unchanged(postgres_store, before)
    for call in [*READS.values(), *WRITES.values()]:
        call(postgres_store)


def test_while_another_process_changes_a_response_it_is_not_changed_and_others_are(postgres_store: Engine) -> None:
    filled(postgres_store)
    create(postgres_store, act(), received(), "two")
    with writing(postgres_store, "held", "hospital", "one"):
        refused(postgres_store, WRITES["update"])
        assert update(postgres_store, ACT, "two", received(), 1)

    assert update(postgres_store, ACT, "one", received(), 1)


def test_a_connection_more_than_there_may_be_is_refused_in_time(tmp_path: Path) -> None:
    with opened(f"sqlite:///{tmp_path / 'd.sqlite'}") as store:
        held = [store.connect() for _ in range(15)]  # as many as the pool gives
        refused(store, READS["read"])
        for connection in held:
            connection.close()
        assert read(store, "hospital", "one") is None


# The server of PostgreSQL.


def test_while_the_server_is_gone_nothing_is_acknowledged_and_when_it_is_back_all_is(
    cluster: Cluster, postgres_store: Engine
) -> None:
    filled(postgres_store)
    before = tables(postgres_store)
    cluster.stop()
    try:
        refused(postgres_store, *WRITES.values(), *READS.values())
        with pytest.raises(Unavailable, match="CDS_DATABASE_URL"):
            open_store(postgres_store.url.render_as_string(hide_password=False))
    finally:
        cluster.start()
    unchanged(postgres_store, before)
    for call in [*READS.values(), *WRITES.values()]:
        call(postgres_store)


def test_connections_that_broke_meanwhile_are_made_anew_and_nobody_notices(postgres_store: Engine) -> None:
    filled(postgres_store)
    with psycopg.connect(postgres_store.url.set(drivername="postgresql").render_as_string()) as other:
        other.execute(
            "SELECT pg_terminate_backend(pid) FROM pg_stat_activity"
            " WHERE pid <> pg_backend_pid() AND datname = current_database()"
        )

    assert len(of_patient(postgres_store, "hospital", PATIENT)) == 1


def test_a_server_that_stands_still_is_not_waited_for(postgres_store: Engine) -> None:
    """Its own time limits do not hold then; nor do those of the network, which is well."""
    filled(postgres_store)
    with pytest.raises(Unavailable, match="stands still"):
        _ask_one_that_stands_still(postgres_store)

    assert len(of_patient(postgres_store, "hospital", PATIENT)) == 1


def _ask_one_that_stands_still(store: Engine) -> None:
    with transaction(store, "stands still") as connection:
        process = int(connection.exec_driver_sql("SELECT pg_backend_pid()").scalar_one())
        os.kill(process, signal.SIGSTOP)
        try:
            connection.exec_driver_sql("SELECT 1")
        finally:
            os.kill(process, signal.SIGCONT)
