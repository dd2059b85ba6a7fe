"""The extensions that may be used: where each stands and what value it has.

Sources: HL7 FHIR R4 extension registry and the Extensions Pack; HL7 Structured Data Capture 4.0.0; CPG; IHE BALP.
"""

from collections.abc import Iterator
from typing import Any

Json = dict[str, Any]

_HL7, _SDC = "http://hl7.org/fhir/StructureDefinition", "http://hl7.org/fhir/uv/sdc/StructureDefinition"
_R5 = "http://hl7.org/fhir/5.0/StructureDefinition"
_ITEM, _FORM, _OPTION = "QuestionnaireItem", "Questionnaire", "QuestionnaireItemAnswerOption"
_OURS = "https://lowbackpain.example/fhir/StructureDefinition"
_ANY = ""  # stands wherever an extension may

# url → (members of its value, or names of its parts with those of theirs), and the elements where it may stand
KNOWN: dict[str, tuple[str | dict[str, str], tuple[str, ...]]] = {
    f"{_HL7}/translation": ({"lang": "valueCode", "content": "valueString valueMarkdown"}, (_ANY,)),
    f"{_HL7}/artifact-versionAlgorithm": ("valueString valueCoding", (_ANY,)),
    f"{_R5}/extension-Questionnaire.versionAlgorithm[x]": ("valueString valueCoding", (_FORM,)),
    f"{_R5}/extension-Questionnaire.item.answerConstraint": ("valueCode", (_ITEM,)),
    f"{_HL7}/questionnaire-itemControl": ("valueCodeableConcept", (_ITEM,)),
    f"{_HL7}/questionnaire-optionExclusive": ("valueBoolean", (_OPTION,)),
    f"{_HL7}/questionnaire-hidden": ("valueBoolean", (_ITEM,)),
    f"{_HL7}/questionnaire-displayCategory": ("valueCodeableConcept", (_ITEM,)),
    f"{_HL7}/questionnaire-supportLink": ("valueUri", (_ITEM,)),
    f"{_HL7}/questionnaire-unit": ("valueCoding", (_ITEM,)),
    f"{_HL7}/questionnaire-minOccurs": ("valueInteger", (_ITEM,)),
    f"{_HL7}/questionnaire-maxOccurs": ("valueInteger", (_ITEM,)),
    f"{_HL7}/questionnaireresponse-completionMode": ("valueCodeableConcept", ("QuestionnaireResponse",)),
    f"{_HL7}/minValue": ("valueDate valueDateTime valueTime valueInteger valueDecimal valueQuantity", (_ITEM,)),
    f"{_HL7}/maxValue": ("valueDate valueDateTime valueTime valueInteger valueDecimal valueQuantity", (_ITEM,)),
    f"{_HL7}/minLength": ("valueInteger", (_ITEM,)),
    f"{_HL7}/maxDecimalPlaces": ("valueInteger", (_ITEM,)),
    f"{_HL7}/regex": ("valueString", (_ITEM,)),
    f"{_HL7}/rendering-markdown": ("valueMarkdown", (_ANY,)),
    f"{_HL7}/rendering-xhtml": ("valueString", (_ANY,)),
    f"{_HL7}/variable": ("valueExpression", (_ANY,)),
    f"{_HL7}/cqf-expression": ("valueExpression", (_ANY,)),
    f"{_HL7}/cqf-library": ("valueCanonical", (_ANY,)),
    f"{_HL7}/cqf-cdsHooksEndpoint": ("valueUri", ("PlanDefinition",)),
    f"{_HL7}/cqf-strengthOfRecommendation": ("valueCodeableConcept", (_ANY,)),
    f"{_HL7}/cqf-qualityOfEvidence": ("valueCodeableConcept", (_ANY,)),
    f"{_HL7}/targetConstraint": (
        {
            "key": "valueId",
            "requirements": "valueMarkdown",
            "severity": "valueCode",
            "expression": "valueExpression",
            "human": "valueString",
            "location": "valueString",
        },
        (_FORM, _ITEM),
    ),
    "http://hl7.org/fhir/uv/cpg/StructureDefinition/cpg-collectWith": ("valueCanonical", ("ActivityDefinition",)),
    f"{_OURS}/outcome-advice": ("valueReference", ("OperationOutcome",)),
    f"{_HL7}/data-absent-reason": ("valueCode", (_ANY,)),
    f"{_HL7}/workflow-instantiatesCanonical": ("valueCanonical", (_ANY,)),
    f"{_HL7}/workflow-supportingInfo": ("valueReference", (_ANY,)),
    f"{_HL7}/workflow-triggeredBy": ("valueReference valueCanonical", (_ANY,)),
    f"{_HL7}/workflow-adheresTo": ("valueCanonical valueReference valueUri", (_ANY,)),
    f"{_SDC}/sdc-questionnaire-launchContext": (
        {"name": "valueCoding", "type": "valueCode", "description": "valueString", "multiplesAllowed": "valueBoolean"},
        (_FORM,),
    ),
    f"{_SDC}/sdc-questionnaire-initialExpression": ("valueExpression", (_ITEM,)),
    f"{_SDC}/sdc-questionnaire-calculatedExpression": ("valueExpression", (_ITEM,)),
    f"{_SDC}/sdc-questionnaire-enableWhenExpression": ("valueExpression", (_ITEM,)),
    f"{_SDC}/sdc-questionnaire-answerExpression": ("valueExpression", (_ITEM,)),
    f"{_SDC}/sdc-questionnaire-candidateExpression": ("valueExpression", (_ITEM,)),
    f"{_SDC}/sdc-questionnaire-shortText": ("valueString", (_ITEM,)),
    f"{_SDC}/sdc-questionnaire-endpoint": ("valueUri", (_FORM,)),
    f"{_SDC}/sdc-questionnaire-performerType": ("valueCode", (_FORM,)),
    f"{_SDC}/sdc-questionnaire-entryMode": ("valueCode", (_FORM,)),
    f"{_SDC}/sdc-questionnaire-observationExtract": ("valueBoolean", (_FORM, _ITEM, "Coding")),
    f"{_SDC}/sdc-questionnaire-observation-extract-category": ("valueCodeableConcept", (_FORM, _ITEM)),
    f"{_SDC}/sdc-servicerequest-questionnaire": ("valueCanonical", ("ServiceRequest",)),
    "http://hl7.org/fhir/uv/application-feature/StructureDefinition/feature": (
        {"definition": "valueCanonical", "value": "valueCode valueCoding valueBoolean valueString"},
        (_ANY,),
    ),
}
# a part that a complex extension must have
NEEDED = {
    f"{_HL7}/translation": {"lang", "content"},
    f"{_HL7}/targetConstraint": {"key", "severity", "expression", "human"},
    f"{_SDC}/sdc-questionnaire-launchContext": {"name", "type"},
    "http://hl7.org/fhir/uv/application-feature/StructureDefinition/feature": {"definition", "value"},
}


def extension_mistakes(element: Json, place: str, kind: str) -> Iterator[str]:
    """What is wrong with the extensions of an element of this type."""
    for index, extension in enumerate(element.get("extension", []) if kind != "Extension" else []):
        here, url = f"{place}.extension[{index}]", extension.get("url")
        if url not in KNOWN:
            yield f"{here}: {url} is not known"
            continue
        shape, places = KNOWN[url]
        if _ANY not in places and kind not in places:
            yield f"{here}: {url} does not stand on {kind}"
        yield from _shaped(extension, shape, here, NEEDED.get(url, set()))
    for index in range(len(element.get("modifierExtension", []))):
        yield f"{place}.modifierExtension[{index}]: none is known"


def _shaped(extension: Json, shape: str | dict[str, str], place: str, needed: set[str]) -> Iterator[str]:
    if isinstance(shape, str):
        if extension.keys() - {"url", "id"} - set(shape.split()) or not extension.keys() & set(shape.split()):
            yield f"{place}: its value is no {shape}"
        return
    parts = extension.get("extension", [])
    if needed - {part.get("url") for part in parts}:
        yield f"{place}: lacks {', '.join(sorted(needed - {part.get('url') for part in parts}))}"
    for index, part in enumerate(parts):
        if part.get("url") not in shape:
            yield f"{place}.extension[{index}]: {part.get('url')} is no part of it"
        else:
            yield from _shaped(part, shape[part["url"]], f"{place}.extension[{index}]", set())
