"""The smallest valid request of each hook, with every prefetch key that the service publishes for it."""

import json
from copy import deepcopy
from typing import Any

from flask.testing import FlaskClient
from werkzeug.test import TestResponse

from cds_service.clients import DEVELOPMENT, Client
from tests.samples import CALM, bundle, patient, response

OWN = "example.lowbackpain.questionnaire-response"
SNOMED = "http://snomed.info/sct"
LOINC = "http://loinc.org"
LUMBAR_MRI = {"system": LOINC, "code": "24968-0", "display": "MR Lumbar spine"}
PHYSIOTHERAPY = {"system": SNOMED, "code": "91251008", "display": "Physical therapy procedure"}
LOW_BACK_PAIN = {"system": SNOMED, "code": "279039007", "display": "Low back pain"}
ANKLE = {"system": SNOMED, "code": "16114001", "display": "Fracture of ankle"}
ALARM = {"rf-saddle": "new"}  # an emergency: row R02
SERVER = "https://ehr.example/fhir"
TOKEN = {
    "access_token": "some-opaque-token",
    "token_type": "Bearer",
    "expires_in": 300,
    "scope": "patient/QuestionnaireResponse.read",
    "subject": "cds-service",
}

Json = dict[str, Any]


def order(coding: Json = LUMBAR_MRI, id_: str = "order-1", **members: Any) -> Json:
    """A draft ServiceRequest for the patient; members replace, and None leaves one out."""
    resource = {
        "resourceType": "ServiceRequest",
        "id": id_,
        "status": "draft",
        "intent": "order",
        "code": {"coding": [coding]},
        "subject": {"reference": "Patient/p1"},
    }
    return {name: value for name, value in (resource | members).items() if value is not None}


def appointment(coding: Json = PHYSIOTHERAPY, **members: Any) -> Json:
    """A proposed Appointment of the patient for what the coding says."""
    return {
        "resourceType": "Appointment",
        "id": "appointment-1",
        "status": "proposed",
        "serviceType": [{"coding": [coding]}],
        "participant": [{"actor": {"reference": "Patient/p1"}, "status": "tentative"}],
        **members,
    }


def condition(coding: Json = LOW_BACK_PAIN, **members: Any) -> Json:
    """An active problem of the patient."""
    status = "http://terminology.hl7.org/CodeSystem/condition-clinical"
    return {
        "resourceType": "Condition",
        "id": "condition-1",
        "clinicalStatus": {"coding": [{"system": status, "code": "active"}]},
        "code": {"coding": [coding]},
        "subject": {"reference": "Patient/p1"},
        **members,
    }


def encounter(**members: Any) -> Json:
    """The running visit of the patient, for low back pain."""
    return {
        "resourceType": "Encounter",
        "id": "e1",
        "status": "in-progress",
        "class": {"system": "http://terminology.hl7.org/CodeSystem/v3-ActCode", "code": "AMB"},
        "subject": {"reference": "Patient/p1"},
        "reasonCode": [{"coding": [LOW_BACK_PAIN]}],
        **members,
    }


def collection(*resources: Json) -> Json:
    """A Bundle as hooks carry it in their context."""
    return {"resourceType": "Bundle", "type": "collection", "entry": [{"resource": one} for one in resources]}


_PEOPLE = {"userId": "Practitioner/gp-1", "patientId": "p1"}
# The context of each hook: its required fields only.
CONTEXTS: dict[str, Json] = {
    "patient-view": _PEOPLE,
    "encounter-start": _PEOPLE | {"encounterId": "e1"},
    "order-select": _PEOPLE | {"selections": ["ServiceRequest/order-1"], "draftOrders": collection(order())},
    "order-sign": _PEOPLE | {"draftOrders": collection(order())},
    "appointment-book": _PEOPLE | {"appointments": collection(appointment())},
    "problem-list-item-create": _PEOPLE | {"conditions": collection(condition())},
    OWN: _PEOPLE,  # and the response
}
HOOKS = list(CONTEXTS)
ADVISING = ["patient-view", "encounter-start", "problem-list-item-create", OWN]  # hooks with the triage cards
ORDERING = ["order-select", "order-sign", "appointment-book"]
_KEYS = ("patient", "responses", "conditions")
KEYS: dict[str, tuple[str, ...]] = dict.fromkeys(HOOKS, _KEYS) | {
    "encounter-start": (*_KEYS, "encounter"),
    OWN: ("patient", "responses"),
}


def path(hook: str) -> str:
    """The address of the service for a hook."""
    return f"/cds-services/low-back-pain-{hook.rpartition('.')[2]}"


def valid(hook: str, *responses: Json, about: Json | None = None, **context: Any) -> Json:
    """V(hook): the smallest valid request, with these responses (a calm one unless given) and every prefetch key.

    `context` replaces or adds fields of the context.
    """
    given = list(responses or (response(CALM),))
    fields = deepcopy(CONTEXTS[hook]) | ({"questionnaireResponse": given[0]} if hook == OWN else {}) | context
    values = {
        "patient": about or patient(),
        "responses": bundle(*given),
        "conditions": bundle(),
        "encounter": encounter(),
    }
    return {
        "hook": hook,
        "hookInstance": "7f3f2b9e-4c1c-4a0e-9a52-0d4d2c1f7a11",
        "context": fields,
        "prefetch": {key: values[key] for key in KEYS[hook]},
    }


def agreed(**table: Any) -> dict[str, Client]:
    """The clients of a service that agreed this with everybody; keys as in clients.toml, "_" for "-"."""
    return {DEVELOPMENT: Client.model_validate({name.replace("_", "-"): value for name, value in table.items()})}


def without_responses(hook: str, **context: Any) -> Json:
    """V(hook) for a patient who has filled in nothing."""
    body = valid(hook, **context)
    body["prefetch"]["responses"] = bundle()
    return body


def offered(client: FlaskClient, language: str = "en") -> dict[str, Json]:
    """What discovery lists, by hook."""
    answer = client.get("/cds-services", headers={"Accept-Language": language})
    return {service["hook"]: service for service in answer.get_json()["services"]}


def call(client: FlaskClient, body: Json, language: str = "nl") -> TestResponse:
    """A call to the service for the hook that the body names."""
    return client.post(path(body["hook"]), json=body, headers={"Accept-Language": language})


def about_somebody(body: Json, patient_id: str) -> Json:
    """The same call about a patient with another id."""
    text = json.dumps(body).replace('"p1"', f'"{patient_id}"').replace("Patient/p1", f"Patient/{patient_id}")
    changed: Json = json.loads(text)
    return changed
