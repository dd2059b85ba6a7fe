"""Tokens: those of clients that were seen, so that each is accepted once; and the access tokens that were given.

Only a digest of each is kept, for as long as it can matter; no reader of the database can use one.
"""

from collections.abc import Mapping
from datetime import datetime
from functools import cache, partial

from sqlalchemy import Connection, Dialect, Engine, Table, bindparam, delete, insert, literal_column, select

from cds_service.store.database import digest, once, transaction, writing
from cds_service.store.prepared import Cursor, Prepared, prepare, run
from cds_service.store.tables import access_tokens, seen_tokens
from cds_service.store.together import together

BATCH = 500  # rows that are past, removed at one use


def first_use(engine: Engine, issuer: str, jti: str, until: datetime, now: datetime) -> bool:
    """Whether this is the first use of the token, in whatever process; any later use is not.

    `until` is the last moment at which the token may be accepted, leeway included: after it the row is dropped.
    Raises Unavailable when the use cannot be recorded. Source: CDS Hooks best practices, "jti".
    """
    row = {"digest": digest([issuer, jti]), "until": until, "now": now}
    return together(engine, "the call cannot be recorded; try again later", partial(_use, engine.dialect, row))


def _use(dialect: Dialect, row: Mapping[str, object], cursor: Cursor) -> bool:
    """Some of the tokens that are past go at each use, which adds one: there are soon none left."""
    past, use = _first_use(dialect)
    run(cursor, past, row)
    run(cursor, use, row)
    return cursor.fetchone() is not None


@cache
def _first_use(dialect: Dialect) -> tuple[Prepared, Prepared]:
    """Two statements. Two processes that drop what is past at the same time do not wait for each other."""
    tokens = seen_tokens.c
    past = select(tokens.digest).where(tokens.until < bindparam("now", type_=tokens.until.type)).order_by(tokens.until)
    some = past.limit(literal_column(str(BATCH))).with_for_update(skip_locked=True)
    use = once(dialect, seen_tokens).returning(tokens.digest)
    return prepare(dialect, delete(seen_tokens).where(tokens.digest.in_(some))), prepare(
        dialect, use, "digest", "until"
    )


def give_access(engine: Engine, token: str, client: str, scopes: str, until: datetime, now: datetime) -> None:
    """Lets this token stand for its owner, in every process, before `until`. Raises Unavailable."""
    row = {"digest": digest(token), "client": client, "scopes": scopes, "until": until}
    with writing(engine, "no access token can be given; try again later") as connection:
        _drop(connection, access_tokens, now)
        connection.execute(insert(access_tokens), row)


def access(engine: Engine, token: str, now: datetime) -> tuple[str, str] | None:
    """The owner and the scopes of an access token; None for one that was not given, or is past. Raises Unavailable."""
    wanted = select(access_tokens.c.client, access_tokens.c.scopes).where(
        access_tokens.c.digest == digest(token), access_tokens.c.until > now
    )
    with transaction(engine, "it cannot be checked who calls; try again later") as connection:
        found = connection.execute(wanted).first()
    return (found.client, found.scopes) if found else None


def _drop(connection: Connection, table: Table, now: datetime) -> None:
    """Some of the rows that are past. Two processes that do so at the same time do not wait for each other."""
    past = select(table.c.digest).where(table.c.until < now).order_by(table.c.until).limit(BATCH)
    if found := connection.execute(past.with_for_update(skip_locked=True)).scalars().all():
        connection.execute(delete(table).where(table.c.digest.in_(found)))
