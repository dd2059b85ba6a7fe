"""Numbers of 64 bits in PostgreSQL: those of 32 bits end at 2.1 billion rows. In SQLite they have 64 since ever."""

from alembic import op

revision = "0006"
down_revision = "0005"

_POSTGRESQL = (
    "ALTER TABLE decisions ALTER COLUMN id TYPE bigint",
    "ALTER SEQUENCE decisions_id_seq AS bigint",
    "ALTER TABLE cards ALTER COLUMN decision TYPE bigint",
    "ALTER TABLE feedback ALTER COLUMN id TYPE bigint",
    "ALTER SEQUENCE feedback_id_seq AS bigint",
    "ALTER TABLE audit_events ALTER COLUMN id TYPE bigint",
    "ALTER SEQUENCE audit_events_id_seq AS bigint",
)


def upgrade() -> None:
    for step in _POSTGRESQL if op.get_context().dialect.name == "postgresql" else ():
        op.execute(step)
