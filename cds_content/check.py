"""What must hold between the content files, checked at every start.

Every name stands for something, every statement has its place, every row can fire and can change the advice, only the
computed rows lead to incomplete and to self-care, and every text fits on a card.
"""

from collections.abc import Iterator

from fhir.resources.R4B import get_fhir_model_class
from pydantic import ValidationError
from stdnum import verhoeff

from cds_content.files import Files, unknown
from cds_content.reach import changes_advice, witness
from cds_content.screening import Screening
from cds_content.shapes import LANGUAGES, Card, CodesFile, Finding, Json
from cds_content.templates import PLACE, fill
from cds_content.translations import displays
from cds_content.wording import Mistake, text_mistakes

RESOURCE_PLACES = {"patient", "questionnaire", "now", "requester", "encounter", "reason-codes", "responses", "note"}
SERVICE_PLACES = {"canonical", "version"}
HOOKS = "patient-view encounter-start encounter-discharge order-select order-sign order-dispatch appointment-book"
HOOKS += " problem-list-item-create medication-refill"
_CLASS_OF = {"incomplete": "incomplete", "all-safe": "conservative", "out-of-scope": "none"}


def check(files: Files, screening: Screening, codes: CodesFile, *, sound: bool) -> None:
    """Notes every mistake between the files of one screening in `files`; `sound` when the form has none of its own."""
    folder = dict.fromkeys(("advice.toml", "texts.toml", "services.toml"), f"cards/{screening.name}")
    folder["words.toml"] = "cards"
    checks = (_findings, _computed, _cards, _resources, _services, _trace, text_mistakes)
    found = [mistake for one in checks for mistake in one(screening) if mistake[2]]
    found += [("codes.toml", f"code.{code}", _SNOMED) for code in codes.code if not _is_snomed(code)]
    found += _reach(screening) if sound and not found else []  # trying patients needs rules without mistakes
    for name, place, wrong in dict.fromkeys(found):
        files.wrong(files.root / folder.get(name, f"questionnaires/{screening.name}") / name, place, wrong)


_SNOMED = "fails SNOMED CT's check digit; look the code up"


def _is_snomed(code: str) -> bool:
    return 6 <= len(code) <= 18 and bool(verhoeff.is_valid(code))


def _findings(screening: Screening) -> Iterator[Mistake]:
    statements, rows = screening.statements, [finding.row for finding in screening.findings]
    for finding in screening.findings:
        place = f"finding.{finding.row}"
        yield "findings.toml", f"{place}.advice", unknown("disposition", finding.advice, screening.dispositions)
        yield "findings.toml", f"{place}.advice", _wrong_class(screening, finding)
        for name in finding.basis:
            yield "findings.toml", f"{place}.basis", unknown("statement", name, statements.statement)
        for name in finding.beyond:
            yield "findings.toml", f"{place}.beyond", unknown("reference", name, statements.reference)
        for name in finding.codes:
            yield "findings.toml", f"{place}.codes", unknown("code", name, screening.codes)
        yield from _conditions(screening, finding)
    for number, statement in statements.statement.items():
        for row in sorted(statement.findings):
            yield "statements.toml", f"statement.{number}.findings", unknown("row", row, rows)


def _computed(screening: Screening) -> Iterator[Mistake]:
    computed = sorted(finding.computed for finding in screening.findings if finding.computed)
    if computed != sorted(_CLASS_OF):
        yield "findings.toml", "finding", f"write one row for each computed: {', '.join(_CLASS_OF)}"
    for key in ("in_scope", "out_of_scope"):
        if not any(getattr(question.item, key) for question in screening.questions.values()):
            yield "findings.toml", "item", f"no question has {key.replace('_', '-')}; write it for the one that tells"
    version = screening.questionnaire["version"]
    if version not in screening.accepts:
        yield "findings.toml", "accepts", f"lacks the version of the form; write '{version}'"


def _conditions(screening: Screening, finding: Finding) -> Iterator[Mistake]:
    place = f"finding.{finding.row}.when"
    for atom in finding.when.atoms() if finding.when else ():
        yield "findings.toml", place, unknown("linkId", atom.answer, screening.questions)
        question = screening.questions.get(atom.answer)
        if question and atom.is_ is None and question.options:
            yield "findings.toml", place, f"'{atom.answer}' has options; write is = [...]"
        for code in sorted(atom.is_) if question and isinstance(atom.is_, frozenset) else ():
            yield "findings.toml", place, unknown("code", code, question.options if question else ())


def _wrong_class(screening: Screening, finding: Finding) -> str:
    """Only the computed rows lead to incomplete, to no card, and to the disposition of those who are all safe."""
    if finding.advice not in screening.dispositions:
        return ""
    given, all_safe = screening.class_of(finding), [f.advice for f in screening.findings if f.computed == "all-safe"]
    if finding.computed:
        wanted = _CLASS_OF[finding.computed]
        return "" if given == wanted else f"is of class {given}; write a disposition of class {wanted}"
    if given in ("doctor", "conservative") and finding.advice not in all_safe:
        return ""
    return f"'{finding.advice}' is for a computed row; write another of class doctor or conservative"


def _cards(screening: Screening) -> Iterator[Mistake]:
    topics = displays(screening.resources, f"{screening.name}-dispositions")
    shared = screening.texts
    for name, disposition in screening.dispositions.items():
        silent = disposition.class_ != "none" and not disposition.detail
        if silent or (disposition.class_ == "doctor" and not disposition.patient):
            yield "advice.toml", name, "write `detail`, and for the doctor class `patient`"
    cards: list[tuple[str, str, Card]] = [("advice.toml", *one) for one in screening.dispositions.items()]
    for file, name, card in [*cards, ("texts.toml", "form-offer", shared.offer)]:
        yield file, name, unknown("code of codesystem-dispositions.json", name, topics)
        for link in card.links:
            yield file, f"{name}.links", unknown("link", link, shared.link)
        for resource in [resource for suggestion in card.suggestion for resource in suggestion.resources]:
            yield file, f"{name}.suggestion", unknown("resource", resource, shared.resource)
        for number in sorted({number for part in card.detail for number in part.basis}):
            yield file, f"{name}.detail.basis", unknown("statement", number, screening.statements.statement)
    for finding in screening.findings:
        in_words = finding.advice in screening.dispositions and screening.class_of(finding) != "none"
        if in_words and not finding.summary:
            yield "findings.toml", f"finding.{finding.row}.summary", "is missing; write the one sentence of the card"


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
        if "." not in service.hook:
            yield "services.toml", f"{name}.hook", unknown("hook", service.hook, HOOKS.split())
        if "responses" not in service.prefetch:
            yield "services.toml", f"{name}.prefetch", "lacks the key 'responses'; write its template"
        for template in service.prefetch.values():
            for place in PLACE.findall(template):
                yield "services.toml", f"{name}.prefetch", unknown("place", place, SERVICE_PLACES)


def _trace(screening: Screening) -> Iterator[Mistake]:
    """Statements, and the findings and texts that carry them, name each other."""
    statements, last = screening.statements.statement, int(screening.statements.last[1:])
    for number in sorted(statements.keys() ^ {f"S{number}" for number in range(1, last + 1)}):
        yield "statements.toml", f"statement.{number}", f"write exactly the statements S1 to S{last}"
    for number, statement in statements.items():
        rows = {finding.row for finding in screening.findings if number in finding.basis}
        cards = screening.dispositions.items()
        texts = {name for name, card in cards if any(number in part.basis for part in card.detail)}
        for key, said, carried in (("findings", statement.findings, rows), ("cards", statement.cards, texts)):
            if said != carried:
                wanted = ", ".join(sorted(carried)) or "nothing"
                yield "statements.toml", f"statement.{number}.{key}", f"write those whose basis names it: {wanted}"


def _reach(screening: Screening) -> Iterator[Mistake]:
    for finding in screening.findings:
        if witness(screening, finding) is None:
            yield "findings.toml", f"finding.{finding.row}", "no answers make it fire; change its `when`"
        elif finding.when and not finding.explains and not changes_advice(screening, finding):
            wrong = "can never change the advice; change its `when` or `advice`, or write explains = true"
            yield "findings.toml", f"finding.{finding.row}", wrong
