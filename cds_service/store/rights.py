"""One patient's rights: what is kept about somebody is handed over, and what the law lets go is removed.

A patient is known by keyed hashes only, one for each client. Sources: GDPR, art. 15, 17(1) and 17(3)(b); NEN 7513.
"""

from collections.abc import Iterator, Sequence
from datetime import datetime

from sqlalchemy import ColumnElement, Connection, Engine, Select, Table, func, or_, select, union

from cds_content.shapes import Json
from cds_service.store.audit import Act, add_events, event_of
from cds_service.store.database import scrub, transaction, writing
from cds_service.store.tables import audit_events, cards, decisions, feedback, responses

WHY = (
    "the law asks that the record of who did what, when and about whom is kept for at least five years (NEN 7513); "
    "it holds a keyed hash of the patient, and no answers"
)
_OWNED = (responses, decisions, audit_events)


def owners(engine: Engine) -> list[str]:
    """Every client of which anything is kept, whether or not it is a client still. Raises Unavailable."""
    query = union(*(select(table.c.client) for table in _OWNED))
    with transaction(engine, "the clients cannot be looked up; try again later") as connection:
        return sorted(connection.execute(query).scalars())


def erase(engine: Engine, client: str | None, patients: Sequence[str], at: datetime, user: str = "") -> Json:
    """Removes every version of the responses of the patient, and the words in feedback on cards about the patient.

    `patients` are the keyed hashes, and `client` whose rows (None: of every client). Gives what was removed, what is
    kept and why. Each client that had any has an event of it. Raises Unavailable: then nothing is removed.
    """
    with writing(engine, "nothing is erased; try again later", "erase") as connection:
        _tell(connection, client, patients, Act("", at, user), "D", "erase")
        words = feedback.update().where(_said(client, patients), feedback.c.id.in_(_with_words()))
        comments = connection.execute(words.values(comment=None, reason_display=None)).rowcount
        gone = connection.execute(responses.delete().where(*_about(responses, client, patients))).rowcount
        kept = {table.name: _count(connection, query) for table, query in _records(client, patients)}
    scrub(engine)
    return {"removed": {"responses": gone, "comments": comments}, "kept": kept, "why": WHY}


def export(engine: Engine, client: str | None, patients: Sequence[str], at: datetime, user: str = "") -> Json:
    """All that is kept about the patient, by table: every version of each response, and the records.

    `patients` and `client` as for `erase`. Each client that had any has an event of it. Raises Unavailable.
    """
    with writing(engine, "nothing is exported; try again later", "export") as connection:
        _tell(connection, client, patients, Act("", at, user), "R", "export")
        kept = [(responses, select(responses).where(*_about(responses, client, patients)))]
        return {table.name: _rows(connection, table, query) for table, query in [*kept, *_records(client, patients)]}


def _tell(
    connection: Connection, client: str | None, patients: Sequence[str], act: Act, action: str, what: str
) -> None:
    """An event for each client and hash of which anything is kept."""
    found = union(
        *(select(table.c.client, table.c.patient).where(*_about(table, client, patients)) for table in _OWNED)
    )
    told = [Act(row.client, act.at, act.user, row.patient) for row in connection.execute(found)]
    add_events(connection, [event_of(one, action, what) for one in told])


def _about(table: Table, client: str | None, patients: Sequence[str]) -> list[ColumnElement[bool]]:
    """The empty hash is nobody's: it stands where it is not known about whom a row is."""
    mine = [table.c.client == client] if client is not None else []
    return [*mine, table.c.patient.in_([one for one in patients if one])]


def _records(client: str | None, patients: Sequence[str]) -> Iterator[tuple[Table, Select[tuple[object, ...]]]]:
    """What the log holds about the patient, by table."""
    yield decisions, select(decisions).where(*_about(decisions, client, patients))
    yield cards, select(cards).where(cards.c.uuid.in_(_given(client, patients)))
    yield feedback, select(feedback).where(_said(client, patients))
    yield audit_events, select(audit_events).where(*_about(audit_events, client, patients))


def _given(client: str | None, patients: Sequence[str]) -> Select[tuple[str]]:
    return select(cards.c.uuid).join(decisions).where(*_about(decisions, client, patients))


def _said(client: str | None, patients: Sequence[str]) -> ColumnElement[bool]:
    return feedback.c.card.in_(_given(client, patients))


def _with_words() -> Select[tuple[int]]:
    return select(feedback.c.id).where(or_(feedback.c.comment.is_not(None), feedback.c.reason_display.is_not(None)))


def _count(connection: Connection, query: Select[tuple[object, ...]]) -> int:
    return connection.scalar(select(func.count()).select_from(query.subquery())) or 0


def _rows(connection: Connection, table: Table, query: Select[tuple[object, ...]]) -> list[Json]:
    """The rows as JSON, moments as text."""
    found = connection.execute(query.order_by(*table.primary_key)).mappings()
    return [{name: _plain(value) for name, value in row.items()} for row in found]


def _plain(value: object) -> object:
    return value.isoformat() if isinstance(value, datetime) else value
