"""Tokens seen, so that each is accepted once; only a digest of each, until it would be refused anyway."""

from datetime import datetime

from sqlalchemy import Engine, delete, select

from cds_service.store.database import digest, once, writing
from cds_service.store.tables import seen_tokens


def first_use(engine: Engine, issuer: str, jti: str, until: datetime, now: datetime) -> bool:
    """Whether this is the first use of the token, in whatever process; any later use is not.

    `until` is the last moment at which the token may be accepted, leeway included: after it the row is dropped.
    Raises Unavailable when the use cannot be recorded. Source: CDS Hooks best practices, "jti".
    """
    past = select(seen_tokens.c.digest).where(seen_tokens.c.until < now).with_for_update(skip_locked=True)
    with writing(engine, "the call cannot be recorded; try again later") as connection:
        connection.execute(delete(seen_tokens).where(seen_tokens.c.digest.in_(past)))
        row = {"digest": digest([issuer, jti]), "until": until}
        return (
            connection.execute(once(connection, seen_tokens).returning(seen_tokens.c.digest), row).first() is not None
        )
