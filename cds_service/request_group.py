"""The cards of one advice as a FHIR RequestGroup, for clients that speak FHIR and no CDS Hooks.

A card is an action; its suggestions are actions within it, and what these create is contained. Everything is a draft
and a proposal. Source: HL7 FHIR R4, "RequestGroup" and "CDS on FHIR", the mapping of the response; rgp-1, dom-2, dom-3.
"""

from collections.abc import Collection, Iterator, Sequence

from cds_content.plan.metadata import activity_id, canonical
from cds_content.screening import Screening
from cds_content.shapes import Json
from cds_service.advice import Advice
from cds_service.dates import instant
from cds_service.details import Call
from cds_service.hooks import catalogued

PRIORITY = {"info": "routine", "warning": "urgent", "critical": "stat"}  # ConceptMap/indicator-to-request-priority
_TYPE = "http://terminology.hl7.org/CodeSystem/action-type"
_COLLECT = {"system": "http://hl7.org/fhir/uv/cpg/CodeSystem/cpg-activity-type-cs", "code": "collect-information"}
_SINGLE = ("Task",)  # of the resources that can be suggested, the one whose instantiatesCanonical does not repeat


def request_group(
    screening: Screening, advice: Advice, cards: Sequence[Json], call: Call, *, id_: str, plan: str = ""
) -> Json:
    """The RequestGroup of these cards, for the patient of `call`; actions have the uuids of cards and suggestions.

    `plan` is the canonical of the PlanDefinition that says when each row fires. Each row behind a card is a
    justification in its documentation (label: the row; resource: the plan with its version), and instantiatesUri names
    the content by its hash (RFC 6920, "nih"). Without a card a note says what the advice is.
    """
    contained: list[Json] = []
    actions = [_card(screening, card, call, plan, contained) for card in cards]
    rows = {row for card in cards for row in rows_of(screening, card)}
    return _without_empty(
        {
            "resourceType": "RequestGroup",
            "id": id_,
            "language": call.language,
            "contained": contained,
            "instantiatesCanonical": [plan] if plan else [],
            "instantiatesUri": [f"nih:sha-256;{screening.hash}"],
            "status": "draft",
            "intent": "proposal",
            "priority": actions[0]["priority"] if actions else "",  # the most urgent card comes first
            "subject": {"reference": f"Patient/{call.patient}"},
            "authoredOn": instant(call.now),
            "reasonCode": list(_reasons(screening, rows, call.language)),
            "note": [] if cards else [{"text": said(screening, advice, call.language)}],
            "action": actions,
        }
    )


def plan_for(screening: Screening, hook: str) -> str:
    """The canonical of the PlanDefinition behind the service of a hook; where there is none, of the first service."""
    hooks = {catalogued(service.hook): id_ for id_, service in screening.services.items()}
    return plan_of(screening, hooks.get(catalogued(hook), next(iter(screening.services))))


def plan_of(screening: Screening, service_id: str) -> str:
    return canonical(screening, "PlanDefinition", service_id)


def within(group: Json) -> list[Json]:
    """The RequestGroup and what it contains, side by side, to be contained in another resource (dom-2)."""
    return [{name: part for name, part in group.items() if name != "contained"}, *group.get("contained", [])]


def rows_of(screening: Screening, card: Json) -> list[str]:
    """The rows that a card rests on; a card for a patient names none."""
    rows: list[str] = card.get("extension", {}).get(f"{screening.domain}.rules", {}).get("rows", [])
    return rows


def said(screening: Screening, advice: Advice, language: str) -> str:
    """The advice in a sentence: the name of the disposition, and the reason of each row that fired."""
    name = screening.coding("dispositions", advice.disposition, language)["display"]
    return f"{name}: {' '.join(one.finding.reason[language] for one in advice.fired)}"


def _card(screening: Screening, card: Json, call: Call, plan: str, contained: list[Json]) -> Json:
    """One card as an action; what it suggests is added to `contained`."""
    suggested = [_suggestion(screening, one, call.language, contained) for one in card.get("suggestions", [])]
    action: Json = {
        "id": card["uuid"],
        "title": card["summary"],
        "description": card["detail"],
        "priority": PRIORITY[card["indicator"]],
        "code": [{"coding": [card["source"]["topic"]]}],
        "documentation": [_source(card), *_grounds(screening, card, plan, call.language)],
        "selectionBehavior": card.get("selectionBehavior", ""),
        "action": suggested,
    }
    if not suggested:  # rgp-1: an action without actions has a resource; here, that a clinician is told
        action["resource"] = _held(_message(card, call), contained)
    return _without_empty(action)


def _suggestion(screening: Screening, suggestion: Json, language: str, contained: list[Json]) -> Json:
    """A suggestion as an action; all that it creates belongs together, unless it says otherwise."""
    return {
        "id": suggestion["uuid"],
        "title": suggestion["label"],
        "selectionBehavior": suggestion.get("actionSelectionBehavior", "all"),
        "action": [_create(screening, one, language, contained) for one in suggestion["actions"]],
    }


def _create(screening: Screening, action: Json, language: str, contained: list[Json]) -> Json:
    resource = _instance(screening, action, language)
    return {
        "description": action["description"],
        "type": {"coding": [{"system": _TYPE, "code": action["type"]}]},
        "resource": _held(resource, contained),
    }


def _held(resource: Json, contained: list[Json]) -> Json:
    """A reference to the resource, which is now contained."""
    id_ = f"resource-{len(contained) + 1}"
    contained.append({"resourceType": resource["resourceType"], "id": id_, **resource})
    return {"reference": f"#{id_}"}


def _instance(screening: Screening, action: Json, language: str) -> Json:
    """The resource that an action creates, with the ActivityDefinition that it is made from."""
    resource: Json = action["resource"]
    kind = resource["resourceType"]
    for name, template in screening.texts.resource.items():
        if template.action[language] == action["description"] and template.body["resourceType"] == kind:
            made_from = canonical(screening, "ActivityDefinition", activity_id(screening, name))
            resource = resource | {"instantiatesCanonical": made_from if kind in _SINGLE else [made_from]}
    return _collecting(resource) if kind == "Task" else resource


def _collecting(task: Json) -> Json:
    """A Task to fill in a form, coded as CPG 2.0 codes it as well (profile cpg-questionnairetask)."""
    forms = [one for one in task.get("input", []) if "valueCanonical" in one]
    typed = [one | {"type": _also(one["type"])} for one in forms]
    return task | {"code": _also(task["code"]), "input": typed} if forms else task


def _also(concept: Json) -> Json:
    return concept | {"coding": [*concept["coding"], _COLLECT]}


def _message(card: Json, call: Call) -> Json:
    """That a clinician is told what the card says; it stands where nothing is suggested."""
    return {
        "resourceType": "CommunicationRequest",
        "status": "draft",
        "priority": PRIORITY[card["indicator"]],
        "subject": {"reference": f"Patient/{call.patient}"},
        "payload": [{"contentString": card["summary"]}],
        "authoredOn": instant(call.now),
    }


def _source(card: Json) -> Json:
    """The source of the card: it comes first, where readers of RequestGroups look for it."""
    label, url = card["source"]["label"], card["source"]["url"]
    return {"type": "documentation", "label": label, "display": label, "citation": label, "url": url}


def _grounds(screening: Screening, card: Json, plan: str, language: str) -> Iterator[Json]:
    """Each row behind the card, with its reason and where that comes from."""
    findings = {one.row: one for one in screening.findings}
    for row in rows_of(screening, card):
        ground = {"type": "justification", "label": row} | ({"resource": plan} if plan else {})
        if row in findings:
            ground |= {"display": findings[row].reason[language], "citation": _origin(screening, row, language)}
        yield ground


def _origin(screening: Screening, row: str, language: str) -> str:
    """The statements of the patient sheet and the references that a row rests on."""
    finding = next(one for one in screening.findings if one.row == row)
    stated = [(name, getattr(screening.statements.statement[name], language)) for name in finding.basis]
    beyond = [screening.statements.reference[name].label[language] for name in finding.beyond]
    return "; ".join([*(f"{name}: {text}" for name, text in stated), *beyond])


def _reasons(screening: Screening, rows: Collection[str], language: str) -> Iterator[Json]:
    for finding in screening.findings:
        if finding.row in rows:
            codes = [screening.codes[code] for code in finding.codes]
            yield ({"coding": codes} if codes else {}) | {"text": finding.reason[language]}


def _without_empty(resource: Json) -> Json:
    return {name: part for name, part in resource.items() if part not in ("", [])}
