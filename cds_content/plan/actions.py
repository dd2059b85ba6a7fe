"""The actions of a PlanDefinition: one for each row about the patient, or for each card about orders.

What fires is a condition in FHIRPath, what follows are the suggestions of the card, each resource as an
ActivityDefinition. Source: HL7 FHIR R4, "PlanDefinition", "CDS on FHIR"; the map of indicators to priorities.
"""

import re
from collections.abc import Iterable, Iterator, Mapping

from cds_content.card_shapes import Card, OrderCard, OrderKind, Service, Suggestion
from cds_content.plan.fhirpath import order_condition, row_condition, urgency_condition
from cds_content.plan.metadata import activity_id, canonical, disposition, expression, library_id, worded
from cds_content.screening import Screening
from cds_content.shapes import Finding, Json
from cds_service.hooks import HOOKS, catalogued

_PRIORITY = {"info": "routine", "warning": "urgent", "critical": "stat"}  # ConceptMap/indicator-to-request-priority
_TYPE = "http://terminology.hl7.org/CodeSystem/action-type"


def actions(screening: Screening, service: Service) -> list[Json]:
    """The actions of the plan of a service, the most urgent first; each is triggered by the hook of the service."""
    about = HOOKS[catalogued(service.hook)].about
    trigger = {"trigger": [{"type": "named-event", "name": service.hook}]}
    if not about:
        needed = list(_needed(service))
        by_urgency = sorted(screening.findings, key=screening.urgency)
        return [_row_action(screening, finding, needed) | trigger for finding in by_urgency]
    return [
        _order_action(screening, kind, card, about) | trigger
        for kind in screening.orders.values()
        if list(_orders(kind, about))
        for card in kind.card
    ]


def references(screening: Screening) -> Iterator[Json]:
    """What the rules rest on beyond the patient sheet."""
    return _cited(screening, screening.statements.reference)


def _row_action(screening: Screening, finding: Finding, needed: list[Json]) -> Json:
    card = screening.dispositions[finding.advice]
    codes = [screening.codes[code] for code in finding.codes]
    return {
        "id": finding.row,
        "prefix": finding.row,
        **worded("title", finding.summary or finding.reason),
        **worded("description", finding.reason),
        "priority": _PRIORITY[card.indicator],
        "code": [{"coding": [disposition(screening, finding.advice)]}],
        **({"reason": [{"coding": codes}]} if codes else {}),
        "documentation": [*_stated(screening, finding.basis), *_cited(screening, finding.beyond)],
        "condition": _when(screening, finding.row, row_condition(screening, finding)),
        "input": needed,
        **_suggested(screening, card),
    }


def _order_action(screening: Screening, kind: OrderKind, card: OrderCard, about: str) -> Json:
    """A card about orders; where doctor rows fire, what is suggested is that of the most urgent of them."""
    summary = {language: re.sub(r":?\s*\{advice\}", "", line) for language, line in card.summary.items()}
    names = [name for name, one in screening.dispositions.items() if one.class_ == card.when]
    urgent = [_urgent_action(screening, name) for name in names] if card.when == "doctor" else []
    own = [*card.suggestion, *(one for name in names for one in screening.dispositions[name].suggestion)]
    shown = card if card.when == "calm" else screening.dispositions[names[0]]
    return {
        "id": card.row,
        "prefix": card.row,
        **worded("title", summary),
        **({} if urgent else {"priority": _PRIORITY[shown.indicator]}),
        **({"code": [{"coding": [disposition(screening, kind.topic)]}]} if kind.topic else {}),
        **_documented(screening, card),
        "condition": _when(screening, card.row, order_condition(screening, kind, card.when)),
        "input": [*_orders(kind, about), {"type": "QuestionnaireResponse"}],
        **({"selectionBehavior": "at-most-one", "action": urgent} if urgent else _suggested_of(screening, own)),
    }


def _urgent_action(screening: Screening, name: str) -> Json:
    """What is suggested where the most urgent row that fires has this disposition."""
    card = screening.dispositions[name]
    coded = disposition(screening, name)
    return {
        "id": name,
        "title": coded["display"],
        "_title": coded["_display"],
        "priority": _PRIORITY[card.indicator],
        "code": [{"coding": [coded]}],
        "condition": _when(screening, name, urgency_condition(screening, name)),
        **_suggested(screening, card),
    }


def _when(screening: Screening, name: str, condition: str) -> list[Json]:
    source = {"reference": canonical(screening, "Library", library_id(screening))}
    return [{"kind": "applicability", "expression": expression(condition, name) | source}]


def _documented(screening: Screening, card: Card) -> Json:
    named = sorted({name for part in card.detail for name in part.basis}, key=lambda name: int(name[1:]))
    return {"documentation": list(_stated(screening, named))} if named else {}


def _stated(screening: Screening, names: Iterable[str]) -> Iterator[Json]:
    """The sentences of the patient sheet, in our own words."""
    for name in names:
        statement = screening.statements.statement[name]
        said = {"nl": statement.nl, "en": statement.en}
        yield {"type": "justification", "label": name, **worded("citation", said, markdown=True)}


def _cited(screening: Screening, names: Iterable[str]) -> Iterator[Json]:
    for name in names:
        source = screening.statements.reference[name]
        cited: Json = {"type": "citation", "label": name, **worded("display", source.label)}
        yield cited | ({"url": source.url} if source.url else {})


def _suggested(screening: Screening, card: Card) -> Json:
    return _suggested_of(screening, card.suggestion)


def _suggested_of(screening: Screening, suggestions: Iterable[Suggestion]) -> Json:
    """The suggestions of a card, of which at most one is taken."""
    named = [_suggestion(screening, one) for one in suggestions]
    return {"selectionBehavior": "at-most-one", "action": named} if named else {}


def _suggestion(screening: Screening, suggestion: Suggestion) -> Json:
    return {
        **worded("title", suggestion.label),
        **({"priority": suggestion.priority} if suggestion.priority else {}),
        "selectionBehavior": suggestion.choose or "all",
        "action": [_created(screening, name) for name in suggestion.resources],
    }


def _created(screening: Screening, name: str) -> Json:
    return {
        **worded("description", screening.texts.resource[name].action),
        "type": {"coding": [{"system": _TYPE, "code": "create"}]},
        "definitionCanonical": canonical(screening, "ActivityDefinition", activity_id(screening, name)),
    }


def _needed(service: Service) -> Iterator[Json]:
    """What the service reads of the patient, as its prefetch templates say."""
    templates: Mapping[str, str] = service.prefetch
    for kind in dict.fromkeys(re.split(r"[/?]", template)[0] for template in templates.values()):
        yield {"type": kind}


def _orders(kind: OrderKind, about: str) -> Iterator[Json]:
    """The orders of this kind that the hook is about, by the elements that say what they are for."""
    codes = [{"system": one.system, "code": one.code, "display": one.display} for one in kind.codes]
    for type_, elements in kind.elements.items():
        for element in elements if (type_ == "Appointment") == (about == "appointments") else ():
            yield {"type": type_, "codeFilter": [{"path": element, "code": codes}]}
