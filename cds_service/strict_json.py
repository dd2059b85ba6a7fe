"""JSON as RFC 8259 means it: UTF-8, no duplicate keys, no NaN or Infinity, bounded depth and size, and no digit lost.

The precision of a decimal has a meaning. Source: HL7 FHIR R4, "JSON representation", and data type decimal.
"""

import json
import re
from typing import Any

import orjson

from cds_service.errors import BadRequest, TooLarge

MAX_BYTES = 1_000_000  # a screening is about 10 kB
MAX_DEPTH = 64  # a FHIR resource nests about 20 deep; more is an attack on the stack
MAX_VALUES = 60_000  # dense FHIR has a value in every 19 bytes: 53,000 in the largest body


class Number(float):
    """A number with a fraction or an exponent; `digits` is how it was written."""

    digits: str

    def __new__(cls, written: str | float) -> "Number":
        number = super().__new__(cls, written)
        number.digits = str(written)
        return number


def read(body: bytes) -> Any:
    """The value that `body` holds.

    Raises BadRequest when it is not JSON, or too deep or too full to be read in time, and of these TooLarge when it has
    more than MAX_BYTES; no message repeats the input.
    """
    if len(body) > MAX_BYTES:
        raise TooLarge(f"body: over {MAX_BYTES} bytes; send fewer responses")
    bare = _outside_strings(body)
    _refuse_bombs(bare)
    try:
        value = orjson.loads(body)  # refuses what json lets pass: NaN, Infinity, lone surrogates, a BOM
        if b"." not in bare and orjson.dumps(value) == body:  # no key was there twice, and no digit is lost
            return value
        return json.loads(body.decode(), object_pairs_hook=_object, parse_float=Number)
    except ValueError:
        raise BadRequest(
            "body: not valid JSON; write UTF-8 JSON without NaN, Infinity, duplicate keys or huge numbers"
        ) from None


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


_STRING = re.compile(rb'"(?:[^"\\]++|\\.)*+"?', re.DOTALL)  # one that is not closed ends with the body: no second try
_NO_BRACKETS = bytes(set(range(256)) - set(b"[]{}"))
_ALIKE = bytes.maketrans(b"{}", b"[]")


def _outside_strings(body: bytes) -> bytes:
    return _STRING.sub(b"", body) if b"\\" in body else b"".join(body.split(b'"')[::2])  # the second is much faster


def _refuse_bombs(bare: bytes) -> None:
    """Raises BadRequest for what is too full or too deep, before anything is built of it.

    Each value but the first stands behind a comma or an opening bracket. What is no JSON is judged elsewhere.
    """
    if sum(map(bare.count, (b",", b"[", b"{"))) >= MAX_VALUES:
        raise BadRequest(f"body: holds more than {MAX_VALUES} values; send fewer resources")
    if _depth(bare.translate(_ALIKE, _NO_BRACKETS)) > MAX_DEPTH:
        raise BadRequest(f"body: nested more than {MAX_DEPTH} deep; write a flatter body")


def _depth(brackets: bytes) -> int:
    """How deep they nest, or more than MAX_DEPTH: the innermost pairs are taken out until none is left."""
    depth = 0
    while depth <= MAX_DEPTH and (outer := brackets.replace(b"[]", b"")) != brackets:
        brackets, depth = outer, depth + 1
    return depth + brackets.count(b"[")  # those that nothing closes
