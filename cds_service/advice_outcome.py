"""The advice as an OperationOutcome: an issue for each card, a warning for each fault, and beside them a RequestGroup.

SDC answers a processed response with an OperationOutcome. The same advice for machines is contained in it and named by
an extension of our own: so one body serves a client that knows SDC only, and one that reads RequestGroups.
Source: SDC 4.0.0, OperationDefinition Questionnaire-process-response; HL7 FHIR R4, "OperationOutcome", dom-3.
"""

from collections.abc import Sequence

from cds_content.screening import Screening
from cds_content.shapes import Json
from cds_service.advice import Advice
from cds_service.request_group import said, within

NAME = "outcome-advice"  # of the extension


def advice_outcome(
    screening: Screening, advice: Advice, cards: Sequence[Json], group: Json, warnings: Sequence[Json]
) -> Json:
    """An information issue for each card, or one that says the advice; then `warnings`."""
    told = [_told(card) for card in cards] or [_unsaid(screening, advice, group["language"])]
    return {
        "resourceType": "OperationOutcome",
        "language": group["language"],
        "contained": within(group),
        "extension": [{"url": url(screening.base), "valueReference": {"reference": f"#{group['id']}"}}],
        "issue": [*told, *warnings],
    }


def url(base: str) -> str:
    return f"{base}/StructureDefinition/{NAME}"


def definition(screening: Screening) -> Json:
    """The StructureDefinition of the extension, as a difference to Extension."""
    form = screening.questionnaire
    return {
        "resourceType": "StructureDefinition",
        "id": NAME,
        "language": "en",
        "url": url(screening.base),
        "version": form["version"],
        "name": "OutcomeAdvice",
        "title": "Advice beside an outcome",
        "status": form["status"],
        "experimental": form["experimental"],
        "date": form["date"],
        **({"publisher": form["publisher"]} if "publisher" in form else {}),
        "description": "The RequestGroup, contained in the OperationOutcome, that holds the same advice as its issues.",
        "fhirVersion": "4.0.1",
        "kind": "complex-type",
        "abstract": False,
        "context": [{"type": "element", "expression": "OperationOutcome"}],
        "type": "Extension",
        "baseDefinition": "http://hl7.org/fhir/StructureDefinition/Extension",
        "derivation": "constraint",
        "differential": {
            "element": [
                {"id": "Extension", "path": "Extension", "short": "The advice as a RequestGroup", "min": 0, "max": "1"},
                {"id": "Extension.extension", "path": "Extension.extension", "max": "0"},
                {"id": "Extension.url", "path": "Extension.url", "fixedUri": url(screening.base)},
                {
                    "id": "Extension.value[x]",
                    "path": "Extension.value[x]",
                    "min": 1,
                    "type": [
                        {"code": "Reference", "targetProfile": ["http://hl7.org/fhir/StructureDefinition/RequestGroup"]}
                    ],
                },
            ]
        },
    }


def _told(card: Json) -> Json:
    """The summary, coded with the disposition, and the detail without its Markdown."""
    details = {"coding": [card["source"]["topic"]], "text": card["summary"]}
    return _information(details, card["detail"].replace("**", ""))


def _unsaid(screening: Screening, advice: Advice, language: str) -> Json:
    words = said(screening, advice, language)
    topic = screening.coding("dispositions", advice.disposition, language)
    return _information({"coding": [topic], "text": words}, words)


def _information(details: Json, words: str) -> Json:
    return {"severity": "information", "code": "informational", "details": details, "diagnostics": words}
