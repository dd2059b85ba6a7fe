"""JSON as RFC 8259 means it: UTF-8, no duplicate keys, no NaN or Infinity, bounded depth, and no digit lost.

The precision of a decimal has a meaning. Source: HL7 FHIR R4, "JSON representation", and data type decimal.
"""

import json
from typing import Any

import orjson

from cds_service.errors import BadRequest

MAX_DEPTH = 64  # a FHIR resource nests about 20 deep; more is an attack on the stack


class Number(float):
    """A number with a fraction or an exponent; `digits` is how it was written."""

    digits: str

    def __new__(cls, written: str | float) -> "Number":
        number = super().__new__(cls, written)
        number.digits = str(written)
        return number


def read(body: bytes) -> Any:
    """The value that `body` holds.

    Raises BadRequest when it is not JSON; the message never repeats the input.
    """
    try:
        orjson.loads(body)  # refuses what json lets pass: NaN, Infinity, lone surrogates, a BOM
        value = json.loads(body.decode(), object_pairs_hook=_object, parse_float=Number)
    except (ValueError, RecursionError):
        raise BadRequest(
            "body: not valid JSON; write UTF-8 JSON without NaN, Infinity, duplicate keys or huge numbers"
        ) from None
    if _deeper_than(value, MAX_DEPTH):
        raise BadRequest(f"body: nested more than {MAX_DEPTH} deep; write a flatter body")
    return value


def read_own(text: str | bytes) -> Any:
    """What `write` wrote."""
    return json.loads(text, parse_float=Number)


def write(value: Any, *, pretty: bool = False) -> bytes:
    """JSON of the value, in which each Number stands as it was read."""
    return orjson.dumps(value, default=_digits, option=orjson.OPT_INDENT_2 if pretty else None)


def _digits(value: Any) -> orjson.Fragment:
    if not isinstance(value, Number):
        raise TypeError(f"{type(value).__name__} is no JSON")
    return orjson.Fragment(value.digits)


def _object(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    members = dict(pairs)
    if len(members) != len(pairs):
        raise ValueError("duplicate key")
    return members


def _deeper_than(value: Any, levels: int) -> bool:
    if not isinstance(value, dict | list):
        return False
    if levels == 0:
        return True
    inner = value.values() if isinstance(value, dict) else value
    return any(_deeper_than(part, levels - 1) for part in inner)
