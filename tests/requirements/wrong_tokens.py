"""Tokens that are wrong in one way each, and what is wrong with them.

A wrong header or set of claims is given as what is changed in a right one, so that only that can be the reason.
"""

import json
from collections.abc import Callable
from typing import Any

from cryptography.hazmat.primitives.asymmetric import ed25519
from cryptography.hazmat.primitives.asymmetric.utils import encode_dss_signature
from cryptography.hazmat.primitives.serialization import Encoding

from tests.conftest import SERVICE
from tests.requirements.callers import DISCOVERY, FEEDBACK, HOOK, OTHERS_ISSUER, bearer
from tests.tokens import (
    EHR,
    EHR_RSA,
    ISSUER,
    OTHER,
    PUBLIC,
    STRANGER,
    Json,
    KeyPair,
    base64url,
    claims,
    elliptic,
    header,
    key_set,
    rivest,
    seconds,
    token,
    unsigned,
)
from tests.wire import ABSENT

# Keys that stand in the set of the client, and yet may not sign for it.
P256 = elliptic("p-256", "P-256", "ES256")
P521 = elliptic("p-521", "P-521", "ES512")
ENCRYPTS = elliptic("encrypts")
WRAPS = elliptic("wraps")
SIGNS_ONLY = elliptic("signs-only")
SHORT = rivest("short", 1024)
RS256 = rivest("rs-256", alg="RS256")
EDWARDS = KeyPair("edwards", "EdDSA", ed25519.Ed25519PrivateKey.generate())
SET = key_set(
    *(key.jwk() for key in (EHR, P256, P521, SHORT, RS256, EDWARDS)),
    EHR_RSA.jwk(alg=ABSENT),  # so that it is the service that says which algorithms count
    ENCRYPTS.jwk(use="enc"),
    WRAPS.jwk(use=ABSENT, key_ops=["wrapKey"]),
    SIGNS_ONLY.jwk(use=ABSENT, key_ops=["sign"]),
)

NONES = [
    *("none", "None", "NONE", "nOnE", "NonE", "noNe", "nONE", " none", "none ", "none\t", ""),
    *("n\N{CYRILLIC SMALL LETTER O}ne", "\N{FULLWIDTH LATIN SMALL LETTER N}one"),
]
OUR_COPIES: dict[str, bytes] = {
    "PEM": EHR.pem(),
    "PEM without its last line end": EHR.pem().rstrip(),
    "PEM of the RSA key": EHR_RSA.pem(),
    "DER": EHR.spki(Encoding.DER),
    "DER of the RSA key": EHR_RSA.spki(Encoding.DER),
    "JWK": json.dumps(EHR.jwk()).encode(),
    "compact JWK": json.dumps(EHR.jwk(), separators=(",", ":")).encode(),
    "the coordinate x": EHR.jwk()["x"].encode(),
    "the modulus": EHR_RSA.jwk()["n"].encode(),
    "the file": SET.encode(),
    "nothing": b"",
}


def _signed_with(signature: bytes, key: KeyPair = EHR) -> str:
    return f"Bearer {unsigned(header(key), claims(HOOK))}.{base64url(signature)}"


def _as(alg: str, key: KeyPair) -> str:
    """Signed by the algorithm that the header names, and by a key that the client has for another."""
    return f"Bearer {token(header(key, alg=alg), claims(HOOK), key, alg)}"


_ORDER = 0xFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFC7634D81F4372DDF581A0DB248B0A77AECEC196ACCC52973  # of P-384
_N = _ORDER.to_bytes(48, "big")
_ONE = (1).to_bytes(48, "big")
SIGNATURES: dict[str, str] = {
    "nobody's key under the kid of the client's": bearer(key=STRANGER),
    "the key of another client, under its own kid": bearer(key=OTHER),
    "the key of another client, under the kid of this one": bearer(key=OTHER, head={"kid": EHR.kid}),
    "our key in the name of another client": bearer(iss=OTHERS_ISSUER),
    "zeros": _signed_with(bytes(96)),
    "r = 0": _signed_with(bytes(48) + _ONE),
    "s = 0": _signed_with(_ONE + bytes(48)),
    "r = s = 1": _signed_with(_ONE * 2),
    "r = s = the order of the curve": _signed_with(_N * 2),
    "zeros for RSA": _signed_with(bytes(256), EHR_RSA),
    "one for RSA": _signed_with((1).to_bytes(256, "big"), EHR_RSA),
    "one byte": _signed_with(b"\0"),
    "of a shorter curve": _signed_with(bytes(64)),
    "in DER": _signed_with(encode_dss_signature(1, 1)),
    "P-256, whose key the client publishes as well": _as("ES256", P256),
    "P-256 called ES384": _as("ES384", P256),
    "P-521, whose key the client publishes as well": _as("ES512", P521),
    "P-521 called ES384": _as("ES384", P521),
    "secp256k1": _as("ES256K", EHR),
    "Ed25519": _as("EdDSA", EDWARDS),
    "RSA, called ES384": _as("ES384", EHR_RSA),
    "EC, called RS384": _as("RS384", EHR),
    "RS256 by the right key": _as("RS256", EHR_RSA),
    "RS512 by the right key": _as("RS512", EHR_RSA),
    "PS384 by the right key": _as("PS384", EHR_RSA),
    "PS384 called RS384": f"Bearer {token(header(EHR_RSA), claims(HOOK), EHR_RSA, 'PS384')}",
    "a key for RS256 only": _as("RS384", RS256),
    "a key of 1024 bits": bearer(key=SHORT),
    "a key that only encrypts": bearer(key=ENCRYPTS),
    "a key that only wraps keys": bearer(key=WRAPS),
    "a key that does not verify": bearer(key=SIGNS_ONLY),
    "alg in small letters": _as("es384", EHR),
}

WRONG_HEADERS: dict[str, Json] = {
    **{f"no {name}": {name: ABSENT} for name in ("alg", "typ", "kid")},
    **{f"{name} null": {name: None} for name in ("alg", "typ", "kid", "jku")},
    **{f"{name} in an array": {name: [header()[name]]} for name in ("alg", "typ", "kid")},
    "alg a number": {"alg": 384},
    "alg true": {"alg": True},
    "typ in small letters": {"typ": "jwt"},
    "typ of an access token": {"typ": "at+jwt"},
    "typ of a JOSE object": {"typ": "JOSE"},
    "an unknown kid": {"kid": "ehr-9"},
    "an empty kid": {"kid": ""},
    "a kid in other letters": {"kid": EHR.kid.upper()},
    "a kid with a space": {"kid": f"{EHR.kid} "},
    "a kid that is a path": {"kid": "../ehr.json"},
    "a kid that is SQL": {"kid": "x' OR '1'='1"},
    "a kid of 300 characters": {"kid": "k" * 300},
    "a kid of the right name in an object": {"kid": {"kid": EHR.kid}},
    "a jku where a file was agreed": {"jku": "https://ehr.example/jwks.json"},
    "a jku that names the file": {"jku": "ehr.json"},
    "an empty jku": {"jku": ""},
    "a jku in an array": {"jku": ["https://ehr.example/jwks.json"]},
    "its own key": {"jwk": EHR.jwk()},
    "its own key, null": {"jwk": None},
    "the address of a certificate": {"x5u": "https://ehr.example/certificate.pem"},
    "a certificate": {"x5c": ["MIIB"]},
    "an empty crit": {"crit": []},
    "a known member as crit": {"crit": ["exp"]},
    "an unknown member as crit": {"crit": ["ours"], "ours": 1},
    "a claim set that is not encoded": {"crit": ["b64"], "b64": False},
    "a claim set that is not encoded, without crit": {"b64": False},
}

REQUIRED = ("iss", "aud", "exp", "iat", "jti")
WRONG_CLAIMS: dict[str, Json] = {
    **{f"no {name}": {name: ABSENT} for name in REQUIRED},
    **{f"{name} null": {name: None} for name in (*REQUIRED, "nbf", "tenant")},
    **{f"{name} true": {name: True} for name in (*REQUIRED, "nbf", "tenant")},
    **{f"{name} an object": {name: {}} for name in (*REQUIRED, "nbf", "tenant")},
    **{f"{name} as text": {name: str(seconds(100))} for name in ("exp", "iat", "nbf")},
    **{f"{name} empty": {name: ""} for name in ("iss", "aud", "jti", "tenant")},
}
WRONG_ISSUERS: dict[str, Json] = {
    "unknown": {"iss": "https://nobody.example"},
    "with a slash": {"iss": f"{ISSUER}/"},
    "in capitals": {"iss": ISSUER.upper()},
    "the beginning": {"iss": ISSUER[:-1]},
    "in an array": {"iss": [ISSUER]},
    "a name of ours": {"iss": "ehr"},
    "the mode without authentication": {"iss": "development"},
}
WRONG_TENANTS: dict[str, Json] = {
    "of nobody": {"tenant": "hospital-b"},
    "in capitals": {"tenant": "HOSPITAL-A"},
    "in an array": {"tenant": ["hospital-a"]},
    "a number": {"tenant": 1},
    "of a client that has none": {"iss": OTHERS_ISSUER, "tenant": "hospital-a"},
}
WRONG_JTIS: dict[str, Json] = {
    "too long": {"jti": "j" * 256},
    "a number": {"jti": 7},
    "in an array": {"jti": ["j"]},
    "with a line end": {"jti": "j\nj"},
    "with a NUL": {"jti": "j\0"},
}
WRONG_TIMES: dict[str, Json] = {
    "expired a minute ago": {"exp": seconds(-60), "iat": seconds(-300)},
    "expired ten minutes ago": {"exp": seconds(-600), "iat": seconds(-900)},
    "expires in milliseconds": {"exp": seconds(300) * 1000},
    "expires never": {"exp": 10**300},
    "expires beyond all numbers": {"exp": 10**400},
    "expires before 1970": {"exp": -1, "iat": -300},
    "ends 361 s ahead": {"exp": seconds(361), "iat": seconds(60)},
    "lives for 361 s": {"exp": seconds(300), "iat": seconds(-61)},
    "lives for an hour, as only another client may": {"exp": seconds(3600)},
    "lives for more than that client's hour": {"exp": seconds(3661), "iat": seconds(60), "iss": OTHERS_ISSUER},
    "lives for ten years": {"exp": seconds(3.2e8), "iat": seconds(-10)},
    "issued after it expires": {"exp": seconds(10), "iat": seconds(20)},
    "issued as it expires": {"exp": seconds(10), "iat": seconds(10)},
    "issued 61 s ahead": {"iat": seconds(61)},
    "issued an hour ahead": {"iat": seconds(3600), "exp": seconds(3900)},
    "issued in milliseconds": {"iat": seconds() * 1000},
    "issued in 1970": {"iat": 0},
    "valid from 61 s ahead": {"nbf": seconds(61)},
}

WRONG_AUDIENCES: dict[str, Any] = {
    "discovery": DISCOVERY,
    "the feedback": FEEDBACK,
    "another service": f"{PUBLIC}/cds-services/low-back-pain-order-sign",
    "the service alone": PUBLIC,
    "the path alone": SERVICE,
    "with a slash": f"{HOOK}/",
    "with a query": f"{HOOK}?a=b",
    "with a fragment": f"{HOOK}#a",
    "with the port": HOOK.replace(".org", ".org:443"),
    "over http": HOOK.replace("https", "http"),
    "in capitals": HOOK.upper(),
    "with a user": HOOK.replace("https://", "https://a@"),
    "another host": HOOK.replace("cds.example.org", "localhost"),
    "the beginning": HOOK[:-1],
    "more than it": f"{HOOK}-2",
    "two in one text": f"{HOOK} {DISCOVERY}",
    "an empty array": [],
    "an array of others": [DISCOVERY, FEEDBACK],
    "an array with a number": [HOOK, 1],
    "an array with null": [None, HOOK],
    "an array in an array": [[HOOK]],
    "an object": {"url": HOOK},
    "any": "*",
}


def _raw(head: bytes | None = None, body: bytes | None = None) -> str:
    """A token whose header or claims stand as they are, rightly signed."""
    right = json.dumps(header()).encode(), json.dumps(claims(HOOK)).encode()
    return f"Bearer {token(right[0] if head is None else head, right[1] if body is None else body)}"


def _twice(value: Json, name: str, other: Any) -> bytes:
    """JSON with one name twice."""
    return json.dumps(value)[:-1].encode() + b"," + json.dumps({name: other})[1:].encode()


def _spelt(change: Callable[[str], str], part: int) -> str:
    parts = token(header(), claims(HOOK)).split(".")
    parts[part] = change(parts[part])
    return f"Bearer {'.'.join(parts)}"


_DEEP = b'{"a":' * 1_400 + b"1" + b"}" * 1_400
DAMAGED: dict[str, str] = {
    "nothing": "",
    "the scheme alone": "Bearer",
    "the scheme and a space": "Bearer ",
    "the token alone": bearer().removeprefix("Bearer "),
    "small letters": bearer().replace("Bearer", "bearer"),
    "capitals": bearer().replace("Bearer", "BEARER"),
    "another scheme": bearer().replace("Bearer", "Basic"),
    "another scheme of a token": bearer().replace("Bearer", "JWT"),
    "two spaces": bearer().replace(" ", "  "),
    "a tab": bearer().replace(" ", "\t"),
    "a space before": f" {bearer()}",
    "a space after": f"{bearer()} ",
    "a comma after": f"{bearer()},",
    "two tokens": f"{bearer()} {bearer()}",
    "two headers in one": f"{bearer()}, {bearer()}",
    "a header and a parameter": f'{bearer()}, realm="x"',
    "in quotes": f'Bearer "{bearer().removeprefix("Bearer ")}"',
    "two parts": bearer().rpartition(".")[0],
    "four parts": f"{bearer()}.AAAA",
    "five parts, as when encrypted": f"{bearer()}.AAAA.AAAA",
    "no header": _spelt(lambda _: "", 0),
    "no claims": _spelt(lambda _: "", 1),
    "dots": "Bearer ..",
    "JSON in place of the token": "Bearer " + json.dumps({"payload": "", "signatures": []}),
    "padded header": _spelt(lambda part: part + "=" * (-len(part) % 4 or 4), 0),
    "padded claims": _spelt(lambda part: part + "=" * (-len(part) % 4 or 4), 1),
    "padded signature": _spelt(lambda part: f"{part}====", 2),
    "other letters in the signature": _spelt(lambda part: f"+/{part[2:]}", 2),
    "a space in the signature": _spelt(lambda part: f"{part[:9]} {part[9:]}", 2),
    "a percent sign in the signature": _spelt(lambda part: f"%41{part[1:]}", 2),
    "an odd letter in the header": _spelt(lambda part: f"{part}A" if len(part) % 4 == 0 else f"{part}AAA", 0),
    "9 KB": bearer(filling="x" * 6_700),
    "a megabyte": bearer(filling="x" * 800_000),
    "a header 1,400 deep": _raw(head=b'{"alg":"ES384","typ":"JWT","kid":"ehr-1","a":' + _DEEP + b"}")[:8_000],
    "a header 100 deep": bearer(head={"a": json.loads("[" * 100 + "]" * 100)}),
    "claims 100 deep": bearer(a=json.loads("[" * 100 + "]" * 100)),
    "a number of 5,000 digits": _raw(body=b'{"exp":' + b"9" * 5_000 + b"}"),
    "NaN": _raw(body=json.dumps(claims(HOOK) | {"nbf": float("nan")}).encode()),
    "Infinity": _raw(body=json.dumps(claims(HOOK) | {"nbf": float("-inf")}).encode()),
    "a number beyond all numbers": _raw(body=_twice(claims(HOOK), "a", 1).replace(b'"a": 1', b'"a": 1e999')),
    "claims in UTF-16": _raw(body=json.dumps(claims(HOOK)).encode("utf-16")),
    "a header in UTF-16": _raw(head=json.dumps(header()).encode("utf-16-le")),
    "a byte order mark": _raw(body=b"\xef\xbb\xbf" + json.dumps(claims(HOOK)).encode()),
    "bytes that are no UTF-8": _raw(body=json.dumps(claims(HOOK))[:-1].encode() + b',"a":"\xff"}'),
    "half a character": _raw(body=json.dumps(claims(HOOK) | {"a": "\ud800"}).encode()),
    "half a character in the kid": _raw(head=json.dumps(header(kid="\ud800")).encode()),
    "kid twice": _raw(head=_twice(header(kid="x"), "kid", EHR.kid)),
    "alg twice": _raw(head=_twice(header(alg="none"), "alg", "ES384")),
    "aud twice": _raw(body=_twice(claims(DISCOVERY), "aud", HOOK)),
    "exp twice": _raw(body=_twice(claims(HOOK, exp=seconds(-900)), "exp", seconds(300))),
    "a header that is an array": _raw(head=json.dumps([header()]).encode()),
    "a header that is text": _raw(head=b'"ES384"'),
    "a header that is null": _raw(head=b"null"),
    "claims that are an array": _raw(body=json.dumps([claims(HOOK)]).encode()),
    "claims that are a number": _raw(body=b"1"),
    "claims that are null": _raw(body=b"null"),
    "claims that are a token": _raw(body=token(header(), claims(HOOK)).encode()),
    "claims with more behind": _raw(body=json.dumps(claims(HOOK)).encode() + b"{}"),
    "claims with a comment": _raw(body=b"/**/" + json.dumps(claims(HOOK)).encode()),
    "claims that are cut off": _raw(body=json.dumps(claims(HOOK)).encode()[:-1]),
    "bytes": _raw(head=bytes(range(256)), body=bytes(range(256))),
}
