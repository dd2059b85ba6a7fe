"""Who did what, when, about which patient: an event for each write, in the transaction of the write itself.

Without its event nothing is written: the log never says less than the tables. An event names what was written and never
its content. Sources: NEN 7513; IHE BALP; FHIR R4 AuditEvent.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime

from sqlalchemy import Connection, Engine, RowMapping, and_, func, or_, select

from cds_service.store.database import MOST, transaction
from cds_service.store.tables import audit_events

_LAST_ID = 2**63 - 1  # of 64 bits


@dataclass(frozen=True)
class Act:
    """What a client does: when, for which user (a reference), about whom (a keyed hash), in which hook or request."""

    client: str
    at: datetime
    user: str = ""
    patient: str = ""
    instance: str = ""


def note(engine: Engine, act: Act, action: str, what: str, outcome: str = "0") -> None:
    """Commits one event by itself: of what was read or worked out, and left nothing else behind.

    `action` is C, R, U, D or E; `outcome` a code of AuditEvent.outcome. Raises Unavailable when it cannot be kept.
    """
    with transaction(engine, "the call cannot be recorded; try again later") as connection:
        add_events(connection, [event_of(act, action, what, outcome)])


def events(
    engine: Engine,
    client: str,
    *,
    id: int | None = None,  # noqa: A002 # the name of the column
    patient: str | None = None,
    since: datetime | None = None,
    until: datetime | None = None,
    count: int,
    after: tuple[datetime, int] | None = None,
) -> tuple[int, Sequence[RowMapping]]:
    """How many events of this client there are, and `count` of them behind `after`, a time and an id; newest first.

    Others that come in meanwhile move none of these. `since` and `until` belong to the time asked for. Raises
    Unavailable when they cannot be looked up.
    """
    named = [(audit_events.c.id, id), (audit_events.c.patient, patient)]
    wanted = [audit_events.c.client == client, *(column == value for column, value in named if value is not None)]
    wanted += [audit_events.c.at >= since] if since else []
    wanted += [audit_events.c.at <= until] if until else []
    if id is not None and not 0 < id <= _LAST_ID:
        return 0, []
    at, number = audit_events.c.at, audit_events.c.id
    behind = [or_(at < after[0], and_(at == after[0], number < after[1]))] if after else []
    page = select(audit_events).where(*wanted, *behind).order_by(at.desc(), number.desc())
    with transaction(engine, "the events cannot be looked up; try again later") as connection:
        total = connection.scalar(select(func.count()).select_from(audit_events).where(*wanted)) or 0
        return total, connection.execute(page.limit(min(count, MOST))).mappings().all()


def event_of(act: Act, action: str, what: str, outcome: str = "0", *, patient: str = "") -> dict[str, object]:
    """The row of one event; `patient` where what is written says itself about whom it is."""
    return {
        "at": act.at,
        "client": act.client,
        "agent": act.user,
        "patient": patient or act.patient,
        "instance": act.instance,
        "action": action,
        "what": what,
        "outcome": outcome,
    }


def add_events(connection: Connection, rows: Sequence[dict[str, object]]) -> None:
    """Adds the events to a transaction."""
    if rows:
        connection.execute(audit_events.insert(), rows)
