"""Nothing is kept longer than it may be; what is kept of one patient is handed over, and removed but for the log."""

import json
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any
from uuid import UUID

import pytest
from sqlalchemy import Engine

from cds_service.errors import Unavailable
from cds_service.store import (
    Act,
    Criteria,
    Keep,
    audit_events,
    cards,
    create,
    decisions,
    delete,
    erase,
    events,
    export,
    feedback,
    first_use,
    lifetimes,
    note,
    of_patient,
    owners,
    purge,
    read,
    record,
    record_feedback,
    responses,
    search,
    seen_tokens,
    update,
)
from cds_service.store.lifetimes import BATCH
from tests.store_samples import ENTRY, NOW, OTHER, PATIENT, ROW, act, card, kept, opened, received

pytestmark = pytest.mark.timeless  # the store reads no clock: what time it is, it is told

DAY = timedelta(days=1)
MONTH = timedelta(days=30)
YEARS = timedelta(days=5 * 365 + 1)  # five years hold one or two leap days
NOTHING = dict.fromkeys(
    ("responses", "decisions", "cards", "feedback", "audit_events", "seen_tokens", "access_tokens", "visits"), 0
)
RECORDS = ("decisions", "cards", "feedback", "audit_events")


def uuid(number: int) -> str:
    return str(UUID(int=number))


def advise(
    store: Engine, number: int = 1, at: datetime = NOW, *, client: str = "hospital", patient: str = PATIENT
) -> None:
    """One decision, with one card."""
    row = ROW | {"client": client, "patient": patient}
    record(store, act(at, client=client, patient=patient), row, [card(uuid(number))])


def say(store: Engine, number: int = 1, at: datetime = NOW, *, client: str = "hospital", **members: Any) -> None:
    """Feedback on that card."""
    record_feedback(store, act(at, client=client), [ENTRY | {"card": uuid(number)} | members])


# Purge.

AUTHORED: dict[str, tuple[datetime | None, timedelta]] = {  # authored, and how long after NOW it goes
    "as it is received": (NOW, MONTH),
    "before it is received": (NOW - 10 * DAY, MONTH - 10 * DAY),
    "it is not known when": (None, MONTH),
    "in the time to come": (NOW + 1000 * DAY, MONTH),
}


@pytest.mark.parametrize(("authored", "after"), AUTHORED.values(), ids=AUTHORED)
def test_a_response_goes_thirty_days_after_it_was_filled_in(
    store: Engine, authored: datetime | None, after: timedelta
) -> None:
    create(store, act(), received(authored), "one")

    assert purge(store, Keep(), NOW + after) == NOTHING
    assert purge(store, Keep(), NOW + after + timedelta(milliseconds=1)) == NOTHING | {"responses": 1}

    assert read(store, "hospital", "one") is None


def test_every_version_goes_and_what_says_that_it_was_deleted(store: Engine) -> None:
    create(store, act(), received(NOW - DAY), "one")
    update(store, act(), "one", received(NOW - DAY), None)
    delete(store, act(), "one")

    assert purge(store, Keep(), NOW + MONTH)["responses"] == 2
    assert purge(store, Keep(), NOW + MONTH + DAY)["responses"] == 1
    assert kept(store, responses) == []


def test_a_response_that_was_filled_in_again_stays_without_its_earlier_version(store: Engine) -> None:
    create(store, act(), received(NOW - 20 * DAY), "one")
    update(store, act(), "one", received(NOW), None)

    purge(store, Keep(), NOW + 20 * DAY)

    assert read(store, "hospital", "one", 1) is None
    assert len(of_patient(store, "hospital", PATIENT)) == 1


def test_a_response_goes_thirty_days_after_the_last_moment_that_its_date_may_mean(store: Engine) -> None:
    """Its alarms count until then: of a date that is a month, from the end of the month."""
    create(store, act(), received(NOW - 21 * DAY, latest=NOW - 5 * DAY), "past")
    create(store, act(), received(NOW - 21 * DAY, latest=NOW + 9 * DAY), "running")

    assert purge(store, Keep(), NOW + MONTH - 5 * DAY) == NOTHING
    assert purge(store, Keep(), NOW + MONTH) == NOTHING | {"responses": 1}
    assert [row["id"] for row in kept(store, responses)] == ["running"]
    assert purge(store, Keep(), NOW + MONTH + DAY) == NOTHING | {"responses": 1}


def test_with_the_current_version_every_earlier_one_goes(store: Engine) -> None:
    """Its date was put right to an earlier one: the wrong one does not count again."""
    for client in ("hospital", "other-hospital"):
        create(store, act(client=client), received(NOW), "one")
    create(store, act(), received(NOW), "two")
    update(store, act(), "one", received(NOW - 20 * DAY), None)

    assert purge(store, Keep(), NOW + 20 * DAY) == NOTHING | {"responses": 2}

    assert [read(store, "hospital", "one", version) for version in (None, 1, 2)] == [None] * 3
    assert [(row["client"], row["id"]) for row in kept(store, responses)] == [
        ("hospital", "two"),
        ("other-hospital", "one"),
    ]


def test_a_purge_that_breaks_off_leaves_no_earlier_version_without_the_current_one(
    store: Engine, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(lifetimes, "BATCH", 1)
    create(store, act(), received(NOW), "one")
    for _ in range(2):
        update(store, act(), "one", received(NOW - 20 * DAY), None)

    for left in (2, 1, 0):
        lifetimes._batch(store, lifetimes._responses, NOW - 10 * DAY, NOW + 20 * DAY)
        assert len(kept(store, responses)) == left
        assert [row["version"] for row in kept(store, responses) if row["current"]] == [3][:left]


def test_a_response_whose_current_version_went_is_there_no_more(store: Engine) -> None:
    create(store, act(), received(NOW), "one")
    update(store, act(), "one", received(NOW - 20 * DAY), None)

    purge(store, Keep(), NOW + 20 * DAY)

    assert read(store, "hospital", "one") is None
    assert search(store, "hospital", Criteria(), count=1) == (0, [], None)
    assert of_patient(store, "hospital", PATIENT) == []
    assert update(store, act(), "one", received(), None) is None
    assert not delete(store, act(), "one")


def test_records_stay_for_five_years_and_go_after_them(store: Engine) -> None:
    advise(store)
    say(store)

    assert purge(store, Keep(), NOW + YEARS) == NOTHING
    gone = purge(store, Keep(), NOW + YEARS + 5 * DAY)

    assert gone == NOTHING | {"decisions": 1, "cards": 1, "feedback": 1, "audit_events": 2}


def test_a_decision_stays_as_long_as_feedback_on_it(store: Engine) -> None:
    advise(store, 1)
    advise(store, 2)
    say(store, 1, NOW + 100 * DAY)

    purge(store, Keep(), NOW + YEARS + 50 * DAY)

    assert [row["uuid"] for row in kept(store, cards)] == [uuid(1)]
    assert len(kept(store, decisions)) == len(kept(store, feedback)) == 1
    assert purge(store, Keep(), NOW + YEARS + 200 * DAY)["cards"] == 1


def test_lifetimes_are_those_that_were_set(store: Engine) -> None:
    create(store, act(), received(NOW))
    advise(store)

    keep = Keep(responses=timedelta(days=2), records=timedelta(days=4))

    assert purge(store, keep, NOW + 2 * DAY) == NOTHING
    assert purge(store, keep, NOW + 3 * DAY) == NOTHING | {"responses": 1}
    assert purge(store, keep, NOW + 5 * DAY) == NOTHING | {"decisions": 1, "cards": 1, "audit_events": 2}


def test_tokens_go_when_they_would_be_refused_anyway(store: Engine) -> None:
    for minutes in (1, 2, 3):
        first_use(store, "https://ehr.example", str(minutes), NOW + timedelta(minutes=minutes), NOW)

    assert purge(store, Keep(), NOW + timedelta(minutes=2)) == NOTHING | {"seen_tokens": 1}
    assert len(kept(store, seen_tokens)) == 2


def test_more_than_one_batch_is_removed(store: Engine) -> None:
    rows = [{**_stored(number), "id": f"r{number}"} for number in range(2 * BATCH + 1)]
    with store.begin() as connection:
        connection.execute(responses.insert(), rows)
    create(store, act(NOW + DAY), received(NOW + DAY), "stays")

    assert purge(store, Keep(), NOW + MONTH + timedelta(hours=1)) == NOTHING | {"responses": 2 * BATCH + 1}
    assert [row["id"] for row in kept(store, responses)] == ["stays"]


def _stored(number: int) -> dict[str, Any]:
    words = ("patient", "questionnaire", "status", "author", "identifier_system", "identifier_value", "disposition")
    times = dict.fromkeys(("received_at", "updated_at", "dated"), NOW + timedelta(seconds=number))
    return {"client": "hospital", "version": 1, "current": True, "body": {}} | dict.fromkeys(words, "") | times


@pytest.mark.requirement("S-14")
def test_each_client_whose_data_go_has_an_event_of_it(store: Engine) -> None:
    create(store, act(), received(NOW))
    create(store, act(client="other-hospital"), received(NOW))
    advise(store, client="third-hospital")

    purge(store, Keep(), NOW + MONTH + DAY)

    told = [(row["client"], row["action"], row["at"]) for row in kept(store, audit_events) if row["what"] == "purge"]
    assert sorted(told) == [(name, "D", NOW + MONTH + DAY) for name in ("hospital", "other-hospital")]


def test_what_was_removed_from_sqlite_is_in_none_of_its_files(tmp_path: Path) -> None:
    with opened(f"sqlite:///{tmp_path / 'd.sqlite'}") as store:
        for number in range(50):
            create(store, act(), received(NOW, mark=f"secret-{number}"))
        advise(store)
        say(store, comment="secret-words")
        files = b"".join(path.read_bytes() for path in tmp_path.iterdir())
        assert b"secret-7" in files
        assert b"secret-words" in files

        erase(store, "hospital", [PATIENT], NOW)

        assert not [path.name for path in tmp_path.iterdir() if b"secret-" in path.read_bytes()]


# One patient's rights.


@pytest.fixture(name="hospitals")
def _hospitals(store: Engine) -> Engine:
    """Two clients, each with two patients; each patient has two versions of a response, a decision and feedback."""
    number = 0
    for client in ("hospital", "other-hospital"):
        for patient in (PATIENT, OTHER):
            number += 1
            about = act(client=client, patient=patient)
            create(store, about, received(patient=patient, mark=f"{client} {patient[:2]}"), f"r-{number}")
            update(store, about, f"r-{number}", received(patient=patient, mark=f"{client} {patient[:2]}"), None)
            advise(store, number, client=client, patient=patient)
            say(store, number, client=client, comment=f"{client} {patient[:2]} phoned", reason_display="In words")
            say(store, number, client=client, outcome="overridden")
    return store


def test_those_who_keep_anything_are_known(hospitals: Engine) -> None:
    note(hospitals, Act("third-hospital north", NOW), "R", "x")

    assert owners(hospitals) == ["hospital", "other-hospital", "third-hospital north"]


def test_of_a_new_store_nobody_is_the_owner(store: Engine) -> None:
    assert owners(store) == []


def test_erasing_removes_answers_and_words_and_says_what_stays_and_why(hospitals: Engine) -> None:
    done = erase(hospitals, "hospital", [PATIENT], NOW)

    assert done["removed"] == {"responses": 2, "comments": 1}
    assert done["kept"] == {"decisions": 1, "cards": 1, "feedback": 2, "audit_events": 6}  # that of erasing included
    assert "five years" in done["why"]
    assert of_patient(hospitals, "hospital", PATIENT) == []
    assert read(hospitals, "hospital", "r-1", 1) is None


def test_erasing_touches_no_other_patient_and_no_other_client(hospitals: Engine) -> None:
    erase(hospitals, "hospital", [PATIENT], NOW)

    assert [row["id"] for row in kept(hospitals, responses) if row["current"]] == ["r-2", "r-3", "r-4"]
    assert [row["comment"] for row in kept(hospitals, feedback) if row["comment"]] == [
        "hospital b2 phoned",
        "other-hospital a1 phoned",
        "other-hospital b2 phoned",
    ]
    assert len([row for row in kept(hospitals, feedback) if row["reason_display"]]) == 3


def test_erasing_again_finds_nothing_more(hospitals: Engine) -> None:
    erase(hospitals, "hospital", [PATIENT], NOW)

    assert erase(hospitals, "hospital", [PATIENT], NOW)["removed"] == {"responses": 0, "comments": 0}


def test_erasing_for_all_clients_takes_the_hash_that_each_has(hospitals: Engine) -> None:
    assert erase(hospitals, None, [PATIENT, OTHER], NOW)["removed"] == {"responses": 8, "comments": 4}
    assert kept(hospitals, responses) == []


def test_nobody_is_erased_or_exported_for_somebody_who_is_not_there(hospitals: Engine) -> None:
    advise(hospitals, 9, patient="")  # it is not known about whom

    for patients in ([], [""], ["c3" * 32]):
        assert erase(hospitals, None, patients, NOW)["removed"] == {"responses": 0, "comments": 0}
        assert set(map(len, export(hospitals, None, patients, NOW).values())) == {0}
    assert len(kept(hospitals, responses)) == 8


def test_a_repeat_of_feedback_does_not_bring_erased_words_back(hospitals: Engine) -> None:
    erase(hospitals, "hospital", [PATIENT], NOW)

    say(hospitals, 1, comment="hospital a1 phoned", reason_display="In words")

    assert len([row for row in kept(hospitals, feedback) if row["card"] == uuid(1)]) == 2
    assert not [row for row in kept(hospitals, feedback) if row["comment"] == "hospital a1 phoned"]


def test_the_export_holds_all_about_the_patient_and_nothing_about_another(hospitals: Engine) -> None:
    found = json.loads(json.dumps(export(hospitals, "hospital", [PATIENT], NOW)))

    assert {table: len(rows) for table, rows in found.items()} == {
        "responses": 2,
        "decisions": 1,
        "cards": 1,
        "feedback": 2,
        "audit_events": 6,  # two versions, a decision, two feedbacks, and this export
    }
    assert [row["body"]["item"] for row in found["responses"]] == [[{"linkId": "hospital a1"}]] * 2
    assert found["decisions"][0]["at"] == "2026-11-22T10:00:00.250000+00:00"
    assert found["feedback"][0]["comment"] == "hospital a1 phoned"
    assert not [word for word in (OTHER, "b2 phoned", "other-hospital") if word in json.dumps(found)]


def test_an_export_changes_nothing(hospitals: Engine) -> None:
    before = {table.name: kept(hospitals, table) for table in (responses, decisions, cards, feedback)}

    export(hospitals, None, [PATIENT, OTHER], NOW)

    assert {table.name: kept(hospitals, table) for table in (responses, decisions, cards, feedback)} == before


@pytest.mark.requirement("S-14")
@pytest.mark.parametrize(("serve", "what", "action"), [(erase, "erase", "D"), (export, "export", "R")])
def test_each_client_reads_that_it_was_erased_or_exported_and_by_whom(
    hospitals: Engine, serve: Any, what: str, action: str
) -> None:
    serve(hospitals, None, [PATIENT], NOW + DAY, "operator-1")

    for client in ("hospital", "other-hospital"):
        _, (event,) = events(hospitals, client, since=NOW + DAY, count=9)
        told = (event["what"], event["action"], event["agent"], event["patient"], event["at"])
        assert told == (what, action, "operator-1", PATIENT, NOW + DAY)


@pytest.mark.requirement("S-14")
@pytest.mark.parametrize("serve", [erase, export])
def test_without_an_event_of_it_nothing_is_erased_or_exported(hospitals: Engine, serve: Any) -> None:
    with hospitals.begin() as connection:
        connection.exec_driver_sql("ALTER TABLE audit_events RENAME COLUMN outcome TO gone")

    with pytest.raises(Unavailable, match="nothing is"):
        serve(hospitals, "hospital", [PATIENT], NOW)

    assert len(kept(hospitals, responses)) == 8
