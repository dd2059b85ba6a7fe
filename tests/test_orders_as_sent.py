"""Orders as EHRs really send them: what is damaged is judged or refused, never passed over in silence."""

from typing import Any

import pytest
from flask.testing import FlaskClient

from cds_content.card_shapes import Coding
from cds_content.screening import Screening
from cds_service.clients import Client
from tests.conftest import topics
from tests.requirements.requests import LOINC, SNOMED
from tests.samples import CALM, bundle, response
from tests.test_orders import ALARM, BACK_PAIN, BLOOD, MRI, PHYSIO, appointment, call, order, post, rows
from tests.wire import cards_of, refusal_of, serving

FAILURE = {"resourceType": "OperationOutcome", "issue": [{"severity": "error", "code": "exception"}]}
NAMELESS = {name: value for name, value in MRI.items() if name != "id"}


def judged(client: FlaskClient, context: dict[str, Any], hook: str = "order-sign", *responses: Any) -> list[str]:
    return topics(cards_of(post(client, call(hook, context, *(responses or [response(ALARM)])))))


# Each row: why it is read, the draft orders.
READ: list[tuple[str, Any]] = [
    ("the order itself, in no Bundle", MRI),
    ("an array", [BLOOD, MRI]),
    ("a Bundle without a type of resource", {"entry": [{"resource": MRI}]}),
    ("a Bundle in a Bundle", bundle(bundle(MRI))),
    ("an entry that is none beside it", {"resourceType": "Bundle", "entry": [{}, {"resource": MRI}]}),
    (
        "an entry that holds null beside it",
        {"resourceType": "Bundle", "entry": [{"resource": None}, {"resource": MRI}]},
    ),
    ("a code without its array", bundle(MRI | {"code": {"coding": MRI["code"]["coding"][0]}})),
    ("a code that is a coding", bundle(MRI | {"code": MRI["code"]["coding"][0]})),
    ("a code among others", bundle(MRI | {"code": {"coding": [{}, {"system": "x"}, *MRI["code"]["coding"]]}})),
    ("the system with a slash", bundle(order(f"{LOINC}/", "24968-0"))),
    ("the system with https", bundle(order("https://loinc.org", "24968-0"))),
    ("the OID of LOINC", bundle(order("urn:oid:2.16.840.1.113883.6.1", "24968-0"))),
    ("the OID of SNOMED CT", bundle(order("urn:oid:2.16.840.1.113883.6.96", "840361000"))),
]


@pytest.mark.parametrize("row", READ, ids=[row[0] for row in READ])
def test_a_damaged_bundle_is_judged_where_it_can_be(row: tuple[str, Any], client: FlaskClient) -> None:
    assert judged(client, {"draftOrders": row[1]}) == ["imaging"]


# Each row: why nobody can tell, the draft orders.
UNREADABLE: list[tuple[str, Any]] = [
    ("an array of references", ["ServiceRequest/mri"]),
    ("entries that are an object", {"resourceType": "Bundle", "entry": {"resource": MRI}}),
    ("an entry that is the order", {"resourceType": "Bundle", "entry": [MRI]}),
    ("an entry that holds null", {"resourceType": "Bundle", "entry": [{"resource": None}]}),
    ("an entry that holds a text", {"resourceType": "Bundle", "entry": [{"resource": "ServiceRequest/mri"}]}),
    ("a reference", {"reference": "Bundle/1"}),
    ("nothing that is known", {}),
    ("a failure in place of the orders", FAILURE),
    ("a failure in place of an order", bundle(FAILURE)),
    ("an order without its type", bundle({name: value for name, value in MRI.items() if name != "resourceType"})),
]


@pytest.mark.parametrize("row", UNREADABLE, ids=[row[0] for row in UNREADABLE])
def test_what_nobody_can_read_is_refused_and_not_silence(row: tuple[str, Any], client: FlaskClient) -> None:
    for context in ({"draftOrders": row[1]}, {"draftOrders": row[1], "selections": ["ServiceRequest/mri"]}):
        hook = "order-select" if "selections" in context else "order-sign"
        refused = refusal_of(post(client, call(hook, context, response(ALARM))), 400)
        assert "context.draftOrders" in refused


# Each row: what is wrong with the order, its members that are so.
UNCLEAR: list[tuple[str, dict[str, Any]]] = [
    ("the type in other letters", {"resourceType": "Servicerequest"}),
    ("a text as the code", {"code": "MR Lumbar spine"}),
    ("a text as one of two codes", {"code": [{"text": "MR Lumbar spine"}, "24968-0"]}),
    ("a text as the coding", {"code": {"coding": "24968-0"}}),
    ("a text as one of two codings", {"code": {"coding": [{"code": "24968-0"}, "24968-0"]}}),
    ("a number as the code of a coding", {"code": {"coding": [{"system": LOINC, "code": 24968}]}}),
    ("an array as the system of a coding", {"code": {"coding": [{"system": [LOINC], "code": "24968-0"}]}}),
]


@pytest.mark.parametrize("row", UNCLEAR, ids=[row[0] for row in UNCLEAR])
def test_an_order_whose_type_or_code_nobody_can_read_is_refused_and_not_silence(
    row: tuple[str, dict[str, Any]], client: FlaskClient
) -> None:
    answered = post(client, call("order-sign", {"draftOrders": bundle(MRI | row[1])}, response(ALARM)))

    assert "type or code" in refusal_of(answered, 400)


def test_it_does_not_hide_the_card_of_another_order(client: FlaskClient) -> None:
    assert judged(client, {"draftOrders": bundle(MRI, MRI | {"code": "24968-0"})}) == ["imaging"]


def test_a_code_that_nobody_can_read_of_what_is_never_judged_is_no_matter(client: FlaskClient) -> None:
    drug = {"resourceType": "MedicationRequest", "code": "24968-0", "subject": MRI["subject"]}

    assert judged(client, {"draftOrders": bundle(drug)}) == []


def test_an_order_that_says_nothing_does_not_hide_one_that_nobody_can_read(client: FlaskClient) -> None:
    """Physiotherapy and a calm screening: no card. The other entry may be a scan."""
    both = {"resourceType": "Bundle", "entry": [{"resource": PHYSIO}, {"resource": None}]}

    assert "context.draftOrders" in refusal_of(
        post(client, call("order-sign", {"draftOrders": both}, response(CALM))), 400
    )
    assert judged(client, {"draftOrders": both}) == ["emergency-now"]


def test_a_problem_that_nobody_can_read_is_not_silence(client: FlaskClient) -> None:
    damaged = {"conditions": {"resourceType": "Bundle", "entry": [{"resource": "low back pain"}]}}

    assert "context.conditions" in refusal_of(post(client, call("problem-list-item-create", damaged)), 400)
    assert topics(cards_of(post(client, call("problem-list-item-create", damaged, response(CALM))))) == ["self-care"]


LOST = {
    "an id that the order lacks": ["ServiceRequest/mri"],
    "a urn that the entry lacks": ["urn:uuid:1"],
    "an id without its type": ["mri"],
}


@pytest.mark.parametrize("selections", LOST.values(), ids=LOST)
def test_a_selection_that_is_no_order_sent_makes_those_without_id_count(
    selections: list[str], client: FlaskClient
) -> None:
    assert judged(client, {"draftOrders": bundle(NAMELESS), "selections": selections}, "order-select") == ["imaging"]


@pytest.mark.parametrize("selections", [["mri"], [" ServiceRequest/mri "]], ids=["a bare id", "blanks"])
def test_a_selection_is_understood_as_it_is_written(selections: list[str], client: FlaskClient) -> None:
    assert judged(client, {"draftOrders": bundle(MRI), "selections": selections}, "order-select") == ["imaging"]


@pytest.mark.parametrize("selections", [[], None, ["ServiceRequest/blood"]], ids=["none", "null", "another"])
def test_nothing_of_ours_selected_is_silence(selections: list[str] | None, client: FlaskClient) -> None:
    assert judged(client, {"draftOrders": bundle(MRI, BLOOD), "selections": selections}, "order-select") == []


@pytest.mark.parametrize("selections", [[], ["ServiceRequest/zz"], "x", 5])
def test_order_sign_knows_no_selections(selections: Any, client: FlaskClient) -> None:
    assert judged(client, {"draftOrders": bundle(MRI), "selections": selections}) == ["imaging"]


def test_a_response_in_the_context_of_another_hook_is_not_read(client: FlaskClient) -> None:
    for hook, context in (("patient-view", {}), ("order-sign", {"draftOrders": bundle(MRI)})):
        body = call(hook, context | {"questionnaireResponse": response(CALM)}) | {"prefetch": {}}
        assert "prefetch.responses" in refusal_of(post(client, body), 412)


@pytest.mark.parametrize("member", ["draftOrders", "conditions", "questionnaireResponse", "futureField"])
def test_another_patient_in_a_member_that_the_hook_does_not_know_is_refused_too(
    member: str, client: FlaskClient
) -> None:
    theirs = MRI | {"subject": {"reference": "Patient/p2"}}
    for value in (theirs, bundle(theirs)):
        refusal_of(post(client, call("patient-view", {member: value}, response(CALM))), 400)
    assert topics(cards_of(post(client, call("patient-view", {member: bundle(MRI)}, response(CALM))))) == ["self-care"]


def test_no_low_back_pain_is_no_screening_for_a_lumbar_scan_and_nothing_for_physiotherapy(client: FlaskClient) -> None:
    """Decision table, R50: an imaging order then gets IMG-3."""
    denied = response({"lbp-present": "no"} | {name: said for name, said in CALM.items() if name.startswith("rf")})

    (card,) = cards_of(post(client, call("order-sign", {"draftOrders": bundle(MRI, PHYSIO)}, denied)))

    assert (rows(card)[0], card["indicator"]) == ("IMG-3", "warning")
    assert "the response says that this complaint is absent now" in card["detail"]


def test_an_appointment_for_low_back_pain_without_a_response_offers_the_form(client: FlaskClient) -> None:
    visit = appointment(serviceType=None, reasonCode=[BACK_PAIN])
    context = {"appointments": bundle(visit)}

    assert topics(cards_of(post(client, call("appointment-book", context)))) == ["form-offer"]
    assert cards_of(post(client, call("appointment-book", context, response(CALM)))) == []
    assert cards_of(post(client, call("appointment-book", context) | {"prefetch": {}})) == []
    assert (
        cards_of(post(client, call("appointment-book", {"appointments": bundle(appointment(serviceType=None))}))) == []
    )


def test_the_suggestions_of_a_disposition_stand_on_one_card_only(client: FlaskClient) -> None:
    scan, physio = cards_of(post(client, call("order-sign", {"draftOrders": bundle(MRI, PHYSIO)}, response(ALARM))))

    assert "suggestions" in scan
    assert not {"suggestions", "selectionBehavior"} & physio.keys()


def test_doctor_first_says_how_soon(client: FlaskClient) -> None:
    (today,) = cards_of(post(client, call("order-sign", {"draftOrders": bundle(PHYSIO)}, response(ALARM))))

    assert today["summary"].startswith("Doctor first: ")
    assert "emergency medical assessment today" in today["summary"]


def test_reasons_that_contradict_each_other_are_no_clear_other_reason(screening: Screening, tmp_path: Any) -> None:
    other = {"coding": [{"system": SNOMED, "code": "363346000"}]}
    both = {"coding": [*other["coding"], *BACK_PAIN["coding"]]}
    clients = {"development": Client(other_reasons=(Coding(system=SNOMED, code="363346000"),))}

    with serving(screening, tmp_path, clients=clients) as theirs:
        assert judged(theirs, {"draftOrders": bundle(MRI | {"reasonCode": [other]})}) == []
        assert judged(theirs, {"draftOrders": bundle(MRI | {"reasonCode": [both]})}) == ["imaging"]
        referred = MRI | {"reasonCode": [other], "reasonReference": [{"reference": "Condition/1"}]}
        assert judged(theirs, {"draftOrders": bundle(referred)}) == ["imaging"]


def test_a_long_selection_is_read_in_one_pass(client: FlaskClient) -> None:
    """A pattern that backtracks needed minutes for this; the test would not end."""
    assert judged(client, {"draftOrders": bundle(MRI), "selections": ["a" * 400_000]}, "order-select") == ["imaging"]


# Each row: why the order is left alone, what it holds.
LEFT_ALONE: list[tuple[str, dict[str, Any]]] = [
    ("the response is there already", {"supportingInfo": [{"reference": "QuestionnaireResponse/response-1"}]}),
    (
        "it is there with other words",
        {
            "supportingInfo": [
                {"reference": "https://ehr.example/fhir/QuestionnaireResponse/response-1", "display": "x"}
            ]
        },
    ),
    ("its own information is no array", {"supportingInfo": {"reference": "Observation/1"}}),
    ("it holds null", {"note": None}),
    ("it holds something empty", {"category": [{}]}),
    ("it holds an integer that cannot be written again", {"priorityNumber": 99999999999999999999999}),
    ("it has no id", {"id": None}),
]


@pytest.mark.parametrize("row", LEFT_ALONE, ids=[row[0] for row in LEFT_ALONE])
def test_an_order_that_cannot_be_given_back_whole_is_left_alone(
    row: tuple[str, dict[str, Any]], screening: Screening, tmp_path: Any
) -> None:
    with serving(screening, tmp_path, clients={"development": Client(system_actions=True)}) as agreed:
        answer = post(agreed, call("order-sign", {"draftOrders": bundle(MRI | row[1])}, response(CALM)))

        assert topics(answer.get_json()["cards"]) == ["imaging"]
        assert "systemActions" not in answer.get_json()


def test_a_response_of_nobody_is_not_written_into_an_order(screening: Screening, tmp_path: Any) -> None:
    with serving(screening, tmp_path, clients={"development": Client(system_actions=True)}) as agreed:
        answer = post(agreed, call("order-sign", {"draftOrders": bundle(MRI)}, response(CALM, subject=None)))

        assert "systemActions" not in answer.get_json()
        assert "QuestionnaireResponse/" not in answer.text


def test_many_responses_are_not_written_into_many_orders(screening: Screening, tmp_path: Any) -> None:
    many = [response({}, id=f"r-{number}") for number in range(21)]
    with serving(screening, tmp_path, clients={"development": Client(system_actions=True)}) as agreed:
        answer = post(agreed, call("order-sign", {"draftOrders": bundle(MRI)}, *many))

        assert "systemActions" not in answer.get_json()
