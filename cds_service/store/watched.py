"""The database as it is watched: whether it can be read now; and one in memory, for what is only tried."""

from collections.abc import Iterator
from contextlib import contextmanager

from sqlalchemy import Engine, StaticPool, create_engine, literal, select

from cds_service import strict_json
from cds_service.errors import Unavailable
from cds_service.store.database import transaction
from cds_service.store.tables import metadata


def readable(engine: Engine) -> bool:
    """Whether every table is there and can be read, within the time that any call waits for the database."""
    try:
        with transaction(engine, "") as connection:
            for table in metadata.sorted_tables:
                connection.execute(select(literal(1)).select_from(table).limit(1)).all()
    except Unavailable:
        return False
    return True


@contextmanager
def passing_store() -> Iterator[Engine]:
    """A store in memory with the same tables, which is gone afterwards."""
    engine = create_engine(
        "sqlite://",
        poolclass=StaticPool,
        connect_args={"check_same_thread": False},
        json_serializer=lambda value: strict_json.write(value).decode(),
        json_deserializer=strict_json.read_own,
        hide_parameters=True,
    )
    metadata.create_all(engine)
    yield engine
    engine.dispose()
