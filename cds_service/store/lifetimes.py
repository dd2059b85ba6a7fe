"""How long what is kept is kept, and its removal: a little at a time, so that no call waits long for it.

Sources: GDPR, art. 5(1)(e); NEN 7513 and Stcrt. 2019, 38007 (the log: at least five years).
"""

import time
from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime, timedelta

from sqlalchemy import Column, ColumnElement, Connection, Engine, Table, and_, delete, exists, select, tuple_, union

from cds_service.store.audit import Act, add_events, event_of
from cds_service.store.database import scrub, writing
from cds_service.store.tables import (
    access_tokens,
    audit_events,
    cards,
    decisions,
    feedback,
    responses,
    seen_tokens,
    visits,
)

BATCH = 25  # rows in one transaction, which takes some milliseconds
REST = 0.01  # seconds after each: SQLite does not put writers in a line, and one who waits looks again after as much
_TABLES = ("responses", "decisions", "cards", "feedback", "audit_events", "seen_tokens", "access_tokens", "visits")


@dataclass(frozen=True)
class Keep:
    """A response: from the latest moment at which it may have been filled in, or received if that is not known or still
    to come; no version longer than the current one. Records: from their own time; a decision with its cards no shorter
    than the feedback on these."""

    responses: timedelta = timedelta(days=30)
    records: timedelta = timedelta(days=5 * 366)


Removed = dict[str, int]  # rows by table; empty: there was nothing to remove
Step = Callable[[Connection, datetime, datetime], Removed]  # with the limit, and now


def purge(engine: Engine, keep: Keep, now: datetime) -> Removed:
    """Removes what has been kept long enough, of every client; how many rows, by table.

    Each client whose responses or decisions go has an event of it. Raises Unavailable: what went before stays removed.
    """
    total = dict.fromkeys(_TABLES, 0)
    old = now - keep.records
    steps = ((_responses, now - keep.responses), (_feedback, old), (_decisions, old), (_events, old), (_tokens, now))
    for step, limit in steps:
        while removed := _batch(engine, step, limit, now):
            total |= {table: total[table] + count for table, count in removed.items()}
            time.sleep(REST)
    scrub(engine)
    return total


def _batch(engine: Engine, step: Step, limit: datetime, now: datetime) -> Removed:
    with writing(engine, "what is past its lifetime cannot be removed; try again later", "purge") as connection:
        return step(connection, limit, now)


def _responses(connection: Connection, limit: datetime, now: datetime) -> Removed:
    """Each version by its own date, and none later than the current one, which goes last: nothing stays without it."""
    key = (responses.c.client, responses.c.id, responses.c.version)
    newest = responses.alias()
    of_gone = and_(newest.c.client == responses.c.client, newest.c.id == responses.c.id, newest.c.current)
    own = select(*key, responses.c.current).where(responses.c.dated < limit)
    theirs = select(*key, responses.c.current).join(newest, of_gone).where(newest.c.dated < limit)
    past = union(own, theirs).subquery()
    found = connection.execute(select(past).order_by(past.c.current).limit(BATCH)).all()
    _tell(connection, {row.client for row in found}, now)
    return _removed(connection, responses, tuple_(*key).in_([tuple(row)[:3] for row in found]), found)


def _feedback(connection: Connection, limit: datetime, _: datetime) -> Removed:
    found = connection.execute(select(feedback.c.id).where(feedback.c.received_at < limit).limit(BATCH)).all()
    return _removed(connection, feedback, feedback.c.id.in_([row.id for row in found]), found)


def _decisions(connection: Connection, limit: datetime, now: datetime) -> Removed:
    """With their cards; those on whose cards feedback is still kept stay."""
    said = exists().where(cards.c.decision == decisions.c.id, feedback.c.card == cards.c.uuid)
    query = select(decisions.c.id, decisions.c.client).where(decisions.c.at < limit, ~said).limit(BATCH)
    found = connection.execute(query).all()
    _tell(connection, {row.client for row in found}, now)
    ids = [row.id for row in found]
    given = connection.execute(select(cards.c.uuid).where(cards.c.decision.in_(ids))).all()
    gone = _removed(connection, cards, cards.c.decision.in_(ids), given)
    return gone | _removed(connection, decisions, decisions.c.id.in_(ids), found)


def _events(connection: Connection, limit: datetime, _: datetime) -> Removed:
    found = connection.execute(select(audit_events.c.id).where(audit_events.c.at < limit).limit(BATCH)).all()
    return _removed(connection, audit_events, audit_events.c.id.in_([row.id for row in found]), found)


def _tokens(connection: Connection, limit: datetime, _: datetime) -> Removed:
    """With the visits of the form, which hold one each."""
    keys = (seen_tokens.c.digest, access_tokens.c.digest, visits.c.id)
    removed = [_past(connection, key, limit) for key in keys]
    return {table: count for one in removed for table, count in one.items()}


def _past(connection: Connection, key: Column[str], limit: datetime) -> Removed:
    table = key.table
    found = connection.execute(select(key).where(table.c.until < limit).limit(BATCH)).scalars().all()
    return _removed(connection, table, key.in_(found), found)


def _removed(connection: Connection, table: Table, which: ColumnElement[bool], found: object) -> Removed:
    return {table.name: connection.execute(delete(table).where(which)).rowcount} if found else {}


def _tell(connection: Connection, clients: set[str], now: datetime) -> None:
    add_events(connection, [event_of(Act(client, now), "D", "purge") for client in sorted(clients)])
