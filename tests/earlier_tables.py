"""The tables as earlier versions of the service made them, before there were migrations; never changed."""

from sqlalchemy import JSON, Column, DateTime, ForeignKey, Integer, MetaData, String, Table, Text

FIRST = MetaData()
Table(
    "decisions",
    FIRST,
    Column("id", Integer, primary_key=True),
    Column("at", DateTime(timezone=True), nullable=False),
    *(Column(name, String(255), nullable=False) for name in ("service", "hook_instance", "questionnaire")),
    *(Column(name, String(64), nullable=False) for name in ("content_hash", "disposition")),
    *(Column(name, JSON, nullable=False) for name in ("rows", "unknown", "cards", "suggestions")),
)

SECOND = MetaData()
Table(
    "decisions",
    SECOND,
    Column("id", Integer, primary_key=True),
    Column("at", DateTime(timezone=True), nullable=False),
    Column("client", String(64), nullable=False),
    *(Column(name, String(255), nullable=False) for name in ("service", "hook_instance", "questionnaire")),
    *(Column(name, String(64), nullable=False) for name in ("content_hash", "disposition")),
    *(Column(name, JSON, nullable=False) for name in ("rows", "unknown")),
)
Table(
    "cards",
    SECOND,
    Column("uuid", String(36), primary_key=True),
    Column("decision", ForeignKey("decisions.id"), nullable=False),
    Column("client", String(64), nullable=False),
    Column("service", String(255), nullable=False),
    Column("topic", String(64), nullable=False),
    Column("suggestions", JSON, nullable=False),
)
Table(
    "feedback",
    SECOND,
    Column("id", Integer, primary_key=True),
    Column("card", ForeignKey("cards.uuid"), nullable=False),
    Column("received_at", DateTime(timezone=True), nullable=False),
    Column("outcome", String(16), nullable=False),
    Column("outcome_timestamp", DateTime(timezone=True), nullable=False),
    Column("accepted_suggestions", JSON, nullable=False),
    *(Column(name, Text) for name in ("reason_code", "reason_system", "reason_display", "comment")),
    Column("digest", String(64), nullable=False, unique=True),
    sqlite_autoincrement=True,
)
Table(
    "seen_tokens",
    SECOND,
    Column("digest", String(64), primary_key=True),
    Column("until", DateTime(timezone=True), nullable=False, index=True),
)
