"""Each decision is recorded with its cards and its event before it is answered, without a single answer; without a
record there is no advice. Feedback is kept once, and a token is used once. On both databases."""

import json
from datetime import UTC, timedelta, timezone
from typing import Any

import pytest
from flask.testing import FlaskClient
from sqlalchemy import Engine, text

from cds_content.screening import Screening
from cds_service.errors import Unavailable
from cds_service.store import (
    Act,
    audit_events,
    cards,
    decisions,
    feedback,
    first_use,
    issued,
    record,
    record_feedback,
    seen_tokens,
)
from cds_service.web import Deployment, create_app
from tests.conftest import SERVICE as ADDRESS
from tests.samples import CALM, FORM, bundle, call, patient, response
from tests.store_samples import ACT, CARD, ENTRY, NOW, PATIENT, ROW, SERVICE, SUGGESTION, act, card, kept, opened

pytestmark = pytest.mark.timeless  # the store reads no clock: what time it is, it is told


@pytest.fixture(name="client")
def _client(screening: Screening, store: Engine) -> FlaskClient:
    return create_app(Deployment((screening,), store, "http://x", development=True)).test_client()


def test_a_decision_is_traceable_and_names_neither_patient_nor_answer(
    screening: Screening, store: Engine, client: FlaskClient
) -> None:
    answers = CALM | {"rf-saddle": "new", "rf-cancer": "unknown"}

    given = client.post(ADDRESS, json=call(response(answers))).get_json()["cards"]

    (row,) = kept(store, decisions)
    assert row["hook_instance"] == "7f3f2b9e-4c1c-4a0e-9a52-0d4d2c1f7a11"
    assert (row["client"], row["service"]) == ("development", SERVICE)
    assert (row["questionnaire"], row["content_hash"]) == (f"{FORM}|1.0.0", screening.hash)
    assert (row["disposition"], row["rows"]) == ("emergency-now", ["R02", "R00"])
    assert row["unknown"] == ["rf-cancer: not-known"]
    expected = [
        {
            "uuid": one["uuid"],
            "decision": row["id"],
            "client": "development",
            "service": SERVICE,
            "topic": topic,
            "suggestions": [suggestion["uuid"] for suggestion in one["suggestions"]],
        }
        for one, topic in zip(given, ["emergency-now", "incomplete"], strict=True)
    ]
    assert kept(store, cards) == sorted(expected, key=lambda one: str(one["uuid"]))
    assert len(row["patient"]) == 64, "a keyed hash"
    events = [{**event, "at": ""} for event in kept(store, audit_events)]
    assert [(one["what"], one["patient"]) for one in events] == [(f"decision/{row['id']}", row["patient"])]
    all_kept = json.dumps([{**row, "at": ""}, *kept(store, cards), *events])
    assert not [words for words in ("p1", "Patient/p1", "response-1", "new", "valueCoding") if f'"{words}"' in all_kept]


def test_silence_is_recorded_too(store: Engine, client: FlaskClient) -> None:
    client.post(ADDRESS, json=call(prefetch={"patient": patient(), "responses": bundle()}))

    assert [row["disposition"] for row in kept(store, decisions)] == ["no-screening"]
    assert kept(store, cards) == []


def test_the_card_of_a_patient_who_reads_is_recorded_without_suggestions(store: Engine, client: FlaskClient) -> None:
    about = {"userId": "Patient/p1", "patientId": "p1"}

    client.post(ADDRESS, json=call(response(CALM | {"rf-saddle": "new"}), context=about))

    assert [(row["topic"], row["suggestions"]) for row in kept(store, cards)] == [("emergency-now", [])]


@pytest.mark.requirement("S-14")
def test_the_event_of_a_decision_says_who_when_about_whom_and_which_and_no_answer(store: Engine) -> None:
    number = record(store, ACT, ROW, [card()])

    assert number == kept(store, decisions)[0]["id"]
    (event,) = kept(store, audit_events)
    assert event.pop("id")
    assert event == {
        "at": NOW,
        "client": "hospital",
        "agent": "Practitioner/gp-1",
        "patient": PATIENT,
        "instance": "visit 12",
        "action": "E",
        "what": f"decision/{number}",
        "outcome": "0",
    }


@pytest.mark.parametrize("table", ["decisions", "cards", "audit_events"])
def test_a_decision_that_cannot_be_recorded_is_not_given(store: Engine, client: FlaskClient, table: str) -> None:
    with store.begin() as connection:
        connection.execute(text(f"ALTER TABLE {table} RENAME TO gone"))

    answer = client.post(ADDRESS, json=call(response(CALM)))

    assert answer.status_code == 503
    assert answer.get_json()["resourceType"] == "OperationOutcome"
    assert "cards" not in answer.get_json()
    assert answer.headers["Retry-After"]


def test_a_decision_and_its_cards_are_committed_together_or_not_at_all(store: Engine) -> None:
    record(store, ACT, ROW, [card()])

    with pytest.raises(Unavailable, match="no advice is given"):
        record(store, ACT, ROW, [card("3f0c1a52-0000-4000-8000-00000000000c"), card()])  # the second is there already

    assert len(kept(store, decisions)) == 1
    assert [row["uuid"] for row in kept(store, cards)] == [CARD]


def test_times_are_kept_in_utc(store: Engine) -> None:
    record(store, act(NOW.astimezone(timezone(timedelta(hours=2)))), ROW, [])

    (moment,) = [row["at"] for row in kept(store, decisions)]
    assert (moment, moment.tzinfo) == (NOW, UTC)


def test_text_of_any_length_and_of_any_characters_is_kept(store: Engine) -> None:
    """A tenant may have 255 characters; PostgreSQL cannot keep NUL, and no database half a letter."""
    owner = f"hospital {'t' * 255}"

    record(store, Act(owner, NOW, "u" * 5000, PATIENT, "visit\0\ud800 é"), ROW | {"client": owner}, [card()])

    (event,) = kept(store, audit_events)
    assert (event["client"], event["agent"], event["instance"]) == (owner, "u" * 5000, "visit\ufffd\ufffd é")
    assert issued(store, owner, SERVICE, [CARD, "\0"]) == {CARD: []}


def test_a_card_is_known_to_the_client_and_the_service_that_it_was_given_to(store: Engine) -> None:
    record(store, ACT, ROW, [card(CARD, SUGGESTION)])

    assert issued(store, "hospital", SERVICE, [CARD, "no-such-card"]) == {CARD: [SUGGESTION]}
    assert issued(store, "hospital", SERVICE, [CARD.upper()]) == {CARD: [SUGGESTION]}
    assert issued(store, "other-hospital", SERVICE, [CARD]) == {}
    assert issued(store, "hospital", "low-back-pain-order-sign", [CARD]) == {}
    assert issued(store, "hospital", SERVICE, []) == {}


def test_thousands_of_cards_are_looked_up_at_once(store: Engine) -> None:
    record(store, ACT, ROW, [card()])

    asked = [CARD, *(f"card-{number}" for number in range(15_000))]  # more than a body of a megabyte holds

    assert issued(store, "hospital", SERVICE, asked) == {CARD: []}


def test_feedback_on_an_unknown_card_is_never_kept_not_even_beside_a_known_one(store: Engine) -> None:
    record(store, ACT, ROW, [card()])

    with pytest.raises(Unavailable, match="send it again"):
        record_feedback(store, ACT, [ENTRY, ENTRY | {"card": "no-such-card"}])

    assert kept(store, feedback) == []


def test_feedback_on_the_card_of_another_client_is_never_kept(store: Engine) -> None:
    record(store, ACT, ROW, [card()])

    with pytest.raises(Unavailable, match="send it again"):
        record_feedback(store, act(client="other-hospital", patient=""), [ENTRY])

    assert kept(store, feedback) == []


@pytest.mark.requirement("S-14")
def test_each_feedback_that_is_new_has_its_event_about_the_patient_of_the_card(store: Engine) -> None:
    record(store, ACT, ROW, [card()])
    sender = act(client="hospital", patient="")  # who sends feedback does not say about whom it is

    record_feedback(store, sender, [ENTRY, ENTRY, ENTRY | {"outcome": "overridden"}])
    record_feedback(store, sender, [ENTRY])

    told = [(row["what"], row["action"], row["patient"]) for row in kept(store, audit_events)]
    assert told[1:] == [(f"feedback/{row['id']}", "C", PATIENT) for row in kept(store, feedback)]


@pytest.mark.requirement("S-14")
def test_feedback_whose_event_cannot_be_kept_is_not_kept(store: Engine) -> None:
    record(store, ACT, ROW, [card()])
    audit_events.drop(store)

    with pytest.raises(Unavailable, match="send it again"):
        record_feedback(store, ACT, [ENTRY])

    assert kept(store, feedback) == []


def test_no_feedback_is_none(store: Engine) -> None:
    record_feedback(store, ACT, [])

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
    record(store, ACT, ROW, [card()])
    backwards = dict(reversed(ENTRY.items()))

    record_feedback(store, ACT, [ENTRY])
    record_feedback(store, act(NOW + timedelta(hours=1)), [ENTRY | members, ENTRY])
    record_feedback(store, act(NOW + timedelta(hours=2)), [backwards])

    said = [{name: row[name] for name in ENTRY} for row in kept(store, feedback)]
    assert said == [ENTRY, ENTRY | members]
    assert [row["received_at"].hour for row in kept(store, feedback)] == [10, 11]


def test_feedback_stands_in_the_order_in_which_it_came_whatever_its_own_times(store: Engine) -> None:
    record(store, ACT, ROW, [card()])
    times = [NOW + timedelta(minutes=minute) for minute in (5, 1, 9, 3)]

    record_feedback(store, ACT, [ENTRY | {"outcome_timestamp": time} for time in times[:2]])
    record_feedback(store, ACT, [ENTRY | {"outcome_timestamp": time} for time in times[2:]])

    assert [row["outcome_timestamp"] for row in kept(store, feedback)] == times


UNTIL = NOW + timedelta(minutes=5)


def test_a_token_is_used_for_the_first_time_once(database_url: str, store: Engine) -> None:
    assert first_use(store, "https://ehr.example", "jti-1", UNTIL, NOW)
    assert not first_use(store, "https://ehr.example", "jti-1", UNTIL, NOW)
    with opened(database_url) as other:
        assert not first_use(other, "https://ehr.example", "jti-1", UNTIL, UNTIL)  # up to its last moment


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
