"""Visits of the form, begun and not yet ended: sealed, so that no reader of the database can use one."""

from datetime import datetime

from sqlalchemy import Connection, Engine, delete, insert, select

from cds_service.store.database import transaction, writing
from cds_service.store.tables import visits

BATCH = 500  # rows that are past, removed at each new one


def keep_visit(engine: Engine, id_: str, sealed: str, until: datetime, now: datetime) -> None:
    """Keeps what is sealed, `until` then at most. Raises Unavailable."""
    with writing(engine, "the form cannot be opened now; try again later") as connection:
        _drop(connection, now)
        connection.execute(insert(visits), {"id": id_, "sealed": sealed, "until": until})


def sealed_visit(engine: Engine, id_: str, now: datetime) -> str | None:
    """What is sealed; None where it is not there, or past. Raises Unavailable."""
    wanted = select(visits.c.sealed).where(visits.c.id == id_, visits.c.until > now)
    with transaction(engine, "the form cannot be opened now; try again later") as connection:
        return connection.execute(wanted).scalar()


def forget_visit(engine: Engine, id_: str) -> bool:
    """Removes it; whether it was there, which is so for one call only, in whatever process. Raises Unavailable."""
    with writing(engine, "the form cannot be opened now; try again later") as connection:
        return connection.execute(delete(visits).where(visits.c.id == id_)).rowcount == 1


def _drop(connection: Connection, now: datetime) -> None:
    """Some of those that are past. Two processes that do so at the same time do not wait for each other."""
    past = select(visits.c.id).where(visits.c.until < now).order_by(visits.c.until).limit(BATCH)
    if found := connection.execute(past.with_for_update(skip_locked=True)).scalars().all():
        connection.execute(delete(visits).where(visits.c.id.in_(found)))
