"""Numbers of 64 bits in PostgreSQL: those of 32 bits end at 2.1 billion rows. In SQLite they have 64 since ever."""

from alembic import op

revision = "0006"
down_revision = "0005"


def upgrade() -> None:
    if op.get_context().dialect.name == "postgresql":
        for table in ("decisions", "feedback", "audit_events"):
            op.execute(f"ALTER TABLE {table} ALTER COLUMN id TYPE bigint")
            op.execute(f"ALTER SEQUENCE {table}_id_seq AS bigint")
        op.execute("ALTER TABLE cards ALTER COLUMN decision TYPE bigint")
