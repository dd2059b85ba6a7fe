"""A submitted QuestionnaireResponse judged before it is stored: every fault, whose it is, and what of it is kept.

Refused is only what cannot be attributed or read; what is missing, contradictory, not asked, mis-ordered or out of
range is stored with warnings, because it may hold an alarm. Source: HL7 FHIR R4; SDC 4.0.0 "Validation".
"""

import re
from collections.abc import Collection, Iterator, Sequence
from datetime import datetime
from typing import Any

from cds_content.screening import Screening
from cds_content.shapes import LANGUAGES, Json
from cds_content.translations import in_language
from cds_service.answers import is_overfull
from cds_service.dates import span
from cds_service.resources import ID, dicts
from cds_service.responses import AHEAD
from cds_service.submission.items import item_faults
from cds_service.submission.kinds import KINDS, Fault, Found, Path, fault
from cds_service.submission.narrative import is_safe
from cds_service.submission.shape import is_response, shape_faults

MOST = 100  # faults listed; a body can hold very many
_KIND = re.compile(rf"(?:\S+/)?([A-Z][A-Za-z]+)/{ID}(?:/_history/{ID})?")
# Which types of resource FHIR lets these elements refer to.
_PEOPLE = {"Patient", "Practitioner", "PractitionerRole", "RelatedPerson"}
_TARGETS = {
    "author": {"Device", "Organization", *_PEOPLE},
    "source": _PEOPLE,
    "basedOn": {"CarePlan", "ServiceRequest"},
    "partOf": {"Observation", "Procedure"},
    "encounter": {"Encounter"},
}
_NEUTRAL = ("id", "meta", "text", "extension")  # of a contained form: nothing that changes what an answer means


def faults(screenings: Sequence[Screening], response: Any, now: datetime, servers: Collection[str] = ()) -> list[Fault]:
    """Every fault of what was sent, those that refuse it first.

    `servers` are the bases of the FHIR servers whose patients the client's absolute references may name.
    """
    found = sorted(_found(screenings, response, now, servers), key=lambda one: KINDS[one[0]][0] == 0)
    listed = found if len(found) <= MOST else [*found[:MOST], ("more-faults", ())]
    return [fault(kind, path, response) for kind, path in listed]


def _found(screenings: Sequence[Screening], response: Any, now: datetime, servers: Collection[str]) -> Iterator[Found]:
    if not is_response(response):
        yield "not-a-response", ()
        return
    if is_overfull(response):  # before each item is judged: that takes seconds
        yield "overfull", ()
        return
    yield from shape_faults(response)
    yield from (("unknown-modifier", (name,)) for name in ("modifierExtension", "implicitRules") if name in response)
    yield from _subject_faults(response, servers)
    screening, wrong = form_of(screenings, response)
    yield from wrong
    yield from _context_faults(response, now)
    if screening:
        yield from [("authored-past", ("authored",))] if is_past(screening, response, now) else []
        yield from item_faults(screening.questionnaire, response)


def form_of(screenings: Sequence[Screening], response: Json) -> tuple[Screening | None, list[Found]]:
    """The screening whose form was filled in; else None, with what is wrong.

    A contained form counts as ours when it is the published one, in one of its languages, but for its id, meta,
    narrative and root extensions.
    """
    said = response.get("questionnaire")
    if not isinstance(said, str):
        return None, [] if "questionnaire" in response else [("no-form", ())]
    if said.startswith("#"):
        ours = [one for one in screenings if _contained(said, response) in _published(one)]
        return (ours[0], []) if ours else (None, [("other-contained-form", ("questionnaire",))])
    url, bar, version = said.partition("|")
    named = next((one for one in screenings if one.questionnaire["url"] == url), None)
    if named is None:
        return None, [("unknown-form", ("questionnaire",))]
    known = not bar or version in named.accepts
    return (named, []) if known else (None, [("unknown-version", ("questionnaire",))])


def _contained(reference: str, response: Json) -> Json | None:
    forms = [one for one in dicts(response.get("contained")) if one.get("resourceType") == "Questionnaire"]
    return next((_meaning(one) for one in forms if f"#{one.get('id')}" == reference), None)


def _published(screening: Screening) -> list[Json]:
    return [_meaning(in_language(screening.questionnaire, language)) for language in LANGUAGES]


def _meaning(form: Json) -> Json:
    return {name: value for name, value in form.items() if name not in _NEUTRAL}


def patient_of(response: Json, servers: Collection[str] = ()) -> str | None:
    """The id of the patient that the subject names, relative or on the client's FHIR server; else None.

    None also for a client of several `servers`: the same id on two of them is two patients, and rows do not say which.
    """
    subject = response.get("subject")
    reference = subject.get("reference") if isinstance(subject, dict) else None
    match = (
        re.fullmatch(rf"(\S+/)?Patient/({ID})(?:/_history/{ID})?", reference) if isinstance(reference, str) else None
    )
    ours = match and (match[1] is None or match[1] in {f"{server.rstrip('/')}/" for server in servers})
    typed = isinstance(subject, dict) and subject.get("type", "Patient") == "Patient"
    return match[2] if match and ours and typed and len(servers) < 2 else None


def _subject_faults(response: Json, servers: Collection[str]) -> Iterator[Found]:
    subject = response.get("subject")
    if not isinstance(subject, dict) or "reference" not in subject:
        yield "no-subject", ("subject",)
    elif patient_of(response, servers) is None:
        yield "foreign-subject", ("subject", "reference")


def is_past(screening: Screening, response: Json, now: datetime) -> bool:
    """Whether it was filled in so long ago that even its alarms do not count: perhaps by a clock that is wrong."""
    authored = response.get("authored")
    filled_in = span(authored) if isinstance(authored, str) else None
    return filled_in is not None and now - filled_in[1] > screening.alarming


def _context_faults(response: Json, now: datetime) -> Iterator[Found]:
    """When it was filled in, to what it refers, what its narrative holds."""
    authored = response.get("authored")
    filled_in = span(authored) if isinstance(authored, str) else None
    if filled_in is None:
        yield "no-authored", ("authored",)
    elif filled_in[0] - now > AHEAD:
        yield "authored-ahead", ("authored",)
    for name, kinds in _TARGETS.items():
        value = response.get(name)
        for index, one in enumerate(value if isinstance(value, list) else [value]):
            at = (name, index) if isinstance(value, list) else (name,)
            if isinstance(one, dict) and not _kinds(one) <= kinds:
                yield "wrong-target", at
    yield from (("unsafe-narrative", path) for path, one in _narrated(response) if not _is_told(one))


def _kinds(reference: Json) -> set[str]:
    """The types of resource that a reference says it is to."""
    said, target = reference.get("type"), reference.get("reference")
    match = _KIND.fullmatch(target) if isinstance(target, str) else None
    return {kind for kind in (said, match and match[1]) if isinstance(kind, str)}


def _narrated(response: Json) -> list[tuple[Path, Json]]:
    """The response and all that it contains, with where the narrative of each stands."""
    contained = response.get("contained")
    inner = enumerate(contained if isinstance(contained, list) else [])
    found: list[tuple[Path, Any]] = [(("text",), response), *((("contained", n, "text"), one) for n, one in inner)]
    return [(path, one) for path, one in found if isinstance(one, dict)]


def _is_told(resource: Json) -> bool:
    """Whether the resource has no narrative, or one that is allowed. What is no FHIR is told elsewhere."""
    text = resource.get("text")
    return not isinstance(text, dict) or not isinstance(text.get("div"), str) or is_safe(text["div"])


def kept(screening: Screening, response: Json) -> Json:
    """What is stored of a response without faults that refuse it.

    A contained form gives way to the canonical of the same form, and a narrative that is not allowed is dropped.
    """
    said = response["questionnaire"]
    others = [_quiet(one) for one in response.get("contained", []) if f"#{one.get('id')}" != said]
    body = {name: value for name, value in _quiet(response).items() if name != "contained"}
    body["questionnaire"] = screening.canonical if said.startswith("#") else said
    return body | ({"contained": others} if others else {})


def _quiet(resource: Json) -> Json:
    return resource if _is_told(resource) else {name: part for name, part in resource.items() if name != "text"}
