"""Statements that every call needs: compiled once for each database, and then given to its driver as they are.

SQLAlchemy would build and look up each of them again for each call, at some twenty times the cost: docs/performance.md.
"""

from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from functools import cache
from typing import Any

from sqlalchemy import Dialect, Engine
from sqlalchemy.exc import SQLAlchemyError
from sqlalchemy.types import TypeEngine

from cds_service.errors import Unavailable

Cursor = Any  # of the driver: those of sqlite3 and psycopg share what PEP 249 says, and no type


@dataclass(frozen=True)
class Prepared:
    """The text for the driver, and for each of its places the name of the value and how the driver wants it.

    `own` are the values that stand in the statement itself.
    """

    text: str
    places: tuple[tuple[str, Callable[[Any], Any] | None], ...]
    own: Mapping[str, Any]


@cache
def prepare(dialect: Dialect, statement: Any, *names: str) -> Prepared:
    """The statement, one that is made once, for this database; `names` are the columns that an insert fills."""
    of_its_kind: Any = type(dialect)
    serializer = dialect._json_serializer  # it has no other name
    marks = of_its_kind(paramstyle="qmark" if dialect.name == "sqlite" else "format", json_serializer=serializer)
    compiled = statement.compile(dialect=marks, column_keys=names or None)
    types = [(name, compiled.binds[name].type.dialect_impl(marks)) for name in compiled.positiontup]
    own = {
        name: bound.value for name, bound in compiled.binds.items() if not bound.required and bound.value is not None
    }
    return Prepared(str(compiled), tuple((name, type_.bind_processor(marks)) for name, type_ in types), own)


def run(cursor: Cursor, prepared: Prepared, values: Mapping[str, Any]) -> None:
    """Runs the statement with these values, by name."""
    named = {**prepared.own, **values}
    cursor.execute(prepared.text, [made(named[name]) if made else named[name] for name, made in prepared.places])


@contextmanager
def reading(engine: Engine, refusal: str) -> Iterator[Cursor]:
    """A cursor for one look. Raises Unavailable with `refusal` when the database cannot be read."""
    try:
        connection = engine.raw_connection()
        try:
            yield connection.cursor()
        finally:
            connection.close()  # back into the pool, which ends what the driver has begun
    except faults(engine):
        raise Unavailable(refusal) from None


def faults(engine: Engine) -> tuple[type[Exception], ...]:
    """What a database that does not do as it is told raises: by SQLAlchemy, and by its driver."""
    return SQLAlchemyError, engine.dialect.loaded_dbapi.Error


def column(engine: Engine, type_: TypeEngine[Any], rows: Sequence[Sequence[Any]]) -> list[Any]:
    """The first value of each row, as a column of this type has it."""
    read = type_.dialect_impl(engine.dialect).result_processor(engine.dialect, None)
    return [read(row[0]) if read else row[0] for row in rows]
