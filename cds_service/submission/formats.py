"""How FHIR R4 writes the values of its primitive types in JSON. Source: HL7 FHIR R4, "Data types"."""

import re
from datetime import date
from typing import Any

_YEAR, _DAY = r"(?!0000)\d{4}", r"-(?:0[1-9]|1[0-2])-(?:0[1-9]|[12]\d|3[01])"
_CLOCK = r"(?:[01]\d|2[0-3]):[0-5]\d:(?:[0-5]\d|60)(?:\.\d+)?"
_ZONE = r"(?:Z|[+-](?:0\d|1[0-3]):[0-5]\d|[+-]14:00)"
_DATE = rf"{_YEAR}(?:-(?:0[1-9]|1[0-2])|{_DAY})?"
_WORDS = r"(?=[\s\S]*\S)[^\x00-\x08\x0b\x0c\x0e-\x1f]*"  # not blank, no control characters
# How FHIR writes each of its primitive types that are JSON texts.
FORMATS = {
    "Id": r"[A-Za-z0-9.-]{1,64}",
    "Code": r"[^\s\x00-\x1f]+(?:[ ][^\s\x00-\x1f]+)*",
    "String": _WORDS,
    "Markdown": _WORDS,
    "Xhtml": _WORDS,
    **dict.fromkeys(("Uri", "Url", "Canonical"), r"[^\s\x00-\x1f]+"),
    "Oid": r"urn:oid:[0-2](?:\.(?:0|[1-9]\d*))+",
    "UuidVersion": r"urn:uuid:[0-9a-f]{8}(?:-[0-9a-f]{4}){3}-[0-9a-f]{12}",
    "Date": _DATE,
    "DateTime": rf"{_YEAR}(?:-(?:0[1-9]|1[0-2])|{_DAY}(?:T{_CLOCK}{_ZONE})?)?",
    "Instant": rf"{_YEAR}{_DAY}T{_CLOCK}{_ZONE}",
    "Time": _CLOCK,
    "Base64Binary": r"[A-Za-z0-9+/=\s]+",
}
_DAYS = ("Date", "DateTime", "Instant")
_LOWEST = {"Integer": -(2**31), "UnsignedInt": 0, "PositiveInt": 1}
_HUGE = 1e15  # a decimal beyond this is no answer, and not every reader keeps it


def is_primitive(kind: str) -> bool:
    """Whether this is a primitive type, as the models of fhir.resources call them (`bool`, `DateTime`)."""
    return kind in FORMATS or kind in _LOWEST or kind in ("bool", "Decimal")


def is_json(kind: str, value: Any) -> bool:
    """Whether the value is of the kind of JSON value that the type has: text, number, true or false."""
    if kind in FORMATS:
        return isinstance(value, str)
    number = isinstance(value, int if kind in _LOWEST else int | float) and not isinstance(value, bool)
    return isinstance(value, bool) if kind == "bool" else number


def is_written(kind: str, value: Any) -> bool:
    """Whether a value of that kind of JSON value is one of the type."""
    if kind in FORMATS:
        return re.fullmatch(FORMATS[kind], value, re.ASCII) is not None and (kind not in _DAYS or _is_day(value[:10]))
    return kind == "bool" or (_LOWEST.get(kind, -_HUGE) <= value <= (2**31 - 1 if kind in _LOWEST else _HUGE))


def _is_day(text: str) -> bool:
    try:
        return len(text) < 10 or bool(date.fromisoformat(text))
    except ValueError:
        return False
