"""An ActivityDefinition for each resource that a suggestion creates (texts.toml).

What R4 has no element for is a dynamicValue: a text or a code as it stands, or what the response says, %resource.
Source: HL7 FHIR R4, "ActivityDefinition"; CPG 2.0, cpg-servicerequest, cpg-questionnairetask, cpg-collectWith.
"""

from collections.abc import Iterator
from typing import Any

from cds_content.plan.facts import one_of, quoted
from cds_content.plan.metadata import activity_id, canonical, expression, metadata, worded
from cds_content.screening import Screening
from cds_content.shapes import LANGUAGES, Json

_CPG = "http://hl7.org/fhir/uv/cpg"
_COLLECT = {"system": f"{_CPG}/CodeSystem/cpg-activity-type-cs", "code": "collect-information"}
_PROFILES = {"ServiceRequest": "cpg-servicerequest", "Task": "cpg-questionnairetask"}
_OWN = ("resourceType", "intent")  # members that ActivityDefinition has an element for
_SINGLE = ("Task",)  # of the resources that can be suggested, the one whose instantiatesCanonical does not repeat


def activity_definitions(screening: Screening) -> Iterator[Json]:
    """One for each, in the order of the file; its title is what the action of a card says."""
    for name, template in screening.texts.resource.items():
        id_, body = activity_id(screening, name), template.body
        kind, collects = body["resourceType"], "{questionnaire}" in str(body.get("input"))
        own = canonical(screening, "ActivityDefinition", id_)
        place = "instantiatesCanonical" if kind in _SINGLE else "instantiatesCanonical[0]"
        values = [*_values(screening, body), {"path": place, "expression": expression(quoted(own))}]
        profile = _PROFILES.get(kind, "") if collects or kind != "Task" else ""
        yield metadata(screening, "ActivityDefinition", id_, template.action, template.action) | {
            **({"extension": [_collected(screening)]} if collects else {}),
            "kind": kind,
            **({"profile": f"{_CPG}/StructureDefinition/{profile}"} if profile else {}),
            **_coded(body, collects=collects),
            "intent": body["intent"],
            "doNotPerform": False,
            "dynamicValue": values,
        }


def _collected(screening: Screening) -> Json:
    return {"url": f"{_CPG}/StructureDefinition/cpg-collectWith", "valueCanonical": screening.canonical}


def _coded(body: Json, *, collects: bool) -> Json:
    """`code`, as the resource will have it; a Task to fill in a form is coded as CPG codes it as well."""
    code = dict(body.get("code", {}))
    if collects:
        code["coding"] = [*code.get("coding", []), _COLLECT]
    if isinstance(code.get("text"), dict):
        code |= worded("text", code["text"])
    return {"code": code} if code else {}


def _values(screening: Screening, body: Json) -> Iterator[Json]:
    """The other members, in their order."""
    for member, value in body.items():
        if member not in _OWN and member != "code":
            yield from _placed(screening, member, value)


def _placed(screening: Screening, path: str, value: Any) -> Iterator[Json]:
    """A value below `path`: a place as what it stands for, everything else as it is written."""
    if isinstance(value, dict) and set(value) == set(LANGUAGES):
        told = {language: quoted(words) for language, words in value.items()}
        yield {"path": path, "expression": expression("'…'") | worded("expression", told)}
    elif isinstance(value, dict):
        for member, part in value.items():
            yield from _placed(screening, f"{path}.{member.replace('valueCanonical', 'value')}", part)
    elif isinstance(value, list):
        for index, part in enumerate(value):
            yield from _placed(screening, f"{path}[{index}]", part)
    else:
        for place, text in _stands_for(screening, path, value).items():
            yield {"path": place, "expression": expression(text)}


def _stands_for(screening: Screening, path: str, value: Any) -> dict[str, str]:
    """path → expression of a value. Encounter and requester are for $apply, which knows them; notes for the card."""
    known = {
        "Patient/{patient}": {path: "%resource.subject.reference"},
        "{now}": {path: "now()"},
        "{questionnaire}": {path: quoted(screening.canonical)},
        "{responses}": {f"{path}[0].reference": "'QuestionnaireResponse/' & %resource.id"},
        "{reason-codes}": _complaint(screening, path),
    }
    fixed = {} if isinstance(value, str) and "{" in value else {path: quoted(str(value))}
    return known.get(value, fixed)


def _complaint(screening: Screening, path: str) -> dict[str, str]:
    """The complaint, unless the response says that there is none."""
    denied = [
        f"%resource.repeat(item.combine(answer.item)).where(linkId = {quoted(name)}).answer"
        f".value.ofType(Coding).where(code in {one_of(sorted(one.item.out_of_scope))}).exists()"
        for name, one in screening.questions.items()
        if one.item.out_of_scope
    ]
    coding = screening.codes[screening.texts.reason_code]
    return {
        f"{path}[0].coding[0].{member}": f"iif({' or '.join(denied) or 'false'}, {{}}, {quoted(coding[member])})"
        for member in ("system", "code", "display")
    }
