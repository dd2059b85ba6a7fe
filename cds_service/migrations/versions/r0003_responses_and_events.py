"""Responses that clients submit, an event for each write, about whom a decision is; text of any length."""

import sqlalchemy as sa
from alembic import op

revision = "0003"
down_revision = "0002"
NUMBERED = {"decisions", "feedback"}  # on SQLite no number of these is given twice
SHORT = {  # the columns that had a longest length, which PostgreSQL holds to: a client may have a tenant of 255
    "decisions": ("client", "service", "hook_instance", "questionnaire", "content_hash", "disposition"),
    "cards": ("uuid", "client", "service", "topic"),
    "feedback": ("card", "outcome", "digest"),
    "seen_tokens": ("digest",),
}


def upgrade() -> None:
    op.add_column("decisions", sa.Column("patient", sa.Text, nullable=False, server_default=""))
    for name, columns in SHORT.items():
        with op.batch_alter_table(name, table_kwargs={"sqlite_autoincrement": name in NUMBERED}) as table:
            for column in columns:
                table.alter_column(column, type_=sa.Text, existing_nullable=False)
            if name == "decisions":  # earlier ones do not say about whom they are
                table.alter_column("patient", server_default=None, existing_type=sa.Text, existing_nullable=False)
    _create_indexes()
    _create_responses()
    _create_audit_events()


def _create_indexes() -> None:
    for table, column in (
        ("decisions", "at"),
        ("cards", "decision"),
        ("feedback", "card"),
        ("feedback", "received_at"),
    ):
        op.create_index(f"ix_{table}_{column}", table, [column])
    op.create_index("ix_decisions_patient", "decisions", ["client", "patient"])


def _words(*names: str) -> list[sa.Column[str]]:
    return [sa.Column(name, sa.Text, nullable=False) for name in names]


def _create_responses() -> None:
    op.create_table(
        "responses",
        sa.Column("client", sa.Text, primary_key=True),
        sa.Column("id", sa.Text, primary_key=True),
        sa.Column("version", sa.Integer, primary_key=True, autoincrement=False),
        sa.Column("current", sa.Boolean, nullable=False),
        *_words("patient", "questionnaire", "status", "author", "identifier_system", "identifier_value", "disposition"),
        sa.Column("authored", sa.DateTime(timezone=True)),
        sa.Column("received_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("updated_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("dated", sa.DateTime(timezone=True), nullable=False, index=True),
        sa.Column("body", sa.JSON),
    )
    op.create_index("ix_responses_patient", "responses", ["client", "patient"])
    op.create_index("ix_responses_updated_at", "responses", ["client", "updated_at"])
    named = sa.text("identifier_value <> ''")
    op.create_index(
        "ix_responses_identifier",
        "responses",
        ["identifier_value"],
        postgresql_using="hash",
        postgresql_where=named,
        sqlite_where=named,
    )


def _create_audit_events() -> None:
    op.create_table(
        "audit_events",
        sa.Column("id", sa.Integer, primary_key=True),
        sa.Column("at", sa.DateTime(timezone=True), nullable=False, index=True),
        *_words("client", "agent", "patient", "instance", "action", "what", "outcome"),
        sqlite_autoincrement=True,
    )
    op.create_index("ix_audit_events_client", "audit_events", ["client", "at"])
    op.create_index("ix_audit_events_patient", "audit_events", ["client", "patient"])
