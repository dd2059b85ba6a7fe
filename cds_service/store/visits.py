"""Visits of the form, begun and not yet ended: sealed, so that no reader of the database can use one.

Beside a visit stand two marks, which hold nothing but its name: that it is being sent, and that it was.
"""

from datetime import datetime

from sqlalchemy import Connection, Engine, delete, insert, select

from cds_service.store.database import once, transaction, writing
from cds_service.store.tables import visits

BATCH = 500  # rows that are past, removed at each new one
_REFUSAL = "the form cannot be opened now; try again later"
_SENDING, _SENT = "sending", "sent"  # with the name of the visit behind it; no name of a visit has a space


def keep_visit(engine: Engine, id_: str, sealed: str, until: datetime, now: datetime) -> None:
    """Keeps what is sealed, `until` then at most. Raises Unavailable."""
    with writing(engine, _REFUSAL) as connection:
        _drop(connection, now)
        connection.execute(insert(visits), {"id": id_, "sealed": sealed, "until": until})


def sealed_visit(engine: Engine, id_: str, now: datetime) -> str | None:
    """What is sealed; None where it is not there, or past. Raises Unavailable."""
    wanted = select(visits.c.sealed).where(visits.c.id == id_, visits.c.until > now)
    with transaction(engine, _REFUSAL) as connection:
        return connection.execute(wanted).scalar()


def forget_visit(engine: Engine, id_: str) -> bool:
    """Removes it; whether it was there, which is so for one call only, in whatever process. Raises Unavailable."""
    with writing(engine, _REFUSAL) as connection:
        return connection.execute(delete(visits).where(visits.c.id == id_)).rowcount == 1


def claim_visit(engine: Engine, id_: str, until: datetime, now: datetime) -> bool:
    """Whether this call may send the visit: one at a time may, in whatever process, until it gives up or `until` then.

    Raises Unavailable.
    """
    mark = f"{_SENDING} {id_}"
    with writing(engine, _REFUSAL) as connection:
        connection.execute(delete(visits).where(visits.c.id == mark, visits.c.until <= now))
        return (
            connection.execute(once(connection.dialect, visits), {"id": mark, "sealed": "", "until": until}).rowcount
            == 1
        )


def release_visit(engine: Engine, id_: str) -> None:
    """Gives up the claim, so that the visit can be sent again. Raises Unavailable."""
    forget_visit(engine, f"{_SENDING} {id_}")


def end_visit(engine: Engine, id_: str, until: datetime) -> None:
    """Removes what was sealed, and keeps `until` then that it was sent. Raises Unavailable."""
    with writing(engine, _REFUSAL) as connection:
        connection.execute(delete(visits).where(visits.c.id.in_([id_, f"{_SENDING} {id_}"])))
        connection.execute(once(connection.dialect, visits), {"id": f"{_SENT} {id_}", "sealed": "", "until": until})


def is_sent(engine: Engine, id_: str, now: datetime) -> bool:
    """Whether it is known that the visit was sent. Raises Unavailable."""
    return sealed_visit(engine, f"{_SENT} {id_}", now) is not None


def _drop(connection: Connection, now: datetime) -> None:
    """Some of those that are past. Two processes that do so at the same time do not wait for each other."""
    past = select(visits.c.id).where(visits.c.until < now).order_by(visits.c.until).limit(BATCH)
    if found := connection.execute(past.with_for_update(skip_locked=True)).scalars().all():
        connection.execute(delete(visits).where(visits.c.id.in_(found)))
