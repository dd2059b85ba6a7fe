"""What the EHR sent along: every resource in hand, none of another patient, and what could not be had.

A prefetch key has four states: absent or OperationOutcome (not to be had), null or empty (nothing there). None means
"no alarm". Source: CDS Hooks 2.0.1 and 3.0 ballot, "Providing FHIR Resources to a CDS Service".
"""

import re
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from cds_content.screening import Screening
from cds_content.shapes import Json
from cds_service.errors import BadRequest, DataMissing, OtherPatient
from cds_service.hooks import HookRequest
from cds_service.responses import Reading, belongs, read_response

_LOCAL = re.compile(r"([A-Za-z0-9.-]{1,64})(?:/_history/[A-Za-z0-9.-]{1,64})?")
_OUTCOME = "OperationOutcome"
_MISSING = "not sent or not to be had; send the QuestionnaireResponses, or null or an empty Bundle when there are none"


@dataclass(frozen=True)
class Evidence:
    """Responses as they count, doubts about all of them, and whether the record knows the complaint."""

    readings: tuple[Reading, ...]
    doubts: tuple[str, ...]
    complaint: bool


def gather(screening: Screening, request: HookRequest, now: datetime) -> Evidence:
    """The evidence in the prefetch of one call.

    Raises OtherPatient for a resource of another patient, BadRequest for what is no FHIR, and DataMissing when no
    response is in hand and it is not known whether there is one.
    """
    sent = request.prefetch or {}
    resources = [part for value in sent.values() for part in _parts(value) if _is_resource(part)]
    if any(_is_patients(resource, request) is False for resource in resources):
        raise OtherPatient("prefetch: holds a resource of another patient; send this patient's resources only")
    ours = [one for one in _of_type(sent, "responses", "QuestionnaireResponse") if belongs(one, screening)]
    partly = "responses" not in sent or _is_partial(sent["responses"])
    if partly and not ours:
        raise DataMissing(f"prefetch.responses: {_MISSING}")
    stated = {repr(one.get("birthDate")): one.get("birthDate") for one in _of_type(sent, "patient", "Patient")}
    birth_date = next(iter(stated.values())) if len(stated) == 1 else list(stated) or None  # that differ: unreadable
    read = [one for one in ours if one.get("status") != "entered-in-error"]
    named = [_same(one.get("subject"), request.context.patient_id, request.fhir_server) is True for one in read]
    readings = [read_response(screening, *of, birth_date=birth_date, now=now) for of in zip(read, named, strict=True)]
    doubts = {"partly-seen": partly, "entered-in-error": bool(ours) and not read}
    complaint = any(_names_complaint(screening, one) for one in _of_type(sent, "conditions", "Condition"))
    return Evidence(tuple(readings), tuple(doubt for doubt, holds in doubts.items() if holds), complaint)


def _of_type(sent: Json, key: str, kind: str) -> list[Json]:
    """The resources of one type under our key: alone, in a Bundle or in an array. BadRequest for anything else."""
    parts = list(_parts(sent.get(key)))
    if not all(_is_resource(part) for part in parts):
        raise BadRequest(f"prefetch.{key}: is no FHIR resource; write a Bundle, a resource, an array or null")
    found = [part for part in parts if part["resourceType"] == kind]
    if not found and any(part["resourceType"] not in ("Bundle", _OUTCOME) for part in parts):
        raise BadRequest(f"prefetch.{key}: holds other resources only; write {kind}, a Bundle of it, or null")
    return found


def _parts(value: Any) -> Iterator[Any]:
    """Everything under a prefetch key, Bundles and what they hold alike; None for an entry that is none."""
    for part in value if isinstance(value, list) else [] if value is None else [value]:
        yield part
        entries = part.get("entry", []) if _is_resource(part) and part["resourceType"] == "Bundle" else []
        for entry in entries if isinstance(entries, list) else [None]:
            if not isinstance(entry, dict) or "resourceType" in entry:
                yield None
            elif "resource" in entry:
                yield from _parts([entry["resource"]])


def _is_resource(part: Any) -> bool:
    return isinstance(part, dict) and isinstance(part.get("resourceType"), str) and part["resourceType"][:1].isupper()


def _is_partial(value: Any) -> bool:
    """Whether the client could not get everything: an OperationOutcome in its place, or part of a search."""
    refused = [one for one in _dicts(value if isinstance(value, list) else [value]) if one["resourceType"] == _OUTCOME]
    return bool(refused) or any(_is_page(part) for part in _parts(value) if part["resourceType"] == "Bundle")


def _is_page(bundle: Json) -> bool:
    """Whether a Bundle says that there is more: a next page, a higher total, an empty entry, an error."""
    entries, links = bundle.get("entry", []), bundle.get("link", [])
    held = [entry["resource"] for entry in entries if "resource" in entry]
    matches = [one for one in held if one["resourceType"] == "QuestionnaireResponse"]
    total = bundle.get("total", len(matches))
    relations = [str(link.get("relation")).lower() for link in _dicts(links)]
    errors = [one for one in held if one["resourceType"] == _OUTCOME and _is_error(one)]
    unclear = not isinstance(links, list) or type(total) is not int or len(held) < len(entries)
    return unclear or "next" in relations or total > len(matches) or bool(errors)


def _is_error(outcome: Json) -> bool:
    severities = [issue.get("severity") for issue in _dicts(outcome.get("issue"))]
    return not severities or any(severity not in ("warning", "information") for severity in severities)


def _is_patients(resource: Json, request: HookRequest) -> bool | None:
    """Whether the resource is about the patient of the call; None when it does not say so in a way we can compare."""
    patient = request.context.patient_id
    if resource["resourceType"] == "Patient":
        return resource["id"] == patient if "id" in resource else None
    named = [resource[name] for name in ("subject", "patient", "for", "beneficiary") if name in resource]
    subjects = [one for value in named for one in (value if isinstance(value, list) else [value])]
    said = [_same(subject, patient, request.fhir_server) for subject in subjects]
    return False if False in said else True if True in said else None


def _same(subject: Any, patient: str, server: str | None) -> bool | None:
    reference = subject.get("reference") if isinstance(subject, dict) else None
    if not isinstance(reference, str) or not reference or reference.startswith(("#", "urn:")):
        return None
    base, found, local = reference.rpartition("Patient/")
    match = _LOCAL.fullmatch(local) if found else None
    if not match or match[1] != patient or (base and "://" not in base):
        return False
    return None if base and server is None else base in ("", f"{(server or '').rstrip('/')}/")


def _names_complaint(screening: Screening, condition: Json) -> bool:
    """An active Condition with one of the codes by which the record knows the complaint."""
    inactive = ("inactive", "remission", "resolved", "refuted", "entered-in-error")
    states = [*_codings(condition.get("clinicalStatus")), *_codings(condition.get("verificationStatus"))]
    known = [{"system": coding.system, "code": coding.code} for coding in screening.texts.known_by]
    named = [{"system": one.get("system"), "code": one.get("code")} for one in _codings(condition.get("code"))]
    return any(one in known for one in named) and not any(state.get("code") in inactive for state in states)


def _codings(concept: Any) -> list[Json]:
    return _dicts(concept.get("coding")) if isinstance(concept, dict) else []


def _dicts(value: Any) -> list[Json]:
    return [part for part in value if isinstance(part, dict)] if isinstance(value, list) else []
