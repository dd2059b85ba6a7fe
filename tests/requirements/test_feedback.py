"""Feedback: what became of a card is kept once, all of a call or nothing, and only where the card was given."""

import json
import logging
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, NoReturn

import pytest
from flask.testing import FlaskClient
from sqlalchemy import Engine, MetaData, select, text
from werkzeug.test import TestResponse

from cds_content.screening import Screening
from cds_service.clients import Client
from cds_service.errors import NotAuthenticated
from cds_service.store import feedback
from cds_service.web import Deployment, create_app
from tests.requirements.requests import ALARM, HOOKS, Json, call, path, valid
from tests.samples import CALM, response
from tests.wire import ABSENT, cards_of, changed, obeys, places, refusal_of, same, store_in

PUBLIC = "http://127.0.0.1:8080"
HOOK = "patient-view"
THREE = {"co-trend": "same"}  # physiotherapist or doctor: a card with three suggestions
TIME = "2026-11-22T10:00:00Z"
NO_CARD = "7d1f6a3c-0000-4000-8000-000000000000"
MARKER = "Jansen, born 1950"  # what no refusal and no log may repeat


@pytest.fixture(name="store")
def _store(tmp_path: Path) -> Engine:
    return store_in(tmp_path / "decisions.sqlite")


@pytest.fixture(name="client")
def _client(screening: Screening, store: Engine) -> FlaskClient:
    """A service of its own, so that what it keeps can be counted."""
    return create_app(Deployment((screening,), store, PUBLIC, development=True)).test_client()


def given(client: FlaskClient, answers: Json = ALARM, hook: str = HOOK) -> Json:
    """The first card for a patient with these answers."""
    return cards_of(call(client, valid(hook, response(CALM | answers))))[0]


def accepted(card: Json, *which: int, **members: Any) -> Json:
    """The entry of a card whose suggestions at these places (the first unless given) were accepted."""
    ids = [{"id": card["suggestions"][one]["uuid"]} for one in which or (0,)]
    return {"card": card["uuid"], "outcome": "accepted", "acceptedSuggestions": ids, "outcomeTimestamp": TIME} | members


def overridden(card: Json, reason: Any = ABSENT, **members: Any) -> Json:
    entry = {"card": card["uuid"], "outcome": "overridden", "outcomeTimestamp": TIME} | members
    return entry if reason is ABSENT else entry | {"overrideReason": reason}


def post(client: FlaskClient, body: Any, hook: str = HOOK) -> TestResponse:
    return client.post(f"{path(hook)}/feedback", data=json.dumps(body), content_type="application/json")


def tell(client: FlaskClient, *entries: Json, hook: str = HOOK) -> None:
    """Sends entries that are valid in both versions; fails unless all are taken."""
    obeys({"feedback": list(entries)}, "feedback-2.0.1", "feedback-3.0-ballot")
    answer = post(client, {"feedback": list(entries)}, hook)
    assert (answer.status_code, answer.mimetype) == (200, "application/json"), answer.text
    assert answer.get_json() == {"recorded": len(entries)}


def kept(store: Engine) -> list[Json]:
    """The rows of feedback in the order in which they came."""
    with store.connect() as connection:
        return [dict(row) for row in connection.execute(select(feedback).order_by(feedback.c.id)).mappings()]


@pytest.mark.requirement("FB-1", "FB-10")
@pytest.mark.parametrize("hook", HOOKS)
def test_every_service_takes_feedback_on_its_cards(client: FlaskClient, store: Engine, hook: str) -> None:
    card = given(client, hook=hook)
    tell(client, overridden(card), hook=hook)
    assert [(row["card"], row["outcome"]) for row in kept(store)] == [(card["uuid"], "overridden")]


@pytest.mark.requirement("FB-1")
def test_where_all_hooks_share_an_id_the_feedback_on_all_cards_goes_to_that_id(
    screening: Screening, store: Engine
) -> None:
    client = create_app(Deployment((screening,), store, PUBLIC, development=True, grouped=True)).test_client()
    shared = "/cds-services/low-back-pain"
    for hook in (HOOK, "encounter-start"):
        card = cards_of(client.post(shared, json=valid(hook, response(CALM | ALARM))))[0]
        body = {"feedback": [overridden(card)]}
        refusal_of(client.post(f"{path(hook)}/feedback", json=body), 404)
        assert client.post(f"{shared}/feedback", json=body).status_code == 200
    assert len(kept(store)) == 2


@pytest.mark.requirement("FB-2")
@pytest.mark.parametrize("which", [(0,), (2,), (2, 0), (0, 1, 2)])
def test_an_accepted_card_says_which_of_its_suggestions_were_accepted(
    client: FlaskClient, store: Engine, which: tuple[int, ...]
) -> None:
    card = given(client, THREE)
    tell(client, accepted(card, *which))
    (row,) = kept(store)
    assert row["outcome"] == "accepted"
    assert set(row["accepted_suggestions"]) == {card["suggestions"][one]["uuid"] for one in which}


@pytest.mark.requirement("FB-2", "FB-7")
@pytest.mark.parametrize("outcome", ["accepted", "overridden"])
def test_a_suggestion_of_another_card_is_refused(client: FlaskClient, store: Engine, outcome: str) -> None:
    card, other = given(client, THREE), given(client, THREE)
    wrong = accepted(card, 0) | {"outcome": outcome}
    wrong["acceptedSuggestions"].append({"id": other["suggestions"][0]["uuid"]})
    reason = refusal_of(post(client, {"feedback": [overridden(card), accepted(other), wrong]}), 400)
    assert reason.startswith("feedback[2].acceptedSuggestions[1].id: ")
    assert other["suggestions"][0]["uuid"] not in reason
    assert kept(store) == []


@pytest.mark.requirement("FB-7")
def test_the_card_of_a_patient_has_no_suggestion_that_could_be_accepted(client: FlaskClient, store: Engine) -> None:
    (card,) = cards_of(call(client, valid(HOOK, response(CALM | ALARM), userId="Patient/p1")))
    entry = overridden(card) | {"outcome": "accepted", "acceptedSuggestions": [{"id": card["uuid"]}]}
    refusal_of(post(client, {"feedback": [entry]}), 400)
    tell(client, overridden(card))
    assert len(kept(store)) == 1


# What is sent, and the moment that it is (RFC 3339, 5.6).
TIMES: dict[str, tuple[str, datetime]] = {
    "UTC": (TIME, datetime(2026, 11, 22, 10, tzinfo=UTC)),
    "a fraction": ("2026-11-22T10:00:00.52Z", datetime(2026, 11, 22, 10, 0, 0, 520_000, UTC)),
    "nanoseconds": ("2026-11-22T10:00:00.123456789Z", datetime(2026, 11, 22, 10, 0, 0, 123_456, UTC)),
    "an hour ahead": ("2026-11-22T10:00:00+01:00", datetime(2026, 11, 22, 9, tzinfo=UTC)),
    "the day before": ("2026-11-22T01:30:00.5+05:45", datetime(2026, 11, 21, 19, 45, 0, 500_000, UTC)),
    "the year after": ("2026-12-31T23:00:00-02:00", datetime(2027, 1, 1, 1, tzinfo=UTC)),
    "an offset that is not known": ("2026-11-22T10:00:00-00:00", datetime(2026, 11, 22, 10, tzinfo=UTC)),
    "a leap day": ("2028-02-29T10:00:00Z", datetime(2028, 2, 29, 10, tzinfo=UTC)),
}


@pytest.mark.requirement("FB-3")
@pytest.mark.parametrize(("sent", "moment"), TIMES.values(), ids=TIMES)
def test_the_time_of_the_outcome_is_kept_in_utc(
    client: FlaskClient, store: Engine, sent: str, moment: datetime
) -> None:
    tell(client, overridden(given(client), outcomeTimestamp=sent))
    assert [row["outcome_timestamp"].replace(tzinfo=UTC) for row in kept(store)] == [moment]


def reason_of(row: Json) -> list[str | None]:
    """The code, system, display and comment that are kept."""
    return [row[name] for name in ("reason_code", "reason_system", "reason_display", "comment")]


@pytest.mark.requirement("FB-4")
def test_an_override_needs_no_reason(client: FlaskClient, store: Engine) -> None:
    tell(client, overridden(given(client)))
    assert [reason_of(row) for row in kept(store)] == [[None] * 4]


OURS = "https://lowbackpain.example/fhir/CodeSystem/low-back-pain-override-reasons"
# What is sent, and the code, system, display and comment that are kept.
REASONS: dict[str, tuple[Json, list[str | None]]] = {
    "a reason of the card": (
        {"reason": {"code": "other", "system": OURS, "display": "Other"}},
        ["other", OURS, "Other", None],
    ),
    "a reason of the client": (
        {"reason": {"code": "by-phone", "system": "https://ehr.example/reasons"}},
        ["by-phone", "https://ehr.example/reasons", None, None],
    ),
    "a reason without a system": ({"reason": {"code": "other"}}, ["other", None, None, None]),
    "a reason with words": ({"reason": {"code": "x", "display": "Not now"}}, ["x", None, "Not now", None]),
    "a comment only": ({"userComment": "seen yesterday"}, [None, None, None, "seen yesterday"]),
    "both": ({"reason": {"code": "other"}, "userComment": "1.\n2. ü 👍"}, ["other", None, None, "1.\n2. ü 👍"]),
    "members of tomorrow": (
        {"reason": {"code": "other", "version": "2", "userSelected": True}, "extension": {"org.example.x": {"a": 1}}},
        ["other", None, None, None],
    ),
}


@pytest.mark.requirement("FB-5")
@pytest.mark.parametrize(("sent", "expected"), REASONS.values(), ids=REASONS)
def test_a_reason_may_be_any_code_or_a_comment_or_both(
    client: FlaskClient, store: Engine, sent: Json, expected: list[str | None]
) -> None:
    tell(client, overridden(given(client), sent))
    assert [reason_of(row) for row in kept(store)] == [expected]


@pytest.mark.requirement("FB-5")
def test_an_accepted_card_may_carry_a_comment_too(client: FlaskClient, store: Engine) -> None:
    tell(client, accepted(given(client), overrideReason={"userComment": "the other one as well"}))
    assert [(row["outcome"], row["comment"]) for row in kept(store)] == [("accepted", "the other one as well")]


@pytest.mark.requirement("FB-6")
def test_one_call_may_hold_the_feedback_on_several_cards_of_several_calls(client: FlaskClient, store: Engine) -> None:
    both = cards_of(call(client, valid(HOOK, response(CALM | ALARM | {"rf-cancer": "unknown"}))))
    assert len(both) == 2
    later = given(client, THREE)
    tell(client, overridden(both[1]), accepted(later, 1), overridden(both[0], {"reason": {"code": "other"}}))
    assert [row["card"] for row in kept(store)] == [both[1]["uuid"], later["uuid"], both[0]["uuid"]]


@pytest.mark.requirement("FB-6")
def test_no_entries_are_none(client: FlaskClient, store: Engine) -> None:
    tell(client)
    assert kept(store) == []


def _backwards(value: Any) -> Any:
    """The same JSON, the members of every object in another order."""
    if isinstance(value, dict):
        return {name: _backwards(value[name]) for name in reversed(value)}
    return [_backwards(one) for one in value] if isinstance(value, list) else value


def _in_capitals(entry: Json) -> Json:
    ids = [{"id": one["id"].upper()} for one in entry["acceptedSuggestions"]]
    return entry | {"card": entry["card"].upper(), "acceptedSuggestions": ids}


def _again(entry: Json) -> dict[str, Json]:
    """The same entry as clients may write it the second time."""
    ids = entry["acceptedSuggestions"]
    return {
        "the same": entry,
        "its members in another order": _backwards(entry),
        "its uuids in capitals": _in_capitals(entry),
        "its suggestions in another order": entry | {"acceptedSuggestions": ids[::-1]},
        "a suggestion twice": entry | {"acceptedSuggestions": ids * 2},
        "the same moment elsewhere": entry | {"outcomeTimestamp": "2026-11-22T11:00:00.000+01:00"},
        "a member of tomorrow": entry | {"futureField": {"a": [1]}},
    }


@pytest.mark.requirement("FB-6")
def test_an_entry_that_is_sent_again_is_kept_once_however_it_is_written(client: FlaskClient, store: Engine) -> None:
    comment = {"reason": {"code": "other", "system": OURS}, "userComment": "agreed"}
    entry = accepted(given(client, THREE), 0, 2, overrideReason=comment)
    tell(client, entry)
    for how, again in _again(entry).items():
        obeys({"feedback": [again]}, "feedback-2.0.1")  # 3.0 writes uuids in lower case
        for body in ([again], [again, entry, again]):
            answer = post(client, {"feedback": body})
            assert (answer.status_code, answer.get_json()) == (200, {"recorded": len(body)}), how
        assert len(kept(store)) == 1, how


@pytest.mark.requirement("FB-6")
def test_a_card_that_is_accepted_and_later_overridden_keeps_both_in_that_order(
    client: FlaskClient, store: Engine
) -> None:
    card = given(client, THREE)
    first, second = accepted(card, 0), accepted(card, 1)
    last = overridden(card, outcomeTimestamp="2026-11-22T09:00:00Z")  # by a clock that is behind
    tell(client, first)
    tell(client, second, last)
    tell(client, last, second, first)
    found = [(row["outcome"], row["accepted_suggestions"]) for row in kept(store)]
    suggested = [one["uuid"] for one in card["suggestions"]]
    assert found == [("accepted", [suggested[0]]), ("accepted", [suggested[1]]), ("overridden", [])]


@pytest.mark.requirement("FB-6")
def test_thousands_of_entries_may_come_at_once(client: FlaskClient, store: Engine) -> None:
    card = given(client)
    tell(client, *(overridden(card, outcomeTimestamp=f"2026-11-22T10:00:00.{one:04}Z") for one in range(5_000)))
    assert len(kept(store)) == 5_000


# What is wrong with an accepted entry: where, what stands there, and the member that the refusal names.
ACCEPTED: dict[str, tuple[tuple[str | int, ...], Any, str]] = {
    "no card, as for a system action": (("card",), ABSENT, "card"),
    "null as a card": (("card",), None, "card"),
    "a card that is a number": (("card",), 5, "card"),
    "a card that is an object": (("card",), {"uuid": MARKER}, "card"),
    "a blank card": (("card",), " ", "card"),
    "no outcome": (("outcome",), ABSENT, "outcome"),
    "an outcome of another name": (("outcome",), "ignored", "outcome"),
    "an outcome that is somebody": (("outcome",), MARKER, "outcome"),
    "an outcome in capitals": (("outcome",), "Accepted", "outcome"),
    "an outcome that is true": (("outcome",), True, "outcome"),
    "no suggestions": (("acceptedSuggestions",), ABSENT, "acceptedSuggestions"),
    "null as suggestions": (("acceptedSuggestions",), None, "acceptedSuggestions"),
    "an empty array of suggestions": (("acceptedSuggestions",), [], "acceptedSuggestions"),
    "a suggestion outside an array": (("acceptedSuggestions",), {"id": MARKER}, "acceptedSuggestions"),
    "a suggestion that is a text": (("acceptedSuggestions",), [MARKER], "acceptedSuggestions[0]"),
    "a suggestion without an id": (("acceptedSuggestions", 0), {"uuid": MARKER}, "acceptedSuggestions[0].id"),
    "an id that is a number": (("acceptedSuggestions", 0, "id"), 5, "acceptedSuggestions[0].id"),
    "an empty id": (("acceptedSuggestions", 0, "id"), "", "acceptedSuggestions[0].id"),
    "no time": (("outcomeTimestamp",), ABSENT, "outcomeTimestamp"),
    "null as a time": (("outcomeTimestamp",), None, "outcomeTimestamp"),
    "a time that is somebody": (("outcomeTimestamp",), MARKER, "outcomeTimestamp"),
    "a time that is a number": (("outcomeTimestamp",), 1_795_341_600, "outcomeTimestamp"),
    "a time without an offset": (("outcomeTimestamp",), "2026-11-22T10:00:00", "outcomeTimestamp"),
    "a day": (("outcomeTimestamp",), "2026-11-22", "outcomeTimestamp"),
    "a time without seconds": (("outcomeTimestamp",), "2026-11-22T10:00Z", "outcomeTimestamp"),
    "a time with a space": (("outcomeTimestamp",), "2026-11-22 10:00:00Z", "outcomeTimestamp"),
    "a time with an offset of four digits": (("outcomeTimestamp",), "2026-11-22T10:00:00+0100", "outcomeTimestamp"),
    "a time with an offset in seconds": (("outcomeTimestamp",), "2026-11-22T10:00:00+01:00:30", "outcomeTimestamp"),
    "a time with a point and no fraction": (("outcomeTimestamp",), "2026-11-22T10:00:00.Z", "outcomeTimestamp"),
    "a time with a comma": (("outcomeTimestamp",), "2026-11-22T10:00:00,5Z", "outcomeTimestamp"),
    "a time by weeks": (("outcomeTimestamp",), "2026-W47-7T10:00:00Z", "outcomeTimestamp"),
}
# What is wrong with the reason of an overridden one, and the member that the refusal names.
OVERRIDDEN: dict[str, tuple[Any, str]] = {
    "an empty reason": ({}, "overrideReason"),
    "null as a reason": (None, "overrideReason"),
    "a reason that is a text": (MARKER, "overrideReason"),
    "a reason that is an array": ([{"reason": {"code": MARKER}}], "overrideReason"),
    "a code where a reason belongs": ({"code": MARKER}, "overrideReason"),
    "a comment of another name": ({"comment": MARKER}, "overrideReason"),
    "null as a coding": ({"reason": None, "userComment": MARKER}, "overrideReason.reason"),
    "a coding that is a text": ({"reason": MARKER}, "overrideReason.reason"),
    "an empty coding": ({"reason": {}}, "overrideReason.reason.code"),
    "a coding without a code": ({"reason": {"display": MARKER}}, "overrideReason.reason.code"),
    "a blank code": ({"reason": {"code": " "}}, "overrideReason.reason.code"),
    "a code that is a number": ({"reason": {"code": 5}}, "overrideReason.reason.code"),
    "null as a system": ({"reason": {"code": MARKER, "system": None}}, "overrideReason.reason.system"),
    "an empty display": ({"reason": {"code": MARKER, "display": ""}}, "overrideReason.reason.display"),
    "an empty comment": ({"userComment": ""}, "overrideReason.userComment"),
    "null as a comment": ({"userComment": None}, "overrideReason.userComment"),
    "a comment that is an array": ({"userComment": [MARKER]}, "overrideReason.userComment"),
}
# Times that never were, in the form of RFC 3339 as far as a schema sees.
NEVER = {
    "30 February": "2026-02-30T10:00:00Z",
    "29 February of a common year": "2026-02-29T10:00:00Z",
    "month 13": "2026-13-01T10:00:00Z",
    "the year 0": "0000-01-01T10:00:00Z",
    "24 hours": "2026-11-22T24:00:00Z",
    "60 minutes": "2026-11-22T10:60:00Z",
    "61 seconds": "2026-11-22T10:00:61Z",
    "an offset of 24 hours": "2026-11-22T10:00:00+24:00",
    "an offset of 60 minutes": "2026-11-22T10:00:00+01:60",
    "before the year 1 in UTC": "0001-01-01T00:00:00+01:00",
    "after the year 9999 in UTC": "9999-12-31T23:59:59-01:00",
    "a line break behind it": f"{TIME}\n",
}


def _refused(client: FlaskClient, store: Engine, wrong: Any, place: str) -> None:
    """The entry is refused after two that are sound, which are not kept either; nothing of it is repeated."""
    card = given(client)
    body = {"feedback": [accepted(card), overridden(card, {"userComment": MARKER}), wrong]}
    reason = refusal_of(post(client, body), 400)
    assert reason.startswith(f"feedback[2].{place}: ")
    assert "; write " in reason
    assert MARKER not in reason
    assert kept(store) == []


def _breaks_both_schemas(entry: Json) -> None:
    for version in ("feedback-2.0.1", "feedback-3.0-ballot"):
        with pytest.raises(AssertionError):
            obeys({"feedback": [entry]}, version)


@pytest.mark.requirement("FB-2", "FB-3", "FB-7")
@pytest.mark.parametrize(("where", "value", "place"), ACCEPTED.values(), ids=ACCEPTED)
def test_an_entry_that_breaks_the_rules_is_refused_by_index_and_member(
    client: FlaskClient, store: Engine, where: tuple[str | int, ...], value: Any, place: str
) -> None:
    wrong = changed(accepted(given(client)), where, value)
    _breaks_both_schemas(wrong)
    _refused(client, store, wrong, place)


@pytest.mark.requirement("FB-5", "FB-7")
@pytest.mark.parametrize(("reason", "place"), OVERRIDDEN.values(), ids=OVERRIDDEN)
def test_a_reason_without_a_code_or_a_comment_is_refused(
    client: FlaskClient, store: Engine, reason: Any, place: str
) -> None:
    wrong = overridden(given(client), reason)
    _breaks_both_schemas(wrong)
    _refused(client, store, wrong, place)


@pytest.mark.requirement("FB-3", "FB-7")
@pytest.mark.parametrize("time", NEVER.values(), ids=NEVER)
def test_a_time_that_never_was_is_refused(client: FlaskClient, store: Engine, time: str) -> None:
    _refused(client, store, overridden(given(client), outcomeTimestamp=time), "outcomeTimestamp")


ENTRY = {"card": NO_CARD, "outcome": "overridden", "outcomeTimestamp": TIME}
BODIES: dict[str, tuple[Any, str]] = {
    "a bare array": ([ENTRY], "body"),
    "an empty array": ([], "body"),
    "null": (None, "body"),
    "a text": (MARKER, "body"),
    "a bare entry": (ENTRY, "feedback"),
    "no member": ({}, "feedback"),
    "a member in capitals": ({"Feedback": [ENTRY]}, "feedback"),
    "null as feedback": ({"feedback": None}, "feedback"),
    "an entry outside an array": ({"feedback": ENTRY}, "feedback"),
    "entries by number": ({"feedback": {"0": ENTRY}}, "feedback"),
    "an entry that is a text": ({"feedback": [MARKER]}, "feedback[0]"),
    "an entry that is null": ({"feedback": [ENTRY, None]}, "feedback[1]"),
    "an entry that is an array": ({"feedback": [[ENTRY]]}, "feedback[0]"),
    "an empty entry": ({"feedback": [{}]}, "feedback[0].card"),
}


@pytest.mark.requirement("FB-7")
@pytest.mark.parametrize(("body", "place"), BODIES.values(), ids=BODIES)
def test_a_body_that_holds_no_entries_in_an_array_is_refused(client: FlaskClient, body: Any, place: str) -> None:
    reason = refusal_of(post(client, body), 400)
    assert reason.startswith(f"{place}: ")
    assert "; write " in reason
    assert MARKER not in reason


@pytest.mark.requirement("FB-7")
def test_whatever_is_changed_in_an_entry_what_is_taken_is_valid(client: FlaskClient) -> None:
    reason = {"reason": {"code": "other", "system": OURS, "display": "Other"}, "userComment": "agreed"}
    body = {"feedback": [accepted(given(client, THREE), 0, 1, overrideReason=reason)]}
    values = [ABSENT, None, "", " ", MARKER, "accepted", "overridden", TIME, [], {}, [None], [{}], 0, 1.5, True]
    for sent in (changed(body, where, value) for where in places(body) for value in values):
        answer = post(client, sent)
        assert answer.status_code in (200, 400, 404), sent
        assert MARKER not in answer.text
        if answer.status_code == 200:
            obeys(sent, "feedback-2.0.1", "feedback-3.0-ballot")


@pytest.mark.requirement("FB-8")
def test_an_unknown_service_has_no_feedback(client: FlaskClient, store: Engine) -> None:
    body = {"feedback": [overridden(given(client))]}
    refusal_of(client.post("/cds-services/no-such-service/feedback", json=body), 404)
    refusal_of(client.post("/cds-services/no-such-service/feedback", data=b"{"), 404)
    assert kept(store) == []


@pytest.mark.requirement("FB-7", "FB-8")
def test_a_card_that_was_never_given_is_not_found_and_nothing_is_kept(client: FlaskClient, store: Engine) -> None:
    card = given(client)
    for unknown in (NO_CARD, MARKER, card["suggestions"][0]["uuid"], card["uuid"][:-1], f"{card['uuid']} ", "%"):
        body = {"feedback": [accepted(card), {**ENTRY, "card": unknown}, overridden(card)]}
        reason = refusal_of(post(client, body), 404)
        assert reason.startswith("feedback[1].card: ")
        assert unknown not in reason
    assert kept(store) == []


@pytest.mark.requirement("FB-8")
def test_a_card_of_another_service_is_not_found(client: FlaskClient, store: Engine) -> None:
    own, other = given(client), given(client, hook="encounter-start")
    reason = refusal_of(post(client, {"feedback": [overridden(own), overridden(other)]}), 404)
    assert reason.startswith("feedback[1].card: ")
    assert kept(store) == []


@pytest.mark.requirement("FB-8")
def test_a_card_of_another_client_is_not_found_and_looks_like_one_that_never_was(
    screening: Screening, store: Engine
) -> None:
    clients = {"hospital": Client(), "practice": Client()}
    service = Deployment((screening,), store, PUBLIC, clients=clients, identify=lambda name, *_: str(name))
    client = create_app(service).test_client()
    hospital, practice = {"Authorization": "hospital"}, {"Authorization": "practice"}
    card = cards_of(client.post(path(HOOK), json=valid(HOOK, response(CALM | ALARM)), headers=hospital))[0]
    said, unknown = {"feedback": [overridden(card)]}, {"feedback": [ENTRY]}
    address = f"{path(HOOK)}/feedback"
    reason = refusal_of(client.post(address, json=said, headers=practice), 404)
    assert reason == refusal_of(client.post(address, json=unknown, headers=practice), 404)
    assert kept(store) == []
    assert client.post(address, json=said, headers=hospital).status_code == 200
    assert len(kept(store)) == 1


def _nobody(*_: object) -> NoReturn:
    raise NotAuthenticated


@pytest.mark.parametrize("address", [f"{path(HOOK)}/feedback", "/cds-services/no-such-service/feedback"])
def test_who_is_not_authenticated_learns_nothing_else(screening: Screening, store: Engine, address: str) -> None:
    client = create_app(Deployment((screening,), store, PUBLIC, identify=_nobody)).test_client()
    answers = [client.post(address, data=data, content_type=media) for data, media in ((b"{", "text/plain"), (b"", ""))]
    assert {refusal_of(answer, 401) for answer in answers} == {"not authenticated"}


@pytest.mark.requirement("FB-9")
def test_a_card_on_which_nothing_is_heard_changes_nothing_and_neither_does_feedback(client: FlaskClient) -> None:
    first = cards_of(call(client, valid(HOOK, response(CALM | ALARM))))
    second = cards_of(call(client, valid(HOOK, response(CALM | ALARM))))
    tell(client, overridden(second[0], {"reason": {"code": "already-referred"}}))
    third = cards_of(call(client, valid(HOOK, response(CALM | ALARM))))
    assert same(first) == same(second) == same(third)


def _values(store: Engine) -> list[tuple[str, str]]:
    """Everything that is kept, in whatever table, with its place."""
    tables = MetaData()
    tables.reflect(store)
    with store.connect() as connection:
        rows = [(one, row) for one in tables.tables.values() for row in connection.execute(select(one)).mappings()]
    return [(f"{one.name}.{name}", str(value)) for one, row in rows for name, value in row.items()]


@pytest.mark.requirement("FB-12")
def test_a_comment_is_kept_in_its_column_and_nowhere_else(
    client: FlaskClient, store: Engine, caplog: pytest.LogCaptureFixture, capfd: pytest.CaptureFixture[str]
) -> None:
    caplog.set_level(logging.DEBUG)
    caplog.set_level(logging.DEBUG, "sqlalchemy.engine")  # as an operator may do to find a fault
    entry = overridden(given(client), {"userComment": MARKER})
    answers = [post(client, {"feedback": body}) for body in ([entry], [entry, {}], [entry, ENTRY])]
    with store.begin() as connection:
        connection.execute(text("ALTER TABLE feedback RENAME TO gone"))
    answers.append(post(client, {"feedback": [entry]}))
    assert [answer.status_code for answer in answers] == [200, 400, 404, 503]
    assert "INSERT INTO feedback" in caplog.text
    assert "Jansen" not in "".join([*(answer.text for answer in answers), caplog.text, *capfd.readouterr()])
    assert [place for place, value in _values(store) if "Jansen" in value] == ["gone.comment"]


def test_feedback_that_cannot_be_kept_is_not_taken(client: FlaskClient, store: Engine) -> None:
    body = {"feedback": [overridden(given(client))]}
    with store.begin() as connection:
        connection.execute(text("ALTER TABLE feedback RENAME TO gone"))
    answer = post(client, body)
    refusal_of(answer, 503)
    assert answer.headers["Retry-After"]


@pytest.mark.parametrize("method", ["GET", "PUT", "DELETE", "PATCH"])
def test_feedback_cannot_be_read_changed_or_deleted(client: FlaskClient, method: str) -> None:
    answer = client.open(f"{path(HOOK)}/feedback", method=method)
    refusal_of(answer, 405)
    assert set(answer.headers["Allow"].split(", ")) - {"OPTIONS"} == {"POST"}
