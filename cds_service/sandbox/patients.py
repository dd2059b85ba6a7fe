"""The patients of the sandbox: what the request of a scenario holds, put on record."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from functools import partial
from typing import Any

from cds_content.screening import Screening
from cds_content.shapes import Json
from cds_service.resources import held, is_resource, parts
from cds_service.sandbox.progress import Progress
from cds_service.sandbox.records import Records
from cds_service.sandbox.shapes import PRACTITIONER, Chart, Person
from cds_service.scenarios import Scenario, filled

_STAFF = {"resourceType": "Practitioner", "id": PRACTITIONER, "name": [{"text": "Synthetic GP"}]}

_TEXT = {"nl": "Nieuwe patiënt", "en": "New patient"}
_NOBODY = Scenario("new-patient", "start", _TEXT, _TEXT, "", {}, (), (), 200, {}, {})


@dataclass(frozen=True)
class Ward:
    """What is on record, the patients by id, and what is going on with each."""

    records: Records
    people: dict[str, Person]
    progress: dict[str, Progress]

    def chart(self, person: Person) -> Chart:
        """What is on record of the patient."""
        found, progress = partial(self.records.of, person.id), self.progress[person.id]
        return Chart(
            person,
            self.records.read("Patient", person.id),
            conditions=found("Condition"),
            responses=sorted(found("QuestionnaireResponse"), key=lambda one: str(one.get("authored")), reverse=True),
            orders=found("ServiceRequest"),
            appointments=found("Appointment"),
            tasks=found("Task"),
            plans=found("CarePlan"),
            drafts=progress.drafts,
            hook=progress.last,
        )


def admitted(scenarios: Iterable[Scenario], screenings: Sequence[Screening], now: datetime) -> Ward:
    """All that the scenarios hold, on record."""
    records = Records()
    records.put("", _STAFF)
    ward = Ward(records, {}, {})
    for scenario in suited(scenarios, screenings):
        screening = next((one for one in screenings if one.name == scenario.screening), screenings[0])
        request = filled(scenario, now, screening.base)
        ward.people[scenario.name] = _admitted(records, scenario, request)
        ward.progress[scenario.name] = Progress(scenario.name, _drafts(request))
    return ward


def suited(scenarios: Iterable[Scenario], screenings: Sequence[Screening]) -> tuple[Scenario, ...]:
    """The scenarios of these screenings; where there are none, one patient of whom nothing is known."""
    named = {"", *(one.name for one in screenings)}
    return tuple(one for one in scenarios if one.screening in named) or (_NOBODY,)


def complaint(screening: Screening, patient: str) -> Json:
    """The Condition by which the screening knows the complaint, active."""
    known = screening.texts.known_by[0]
    words = screening.codes.get(known.code, {}).get("display")
    status = {"system": "http://terminology.hl7.org/CodeSystem/condition-clinical", "code": "active"}
    return {
        "resourceType": "Condition",
        "clinicalStatus": {"coding": [status]},
        "code": {"coding": [{"system": known.system, "code": known.code}], **({"text": words} if words else {})},
        "subject": {"reference": f"Patient/{patient}"},
    }


def is_listed(problem: Json, conditions: Sequence[Json]) -> bool:
    """Whether the list holds this problem already, with the same code and status."""
    alike = [(one.get("code"), one.get("clinicalStatus")) for one in conditions]
    return (problem["code"], problem["clinicalStatus"]) in alike


def _drafts(request: Json) -> list[Json]:
    """The orders that the request has in hand; what it selects comes last, as what is selected in the chart does."""
    context = _member(request, "context")
    drafts = [one for _, one in held(context.get("draftOrders")) if _has_id(one)]
    return sorted(drafts, key=lambda one: f"ServiceRequest/{one['id']}" in (context.get("selections") or ()))


def _admitted(records: Records, scenario: Scenario, request: Json) -> Person:
    id_ = scenario.name
    prefetch, context = _member(request, "prefetch"), _member(request, "context")
    patient = next((one for one in _all(prefetch) if one["resourceType"] == "Patient"), {"resourceType": "Patient"})
    records.put(id_, patient | {"id": id_})
    encounter = next((one for one in _all(prefetch) if one["resourceType"] == "Encounter"), None)
    kept = records.put(id_, encounter or _encounter(id_))
    told = [*_all(prefetch), *(one for _, one in held(context.get("appointments")))]
    if isinstance(response := context.get("questionnaireResponse"), dict):
        told.append(response)
    for one in told:
        if one.get("resourceType") in ("Condition", "QuestionnaireResponse", "Appointment"):
            records.put(id_, one)
    return Person(id_, _name(patient), str(patient.get("birthDate", "")), scenario, _user(context, id_), kept["id"])


def _all(prefetch: Json) -> list[Json]:
    return [one for value in prefetch.values() for one in parts(value) if is_resource(one)]


def _member(request: Any, name: str) -> Json:
    value = request.get(name) if isinstance(request, dict) else None
    return value if isinstance(value, dict) else {}


def _has_id(order: Json) -> bool:
    return order["resourceType"] == "ServiceRequest" and isinstance(order.get("id"), str)


def _user(context: Mapping[str, Any], id_: str) -> str:
    """Who calls in the scenario: the patient, where it is one of those that a patient reads; else staff."""
    return f"Patient/{id_}" if str(context.get("userId")).startswith("Patient/") else f"Practitioner/{PRACTITIONER}"


def _encounter(patient: str) -> Json:
    """A visit of which the reason is not known."""
    return {
        "resourceType": "Encounter",
        "status": "in-progress",
        "class": {"system": "http://terminology.hl7.org/CodeSystem/v3-ActCode", "code": "AMB"},
        "subject": {"reference": f"Patient/{patient}"},
    }


def _name(patient: Json) -> str:
    """The name as the record writes it; empty where there is none."""
    names = patient.get("name")
    first = names[0] if isinstance(names, list) and names and isinstance(names[0], dict) else {}
    given = first.get("given")
    parts_ = [*(given if isinstance(given, list) else []), first.get("family")]
    return str(first.get("text") or " ".join(one for one in parts_ if isinstance(one, str)))
