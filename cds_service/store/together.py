"""Writes of calls that are in flight at the same time share one commit, and each is answered after it.

A commit waits for the disk, many times as long as the writing takes. Who comes while nobody writes, writes at once; the
others wait, and the first of them then writes for all who wait.
"""

from collections.abc import Callable, Iterator, Sequence
from contextlib import closing, contextmanager
from dataclasses import dataclass, field
from threading import Lock
from typing import Any, TypeVar, cast
from weakref import WeakKeyDictionary

from sqlalchemy import Engine

from cds_service.errors import Unavailable
from cds_service.store.database import BUSY, in_line
from cds_service.store.prepared import Cursor, faults

MOST = 64  # writes in one transaction
_DEADLOCK = "40P01"  # PostgreSQL; two processes write the same rows in another order, which one write alone does not
T = TypeVar("T")


@dataclass(eq=False)
class _Waiting:
    """One write, and what came of it. `called` is let go when it is done, or is the first in the line."""

    write: Callable[[Cursor], Any]
    called: Any = field(default_factory=Lock)
    taken: bool = False
    given: Any = None
    error: Exception | None = None


@dataclass(eq=False)
class _Line:
    """Those who want to write to one database, in their order; the first of them is writing."""

    guard: Any = field(default_factory=Lock)
    waiting: list[_Waiting] = field(default_factory=list)


_lines: WeakKeyDictionary[Engine, _Line] = WeakKeyDictionary()
_opening = Lock()


def together(engine: Engine, refusal: str, write: Callable[[Cursor], T]) -> T:
    """What `write` gives, once it is committed: whole or not at all, in one transaction with the writes of others.

    `write` may run twice, and in the thread of another call: what it did first is then rolled back. Raises what it
    raises, and Unavailable with `refusal` when it cannot be committed.
    """
    line, mine = _line(engine), _Waiting(write)
    mine.called.acquire()
    with line.guard:
        line.waiting.append(mine)
        first = line.waiting[0] is mine
    if not first:
        _await(line, mine, refusal)
    if not mine.taken:
        _write_for_all(engine, refusal, line)
    if mine.error:
        raise mine.error
    return cast("T", mine.given)


def _line(engine: Engine) -> _Line:
    with _opening:
        return _lines.setdefault(engine, _Line())


def _await(line: _Line, mine: _Waiting, refusal: str) -> None:
    """Until it is done, or the first. Raises Unavailable when neither comes in time; what is being written soon is."""
    if mine.called.acquire(timeout=BUSY):
        return
    with line.guard:
        if not mine.taken and mine is not line.waiting[0]:
            line.waiting.remove(mine)
            raise Unavailable(refusal)
    mine.called.acquire()


def _write_for_all(engine: Engine, refusal: str, line: _Line) -> None:
    with line.guard:
        batch = line.waiting[:MOST]
        for one in batch:
            one.taken = True
    try:
        _commit(engine, refusal, batch)
    finally:
        with line.guard:
            del line.waiting[: len(batch)]
            for one in [*batch[1:], *line.waiting[:1]]:
                one.called.release()


def _commit(engine: Engine, refusal: str, batch: Sequence[_Waiting]) -> None:
    """All in one transaction; where one of them is at fault, each by itself, so that no other is refused for it."""
    try:
        with _committed(engine, refusal) as cursor:
            given = [one.write(cursor) for one in batch]
    except Exception as error:  # whatever it is, it is told to the calls that wait for it
        if len(batch) == 1 or _is_of_all(engine, error):
            for one in batch:
                one.error = error
        else:
            for one in batch:
                _commit(engine, refusal, [one])
        return
    for one, its in zip(batch, given, strict=True):
        one.given = its


@contextmanager
def _committed(engine: Engine, refusal: str) -> Iterator[Cursor]:
    """A cursor of the driver, all of whose writes are committed at the end, or none. Raises Unavailable."""
    try:
        with in_line(engine, refusal), closing(engine.raw_connection()) as connection:
            cursor = connection.cursor()
            if engine.dialect.name == "sqlite":  # the driver of PostgreSQL begins by itself
                cursor.execute("BEGIN IMMEDIATE")
            yield cursor
            connection.commit()
    except faults(engine):
        raise Unavailable(refusal) from None


def _is_of_all(engine: Engine, error: Exception) -> bool:
    """Whether the database failed, and would fail the others as well, each after as long a wait."""
    driver, cause = engine.dialect.loaded_dbapi, error.__context__
    failed = not isinstance(cause, driver.Error) or isinstance(cause, driver.OperationalError)
    return isinstance(error, Unavailable) and failed and getattr(cause, "sqlstate", "") != _DEADLOCK
