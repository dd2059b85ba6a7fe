"""The events of a client, and of no other, are found by number, patient and time."""

from collections.abc import Iterator
from datetime import timedelta
from typing import Any

import pytest
from sqlalchemy import Engine

from cds_service.errors import Unavailable
from cds_service.store import Act, audit_events, events, note, open_store
from cds_service.store.audit import add_events, event_of
from tests.store_samples import NOW, OTHER, PATIENT, kept

pytestmark = pytest.mark.timeless  # the store reads no clock: what time it is, it is told

MINUTE = timedelta(minutes=1)


@pytest.fixture(scope="module", name="log")
def _log(shared_url: str) -> Iterator[Engine]:
    """Five events of one client, a minute apart, about two patients in turn; and two of others at the same time."""
    store = open_store(shared_url)
    for number in range(5):
        note(store, Act("hospital", NOW + number * MINUTE, "u", (PATIENT, OTHER)[number % 2]), "R", f"w{number}")
    note(store, Act("other-hospital", NOW, "u", PATIENT), "R", "theirs")
    note(store, Act("hospital north", NOW, "u", PATIENT), "R", "of a tenant")
    yield store
    store.dispose()


FOUND: dict[str, tuple[dict[str, Any], list[int]]] = {
    "all, newest first": ({}, [4, 3, 2, 1, 0]),
    "of a patient": ({"patient": OTHER}, [3, 1]),
    "of nobody": ({"patient": ""}, []),
    "since": ({"since": NOW + 3 * MINUTE}, [4, 3]),
    "until": ({"until": NOW + MINUTE}, [1, 0]),
    "between": ({"since": NOW + MINUTE, "until": NOW + 2 * MINUTE}, [2, 1]),
    "of a patient since": ({"since": NOW + MINUTE, "patient": PATIENT}, [4, 2]),
    "no such number": ({"id": 10**30}, []),
    "number 0": ({"id": 0}, []),
}


@pytest.mark.requirement("S-14")
@pytest.mark.parametrize(("wanted", "expected"), FOUND.values(), ids=FOUND)
def test_a_client_finds_its_own_events(log: Engine, wanted: dict[str, Any], expected: list[int]) -> None:
    total, found = events(log, "hospital", **wanted, count=10)

    assert [row["what"] for row in found] == [f"w{number}" for number in expected]
    assert total == len(expected)


def test_an_event_is_read_by_its_number_by_its_own_client_only(log: Engine) -> None:
    _, (newest, *_) = events(log, "hospital", count=1)

    assert events(log, "hospital", id=newest["id"], count=1) == (1, [newest])
    assert events(log, "other-hospital", id=newest["id"], count=1) == (0, [])


def test_an_event_with_a_number_of_over_32_bits_is_read_by_it(shared_url: str) -> None:
    store = open_store(shared_url)
    late = event_of(Act("late-hospital", NOW, "u", PATIENT), "R", "the latest") | {"id": 2**32}
    with store.begin() as connection:
        add_events(connection, [late])

    total, found = events(store, "late-hospital", id=2**32, count=1)
    with store.begin() as connection:
        connection.execute(audit_events.delete().where(audit_events.c.client == "late-hospital"))
    store.dispose()

    assert (total, [row["what"] for row in found]) == (1, ["the latest"])


def test_events_come_in_pages(log: Engine) -> None:
    pages = [events(log, "hospital", count=2)]
    while page := pages[-1][1]:
        pages.append(events(log, "hospital", count=2, after=(page[-1]["at"], page[-1]["id"])))

    assert [[row["what"] for row in page] for _, page in pages] == [["w4", "w3"], ["w2", "w1"], ["w0"], []]
    assert {total for total, _ in pages} == {5}


def test_events_of_one_moment_come_in_pages_too(store: Engine) -> None:
    for number in range(3):
        note(store, Act("hospital", NOW), "R", f"w{number}")
    _, (last,) = events(store, "hospital", count=1)

    behind = events(store, "hospital", count=9, after=(last["at"], last["id"]))[1]
    assert [row["what"] for row in (last, *behind)] == ["w2", "w1", "w0"]


def test_an_event_may_say_that_what_was_asked_failed(store: Engine) -> None:
    note(store, Act("hospital", NOW), "E", "$process-response", "8")

    assert [(row["what"], row["outcome"]) for row in kept(store, audit_events)] == [("$process-response", "8")]


def test_what_cannot_be_recorded_is_said_and_events_that_cannot_be_read_are_never_none(store: Engine) -> None:
    audit_events.drop(store)

    with pytest.raises(Unavailable):
        note(store, Act("hospital", NOW), "R", "x")
    with pytest.raises(Unavailable):
        events(store, "hospital", count=1)
