"""Resources of the context that are no valid R4, as in published samples, are judged where they can be read."""

from typing import Any

import pytest
from flask.testing import FlaskClient

from tests.requirements.requests import (
    ALARM,
    ANKLE,
    LUMBAR_MRI,
    PHYSIOTHERAPY,
    Json,
    appointment,
    call,
    collection,
    condition,
    order,
    valid,
    without_responses,
)
from tests.samples import CALM, response
from tests.wire import cards_of, same


# The faults of published samples, in bodies of our own: each resource is no valid R4, and can be read.
def _untyped(*resources: Json) -> Json:
    return {"resourceType": "Bundle", "entry": [{"resource": one} for one in resources]}


def _medication(**members: Any) -> Json:
    reference = {"reference": "Patient/p1"}
    return {"resourceType": "MedicationRequest", "id": "m1", "status": "draft", "subject": reference, **members}


DIET = {"resourceType": "NutritionOrder", "id": "d1", "status": "draft", "patient": {"reference": "Patient/p1"}}
DOSE = {"value": 2, "unit": "tablet"}
BESIDE: dict[str, list[Json]] = {
    "a NutritionOrder without intent": [DIET | {"dateTime": "2026-01-01", "orderer": {"display": "A. Doctor"}}],
    "a MedicationRequest without intent or medication": [_medication()],
    "a dose outside doseAndRate": [_medication(dosageInstruction=[{"text": "2 a day", "doseQuantity": DOSE}])],
    "a doseAndRate that is no list": [_medication(dosageInstruction=[{"doseAndRate": {"doseQuantity": DOSE}}])],
    "an order with an element of another version": [order(ANKLE, "x1", context={"reference": "Encounter/e1"})],
    "an order whose code is a list": [order(id_="x2", code=[{"coding": [ANKLE]}])],
    "an order without a code": [order(id_="x3", code=None)],
    "an order of another version of FHIR": [DIET | {"resourceType": "ProcedureRequest", "id": "x4"}],
}


@pytest.mark.requirement("REQ-9")
@pytest.mark.parametrize("beside", BESIDE.values(), ids=BESIDE)
@pytest.mark.parametrize("hook", ["order-select", "order-sign"])
def test_an_order_is_judged_beside_resources_that_are_not_valid(
    client: FlaskClient, hook: str, beside: list[Json]
) -> None:
    body = valid(hook, response(CALM | ALARM), draftOrders=_untyped(*beside, order(), *beside))
    if hook == "order-select":
        body["context"]["selections"] += [f"{one['resourceType']}/{one['id']}" for one in beside]
    expected = cards_of(call(client, valid(hook, response(CALM | ALARM))))
    assert same(cards_of(call(client, body))) == same(expected) != []


PROBLEMS: dict[str, Json] = {
    "category as a text": condition(category="problem-list-item"),
    "category as an object": condition(category={"text": "Problem", "coding": [{"code": "problem"}]}),
    "clinicalStatus as a text": condition(clinicalStatus="active", verificationStatus="confirmed"),
    "patient for subject, and no subject": {
        name: value for name, value in condition(patient={"reference": "Patient/p1"}).items() if name != "subject"
    },
    "an assertedDate of another version": condition(assertedDate="2026-01-01"),
    "an onset that is no date": condition(onsetDateTime="last week"),
    "no id": {name: value for name, value in condition().items() if name != "id"},
}


@pytest.mark.requirement("REQ-9")
@pytest.mark.parametrize("problem", PROBLEMS.values(), ids=PROBLEMS)
def test_a_problem_that_is_not_valid_still_gets_the_offer_of_the_form(client: FlaskClient, problem: Json) -> None:
    body = without_responses("problem-list-item-create", conditions=_untyped(problem))
    (card,) = cards_of(call(client, body))
    assert card["source"]["topic"]["code"] == "form-offer"


VISITS: dict[str, Json] = {
    "serviceCategory as an object": appointment(serviceCategory={"coding": [{"code": "gp"}]}),
    "reason of another version": appointment(reason={"coding": {"system": "", "code": "279039007"}}),
    "a time that is none": appointment(start="2026-01-10T09:00:00Z", end="2026-01-10T09:10:00:00Z"),
    "a priority that is a text": appointment(priority="5", indication=[{"reference": "Condition/c1"}]),
    "nobody attending": appointment(participant=[]),
}


@pytest.mark.requirement("REQ-9")
@pytest.mark.parametrize("visit", VISITS.values(), ids=VISITS)
def test_an_appointment_that_is_not_valid_is_still_judged(client: FlaskClient, visit: Json) -> None:
    body = valid("appointment-book", response(CALM | ALARM), appointments=_untyped(visit))
    (card,) = cards_of(call(client, body))
    assert (card["source"]["topic"]["code"], card["indicator"]) == ("emergency-now", "critical")


@pytest.mark.requirement("REQ-9")
def test_appointments_in_a_bare_array_are_judged(client: FlaskClient) -> None:
    answer = call(client, valid("appointment-book", response(CALM | ALARM), appointments=[appointment()]))
    (card,) = cards_of(answer)
    assert (card["source"]["topic"]["code"], card["indicator"]) == ("emergency-now", "critical")


@pytest.mark.requirement("REQ-9")
@pytest.mark.parametrize("coding", [LUMBAR_MRI, PHYSIOTHERAPY], ids=["imaging", "physiotherapy"])
def test_an_order_is_recognised_by_system_and_code_alone(client: FlaskClient, coding: Json) -> None:
    bare = {"system": coding["system"], "code": coding["code"]}
    foreign = {"system": "urn:oid:1.2.3", "code": coding["code"], "display": coding["display"]}
    for known, orders in ((True, bare), (False, foreign), (False, {"display": coding["display"]})):
        body = valid("order-sign", response(CALM | ALARM), draftOrders=collection(order(orders)))
        assert bool(cards_of(call(client, body))) is known
