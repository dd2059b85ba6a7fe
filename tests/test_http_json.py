"""A body that is not strict JSON, or that is no object, is refused with 400 and gets no cards."""

import json
from collections.abc import Callable
from typing import Any

import pytest
from flask.testing import FlaskClient
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from cds_service import strict_json
from tests.conftest import topics
from tests.samples import CALM, call, response
from tests.wire import cards_of, refusal_of, send_raw


def good() -> bytes:
    """A call that is answered with self-care."""
    return json.dumps(call(response(CALM))).encode()


def beside(value: str) -> bytes:
    """The good call with one more member, its value written as it stands."""
    return good()[:-1] + f', "futureField": {value}}}'.encode()


def arrays(levels: int) -> str:
    return "[" * levels + "]" * levels


def members(levels: int) -> str:
    return '{"a": ' * (levels - 1) + "{}" + "}" * (levels - 1)


# Beside a good call; the body itself is the first level of nesting.
NOT_JSON_VALUES: dict[str, str] = {
    "NaN": "NaN",
    "Infinity": "Infinity",
    "-Infinity": "-Infinity",
    "a number too large for a double": "1e999",
    "a negative number too large for a double": "-1e999",
    "an integer of 5,000 digits": "9" * 5000,
    "a number with a leading zero": "01",
    "a number with a plus sign": "+1",
    "a number without digits before the point": ".5",
    "a hexadecimal number": "0x1F",
    "undefined": "undefined",
    "True with a capital": "True",
    "a string in single quotes": "'x'",
    "a line break within a string": '"a\nb"',
    "an escape that JSON does not know": r'"\x41"',
    "a lone high surrogate": r'"\ud83d"',
    "a lone low surrogate": r'"\ude00"',
    "surrogates in the wrong order": r'"\ude00\ud83d"',
    "a lone surrogate in a key": r'{"\ud800": 1}',
    "a trailing comma in an array": "[1, 2,]",
    "a trailing comma in an object": '{"a": 1,}',
    "a comment to the end of the line": "1 // one\n",
    "a comment between marks": "1 /* one */",
    "a key without quotes": "{a: 1}",
    "the same key twice": '{"a": 1, "a": 1}',
    "the same key twice, far down": '[{"a": {"b": [{"c": 1, "d": 2, "c": 3}]}}]',
    "the same key twice, once escaped": r'{"a": 1, "\u0061": 2}',
    "65 levels of arrays": arrays(64),
    "65 levels of objects": members(64),
    "1,400 levels of arrays": arrays(1400),
    "1,400 levels of objects": members(1400),
    "100,000 levels of arrays": arrays(100_000),
    "100,000 levels of objects": members(100_000),
    "100,000 levels that are never closed": "[" * 100_000,
}


@pytest.mark.requirement("HTTP-4")
@pytest.mark.parametrize("value", NOT_JSON_VALUES.values(), ids=NOT_JSON_VALUES)
def test_a_value_that_json_does_not_have_is_refused(client: FlaskClient, value: str) -> None:
    refusal_of(send_raw(client, beside(value)), 400)


NOT_JSON_BODIES: dict[str, Callable[[bytes], bytes]] = {
    "an empty body": lambda _: b"",
    "only white space": lambda _: b" \r\n\t",
    "text that is no JSON": lambda _: b"hook=patient-view",
    "XML": lambda _: b"<Parameters/>",
    "cut off before its last brace": lambda body: body[:-1],
    "cut off in the middle": lambda body: body[: len(body) // 2],
    "something behind the body": lambda body: body + b" x",
    "two bodies": lambda body: body + body,
    "hook twice": lambda body: body.replace(b'"hook":', b'"hook": "patient-view", "hook":'),
    "hook twice, once escaped": lambda body: body.replace(b'"hook":', rb'"\u0068ook": "patient-view", "hook":'),
    "patientId twice": lambda body: body.replace(b'"patientId":', b'"patientId": "p1", "patientId":'),
    "status of the response twice": lambda body: body.replace(b'"status":', b'"status": "completed", "status":'),
    "the code of an answer twice": lambda body: body.replace(b'"code":', b'"code": "new", "code":', 1),
    "a byte that is not UTF-8": lambda body: body.replace(b"patient-view", b"patient-view\xff"),
    "Latin-1": lambda body: body.replace(b"gp-1", "é".encode("latin-1")),
    "UTF-8 longer than it may be": lambda body: body.replace(b"gp-1", b"\xc0\xaf"),
    "a surrogate written as UTF-8": lambda body: body.replace(b"gp-1", b"\xed\xa0\x80"),
    "UTF-16 with a byte order mark": lambda body: body.decode().encode("utf-16"),
    "UTF-16, little end first": lambda body: body.decode().encode("utf-16-le"),
    "UTF-16, big end first": lambda body: body.decode().encode("utf-16-be"),
    "UTF-32": lambda body: body.decode().encode("utf-32"),
    "a byte order mark before UTF-8": lambda body: b"\xef\xbb\xbf" + body,
    "a trailing comma": lambda body: body[:-1] + b",}",
    "a comment before the body": lambda body: b"// call\n" + body,
    "a NUL behind the body": lambda body: body + b"\x00",
}


@pytest.mark.requirement("HTTP-4")
@pytest.mark.parametrize("spoil", NOT_JSON_BODIES.values(), ids=NOT_JSON_BODIES)
def test_a_body_that_is_not_json_is_refused(client: FlaskClient, spoil: Callable[[bytes], bytes]) -> None:
    assert spoil(good()) != good()
    refusal_of(send_raw(client, spoil(good())), 400)


@pytest.mark.requirement("HTTP-4")
@pytest.mark.parametrize("body", ["[]", "null", '"x"', '""', "5", "0", "-1.5", "true", "false", "[{}]"])
def test_a_body_that_is_no_object_is_refused(client: FlaskClient, body: str) -> None:
    refusal_of(send_raw(client, body.encode()), 400)


@pytest.mark.requirement("HTTP-4")
def test_a_good_call_within_an_array_is_refused(client: FlaskClient) -> None:
    refusal_of(send_raw(client, b"[" + good() + b"]"), 400)


JSON_VALUES: dict[str, str] = {
    "nothing special": "1",
    "64 levels of arrays": arrays(63),
    "64 levels of objects": members(63),
    "a pair of surrogates": r'"\ud83d\ude00"',
    "letters beyond ASCII": '"é 漢 😀"',
    "an escaped NUL": r'"\u0000"',
    "the largest double": "1.7976931348623157e308",
    "an integer beyond 64 bits": "9" * 40,
    "the same key in two objects": '[{"a": 1}, {"a": 1}]',
    "nulls": "[null, {}]",
}


@pytest.mark.parametrize("value", JSON_VALUES.values(), ids=JSON_VALUES)
def test_strict_json_beside_a_good_call_is_read_and_ignored(client: FlaskClient, value: str) -> None:
    assert topics(cards_of(send_raw(client, beside(value)))) == ["self-care"]


ANY_JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False, allow_infinity=False) | st.text(),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(max_size=4), inner, max_size=4),
    max_leaves=12,
)


@given(value=ANY_JSON, ascii_only=st.booleans())
@settings(max_examples=200, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
def test_strict_json_is_read_as_it_was_written(value: Any, ascii_only: bool) -> None:
    assert strict_json.read(json.dumps(value, ensure_ascii=ascii_only).encode()) == value
