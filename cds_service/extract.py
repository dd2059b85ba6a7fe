"""$extract: what a completed response says, as Observations, and the referral that its most urgent card suggests.

Observations are those of SDC's observation-based extraction: one for each answer to a coded question that the form
marks with observationExtract (on itself, on its code, or above it). No answer gives none, and what is damaged
or contradictory gives none and a warning. Source: SDC 4.0.0, "Form Data Extraction", "Observation-based extraction".
"""

import re
from collections.abc import Iterator, Sequence
from typing import Any

from cds_content.screening import Question, Screening
from cds_content.shapes import Json
from cds_content.translations import in_language
from cds_service.answers import Answer
from cds_service.dates import instant
from cds_service.details import Call
from cds_service.errors import warning
from cds_service.resources import ID, dicts
from cds_service.responses import Reading, read_response

FINISHED = ("completed", "amended")
_SDC = "http://hl7.org/fhir/uv/sdc/StructureDefinition/sdc-questionnaire-"
EXTRACT, CATEGORY = f"{_SDC}observationExtract", f"{_SDC}observation-extract-category"
_PERFORMERS = ("Practitioner", "PractitionerRole", "Organization", "CareTeam", "Patient", "RelatedPerson")
_COPIED = {"basedOn": ("CarePlan", "ServiceRequest"), "partOf": ("Procedure",)}  # what an Observation may refer to too
_KIND = re.compile(rf"(?:.*/)?([A-Z][A-Za-z]+)/{ID}(?:/_history/{ID})?", re.ASCII)


def extracted(
    screening: Screening, response: Json, cards: Sequence[Json], source: Json, call: Call
) -> tuple[Json | None, list[Json]]:
    """The transaction Bundle, None where there is nothing to extract, and the issues: warnings about what is left out.

    `response` is finished and free of faults that refuse it, `cards` are those it gives, `source` refers to it.
    """
    reading = read_response(screening, response, True, birth_date=None, now=call.now)
    shared = _shared(response, reading) | {"derivedFrom": [source]}
    observations = list(_observations(screening, reading, shared, call.language))
    resources = [*observations, *_suggested(cards, response, source)]
    issues = list(_left_out(screening, reading))
    if not resources:
        return None, [*issues, warning("not-found", "nothing to extract: no coded question has a usable answer")]
    urls = [f"urn:uuid:{call.new_uuid()}" for _ in resources]
    entries = [_entry(url, one) for url, one in zip(urls, resources, strict=True)]
    entries.append(_entry(f"urn:uuid:{call.new_uuid()}", _provenance(urls, source, call)))
    return {"resourceType": "Bundle", "type": "transaction", "timestamp": instant(call.now), "entry": entries}, issues


def _shared(response: Json, reading: Reading) -> Json:
    """What every Observation takes from the response: about whom, when, by whom, as a part of what."""
    taken = _about(response)
    if reading.earliest:
        taken["effectiveDateTime"] = response["authored"]
    if reading.earliest and reading.earliest == reading.latest:  # an instant: a date alone is none
        taken["issued"] = response["authored"]
    performers = [one for one in dicts([response.get("author")]) if _kind(one) in _PERFORMERS]
    taken |= {"performer": performers} if performers else {}
    for name, kinds in _COPIED.items():
        copied = [one for one in dicts(response.get(name)) if _kind(one) in kinds]
        taken |= {name: copied} if copied else {}
    return taken


def _about(response: Json) -> Json:
    """The patient, and the encounter if one is named."""
    encounters = [one for one in dicts([response.get("encounter")]) if _kind(one) == "Encounter"]
    return {"subject": response["subject"]} | ({"encounter": encounters[0]} if encounters else {})


def _kind(reference: Json) -> str:
    """The type of resource that a reference says it refers to; empty when it says none."""
    match = _KIND.fullmatch(str(reference.get("reference", "")))
    return match[1] if match else str(reference.get("type", ""))


def _observations(screening: Screening, reading: Reading, shared: Json, language: str) -> Iterator[Json]:
    form = in_language(screening.questionnaire, language)
    for item, codings, categories in _marked(form, False, []):
        question = screening.questions.get(item["linkId"])
        code: Json = {"coding": codings} | ({"text": item["text"]} if "text" in item else {})
        category = {"category": categories} if categories else {}
        for value in _values(question, reading.answers[question.link_id], language) if question else ():
            yield {"resourceType": "Observation", "status": "final", **category, "code": code, **shared, **value}


def _marked(parent: Json, marked: bool, categories: list[Json]) -> Iterator[tuple[Json, list[Json], list[Json]]]:
    """Each item to be extracted, with its codes and categories. What an item says goes before what stands above it."""
    marked = next(iter(_said(parent, EXTRACT)), marked)
    categories = _said(parent, CATEGORY) or categories
    wanted = [code for code in parent.get("code", []) if next(iter(_said(code, EXTRACT)), marked) is True]
    codings = [
        {name: code[name] for name in ("system", "version", "code", "display") if name in code} for code in wanted
    ]
    if codings and "linkId" in parent:
        yield parent, codings, categories
    for item in parent.get("item", []):
        yield from _marked(item, marked, categories)


def _said(element: Json, url: str) -> list[Any]:
    """The values of an extension."""
    found = [part for part in element.get("extension", []) if part["url"] == url]
    return [value for part in found for name, value in part.items() if name.startswith("value")]


def _values(question: Question, answer: Answer, language: str) -> Iterator[Json]:
    """value[x] of each answer that can be read; in the order of the form."""
    if _is_damaged(answer):
        return
    for code, display in question.options.items():
        if code in answer.codes:
            coding = {"system": question.system, "code": code, "display": display[language]}
            yield {"valueCodeableConcept": {"coding": [coding]}}
    if answer.span:
        yield {"valueInteger": answer.span[0]}


def _is_damaged(answer: Answer) -> bool:
    return answer.doubt in ("unreadable", "contradictory")


def _left_out(screening: Screening, reading: Reading) -> Iterator[Json]:
    for link_id in screening.questions:
        if _is_damaged(reading.answers[link_id]):
            yield warning("value", f"{link_id}: cannot be read or contradicts other answers; it gives no Observation")
    if reading.answers.stray:
        yield warning("not-found", "item: the response holds answers that the form does not ask; they give nothing")
    if not reading.earliest:
        yield warning("value", "authored: is no moment in the past; the Observations have no time")


def _suggested(cards: Sequence[Json], response: Json, source: Json) -> list[Json]:
    """The referrals, as drafts, that the first suggestion of the most urgent card would create."""
    suggestions = cards[0].get("suggestions", []) if cards else []
    created = [action["resource"] for action in suggestions[0]["actions"]] if suggestions else []
    about = _about(response)
    about |= {"supportingInfo": [source]} if "reference" in source else {}
    return [one | about for one in created if one["resourceType"] == "ServiceRequest"]


def _provenance(urls: Sequence[str], source: Json, call: Call) -> Json:
    """Where the extracted resources come from."""
    assembler = {"system": "http://terminology.hl7.org/CodeSystem/provenance-participant-type", "code": "assembler"}
    return {
        "resourceType": "Provenance",
        "target": [{"reference": url} for url in urls],
        "recorded": instant(call.now),
        "agent": [{"type": {"coding": [assembler]}, "who": {"type": "Device", "display": "cds-service"}}],
        "entity": [{"role": "source", "what": source}],
    }


def _entry(url: str, resource: Json) -> Json:
    return {"fullUrl": url, "resource": resource, "request": {"method": "POST", "url": resource["resourceType"]}}
