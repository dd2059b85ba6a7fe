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
_TYPE = re.compile(r"[A-Z][A-Za-z]*", re.ASCII)
MODIFIERS = {"implicitRules", "modifierExtension"}
_MILD = ("warning", "information")
# Of http://hl7.org/fhir/issue-type: a parameter was not used, or there is something to know. Others tell of what is not
# in the answer: incomplete, suppressed, timeout, throttled, transient, too-costly, security and those below it.
_HARMLESS = ("informational", "success", "not-supported", "invalid", "value", "code-invalid", "not-found", "deleted")
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
    kind = part.get("resourceType") if isinstance(part, dict) else None
    return isinstance(kind, str) and _TYPE.fullmatch(kind) is not None


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
    """Whether a Bundle of the context holds something that `held` passes over, or a failure in place of a resource."""
    if isinstance(bundle, list):
        return any(not is_resource(part) or is_damaged(part) for part in bundle)
    if is_resource(bundle) and bundle["resourceType"] != "Bundle":
        return bool(bundle["resourceType"] == OUTCOME)
    entries = bundle.get("entry", [] if is_resource(bundle) else None) if isinstance(bundle, dict) else None
    readable = isinstance(entries, list) and all(isinstance(entry, dict) for entry in entries)
    inner = [entry.get("resource") for entry in dicts(entries)]
    return not readable or not all(is_resource(one) for one in inner) or any(is_damaged(one) for one in inner)


def is_partial(value: Any) -> bool:
    """Whether the client could not get everything: an OperationOutcome in its place, or part of a search."""
    refused = [one for one in dicts(value if isinstance(value, list) else [value]) if one["resourceType"] == OUTCOME]
    return bool(refused) or any(_is_page(part) for part in parts(value) if part["resourceType"] == "Bundle")


def _is_page(bundle: Json) -> bool:
    """Whether a Bundle says that there is more: a next page, a higher total, an empty entry, an error."""
    entries = bundle.get("entry", [])
    resources = [entry["resource"] for entry in entries if "resource" in entry]
    matches = [one for one in resources if one["resourceType"] == "QuestionnaireResponse"]
    total = bundle.get("total", len(matches))
    errors = [one for one in resources if one["resourceType"] == OUTCOME and _is_error(one)]
    unclear = type(total) is not int or total < 0 or len(resources) < len(entries) or _is_odd(bundle)
    return unclear or total > len(matches) or bool(errors) or _goes_on(bundle.get("link", []))


def _goes_on(links: Any) -> bool:
    """Whether there is a next page, or nobody can tell."""
    relations = [one.get("relation") if isinstance(one, dict) else None for one in _listed(links)]
    said = [relation.strip().lower() for relation in relations if isinstance(relation, str)]
    return not isinstance(links, list) or len(said) < len(relations) or "next" in said


def _is_odd(bundle: Json) -> bool:
    """Whether the Bundle or an entry has members that may change what all others mean, or an entry is a failure."""
    answers = [entry["response"] for entry in bundle.get("entry", []) if "response" in entry]
    failed = [one for one in answers if not isinstance(one, dict) or not str(one.get("status", "200")).startswith("2")]
    return bool(failed) or any(part.keys() & MODIFIERS for part in (bundle, *bundle.get("entry", [])))


def _is_error(outcome: Json) -> bool:
    """Whether something was withheld or failed: a warning that says only how the search was read is none."""
    issues = outcome.get("issue")
    if not isinstance(issues, list) or not issues or len(dicts(issues)) < len(issues):
        return True
    return any(one.get("severity") not in _MILD or one.get("code") not in _HARMLESS for one in dicts(issues))


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


def is_scrambled(concepts: Any) -> bool:
    """Whether something stands there of which `coded` leaves out a part that is no CodeableConcept and no Coding."""
    concepts = [] if concepts is None else _listed(concepts)
    codings = [one for concept in dicts(concepts) for one in _listed(concept.get("coding", concept))]
    said = [one.get(name) for one in dicts(codings) for name in ("system", "code")]
    whole = len(dicts(concepts)) == len(concepts) and len(dicts(codings)) == len(codings)
    return not whole or any(one is not None and not isinstance(one, str) for one in said)


def system_of(named: Any) -> str:
    """A code system as HL7 writes its URL: others use its OID, https, capitals, a slash at the end, or its version."""
    said = str(named).strip().split("|")[0].rstrip("/")
    host = re.sub(r"^https?://(www\.)?([^/]+)", lambda found: f"http://{found[2].lower()}", said, flags=re.IGNORECASE)
    return _OIDS.get(said, "http://snomed.info/sct" if host.startswith("http://snomed.info/sct/") else host)


def _listed(value: Any) -> list[Any]:
    return value if isinstance(value, list) else [value]


def dicts(value: Any) -> list[Json]:
    return [part for part in value if isinstance(part, dict)] if isinstance(value, list) else []


def can_be_sent(value: Any) -> bool:
    """Whether a value may go out as it came: nobody may send null or empty members, nor can huge integers."""
    inner = value.values() if isinstance(value, dict) else value if isinstance(value, list) else ()
    odd = value is None or value in ("", [], {}) or (type(value) is int and abs(value) >= 2**63)
    return not odd and all(can_be_sent(part) for part in inner)
