"""Whether the items of a response are those of its form: known, nested, ordered, required, repeated, asked, worded.

Source: HL7 FHIR R4 QuestionnaireResponse; SDC 4.0.0 "Validation"; the rules QR-3 to QR-13 of docs/fhir-requirements.md.
"""

from collections import Counter
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

from cds_content.shapes import LANGUAGES, Json
from cds_content.translations import items_of, texts
from cds_service.resources import dicts
from cds_service.submission.answers import answer_faults, extensions
from cds_service.submission.kinds import Found, Path
from cds_service.submission.shown import shown_items

FINAL = ("completed", "amended")


@dataclass(frozen=True)
class _Form:
    items: Mapping[str, Json]  # by linkId
    shown: frozenset[str]
    final: bool  # whether the response is complete, so that what is not asked must not be answered


def item_faults(questionnaire: Json, response: Json) -> Iterator[Found]:
    """What is wrong with the items of a response to this questionnaire. What is no FHIR is passed over."""
    items = {item["linkId"]: item for item in items_of(questionnaire)}
    form = _Form(items, shown_items(questionnaire, response), response.get("status") in FINAL)
    yield from _level(form, questionnaire, response, ())


def _level(form: _Form, definition: Json, parent: Json, path: Path) -> Iterator[Found]:
    """The items directly in `parent` (a response, group or answer), which `definition` defines."""
    expected = {item["linkId"]: place for place, item in enumerate(definition.get("item", []))}
    before, seen = -1, Counter[str]()
    placed: dict[str, list[tuple[Path, Json]]] = {}
    for index, item in enumerate(parent["item"]) if isinstance(parent.get("item"), list) else ():
        at = (*path, "item", index)
        if not isinstance(item, dict) or not isinstance(name := item.get("linkId"), str):
            continue
        if name not in expected:
            yield ("misplaced" if name in form.items else "unknown-question"), at
        else:
            if expected[name] < before:
                yield "out-of-order", at
            before = expected[name]
            seen[name] += 1
            if seen[name] > 1 and not (form.items[name]["type"] == "group" and form.items[name].get("repeats")):
                yield "repeated", at
            placed.setdefault(name, []).append((at, item))
        yield from _item(form, form.items.get(name, {}), item, at)
    for name in expected:
        yield from _counted(form, form.items[name], placed.get(name, []), path)


def _item(form: _Form, definition: Json, item: Json, at: Path) -> Iterator[Found]:
    kind = definition.get("type", "")
    if "modifierExtension" in item:
        yield "unknown-modifier", (*at, "modifierExtension")
    if kind == "group" and "answer" in item:
        yield "group-with-answer", (*at, "answer")
    elif kind == "display" and item.keys() & {"answer", "item"}:
        yield "display-with-answer", (*at, "answer" if "answer" in item else "item")
    elif kind not in ("", "group", "display"):
        yield from _question(definition, item, at)
    if form.final and "answer" in item and definition and definition["linkId"] not in form.shown:
        yield "not-enabled", at
    if not _is_worded(definition, item.get("text")):
        yield "other-text", (*at, "text")
    answers = item["answer"] if isinstance(item.get("answer"), list) else []
    yield from _level(form, definition if kind == "group" or "item" in item else {}, item, at)
    for index, answer in enumerate(answers):
        if isinstance(answer, dict):
            yield from _level(form, {} if kind == "group" else definition, answer, (*at, "answer", index))


def _question(definition: Json, item: Json, at: Path) -> Iterator[Found]:
    if "item" in item:
        yield "item-outside-answer", (*at, "item")
    yield from answer_faults(definition, item.get("answer", []), (*at, "answer"))
    if len(dicts(item.get("answer"))) > 1 and not definition.get("repeats"):
        yield "repeated", (*at, "answer", 1)


def _is_worded(definition: Json, text: Any) -> bool:
    """Whether the text is that of the form, in one of its languages; a text that is absent is."""
    known = {said for language in LANGUAGES for said in texts(definition, "text", language).values()}
    return not known or not isinstance(text, str) or " ".join(text.split()) in {" ".join(one.split()) for one in known}


def _counted(form: _Form, definition: Json, placed: list[tuple[Path, Json]], path: Path) -> Iterator[Found]:
    """Whether there are as many answers (or groups with answers) as required, minOccurs and maxOccurs say."""
    if definition["type"] == "display" or definition["linkId"] not in form.shown:
        return
    for child in definition.get("item", []) if definition["type"] == "group" and not placed else ():
        yield from _counted(form, child, [], path)  # a group that is left out is one without answers
    if definition["type"] == "group":
        count = sum(_holds_answer(item) for _, item in placed)
    else:
        count = sum(len(dicts(item.get("answer"))) for _, item in placed)
    least = max([1, *extensions(definition, "questionnaire-minOccurs")]) if definition.get("required") else 0
    at = placed[0][0] if placed else path
    if count < least:
        yield "missing-answer", at
    if any(count > most for most in extensions(definition, "questionnaire-maxOccurs")):
        yield "too-many", at


def _holds_answer(item: Json) -> bool:
    """Whether an item, or one within it, is answered."""
    answers = dicts(item.get("answer"))
    return bool(answers) or any(_holds_answer(one) for inner in (item, *answers) for one in dicts(inner.get("item")))
