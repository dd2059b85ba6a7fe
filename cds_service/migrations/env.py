"""What Alembic runs for each migration: in the transaction of `cds_service.migrations.migrate`, which commits it."""

from alembic import context

context.configure(connection=context.config.attributes["connection"])
with context.begin_transaction():
    context.run_migrations()
