"""One resource of another patient, wherever it stands, and the whole call is refused with 400."""

from collections.abc import Callable
from typing import Any

import pytest
from flask.testing import FlaskClient

from tests.conftest import topics
from tests.samples import CALM, bundle, call, patient, response
from tests.wire import cards_of, refusal_of, send

SERVER = "https://ehr.example/fhir"
LOW_BACK_PAIN = {"coding": [{"system": "http://snomed.info/sct", "code": "279039007"}]}

OTHERS: dict[str, str] = {
    "relative": "Patient/p2",
    "relative, one version": "Patient/p2/_history/1",
    "below fhirServer": f"{SERVER}/Patient/p2",
    "below fhirServer, one version": f"{SERVER}/Patient/p2/_history/1",
    "the id in capitals": "Patient/P1",
    "the id with a digit more": "Patient/p10",
    "the id with a point behind it": "Patient/p1.",
    "the id with a letter before it": "Patient/xp1",
    "the id as a version of another": "Patient/p2/_history/p1",
    "the id of a Group": "Group/p1",
}


@pytest.mark.requirement("CTX-5")
@pytest.mark.parametrize("server", [SERVER, f"{SERVER}/"], ids=["fhirServer", "fhirServer with a slash"])
@pytest.mark.parametrize("reference", OTHERS.values(), ids=OTHERS)
def test_a_response_about_somebody_else_is_refused(client: FlaskClient, reference: str, server: str) -> None:
    refusal_of(send(client, call(response(CALM, subject={"reference": reference}), fhirServer=server)), 400)


OURS: dict[str, str] = {
    "relative": "Patient/p1",
    "relative, one version": "Patient/p1/_history/1",
    "below fhirServer": f"{SERVER}/Patient/p1",
    "below fhirServer, one version": f"{SERVER}/Patient/p1/_history/1",
}


@pytest.mark.requirement("CTX-5")
@pytest.mark.parametrize("server", [SERVER, f"{SERVER}/"], ids=["fhirServer", "fhirServer with a slash"])
@pytest.mark.parametrize("reference", OURS.values(), ids=OURS)
def test_a_response_about_the_patient_of_the_call_is_read(client: FlaskClient, reference: str, server: str) -> None:
    cards = cards_of(send(client, call(response(CALM, subject={"reference": reference}), fhirServer=server)))
    assert topics(cards) == ["self-care"]


Resource = dict[str, Any]


def _about(kind: str, member: str = "subject", **members: Any) -> Callable[[str], Resource]:
    return lambda id_: {"resourceType": kind, "id": "x1", member: {"reference": f"Patient/{id_}"}, **members}


def _response(**members: Any) -> Callable[[str], Resource]:
    return lambda id_: response(CALM, subject={"reference": f"Patient/{id_}"}, **members)


# What may be about somebody else: its usual prefetch key, and the resource about a patient with this id.
RESOURCES: dict[str, tuple[str, Callable[[str], Resource]]] = {
    "Patient": ("patient", lambda id_: patient(id=id_)),
    "response": ("responses", _response()),
    "unfinished response": ("responses", _response(status="in-progress")),
    "response entered in error": ("responses", _response(status="entered-in-error")),
    "response of last year": ("responses", _response(authored="2020-01-01")),
    "response to another form": ("responses", _response(questionnaire="https://other.example/Questionnaire/phq-9")),
    "response to no form": ("responses", _response(questionnaire=None)),
    "Condition": ("conditions", _about("Condition", code=LOW_BACK_PAIN)),
    "Encounter": ("encounter", _about("Encounter", status="in-progress")),
    "AllergyIntolerance": ("allergies", _about("AllergyIntolerance", "patient")),
    "Immunization": ("immunizations", _about("Immunization", "patient", status="completed")),
    "Observation": ("observations", _about("Observation", status="final")),
}
SHAPES: dict[str, Callable[[Resource], Any]] = {
    "alone": lambda resource: resource,
    "in a Bundle": bundle,
    "in an array": lambda resource: [resource],
    "in a Bundle in an array": lambda resource: [bundle(resource)],
    "in a Bundle in a Bundle": lambda resource: bundle(bundle(resource)),
}


def _with(key: str, value: Any) -> dict[str, Any]:
    """A calm call with this value under one prefetch key."""
    body = call(response(CALM))
    body["prefetch"][key] = value
    return body


@pytest.mark.requirement("CTX-5")
@pytest.mark.parametrize("unknown_key", [False, True], ids=["under its key", "under an unknown key"])
@pytest.mark.parametrize("shape", SHAPES.values(), ids=SHAPES)
@pytest.mark.parametrize(("key", "resource"), RESOURCES.values(), ids=RESOURCES)
def test_a_resource_of_somebody_else_is_refused_and_the_same_of_the_patient_is_not(
    client: FlaskClient,
    key: str,
    resource: Callable[[str], Resource],
    shape: Callable[[Resource], Any],
    unknown_key: bool,
) -> None:
    under = "something-else" if unknown_key else key
    cards_of(send(client, _with(under, shape(resource("p1")))))
    refusal_of(send(client, _with(under, shape(resource("p2")))), 400)


MIXED: dict[str, list[Resource]] = {
    "a response after ours": [response(CALM), response(CALM, subject={"reference": "Patient/p2"})],
    "a response before ours": [response(CALM, subject={"reference": "Patient/p2"}), response(CALM)],
    "a Patient beside our response": [response(CALM), patient(id="p2")],
    "a Condition beside our response": [response(CALM), RESOURCES["Condition"][1]("p2")],
    "an alarm of somebody else": [
        response(CALM),
        response(CALM | {"rf-saddle": "new"}, subject={"reference": "Patient/p2"}),
    ],
}


@pytest.mark.requirement("CTX-5")
@pytest.mark.parametrize("resources", MIXED.values(), ids=MIXED)
def test_a_resource_of_somebody_else_beside_ours_is_refused(client: FlaskClient, resources: list[Resource]) -> None:
    refusal_of(send(client, _with("responses", bundle(*resources))), 400)
    refusal_of(send(client, _with("responses", resources)), 400)
