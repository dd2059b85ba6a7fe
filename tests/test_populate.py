"""Questionnaire/$populate: the age of the patient where it is certain, and nothing that anybody would have to guess."""

from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
from flask.testing import FlaskClient
from werkzeug.test import TestResponse

from cds_content.screening import Screening
from cds_content.translations import in_language, items_of
from tests.fhir_rules import valid
from tests.samples import CALM, FORM, born, bundle, patient, response
from tests.wire import obeys, refusal_of, serving

TYPE, INSTANCE = "/fhir/Questionnaire/$populate", "/fhir/Questionnaire/low-back-pain/$populate"
ASKED = {"name": "questionnaire", "valueUri": FORM}
SUBJECT = {"name": "subject", "valueReference": {"reference": "Patient/p1"}}


def parameters(*given: Any) -> dict[str, Any]:
    return {"resourceType": "Parameters", "parameter": list(given)}


def data(*resources: Any) -> list[dict[str, Any]]:
    return [{"name": "data", "resource": one} for one in resources]


def context(*contents: Any, name: str = "patient") -> dict[str, Any]:
    held = [
        {"name": "content", **({"resource": one} if "resourceType" in one else {"valueReference": one})}
        for one in contents
    ]
    return {"name": "context", "part": [{"name": "name", "valueString": name}, *held]}


def post(client: FlaskClient, *given: Any, address: str = TYPE, language: str = "nl") -> TestResponse:
    headers = {"Accept-Language": language}
    return client.post(address, json=parameters(*given), headers=headers, content_type="application/fhir+json")


def populated(answer: TestResponse) -> tuple[dict[str, Any], list[str]]:
    """The response and the texts of the issues; fails unless both are valid FHIR and the response is in progress."""
    assert answer.status_code == 200, answer.text
    assert answer.mimetype == "application/fhir+json"
    body = answer.get_json()
    assert valid(body) == []
    (begun, *outcomes) = [one["resource"] for one in body["parameter"]]
    assert [one["name"] for one in body["parameter"]] == ["response", "issues"][: len(body["parameter"])]
    assert (begun["resourceType"], begun["status"], begun["questionnaire"]) == (
        "QuestionnaireResponse",
        "in-progress",
        f"{FORM}|1.0.0",
    )
    for outcome in outcomes:
        obeys(outcome, "operationoutcome")
    return begun, [issue["diagnostics"] for outcome in outcomes for issue in outcome["issue"]]


def answers(begun: dict[str, Any]) -> dict[str, Any]:
    return {item["linkId"]: item["answer"] for item in items_of(begun) if "answer" in item}


@pytest.mark.requirement("S-6", "Q-16")
@pytest.mark.parametrize(
    "given", [context(patient(40)), *data(patient(40)), *data(bundle(patient(40)))], ids=["context", "data", "Bundle"]
)
def test_the_age_comes_from_the_birth_date_and_nothing_else_is_answered(client: FlaskClient, given: Any) -> None:
    begun, issues = populated(post(client, ASKED, SUBJECT, given))

    assert answers(begun) == {"age": [{"valueInteger": 40}]}
    assert begun["subject"] == {"reference": "Patient/p1"}
    assert abs(datetime.fromisoformat(begun["authored"]) - datetime.now(UTC)) < timedelta(minutes=10)
    assert issues == []


@pytest.mark.requirement("S-6")
@pytest.mark.parametrize("language", ["nl", "en"])
def test_the_response_has_every_group_and_question_of_the_form_with_its_text(
    client: FlaskClient, screening: Screening, language: str
) -> None:
    form = in_language(screening.questionnaire, language)
    asked = [(item["linkId"], item["text"]) for item in items_of(form) if item["type"] != "display"]

    begun, _ = populated(post(client, ASKED, SUBJECT, language=language))

    assert [(item["linkId"], item["text"]) for item in items_of(begun)] == asked


# Each row: why the age is not certain, and the Patient that was sent. Nothing may be filled in.
UNCERTAIN: list[tuple[str, Any]] = [
    ("no birth date", patient(None)),
    ("a birth date that is none", patient(None, birthDate="1980-02-30")),
    (
        "a birth date in the future",
        patient(None, birthDate=(datetime.now(UTC) + timedelta(days=40)).date().isoformat()),
    ),
    ("too old to be alive", patient(None, birthDate="1850-01-01")),
    ("a birth date that is a number", patient(None, birthDate=1980)),
    (
        "a modifier that nobody here understands",
        patient(40, modifierExtension=[{"url": "urn:x", "valueBoolean": True}]),
    ),
    ("rules that change the meaning", patient(40, implicitRules="urn:x")),
    ("a record that is not in use", patient(40, active=False)),
    ("somebody who died", patient(40, deceasedBoolean=True)),
    ("somebody who died then", patient(40, deceasedDateTime="2020-01-01")),
    ("a record that does not say whose it is", {name: part for name, part in patient(40).items() if name != "id"}),
]

if datetime.now(UTC).strftime("%m-%d") != "12-31":  # on that day everybody born in one year has the same age
    UNCERTAIN.append(("a year alone", patient(None, birthDate=born(40)[:4])))


@pytest.mark.requirement("S-6")
@pytest.mark.parametrize("row", UNCERTAIN, ids=[row[0] for row in UNCERTAIN])
def test_an_age_that_is_not_certain_stays_unanswered(client: FlaskClient, row: tuple[str, Any]) -> None:
    begun, issues = populated(post(client, ASKED, SUBJECT, *data(row[1])))

    assert answers(begun) == {}
    assert [issue for issue in issues if issue.startswith("age: is not filled in")]


@pytest.mark.requirement("S-6")
@pytest.mark.parametrize(("age", "found"), [(39, {}), (40, {"age": [{"valueInteger": 40}]})])
def test_an_age_outside_the_limits_of_the_question_stays_unanswered(
    screening: Screening, tmp_path: Path, age: int, found: dict[str, Any]
) -> None:
    questions = {**screening.questions, "age": replace(screening.questions["age"], low=40)}

    with serving(replace(screening, questions=questions), tmp_path) as client:
        begun, _ = populated(post(client, ASKED, SUBJECT, *data(patient(age))))

    assert answers(begun) == found


@pytest.mark.requirement("S-6")
def test_records_with_two_birth_dates_give_no_age(client: FlaskClient) -> None:
    begun, issues = populated(post(client, ASKED, SUBJECT, *data(patient(40), patient(41))))

    assert answers(begun) == {}
    assert issues


@pytest.mark.requirement("S-6")
def test_a_year_and_month_give_the_age_where_only_one_fits(client: FlaskClient) -> None:
    month = (datetime.now(UTC).date().replace(day=15) - timedelta(days=100)).replace(day=1)
    born_in = f"{month.year - 40}-{month.month:02}"

    begun, _ = populated(post(client, ASKED, SUBJECT, *data(patient(None, birthDate=born_in))))

    assert answers(begun) == {"age": [{"valueInteger": 40}]}


@pytest.mark.requirement("S-6")
def test_without_any_data_nothing_is_answered_and_that_is_said(client: FlaskClient) -> None:
    begun, issues = populated(post(client, ASKED, SUBJECT))

    assert answers(begun) == {}
    assert issues == ["age: is not filled in: the patient's record was not sent, or does not say whose it is"]


@pytest.mark.requirement("S-6")
def test_an_earlier_screening_among_the_data_answers_nothing(client: FlaskClient) -> None:
    begun, _ = populated(post(client, ASKED, SUBJECT, *data(response(CALM))))

    assert answers(begun) == {}


@pytest.mark.requirement("S-6")
@pytest.mark.parametrize("address", [TYPE, INSTANCE])
@pytest.mark.parametrize(
    "other", [patient(40, id="p2"), response(CALM, subject={"reference": "Patient/p2"})], ids=["Patient", "response"]
)
def test_data_of_another_patient_are_refused(client: FlaskClient, address: str, other: Any) -> None:
    for given in (data(other), data(bundle(patient(40), other))):
        answer = post(client, ASKED, SUBJECT, *given, address=address)

        assert "another patient" in refusal_of(answer, 422)
        assert answer.get_json()["issue"][0]["code"] == "business-rule"


@pytest.mark.requirement("Q-16")
def test_a_context_of_another_patient_is_refused_also_as_a_reference(client: FlaskClient) -> None:
    for other in (patient(40, id="p2"), {"reference": "Patient/p2"}):
        assert "another patient" in refusal_of(post(client, ASKED, SUBJECT, context(other)), 422)


@pytest.mark.requirement("Q-16")
def test_the_form_declares_the_patient_as_its_launch_context(client: FlaskClient) -> None:
    form = client.get("/fhir/Questionnaire/low-back-pain").get_json()
    url = "http://hl7.org/fhir/uv/sdc/StructureDefinition/sdc-questionnaire-launchContext"

    (declared,) = [extension["extension"] for extension in form["extension"] if extension["url"] == url]

    parts = {part["url"]: part for part in declared}
    system = "http://hl7.org/fhir/uv/sdc/CodeSystem/launchContext"
    assert (parts["name"]["valueCoding"]["system"], parts["name"]["valueCoding"]["code"]) == (system, "patient")
    assert parts["type"]["valueCode"] == "Patient"


@pytest.mark.requirement("S-6")
def test_a_context_that_is_no_launch_context_is_not_used_and_that_is_said(client: FlaskClient) -> None:
    begun, issues = populated(post(client, ASKED, SUBJECT, context(patient(40), name="clinical")))

    assert answers(begun) == {}
    assert issues[0].startswith("context: ")


@pytest.mark.requirement("S-6")
def test_an_endpoint_is_not_asked_and_that_is_said(client: FlaskClient) -> None:
    endpoint = {"name": "dataEndpoint", "resource": {"resourceType": "Endpoint", "status": "active"}}

    _, issues = populated(post(client, ASKED, SUBJECT, endpoint, *data(patient(40))))

    assert issues == ["dataEndpoint: data are not fetched; send them along as data"]


# Each row: why, the parameters that name the form.
NAMED: list[tuple[str, Any]] = [
    ("its URL as questionnaire", ASKED),
    ("its URL with the version", {"name": "questionnaire", "valueCanonical": f"{FORM}|1.0.0"}),
    ("under its name in SDC 3.0.0", {"name": "canonical", "valueUri": FORM}),
    ("by its identifier", {"name": "identifier", "valueIdentifier": {"system": "urn:ietf:rfc:3986", "value": FORM}}),
    ("as a reference", {"name": "questionnaireRef", "valueReference": {"reference": "Questionnaire/low-back-pain"}}),
]


@pytest.mark.requirement("S-6")
@pytest.mark.parametrize("row", NAMED, ids=[row[0] for row in NAMED])
def test_the_form_can_be_named_in_each_way(client: FlaskClient, row: tuple[str, Any]) -> None:
    assert answers(populated(post(client, row[1], SUBJECT, *data(patient(40))))[0])


@pytest.mark.requirement("S-6")
@pytest.mark.parametrize("row", [*NAMED, ("nothing", None)], ids=[*(row[0] for row in NAMED), "nothing"])
def test_at_the_form_itself_its_name_may_be_given_again(client: FlaskClient, row: tuple[str, Any]) -> None:
    given = [row[1]] if row[1] else []

    begun, _ = populated(post(client, *given, SUBJECT, *data(patient(40)), address=INSTANCE))

    assert answers(begun) == {"age": [{"valueInteger": 40}]}


OTHER = "https://elsewhere.example/Questionnaire/other"
# Each row: why, the parameter that names another form than the address does.
OTHERS: list[tuple[str, Any]] = [
    ("another form", {"name": "questionnaire", "valueUri": OTHER}),
    ("another version", {"name": "questionnaire", "valueUri": f"{FORM}|9.9.9"}),
    ("another form, under its name in SDC 3.0.0", {"name": "canonical", "valueUri": OTHER}),
    ("a reference", {"name": "questionnaireRef", "valueReference": {"reference": "Questionnaire/other"}}),
    ("an identifier", {"name": "identifier", "valueIdentifier": {"system": "urn:x", "value": "other"}}),
    ("a form of the client's own", {"name": "questionnaire", "resource": {"resourceType": "Questionnaire"}}),
]


@pytest.mark.requirement("S-6", "R-11")
@pytest.mark.parametrize("row", OTHERS, ids=[row[0] for row in OTHERS])
def test_at_the_form_itself_another_form_is_refused(client: FlaskClient, row: tuple[str, Any]) -> None:
    reason = refusal_of(post(client, SUBJECT, row[1], address=INSTANCE), 400)

    assert reason.startswith(f"{row[1]['name']}: is another form than the one at this address")


@pytest.mark.requirement("S-6", "R-11")
@pytest.mark.parametrize("address", [TYPE, INSTANCE])
def test_a_parameter_that_is_not_known_is_not_used_and_that_is_said(client: FlaskClient, address: str) -> None:
    named = [ASKED] if address == TYPE else []

    _, issues = populated(post(client, *named, SUBJECT, {"name": "Secret", "valueString": "x"}, address=address))

    assert any(
        one.startswith("Parameters: some are unknown, and are not used; known are identifier, ") for one in issues
    )
    assert "Secret" not in str(issues)


@pytest.mark.requirement("S-6")
def test_nothing_is_known_here_beside_what_is_sent_and_that_is_said(client: FlaskClient) -> None:
    local = {"name": "local", "valueBoolean": True}  # of SDC 3.0.0: use what the server knows of the patient

    _, issues = populated(post(client, ASKED, SUBJECT, local, *data(patient(40))))

    assert issues == ["local: nothing is known here of a patient; send what is known along as data"]


@pytest.mark.requirement("S-6")
def test_the_subject_may_be_on_a_server_that_is_named(client: FlaskClient) -> None:
    subject = {"name": "subject", "valueReference": {"reference": "https://ehr.example/fhir/Patient/p1"}}

    begun, _ = populated(post(client, ASKED, subject, *data(patient(40))))

    assert begun["subject"] == subject["valueReference"]
    assert answers(begun)


OTHER = "https://elsewhere.example/Questionnaire/other"
ODD = {"name": ["patient"], "content": 5}
NAMELESS = {"name": "context", "part": [{"name": "content", "resource": patient()}]}


def named(name: str, **value: Any) -> dict[str, Any]:
    return {"name": name, **value}


def subject(**reference: str) -> dict[str, Any]:
    return named("subject", valueReference=reference)


# Each row: why it cannot be populated, status, what the refusal names, the parameters.
REFUSED: list[tuple[str, int, str, list[Any]]] = [
    ("no form named", 400, "write exactly one", [SUBJECT]),
    ("a form named twice over", 400, "write exactly one", [ASKED, named("canonical", valueUri=FORM), SUBJECT]),
    ("a form given twice", 400, "questionnaire", [ASKED, ASKED, SUBJECT]),
    ("a form that is not ours", 422, "no form of this server", [named("questionnaire", valueUri=OTHER), SUBJECT]),
    ("a version that is not ours", 422, "no form", [named("questionnaire", valueUri=f"{FORM}|9.9.9"), SUBJECT]),
    ("an identifier not ours", 422, "no form", [named("identifier", valueIdentifier={"value": "x"}), SUBJECT]),
    ("no subject", 400, "subject", [ASKED]),
    ("a subject who is no patient", 422, "names no patient", [ASKED, subject(reference="Group/1")]),
    ("a subject without a reference", 422, "names no patient", [ASKED, subject(display="Ann")]),
    ("a subject that is a text", 422, "names no patient", [ASKED, named("subject", valueString="Patient/p1")]),
    ("two subjects", 400, "subject", [ASKED, SUBJECT, SUBJECT]),
    ("a context used twice (sdc-pop1)", 400, "used twice", [ASKED, SUBJECT, *[context(patient(40))] * 2]),
    ("a context whose content is no list", 400, "context", [ASKED, SUBJECT, named("context", valueReference=ODD)]),
    ("a context without content", 400, "context", [ASKED, SUBJECT, context()]),
    ("a context without a name", 400, "context", [ASKED, SUBJECT, NAMELESS]),
    ("a context of another type", 422, "write Patient", [ASKED, SUBJECT, context(response(CALM))]),
    ("data that are no resources", 400, "data", [ASKED, SUBJECT, named("data", valueString="Patient")]),
    ("data in a Bundle that are none", 400, "data", [ASKED, SUBJECT, *data(bundle(None))]),
]


@pytest.mark.requirement("S-6")
@pytest.mark.parametrize("row", REFUSED, ids=[row[0] for row in REFUSED])
def test_what_cannot_be_populated_is_refused(client: FlaskClient, row: tuple[str, int, str, list[Any]]) -> None:
    _, status, words, given = row

    assert words in refusal_of(post(client, *given), status)


@pytest.mark.requirement("S-6")
def test_a_form_that_is_not_there_is_not_found(client: FlaskClient) -> None:
    refusal_of(post(client, SUBJECT, address="/fhir/Questionnaire/other/$populate"), 404)


# Each row: why it is no Parameters, the place that is named, the body.
NO_PARAMETERS: list[tuple[str, str, Any]] = [
    ("a bare Patient", "body", patient()),
    ("an array", "body", []),
    ("no array", "Parameters.parameter", {"resourceType": "Parameters", "parameter": {}}),
    ("no object", "Parameters.parameter[1].name", parameters(ASKED, "subject")),
    ("no name", "Parameters.parameter[0].name", parameters({"valueUri": FORM})),
    ("no value (inv-1)", "Parameters.parameter[0]", parameters({"name": "subject"})),
    ("two values (inv-1)", "Parameters.parameter[0]", parameters(ASKED | {"valueString": FORM})),
    ("a type of value that R4 does not have", "value[x]", parameters({"name": "x", "valueInteger64": "1"})),
    ("a type of value that nobody has", "value[x]", parameters({"name": "x", "valueSecret Name": "1"})),
    ("a text for a number", "valueInteger", parameters({"name": "x", "valueInteger": "1"})),
    ("true for a number", "valueInteger", parameters({"name": "x", "valueInteger": True})),
    ("a number for true", "valueBoolean", parameters({"name": "local", "valueBoolean": 1})),
    ("a blank text", "valueUri", parameters({"name": "questionnaire", "valueUri": " "})),
    ("a text for a reference", "valueReference", parameters({"name": "subject", "valueReference": "Patient/p1"})),
    ("a resource without a type", ".resource", parameters({"name": "data", "resource": {"id": "p1"}})),
    ("parts that are no array", ".part", parameters({"name": "context", "part": {}})),
    ("damage within the parts", "part[0].name", parameters({"name": "context", "part": [{}]})),
    ("a modifier", "modifierExtension", parameters(SUBJECT | {"modifierExtension": [{"url": "urn:x"}]})),
    ("rules that change the meaning", "implicitRules", parameters(SUBJECT) | {"implicitRules": "urn:x"}),
]


@pytest.mark.requirement("S-6", "R-11")
@pytest.mark.parametrize("row", NO_PARAMETERS, ids=[row[0] for row in NO_PARAMETERS])
def test_what_is_no_parameters_is_refused_at_its_place(client: FlaskClient, row: tuple[str, str, Any]) -> None:
    _, place, body = row

    reason = refusal_of(client.post(TYPE, json=body, content_type="application/fhir+json"), 400)

    assert place in reason
    assert "Secret" not in reason
