"""A page of the responses that a search finds: in the order of their receipt, which no later change moves.

Source: HL7 FHIR R4, "Search", "Paging".
"""

from datetime import datetime
from typing import NamedTuple

from sqlalchemy import Engine, and_, func, or_, select

from cds_service.store.criteria import Criteria
from cds_service.store.database import MOST, transaction
from cds_service.store.received import UNREAD, Stored, matching, stored
from cds_service.store.tables import responses


class Place(NamedTuple):
    """Where a page of a search ended: when the last response on it was first received, and its id."""

    received_at: datetime
    id: str


def search(
    engine: Engine, client: str, criteria: Criteria, *, count: int, after: Place | None = None
) -> tuple[int, list[Stored], Place | None]:
    """How many of the client's responses match, `count` of them behind `after`, and where these end if there are more.

    Last received first: an update or a delete meanwhile moves none of the others. Deleted ones do not match. Raises
    Unavailable.
    """
    query, first, own = matching(client, criteria), responses.c.received_at, responses.c.id
    behind = [or_(first < after.received_at, and_(first == after.received_at, own > after.id))] if after else []
    page = query.where(*behind).order_by(first.desc(), own).limit(min(count, MOST) + 1)
    with transaction(engine, UNREAD) as connection:
        total = connection.scalar(select(func.count()).select_from(query.subquery())) or 0
        rows = connection.execute(page).mappings().all()
    shown = rows[:count]
    last = Place(shown[-1]["received_at"], shown[-1]["id"]) if shown and len(rows) > len(shown) else None
    return total, [stored(row) for row in shown], last
