"""What is kept: one row per decision, never the response or the patient. The only SQL (SQLAlchemy 2 Core)."""

from datetime import datetime

from sqlalchemy import JSON, Column, DateTime, Engine, Integer, MetaData, String, Table, create_engine, event
from sqlalchemy.exc import SQLAlchemyError

from cds_content.screening import Screening
from cds_content.shapes import Json
from cds_service.advice import Advice
from cds_service.errors import Unavailable

_metadata = MetaData()
decisions = Table(
    "decisions",
    _metadata,
    Column("id", Integer, primary_key=True),
    Column("at", DateTime(timezone=True), nullable=False),
    *(Column(name, String(255), nullable=False) for name in ("service", "hook_instance", "questionnaire")),
    *(Column(name, String(64), nullable=False) for name in ("content_hash", "disposition")),
    *(Column(name, JSON, nullable=False) for name in ("rows", "unknown", "cards", "suggestions")),
)


def open_store(url: str) -> Engine:
    """The database at `url`, with its tables; SQLite in WAL mode. Raises Unavailable when it cannot be opened."""
    try:
        engine = create_engine(url)
        if engine.dialect.name == "sqlite":
            event.listen(engine, "connect", lambda connection, _: connection.execute("PRAGMA journal_mode=WAL"))
        _metadata.create_all(engine)
    except (SQLAlchemyError, ImportError):
        raise Unavailable("CDS_DATABASE_URL: the database cannot be opened; write one that can") from None
    return engine


def decision(screening: Screening, service: str, instance: str, advice: Advice, cards: list[Json]) -> Json:
    """The row of one decision, without its time."""
    return {
        "service": service,
        "hook_instance": instance,
        "questionnaire": screening.canonical,
        "content_hash": screening.hash,
        "disposition": advice.disposition,
        "rows": advice.rows,
        "unknown": [f"{one.question or 'response'}: {one.doubt}" for one in advice.unknown],
        "cards": [card["uuid"] for card in cards],
        "suggestions": [suggestion["uuid"] for card in cards for suggestion in card.get("suggestions", [])],
    }


def record(engine: Engine, row: Json, at: datetime) -> None:
    """Commits one decision. Raises Unavailable when it cannot."""
    try:
        with engine.begin() as connection:
            connection.execute(decisions.insert().values({"at": at, **row}))
    except SQLAlchemyError:
        raise Unavailable("the decision cannot be recorded, so no advice is given; try again later") from None
