"""The questionnaire as the rules see it: each question with its options and what its answers mean.

fhir.resources checks the shape of the resource; references, options and languages are checked here.
Source: HL7 FHIR R4 Questionnaire, invariants que-1 to que-13.
"""

from collections.abc import Iterable, Iterator, Mapping
from pathlib import Path
from typing import Any

from cds_content.files import Files, unknown
from cds_content.screening import Question
from cds_content.shapes import LANGUAGES, FindingsFile, Item, Json
from cds_content.translations import items_of, texts

_EXTENSION = "http://hl7.org/fhir/StructureDefinition/"


def read_questions(
    files: Files, path: Path, form: Json, systems: Mapping[str, Json], findings: FindingsFile
) -> dict[str, Question]:
    """linkId → Question, in the order of the form; `systems` holds our code systems by URL. Mistakes go to `files`."""
    items = list(items_of(form))
    asked = {item["linkId"]: item for item in items if item["type"] not in ("display", "group")}
    links = [item["linkId"] for item in items]
    for link_id in {link_id for link_id in links if links.count(link_id) > 1}:
        files.wrong(path, link_id, "linkId is used twice; write another")
    for link_id in findings.item:
        if wrong := unknown("linkId", link_id, asked):
            files.wrong(path.with_name("findings.toml"), f"item.{link_id}", wrong)
    for link_id, wrong in _nesting_mistakes(items):
        files.wrong(path, link_id, wrong)
    questions: dict[str, Question] = {}
    for link_id, item in asked.items():
        if link_id not in findings.item:
            files.wrong(path.with_name("findings.toml"), f"item.{link_id}", "is missing; write what its answers mean")
            continue
        question = _question(item, findings.item[link_id], form["language"])
        for wrong in (*_form_mistakes(item, question, systems), *_rule_mistakes(item, questions)):
            files.wrong(path, link_id, wrong)
        for place, wrong in _meaning_mistakes(question):
            files.wrong(path.with_name("findings.toml"), f"item.{link_id}.{place}", wrong)
        questions[link_id] = question
    return questions


def _question(item: Json, meaning: Item, language: str) -> Question:
    codings = [part for part in item.get("answerOption", []) if "valueCoding" in part]
    options = {part["valueCoding"].get("code", ""): part for part in codings}
    label: Json = next((code for code in item.get("code", []) if "_display" in code), {})
    shown: dict[str, frozenset[str]] = {}
    for rule in item.get("enableWhen", []):
        code = rule.get("answerCoding", {}).get("code", "")
        shown[rule["question"]] = shown.get(rule["question"], frozenset()) | {code}
    return Question(
        link_id=item["linkId"],
        label=texts(label, "display", language),
        item=meaning,
        system=next((part["valueCoding"].get("system", "") for part in options.values()), ""),
        options={code: texts(part["valueCoding"], "display", language) for code, part in options.items()},
        exclusive=frozenset(code for code in options if _extension(options[code], "questionnaire-optionExclusive")),
        repeats=item.get("repeats", False),
        low=_extension(item, "minValue") or 0,
        high=_extension(item, "maxValue") or 0,
        shown_for=shown,
    )


def _extension(element: Json, name: str) -> Any:
    found = [part for part in element.get("extension", []) if part["url"] == _EXTENSION + name]
    return next((value for part in found for key, value in part.items() if key != "url"), None)


def _form_mistakes(item: Json, question: Question, systems: Mapping[str, Json]) -> Iterator[str]:
    kind = "choice" if question.options else "integer"
    options = item.get("answerOption", [])
    if item["type"] != kind or (kind == "integer" and question.high <= question.low):
        yield "write a choice with answerOption.valueCoding, or an integer with minValue and maxValue"
    codes = [option.get("valueCoding", {}).get("code") for option in options]
    for code in {code for code in codes if codes.count(code) > 1}:
        yield f"offers '{code}' twice; write each answer once"
    if "initial" in item or any("initialSelected" in option for option in options):
        yield "an answer is preselected; leave `initial` and `initialSelected` out"
    if set(question.label) != set(LANGUAGES):
        yield "has no short name in each language; write a code with display and translation"
    for coding in [option.get("valueCoding", {}) for option in options] + item.get("code", []):
        ours = question.system.rpartition("/")[0]
        concepts = systems.get(coding.get("system", ""), {}).get("concept", [])
        foreign = ours and not coding.get("system", "").startswith(ours) and coding in item.get("code", [])
        if not foreign and coding.get("code") not in [concept["code"] for concept in concepts]:
            yield f"code '{coding.get('code')}' is in none of our code systems; write it there, or mend its system"


def _nesting_mistakes(items: Iterable[Json]) -> Iterator[tuple[str, str]]:
    """What stands below a question is lost where that is not answered, so its answer alone must call for it."""
    for item in items:
        inner = item.get("item", []) if item["type"] != "group" else []
        for one in inner:
            called_for = {rule["question"] for rule in one.get("enableWhen", [])} == {item["linkId"]}
            if one["type"] != "display" and not (called_for and one["type"] != "group"):
                yield one["linkId"], f"write it beside '{item['linkId']}', or with enableWhen on that question alone"


def _rule_mistakes(item: Json, earlier: Mapping[str, Question]) -> Iterator[str]:
    """enableWhen in the one form that is supported: an option of an earlier question, any of several."""
    rules = item.get("enableWhen", [])
    if item.get("enableBehavior", "any" if len(rules) < 2 else "") != "any":
        yield "write enableBehavior 'any'"
    for rule in rules:
        parent, coding = earlier.get(rule["question"]), rule.get("answerCoding", {})
        offered = parent and coding.get("system") == parent.system and coding.get("code") in parent.options
        if rule["operator"] != "=" or not offered:
            yield "write enableWhen with operator '=' and an answerCoding of an earlier question"


def _meaning_mistakes(question: Question) -> Iterator[tuple[str, str]]:
    item, codes = question.item, ", ".join(question.options)
    for key in ("safe", "not_known", "in_scope", "out_of_scope"):
        if not getattr(item, key) <= question.options.keys():
            yield key.replace("_", "-"), f"names an answer that the question does not offer; write some of: {codes}"
    if sorted(item.ranked()) != sorted(question.options):
        yield "order", f"write each answer once: {codes}"
    if question.options and (not item.safe or item.safe & item.not_known):
        yield "safe", f"write the safe answers, none of which is not-known: {codes}"
    if item.birth_date and question.options:
        yield "birth-date", "is for a question that asks a whole number; leave it out"
