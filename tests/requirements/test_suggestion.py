"""Suggestions and actions: drafts that can be accepted as they are; nothing of the client's is changed unasked."""

import re
from pathlib import Path
from typing import Any

import pytest
from flask.testing import FlaskClient

from cds_content.screening import Screening
from tests.requirements.requests import (
    ADVISING,
    ALARM,
    ANKLE,
    HOOKS,
    Json,
    about_somebody,
    agreed,
    call,
    collection,
    order,
    valid,
)
from tests.samples import CALM, response
from tests.wire import cards_of, empty_members, obeys, objects, serving

UUID = re.compile(r"[0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{12}")
MEDICINES = {"MedicationRequest", "Medication", "MedicationStatement"}
WORSE = {"co-trend": "worse"}  # physiotherapist or doctor: three suggestions


def _suggestions(cards: list[Json]) -> list[Json]:
    return [one for card in cards for one in card.get("suggestions", [])]


def _actions(cards: list[Json]) -> list[Json]:
    return [action for one in _suggestions(cards) for action in one["actions"]]


@pytest.mark.requirement("SUG-1")
def test_every_suggestion_has_a_label_of_one_line(every_card: list[Json]) -> None:
    labels = {one["label"] for one in _suggestions(every_card)}
    assert labels
    assert [label for label in labels if not label.strip() or "\n" in label] == []


@pytest.mark.requirement("SUG-1")
def test_the_suggestions_of_a_card_can_be_told_apart(every_card: list[Json]) -> None:
    for card in every_card:
        labels = [one["label"] for one in card.get("suggestions", [])]
        assert len(set(labels)) == len(labels)


@pytest.mark.requirement("SUG-2")
def test_every_suggestion_has_a_uuid_that_nothing_else_has(every_card: list[Json]) -> None:
    uuids = [one["uuid"] for one in _suggestions(every_card)]
    assert [uuid for uuid in uuids if not UUID.fullmatch(uuid)] == []
    assert len(set(uuids)) == len(uuids)
    assert not set(uuids) & {card["uuid"] for card in every_card}


@pytest.mark.requirement("SUG-4")
def test_a_suggestion_refers_only_to_what_the_call_has_or_what_it_creates_itself(every_card: list[Json]) -> None:
    given = {"Patient/p1", "Practitioner/gp-1", "Encounter/e1"}
    given |= {"QuestionnaireResponse/response-1", "QuestionnaireResponse/response-2"}
    for suggestion in _suggestions(every_card):
        created = {action["resource"].get("id") for action in suggestion["actions"]} - {None}
        references = {one["reference"] for one in objects(suggestion) if "reference" in one}
        assert references <= given | {f"{kind}/{id_}" for id_ in created for kind in ("ServiceRequest", "Task")}


@pytest.mark.requirement("SUG-4")
@pytest.mark.parametrize("hook", ADVISING)
def test_a_referral_and_its_education_are_taken_together(client: FlaskClient, hook: str) -> None:
    (card,) = cards_of(call(client, valid(hook, response(CALM | WORSE)), "en"))
    kinds = [[action["resource"]["resourceType"] for action in one["actions"]] for one in card["suggestions"]]
    assert kinds == [["ServiceRequest", "CarePlan"], ["ServiceRequest", "CarePlan"], ["CarePlan"]]


@pytest.mark.requirement("SUG-5")
def test_no_client_gets_an_action_selection_behavior_by_default(every_card: list[Json]) -> None:
    assert [one for one in _suggestions(every_card) if "actionSelectionBehavior" in one] == []


@pytest.mark.requirement("SUG-5")
@pytest.mark.parametrize("hook", ADVISING)
def test_a_client_that_knows_it_is_told_that_referral_and_education_may_be_taken_alone(
    screening: Screening, tmp_path: Path, hook: str
) -> None:
    with serving(screening, tmp_path, clients=agreed(action_selection_behavior=True)) as client:
        answer = call(client, valid(hook, response(CALM | WORSE))).get_json()
    obeys(answer, "response-3.0-ballot")
    (card,) = answer["cards"]
    assert [one.get("actionSelectionBehavior") for one in card["suggestions"]] == ["any", "any", None]


@pytest.mark.requirement("ACT-1", "ACT-5")
def test_a_suggestion_only_creates(every_card: list[Json]) -> None:
    assert {action["type"] for action in _actions(every_card)} == {"create"}
    assert not any("resourceId" in action for action in _actions(every_card))


@pytest.mark.requirement("ACT-2")
def test_every_action_says_what_it_does(every_card: list[Json]) -> None:
    texts = [action["description"] for action in _actions(every_card)]
    assert [text for text in texts if not text.strip() or "\n" in text] == []


@pytest.mark.requirement("ACT-3")
def test_every_created_resource_is_a_whole_draft_about_the_patient(every_card: list[Json]) -> None:
    for action in _actions(every_card):
        resource = action["resource"]
        assert (resource["status"], resource["intent"]) == ("draft", "proposal")
        assert (resource.get("subject") or resource.get("for")) == {"reference": "Patient/p1"}
        assert resource["resourceType"] not in MEDICINES
        assert "id" not in resource
        assert list(empty_members(resource)) == []


@pytest.mark.requirement("ACT-3")
def test_every_suggested_order_has_what_a_server_wants(every_card: list[Json]) -> None:
    resources = [action["resource"] for action in _actions(every_card)]
    orders = [one for one in resources if one["resourceType"] == "ServiceRequest"]
    assert orders
    assert all({"status", "intent", "subject", "code", "authoredOn", "requester"} <= one.keys() for one in orders)


@pytest.mark.requirement("ACT-3")
@pytest.mark.parametrize("hook", ADVISING)
def test_what_is_created_is_about_the_patient_of_this_call(client: FlaskClient, hook: str) -> None:
    cards = cards_of(call(client, about_somebody(valid(hook, response(CALM | ALARM)), "p2")))
    subjects = [action["resource"]["subject"] for action in _actions(cards)]
    assert subjects == [{"reference": "Patient/p2"}]


AGREED = agreed(system_actions=True)
# An order as an EHR may hold it: everything here must come back as it was.
RICH = order(
    extension=[{"url": "https://ehr.example/priority-note", "valueString": "before the holidays"}],
    supportingInfo=[{"reference": "Observation/o1"}],
    futureElement={"nested": [1, 2.5, {"é": False}]},
    note=[{"text": "as discussed"}],
)


def _signed(client: FlaskClient, *orders: Json, answers: Json | None = None) -> Json:
    body = valid("order-sign", response(CALM | (answers or {})), draftOrders=collection(*orders))
    answer: Json = call(client, body).get_json()
    obeys(answer, "response-2.0.1", "response-3.0-ballot")
    return answer


@pytest.mark.requirement("SYS-1", "SYS-2", "ACT-1", "ACT-2")
def test_a_client_that_agreed_gets_described_updates(screening: Screening, tmp_path: Path) -> None:
    with serving(screening, tmp_path, clients=AGREED) as client:
        answer = _signed(client, RICH)
    assert {action["type"] for action in answer["systemActions"]} == {"update"}
    assert all(action["description"].strip() for action in answer["systemActions"])


@pytest.mark.requirement("ACT-4")
def test_an_update_keeps_every_element_and_adds_only_the_responses_used(screening: Screening, tmp_path: Path) -> None:
    with serving(screening, tmp_path, clients=AGREED) as client:
        (action,) = _signed(client, RICH)["systemActions"]
    added: list[Any] = action["resource"]["supportingInfo"]
    assert action["resource"] | {"supportingInfo": RICH["supportingInfo"]} == RICH
    assert added == [*RICH["supportingInfo"], {"reference": "QuestionnaireResponse/response-1"}]


@pytest.mark.requirement("ACT-4")
@pytest.mark.parametrize(
    "damaged", [{"reference": "Observation/o1"}, "Observation/o1", None], ids=["object", "text", "null"]
)
def test_an_order_that_cannot_be_added_to_loses_nothing(screening: Screening, tmp_path: Path, damaged: object) -> None:
    held = order() | {"supportingInfo": damaged}
    with serving(screening, tmp_path, clients=AGREED) as client:
        answer = call(client, valid("order-sign", draftOrders=collection(held))).get_json()
    kept = [action["resource"]["supportingInfo"] for action in answer.get("systemActions", [])]
    assert answer["cards"]
    assert [one for one in kept if damaged is not None and damaged not in one] == []


@pytest.mark.requirement("ACT-6", "SYS-1")
def test_only_orders_of_the_call_that_were_judged_are_updated(screening: Screening, tmp_path: Path) -> None:
    with serving(screening, tmp_path, clients=AGREED) as client:
        actions = _signed(client, order(ANKLE, "order-7"), RICH, order(id_="order-9"), answers=ALARM)["systemActions"]
        nothing = _signed(client, order(ANKLE, "order-7"))
    assert sorted(action["resource"]["id"] for action in actions) == ["order-1", "order-9"]
    assert nothing == {"cards": []}


@pytest.mark.requirement("SYS-1", "ACT-6")
@pytest.mark.parametrize("hook", [hook for hook in HOOKS if hook != "order-sign"])
def test_nothing_but_signing_brings_system_actions(screening: Screening, tmp_path: Path, hook: str) -> None:
    with serving(screening, tmp_path, clients=AGREED) as client:
        assert call(client, valid(hook, response(CALM | ALARM))).get_json().keys() == {"cards"}
