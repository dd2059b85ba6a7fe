"""The tables, in their newest form; the steps from earlier forms stand in cds_service/migrations.

A moment goes in with its zone and comes out in UTC, whatever the database makes of it. `client` names the owner of a
row: another client's rows do not exist for it. `patient` is a keyed hash, never a reference. Answers stand in
responses.body, and a clinician's words in feedback.comment and reason_display; both stand nowhere else.
"""

import re
from datetime import UTC, datetime
from typing import Any

from sqlalchemy import (
    JSON,
    BigInteger,
    Boolean,
    Column,
    DateTime,
    Dialect,
    ForeignKey,
    Index,
    Integer,
    MetaData,
    Table,
    Text,
    TypeDecorator,
    UniqueConstraint,
    text,
)

_NOT_KEPT = re.compile("[\0\ud800-\udfff]")


class Moment(TypeDecorator[datetime]):
    """A moment in UTC. SQLite keeps no zone, and PostgreSQL answers in the zone of the session."""

    impl = DateTime(timezone=True)
    cache_ok = True

    def process_bind_param(self, value: datetime | None, _: Dialect) -> datetime | None:
        return value and in_utc(value)

    def process_result_value(self, value: datetime | None, _: Dialect) -> datetime | None:
        return value and (value.astimezone(UTC) if value.tzinfo else value.replace(tzinfo=UTC))


class Words(TypeDecorator[str]):
    """Text as both databases can keep it: NUL and half a surrogate pair, which PostgreSQL refuses, become U+FFFD."""

    impl = Text
    cache_ok = True

    def process_bind_param(self, value: str | None, _: Dialect) -> str | None:
        return value and _NOT_KEPT.sub("\ufffd", value)


def in_utc(moment: datetime) -> datetime:
    """The moment in UTC; one so early or so late that its year does not exist there keeps its clock time."""
    try:
        return moment.astimezone(UTC)
    except OverflowError:
        return moment.replace(tzinfo=UTC)


def _words(*names: str) -> list[Column[Any]]:
    return [Column(name, Words, nullable=False) for name in names]


Number = BigInteger().with_variant(Integer, "sqlite")  # 64 bits in both; SQLite counts by itself only an INTEGER
metadata = MetaData()
decisions = Table(
    "decisions",
    metadata,
    Column("id", Number, primary_key=True),
    Column("at", Moment, nullable=False, index=True),
    *_words("client", "patient", "service", "hook_instance", "questionnaire", "content_hash", "disposition"),
    *(Column(name, JSON, nullable=False) for name in ("rows", "unknown")),
    Index("ix_decisions_patient", "client", "patient"),
    sqlite_autoincrement=True,  # a number that an event names is never given to another decision
)
cards = Table(
    "cards",
    metadata,
    Column("uuid", Words, primary_key=True),  # in lower case
    Column("decision", ForeignKey("decisions.id"), nullable=False, index=True),
    *_words("client", "service", "topic"),
    Column("suggestions", JSON, nullable=False),  # their uuids, in lower case
)
feedback = Table(
    "feedback",
    metadata,
    Column("id", Number, primary_key=True),  # the order in which feedback came, whatever its timestamps say
    Column("card", ForeignKey("cards.uuid"), nullable=False, index=True),
    Column("received_at", Moment, nullable=False, index=True),
    *_words("outcome"),
    Column("outcome_timestamp", Moment, nullable=False),
    Column("accepted_suggestions", JSON, nullable=False),
    *(Column(name, Words) for name in ("reason_code", "reason_system", "reason_display", "comment")),
    *_words("digest"),  # of all that was said, so that a repeat is known
    UniqueConstraint("digest"),
    sqlite_autoincrement=True,
)
seen_tokens = Table(
    "seen_tokens",
    metadata,
    Column("digest", Words, primary_key=True),
    Column("until", Moment, nullable=False, index=True),
)
access_tokens = Table(
    "access_tokens",
    metadata,
    Column("digest", Words, primary_key=True),
    *_words("client", "scopes"),
    Column("until", Moment, nullable=False, index=True),
)
visits = Table(  # of the form: begun and not yet ended
    "visits",
    metadata,
    Column("id", Words, primary_key=True),
    *_words("sealed"),  # under a key that only the browser's cookie holds
    Column("until", Moment, nullable=False, index=True),
)
responses = Table(  # one row for each version of a QuestionnaireResponse
    "responses",
    metadata,
    Column("client", Words, primary_key=True),
    Column("id", Words, primary_key=True),
    Column("version", Integer, primary_key=True, autoincrement=False),
    Column("current", Boolean, nullable=False),
    *_words("patient", "questionnaire", "status", "author", "identifier_system", "identifier_value", "disposition"),
    Column("authored", Moment),  # the first moment that its date may mean
    Column("latest", Moment),  # the last one; NULL: as authored, in what an earlier version wrote beside this one
    Column("received_at", Moment, nullable=False),  # the first version
    Column("updated_at", Moment, nullable=False),  # this version
    Column("dated", Moment, nullable=False, index=True),  # its lifetime begins here
    Column("body", JSON(none_as_null=True)),  # NULL: this version says that it was deleted
    Index("ix_responses_patient", "client", "patient"),
    Index("ix_responses_received_at", "client", "received_at"),
    Index(
        "ix_responses_identifier",
        "identifier_value",
        postgresql_using="hash",  # any length; its other kind refuses a row with some 2,700 bytes
        postgresql_where=text("identifier_value <> ''"),  # most have none, and so many of one value are slow
        sqlite_where=text("identifier_value <> ''"),
    ),
)
audit_events = Table(
    "audit_events",
    metadata,
    Column("id", Number, primary_key=True),
    Column("at", Moment, nullable=False, index=True),
    *_words("client", "agent", "patient", "instance", "action", "what", "outcome"),
    Index("ix_audit_events_client", "client", "at"),
    Index("ix_audit_events_patient", "client", "patient"),
    sqlite_autoincrement=True,
)
