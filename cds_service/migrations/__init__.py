"""The steps from each earlier form of the tables to the newest: run by the service itself whenever it opens a database.

Each step is one revision of Alembic in versions/. A database from before there were revisions is known by its tables.
"""

from pathlib import Path
from threading import Lock
from typing import Any

from sqlalchemy import Connection, Engine, inspect, text

from cds_service.errors import Unavailable

WAIT = 60  # seconds that a start waits for another process that is changing the tables
_TURN = 7_253_026_501  # of PostgreSQL's advisory locks, the one that says that tables are being changed
_alone = Lock()  # Alembic keeps the running migration in its modules
_DECISIONS = {"id", "at", "service", "hook_instance", "questionnaire", "content_hash", "disposition", "rows", "unknown"}
_FORMS: dict[str, dict[str, set[str]]] = {  # the tables and columns of the revisions that left no mark of their own
    "0001": {"decisions": _DECISIONS | {"cards", "suggestions"}},
    "0002": {
        "decisions": _DECISIONS | {"client"},
        "cards": {"uuid", "decision", "client", "service", "topic", "suggestions"},
        "feedback": {"id", "card", "received_at", "outcome", "outcome_timestamp", "accepted_suggestions", "digest"}
        | {"reason_code", "reason_system", "reason_display", "comment"},
        "seen_tokens": {"digest", "until"},
    },
}
_OURS = ("decisions", "cards", "feedback", "seen_tokens", "responses", "audit_events", "access_tokens", "visits")


def migrate(engine: Engine, revision: str = "head") -> None:
    """Brings the tables to `revision`, alone: another process that starts at the same time waits for it.

    Raises Unavailable for tables of a later version, or of no version at all; SQLAlchemyError. Then nothing is changed.
    """
    wanted = _revisions()[-1] if revision == "head" else revision
    with engine.connect() as connection:
        if _marked(connection) == wanted:
            return  # as on nearly every start: no lock is needed
    try:
        with _alone, engine.connect().execution_options(immediate=True) as connection:
            _upgrade(connection, revision)
    finally:
        engine.dispose()  # the connection that ran without limits and checks is not used again


def _revisions() -> list[str]:
    """All that there are, in their order: a file in versions/ is named for its own, which begins with r."""
    return sorted(path.stem[1:5] for path in (Path(__file__).parent / "versions").glob("r*.py"))


def _upgrade(connection: Connection, revision: str) -> None:
    from alembic import command  # only where tables are changed: it takes a tenth of a second to load
    from alembic.config import Config

    config = Config()  # there is no alembic.ini
    config.set_main_option("script_location", str(Path(__file__).parent).replace("%", "%%"))
    _prepare(connection)
    with connection.begin():
        _take_turn(connection)
        config.attributes["connection"] = connection
        marked = _marked(connection)
        if marked is None and (form := _form(connection)):
            command.stamp(config, form)
        if marked not in (None, *_revisions()):
            raise Unavailable(
                "CDS_DATABASE_URL: this database was made by a later version of this service; "
                "start that version, or write the URL of another database"
            )
        command.upgrade(config, revision)
        _check(connection)


def _prepare(connection: Connection) -> None:
    """Outside the transaction: time to wait for others. SQLite makes a changed table anew and drops the old one, to
    which other tables refer meanwhile."""
    raw: Any = connection.connection.driver_connection
    if connection.dialect.name == "sqlite":
        raw.execute("PRAGMA foreign_keys=OFF")
        raw.execute(f"PRAGMA busy_timeout={WAIT * 1000}")
    else:
        raw.patience = WAIT * 60


def _take_turn(connection: Connection) -> None:
    """On SQLite the transaction began by taking it."""
    if connection.dialect.name == "postgresql":
        connection.execute(text(f"SET LOCAL lock_timeout = '{WAIT}s'"))
        connection.execute(text(f"SET LOCAL statement_timeout = '{WAIT * 60}s'"))
        connection.execute(text(f"SELECT pg_advisory_xact_lock({_TURN})"))


def _check(connection: Connection) -> None:
    if connection.dialect.name == "sqlite" and connection.exec_driver_sql("PRAGMA foreign_key_check").first():
        raise Unavailable("CDS_DATABASE_URL: rows of this database refer to rows that are not there; restore a backup")


def _marked(connection: Connection) -> str | None:
    """The revision that the database says it has."""
    if not inspect(connection).has_table("alembic_version"):
        return None
    marked: str | None = connection.scalar(text("SELECT version_num FROM alembic_version"))
    return marked


def _form(connection: Connection) -> str | None:
    """The revision of a database that says none: None when it is new. Raises Unavailable for unknown tables."""
    found = inspect(connection)
    tables = {name: {column["name"] for column in found.get_columns(name)} for name in _OURS if found.has_table(name)}
    known = [revision for revision, form in _FORMS.items() if form == tables]
    if tables and not known:
        raise Unavailable(
            "CDS_DATABASE_URL: this database holds tables that no version of this service made; "
            "move it away and keep it, or write the URL of a new one"
        )
    return known[0] if known else None
