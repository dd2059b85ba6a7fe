"""How the second opinion reads a response: what it is worth, and the answers in each column of the table.

Written from the published form, the table of responses of the design, and decisions 0001, 0003, 0004 and 0005.
"""

import json
import re
from collections.abc import Iterator
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any

from tests.second_opinion_dates import age_at, days_of_filling_in, moments

Json = dict[str, Any]
Cells = dict[str, frozenset[str]]

FORM = json.loads((Path(__file__).parent.parent / "questionnaires/low-back-pain/questionnaire.json").read_text("utf-8"))
QUESTIONS = {item["linkId"]: item for item in FORM["item"] if item["type"] != "display"}
LINK_IDS = {below["linkId"] for item in FORM["item"] for below in (item, *item.get("item", []))}
OFFERED = {
    name: {(option["valueCoding"]["system"], option["valueCoding"]["code"]) for option in item.get("answerOption", [])}
    for name, item in QUESTIONS.items()
}
REFUSED, NO_RESPONSE = "refused", "no response"
NOT_ANSWERED, NOT_KNOWN = frozenset("-"), frozenset("?")

_THE_PATIENT = re.compile(r"Patient/p1(/_history/[A-Za-z0-9.-]{1,64})?")
_NOBODY = re.compile(r"|#.*|urn:.*|[a-z]+://.*/Patient/p1(/_history/[^/]*)?", re.DOTALL)  # nobody whom we know


def read(response: Json, birth_date: str | None, now: datetime) -> Cells | str:
    """The answers in each column, or "refused", or "no response"."""
    reference = _text(response.get("subject", {}).get("reference"))
    named = bool(_THE_PATIENT.fullmatch(reference))
    if not named and not _NOBODY.fullmatch(reference):
        return REFUSED
    form = _form(response.get("questionnaire"))
    if form == "another":
        return NO_RESPONSE
    worth = _worth(response, now) if form == "ours" else "unread"
    if worth == "unread":
        return {"response": frozenset({worth}), **dict.fromkeys(QUESTIONS, frozenset())}
    return _columns(response, worth if named else "alarms", birth_date, now)


def _columns(response: Json, worth: str, birth_date: str | None, now: datetime) -> Cells:
    found = list(_items(response))
    said = {name: _said(name, items) for name, items in _by_question(found).items()}
    said["age"] = age_at(said["age"], birth_date, days_of_filling_in(response.get("authored"), now))
    doubtful = any(_is_doubtful(item) for item, _ in found)
    return {"response": frozenset({"alarms" if doubtful else worth}), **said}


def _form(canonical: Any) -> str:
    """Decision 0001: "ours", "another", or "perhaps ours", whose answers are not read."""
    ours = FORM["url"]
    if canonical in (ours, f"{ours}|{FORM['version']}"):
        return "ours"
    url = re.split(r"[|#]", _text(canonical).strip().lower())[0].strip(" /")
    tail = ours.lower().partition("://")[2]
    if not url or url.partition("://")[2] == tail or f"/{tail}".endswith(f"/{url}"):
        return "perhaps ours"
    return "another"


def _worth(response: Json, now: datetime) -> str:
    """The table "which response counts", from the status and the date."""
    status = response.get("status")
    if "modifierExtension" in response or "implicitRules" in response:
        return "unread"
    if status not in ("completed", "amended", "in-progress", "stopped"):
        return "unread"
    span = moments(response.get("authored"))
    if span is None or span[0] > now + timedelta(minutes=5):
        return "alarms"
    if now - span[1] > timedelta(days=30):
        return "unread"
    complete = status in ("completed", "amended") and now - span[0] <= timedelta(days=7)
    return "counts" if complete else "alarms"


def _is_doubtful(item: Json) -> bool:
    """An item that the form does not have, or a text of the form that holds an answer or has another meaning."""
    name = _text(item.get("linkId"))
    return name not in LINK_IDS or (name not in QUESTIONS and ("answer" in item or "modifierExtension" in item))


def _items(response: Json) -> Iterator[tuple[Json, bool]]:
    """Every item wherever it stands, and whether a modifier extension stands above it."""
    waiting = [(item, False) for item in response.get("item", [])]
    while waiting:
        item, above = waiting.pop()
        yield item, above
        above = above or "modifierExtension" in item
        waiting += [(below, above) for below in item.get("item", [])]
        for answer in item.get("answer", []):
            waiting += [(below, above or "modifierExtension" in answer) for below in answer.get("item", [])]


def _by_question(found: list[tuple[Json, bool]]) -> dict[str, list[tuple[Json, bool]]]:
    """The items of each question of the form, also of those that have none."""
    grouped: dict[str, list[tuple[Json, bool]]] = {name: [] for name in QUESTIONS}
    for item, above in found:
        grouped.get(_text(item.get("linkId")), []).append((item, above))
    return grouped


def _said(name: str, found: list[tuple[Json, bool]]) -> frozenset[str]:
    """The answers to one question, with "?" where something is wrong and "-" where there is nothing."""
    if not found:
        return NOT_ANSWERED
    question = QUESTIONS[name]
    answers = [
        _answer(question, answer, "modifierExtension" in item) for item, _ in found for answer in item.get("answer", [])
    ]
    said = frozenset(answers) or NOT_ANSWERED
    answered = [item for item, _ in found if item.get("answer")]
    repeated = len(answered) > 1 or (len(answers) > 1 and not question.get("repeats"))
    excluded = len(answers) > 1 and said & _exclusive(question)
    modified = any("modifierExtension" in item or (above and "answer" in item) for item, above in found)
    damaged = modified or any(item.get("answer") == [] for item, _ in found)
    return said - NOT_ANSWERED | NOT_KNOWN if repeated or excluded or damaged else said


def _answer(question: Json, answer: Json, modified: bool) -> str:
    """The code or the whole years, or "?"."""
    values = [name for name in answer if name.lstrip("_").startswith("value")]
    if modified or "modifierExtension" in answer or len(values) != 1:
        return "?"
    value = answer[values[0]]
    if question["type"] == "integer":
        in_range = values == ["valueInteger"] and type(value) is int and 0 <= value <= 120
        return str(value) if in_range else "?"
    coded = values == ["valueCoding"] and (value.get("system"), value.get("code")) in OFFERED[question["linkId"]]
    return str(value["code"]) if coded else "?"


def _exclusive(question: Json) -> frozenset[str]:
    """The codes that exclude the others."""
    options = [option for option in question.get("answerOption", []) if "extension" in option]
    return frozenset(option["valueCoding"]["code"] for option in options)


def _text(value: Any) -> str:
    return value if isinstance(value, str) else ""
