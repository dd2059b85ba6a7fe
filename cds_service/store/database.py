"""The database: opened, prepared and migrated; one way to read and one way to write, on SQLite and on PostgreSQL."""

import hashlib
import json
import sqlite3
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from datetime import datetime
from functools import cache
from importlib import import_module
from threading import Lock
from typing import Any

from sqlalchemy import URL, Connection, Dialect, Engine, Table, create_engine, event, func, make_url, select
from sqlalchemy.exc import SQLAlchemyError

from cds_service import strict_json
from cds_service.errors import Unavailable
from cds_service.migrations import migrate
from cds_service.store.prepared import faults

BUSY = 1.5  # seconds that a call waits for another writer; an EHR does not wait longer for a card
MOST = 2**31 - 1  # the largest number that a column of numbers holds
_CANNOT = "CDS_DATABASE_URL: the database cannot be opened; write one that can"
_DRIVERS = {"sqlite": "sqlite", "sqlite+pysqlite": "sqlite", "postgresql": "postgresql+psycopg"}


def open_store(url: str) -> Engine:
    """The database at `url`, its tables in their newest form. Any number of processes may open it at the same time.

    Raises Unavailable when it cannot be opened, is neither an SQLite file nor PostgreSQL, or holds tables that this
    version does not know.
    """
    try:
        engine = _engine(make_url(url))
        migrate(engine)
    except (SQLAlchemyError, ImportError, ValueError):
        raise Unavailable(_CANNOT) from None
    return engine


@contextmanager
def transaction(engine: Engine, refusal: str) -> Iterator[Connection]:
    """A transaction that is committed at its end, or not at all. Raises Unavailable with `refusal` when it cannot."""
    try:
        with engine.begin() as connection:
            yield connection
    except faults(engine):
        raise Unavailable(refusal) from None


@contextmanager
def writing(engine: Engine, refusal: str, *turn: str) -> Iterator[Connection]:
    """A transaction that reads and then writes, while no other with the same `turn` does, in whatever process.

    SQLite has one writer at a time; PostgreSQL one for each `turn`. Raises Unavailable with `refusal`.
    """
    with in_line(engine, refusal), transaction(engine.execution_options(immediate=True), refusal) as connection:
        if turn and connection.dialect.name == "postgresql":
            connection.execute(select(func.pg_advisory_xact_lock(_number(turn))))
        yield connection


@contextmanager
def in_line(engine: Engine, refusal: str) -> Iterator[None]:
    """The writers of this process one after the other on SQLite, which lets whoever asks at the right moment go first:
    among many threads, one would ask in vain for as long as it may. Raises Unavailable."""
    if engine.dialect.name != "sqlite":
        yield
        return
    line = _line(str(engine.url))
    if not line.acquire(timeout=BUSY):
        raise Unavailable(refusal)
    try:
        yield
    finally:
        line.release()


def once(dialect: Dialect, table: Table) -> Any:
    """An insert that does nothing where a unique value is there already: atomic, for any number of processes."""
    insert = import_module(f"sqlalchemy.dialects.{dialect.name}").insert  # only the one in use: the other costs 0.1 s
    return insert(table).on_conflict_do_nothing()


def scrub(engine: Engine) -> None:
    """What was deleted also leaves SQLite's write-ahead log, now or, while others read it, later."""
    if engine.dialect.name == "sqlite":
        with suppress(SQLAlchemyError, sqlite3.Error), engine.connect() as connection:
            raw: Any = connection.connection.driver_connection  # outside any transaction
            raw.execute("PRAGMA wal_checkpoint(TRUNCATE)")


def digest(value: Any) -> str:
    """The same for the same value, whatever the order of its members."""
    return hashlib.sha256(json.dumps(value, sort_keys=True, default=datetime.isoformat).encode()).hexdigest()


def _engine(url: URL) -> Engine:
    driver = _DRIVERS.get(url.drivername, url.drivername)
    options: dict[str, Any] = {"hide_parameters": True, "pool_timeout": BUSY}  # a comment is never logged
    options |= {"json_serializer": lambda value: strict_json.write(value).decode()}
    options |= {"json_deserializer": strict_json.read_own}
    if driver == "sqlite" and url.database not in (None, "", ":memory:"):
        engine = create_engine(url, connect_args={"timeout": BUSY}, **options)
        event.listen(engine, "connect", _prepare)
        event.listen(engine, "begin", _begin)
        return engine
    if driver == "postgresql+psycopg":
        from cds_service.store.postgres import connect  # only where it is used: its driver takes long to load

        engine = create_engine(url.set(drivername=driver), connect_args=_limits(url), pool_pre_ping=True, **options)
        event.listen(engine, "do_connect", connect)
        return engine
    raise Unavailable(
        "CDS_DATABASE_URL: only an SQLite file and PostgreSQL are supported; "
        "write sqlite:/// and the path of a file, or postgresql://user@host/database"
    )


def _limits(url: URL) -> dict[str, Any]:
    """No statement, lock or connection keeps a call waiting for long; for a server that stands still, see `connect`.

    Moments come in UTC: in the zone of a session, the first and the last year may hold one that Python cannot read.
    """
    milliseconds = int(BUSY * 1000)
    own = url.query.get("options", "")
    limits = [f"-c {name}={milliseconds}" for name in ("statement_timeout", "lock_timeout")]
    idle = "-c idle_in_transaction_session_timeout=60000"  # milliseconds; what a lost process held is let go
    return {
        "connect_timeout": 2,  # whole seconds, and no fewer than these
        "options": " ".join([own if isinstance(own, str) else " ".join(own), *limits, idle, "-c timezone=UTC"]).strip(),
    }


def _prepare(connection: sqlite3.Connection, _: object) -> None:
    """What is committed survives a power cut (FULL), readers and the writer do not wait for each other (WAL), and
    what is deleted is overwritten (secure_delete)."""
    connection.isolation_level = None  # _begin says when a transaction begins, and of which kind
    until = time.monotonic() + BUSY
    settings = ["journal_mode=WAL", "synchronous=FULL", "foreign_keys=ON", "secure_delete=ON"]
    while settings:
        try:
            connection.execute(f"PRAGMA {settings[0]}")
            settings.pop(0)
        except sqlite3.OperationalError:
            if time.monotonic() > until:
                raise
            time.sleep(0.01)  # seconds: to make a new file WAL, SQLite does not wait for others by itself


def _begin(connection: Connection) -> None:
    """A transaction that will write takes its turn at once: having read, it could no longer wait for another writer."""
    immediate = connection.get_execution_options().get("immediate")
    connection.exec_driver_sql("BEGIN IMMEDIATE" if immediate else "BEGIN")


def _number(turn: tuple[str, ...]) -> int:
    """The same number for the same words, in every process; of 64 bits, as PostgreSQL's advisory locks are."""
    return int.from_bytes(hashlib.sha256("\n".join(turn).encode()).digest()[:8], signed=True)


@cache
def _line(_url: str) -> Lock:
    return Lock()
