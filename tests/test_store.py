"""Each decision is recorded with its cards before it is answered, without a single answer; without a record there is no
advice. Feedback is kept once, and a token is used once, by however many processes."""

import json
import multiprocessing
import sqlite3
from collections.abc import Callable
from datetime import UTC, datetime, timedelta, timezone
from multiprocessing.queues import SimpleQueue
from multiprocessing.synchronize import Barrier
from pathlib import Path
from typing import Any

import pytest
from flask.testing import FlaskClient
from sqlalchemy import Engine, Table, select, text

from cds_content.screening import Screening
from cds_service.errors import Unavailable
from cds_service.store import (
    cards,
    decisions,
    feedback,
    first_use,
    issued,
    open_store,
    record,
    record_feedback,
    seen_tokens,
)
from cds_service.web import Deployment, create_app
from tests.conftest import SERVICE
from tests.samples import CALM, FORM, bundle, call, patient, response

NOW = datetime(2026, 11, 22, 10, 0, tzinfo=UTC)
CARD = "3f0c1a52-0000-4000-8000-00000000000a"
SUGGESTION = "3f0c1a52-0000-4000-8000-00000000000b"
ROW = {
    "client": "hospital",
    "service": "low-back-pain-patient-view",
    "hook_instance": "visit 12",
    "questionnaire": f"{FORM}|1.0.0",
    "content_hash": "hash",
    "disposition": "emergency-now",
    "rows": ["R02"],
    "unknown": [],
}
ENTRY = {
    "card": CARD,
    "outcome": "accepted",
    "outcome_timestamp": NOW,
    "accepted_suggestions": [SUGGESTION],
    "reason_code": None,
    "reason_system": None,
    "reason_display": None,
    "comment": None,
}


@pytest.fixture(name="url")
def _url(tmp_path: Path) -> str:
    return f"sqlite:///{tmp_path / 'd.sqlite'}"


@pytest.fixture(name="store")
def _store(url: str) -> Engine:
    return open_store(url)


@pytest.fixture(name="client")
def _client(screening: Screening, store: Engine) -> FlaskClient:
    return create_app(Deployment((screening,), store, "http://x", development=True)).test_client()


def card(uuid: str = CARD, *suggestions: str) -> dict[str, Any]:
    """A card as it goes out, with what the store reads of it."""
    actions = {"suggestions": [{"uuid": one} for one in suggestions]} if suggestions else {}
    return {"uuid": uuid, "source": {"topic": {"code": "emergency-now"}}} | actions


def kept(store: Engine, table: Table) -> list[dict[str, Any]]:
    with store.connect() as connection:
        return [dict(row) for row in connection.execute(select(table)).mappings()]


def test_a_decision_is_traceable_and_names_neither_patient_nor_answer(
    screening: Screening, store: Engine, client: FlaskClient
) -> None:
    answers = CALM | {"rf-saddle": "new", "rf-cancer": "unknown"}

    given = client.post(SERVICE, json=call(response(answers))).get_json()["cards"]

    (row,) = kept(store, decisions)
    assert row["hook_instance"] == "7f3f2b9e-4c1c-4a0e-9a52-0d4d2c1f7a11"
    assert (row["client"], row["service"]) == ("development", "low-back-pain-patient-view")
    assert (row["questionnaire"], row["content_hash"]) == (f"{FORM}|1.0.0", screening.hash)
    assert (row["disposition"], row["rows"]) == ("emergency-now", ["R02", "R00"])
    assert row["unknown"] == ["rf-cancer: not-known"]
    assert kept(store, cards) == [
        {
            "uuid": one["uuid"],
            "decision": row["id"],
            "client": "development",
            "service": "low-back-pain-patient-view",
            "topic": topic,
            "suggestions": [suggestion["uuid"] for suggestion in one["suggestions"]],
        }
        for one, topic in zip(given, ["emergency-now", "incomplete"], strict=True)
    ]
    all_kept = json.dumps([{**row, "at": ""}, *kept(store, cards)])
    assert not [words for words in ("p1", "gp-1", "response-1", "new", "valueCoding") if f'"{words}"' in all_kept]


def test_silence_is_recorded_too(store: Engine, client: FlaskClient) -> None:
    client.post(SERVICE, json=call(prefetch={"patient": patient(), "responses": bundle()}))

    assert [row["disposition"] for row in kept(store, decisions)] == ["no-screening"]
    assert kept(store, cards) == []


def test_the_card_of_a_patient_who_reads_is_recorded_without_suggestions(store: Engine, client: FlaskClient) -> None:
    about = {"userId": "Patient/p1", "patientId": "p1"}

    client.post(SERVICE, json=call(response(CALM | {"rf-saddle": "new"}), context=about))

    assert [(row["topic"], row["suggestions"]) for row in kept(store, cards)] == [("emergency-now", [])]


@pytest.mark.parametrize("table", ["decisions", "cards"])
def test_a_decision_that_cannot_be_recorded_is_not_given(store: Engine, client: FlaskClient, table: str) -> None:
    with store.begin() as connection:
        connection.execute(text(f"ALTER TABLE {table} RENAME TO gone"))

    answer = client.post(SERVICE, json=call(response(CALM)))

    assert answer.status_code == 503
    assert answer.get_json()["resourceType"] == "OperationOutcome"
    assert "cards" not in answer.get_json()
    assert answer.headers["Retry-After"]


def test_a_decision_and_its_cards_are_committed_together_or_not_at_all(store: Engine) -> None:
    record(store, ROW, [card()], NOW)

    with pytest.raises(Unavailable, match="no advice is given"):
        record(store, ROW, [card("3f0c1a52-0000-4000-8000-00000000000c"), card()], NOW)  # the second is there already

    assert len(kept(store, decisions)) == 1
    assert [row["uuid"] for row in kept(store, cards)] == [CARD]


def test_times_are_kept_in_utc(store: Engine) -> None:
    record(store, ROW, [], NOW.astimezone(timezone(timedelta(hours=2))))

    assert [row["at"].replace(tzinfo=UTC) for row in kept(store, decisions)] == [NOW]


def test_a_database_that_cannot_be_opened_ends_the_start(tmp_path: Path) -> None:
    with pytest.raises(Unavailable, match="CDS_DATABASE_URL"):
        open_store(f"sqlite:///{tmp_path / 'no-folder' / 'd.sqlite'}")


def test_a_file_that_is_no_database_ends_the_start(tmp_path: Path) -> None:
    (tmp_path / "letter.txt").write_text("This is a letter. " * 100)

    with pytest.raises(Unavailable, match="CDS_DATABASE_URL"):
        open_store(f"sqlite:///{tmp_path / 'letter.txt'}")


@pytest.mark.parametrize(
    ("url", "says"),
    [("postgresql://localhost/decisions", "only SQLite"), ("sqlite+aiosqlite:///d", "cannot be opened")],
)
def test_another_kind_of_database_or_driver_ends_the_start(url: str, says: str) -> None:
    with pytest.raises(Unavailable, match=f"^CDS_DATABASE_URL: .*{says}"):
        open_store(url)


def test_while_another_process_holds_the_database_no_decision_is_given_and_later_it_is(
    store: Engine, tmp_path: Path
) -> None:
    holder = sqlite3.connect(tmp_path / "d.sqlite", isolation_level=None)
    holder.execute("BEGIN IMMEDIATE")

    with pytest.raises(Unavailable, match="try again later"):
        record(store, ROW, [card()], NOW)

    holder.execute("ROLLBACK")
    holder.close()
    record(store, ROW, [card()], NOW)
    assert len(kept(store, cards)) == 1


def test_a_database_of_an_earlier_version_is_refused_and_left_as_it_was(tmp_path: Path) -> None:
    path = tmp_path / "d.sqlite"
    with sqlite3.connect(path) as earlier:
        earlier.execute("CREATE TABLE decisions (id INTEGER PRIMARY KEY, at DATETIME, cards JSON, suggestions JSON)")
        earlier.execute("INSERT INTO decisions (cards) VALUES ('[]')")
    earlier.close()

    with pytest.raises(
        Unavailable, match=r"^CDS_DATABASE_URL: .*earlier version.*; move .*, or write the URL of a new"
    ):
        open_store(f"sqlite:///{path}")

    with sqlite3.connect(path) as after:
        assert after.execute("SELECT name FROM sqlite_master WHERE type = 'table'").fetchall() == [("decisions",)]
        assert after.execute("SELECT cards FROM decisions").fetchall() == [("[]",)]
    after.close()


def test_a_database_of_this_version_is_opened_again_with_all_that_it_holds(url: str, store: Engine) -> None:
    record(store, ROW, [card()], NOW)
    store.dispose()

    assert len(kept(open_store(url), cards)) == 1


def test_what_is_committed_survives_a_power_cut_and_refers_to_what_is_there(store: Engine) -> None:
    settings = {"journal_mode": "wal", "synchronous": 2, "foreign_keys": 1}  # 2: FULL

    with store.connect() as one, store.connect() as other:  # every connection has them
        for connection in (one, other):
            found = {name: connection.exec_driver_sql(f"PRAGMA {name}").scalar() for name in settings}
            assert found == settings


def test_a_card_is_known_to_the_client_and_the_service_that_it_was_given_to(store: Engine) -> None:
    record(store, ROW, [card(CARD, SUGGESTION)], NOW)

    service = "low-back-pain-patient-view"
    assert issued(store, "hospital", service, [CARD, "no-such-card"]) == {CARD: [SUGGESTION]}
    assert issued(store, "hospital", service, [CARD.upper()]) == {CARD: [SUGGESTION]}
    assert issued(store, "other-hospital", service, [CARD]) == {}
    assert issued(store, "hospital", "low-back-pain-order-sign", [CARD]) == {}
    assert issued(store, "hospital", service, []) == {}


def test_thousands_of_cards_are_looked_up_at_once(store: Engine) -> None:
    record(store, ROW, [card()], NOW)

    asked = [CARD, *(f"card-{number}" for number in range(15_000))]  # more than a body of a megabyte holds

    assert issued(store, "hospital", "low-back-pain-patient-view", asked) == {CARD: []}


def test_feedback_on_an_unknown_card_is_never_kept_not_even_beside_a_known_one(store: Engine) -> None:
    record(store, ROW, [card()], NOW)

    with pytest.raises(Unavailable, match="send it again"):
        record_feedback(store, [ENTRY, ENTRY | {"card": "no-such-card"}], NOW)

    assert kept(store, feedback) == []


def test_no_feedback_is_none(store: Engine) -> None:
    record_feedback(store, [], NOW)

    assert kept(store, feedback) == []


OTHERWISE: dict[str, dict[str, Any]] = {
    "another outcome": {"outcome": "overridden"},
    "a second later": {"outcome_timestamp": NOW + timedelta(seconds=1)},
    "no suggestion": {"accepted_suggestions": []},
    "a reason": {"reason_code": "patient-refuses"},
    "a reason of a system": {"reason_system": "https://example.org/reasons"},
    "a reason in words": {"reason_display": "Patient refuses"},
    "a comment": {"comment": "seen by phone"},
}


@pytest.mark.parametrize("members", OTHERWISE.values(), ids=OTHERWISE)
def test_what_was_said_before_is_kept_once_and_anything_else_beside_it(store: Engine, members: dict[str, Any]) -> None:
    record(store, ROW, [card()], NOW)
    backwards = dict(reversed(ENTRY.items()))

    record_feedback(store, [ENTRY], NOW)
    record_feedback(store, [ENTRY | members, ENTRY], NOW + timedelta(hours=1))
    record_feedback(store, [backwards], NOW + timedelta(hours=2))

    said = [{name: row[name] for name in ENTRY} for row in kept(store, feedback)]
    expected = [ENTRY, ENTRY | members]
    assert said == [one | {"outcome_timestamp": one["outcome_timestamp"].replace(tzinfo=None)} for one in expected]  # type: ignore[attr-defined] # a table of mixed values
    assert [row["received_at"].hour for row in kept(store, feedback)] == [10, 11]


def test_feedback_stands_in_the_order_in_which_it_came_whatever_its_own_times(store: Engine) -> None:
    record(store, ROW, [card()], NOW)
    times = [NOW + timedelta(minutes=minute) for minute in (5, 1, 9, 3)]

    record_feedback(store, [ENTRY | {"outcome_timestamp": time} for time in times[:2]], NOW)
    record_feedback(store, [ENTRY | {"outcome_timestamp": time} for time in times[2:]], NOW)

    rows = sorted(kept(store, feedback), key=lambda row: int(row["id"]))
    assert [row["outcome_timestamp"].replace(tzinfo=UTC) for row in rows] == times


UNTIL = NOW + timedelta(minutes=5)


def test_a_token_is_used_for_the_first_time_once(url: str, store: Engine) -> None:
    assert first_use(store, "https://ehr.example", "jti-1", UNTIL, NOW)
    assert not first_use(store, "https://ehr.example", "jti-1", UNTIL, NOW)
    assert not first_use(open_store(url), "https://ehr.example", "jti-1", UNTIL, UNTIL)  # up to its last moment


OTHER_TOKENS: dict[str, tuple[str, str]] = {
    "another id": ("https://ehr.example", "jti-2"),
    "the same id of another issuer": ("https://other.example", "jti-1"),
    "the same letters, divided otherwise": ("https://ehr.examplejti", "-1"),
    "the id in capitals": ("https://ehr.example", "JTI-1"),
    "half a letter": ("https://ehr.example", "\ud800"),
}


@pytest.mark.parametrize(("issuer", "jti"), OTHER_TOKENS.values(), ids=OTHER_TOKENS)
def test_another_token_is_another_use(store: Engine, issuer: str, jti: str) -> None:
    first_use(store, "https://ehr.example", "jti-1", UNTIL, NOW)

    assert first_use(store, issuer, jti, UNTIL, NOW)
    assert not first_use(store, issuer, jti, UNTIL, NOW)


def test_a_token_that_has_expired_is_dropped_and_one_that_has_not_stays(store: Engine) -> None:
    late = UNTIL.astimezone(timezone(timedelta(hours=-9)))  # the same moment, elsewhere
    first_use(store, "https://ehr.example", "short", NOW + timedelta(minutes=1), NOW)
    first_use(store, "https://ehr.example", "long", late, NOW)

    first_use(store, "https://ehr.example", "third", UNTIL + timedelta(hours=1), NOW + timedelta(minutes=2))

    assert len(kept(store, seen_tokens)) == 2
    assert not first_use(store, "https://ehr.example", "long", late, NOW + timedelta(minutes=2))


def test_neither_token_nor_issuer_can_be_read_back(store: Engine) -> None:
    first_use(store, "https://ehr.example", "jti-1", UNTIL, NOW)

    assert not [words for words in ("ehr.example", "jti-1") if words in str(kept(store, seen_tokens))]


def test_a_token_whose_use_cannot_be_kept_is_not_accepted(store: Engine) -> None:
    seen_tokens.drop(store)

    with pytest.raises(Unavailable):
        first_use(store, "https://ehr.example", "jti-1", UNTIL, NOW)


# What each of several processes does with the same database at the same time.

PROCESSES = 4
TIMES = 40
Task = Callable[[str], list[bool]]


def use_tokens(url: str) -> list[bool]:
    store = open_store(url)
    return [first_use(store, "https://ehr.example", f"jti-{number}", UNTIL, NOW) for number in range(TIMES)]


def send_feedback(url: str) -> list[bool]:
    store = open_store(url)
    for number in range(TIMES):
        record_feedback(store, [ENTRY | {"comment": f"comment {number}"}, ENTRY], NOW)
    return []


def _run(task: Task, url: str, start: Barrier, answers: "SimpleQueue[list[bool]]") -> None:
    start.wait(timeout=60)
    answers.put(task(url))


def at_once(task: Task, url: str) -> list[list[bool]]:
    """What the task answers in each of several processes that begin together; fails when one of them fails."""
    spawn = multiprocessing.get_context("spawn")
    start, answers = spawn.Barrier(PROCESSES), spawn.SimpleQueue()
    processes = [spawn.Process(target=_run, args=(task, url, start, answers)) for _ in range(PROCESSES)]
    for process in processes:
        process.start()
    for process in processes:
        process.join(timeout=120)
    assert [process.exitcode for process in processes] == [0] * PROCESSES
    return [answers.get() for _ in processes]


def test_of_several_processes_one_only_is_the_first_to_use_a_token(url: str) -> None:
    answers = at_once(use_tokens, url)  # the database is new: they also open it at the same time

    assert [sum(uses) for uses in zip(*answers, strict=True)] == [1] * TIMES


def test_what_several_processes_receive_at_the_same_time_is_kept_once(url: str, store: Engine) -> None:
    record(store, ROW, [card()], NOW)

    at_once(send_feedback, url)

    comments = [row["comment"] for row in kept(store, feedback)]
    assert sorted(comments, key=str) == sorted([None, *(f"comment {number}" for number in range(TIMES))], key=str)
