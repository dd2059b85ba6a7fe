"""Whether answers are what their question asks for: type, options, limits. Source: FHIR R4 and SDC, "Validation"."""

import re
from collections.abc import Iterator
from decimal import Decimal
from math import isfinite
from typing import Any

from cds_content.shapes import Json
from cds_service.submission.kinds import Found, Path
from cds_service.submission.values import below, coded, same, unit, values_in

# type of the question → types of value that answer it
_TYPES = {
    "boolean": {"Boolean"},
    "integer": {"Integer"},
    "decimal": {"Decimal"},
    "date": {"Date"},
    "dateTime": {"DateTime"},
    "time": {"Time"},
    "string": {"String"},
    "text": {"String"},
    "url": {"Uri"},
    "choice": {"Coding"},
    "open-choice": {"Coding", "String"},
    "quantity": {"Quantity"},
    "attachment": {"Attachment"},
    "reference": {"Reference"},
}


def answer_faults(question: Json, answers: Any, path: Path) -> Iterator[Found]:
    """What is wrong with the `answer` member, at `path`, of an item that answers `question`."""
    listed = enumerate(answers) if isinstance(answers, list) else ()
    sound = [(index, one) for index, one in listed if isinstance(one, dict)]
    for index, answer in sound:
        at = (*path, index)
        if "modifierExtension" in answer:
            yield "unknown-modifier", (*at, "modifierExtension")
        values = values_in(answer)
        if not values:
            yield "no-value", at
        elif len(values) == 1:
            yield from _value_faults(question, *next(iter(values.items())), at)
    if len(sound) > 1:
        yield from (("exclusive", (*path, index)) for index, answer in sound if _excludes(question, answer))


def extensions(element: Json, name: str) -> list[Any]:
    """The values of the extensions whose URL ends so."""
    found = [one for one in element.get("extension", []) if one["url"].rpartition("/")[2] == name]
    return [value for one in found for value in values_in(one).values()]


def _value_faults(question: Json, kind: str, value: Any, at: Path) -> Iterator[Found]:
    place = (*at, f"value{kind}")
    options = [part for option in question.get("answerOption", []) for part in values_in(option).items()]
    types = {type_ for type_, _ in options} if question["type"] == "choice" and options else _TYPES[question["type"]]
    if kind not in types:
        yield "wrong-type", place
    elif options and question["type"] != "open-choice" and not any(same(kind, value, one) for _, one in options):
        yield "not-an-option", place
    else:
        yield from ((wrong, place) for wrong in _limits(question, kind, value))


def _excludes(question: Json, answer: Json) -> bool:
    """Whether this answer is an option that stands alone (questionnaire-optionExclusive)."""
    alone = [
        one for one in question.get("answerOption", []) if True in extensions(one, "questionnaire-optionExclusive")
    ]
    given = values_in(answer)
    return any(same(kind, given.get(kind), value) for one in alone for kind, value in values_in(one).items())


def _limits(question: Json, kind: str, value: Any) -> Iterator[str]:
    least = extensions(question, "minValue") + extensions(question, "sdc-questionnaire-minQuantity")
    most = extensions(question, "maxValue") + extensions(question, "sdc-questionnaire-maxQuantity")
    if any(below(kind, value, one) for one in least) or any(below(kind, one, value) for one in most):
        yield "out-of-range"
    if isinstance(value, str):
        yield from _text_limits(question, value)
    if kind == "Decimal" and isinstance(value, float) and isfinite(value):
        decimals = -int(Decimal(repr(value)).as_tuple().exponent)
        if any(decimals > allowed for allowed in extensions(question, "maxDecimalPlaces")):
            yield "too-precise"
    units = [coded(one) for one in extensions(question, "questionnaire-unitOption")]
    if kind == "Quantity" and units and unit(value) not in units:
        yield "wrong-unit"
    if kind == "Attachment" and isinstance(value, dict):
        yield from _media_limits(question, value)


def _text_limits(question: Json, value: str) -> Iterator[str]:
    longest = question.get("maxLength", len(value))
    if len(value) > longest or any(len(value) < least for least in extensions(question, "minLength")):
        yield "wrong-length"
    if not all(re.fullmatch(pattern, value) for pattern in extensions(question, "regex")):
        yield "wrong-pattern"


def _media_limits(question: Json, attachment: Json) -> Iterator[str]:
    kinds, size = extensions(question, "mimeType"), attachment.get("size", 0)
    too_large = any(isinstance(size, int) and size > most * 1_000_000 for most in extensions(question, "maxSize"))
    if too_large or (kinds and attachment.get("contentType") not in kinds):
        yield "wrong-media"
