"""Responses are listed in the order of their receipt, which no update changes, so that no page passes over one."""

from alembic import op

revision = "0007"
down_revision = "0006"


def upgrade() -> None:
    op.create_index("ix_responses_received_at", "responses", ["client", "received_at"])
    op.drop_index("ix_responses_updated_at", "responses")
