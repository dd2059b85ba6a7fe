"""The context of each hook: what it must hold, in which form, for whom, and nothing of anybody else."""

from collections.abc import Callable
from typing import Any

import pytest
from flask.testing import FlaskClient

from tests.advice_as_fhir import RULES
from tests.requirements.requests import (
    ALARM,
    ANKLE,
    CONTEXTS,
    HOOKS,
    OWN,
    SERVER,
    TOKEN,
    Json,
    about_somebody,
    appointment,
    call,
    collection,
    condition,
    encounter,
    order,
    valid,
)
from tests.samples import CALM, bundle, patient, response
from tests.wire import ABSENT, cards_of, changed, refusal_of, same

each_hook = pytest.mark.parametrize("hook", HOOKS)
CATALOGUED = [hook for hook in HOOKS if hook != OWN]
OTHER = "p2"


LENIENT = {("order-select", "draftOrders"), ("order-select", "selections")}
REQUIRED = [(hook, field) for hook in CATALOGUED for field in CONTEXTS[hook] if (hook, field) not in LENIENT]
NOTHING = {"absent": ABSENT, "null": None, "an empty text": "", "a number": 5, "an empty array": []}


@pytest.mark.requirement("CTX-1")
@pytest.mark.parametrize("value", NOTHING.values(), ids=NOTHING)
@pytest.mark.parametrize(("hook", "field"), [*REQUIRED, (OWN, "questionnaireResponse")])
def test_a_call_without_a_required_context_field_is_refused(
    client: FlaskClient, hook: str, field: str, value: Any
) -> None:
    assert field in refusal_of(call(client, changed(valid(hook), ("context", field), value)), 400)


@pytest.mark.requirement("CTX-1")
@pytest.mark.parametrize("fields", [["draftOrders"], ["selections"], ["draftOrders", "selections"]], ids="+".join)
def test_on_order_select_missing_orders_or_selections_count_as_none(client: FlaskClient, fields: list[str]) -> None:
    body = valid("order-select")
    for field in fields:
        body = changed(body, ("context", field), ABSENT)
    assert cards_of(call(client, body)) == []
    assert cards_of(call(client, changed(body, ("prefetch",), ABSENT))) == [], "nothing is judged, so nothing is needed"


@pytest.mark.requirement("CTX-1")
def test_on_order_select_only_selected_orders_are_judged(client: FlaskClient) -> None:
    blood = order({"system": "http://loinc.org", "code": "58410-2"}, "order-2")
    both = {"draftOrders": collection(order(), blood)}
    assert cards_of(call(client, valid("order-select", selections=["ServiceRequest/order-2"], **both))) == []
    assert cards_of(call(client, valid("order-select", selections=["ServiceRequest/order-1"], **both)))


BAD_IDS: dict[str, tuple[str, Any]] = {
    "userId without a type": ("userId", "gp-1"),
    "userId of a Group": ("userId", "Group/1"),
    "userId with two types": ("userId", "Practitioner/Practitioner/1"),
    "userId as a URL": ("userId", f"{SERVER}/Practitioner/1"),
    "patientId with its type": ("patientId", "Patient/1"),
    "patientId as a URL": ("patientId", f"{SERVER}/Patient/1"),
    "patientId with a space": ("patientId", "p 1"),
    "patientId of 65 characters": ("patientId", "p" * 65),
    "encounterId with its type": ("encounterId", "Encounter/1"),
    "encounterId that is a number": ("encounterId", 5),
}


@pytest.mark.requirement("CTX-2")
@pytest.mark.parametrize(("field", "value"), BAD_IDS.values(), ids=BAD_IDS)
@each_hook
def test_an_id_in_another_form_is_refused(client: FlaskClient, hook: str, field: str, value: Any) -> None:
    assert field in refusal_of(call(client, changed(valid(hook), ("context", field), value)), 400)


FOR_PATIENTS = ["patient-view", "appointment-book", OWN]


@pytest.mark.requirement("CTX-3")
@pytest.mark.parametrize("user", ["Patient/p1", "RelatedPerson/r1"])
@pytest.mark.parametrize("hook", FOR_PATIENTS)
def test_a_patient_reads_plain_words_and_no_codes_or_suggestions(client: FlaskClient, hook: str, user: str) -> None:
    (card,) = cards_of(call(client, valid(hook, response(CALM | ALARM), userId=user), "en"))
    assert card["summary"] == "Call your GP or out-of-hours GP now. Call 112 if life is in danger."
    assert not card.keys() & {"suggestions", "overrideReasons", "links"}
    assert card["extension"][RULES].keys() == {"version", "hash", "nextReview"}  # which content, and no rows
    assert [words for words in ("R02", "[R", "SNOMED", "snomed", "S15") if words in str(card)] == []


@pytest.mark.requirement("CTX-3")
@pytest.mark.parametrize("user", ["Patient/p1", "RelatedPerson/r1"])
@pytest.mark.parametrize("hook", FOR_PATIENTS)
def test_a_patient_without_a_doctor_class_result_reads_no_card(client: FlaskClient, hook: str, user: str) -> None:
    for answers in ({}, {"rf-leg": "unknown"}, {"co-trend": "worse"}):
        assert cards_of(call(client, valid(hook, response(CALM | answers), userId=user))) == []


@pytest.mark.requirement("CTX-3")
@pytest.mark.parametrize("user", ["Patient/p1", "RelatedPerson/r1"])
@pytest.mark.parametrize("hook", [hook for hook in HOOKS if hook not in FOR_PATIENTS])
def test_hooks_for_staff_refuse_a_patient(client: FlaskClient, hook: str, user: str) -> None:
    assert "userId" in refusal_of(call(client, valid(hook, userId=user)), 400)


@pytest.mark.requirement("CTX-3")
@each_hook
def test_a_practitioner_role_may_call_every_hook(client: FlaskClient, hook: str) -> None:
    assert cards_of(call(client, valid(hook, response(CALM | ALARM), userId="PractitionerRole/r1")))


@pytest.mark.requirement("CTX-6")
@pytest.mark.parametrize("status", ["active", "on-hold", "unknown", None])
@pytest.mark.parametrize("answers", [{}, ALARM], ids=["calm", "alarm"])
def test_an_order_that_is_signed_again_is_judged(client: FlaskClient, status: str | None, answers: Json) -> None:
    given = response(CALM | answers)
    drafts = cards_of(call(client, valid("order-sign", given)))
    again = cards_of(call(client, valid("order-sign", given, draftOrders=collection(order(status=status)))))
    assert same(again) == same(drafts) != []


def _foreign_prefetch(key: str, resource: Json) -> Callable[[Json], Json]:
    return lambda body: changed(body, ("prefetch", key), bundle(resource))


def _foreign_context(field: str, resource: Json) -> Callable[[Json], Json]:
    return lambda body: changed(body, ("context", field), collection(resource))


STRANGER = {"reference": f"Patient/{OTHER}"}
FOREIGN: dict[str, tuple[list[str], Callable[[Json], Json]]] = {
    "a response": (HOOKS, _foreign_prefetch("responses", response(CALM, subject=STRANGER))),
    "an alarming response": (HOOKS, _foreign_prefetch("responses", response(CALM | ALARM, subject=STRANGER))),
    "the Patient": (HOOKS, _foreign_prefetch("patient", patient(id=OTHER))),
    "a Condition": (CATALOGUED, _foreign_prefetch("conditions", condition(subject=STRANGER))),
    "the Encounter": (["encounter-start"], _foreign_prefetch("encounter", encounter(subject=STRANGER))),
    "an order": (["order-select", "order-sign"], _foreign_context("draftOrders", order(subject=STRANGER))),
    "an order that is not judged": (
        ["order-select", "order-sign"],
        _foreign_context("draftOrders", order(ANKLE, "x1", subject=STRANGER)),
    ),
    "an appointment": (
        ["appointment-book"],
        _foreign_context("appointments", appointment(participant=[{"actor": STRANGER, "status": "accepted"}])),
    ),
    "a problem": (["problem-list-item-create"], _foreign_context("conditions", condition(subject=STRANGER))),
    "the response in hand": (
        [OWN],
        lambda body: changed(body, ("context", "questionnaireResponse"), response(CALM, subject=STRANGER)),
    ),
    "the token": (HOOKS, lambda body: body | {"fhirServer": SERVER, "fhirAuthorization": TOKEN | {"patient": OTHER}}),
}
MIXED = {f"{what}, {hook}": (hook, spoil) for what, (hooks, spoil) in FOREIGN.items() for hook in hooks}


@pytest.mark.requirement("CTX-5")
@pytest.mark.parametrize(("hook", "spoil"), MIXED.values(), ids=MIXED)
def test_a_call_that_holds_anything_of_another_patient_is_refused(
    client: FlaskClient, hook: str, spoil: Callable[[Json], Json]
) -> None:
    assert spoil(valid(hook)) != valid(hook)
    refusal_of(call(client, spoil(valid(hook))), 400)


@pytest.mark.requirement("CTX-5")
@each_hook
def test_the_same_resources_of_the_patient_of_the_call_are_read(client: FlaskClient, hook: str) -> None:
    body = about_somebody(valid(hook, response(CALM | ALARM)), OTHER)
    if hook in CATALOGUED:
        body["prefetch"]["conditions"] = bundle(condition(subject=STRANGER))
    assert cards_of(call(client, body))[0]["indicator"] == "critical"


@pytest.mark.requirement("CTX-5")
def test_an_appointment_with_others_attending_is_judged_when_the_patient_is_among_them(client: FlaskClient) -> None:
    people = [{"actor": STRANGER}, {"actor": {"reference": "Patient/p1"}}, {"actor": {"reference": "Location/l1"}}]
    body = valid("appointment-book", response(CALM | ALARM), appointments=collection(appointment(participant=people)))
    assert cards_of(call(client, body))
