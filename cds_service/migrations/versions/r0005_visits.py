"""The visits of the form: what is sealed under a key that only a browser holds."""

import sqlalchemy as sa
from alembic import op

revision = "0005"
down_revision = "0004"


def upgrade() -> None:
    op.create_table(
        "visits",
        sa.Column("id", sa.Text, primary_key=True),
        sa.Column("sealed", sa.Text, nullable=False),
        sa.Column("until", sa.DateTime(timezone=True), nullable=False, index=True),
    )
