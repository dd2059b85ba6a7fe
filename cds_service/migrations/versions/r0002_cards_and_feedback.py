"""Cards in a table of their own, feedback on them, tokens seen; every decision and card has a client."""

from collections.abc import Iterator
from typing import Any

import sqlalchemy as sa
from alembic import op

revision = "0002"
down_revision = "0001"
CLIENT = "development"  # before this revision there was no other
DOCTOR = ("emergency-now", "doctor-same-day", "doctor-soon", "doctor-advice")


def upgrade() -> None:
    with op.batch_alter_table("decisions") as table:
        table.add_column(sa.Column("client", sa.String(64), nullable=False, server_default=CLIENT))
    _create_tables()
    _fill_cards()
    with op.batch_alter_table("decisions") as table:
        table.alter_column("client", server_default=None)
        table.drop_column("cards")
        table.drop_column("suggestions")


def _create_tables() -> None:
    op.create_table(
        "cards",
        sa.Column("uuid", sa.String(36), primary_key=True),
        sa.Column("decision", sa.Integer, sa.ForeignKey("decisions.id"), nullable=False),
        sa.Column("client", sa.String(64), nullable=False),
        sa.Column("service", sa.String(255), nullable=False),
        sa.Column("topic", sa.String(64), nullable=False),
        sa.Column("suggestions", sa.JSON, nullable=False),
    )
    op.create_table(
        "feedback",
        sa.Column("id", sa.Integer, primary_key=True),
        sa.Column("card", sa.String(36), sa.ForeignKey("cards.uuid"), nullable=False),
        sa.Column("received_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("outcome", sa.String(16), nullable=False),
        sa.Column("outcome_timestamp", sa.DateTime(timezone=True), nullable=False),
        sa.Column("accepted_suggestions", sa.JSON, nullable=False),
        *(sa.Column(name, sa.Text) for name in ("reason_code", "reason_system", "reason_display", "comment")),
        sa.Column("digest", sa.String(64), nullable=False, unique=True),
        sqlite_autoincrement=True,
    )
    op.create_table(
        "seen_tokens",
        sa.Column("digest", sa.String(64), primary_key=True),
        sa.Column("until", sa.DateTime(timezone=True), nullable=False, index=True),
    )


def _fill_cards() -> None:
    names = ("id", "service", "disposition")
    decisions = sa.table(
        "decisions", *map(sa.column, names), sa.column("cards", sa.JSON), sa.column("suggestions", sa.JSON)
    )
    texts = ("uuid", "decision", "client", "service", "topic")
    cards = sa.table("cards", *map(sa.column, texts), sa.column("suggestions", sa.JSON))
    for row in op.get_bind().execute(sa.select(decisions)).mappings().all():
        for card in _cards(row["disposition"], row["cards"], row["suggestions"]):
            of = {"decision": row["id"], "client": CLIENT, "service": row["service"]}
            op.get_bind().execute(cards.insert().values({**of, **card}))


def _cards(disposition: str, uuids: list[str], suggestions: list[str]) -> Iterator[dict[str, Any]]:
    """The cards of one decision, which had one list of uuids for all: a doctor's before the incomplete one, that before
    the conservative one. Where the numbers do not say whose the suggestions are, no card is made up: no feedback on it
    was ever taken."""
    topic = "form-offer" if disposition == "no-screening" else disposition
    if len(uuids) == 1:
        yield {"uuid": uuids[0].lower(), "topic": topic, "suggestions": [one.lower() for one in suggestions]}
    second = {"incomplete": ("physio-or-doctor", 4), **dict.fromkeys(DOCTOR, ("incomplete", 2))}.get(disposition)
    if len(uuids) == 2 and second and len(suggestions) == second[1]:
        yield {"uuid": uuids[0].lower(), "topic": topic, "suggestions": [suggestions[0].lower()]}
        yield {"uuid": uuids[1].lower(), "topic": second[0], "suggestions": [one.lower() for one in suggestions[1:]]}
