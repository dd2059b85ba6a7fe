"""What is not all in hand never reassures: parts of a search, empty entries, hidden errors; and none costs minutes."""

from typing import Any

import pytest
from flask.testing import FlaskClient

from tests.conftest import SERVICE, Ask, topics
from tests.samples import CALM, bundle, call, patient, response

ONE = {"resource": response(CALM)}
TOLD = {"resourceType": "OperationOutcome", "issue": [{"severity": "information", "code": "informational"}]}
FAILED = {"resourceType": "OperationOutcome", "issue": [{"severity": "error", "code": "exception"}]}

# Each row: why, what the Bundle has besides one calm response.
PARTLY: list[tuple[str, dict[str, Any]]] = [
    ("an entry that is only an address", {"entry": [ONE, {"fullUrl": "https://ehr.example/QuestionnaireResponse/2"}]}),
    ("an entry that failed", {"entry": [ONE, {"response": {"status": "500"}}]}),
    ("an empty entry", {"entry": [ONE, {}]}),
    ("a misspelt entry", {"entry": [ONE, {"resouce": response(CALM | {"rf-saddle": "new"})}]}),
    ("a higher total", {"entry": [ONE], "total": 2}),
    ("a higher total beside an outcome", {"entry": [ONE, {"resource": TOLD}], "total": 2}),
    ("a total that is no whole number", {"entry": [ONE], "total": 1.0}),
    ("a next page", {"entry": [ONE], "link": [{"relation": "next", "url": "https://ehr.example/?p=2"}]}),
    ("a next page in capitals", {"entry": [ONE], "link": [{"relation": "Next", "url": "https://ehr.example/?p=2"}]}),
    ("links that are no array", {"entry": [ONE], "link": {"relation": "next"}}),
    ("an error among the entries", {"entry": [ONE, {"resource": FAILED}]}),
]


@pytest.mark.parametrize("row", PARTLY, ids=[row[0] for row in PARTLY])
def test_a_part_of_the_responses_never_reassures(row: tuple[str, dict[str, Any]], ask: Ask) -> None:
    value = bundle() | row[1]

    assert topics(ask(call(prefetch={"patient": patient(), "responses": value}))) == ["incomplete"]


@pytest.mark.parametrize("row", PARTLY, ids=[row[0] for row in PARTLY])
def test_a_part_without_any_response_is_412(row: tuple[str, dict[str, Any]], client: FlaskClient) -> None:
    entries = [entry for entry in row[1].get("entry", []) if entry is not ONE]
    total = {"total": row[1]["total"] if isinstance(row[1]["total"], float) else 1} if "total" in row[1] else {}
    value = bundle() | row[1] | {"entry": entries} | total

    answer = client.post(SERVICE, json=call(prefetch={"patient": patient(), "responses": value}))

    assert answer.status_code == 412


WHOLE: list[tuple[str, dict[str, Any]]] = [
    ("a total that fits", {"entry": [ONE], "total": 1}),
    ("other links", {"entry": [ONE], "link": [{"relation": "self", "url": "https://ehr.example/?p=1"}]}),
    ("an outcome that only informs", {"entry": [ONE, {"resource": TOLD, "search": {"mode": "outcome"}}], "total": 1}),
    ("an included patient", {"entry": [ONE, {"resource": patient()}], "total": 1}),
]


@pytest.mark.parametrize("row", WHOLE, ids=[row[0] for row in WHOLE])
def test_what_is_all_in_hand_counts(row: tuple[str, dict[str, Any]], ask: Ask) -> None:
    value = bundle() | row[1]

    assert topics(ask(call(prefetch={"patient": patient(), "responses": value}))) == ["self-care"]


BROKEN: list[tuple[str, Any]] = [
    ("an array with null", [None]),
    ("an array in an array", [[response(CALM)]]),
    ("an entry that holds null", bundle() | {"entry": [{"resource": None}]}),
    ("an entry that holds an array", bundle() | {"entry": [{"resource": [response(CALM)]}]}),
    ("a response that is not wrapped", bundle() | {"entry": [response(CALM)]}),
    ("entries that are one resource", bundle() | {"entry": response(CALM)}),
    ("entries that are null", bundle() | {"entry": None}),
    ("a type in small letters beside another", [response(CALM), {"resourceType": "questionnaireResponse"}]),
    ("a type in small letters", response(CALM) | {"resourceType": "questionnaireResponse"}),
    ("another resource", patient()),
]


@pytest.mark.parametrize("row", BROKEN, ids=[row[0] for row in BROKEN])
def test_what_is_no_fhir_is_refused(row: tuple[str, Any], client: FlaskClient) -> None:
    answer = client.post(SERVICE, json=call(prefetch={"patient": patient(), "responses": row[1]}))

    assert answer.status_code == 400


@pytest.mark.parametrize("value", [TOLD, [TOLD], [FAILED]], ids=["that informs", "in an array", "of an error"])
def test_an_operation_outcome_instead_of_responses_is_412(value: Any, client: FlaskClient) -> None:
    answer = client.post(SERVICE, json=call(prefetch={"patient": patient(), "responses": value}))

    assert answer.status_code == 412


@pytest.mark.parametrize("server", [None, "https://ehr.example/fhir"])
def test_an_absolute_subject_with_another_id_is_another_patient(server: str | None, client: FlaskClient) -> None:
    one = response(CALM, subject={"reference": "https://ehr.example/fhir/Patient/p2"})

    answer = client.post(SERVICE, json=call(one) | ({"fhirServer": server} if server else {}))

    assert answer.status_code == 400


@pytest.mark.parametrize("reference", ["fhir/Patient/p1", "xPatient/p1", "/Patient/p1", "patient/p1", "Patient/p1/"])
def test_a_subject_that_is_not_quite_this_patient_is_refused(reference: str, client: FlaskClient) -> None:
    answer = client.post(SERVICE, json=call(response(CALM, subject={"reference": reference})))

    assert answer.status_code == 400


def test_a_long_hostile_reference_is_read_in_one_pass(ask: Ask) -> None:
    """A pattern that backtracks needed minutes for this; the test would not end."""
    hostile = {"reference": "Patient/a/" * 90_000 + "\n"}

    assert topics(ask(call(response(CALM, source=hostile)))) == ["self-care"]


def test_many_responses_of_one_moment_are_all_read(ask: Ask) -> None:
    """Comparing each with each needed minutes for this many; the test would not end."""
    empty = {"resourceType": "QuestionnaireResponse", "questionnaire": "|", "authored": "2026-01-01T00:00:00Z"}

    assert topics(ask(call(*[empty] * 7_000))) == ["incomplete"]
