"""What clients and form fillers are seen to send, however odd, is judged where it can be, and never ends in a 500."""

import json
from pathlib import Path
from typing import Any

import pytest
from flask.testing import FlaskClient

from cds_content.screening import Screening
from tests.conftest import topics
from tests.requirements.requests import (
    ADVISING,
    ALARM,
    HOOKS,
    ORDERING,
    OWN,
    SNOMED,
    Json,
    agreed,
    appointment,
    call,
    collection,
    order,
    path,
    valid,
)
from tests.samples import CALM, FORM, bundle, item, patient, response
from tests.wire import ABSENT, cards_of, changed, places, refusal_of, same, serving

SANDBOX = "https://sandbox.cds-hooks.org"
EMPTY_CODING: Json = {"coding": [{}]}


def _untyped(*resources: Json) -> Json:
    """A Bundle without a type, as order screens send it."""
    return {"resourceType": "Bundle", "entry": [{"resource": one} for one in resources]}


def _medication(**members: Any) -> Json:
    """A medication as it stands on a screen before anything is chosen: no intent, no medication."""
    return {"resourceType": "MedicationRequest", "id": "m1", "status": "draft", **members}


@pytest.mark.parametrize("hook", HOOKS)
def test_the_browser_sandbox_asks_first_and_then_calls(screening: Screening, tmp_path: Path, hook: str) -> None:
    asked = {"Origin": SANDBOX, "Access-Control-Request-Method": "POST"}
    asked["Access-Control-Request-Headers"] = "authorization, content-type"
    told = {"Origin": SANDBOX, "Authorization": "Bearer a.b.c"}
    with serving(screening, tmp_path, origins=(SANDBOX,), development=True) as client:
        before = [client.options(address, headers=asked) for address in (path(hook), f"{path(hook)}/feedback")]
        answer = client.post(path(hook), json=valid(hook, response(CALM | ALARM)), headers=told)
    assert [one.headers.get("Access-Control-Allow-Origin") for one in [*before, answer]] == [SANDBOX] * 3
    assert cards_of(answer)


def test_the_browser_sandbox_finds_each_service_below_discovery_under_an_id_of_its_own(client: FlaskClient) -> None:
    services = client.get("/cds-services").get_json()["services"]
    by_id = {service["id"]: service for service in services}
    assert len(by_id) == len(services)
    for id_, service in by_id.items():
        cards_of(client.post("/".join(["/cds-services", id_]), json=valid(service["hook"])))


DRAFTS: dict[str, Json] = {
    "a Bundle without a type": _untyped(order()),
    "a Bundle of another type": _untyped(order()) | {"type": "searchset", "total": 1},
    "entries with a fullUrl": {"resourceType": "Bundle", "entry": [{"fullUrl": "urn:uuid:1", "resource": order()}]},
    "an entry without a resource": {"resourceType": "Bundle", "entry": [{}, {"resource": order()}]},
    "a MedicationRequest without intent or medication": _untyped(_medication(), order()),
    "a MedicationRequest with an empty coding": _untyped(_medication(medicationCodeableConcept=EMPTY_CODING), order()),
    "a category that is an object": _untyped(order(category={"coding": [{"code": "imaging"}]})),
    "an empty coding beside ours": _untyped(order(code={"coding": [{}, *order()["code"]["coding"]]})),
    "another order with an empty coding": _untyped(order(id_="x1", code=EMPTY_CODING), order()),
    "a reason with an empty coding": _untyped(order(reasonCode=[EMPTY_CODING])),
    "an order without a subject": _untyped(order(subject=None)),
}


@pytest.mark.parametrize("drafts", DRAFTS.values(), ids=DRAFTS)
@pytest.mark.parametrize("hook", ["order-select", "order-sign"])
def test_what_an_order_screen_sends_is_judged_where_it_can_be(client: FlaskClient, hook: str, drafts: Json) -> None:
    given = response(CALM | ALARM)
    cards = cards_of(call(client, valid(hook, given, draftOrders=drafts)))
    assert same(cards) == same(cards_of(call(client, valid(hook, given)))) != []


NOTHING_CHOSEN: dict[str, Json] = {
    "no draftOrders and no selections": {"draftOrders": ABSENT, "selections": ABSENT},
    "null for both": {"draftOrders": None, "selections": None},
    "an empty Bundle": {"draftOrders": _untyped()},
    "a Bundle without entry": {"draftOrders": {"resourceType": "Bundle"}},
    "no selection": {"selections": []},
    "a selection that is not in the Bundle": {"selections": ["ServiceRequest/another"]},
    "an order with an empty coding": {"draftOrders": _untyped(order(code=EMPTY_CODING))},
    "an order without a code": {"draftOrders": _untyped(order(code=None))},
    "a medication only": {"draftOrders": _untyped(_medication()), "selections": ["MedicationRequest/m1"]},
}


@pytest.mark.parametrize("prefetch", [True, False], ids=["with prefetch", "without prefetch"])
@pytest.mark.parametrize("context", NOTHING_CHOSEN.values(), ids=NOTHING_CHOSEN)
def test_an_order_screen_with_nothing_to_judge_gets_an_empty_list(
    client: FlaskClient, context: Json, prefetch: bool
) -> None:
    body = valid("order-select", response(CALM | ALARM))
    for field, value in context.items():
        body = changed(body, ("context", field), value)
    answer = call(client, body if prefetch else changed(body, ("prefetch",), ABSENT))
    assert (answer.status_code, answer.get_json()) == (200, {"cards": []})


# A client's own code of a scan, as an integrator configures it; none of that system is shipped.
THEIRS = {"system": "urn:oid:2.999.1", "code": "scan-7", "display": "Lumbar scan of this hospital"}
REASONS = {"low back pain": "279039007", "chronic": "278860009", "cauda equina": "192970008"}


def _scan(reason: str, code: str = "scan-7") -> Json:
    """An order as an imaging screen sends it: the client's code, and a SNOMED reason."""
    coding = {"system": THEIRS["system"], "code": code}
    reasons = [{"coding": [{"system": SNOMED, "code": reason}]}]
    return _untyped(order(coding, reasonCode=reasons))


@pytest.mark.parametrize("reason", REASONS.values(), ids=REASONS)
@pytest.mark.parametrize("hook", ["order-select", "order-sign"])
def test_a_code_of_the_client_is_judged_once_it_is_configured(
    screening: Screening, tmp_path: Path, hook: str, reason: str
) -> None:
    configured = agreed(orders={"imaging": [THEIRS]})
    given = response(CALM | ALARM)
    with serving(screening, tmp_path, clients=configured) as client:
        cards = cards_of(call(client, valid(hook, given, draftOrders=_scan(reason))))
        other = cards_of(call(client, valid(hook, given, draftOrders=_scan(reason, "scan-8"))))
    assert topics(cards) == ["imaging"]
    assert THEIRS["display"] in cards[0]["detail"]
    assert other == []


@pytest.mark.parametrize("reason", REASONS.values(), ids=REASONS)
@pytest.mark.parametrize("hook", ["order-select", "order-sign"])
def test_a_code_of_the_client_that_is_not_configured_is_not_judged(client: FlaskClient, hook: str, reason: str) -> None:
    assert cards_of(call(client, valid(hook, response(CALM | ALARM), draftOrders=_scan(reason)))) == []


@pytest.mark.parametrize("hook", ["order-select", "order-sign"])
def test_an_order_for_another_complaint_is_not_judged_where_that_is_configured(
    screening: Screening, tmp_path: Path, hook: str
) -> None:
    ankle, back = {"system": SNOMED, "code": "16114001"}, {"system": SNOMED, "code": "279039007"}
    configured = agreed(other_reasons=[ankle])
    given = response(CALM | ALARM)
    reasons = {"ankle": [ankle], "ankle and back": [ankle, back], "none": []}
    with serving(screening, tmp_path, clients=configured) as client:
        told = {
            name: bool(cards_of(call(client, valid(hook, given, draftOrders=_untyped(_with_reasons(codes))))))
            for name, codes in reasons.items()
        }
    assert told == {"ankle": False, "ankle and back": True, "none": True}


def _with_reasons(codes: list[Json]) -> Json:
    return order(reasonCode=[{"coding": [code]} for code in codes] or None)


@pytest.mark.parametrize("hook", HOOKS)
def test_a_random_patient_id_that_contradicts_the_patient_sent_is_refused(client: FlaskClient, hook: str) -> None:
    body = valid(hook, response(CALM, subject=None), patientId="f81d4fae-7dec-11d0-a765-00a0c91e6bf6")
    for name in ("draftOrders", "appointments", "conditions"):
        if name in body["context"]:
            body["context"][name] = collection()
    body["prefetch"] = {"patient": patient(), "responses": bundle(response(CALM, subject=None))}
    refusal_of(call(client, body), 400)


SPELLED: dict[str, dict[str, str]] = {
    "UserID and PatientID": {"userId": "UserID", "patientId": "PatientID"},
    "UserID": {"userId": "UserID"},
    "PatientID": {"patientId": "PatientID"},
}


@pytest.mark.parametrize("names", SPELLED.values(), ids=SPELLED)
@pytest.mark.parametrize("hook", [hook for hook in HOOKS if hook != OWN])
def test_context_fields_in_another_spelling_are_refused(client: FlaskClient, hook: str, names: dict[str, str]) -> None:
    body = valid(hook)
    body["context"] = {names.get(name, name): value for name, value in body["context"].items()}
    refusal_of(call(client, body), 400)


ABSENCES: dict[str, tuple[Any, int]] = {
    "a key that was left out": (ABSENT, 412),
    "null": (None, 200),
    "an empty Bundle": ({"resourceType": "Bundle", "type": "searchset", "total": 0, "entry": []}, 200),
    "an empty Bundle without entry and total": ({"resourceType": "Bundle", "type": "searchset"}, 200),
    "an OperationOutcome": ({"resourceType": "OperationOutcome", "issue": [{"severity": "error", "code": "x"}]}, 412),
}


@pytest.mark.parametrize(("value", "status"), ABSENCES.values(), ids=ABSENCES)
@pytest.mark.parametrize("hook", [hook for hook in HOOKS if hook != OWN])
def test_the_ways_to_send_no_responses_never_mean_no_alarm(
    client: FlaskClient, hook: str, value: Any, status: int
) -> None:
    answer = call(client, changed(valid(hook), ("prefetch", "responses"), value))
    if status != 200:
        assert "responses" in refusal_of(answer, status)
    else:
        assert not REASSURING & set(topics(cards_of(answer)))


@pytest.mark.parametrize("hook", HOOKS)
def test_an_answer_is_never_without_a_body_and_always_has_cards(client: FlaskClient, hook: str) -> None:
    for answers in ({}, ALARM, {"lbp-present": "no"}):
        answer = call(client, valid(hook, response(CALM | answers)))
        assert answer.status_code == 200
        assert isinstance(answer.get_json()["cards"], list)


ODD: list[Any] = [ABSENT, None, 5, "x", [], ["x"], {}, {"resourceType": "Bundle"}]
REASSURING = {"self-care", "physio-or-doctor"}


@pytest.mark.parametrize("hook", HOOKS)
def test_a_context_with_any_part_replaced_is_refused_or_answered_and_never_reassures(
    client: FlaskClient, hook: str
) -> None:
    body = valid(hook, response(ALARM | {"rf-leg": "weakness"}), encounterId="e1")
    for place in places(body["context"], ("context",)):
        for value in ODD:
            answer = call(client, changed(body, place, value))
            if answer.status_code == 200:
                told = topics(cards_of(answer))
                assert hook in ORDERING or (told and not REASSURING & set(told)), place
            else:
                refusal_of(answer, 400)


def test_cards_come_in_the_order_in_which_clients_sort_them(client: FlaskClient) -> None:
    rank = ["critical", "warning", "info"]
    for hook in HOOKS:
        for answers in (ALARM | {"rf-leg": "unknown"}, {"co-trend": "same", "rf-other": "unknown"}):
            told = [
                rank.index(card["indicator"]) for card in cards_of(call(client, valid(hook, response(CALM | answers))))
            ]
            assert told == sorted(told), hook


# Form fillers.


def _filled_by_lhc(answers: Json) -> Json:
    """As one filler writes it: nothing for what is unanswered, `url|version`, completed, no subject and no author."""
    return response(answers, questionnaire=f"{FORM}|1.0.0", subject=None, source=None, author=None, id=None)


@pytest.mark.parametrize("hook", ADVISING)
def test_a_response_of_nobody_alarms_and_never_reassures(client: FlaskClient, hook: str) -> None:
    assert topics(cards_of(call(client, valid(hook, _filled_by_lhc(CALM))))) == ["incomplete"]
    alarming = topics(cards_of(call(client, valid(hook, _filled_by_lhc(CALM | ALARM)))))
    assert alarming == ["emergency-now", "incomplete"]


@pytest.mark.parametrize("link_id", [link_id for link_id in CALM if link_id.startswith("rf-")])
@pytest.mark.parametrize("hook", ADVISING)
def test_an_item_that_was_left_out_is_not_a_no(client: FlaskClient, hook: str, link_id: str) -> None:
    left = response({name: answer for name, answer in CALM.items() if name != link_id})
    (card,) = cards_of(call(client, valid(hook, left)))
    assert card["source"]["topic"]["code"] == "incomplete"


KNOWN_AS = {FORM: ["self-care"], f"{FORM}|1.0.0": ["self-care"], f"{FORM}|0.9.0": ["incomplete"]}


@pytest.mark.parametrize("questionnaire", KNOWN_AS)
@pytest.mark.parametrize("hook", ADVISING)
def test_the_form_is_known_with_its_version_and_without_and_not_by_another(
    client: FlaskClient, hook: str, questionnaire: str
) -> None:
    cards = cards_of(call(client, valid(hook, response(CALM, questionnaire=questionnaire))))
    assert topics(cards) == KNOWN_AS[questionnaire]


@pytest.mark.parametrize("hook", ADVISING)
def test_a_response_that_the_app_left_in_progress_alarms_and_never_reassures(client: FlaskClient, hook: str) -> None:
    unfinished = {"status": "in-progress"}
    assert topics(cards_of(call(client, valid(hook, response(CALM, **unfinished))))) == ["incomplete"]
    alarming = topics(cards_of(call(client, valid(hook, response(CALM | ALARM, **unfinished)))))
    assert alarming == ["emergency-now", "incomplete"]


@pytest.mark.parametrize("hook", ["order-select", "order-sign"])
def test_an_unfinished_or_nameless_response_does_not_call_a_scan_needless(client: FlaskClient, hook: str) -> None:
    for given in (response(CALM, status="in-progress"), _filled_by_lhc(CALM)):
        (card,) = cards_of(call(client, valid(hook, given), "en"))
        assert (card["indicator"], card["summary"][:21]) == ("warning", "No complete screening")


def test_a_physiotherapy_appointment_on_an_unfinished_response_is_not_waved_through(client: FlaskClient) -> None:
    body = valid("appointment-book", response(CALM, status="in-progress"), appointments=_untyped(appointment()))
    assert topics(cards_of(call(client, body))) == ["incomplete"]


@pytest.mark.parametrize("hook", ADVISING)
def test_an_exclusive_option_beside_a_risk_is_a_contradiction(client: FlaskClient, hook: str) -> None:
    both = response(CALM | {"rf-other": ["none", "weight-loss"]})
    assert topics(cards_of(call(client, valid(hook, both)))) == ["doctor-soon", "incomplete"]


@pytest.mark.parametrize("hook", ADVISING)
def test_a_follow_up_that_a_renderer_showed_in_vain_is_a_contradiction(client: FlaskClient, hook: str) -> None:
    given = response(CALM)
    given["item"].append(item("rf-leg-progress", "yes"))
    told = topics(cards_of(call(client, valid(hook, given))))
    assert "incomplete" in told
    assert json.dumps(told).count("self-care") == 0
