"""A call that breaks the envelope of CDS Hooks, or the context of its hook, is refused with 400 and gets no cards."""

from typing import Any

import pytest
from flask.testing import FlaskClient

from tests.conftest import topics
from tests.samples import CALM, call, response
from tests.wire import ABSENT, cards_of, changed, refusal_of, send

SERVER = "https://ehr.example/fhir"
TOKEN: dict[str, Any] = {
    "access_token": "some-opaque-token",
    "token_type": "Bearer",
    "expires_in": 300,
    "scope": "user/QuestionnaireResponse.read",
    "subject": "cds-service",
}
REQUIRED: dict[str, tuple[str, ...]] = {
    "hook": ("hook",),
    "hookInstance": ("hookInstance",),
    "context": ("context",),
    "context.userId": ("context", "userId"),
    "context.patientId": ("context", "patientId"),
}
WRONG: dict[str, Any] = {
    "absent": ABSENT,
    "null": None,
    "an empty text": "",
    "an empty array": [],
    "an array": ["p1"],
    "an empty object": {},
    "an object": {"reference": "Patient/p1"},
    "a whole number": 5,
    "a broken number": 1.5,
    "true": True,
}


def good() -> dict[str, Any]:
    return call(response(CALM))


@pytest.mark.requirement("REQ-1", "CTX-1")
@pytest.mark.parametrize("value", WRONG.values(), ids=[f"is {how}" for how in WRONG])
@pytest.mark.parametrize("path", REQUIRED.values(), ids=REQUIRED)
def test_a_required_member_that_is_missing_or_of_the_wrong_type_is_refused(
    client: FlaskClient, path: tuple[str, ...], value: Any
) -> None:
    refusal_of(send(client, changed(good(), path, value)), 400)


BROKEN: dict[str, dict[str, Any]] = {
    "patientId with its type": {"context": {"userId": "Practitioner/gp-1", "patientId": "Patient/1"}},
    "patientId with a space": {"context": {"userId": "Practitioner/gp-1", "patientId": "p 1"}},
    "patientId with a line break behind it": {"context": {"userId": "Practitioner/gp-1", "patientId": "p1\n"}},
    "patientId with a digit that is not ASCII": {"context": {"userId": "Practitioner/gp-1", "patientId": "p１"}},
    "patientId of 65 characters": {"context": {"userId": "Practitioner/gp-1", "patientId": "p" * 65}},
    "patientId that climbs": {"context": {"userId": "Practitioner/gp-1", "patientId": "../p1"}},
    "userId without a type": {"context": {"userId": "p1", "patientId": "p1"}},
    "userId of a Group": {"context": {"userId": "Group/1", "patientId": "p1"}},
    "userId with its type in lower case": {"context": {"userId": "practitioner/1", "patientId": "p1"}},
    "userId without an id": {"context": {"userId": "Practitioner/", "patientId": "p1"}},
    "userId with a line break behind it": {"context": {"userId": "Practitioner/1\n", "patientId": "p1"}},
    "UserID and PatientID, spelled so": {"context": {"UserID": "Practitioner/1", "PatientID": "p1"}},
    "UserID, spelled so": {"context": {"UserID": "Practitioner/1", "patientId": "p1"}},
    "PatientID, spelled so": {"context": {"userId": "Practitioner/1", "PatientID": "p1"}},
    "user_id and patient_id, spelled so": {"context": {"user_id": "Practitioner/1", "patient_id": "p1"}},
    "encounterId with its type": {
        "context": {"userId": "Practitioner/1", "patientId": "p1", "encounterId": "Encounter/1"}
    },
    "encounterId that is a number": {"context": {"userId": "Practitioner/1", "patientId": "p1", "encounterId": 5}},
    "hookInstance of 256 characters": {"hookInstance": "x" * 256},
    "a hook that nobody offers": {"hook": "no-such-hook"},
    "a hook of another service": {"hook": "order-sign"},
    "the hook in capitals": {"hook": "Patient-View"},
    "the hook with a space behind it": {"hook": "patient-view "},
    "prefetch that is an array": {"prefetch": []},
    "prefetch that is an array of responses": {"prefetch": [response(CALM)]},
    "prefetch that is a text": {"prefetch": "responses"},
    "prefetch that is a number": {"prefetch": 5},
    "prefetch that is true": {"prefetch": True},
    "fhirServer that is a number": {"fhirServer": 5},
    "fhirAuthorization without fhirServer": {"fhirAuthorization": TOKEN},
    "an empty fhirAuthorization without fhirServer": {"fhirAuthorization": {}},
    "fhirAuthorization that is a text": {"fhirServer": SERVER, "fhirAuthorization": "some-opaque-token"},
    "fhirAuthorization that is an array": {"fhirServer": SERVER, "fhirAuthorization": [TOKEN]},
    "fhirAuthorization of another patient": {"fhirServer": SERVER, "fhirAuthorization": TOKEN | {"patient": "p2"}},
    "fhirAuthorization of a patient in capitals": {
        "fhirServer": SERVER,
        "fhirAuthorization": TOKEN | {"patient": "P1"},
    },
}


@pytest.mark.requirement("REQ-2", "REQ-3", "REQ-5", "CTX-2")
@pytest.mark.parametrize("members", BROKEN.values(), ids=BROKEN)
def test_a_call_that_breaks_the_rules_is_refused(client: FlaskClient, members: dict[str, Any]) -> None:
    refusal_of(send(client, good() | members), 400)


SOUND: dict[str, dict[str, Any]] = {
    "hookInstance of 255 characters": {"hookInstance": "x" * 255},
    "hookInstance in capitals": {"hookInstance": "7F3F2B9E-4C1C-4A0E-9A52-0D4D2C1F7A11"},
    "hookInstance that is no UUID": {"hookInstance": "visit 12"},
    "a PractitionerRole": {"context": {"userId": "PractitionerRole/1", "patientId": "p1"}},
    "an encounter": {"context": {"userId": "Practitioner/1", "patientId": "p1", "encounterId": "e1"}},
    "fhirServer alone": {"fhirServer": SERVER},
    "fhirAuthorization without a patient": {"fhirServer": SERVER, "fhirAuthorization": TOKEN},
    "fhirAuthorization of the same patient": {"fhirServer": SERVER, "fhirAuthorization": TOKEN | {"patient": "p1"}},
}


@pytest.mark.requirement("REQ-2", "REQ-6")
@pytest.mark.parametrize("members", SOUND.values(), ids=SOUND)
def test_a_call_that_keeps_the_rules_is_answered(client: FlaskClient, members: dict[str, Any]) -> None:
    assert topics(cards_of(send(client, good() | members))) == ["self-care"]


@pytest.mark.requirement("CTX-3")
@pytest.mark.parametrize("user", ["Patient/p1", "RelatedPerson/r1"])
def test_a_patient_or_a_related_person_may_call(client: FlaskClient, user: str) -> None:
    assert cards_of(send(client, good() | {"context": {"userId": user, "patientId": "p1"}})) == []
