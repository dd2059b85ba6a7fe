"""JSON and transport: nothing but strict JSON, nothing empty, and valid FHIR within the cards."""

import json
from pathlib import Path
from typing import Any, NoReturn

import pytest
from fhir.resources.R4B import get_fhir_model_class
from flask.testing import FlaskClient

from cds_content.screening import Screening
from tests.requirements.conftest import Answer
from tests.requirements.requests import ADVISING, ALARM, HOOKS, Json, agreed, call, path, valid
from tests.samples import CALM, response
from tests.wire import cards_of, empty_members, objects, serving

PATIENT_VIEW = path("patient-view")
# What is asked, and what is sent with it.
ASKED: dict[str, tuple[str, str, Any]] = {
    "discovery": ("GET", "/cds-services", None),
    **{f"the hook {hook}": ("POST", path(hook), valid(hook)) for hook in HOOKS},
    "a call that is refused": ("POST", PATIENT_VIEW, {}),
    "a body that is no object": ("POST", PATIENT_VIEW, []),
    "feedback that is refused": ("POST", f"{PATIENT_VIEW}/feedback", {}),
    "a wrong method": ("GET", PATIENT_VIEW, None),
    "a wrong path": ("GET", "/nowhere", None),
    "an unknown service": ("POST", "/cds-services/nobody", valid("patient-view")),
    "the form": ("GET", "/fhir/Questionnaire/low-back-pain", None),
}


def _no_constant(name: str) -> NoReturn:
    raise ValueError(f"JSON has no {name}")


def _once(pairs: list[tuple[str, Any]]) -> Json:
    assert len(dict(pairs)) == len(pairs), "a key stands twice"
    return dict(pairs)


@pytest.mark.requirement("JSON-1", "JSON-5")
@pytest.mark.parametrize(("method", "address", "body"), ASKED.values(), ids=ASKED)
def test_every_answer_is_strict_json(client: FlaskClient, method: str, address: str, body: Any) -> None:
    answer = client.open(address, method=method, json=body)
    assert "json" in answer.content_type
    assert json.loads(answer.data.decode("utf-8"), parse_constant=_no_constant, object_pairs_hook=_once)


@pytest.mark.requirement("JSON-2")
def test_no_answer_holds_anything_empty_but_a_list_of_no_cards(answers: list[Answer]) -> None:
    found = {place for answer in answers for place in empty_members(answer.body)}
    assert found == {".cards"}, "there are answers without cards, and nothing else is empty"


@pytest.mark.requirement("JSON-2")
def test_discovery_holds_nothing_empty_but_a_list_of_no_services(
    client: FlaskClient, screening: Screening, tmp_path: Path
) -> None:
    assert list(empty_members(client.get("/cds-services").get_json())) == []
    with serving(screening, tmp_path, hooks=()) as nobody:
        assert list(empty_members(nobody.get("/cds-services").get_json())) == [".services"]


@pytest.mark.requirement("JSON-3")
def test_a_created_resource_has_an_encounter_only_when_the_call_has_one(client: FlaskClient) -> None:
    alarm = response(CALM | ALARM)
    without = objects(call(client, valid("patient-view", alarm)).get_json())
    within = objects(call(client, valid("patient-view", alarm, encounterId="e1")).get_json())
    assert not any("encounter" in one for one in without)
    assert [one["encounter"] for one in within if "encounter" in one] == [{"reference": "Encounter/e1"}]


@pytest.mark.requirement("JSON-3")
def test_the_card_of_a_patient_has_no_member_for_what_it_does_not_hold(client: FlaskClient) -> None:
    body = valid("patient-view", response(CALM | ALARM), userId="Patient/p1")
    (card,) = call(client, body).get_json()["cards"]
    assert card.keys() == {"uuid", "summary", "indicator", "detail", "source", "extension"}
    assert None not in [*card.values(), *card["source"].values(), *card["extension"].values()]


@pytest.mark.requirement("JSON-2", "JSON-3")
@pytest.mark.parametrize("hook", ADVISING)
def test_a_card_that_suggests_nothing_has_no_member_for_it(screening: Screening, tmp_path: Path, hook: str) -> None:
    soon = valid(hook, response(CALM | {"rf-saddle": "longstanding"}))
    with serving(screening, tmp_path, clients=agreed(reader="gp")) as client:
        (card,) = cards_of(call(client, soon))  # a GP is not told to refer to the GP
    assert not {"suggestions", "selectionBehavior"} & card.keys()


@pytest.mark.requirement("JSON-4")
def test_every_resource_within_a_card_is_valid_fhir(every_card: list[Json]) -> None:
    resources = [one for card in every_card for one in objects(card) if "resourceType" in one]
    texts = {json.dumps(resource | dict.fromkeys(TIMES & resource.keys(), "2026-01-01")) for resource in resources}
    kinds = {_read(json.loads(text)) for text in texts}
    assert kinds == {"ServiceRequest", "CarePlan", "Task"}


TIMES = {"authoredOn", "created"}  # differ from call to call


def _read(resource: Json) -> str:
    kind: str = resource["resourceType"]
    get_fhir_model_class(kind).model_validate(resource)
    return kind


@pytest.mark.requirement("JSON-4")
@pytest.mark.parametrize("hook", ADVISING)
def test_a_resource_without_its_intent_would_be_noticed(client: FlaskClient, hook: str) -> None:
    (card,) = call(client, valid(hook, response(CALM | ALARM))).get_json()["cards"]
    resource = card["suggestions"][0]["actions"][0]["resource"]
    assert _read(resource) == "ServiceRequest"
    with pytest.raises(ValueError, match="intent"):
        _read({name: value for name, value in resource.items() if name != "intent"})
