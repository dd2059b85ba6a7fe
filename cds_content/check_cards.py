"""What must hold within the content of cards: names of links, resources, codes and places, and the orders judged."""

from collections.abc import Iterator

from fhir.resources.R4B import get_fhir_model_class
from pydantic import ValidationError
from stdnum import luhn, verhoeff

from cds_content.files import unknown
from cds_content.screening import Screening
from cds_content.shapes import LANGUAGES, Condition, Json
from cds_content.templates import PLACE, fill
from cds_content.translations import displays
from cds_content.wording import Mistake

RESOURCE_PLACES = {"patient", "questionnaire", "now", "requester", "encounter", "reason-codes", "responses", "note"}
SERVICE_PLACES = {"canonical", "version"}
HOOKS = "patient-view encounter-start order-select order-sign appointment-book problem-list-item-create"
SELF_TESTED = "patient-view"  # the hook whose service the self-test calls
OWN_HOOK = "questionnaire-response"  # after the reversed host of the canonical base and a dot
SNOMED, LOINC = "http://snomed.info/sct", "http://loinc.org"
CHECK_DIGIT = "fails its check digit; look the code up"


def card_mistakes(screening: Screening) -> Iterator[Mistake]:
    """Everything that is wrong in the content of cards, but for the texts."""
    for part in (_cards, _needed, _orders, _resources, _services, _self_test):
        yield from part(screening)


def is_code(system: str, code: str) -> bool:
    """Whether a code passes the check digit of its system, where that has one."""
    if system == SNOMED:
        return 6 <= len(code) <= 18 and bool(verhoeff.is_valid(code))
    return system != LOINC or bool(luhn.is_valid(code.replace("-", "", 1)))


def wrong_answers(screening: Screening, condition: Condition | None) -> Iterator[str]:
    """What is wrong with what a condition asks of the questions."""
    for atom in condition.atoms() if condition else ():
        yield unknown("linkId", atom.answer, screening.questions)
        question = screening.questions.get(atom.answer)
        if question and atom.is_ is None and question.options:
            yield f"'{atom.answer}' has options; write is = [...]"
        for code in sorted(atom.is_) if question and isinstance(atom.is_, frozenset) else ():
            yield unknown("code", code, question.options if question else ())


def _cards(screening: Screening) -> Iterator[Mistake]:
    topics = displays(screening.resources, f"{screening.name}-dispositions")
    shared = screening.texts
    for file, name, card in screening.cards:
        topic = screening.orders[name].topic if file == "orders.toml" else name
        if topic:
            yield file, name, unknown("code of codesystem-dispositions.json", topic, topics)
        for wrong in [wrong for part in card.detail for wrong in wrong_answers(screening, part.when)]:
            yield file, f"{name}.detail.when", wrong
        for link in card.links:
            yield file, f"{name}.links", unknown("link", link, shared.link)
        for resource in [resource for suggestion in card.suggestion for resource in suggestion.resources]:
            yield file, f"{name}.suggestion", unknown("resource", resource, shared.resource)
        for number in sorted({number for part in card.detail for number in part.basis}):
            yield file, f"{name}.detail.basis", unknown("statement", number, screening.statements.statement)


def _needed(screening: Screening) -> Iterator[Mistake]:
    """The texts without which a card could not be shown."""
    for name, disposition in screening.dispositions.items():
        silent = disposition.class_ != "none" and not disposition.detail
        if silent or (disposition.class_ == "doctor" and not disposition.patient):
            yield "advice.toml", name, "write `detail`, and for the doctor class `patient`"
    for finding in screening.findings:
        in_words = finding.advice in screening.dispositions and screening.class_of(finding) != "none"
        if in_words and not finding.summary:
            yield "findings.toml", f"finding.{finding.row}.summary", "is missing; write the one sentence of the card"


def _orders(screening: Screening) -> Iterator[Mistake]:
    reasons = displays(screening.resources, f"{screening.name}-override-reasons")
    for code in screening.texts.override_reasons:
        yield "texts.toml", "override-reasons", unknown("override reason", code, reasons)
    for name, kind in screening.orders.items():
        for code in kind.override_reasons:
            yield "orders.toml", f"{name}.override-reasons", unknown("override reason", code, reasons)
        for one in kind.codes:
            if not is_code(one.system, one.code):
                yield "orders.toml", f"{name}.codes.{one.code}", CHECK_DIGIT
    rows = [card.row for kind in screening.orders.values() for card in kind.card]
    for row in {row for row in rows if rows.count(row) > 1 or row in {one.row for one in screening.findings}}:
        yield "orders.toml", row, "the row is used twice; write another"


def _resources(screening: Screening) -> Iterator[Mistake]:
    for name, template in screening.texts.resource.items():
        for place in PLACE.findall(str(template.body)):
            yield "texts.toml", f"resource.{name}", unknown("place", place, RESOURCE_PLACES)
        for fault in _template_faults(template.body):
            yield "texts.toml", f"resource.{name}.{fault}", "write the resource as FHIR R4 says"
        for code in _snomed_codes(screening, template.body):
            yield "texts.toml", f"resource.{name}", unknown("code", code, screening.codes)
    yield "texts.toml", "reason-code", unknown("code", screening.texts.reason_code, screening.codes)


_SAMPLE = {
    "patient": "p1",
    "questionnaire": "https://example.org/Questionnaire/q|1",
    "now": "2000-01-01T00:00:00Z",
    "requester": {"reference": "Practitioner/1"},
    "encounter": {"reference": "Encounter/1"},
    "reason-codes": [{"text": "x"}],
    "responses": [{"reference": "QuestionnaireResponse/1"}],
    "note": [{"text": "x"}],
}


def _template_faults(body: Json) -> list[str]:
    """Where a resource that this template would make is not FHIR R4; empty when it is."""
    try:
        made = fill(body, _SAMPLE, LANGUAGES[0])
        get_fhir_model_class(made.get("resourceType", "")).model_validate(made)
    except ValidationError as error:
        return [".".join(str(part) for part in fault["loc"]) for fault in error.errors(include_url=False)]
    except ValueError:
        return ["resourceType"]
    except (KeyError, TypeError):
        return ["a {place} inside a text"]
    return []


def _snomed_codes(screening: Screening, value: object) -> Iterator[str]:
    """The codes in a resource template that are of the code system of codes.toml."""
    systems = {coding["system"] for coding in screening.codes.values()}
    if isinstance(value, dict) and value.get("system") in systems:
        yield str(value.get("code"))
    for part in value.values() if isinstance(value, dict) else value if isinstance(value, list) else ():
        yield from _snomed_codes(screening, part)


def _services(screening: Screening) -> Iterator[Mistake]:
    for name, service in screening.services.items():
        hooks = [*HOOKS.split(), f"{screening.domain}.{OWN_HOOK}"]
        yield "services.toml", f"{name}.hook", unknown("hook", service.hook, hooks)
        if "responses" not in service.prefetch:
            yield "services.toml", f"{name}.prefetch", "lacks the key 'responses'; write its template"
        for template in service.prefetch.values():
            for place in PLACE.findall(template):
                yield "services.toml", f"{name}.prefetch", unknown("place", place, SERVICE_PLACES)


def _self_test(screening: Screening) -> Iterator[Mistake]:
    """A patient who sees a doctor's card, by the service that reads one: nobody may find out by its silence."""
    file, said = "self-test.toml", screening.self_test
    urgent = [name for name, one in screening.dispositions.items() if one.class_ == "doctor"]
    yield file, "expected", unknown("disposition of class doctor", said.expected, urgent)
    if SELF_TESTED not in {service.hook for service in screening.services.values()}:
        yield file, "file", f"is for the service of the hook {SELF_TESTED}; write that in services.toml"
    for link_id, answer in said.answers.items():
        yield file, f"answers.{link_id}", unknown("linkId", link_id, screening.questions)
        question = screening.questions.get(link_id)
        if question and isinstance(answer, str) and question.options:
            yield file, f"answers.{link_id}", unknown("code", answer, question.options)
        elif question and isinstance(answer, int) == bool(question.options):
            yield file, f"answers.{link_id}", "is an answer of another kind; write a code, or a whole number"
