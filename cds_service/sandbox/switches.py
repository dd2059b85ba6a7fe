"""What can be broken on purpose in the sandbox. Each changes what is sent; words/switches.toml says what it shows."""

from collections.abc import Mapping, Set
from typing import Any
from uuid import uuid4

from cds_content.shapes import Json

SWITCHES = (
    *("no-prefetch", "null-prefetch", "outcome-prefetch", "other-patient", "in-progress"),
    *("wrong-token", "expired-token", "slow-fhir", "no-fhir-server"),
)
SLOW = 3  # seconds that the slow FHIR server takes: far more than a CDS service has
_FAILED = {
    "resourceType": "OperationOutcome",
    "issue": [{"severity": "error", "code": "transient", "diagnostics": "the search failed (switched on)"}],
}
_RESPONSE = "QuestionnaireResponse"


def broken(request: Json, service: Json, on: Set[str]) -> Json:
    """The request as it goes out with these switches on."""
    request = dict(request)
    if "no-fhir-server" in on:
        request = {name: value for name, value in request.items() if name not in ("fhirServer", "fhirAuthorization")}
    if "no-prefetch" in on:
        request.pop("prefetch", None)
    if "prefetch" in request:
        request["prefetch"] = _prefetch(request["prefetch"], service, on, request["context"]["patientId"])
    return request


def _prefetch(prefetch: Json, service: Json, on: Set[str], patient: str) -> Json:
    searched = [key for key, template in _templates(service).items() if str(template).startswith(f"{_RESPONSE}?")]
    changed = dict(prefetch)
    for key in [key for key in searched if key in prefetch]:
        changed[key] = _responses(prefetch[key], on, patient, str(_templates(service)[key]))
    return changed


def _templates(service: Json) -> Mapping[str, Any]:
    templates = service.get("prefetch")
    return templates if isinstance(templates, dict) else {}


def _responses(bundle: Any, on: Set[str], patient: str, template: str) -> Any:
    """What stands where the responses should."""
    if "null-prefetch" in on:
        return None
    if "outcome-prefetch" in on:
        return _FAILED
    entries = list((bundle or {}).get("entry", []))
    if "other-patient" in on:
        entries.append({"resource": _foreign(entries, patient, template)})
    if "in-progress" in on:
        entries = [one | {"resource": one["resource"] | {"status": "in-progress"}} for one in entries]
    return {**(bundle or {}), "total": len(entries), **({"entry": entries} if entries else {})}


def _foreign(entries: list[Json], patient: str, template: str) -> Json:
    """A response of somebody else: a copy of the first one, else an empty one to the form that is searched for."""
    form = template.partition("questionnaire=")[2].partition("&")[0].partition(",")[0]
    like = (
        entries[0]["resource"] if entries else {"resourceType": _RESPONSE, "questionnaire": form, "status": "completed"}
    )
    return like | {"id": str(uuid4()), "subject": {"reference": f"Patient/not-{patient}"[:72]}}
