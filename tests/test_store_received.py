"""Responses that clients submit: every version is kept, one is current, and each belongs to one client only."""

import random
from collections.abc import Callable, Iterator
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from sqlalchemy import Engine, select

from cds_service.errors import Conflict, PreconditionFailed, Unavailable
from cds_service.store import (
    Criteria,
    Stored,
    audit_events,
    create,
    create_unless,
    delete,
    of_patient,
    open_store,
    read,
    responses,
    search,
    update,
)
from cds_service.store.criteria import conditions
from tests.samples import FORM
from tests.store_samples import NOW, OTHER, PATIENT, act, kept, mark, opened, received

pytestmark = pytest.mark.timeless  # the store reads no clock: what time it is, it is told

LONG = ("questionnaire", "status", "author", "identifier", "disposition")
LATER = act(NOW + timedelta(minutes=5))
LATEST = act(NOW + timedelta(minutes=9))
THEIRS = act(client="other-hospital")


@pytest.mark.requirement("R-3")
def test_what_was_created_is_read_back_with_its_id_version_and_time(store: Engine) -> None:
    sent = received(identifier=("urn:sys", "7"))
    sent.body["meta"] = {"profile": ["http://example.org/p"], "versionId": "77"}
    sent.body["id"] = "of-the-sender"

    made = create(store, act(), sent)

    assert made.body == {
        "resourceType": "QuestionnaireResponse",
        "id": made.id,
        "meta": {"profile": ["http://example.org/p"], "versionId": "1", "lastUpdated": "2026-11-22T10:00:00.250Z"},
        "status": "completed",
        "item": [{"linkId": "age"}],
    }
    assert made.id != "of-the-sender"
    assert (made.version, made.at) == (1, NOW)
    assert read(store, "hospital", made.id) == made == read(store, "hospital", made.id, 1)


def test_a_response_is_there_for_another_process_as_soon_as_it_is_acknowledged(
    store: Engine, database_url: str
) -> None:
    made = create(store, act(), received())

    with opened(database_url) as other:
        assert read(other, "hospital", made.id) == made


def test_any_characters_of_a_body_come_back_as_they_were(store: Engine) -> None:
    text = "\0 \u2028 é 漢 \U0001f600 \" \\ '"

    made = create(store, act(), received(mark=text))

    assert [mark(one) for one in of_patient(store, "hospital", PATIENT)] == [text]
    assert read(store, "hospital", made.id) == made


NOT_THERE: dict[str, tuple[str, str, int | None]] = {
    "another id": ("hospital", "plain-2", None),
    "the id in capitals": ("hospital", "PLAIN", None),
    "another client's": ("other-hospital", "early", None),
    "another client's version": ("other-hospital", "plain", 2),
    "that of another tenant of the client": ("hospital north", "plain", None),
    "the client in capitals": ("HOSPITAL", "plain", None),
    "a version to come": ("hospital", "plain", 3),
    "version 0": ("hospital", "plain", 0),
    "a version before the first": ("hospital", "plain", -1),
    "a version beyond any number": ("hospital", "plain", 10**30),
}


@pytest.mark.requirement("R-3")
@pytest.mark.parametrize(("client", "id_", "version"), NOT_THERE.values(), ids=NOT_THERE)
def test_what_is_not_there_or_not_the_clients_is_not_read(
    library: Engine, client: str, id_: str, version: int | None
) -> None:
    assert read(library, client, id_, version) is None


def test_two_clients_may_use_the_same_id(store: Engine) -> None:
    create(store, act(), received(mark="ours"), "one")
    create(store, THEIRS, received(mark="theirs"), "one")

    for client, expected in (("hospital", "ours"), ("other-hospital", "theirs")):
        found = read(store, client, "one")
        assert found
        assert mark(found.body) == expected


def test_an_id_is_given_once(store: Engine) -> None:
    create(store, act(), received(mark="first"), "one")

    with pytest.raises(Conflict):
        create(store, LATER, received(mark="second"), "one")

    assert [mark(row["body"]) for row in kept(store, responses)] == ["first"]


@pytest.mark.requirement("S-4")
def test_an_update_is_the_next_version_and_the_one_before_stays_readable(store: Engine) -> None:
    create(store, act(), received(mark="first"), "one")

    second = update(store, LATER, "one", received(mark="second", status="amended"), None)

    assert second
    assert (second.version, second.at) == (2, LATER.at)
    assert read(store, "hospital", "one") == second
    assert [mark(one.body) for one in _versions(store, "one")] == ["first", "second"]
    assert [mark(one) for one in of_patient(store, "hospital", PATIENT)] == ["second"]
    assert [(row["received_at"], row["updated_at"]) for row in kept(store, responses)] == [(NOW, NOW), (NOW, LATER.at)]


def test_an_update_of_the_version_that_was_read_is_taken(store: Engine) -> None:
    create(store, act(), received(), "one")

    assert update(store, LATER, "one", received(), 1)
    assert update(store, LATEST, "one", received(), 2)


@pytest.mark.parametrize("stale", [0, 1, 3, 10**30])
def test_an_update_of_another_version_is_refused_and_changes_nothing(store: Engine, stale: int) -> None:
    create(store, act(), received(), "one")
    update(store, LATER, "one", received(), None)

    with pytest.raises(PreconditionFailed, match="version 2"):
        update(store, LATEST, "one", received(mark="refused"), stale)

    assert [row["version"] for row in kept(store, responses)] == [1, 2]
    assert len(kept(store, audit_events)) == 2


@pytest.mark.parametrize("stale", [0, 1, 3, 10**30])
def test_a_delete_of_another_version_is_refused_and_changes_nothing(store: Engine, stale: int) -> None:
    create(store, act(), received(), "one")
    update(store, LATER, "one", received(mark="second"), None)

    with pytest.raises(PreconditionFailed, match="version 2"):
        delete(store, LATEST, "one", stale)

    assert [mark(one) for one in of_patient(store, "hospital", PATIENT)] == ["second"]
    assert len(kept(store, audit_events)) == 2
    assert delete(store, LATEST, "one", 2)
    assert not delete(store, LATEST, "one", 2)  # it was deleted before, whatever the version


def test_an_update_of_another_clients_response_finds_none(store: Engine) -> None:
    create(store, act(), received(mark="ours"), "one")

    assert update(store, THEIRS, "one", received(mark="theirs"), None) is None
    assert not delete(store, THEIRS, "one")

    assert [mark(row["body"]) for row in kept(store, responses)] == ["ours"]


@pytest.mark.requirement("R-3")
def test_what_was_deleted_says_so_and_is_found_no_more(store: Engine) -> None:
    create(store, act(), received(mark="first"), "one")

    assert delete(store, LATER, "one")

    assert read(store, "hospital", "one") == Stored("one", 2, LATER.at, None)
    assert [mark(one.body) for one in _versions(store, "one")[:1]] == ["first"]
    assert search(store, "hospital", Criteria(ids=("one",)), count=10) == (0, [], None)
    assert of_patient(store, "hospital", PATIENT) == []


def test_a_deleted_response_is_not_deleted_or_updated_again(store: Engine) -> None:
    create(store, act(), received(), "one")
    delete(store, LATER, "one")

    assert not delete(store, LATEST, "one")
    assert update(store, LATEST, "one", received(), None) is None
    assert not delete(store, LATEST, "no-such")
    assert update(store, LATEST, "no-such", received(), None) is None
    assert len(kept(store, responses)) == 2


def test_after_a_delete_the_versions_are_counted_on(store: Engine) -> None:
    create(store, act(), received(), "one")
    delete(store, LATER, "one")

    assert create(store, LATEST, received(mark="again"), "one").version == 3
    assert [mark(one) for one in of_patient(store, "hospital", PATIENT)] == ["again"]


@pytest.mark.requirement("S-14")
def test_each_write_has_its_event_about_its_patient(store: Engine) -> None:
    nobody = act(patient="")
    create(store, nobody, received(), "one")
    update(store, nobody, "one", received(), None)
    delete(store, nobody, "one")

    told = [(row["action"], row["what"], row["patient"], row["agent"]) for row in kept(store, audit_events)]
    assert told == [
        (action, f"QuestionnaireResponse/one/_history/{version}", PATIENT, "Practitioner/gp-1")
        for version, action in enumerate("CUD", 1)
    ]


WRITES: dict[str, Callable[[Engine], Any]] = {
    "create": lambda store: create(store, LATER, received()),
    "conditional create": lambda store: create_unless(store, LATER, received(), Criteria(ids=("two",))),
    "update": lambda store: update(store, LATER, "one", received(), None),
    "delete": lambda store: delete(store, LATER, "one"),
}


@pytest.mark.requirement("S-14")
@pytest.mark.parametrize("write", WRITES.values(), ids=WRITES)
def test_without_its_event_nothing_is_written(store: Engine, write: Callable[[Engine], Any]) -> None:
    create(store, act(), received(), "one")
    audit_events.drop(store)

    with pytest.raises(Unavailable, match="later"):
        write(store)

    assert [(row["version"], row["current"]) for row in kept(store, responses)] == [(1, True)]


# Conditional create.

NUMBER_7 = Criteria(identifier=(("urn:sys", "7"),))


@pytest.mark.requirement("R-9")
def test_what_matches_nothing_is_created_and_what_matches_one_is_that_one(store: Engine) -> None:
    first, new = create_unless(store, act(), received(identifier=("urn:sys", "7")), NUMBER_7)
    again, newer = create_unless(store, LATER, received(identifier=("urn:sys", "7"), mark="other"), NUMBER_7)

    assert (new, newer) == (True, False)
    assert again == first
    assert len(kept(store, responses)) == len(kept(store, audit_events)) == 1


@pytest.mark.requirement("R-9")
def test_where_several_match_nothing_is_created(store: Engine) -> None:
    for _ in range(2):
        create(store, act(), received(identifier=("urn:sys", "7")))

    with pytest.raises(PreconditionFailed, match="If-None-Exist"):
        create_unless(store, LATER, received(identifier=("urn:sys", "7")), NUMBER_7)

    assert len(kept(store, responses)) == 2


@pytest.mark.requirement("R-9")
def test_neither_another_clients_response_nor_a_deleted_one_stands_in_the_way(store: Engine) -> None:
    create(store, THEIRS, received(identifier=("urn:sys", "7")))
    create(store, act(), received(identifier=("urn:sys", "7")), "gone")
    delete(store, act(), "gone")

    assert create_unless(store, LATER, received(identifier=("urn:sys", "7")), NUMBER_7)[1]


# Search.

EARLY, LATE = NOW - timedelta(days=3), NOW - timedelta(days=1)
SOON, FAR = NOW + timedelta(minutes=3), NOW + timedelta(days=3)  # by the clock of an EHR that is ahead of ours
AHEAD = {"to-come", "running"}
KEPT: dict[str, dict[str, Any]] = {  # id → what is particular
    "plain": {},
    "early": {"authored": EARLY},
    "undated": {"authored": None},
    "to-come": {"authored": SOON, "latest": SOON},
    "running": {"authored": SOON, "latest": FAR},
    "other-patient": {"patient": OTHER},
    "in-progress": {"status": "in-progress"},
    "other-version": {"questionnaire": f"{FORM}|2.0.0"},
    "no-version": {"questionnaire": FORM},
    "longer-url": {"questionnaire": f"{FORM}-2|1.0.0"},
    "other-author": {"author": "Patient/p1"},
    "numbered": {"identifier": ("urn:sys", "7")},
    "other-system": {"identifier": ("urn:other", "7")},
    "no-system": {"identifier": ("", "7")},
    "bar-in-value": {"identifier": ("urn:sys", "a|7")},
    "bar-in-system": {"identifier": ("urn:sys|a", "7")},
}
DAY = (LATE.replace(hour=0), LATE.replace(hour=23, minute=59, second=59, microsecond=999_999))
ALL = set(KEPT)
SEARCHES: dict[str, tuple[Criteria, set[str]]] = {
    "everything": (Criteria(), ALL),
    "ids": (Criteria(ids=("plain", "early", "no-such")), {"plain", "early"}),
    "an id in capitals": (Criteria(ids=("PLAIN",)), set()),
    "patient": (Criteria(patient=(OTHER,)), {"other-patient"}),
    "patients": (Criteria(patient=(OTHER, PATIENT)), ALL),
    "status": (Criteria(status=("in-progress", "stopped")), {"in-progress"}),
    "author": (Criteria(author=("Patient/p1",)), {"other-author"}),
    "a version of the form": (Criteria(questionnaire=(f"{FORM}|2.0.0",)), {"other-version"}),
    "any version of the form": (Criteria(questionnaire=(FORM,)), ALL - {"longer-url"}),
    "the form in capitals": (Criteria(questionnaire=(FORM.upper(),)), set()),
    "a form with wildcards": (Criteria(questionnaire=(FORM.replace("low", "%"), FORM.replace("low", "___"))), set()),
    "system and value": (Criteria(identifier=(("urn:sys", "7"),)), {"numbered"}),
    "value": (Criteria(identifier=((None, "7"),)), {"numbered", "other-system", "no-system", "bar-in-system"}),
    "value without system": (Criteria(identifier=(("", "7"),)), {"no-system"}),
    "system": (Criteria(identifier=(("urn:sys", ""),)), {"numbered", "bar-in-value"}),
    "a value with a bar": (Criteria(identifier=(("urn:sys", "a|7"),)), {"bar-in-value"}),
    "a system with a bar": (Criteria(identifier=(("urn:sys|a", "7"),)), {"bar-in-system"}),
    "two identifiers": (Criteria(identifier=(("urn:other", "7"), ("", "7"))), {"other-system", "no-system"}),
    "that day": (Criteria(authored=(("eq", *DAY),)), ALL - {"early", "undated"} - AHEAD),
    "not that day": (Criteria(authored=(("ne", *DAY),)), {"early"} | AHEAD),
    "before that day": (Criteria(authored=(("lt", *DAY),)), {"early"}),
    "ended before that day": (Criteria(authored=(("eb", *DAY),)), {"early"}),
    "up to that day": (Criteria(authored=(("le", *DAY),)), ALL - {"undated"} - AHEAD),
    "after that day": (Criteria(authored=(("gt", *DAY),)), AHEAD),
    "begun after that day": (Criteria(authored=(("sa", *DAY),)), AHEAD),
    "in a moment to come": (Criteria(authored=(("eq", SOON, SOON),)), {"to-come"}),
    "from a moment to come on": (Criteria(authored=(("ge", SOON, SOON),)), AHEAD),
    "after a moment to come": (Criteria(authored=(("gt", SOON, SOON),)), {"running"}),
    "ended before a moment to come": (Criteria(authored=(("eb", SOON, SOON),)), ALL - {"undated"} - AHEAD),
    "up to the last moment of all": (Criteria(authored=(("eb", FAR, FAR),)), ALL - {"undated", "running"}),
    "from that day on": (Criteria(authored=(("ge", *DAY),)), ALL - {"early", "undated"}),
    "up to that moment": (Criteria(authored=(("le", LATE, LATE),)), ALL - {"undated"} - AHEAD),
    "before that moment": (Criteria(authored=(("lt", LATE, LATE),)), {"early"}),
    "a range": (Criteria(authored=(("ge", EARLY, EARLY), ("lt", LATE, LATE))), {"early"}),
    "all of several members": (Criteria(patient=(PATIENT,), identifier=((None, "7"),), author=("Patient/p1",)), set()),
    "injection": (Criteria(ids=("' OR 1=1 --",), status=("%",)), set()),
    "no value": (Criteria(identifier=((None, ""),)), set()),
    "no system and any value": (Criteria(identifier=(("", ""),)), {"no-system"}),
    "an author that cannot be kept": (Criteria(author=("\0",)), set()),
    "a form that cannot be kept": (Criteria(questionnaire=("\0", "\ud800", f"{FORM}|\0")), set()),
    "an identifier that cannot be kept": (
        Criteria(identifier=((None, "\0"), ("\0", "\0"), ("urn:sys", "\ud800"), ("", "\0"))),
        set(),
    ),
    "all else that cannot be kept": (Criteria(ids=("\0",), status=("\0",), patient=("\0",)), set()),
    "a hundred of each": (
        Criteria(
            ids=("numbered", *(f"r{number}" for number in range(99))),
            questionnaire=(f"{FORM}|1.0.0", *(f"{FORM}-{number}" for number in range(99))),
            status=("completed", *(f"s{number}" for number in range(99))),
            patient=(PATIENT, *(f"p{number}" for number in range(99))),
            author=("Practitioner/gp-1", *(f"Practitioner/{number}" for number in range(99))),
            identifier=tuple(("urn:sys", f"{number + 7}") for number in range(100)),
            authored=(("eq", *DAY),) * 100,
        ),
        {"numbered"},
    ),
}


@pytest.mark.parametrize(("criteria", "expected"), SEARCHES.values(), ids=SEARCHES)
def test_a_search_finds_what_matches_and_no_more(library: Engine, criteria: Criteria, expected: set[str]) -> None:
    total, found, _ = search(library, "hospital", criteria, count=100)

    assert {one.id for one in found} == expected
    assert total == len(found) == len(expected)


@pytest.fixture(scope="module", name="library")
def _library(shared_url: str) -> Iterator[Engine]:
    """A store with one response of each kind, and one that another client submitted, was updated, and was deleted."""
    store = open_store(shared_url)
    for id_, particular in KEPT.items():
        create(store, act(), received(**{"authored": LATE} | particular), id_)
    create(store, THEIRS, received(LATE, identifier=("urn:sys", "7")), "plain")
    update(store, act(), "plain", received(LATE), None)
    create(store, act(), received(LATE, identifier=("urn:sys", "7")), "deleted")
    delete(store, act(), "deleted")
    yield store
    store.dispose()


def test_a_search_by_day_holds_in_every_zone(store: Engine) -> None:
    east = datetime.fromisoformat("2026-11-22T00:30:00+13:00")  # in UTC the day before
    create(store, act(), received(east), "east")

    def found(day: int) -> int:
        first = datetime(2026, 11, day, tzinfo=UTC)
        return search(store, "hospital", Criteria(authored=(("eq", first, first + timedelta(days=1)),)), count=1)[0]

    assert (found(21), found(22)) == (1, 0)


def pages(store: Engine, between: Callable[[], object]) -> list[list[str]]:
    """The ids on each page of two, in the order of the links; `between` is done after the first."""
    _, page, last = search(store, "hospital", Criteria(), count=2)
    found = [[one.id for one in page]]
    between()
    while last:
        _, page, last = search(store, "hospital", Criteria(), count=2, after=last)
        found.append([one.id for one in page])
    return found


def five(store: Engine) -> None:
    """Five responses, the last two received in the same moment."""
    for number in range(5):
        create(store, act(NOW + timedelta(seconds=min(number, 3))), received(), f"r{number}")


# Each row: what is done while a client follows the links, and the pages that it gets.
MEANWHILE: dict[str, tuple[Callable[[Engine], object], list[list[str]]]] = {
    "nothing": (lambda _: None, [["r3", "r4"], ["r2", "r1"], ["r0"]]),
    "one that is still to come is updated": (
        lambda store: update(store, LATER, "r1", received(), None),
        [["r3", "r4"], ["r2", "r1"], ["r0"]],
    ),
    "one that was seen is updated": (
        lambda store: update(store, LATER, "r3", received(), None),
        [["r3", "r4"], ["r2", "r1"], ["r0"]],
    ),
    "one that was seen is deleted": (lambda store: delete(store, LATER, "r3"), [["r3", "r4"], ["r2", "r1"], ["r0"]]),
    "the last that was seen is deleted": (
        lambda store: delete(store, LATER, "r4"),
        [["r3", "r4"], ["r2", "r1"], ["r0"]],
    ),
    "one comes in": (lambda store: create(store, LATER, received(), "new"), [["r3", "r4"], ["r2", "r1"], ["r0"]]),
    "one that is still to come is deleted": (lambda store: delete(store, LATER, "r2"), [["r3", "r4"], ["r1", "r0"]]),
}


@pytest.mark.parametrize(("done", "expected"), MEANWHILE.values(), ids=MEANWHILE)
def test_no_page_passes_over_a_response_though_meanwhile(
    done: Callable[[Engine], object], expected: list[list[str]], store: Engine
) -> None:
    five(store)

    assert pages(store, lambda: done(store)) == expected


def test_the_total_counts_all_that_match_on_every_page(store: Engine) -> None:
    five(store)
    total, _, last = search(store, "hospital", Criteria(), count=2)

    assert [total, search(store, "hospital", Criteria(), count=2, after=last)[0]] == [5, 5]
    assert search(store, "hospital", Criteria(), count=0) == (5, [], None)
    assert search(store, "hospital", Criteria(), count=5)[2] is None, "nothing is behind the last page"


def test_those_of_a_patient_are_the_clients_own_last_updated_first(store: Engine) -> None:
    create(store, act(), received(mark="first"))
    create(store, LATER, received(mark="second"))
    create(store, LATEST, received(mark="of another", patient=OTHER))
    create(store, act(client="other-hospital"), received(mark="theirs"))

    assert [mark(one) for one in of_patient(store, "hospital", PATIENT)] == ["second", "first"]
    assert of_patient(store, "hospital north", PATIENT) == []


def test_a_response_that_was_moved_to_another_patient_is_no_longer_the_firsts(store: Engine) -> None:
    create(store, act(), received(), "one")
    update(store, LATER, "one", received(patient=OTHER), None)

    assert of_patient(store, "hospital", PATIENT) == []
    assert len(of_patient(store, "hospital", OTHER)) == 1


def test_responses_that_cannot_be_looked_up_are_never_none(store: Engine) -> None:
    """No response would mean that nobody was screened."""
    responses.drop(store)

    for look in (
        lambda: of_patient(store, "hospital", PATIENT),
        lambda: search(store, "hospital", Criteria(), count=1),
        lambda: read(store, "hospital", "one"),
    ):
        with pytest.raises(Unavailable):
            look()


def test_the_farthest_moments_are_kept(store: Engine) -> None:
    for text in ("0001-01-01T00:00:00+14:00", "9999-12-31T23:59:59-12:00"):
        made = create(store, act(), received(datetime.fromisoformat(text)))
        assert read(store, "hospital", made.id) == made


def test_text_of_any_length_is_kept_and_found(store: Engine) -> None:
    """PostgreSQL refuses long text in most of its indexes; that of random letters cannot be made shorter there."""
    letters = random.Random(7)  # noqa: S311 # no secret
    words: dict[str, Any] = {
        name: "".join(chr(letters.randrange(0x4E00, 0x9000)) for _ in range(10_000)) for name in LONG
    }

    made = create(store, act(), received(**words | {"identifier": (words["author"], words["identifier"])}))

    for name in ("questionnaire", "status", "author", "identifier"):
        wanted: dict[str, Any] = {name: ((None, words[name]) if name == "identifier" else words[name],)}
        assert search(store, "hospital", Criteria(**wanted), count=9) == (1, [made], None)
    assert create_unless(store, LATER, received(), Criteria(identifier=((None, words["identifier"]),))) == (made, False)


def test_one_identifier_is_found_by_its_index(store: Engine) -> None:
    """Whoever submits with a condition asks for it each time, however many responses there are."""
    query = select(responses.c.id).where(*conditions(Criteria(identifier=(("urn:sys", "7"),))))
    said = str(query.compile(store, compile_kwargs={"literal_binds": True}))
    with store.begin() as connection:
        how = "EXPLAIN QUERY PLAN"
        if store.dialect.name == "postgresql":
            how = "EXPLAIN"
            connection.exec_driver_sql("SET LOCAL enable_seqscan = off")  # an empty table needs no index
        plan = connection.exec_driver_sql(f"{how} {said}").all()

    assert "ix_responses_identifier" in str(plan)


def _versions(store: Engine, id_: str) -> list[Stored]:
    found = (read(store, "hospital", id_, version) for version in range(1, 10))
    return [one for one in found if one]
