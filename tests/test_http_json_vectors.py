"""Vectors of JSON by the grammar of RFC 8259, one by one: y_ is read as the value beside it, n_ is no JSON.

i_ is what the RFC leaves to a reader and this one refuses (sections 4, 6, 8.1, 8.2 and 9), because two readers would
see two things in it.
"""

import json
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from cds_service import strict_json
from cds_service.errors import BadRequest
from tests.attack import FULL, tell, times
from tests.test_http_json import ANY_JSON

pytestmark = pytest.mark.timeless  # nothing in it is dated

YES: dict[str, tuple[bytes, Any]] = {
    "y_zero": (b"0", 0),
    "y_minus_zero": (b"-0", 0),
    "y_digit": (b"7", 7),
    "y_negative": (b"-12", -12),
    "y_64_bits": (b"9223372036854775807", 2**63 - 1),
    "y_beyond_64_bits": (b"18446744073709551617", 2**64 + 1),
    "y_fraction": (b"1.5", 1.5),
    "y_fraction_of_zero": (b"0.25", 0.25),
    "y_fraction_with_zeros": (b"1.500", 1.5),
    "y_minus_zero_fraction": (b"-0.0", 0.0),
    "y_exponent": (b"1e2", 100.0),
    "y_exponent_capital": (b"1E2", 100.0),
    "y_exponent_plus": (b"1e+2", 100.0),
    "y_exponent_minus": (b"1e-2", 0.01),
    "y_exponent_leading_zero": (b"1e02", 100.0),
    "y_exponent_of_zero": (b"0e0", 0.0),
    "y_fraction_and_exponent": (b"1.25E+2", 125.0),
    "y_largest_double": (b"1.7976931348623157e308", 1.7976931348623157e308),
    "y_smaller_than_any_double": (b"1e-400", 0.0),
    "y_many_decimals": (b"0." + b"1" * 400, 1 / 9),
    "y_true": (b"true", True),
    "y_false": (b"false", False),
    "y_null": (b"null", None),
    "y_blank_around": (b" \t\r\n1 \t\r\n", 1),
    "y_blank_within": (b'{ "a" :\t[ 1 ,\n2 ] }', {"a": [1, 2]}),
    "y_empty_text": (b'""', ""),
    "y_text": (b'"pijn"', "pijn"),
    "y_quote_escaped": (rb'"\""', '"'),
    "y_backslash_escaped": (rb'"\\"', "\\"),
    "y_backslash_before_quote": (rb'"\\\""', '\\"'),
    "y_slash_escaped": (rb'"\/"', "/"),
    "y_slash": (b'"/"', "/"),
    "y_control_escapes": (rb'"\b\f\n\r\t"', "\b\f\n\r\t"),
    "y_unicode_escape": (rb'"\u00e9"', "é"),
    "y_unicode_escape_capitals": (rb'"\u00E9"', "é"),
    "y_nul_escaped": (rb'"\u0000"', "\0"),
    "y_unit_separator_escaped": (rb'"\u001f"', "\x1f"),
    "y_backslash_as_escape": (rb'"\u005c"', "\\"),
    "y_backslash_as_escape_before_n": (rb'"\u005cn"', "\\n"),
    "y_quote_as_escape": (rb'"\u0022"', '"'),
    "y_surrogate_pair": (rb'"\ud83d\ude00"', "😀"),
    "y_surrogate_pair_highest": (rb'"\udbff\udfff"', "\U0010ffff"),
    "y_escaped_backslash_before_u": (rb'"\\ud83d"', "\\ud83d"),
    "y_noncharacter": ('"\uffff"'.encode(), "\uffff"),
    "y_two_bytes": ('"é"'.encode(), "é"),
    "y_three_bytes": ('"漢"'.encode(), "漢"),
    "y_four_bytes": ('"😀"'.encode(), "😀"),
    "y_delete": (b'"\x7f"', "\x7f"),
    "y_line_separators": ('"\u2028\u2029"'.encode(), "\u2028\u2029"),
    "y_bidi_override": ('"\u202e"'.encode(), "\u202e"),
    "y_bom_within": ('"\ufeff"'.encode(), "\ufeff"),
    "y_brackets_in_text": (b'"' + b"[{" * 100 + b'"', "[{" * 100),
    "y_commas_in_text": (b'"' + b"," * 70_000 + b'"', "," * 70_000),
    "y_comment_in_text": (b'"/* // #"', "/* // #"),
    "y_nan_in_text": (b'"NaN"', "NaN"),
    "y_empty_array": (b"[]", []),
    "y_empty_object": (b"{}", {}),
    "y_blank_array": (b"[ ]", []),
    "y_array": (b'[1,"a",null,true,[],{}]', [1, "a", None, True, [], {}]),
    "y_object": (b'{"a":1,"b":{"a":2}}', {"a": 1, "b": {"a": 2}}),
    "y_empty_key": (b'{"":0}', {"": 0}),
    "y_nul_key": (rb'{"\u0000":0}', {"\0": 0}),
    "y_keys_that_differ_in_case": (b'{"a":1,"A":2}', {"a": 1, "A": 2}),
    "y_keys_that_differ_in_form": ('{"é":1,"e\u0301":2}'.encode(), {"é": 1, "e\u0301": 2}),
    "y_prototype_key": (b'{"__proto__":{"a":1}}', {"__proto__": {"a": 1}}),
    "y_64_deep": (b"[" * 64 + b"]" * 64, json.loads("[" * 64 + "]" * 64)),
    "y_64_deep_of_both": (b'[{"a":' * 32 + b"0" + b"}]" * 32, json.loads('[{"a":' * 32 + "0" + "}]" * 32)),
    "y_wide_and_not_deep": (b"[" + b"[]," * 20_000 + b"[]]", [[]] * 20_001),
    "y_as_many_values_as_may_be": (b"[" + b"0," * 59_998 + b"0]", [0] * 59_999),
}
NO: dict[str, bytes] = {
    "n_nothing": b"",
    "n_blank": b" ",
    "n_nul": b"\0",
    "n_blank_that_json_has_not": b"\x0b1",
    "n_no_break_space": "\u00a01".encode(),
    "n_two_values": b"1 2",
    "n_two_values_with_comma": b"1,2",
    "n_value_and_bracket": b"1]",
    "n_text_and_letter": b'"a"b',
    "n_object_and_comma": b"{},",
    "n_nul_behind": b"{}\0",
    "n_word": b"pijn",
    "n_plus": b"+1",
    "n_minus": b"-",
    "n_minus_blank": b"- 1",
    "n_minus_word": b"-true",
    "n_two_minuses": b"--1",
    "n_plus_minus": b"+-1",
    "n_leading_zero": b"01",
    "n_negative_leading_zero": b"-01",
    "n_two_zeros": b"00",
    "n_no_digit_before_point": b".5",
    "n_no_digit_before_point_negative": b"-.5",
    "n_no_digit_after_point": b"1.",
    "n_point_before_exponent": b"1.e2",
    "n_two_points": b"1.2.3",
    "n_point": b".",
    "n_exponent_alone": b"e2",
    "n_exponent_empty": b"1e",
    "n_exponent_plus_only": b"1e+",
    "n_exponent_of_fraction": b"1e2.5",
    "n_exponent_twice": b"1e2e3",
    "n_hexadecimal": b"0x10",
    "n_octal": b"0o10",
    "n_binary": b"0b10",
    "n_underscore": b"1_000",
    "n_thousands": b"1 000",
    "n_comma_for_point": b"[1,5e]",
    "n_nan": b"NaN",
    "n_minus_nan": b"-NaN",
    "n_infinity": b"Infinity",
    "n_minus_infinity": b"-Infinity",
    "n_inf": b"inf",
    "n_digits_of_another_script": "١٢".encode(),
    "n_full_width_digit": "１".encode(),
    "n_long_integer_mark": b"1L",
    "n_decimal_mark": b"1m",
    "n_true_capital": b"True",
    "n_true_cut": b"tru",
    "n_true_longer": b"truee",
    "n_false_capitals": b"FALSE",
    "n_null_cut": b"nul",
    "n_none": b"None",
    "n_undefined": b"undefined",
    "n_single_quotes": b"'a'",
    "n_backquotes": b"`a`",
    "n_typographic_quotes": "“a”".encode(),
    "n_text_not_closed": b'"a',
    "n_text_not_opened": b'a"',
    "n_quote_alone": b'"',
    "n_three_quotes": b'"""',
    "n_quote_escaped_at_end": rb'"a\"',
    "n_backslash_at_end": b'"\\',
    "n_escape_x": rb'"\x41"',
    "n_escape_capital_u": rb'"\U00000041"',
    "n_escape_zero": rb'"\0"',
    "n_escape_apostrophe": rb'"\'"',
    "n_escape_a": rb'"\a"',
    "n_escape_v": rb'"\v"',
    "n_escape_blank": b'"\\ "',
    "n_escape_line_break": b'"\\\n"',
    "n_unicode_escape_short": rb'"\u00"',
    "n_unicode_escape_no_hex": rb'"\u00g0"',
    "n_unicode_escape_braces": rb'"\u{41}"',
    "n_unicode_escape_blank": rb'"\u 041"',
    "n_unicode_escape_plus": rb'"\u+041"',
    "n_nul_in_text": b'"\0"',
    "n_tab_in_text": b'"\t"',
    "n_line_break_in_text": b'"\n"',
    "n_carriage_return_in_text": b'"\r"',
    "n_escape_character_in_text": b'"\x1b[31m"',
    "n_unit_separator_in_text": b'"\x1f"',
    "n_tab_in_key": b'{"\t":1}',
    "n_utf8_stray_byte": b'"\x80"',
    "n_utf8_cut": b'"\xc3"',
    "n_utf8_cut_at_three": b'"\xe2\x82"',
    "n_utf8_too_long_slash": b'"\xc0\xaf"',
    "n_utf8_too_long_nul": b'"\xc0\x80"',
    "n_utf8_too_long_of_three": b'"\xe0\x80\xaf"',
    "n_utf8_surrogate": b'"\xed\xa0\x80"',
    "n_utf8_surrogate_pair": b'"\xed\xa0\xbd\xed\xb8\x80"',
    "n_utf8_beyond_unicode": b'"\xf4\x90\x80\x80"',
    "n_utf8_five_bytes": b'"\xf8\x88\x80\x80\x80"',
    "n_utf8_ff": b'"\xff"',
    "n_utf8_outside_text": b"[\xe9]",
    "n_latin_1": '"é"'.encode("latin-1"),
    "n_utf_16": '"a"'.encode("utf-16"),
    "n_utf_16_little": b'"\0a\0"\0',
    "n_utf_16_big": b'\0"\0a\0"',
    "n_utf_32": '"a"'.encode("utf-32"),
    "n_utf_7": b"+ACI-a+ACI-",
    "n_array_not_closed": b"[1",
    "n_array_not_opened": b"1]",
    "n_array_closed_twice": b"[1]]",
    "n_array_closed_as_object": b"[1}",
    "n_array_comma_at_end": b"[1,]",
    "n_array_comma_at_start": b"[,1]",
    "n_array_comma_alone": b"[,]",
    "n_array_two_commas": b"[1,,2]",
    "n_array_no_comma": b"[1 2]",
    "n_array_semicolon": b"[1;2]",
    "n_array_colon": b"[1:2]",
    "n_array_key": b'["a":1]',
    "n_array_spread": b"[...a]",
    "n_object_not_closed": b'{"a":1',
    "n_object_not_opened": b'"a":1}',
    "n_object_closed_as_array": b'{"a":1]',
    "n_object_closed_twice": b'{"a":1}}',
    "n_object_comma_at_end": b'{"a":1,}',
    "n_object_comma_at_start": b'{,"a":1}',
    "n_object_two_commas": b'{"a":1,,"b":2}',
    "n_object_no_comma": b'{"a":1 "b":2}',
    "n_object_semicolon": b'{"a":1;"b":2}',
    "n_object_no_colon": b'{"a" 1}',
    "n_object_two_colons": b'{"a"::1}',
    "n_object_equals": b'{"a"=1}',
    "n_object_arrow": b'{"a"=>1}',
    "n_object_no_value": b'{"a":}',
    "n_object_key_only": b'{"a"}',
    "n_object_value_only": b"{1}",
    "n_object_key_bare": b"{a:1}",
    "n_object_key_number": b"{1:1}",
    "n_object_key_null": b"{null:1}",
    "n_object_key_single_quotes": b"{'a':1}",
    "n_object_key_array": b"{[]:1}",
    "n_comment_line": b"1//a",
    "n_comment_block": b"/**/1",
    "n_comment_hash": b"1 # a",
    "n_comment_within": b'{"a"/**/:1}',
    "n_function": b"f(1)",
    "n_callback": b"callback({})",
    "n_guard": b")]}',\n{}",
    "n_assignment": b"a={}",
    "n_xml": b"<a/>",
    "n_html": b"<!doctype html>",
    "n_yaml": b"a: 1",
    "n_form": b"a=1&b=2",
    "n_several_lines": b"{}\n{}",
    "n_record_separator": b"\x1e{}",
    "n_gzip": b"\x1f\x8b\x08\x00\x00\x00\x00\x00",
    "n_cbor": b"\xa1\x61\x61\x01",
    "n_only_open": b"[" * 100_000,
    "n_only_closed": b"]" * 100_000,
    "n_open_objects": b'{"a":' * 100_000,
    "n_quotes": b'"' * 99_999,
    "n_backslashes": b'"' + b"\\" * 99_999,
    "n_escaped_quotes_without_end": b'"' + b'\\"' * 50_000,
    "n_escaped_quotes_outside": b'\\"' * 50_000,
}
OPEN: dict[str, bytes] = {
    "i_byte_order_mark": b"\xef\xbb\xbf{}",
    "i_key_twice": b'{"a":1,"a":1}',
    "i_key_twice_escaped": rb'{"a":1,"\u0061":2}',
    "i_key_twice_deep": b'[[{"b":{"a":1,"c":0,"a":2}}]]',
    "i_empty_key_twice": b'{"":1,"":1}',
    "i_high_surrogate": rb'"\ud800"',
    "i_high_surrogate_and_letter": rb'"\ud800a"',
    "i_high_surrogate_and_escape": rb'"\ud800\n"',
    "i_high_surrogate_twice": rb'"\ud800\ud800"',
    "i_low_surrogate": rb'"\udc00"',
    "i_surrogates_turned": rb'"\udc00\ud800"',
    "i_surrogate_in_key": rb'{"\udead":1}',
    "i_number_beyond_doubles": b"1e309",
    "i_number_beyond_doubles_negative": b"-1e309",
    "i_exponent_huge": b"1e99999999999",
    "i_integer_of_310_digits": b"9" * 310,
    "i_integer_of_5000_digits": b"9" * 5000,
    "i_integer_of_5000_digits_deep": b'{"a":[-' + b"9" * 5000 + b"]}",
    "i_65_deep": b"[" * 65 + b"]" * 65,
    "i_65_deep_objects": b'{"a":' * 65 + b"0" + b"}" * 65,
    "i_65_deep_behind_text": rb'["\"[",' + b"[" * 64 + b"]" * 64 + b"]",
    "i_one_value_too_many": b"[" + b"0," * 59_999 + b"0]",
    "i_one_member_too_many": b"{" + b",".join(b'"%d":0' % n for n in range(60_000)) + b"}",
}


def test_there_are_150_vectors_and_more() -> None:
    assert len(YES) + len(NO) + len(OPEN) >= 240
    assert all(name.startswith("y_") for name in YES)
    assert all(name.startswith("n_") for name in NO)
    tell("vectors of JSON", read=len(YES), refused=len(NO) + len(OPEN))


@pytest.mark.parametrize(("body", "value"), YES.values(), ids=YES)
def test_what_is_json_is_read(body: bytes, value: Any) -> None:
    read = strict_json.read(body)
    assert (read, type(read)) == (value, strict_json.Number if isinstance(value, float) else type(value))


@pytest.mark.parametrize("body", (NO | OPEN).values(), ids=NO | OPEN)
def test_what_is_no_json_or_is_read_in_two_ways_is_refused(body: bytes) -> None:
    with pytest.raises(BadRequest, match=r"^body: "):
        strict_json.read(body)


def _read(body: bytes) -> Any:
    """What is read, or BadRequest; any other error is raised."""
    try:
        return strict_json.read(body)
    except BadRequest as refusal:
        return refusal


# Bytes that look like JSON from afar: its marks, in any order, with any bytes between them.
MARKS = st.sampled_from(
    [b"[", b"]", b"{", b"}", b'"', b"\\", b",", b":", b"\\u", b"d8", b"0", b"-", b"e", b".", b"true", b"null", b" "]
)
ALMOST = st.lists(MARKS | st.binary(max_size=4), max_size=40).map(b"".join)


@given(body=ALMOST | st.binary(max_size=200) | st.text(max_size=80).map(str.encode))
@settings(max_examples=times(500, 20_000), derandomize=not FULL, deadline=None)
def test_any_bytes_are_read_as_every_reader_does_or_refused(body: bytes) -> None:
    read = _read(body)
    if not isinstance(read, BadRequest):
        assert json.loads(body) == read
        assert strict_json.read(json.dumps(read, sort_keys=True).encode()) == read


@given(value=ANY_JSON, place=st.integers(0), byte=st.binary(min_size=0, max_size=2), ascii_only=st.booleans())
@settings(max_examples=times(500, 20_000), derandomize=not FULL, deadline=None)
def test_json_with_a_byte_changed_is_read_as_every_reader_does_or_refused(
    value: Any, place: int, byte: bytes, ascii_only: bool
) -> None:
    body = json.dumps(value, ensure_ascii=ascii_only).encode()
    at = place % (len(body) + 1)
    read = _read(body[:at] + byte + body[at + len(byte) :])
    if not isinstance(read, BadRequest):
        assert json.loads(body[:at] + byte + body[at + len(byte) :]) == read
