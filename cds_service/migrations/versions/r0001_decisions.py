"""Decisions, each with the uuids of its cards and suggestions; nobody was authenticated yet."""

import sqlalchemy as sa
from alembic import op

revision = "0001"
down_revision = None


def upgrade() -> None:
    op.create_table(
        "decisions",
        sa.Column("id", sa.Integer, primary_key=True),
        sa.Column("at", sa.DateTime(timezone=True), nullable=False),
        *(sa.Column(name, sa.String(255), nullable=False) for name in ("service", "hook_instance", "questionnaire")),
        *(sa.Column(name, sa.String(64), nullable=False) for name in ("content_hash", "disposition")),
        *(sa.Column(name, sa.JSON, nullable=False) for name in ("rows", "unknown", "cards", "suggestions")),
    )
