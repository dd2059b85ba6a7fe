"""FHIR resources as an EHR sends them, read leniently: what a Bundle holds, whose it is, what it is coded as."""

import re
from collections.abc import Iterator
from typing import Any

from cds_content.shapes import Json

OUTCOME = "OperationOutcome"
_OIDS = {
    "urn:oid:2.16.840.1.113883.6.1": "http://loinc.org",
    "urn:oid:2.16.840.1.113883.6.96": "http://snomed.info/sct",
}
ID = r"[A-Za-z0-9.-]{1,64}"  # the pattern of the id of a resource
_LOCAL = re.compile(rf"({ID})(?:/_history/{ID})?")


def parts(value: Any) -> Iterator[Any]:
    """Everything under a prefetch key, Bundles and what they hold alike; None for an entry that is none."""
    for part in value if isinstance(value, list) else [] if value is None else [value]:
        yield part
        entries = part.get("entry", []) if is_resource(part) and part["resourceType"] == "Bundle" else []
        for entry in entries if isinstance(entries, list) else [None]:
            if not isinstance(entry, dict) or "resourceType" in entry:
                yield None
            elif "resource" in entry:
                yield from parts([entry["resource"]])


def is_resource(part: Any) -> bool:
    return isinstance(part, dict) and isinstance(part.get("resourceType"), str) and part["resourceType"][:1].isupper()


def held(bundle: Any) -> list[tuple[str, Json]]:
    """(fullUrl, resource) of each entry of a Bundle of the context, of Bundles within it, or of bare resources.

    The published samples of the hooks have Bundles without a type, and resources that are not valid R4. What cannot be
    read is passed over; `is_damaged` tells.
    """
    if isinstance(bundle, list):
        return [pair for part in bundle for pair in held(part)]
    if is_resource(bundle) and bundle["resourceType"] != "Bundle":
        return [("", bundle)]
    entries = dicts(bundle.get("entry")) if isinstance(bundle, dict) else []
    found = [(str(entry.get("fullUrl")), entry.get("resource")) for entry in entries]
    return [(url if url != "None" else inner, one) for url, part in found for inner, one in held(part)]


def is_damaged(bundle: Any) -> bool:
    """Whether a Bundle of the context holds something that `held` passes over."""
    if isinstance(bundle, list):
        return any(not is_resource(part) or is_damaged(part) for part in bundle)
    if is_resource(bundle) and bundle["resourceType"] != "Bundle":
        return False
    entries = bundle.get("entry", []) if isinstance(bundle, dict) else None
    readable = isinstance(entries, list) and all(isinstance(entry, dict) for entry in entries)
    inner = [entry.get("resource") for entry in dicts(entries)]
    return not readable or not all(is_resource(one) for one in inner) or any(is_damaged(one) for one in inner)


def is_partial(value: Any) -> bool:
    """Whether the client could not get everything: an OperationOutcome in its place, or part of a search."""
    refused = [one for one in dicts(value if isinstance(value, list) else [value]) if one["resourceType"] == OUTCOME]
    return bool(refused) or any(_is_page(part) for part in parts(value) if part["resourceType"] == "Bundle")


def _is_page(bundle: Json) -> bool:
    """Whether a Bundle says that there is more: a next page, a higher total, an empty entry, an error."""
    entries, links = bundle.get("entry", []), bundle.get("link", [])
    resources = [entry["resource"] for entry in entries if "resource" in entry]
    matches = [one for one in resources if one["resourceType"] == "QuestionnaireResponse"]
    total = bundle.get("total", len(matches))
    relations = [str(link.get("relation")).lower() for link in dicts(links)]
    errors = [one for one in resources if one["resourceType"] == OUTCOME and _is_error(one)]
    unclear = not isinstance(links, list) or type(total) is not int or len(resources) < len(entries)
    return unclear or "next" in relations or total > len(matches) or bool(errors)


def _is_error(outcome: Json) -> bool:
    severities = [issue.get("severity") for issue in dicts(outcome.get("issue"))]
    return not severities or any(severity not in ("warning", "information") for severity in severities)


def contained(resource: Json) -> list[Json]:
    """What a resource contains, but for Patients: the id of a contained one is a name within the resource."""
    return [one for one in dicts(resource.get("contained")) if is_resource(one) and one["resourceType"] != "Patient"]


def is_of(resource: Json, patient: str | None, server: str | None) -> bool | None:
    """Whether the resource is about this patient; None when it does not say so in a way we can compare.

    `server` is the FHIR server under which absolute references are compared.
    """
    if resource["resourceType"] == "Patient":
        return resource["id"] == patient if "id" in resource and patient else None
    named = [resource[name] for name in ("subject", "patient", "for", "beneficiary") if name in resource]
    subjects = [one for value in named for one in (value if isinstance(value, list) else [value])]
    said = [names(subject, patient, server) for subject in subjects]
    if resource["resourceType"] == "Appointment":
        said = _attending(resource, patient, server)
    return False if False in said else True if True in said else None


def _attending(appointment: Json, patient: str | None, server: str | None) -> list[bool | None]:
    """Whether the patients among the participants are this one; several may attend, and ours is one of them."""
    actors = [one.get("actor") for one in dicts(appointment.get("participant"))]
    people = [actor for actor in actors if isinstance(actor, dict) and "Patient/" in str(actor.get("reference"))]
    said = [names(actor, patient, server) for actor in people]
    return [True] if True in said else said


def names(subject: Any, patient: str | None, server: str | None) -> bool | None:
    """Whether a reference names this patient; None when it names nobody, or cannot be compared."""
    reference = subject.get("reference") if isinstance(subject, dict) else None
    if not isinstance(reference, str) or not reference or reference.startswith(("#", "urn:")):
        return None
    base, found, local = reference.rpartition("Patient/")
    match = _LOCAL.fullmatch(local) if found else None
    if match and patient is None:
        return None
    if not match or match[1] != patient or (base and "://" not in base):
        return False
    return None if base and server is None else base in ("", f"{(server or '').rstrip('/')}/")


def coded(concepts: Any) -> set[tuple[str, str]]:
    """(system, code) of the codings of a CodeableConcept or a list of them, also where an array was forgotten.

    Code systems are compared in one spelling; what is damaged is left out.
    """
    found = set()
    for concept in dicts(_listed(concepts)):
        codings = dicts(_listed(concept.get("coding"))) if "coding" in concept else [concept]
        found |= {(system_of(one.get("system")), one["code"]) for one in codings if isinstance(one.get("code"), str)}
    return found


def system_of(named: Any) -> str:
    """A code system as HL7 writes its URL: others use its OID, https, or a slash at the end."""
    said = str(named).rstrip("/").replace("https://", "http://", 1)
    return _OIDS.get(said, said)


def _listed(value: Any) -> list[Any]:
    return value if isinstance(value, list) else [value]


def dicts(value: Any) -> list[Json]:
    return [part for part in value if isinstance(part, dict)] if isinstance(value, list) else []


def can_be_sent(value: Any) -> bool:
    """Whether a value may go out as it came: nobody may send null or empty members, nor can huge integers."""
    inner = value.values() if isinstance(value, dict) else value if isinstance(value, list) else ()
    odd = value is None or value in ("", [], {}) or (type(value) is int and abs(value) >= 2**63)
    return not odd and all(can_be_sent(part) for part in inner)
