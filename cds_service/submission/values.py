"""Values of answers compared: equal, less, more. What cannot be compared is neither. Source: FHIR R4 Questionnaire."""

import re
from typing import Any

from cds_content.shapes import Json
from cds_service.dates import span
from cds_service.resources import dicts

_VALUE = re.compile(r"(?:value|answer|initial)([A-Z]\w*)")


def values_in(element: Json) -> dict[str, Any]:
    """The value[x], answer[x] or initial[x] members of an element, by type, as `Coding`; normally one."""
    matches = {name: _VALUE.fullmatch(name) for name in element}
    return {match[1]: element[name] for name, match in matches.items() if match}


def values_of(answers: Any) -> list[tuple[str, Any]]:
    """(type, value) of each answer of an item that has exactly one."""
    found = [values_in(answer) for answer in dicts(answers)]
    return [next(iter(one.items())) for one in found if len(one) == 1]


def same(kind: str, one: Any, other: Any) -> bool:
    """Whether two values of a type are equal; codes are compared with their systems, not their displays."""
    if kind == "Coding":
        return coded(one) is not None and coded(one) == coded(other)
    if kind == "Quantity":
        return unit(one) == unit(other) and range_of(kind, one) == range_of(kind, other) is not None
    return type(one) is type(other) and bool(one == other)


def coded(value: Any) -> tuple[Any, str] | None:
    """(system, code) of a Coding; None without a code."""
    code = value.get("code") if isinstance(value, dict) else None
    return (value.get("system"), code) if isinstance(code, str) else None


def unit(quantity: Any) -> tuple[Any, Any] | None:
    """(system, code) of a Quantity's unit, or its name where there is no code."""
    if not isinstance(quantity, dict):
        return None
    return quantity.get("system"), quantity.get("code", quantity.get("unit"))


def range_of(kind: str, value: Any) -> tuple[Any, Any] | None:
    """The least and the greatest that a value may mean: a partial date is a range. None where it has no order."""
    if kind == "Quantity" and isinstance(value, dict) and "comparator" not in value:
        return range_of("Decimal", value.get("value"))
    if kind in ("Integer", "Decimal") and isinstance(value, int | float) and not isinstance(value, bool):
        return value, value
    if kind in ("Date", "DateTime") and isinstance(value, str):
        return span(value)
    return (value, value) if kind in ("Time", "String") and isinstance(value, str) else None


def below(kind: str, one: Any, other: Any) -> bool:
    """Whether a value is certainly less than another of its type (and unit)."""
    ours, theirs = range_of(kind, one), range_of(kind, other)
    comparable = kind != "Quantity" or unit(one) == unit(other)
    return bool(ours and theirs and comparable and ours[1] < theirs[0])
