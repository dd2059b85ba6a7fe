"""Until when a response may have been filled in, also where that was still to come; an identifier as its two parts.

Before, the end of a date was kept up to the receipt only, and a system with a bar was taken for a shorter one.
"""

from datetime import datetime
from typing import Any

import sqlalchemy as sa
from alembic import op

from cds_service.dates import span

revision = "0008"
down_revision = "0007"
_KEY = ("client", "id", "version")
_ROWS = sa.table(
    "responses",
    *map(sa.column, (*_KEY, "identifier_system", "identifier_value")),
    *(sa.column(name, sa.DateTime(timezone=True)) for name in ("authored", "latest", "updated_at", "dated")),
    sa.column("body", sa.JSON(none_as_null=True)),
)


def upgrade() -> None:
    op.add_column("responses", sa.Column("latest", sa.DateTime(timezone=True)))
    dated = _ROWS.c.authored.is_not(None)
    known = sa.case((_ROWS.c.dated > _ROWS.c.authored, _ROWS.c.dated), else_=_ROWS.c.authored)
    op.execute(_ROWS.update().where(dated).values(latest=known))
    for row in _read():
        own = (_ROWS.c[name] == row[name] for name in _KEY)
        op.execute(_ROWS.update().where(*own).values(row))


def _read() -> list[dict[str, Any]]:
    """Of the rows that may say it otherwise than their bodies: what these say."""
    cut = sa.and_(_ROWS.c.authored.is_not(None), _ROWS.c.dated == _ROWS.c.updated_at)
    query = sa.select(_ROWS).where(_ROWS.c.body.is_not(None), sa.or_(cut, _ROWS.c.identifier_value.contains("|")))
    found = op.get_bind().execute(query, execution_options={"yield_per": 500}).mappings()  # bodies are large
    return [{name: row[name] for name in _KEY} | _said(row) for row in found]


def _said(row: Any) -> dict[str, str | datetime]:
    """What the body says, in the words as they are kept: as many letters as in the body."""
    moments = span(str(row["body"].get("authored")))
    length = len(row["body"].get("identifier", {}).get("system", ""))
    both = f"{row['identifier_system']}|{row['identifier_value']}"
    parts = {"identifier_system": both[:length], "identifier_value": both[length + 1 :]}
    return parts | ({"latest": moments[1]} if moments and row["authored"] else {})
