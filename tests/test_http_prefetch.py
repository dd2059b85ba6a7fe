"""Prefetch has four states: data, nothing there (200), not to be had (412), and no FHIR at all (400)."""

from typing import Any

import pytest
from flask.testing import FlaskClient

from tests.conftest import topics
from tests.samples import CALM, bundle, call, patient, response
from tests.wire import cards_of, refusal_of, send

SNOMED = "http://snomed.info/sct"
STATUS = "http://terminology.hl7.org/CodeSystem/condition-clinical"
VERIFICATION = "http://terminology.hl7.org/CodeSystem/condition-ver-status"
NEXT_PAGE = {"link": [{"relation": "next", "url": "https://ehr.example/fhir?page=2"}]}
OTHER_FORM = response(CALM, questionnaire="https://other.example/Questionnaire/phq-9")


def outcome(*severities: str, code: str = "exception") -> dict[str, Any]:
    return {"resourceType": "OperationOutcome", "issue": [{"severity": one, "code": code} for one in severities]}


def page(*resources: Any, **members: Any) -> dict[str, Any]:
    """What a search found, with these members beside the entries."""
    return bundle(*resources) | members


def _prefetch(**values: Any) -> dict[str, Any]:
    """A calm call with these values under prefetch keys."""
    body = call(response(CALM))
    body["prefetch"] |= values
    return body


NO_FHIR: dict[str, Any] = {
    "a text": "x",
    "an empty text": "",
    "a number": 5,
    "zero": 0,
    "true": True,
    "false": False,
    "an empty object": {},
    "an object without resourceType": {"status": "completed"},
    "an object whose resourceType is null": {"resourceType": None},
    "an object whose resourceType is a number": {"resourceType": 5},
    "an array of numbers": [5],
    "an array of texts": ["x"],
    "an array with an empty object": [{}],
    "a Bundle whose entry is an object": {"resourceType": "Bundle", "type": "searchset", "entry": {}},
    "a Bundle whose entry is one entry": {
        "resourceType": "Bundle",
        "type": "searchset",
        "entry": {"resource": response(CALM)},
    },
    "a Bundle whose entry is a resource": {"resourceType": "Bundle", "type": "searchset", "entry": response(CALM)},
    "a Bundle whose entry is a Bundle": {"resourceType": "Bundle", "type": "searchset", "entry": bundle()},
    "a Bundle whose entry is a text": {"resourceType": "Bundle", "type": "searchset", "entry": "x"},
    "a Bundle of texts": {"resourceType": "Bundle", "type": "searchset", "entry": ["x"]},
    "a Bundle of a number": {"resourceType": "Bundle", "type": "searchset", "entry": [5]},
    "a Bundle of a resource that is a text": bundle("x"),
    "a Bundle of a resource that is empty": bundle({}),
    "a Bundle of a resource without resourceType": bundle({"status": "completed"}),
}


@pytest.mark.parametrize("key", ["patient", "responses", "conditions"])
@pytest.mark.parametrize("value", NO_FHIR.values(), ids=NO_FHIR)
def test_prefetch_that_is_no_fhir_is_refused(client: FlaskClient, key: str, value: Any) -> None:
    refusal_of(send(client, _prefetch(**{key: value})), 400)


NOT_TO_BE_HAD: dict[str, dict[str, Any]] = {
    "an OperationOutcome of an error": outcome("error"),
    "an OperationOutcome of a fatal error": outcome("fatal"),
    "an OperationOutcome of a warning": outcome("warning"),
    "an OperationOutcome that informs": outcome("information"),
    "an OperationOutcome without an issue": outcome(),
    "a Bundle of an OperationOutcome of an error": bundle(outcome("error")),
    "a Bundle of an OperationOutcome of a warning and an error": bundle(outcome("warning", "error")),
    "a Bundle without entries, with a next page": bundle() | NEXT_PAGE,
    "a Bundle of other forms, with a next page": bundle(OTHER_FORM) | NEXT_PAGE,
}


@pytest.mark.parametrize("value", NOT_TO_BE_HAD.values(), ids=NOT_TO_BE_HAD)
def test_responses_that_could_not_be_had_are_asked_for(client: FlaskClient, value: dict[str, Any]) -> None:
    assert "responses" in refusal_of(send(client, _prefetch(responses=value)), 412)


WITHHELD = ("incomplete", "timeout", "throttled", "suppressed", "transient", "too-costly", "security", "forbidden")
NOT_ALL: dict[str, dict[str, Any]] = {  # what was found is calm, but there may be more
    **{f"a warning: {code}": page(response(CALM), outcome("warning", code=code)) for code in WITHHELD},
    "told by the way: suppressed": page(response(CALM), outcome("information", code="suppressed")),
    "issues of which one is no object": page(
        response(CALM), {"resourceType": "OperationOutcome", "issue": [{"severity": "warning", "code": "invalid"}, "x"]}
    ),
    "issues that are none": page(response(CALM), {"resourceType": "OperationOutcome", "issue": {}}),
    "a link whose relation is an array": page(response(CALM), link=[{"relation": ["next"]}]),
    "a link whose relation has a blank": page(response(CALM), link=[{"relation": "next "}]),
    "a link without a relation": page(response(CALM), link=[{"url": "https://ehr.example/fhir?page=2"}]),
    "a link that is a text": page(response(CALM), link=["https://ehr.example/fhir?page=2"]),
    "a link that is none": page(response(CALM), link=[None]),
    "links that are an object": page(response(CALM), link={"relation": "self"}),
    "fewer than none": page(response(CALM), total=-1),
    "a Bundle under rules of somebody": page(response(CALM), implicitRules="https://ehr.example/rules"),
    "a Bundle that is modified": page(response(CALM), modifierExtension=[{"url": "https://ehr.example/x"}]),
    "an entry that is modified": page(
        entry=[{"resource": response(CALM), "modifierExtension": [{"url": "https://ehr.example/x"}]}]
    ),
    "an entry that failed": page(entry=[{"resource": response(CALM), "response": {"status": "500 Error"}}]),
    "an entry whose status is no object": page(entry=[{"resource": response(CALM), "response": "500"}]),
}


@pytest.mark.parametrize("value", NOT_ALL.values(), ids=NOT_ALL)
def test_a_calm_response_among_what_may_not_be_all_does_not_reassure(client: FlaskClient, value: Any) -> None:
    assert topics(cards_of(send(client, _prefetch(responses=value)))) == ["incomplete"]


ALL_OF_IT: dict[str, dict[str, Any]] = {
    "links to itself and to the last page": page(response(CALM), link=[{"relation": "self"}, {"relation": "last"}]),
    "an entry that was found": page(entry=[{"resource": response(CALM), "response": {"status": "200 OK"}}]),
    "a warning of a parameter": page(response(CALM), outcome("warning", code="not-supported")),
}


@pytest.mark.parametrize("value", ALL_OF_IT.values(), ids=ALL_OF_IT)
def test_a_calm_response_that_is_all_there_is_leads_to_self_care(client: FlaskClient, value: Any) -> None:
    assert topics(cards_of(send(client, _prefetch(responses=value)))) == ["self-care"]


@pytest.mark.parametrize("member", ["modifierExtension", "implicitRules"])
def test_of_a_patient_who_is_modified_no_age_is_known(client: FlaskClient, member: str) -> None:
    modified = patient() | {member: "https://ehr.example/rules"}
    assert topics(cards_of(send(client, _prefetch(patient=modified)))) == ["incomplete"]


@pytest.mark.parametrize("kind", ["Questionnaireresponse", "QUESTIONNAIRERESPONSE", "QuestionnaireResponse "])
def test_a_response_whose_type_is_misspelt_is_not_passed_over(client: FlaskClient, kind: str) -> None:
    misspelt = response(CALM | {"rf-saddle": "new"}) | {"resourceType": kind}
    assert "responses" in refusal_of(send(client, _prefetch(responses=bundle(response(CALM), misspelt))), 400)


NO_RESPONSES: dict[str, dict[str, Any]] = {
    "prefetch is null": {"prefetch": None},
    "prefetch is empty": {"prefetch": {}},
    "the key is absent": {"prefetch": {"patient": patient(), "conditions": None}},
    "the key is spelled otherwise": {"prefetch": {"patient": patient(), "Responses": bundle(response(CALM))}},
}


@pytest.mark.parametrize("members", NO_RESPONSES.values(), ids=NO_RESPONSES)
def test_responses_that_were_not_sent_are_asked_for(client: FlaskClient, members: dict[str, Any]) -> None:
    assert "responses" in refusal_of(send(client, call() | members), 412)


def test_a_call_without_prefetch_is_asked_for_responses(client: FlaskClient) -> None:
    body = {name: value for name, value in call().items() if name != "prefetch"}
    assert "responses" in refusal_of(send(client, body), 412)


NOT_HAD: dict[str, dict[str, Any]] = {
    "absent": {},
    "null": {"patient": None},
    "an OperationOutcome": {"patient": outcome("error")},
    "a Bundle of an OperationOutcome": {"patient": bundle(outcome("error"))},
}


@pytest.mark.parametrize("patients", NOT_HAD.values(), ids=NOT_HAD)
def test_a_calm_response_without_the_patient_does_not_reassure(client: FlaskClient, patients: dict[str, Any]) -> None:
    body = call(prefetch={"responses": bundle(response(CALM)), **patients})
    assert topics(cards_of(send(client, body))) == ["incomplete"]


NOTHING_THERE: dict[str, Any] = {
    "null": None,
    "a Bundle without entry": {"resourceType": "Bundle", "type": "searchset"},
    "a Bundle without entry, total 0": {"resourceType": "Bundle", "type": "searchset", "total": 0},
    "a Bundle with an empty entry": {"resourceType": "Bundle", "type": "searchset", "entry": []},
    "a Bundle with an empty entry, total 0": {"resourceType": "Bundle", "type": "searchset", "total": 0, "entry": []},
    "an empty array": [],
    "an array of an empty Bundle": [bundle()],
    "a Bundle of another form": bundle(OTHER_FORM),
    "a Bundle that only informs": bundle(outcome("information", code="informational")),
    "a Bundle that says what parameter was not used": bundle(outcome("warning", code="not-supported")),
}


@pytest.mark.parametrize("value", NOTHING_THERE.values(), ids=NOTHING_THERE)
def test_no_responses_and_no_complaint_give_no_cards(client: FlaskClient, value: Any) -> None:
    assert cards_of(send(client, _prefetch(responses=value))) == []


def condition(system: str = SNOMED, code: str = "279039007", **members: Any) -> dict[str, Any]:
    """An active Condition of the patient; members replace."""
    return {
        "resourceType": "Condition",
        "clinicalStatus": {"coding": [{"system": STATUS, "code": "active"}]},
        "verificationStatus": {"coding": [{"system": VERIFICATION, "code": "confirmed"}]},
        "code": {"coding": [{"system": system, "code": code}]},
        "subject": {"reference": "Patient/p1"},
        **members,
    }


def _clinical(code: str) -> dict[str, Any]:
    return {"clinicalStatus": {"coding": [{"system": STATUS, "code": code}]}}


def _verified(code: str) -> dict[str, Any]:
    return {"verificationStatus": {"coding": [{"system": VERIFICATION, "code": code}]}}


COMPLAINTS: dict[str, Any] = {
    "SNOMED CT low back pain": bundle(condition()),
    "SNOMED CT chronic low back pain": bundle(condition(code="278860009")),
    "SNOMED CT acute low back pain": bundle(condition(code="278862001")),
    "ICD-10": bundle(condition("http://hl7.org/fhir/sid/icd-10", "M54.5")),
    "ICD-10-CM": bundle(condition("http://hl7.org/fhir/sid/icd-10-cm", "M54.50")),
    "ICPC-1 NL": bundle(condition("http://hl7.org/fhir/sid/icpc-1-nl", "L03")),
    "a recurrence": bundle(condition(**_clinical("recurrence"))),
    "alone": condition(),
    "in an array": [condition()],
    "beside another complaint": bundle(condition(code="195967001"), condition()),
    "beside one that is resolved": bundle(condition(**_clinical("resolved")), condition()),
    "twice": bundle(condition(), condition()),
}
REASSURING = {
    "nl": ("zelfzorg", "geruststel", "geen alarmsignalen", "niets ernstigs", "onschuldig", "fysiotherap"),
    "en": ("self-care", "reassur", "no warning sign", "nothing serious", "harmless", "physiotherap"),
}
FORM_IS_CALLED = {"nl": "vragenlijst", "en": "questionnaire"}


@pytest.mark.parametrize("language", ["nl", "en"])
@pytest.mark.parametrize("responses", [None, bundle(), []], ids=["null", "an empty Bundle", "an empty array"])
@pytest.mark.parametrize("conditions", COMPLAINTS.values(), ids=COMPLAINTS)
def test_low_back_pain_on_record_without_a_response_gets_the_offer_of_the_form_and_no_reassurance(
    client: FlaskClient, conditions: Any, responses: Any, language: str
) -> None:
    answer = send(client, _prefetch(responses=responses, conditions=conditions), language)
    (card,) = cards_of(answer)
    said = " ".join([card["summary"], card["detail"], *(one["label"] for one in card.get("suggestions", []))]).lower()
    assert (card["source"]["topic"]["code"], card["indicator"]) == ("form-offer", "info")
    assert answer.headers["Content-Language"] == language
    assert FORM_IS_CALLED[language] in card["summary"].lower()
    assert [words for words in REASSURING[language] if words in said] == []


NO_COMPLAINT: dict[str, Any] = {
    "absent": None,
    "no Conditions": bundle(),
    "inactive": bundle(condition(**_clinical("inactive"))),
    "in remission": bundle(condition(**_clinical("remission"))),
    "resolved": bundle(condition(**_clinical("resolved"))),
    "refuted": bundle(condition(**_verified("refuted"))),
    "entered in error": bundle(condition(**_verified("entered-in-error"))),
    "asthma": bundle(condition(code="195967001")),
    "the code in another system": bundle(condition("http://loinc.org")),
    "without a code": bundle({name: value for name, value in condition().items() if name != "code"}),
    "only words": bundle(condition() | {"code": {"text": "low back pain"}}),
    "could not be had": outcome("error"),
}


@pytest.mark.parametrize("conditions", NO_COMPLAINT.values(), ids=NO_COMPLAINT)
def test_without_low_back_pain_on_record_the_form_is_not_offered(client: FlaskClient, conditions: Any) -> None:
    assert cards_of(send(client, _prefetch(responses=None, conditions=conditions))) == []
