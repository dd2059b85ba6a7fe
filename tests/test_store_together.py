"""Writes that share a commit: each is whole, answered after it, and not refused for another's fault."""

from collections.abc import Callable
from concurrent.futures import Future, ThreadPoolExecutor
from threading import Event
from typing import Any

import pytest
from sqlalchemy import Engine, event

from cds_service.errors import Unavailable
from cds_service.store import decisions
from cds_service.store.prepared import Cursor, prepare, run
from cds_service.store.together import MOST, _line, together
from tests.store_samples import NOW, ROW, kept

pytestmark = pytest.mark.timeless

REFUSED = "not now"
INSERT = decisions.insert().returning(decisions.c.id)


def adding(store: Engine, instance: str, then: Callable[[], Any] = lambda: None) -> Callable[[Cursor], int]:
    """Writes a decision with this hook instance, and does something else before it is done."""
    row = {"at": NOW, **ROW, "hook_instance": instance}

    def write(cursor: Cursor) -> int:
        run(cursor, prepare(store.dialect, INSERT, *row), row)
        number = int(cursor.fetchone()[0])
        then()
        return number

    return write


def instances(store: Engine) -> dict[int, str]:
    return {row["id"]: row["hook_instance"] for row in kept(store, decisions)}


def commits(store: Engine) -> list[str]:
    """Grows with each transaction from now on: each takes a connection, and gives it back."""
    seen: list[str] = []
    event.listen(store, "checkin", lambda *_: seen.append("commit"))
    return seen


class Busy:
    """One write that goes on until it is let go, and others that come meanwhile."""

    def __init__(self, store: Engine, pool: ThreadPoolExecutor) -> None:
        self.store, self.pool, self.going = store, pool, Event()
        self.begun = Event()
        self.first = self.add("first", self._hold)
        assert self.begun.wait(10)

    def _hold(self) -> None:
        self.begun.set()
        self.going.wait()

    def add(self, instance: str, then: Callable[[], Any] = lambda: None) -> "Future[int]":
        """Returns when the write stands in the line."""
        waiting = _line(self.store).waiting
        before = len(waiting)
        added = self.pool.submit(together, self.store, REFUSED, adding(self.store, instance, then))
        while len(waiting) == before and not added.done():
            pass
        return added


def test_a_write_gives_what_it_gave_once_it_is_committed(store: Engine) -> None:
    number = together(store, REFUSED, adding(store, "one"))

    assert instances(store) == {number: "one"}


def test_those_who_come_while_one_writes_share_the_next_commit(store: Engine) -> None:
    with ThreadPoolExecutor(9) as pool:
        busy = Busy(store, pool)
        others = [busy.add(f"other {number}") for number in range(8)]
        seen = commits(store)
        busy.going.set()
        numbers = [one.result() for one in (busy.first, *others)]

    assert seen == 2 * ["commit"]
    assert instances(store) == dict(zip(numbers, ["first", *(f"other {number}" for number in range(8))], strict=True))


def test_no_more_than_so_many_share_a_commit(store: Engine) -> None:
    with ThreadPoolExecutor(MOST + 2) as pool:
        busy = Busy(store, pool)
        others = [busy.add(str(number)) for number in range(MOST + 1)]
        seen = commits(store)
        busy.going.set()
        assert len({one.result() for one in others}) == MOST + 1

    assert len(seen) == 3


def damaged(store: Engine) -> Callable[[Cursor], Any]:
    """A write that the database refuses, after it has written something."""
    write = adding(store, "damaged")

    def refused(cursor: Cursor) -> None:
        number = write(cursor)
        row = {"id": number, "at": NOW, **ROW}
        run(cursor, prepare(store.dialect, INSERT, *row), row)

    return refused


def broken(store: Engine) -> Callable[[Cursor], Any]:
    """A write that fails in our own code, after it has written something."""

    def fail() -> None:
        raise ZeroDivisionError

    return adding(store, "broken", fail)


@pytest.mark.parametrize(("faulty", "told"), [(damaged, Unavailable), (broken, ZeroDivisionError)])
def test_a_write_at_fault_is_refused_alone_and_leaves_nothing(
    store: Engine, faulty: Callable[[Engine], Callable[[Cursor], Any]], told: type[Exception]
) -> None:
    with ThreadPoolExecutor(4) as pool:
        busy = Busy(store, pool)
        before = busy.add("before")
        fault = pool.submit(together, store, REFUSED, faulty(store))
        while len(_line(store).waiting) < 3:
            pass
        behind = busy.add("behind")
        busy.going.set()
        with pytest.raises(told):
            fault.result()
        numbers = [one.result() for one in (busy.first, before, behind)]

    assert instances(store) == dict(zip(numbers, ["first", "before", "behind"], strict=True))


def test_one_that_waits_too_long_is_refused_and_not_written_later(
    store: Engine, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("cds_service.store.together.BUSY", 0.01)  # seconds
    with ThreadPoolExecutor(2) as pool:
        busy = Busy(store, pool)
        late = busy.add("late")
        with pytest.raises(Unavailable, match=REFUSED):
            late.result()
        busy.going.set()
        number = busy.first.result()

    following = together(store, REFUSED, adding(store, "next"))
    assert instances(store) == {number: "first", following: "next"}


def test_after_a_failure_the_next_one_writes(store: Engine) -> None:
    with pytest.raises(ZeroDivisionError):
        together(store, REFUSED, broken(store))

    number = together(store, REFUSED, adding(store, "next"))

    assert instances(store) == {number: "next"}
