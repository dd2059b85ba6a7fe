"""What a QuestionnaireResponse answers: linkId → the codes reported, or why the answer is not known.

What cannot be read without guessing is not known. Source: HL7 FHIR R4 QuestionnaireResponse; SDC 4.0.0 "Validation".
"""

import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, replace
from datetime import date
from functools import lru_cache
from typing import Any, Literal

from cds_content.screening import Question
from cds_service.dates import calendar_span

MOST = 500  # items and answers of a response that are read; the form has 35 items
Doubt = Literal["missing", "not-known", "unreadable", "contradictory"]


@dataclass(frozen=True)
class Answer:
    """`codes` as reported, or the `span` (lowest, highest) of a number; `doubt` says why it is not known."""

    codes: frozenset[str] = frozenset()
    span: tuple[int, int] | None = None
    doubt: Doubt | None = None
    asked: bool = True


@dataclass(frozen=True)
class Answers:
    """One Answer per question; `stray` when the response holds parts that are not in the form."""

    by_question: Mapping[str, Answer]
    stray: bool = False

    def __getitem__(self, link_id: str) -> Answer:
        return self.by_question[link_id]


def read_answers(response: Mapping[str, Any], questions: Mapping[str, Question], displays: frozenset[str]) -> Answers:
    """The answers of a response, wherever they are nested. Never raises: what is damaged is not known.

    Of what has more than MOST items and answers the rest is not read, and counts as stray: no "no" of it is known.
    """
    found: dict[str, list[Any]] = {link_id: [] for link_id in questions}
    items, whole = _within_bounds(response)
    stray = not whole
    for link_id, given in items:
        if link_id is not None and link_id in questions:
            found[link_id] += [] if given is _ABSENT else [given]
        elif link_id not in displays or given is not _ABSENT:
            stray = True
    answers: dict[str, Answer] = {}
    for link_id, question in questions.items():  # a parent comes before its follow-ups
        asked = not question.shown_for or any(answers[at].codes & codes for at, codes in question.shown_for.items())
        answers[link_id] = (asked and _plain(question, found[link_id])) or _answer(question, found[link_id], asked)
    return Answers(answers, stray)


def is_overfull(response: Mapping[str, Any]) -> bool:
    """Whether it has more items and answers than are read."""
    return not _within_bounds(response)[1]


_MISSING, _NOT_ASKED = Answer(doubt="missing"), Answer(asked=False)
_ABSENT = object()
_DAMAGED = object()
_Item = tuple[str | None, Any]  # linkId or None when unreadable, its `answer`, _ABSENT or _DAMAGED


def _within_bounds(response: Mapping[str, Any]) -> tuple[list[_Item], bool]:
    """The items that are read, and whether these are all."""
    found: list[_Item] = []
    read = 0
    for link_id, given, answers in _items(response):
        read += 1 + answers
        if read > MOST:
            return found, False
        found.append((link_id, given))
    return found, True


def _items(parent: Mapping[str, Any], *, modified: bool = False) -> Iterator[tuple[str | None, Any, int]]:
    """Each item below `parent`, as an _Item and how many answers it has.

    A modifier extension may change all that stands below it: what is `modified` so is there once more, damaged, and
    its alarms count but nothing in it is known. Source: HL7 FHIR R4 BackboneElement.modifierExtension.
    """
    items = parent.get("item", [])
    for item in items if isinstance(items, list) else [_DAMAGED]:
        if not isinstance(item, dict) or not isinstance(item.get("linkId"), str):
            yield None, _DAMAGED, 0
            continue
        given = item.get("answer", _ABSENT)
        answers = given if isinstance(given, list) else []
        yield item["linkId"], _DAMAGED if "modifierExtension" in item else given, len(answers)
        if modified and given is not _ABSENT:
            yield item["linkId"], _DAMAGED, 0
        below = modified or "modifierExtension" in item
        for inner in (item, *answers):
            if isinstance(inner, dict) and "item" in inner:
                yield from _items(inner, modified=below or "modifierExtension" in inner)


def _plain(question: Question, given: list[Any]) -> Answer | None:
    """The answer where there is one code and nothing else, as in most: made once for each option. Else None."""
    if len(given) != 1 or type(given[0]) is not list or len(given[0]) != 1:
        return None
    code = _value(question, given[0][0])
    return _options(question)[code] if isinstance(code, str) else None


def _of_options(question: Question) -> Mapping[str, Answer]:
    """For each option the answer that it is by itself."""
    doubts: Mapping[bool, Doubt | None] = {True: "not-known", False: None}
    return {code: Answer(frozenset({code}), None, doubts[code in question.item.not_known]) for code in question.options}


_options = lru_cache(maxsize=4096)(_of_options)  # questions; some more than are ever loaded


def _answer(question: Question, given: list[Any], asked: bool) -> Answer:
    """`given` holds the `answer` member of each item with this linkId."""
    if not given:
        return _MISSING if asked else _NOT_ASKED
    values = [value for one in given for value in (one if isinstance(one, list) and one else [_DAMAGED])]
    read = [_value(question, value) for value in values]
    codes = frozenset(value for value in read if isinstance(value, str))
    numbers = [value for value in read if isinstance(value, int)]
    several = len(given) > 1 or (len(values) > 1 and (not question.repeats or bool(codes & question.exclusive)))
    doubt: Doubt | None = None
    if several or not asked:
        doubt = "contradictory"
    elif None in read:
        doubt = "unreadable"
    elif codes & question.item.not_known:
        doubt = "not-known"
    return Answer(codes, (min(numbers), max(numbers)) if numbers else None, doubt)


def _value(question: Question, answer: Any) -> str | int | None:
    """The option or number that one answer names; None when it cannot be read without guessing."""
    if not isinstance(answer, dict) or "modifierExtension" in answer:
        return None
    kind = "valueCoding" if question.options else "valueInteger"
    if len(answer) > 1 and [name for name in answer if name.removeprefix("_").startswith("value")] != [kind]:
        return None
    value = answer.get(kind)
    if kind == "valueInteger":
        return value if type(value) is int and question.low <= value <= question.high else None  # True is no age
    if not isinstance(value, dict) or value.get("system") != question.system:
        return None
    code = value.get("code")
    return code if isinstance(code, str) and code in question.options else None


def with_birth_date(answers: Answers, question: Question, birth_date: Any, first: date, last: date) -> Answers:
    """The answers with the age that Patient.birthDate gives between `first` and `last`, the days of filling in.

    A partial birth date gives a range. An age item more than a year away is a contradiction; the range covers both.
    """
    stated = answers[question.link_id]
    born = _ages(birth_date, first, last, question.high)
    if born is None:
        age = replace(stated, doubt="unreadable")
    elif stated.span is None:
        age = Answer(span=born, doubt=None if stated.doubt == "missing" else stated.doubt)
    elif stated.span[0] < born[0] - 1 or stated.span[1] > born[1] + 1:
        age = Answer(span=(min(stated.span[0], born[0]), max(stated.span[1], born[1])), doubt="contradictory")
    else:
        age = Answer(span=born, doubt=stated.doubt)
    return replace(answers, by_question={**answers.by_question, question.link_id: age})


_BIRTH_DATE = re.compile(r"(\d{4})(?:-(\d\d)(?:-(\d\d))?)?", re.ASCII)


def _ages(birth_date: Any, first: date, last: date, highest: int) -> tuple[int, int] | None:
    """Lowest and highest age in completed years; None when the date is unreadable or gives no age of the living."""
    match = _BIRTH_DATE.fullmatch(birth_date) if isinstance(birth_date, str) else None
    if not match:
        return None
    try:
        first_day, last_day = calendar_span(*match.groups())
    except (ValueError, OverflowError):
        return None
    lowest, oldest = _years(first, last_day), _years(last, first_day)
    return (max(lowest, 0), oldest) if oldest >= 0 and lowest <= highest else None


def _years(on: date, born: date) -> int:
    """Completed years; somebody born on 29 February completes a year on 1 March."""
    return on.year - born.year - ((on.month, on.day) < (born.month, born.day))
