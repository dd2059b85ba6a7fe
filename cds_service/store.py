"""What is kept: decisions, their cards, feedback on these, and tokens seen; never the response or the patient.

The only SQL (SQLAlchemy 2 Core, on SQLite). All times are UTC. A comment in feedback is free text, which may name a
patient: it stands in its column and nowhere else.
"""

import hashlib
import json
import sqlite3
import time
from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager
from datetime import UTC, datetime
from typing import Any

from sqlalchemy import (
    JSON,
    Column,
    Connection,
    DateTime,
    Engine,
    ForeignKey,
    Integer,
    MetaData,
    String,
    Table,
    Text,
    create_engine,
    event,
    inspect,
    make_url,
    select,
)
from sqlalchemy.dialects.sqlite import Insert, insert
from sqlalchemy.exc import SQLAlchemyError

from cds_content.screening import Screening
from cds_content.shapes import Json
from cds_service.advice import Advice
from cds_service.errors import Unavailable

BUSY = 1.5  # seconds that a call waits for another writer; an EHR does not wait longer for a card
_metadata = MetaData()
decisions = Table(
    "decisions",
    _metadata,
    Column("id", Integer, primary_key=True),
    Column("at", DateTime(timezone=True), nullable=False),
    Column("client", String(64), nullable=False),
    *(Column(name, String(255), nullable=False) for name in ("service", "hook_instance", "questionnaire")),
    *(Column(name, String(64), nullable=False) for name in ("content_hash", "disposition")),
    *(Column(name, JSON, nullable=False) for name in ("rows", "unknown")),
)
cards = Table(
    "cards",
    _metadata,
    Column("uuid", String(36), primary_key=True),  # in lower case
    Column("decision", ForeignKey("decisions.id"), nullable=False),
    Column("client", String(64), nullable=False),
    Column("service", String(255), nullable=False),
    Column("topic", String(64), nullable=False),
    Column("suggestions", JSON, nullable=False),  # their uuids, in lower case
)
feedback = Table(
    "feedback",
    _metadata,
    Column("id", Integer, primary_key=True),  # the order in which feedback came, whatever its timestamps say
    Column("card", ForeignKey("cards.uuid"), nullable=False),
    Column("received_at", DateTime(timezone=True), nullable=False),
    Column("outcome", String(16), nullable=False),
    Column("outcome_timestamp", DateTime(timezone=True), nullable=False),
    Column("accepted_suggestions", JSON, nullable=False),
    *(Column(name, Text) for name in ("reason_code", "reason_system", "reason_display", "comment")),
    Column("digest", String(64), nullable=False, unique=True),  # of all that was said, so that a repeat is known
    sqlite_autoincrement=True,
)
seen_tokens = Table(
    "seen_tokens",
    _metadata,
    Column("digest", String(64), primary_key=True),
    Column("until", DateTime(timezone=True), nullable=False, index=True),
)


def open_store(url: str) -> Engine:
    """The database at `url`, with its tables; SQLite in WAL mode.

    Raises Unavailable when it cannot be opened, is not SQLite, or holds the tables of an earlier version.
    """
    try:
        if make_url(url).get_backend_name() != "sqlite":
            raise Unavailable("CDS_DATABASE_URL: only SQLite is supported; write sqlite:/// and the path of a file")
        engine = create_engine(url, connect_args={"timeout": BUSY}, hide_parameters=True)  # a comment is never logged
        event.listen(engine, "connect", _prepare)
        with engine.begin() as connection:
            connection.exec_driver_sql("BEGIN IMMEDIATE")  # two processes may start at the same time
            _refuse_earlier(connection)
            _metadata.create_all(connection)
    except (SQLAlchemyError, ImportError):
        raise Unavailable("CDS_DATABASE_URL: the database cannot be opened; write one that can") from None
    return engine


def decision(screening: Screening, client: str, service: str, instance: str, advice: Advice) -> Json:
    """The row of one decision for a client, without its time; `service` is the id in the address."""
    return {
        "client": client,
        "service": service,
        "hook_instance": instance,
        "questionnaire": screening.canonical,
        "content_hash": screening.hash,
        "disposition": advice.disposition,
        "rows": advice.rows,
        "unknown": [f"{one.question or 'response'}: {one.doubt}" for one in advice.unknown],
    }


def record(engine: Engine, row: Json, given: Sequence[Json], at: datetime) -> None:
    """Commits one decision and the cards that it gave, in one transaction. Raises Unavailable when it cannot."""
    refusal = "the decision cannot be recorded, so no advice is given; try again later"
    with _transaction(engine, refusal) as connection:
        made = {"at": at.astimezone(UTC), **row}
        number = connection.scalar(decisions.insert().values(made).returning(decisions.c.id))
        for card in given:
            connection.execute(cards.insert().values({"decision": number, **_card(row, card)}))


def issued(engine: Engine, client: str, service: str, uuids: Iterable[str]) -> dict[str, list[str]]:
    """Those of the cards `uuids` that this service gave to this client, each with the uuids of its suggestions.

    All in lower case, whatever the case of `uuids`. Raises Unavailable when they cannot be looked up.
    """
    wanted = {uuid.lower() for uuid in uuids}
    query = select(cards.c.uuid, cards.c.suggestions).where(
        cards.c.client == client, cards.c.service == service, cards.c.uuid.in_(wanted)
    )
    with _transaction(engine, "the cards cannot be looked up; send the feedback again later") as connection:
        return {row.uuid: row.suggestions for row in connection.execute(query)}


def record_feedback(engine: Engine, entries: Sequence[Json], at: datetime) -> None:
    """Commits all entries (rows without received_at and digest) in their order, or none.

    An entry that says what was said before is stored once, also when two processes receive it at the same time;
    another outcome for the same card is one more row. Raises Unavailable when it cannot.
    """
    rows = [{**entry, "received_at": at.astimezone(UTC), "digest": _digest(entry)} for entry in entries]
    with _transaction(engine, "the feedback cannot be recorded; send it again later") as connection:
        if rows:
            connection.execute(_once(feedback), rows)


def first_use(engine: Engine, issuer: str, jti: str, until: datetime, now: datetime) -> bool:
    """Whether this is the first use of the token, in whatever process; any later use is not.

    `until` is the last moment at which the token may be accepted, leeway included: after it the row is dropped.
    Raises Unavailable when the use cannot be recorded. Source: CDS Hooks best practices, "jti".
    """
    row = {"digest": _digest([issuer, jti]), "until": until.astimezone(UTC)}
    with _transaction(engine, "the call cannot be recorded; try again later") as connection:
        connection.execute(seen_tokens.delete().where(seen_tokens.c.until < now.astimezone(UTC)))
        return connection.execute(_once(seen_tokens), row).rowcount == 1


@contextmanager
def _transaction(engine: Engine, refusal: str) -> Iterator[Connection]:
    try:
        with engine.begin() as connection:
            yield connection
    except SQLAlchemyError:
        raise Unavailable(refusal) from None


def _card(row: Json, card: Json) -> Json:
    """The row of one card of the decision `row`; the card of a patient who reads has no suggestions."""
    return {
        "uuid": card["uuid"].lower(),
        "client": row["client"],
        "service": row["service"],
        "topic": card["source"]["topic"]["code"],
        "suggestions": [suggestion["uuid"].lower() for suggestion in card.get("suggestions", [])],
    }


def _once(table: Table) -> Insert:
    """An insert that does nothing where a unique value is there already: atomic, for any number of processes."""
    return insert(table).on_conflict_do_nothing()


def _digest(value: Any) -> str:
    """The same for the same value, whatever the order of its members."""
    return hashlib.sha256(json.dumps(value, sort_keys=True, default=datetime.isoformat).encode()).hexdigest()


def _prepare(connection: sqlite3.Connection, _: object) -> None:
    """What is committed survives a power cut (FULL), readers and the writer do not wait for each other (WAL)."""
    until = time.monotonic() + BUSY
    settings = ["journal_mode=WAL", "synchronous=FULL", "foreign_keys=ON"]
    while settings:
        try:
            connection.execute(f"PRAGMA {settings[0]}")
            settings.pop(0)
        except sqlite3.OperationalError:
            if time.monotonic() > until:
                raise
            time.sleep(0.01)  # seconds: to make a new file WAL, SQLite does not wait for others by itself


def _refuse_earlier(connection: Connection) -> None:
    found = inspect(connection)
    for table in _metadata.sorted_tables:
        columns = {column["name"] for column in found.get_columns(table.name)} if found.has_table(table.name) else None
        if columns not in (None, set(table.columns.keys())):
            raise Unavailable(
                "CDS_DATABASE_URL: this database was made by an earlier version of this service; "
                "move its file away and keep it, or write the URL of a new one"
            )
