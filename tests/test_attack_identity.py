"""Attacks on who calls: forged and damaged tokens, tokens used twice, and servers of keys that are bad or away.

Nothing is accepted that the client did not sign for this call, nothing is an error of ours, and nobody learns why not.
"""

import json
import statistics
import time
from base64 import urlsafe_b64decode
from collections.abc import Callable, Iterator
from contextlib import closing
from dataclasses import dataclass
from datetime import datetime, timedelta
from multiprocessing import get_context
from multiprocessing.connection import Connection
from pathlib import Path
from socket import create_server
from threading import Event, Thread
from typing import Any
from uuid import uuid4

import pytest
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec, rsa
from cryptography.hazmat.primitives.asymmetric.utils import Prehashed, decode_dss_signature, encode_dss_signature
from flask.testing import FlaskClient
from sqlalchemy import insert
from werkzeug.test import TestResponse

from cds_content.screening import Screening
from cds_service.auth import LEEWAY, Identify, authenticator
from cds_service.clients import Client
from cds_service.errors import NotAuthenticated
from cds_service.jwks import UnusableSet, usable
from cds_service.store import first_use, open_store, seen_tokens
from cds_service.store.database import digest
from tests.attack import FULL, tell, times
from tests.conftest import SERVICE
from tests.ehr import connections
from tests.identity_worker import ADDRESS, THREADS, use
from tests.requirements.callers import (
    CLIENTS,
    FEEDBACK,
    HOOK,
    OTHERS_ISSUER,
    Clock,
    Publisher,
    ask,
    bearer,
    identify_in,
    is_accepted,
    is_refused,
    publisher,
    service_in,
)
from tests.requirements.test_security import RIGHT
from tests.requirements.wrong_tokens import (
    DAMAGED,
    NONES,
    OUR_COPIES,
    SET,
    SIGNATURES,
    WRONG_AUDIENCES,
    WRONG_CLAIMS,
    WRONG_HEADERS,
    WRONG_ISSUERS,
    WRONG_JTIS,
    WRONG_TENANTS,
    WRONG_TIMES,
)
from tests.tokens import (
    EHR,
    EHR_RSA,
    ISSUER,
    NOW,
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
    keyed,
    rivest,
    seconds,
    token,
    unsigned,
)
from tests.wire import refusal_of

pytestmark = [
    pytest.mark.filterwarnings("ignore:Key size should be"),  # of the key SHORT: joserfc warns, we refuse
    pytest.mark.timeless,  # nothing in it is dated
]
ALPHABET = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_"
NEW = elliptic("ehr-3")


# --------------------------------------------------------------------------------------------------- forged and damaged


def forged(canary: str = "https://canary.example/jwks.json") -> dict[str, str]:
    """Authorization headers that no client sent as they are; `canary` is where some of them say that their keys are."""
    text = unsigned(header(), claims(HOOK))
    return {
        **DAMAGED,
        **SIGNATURES,
        **{f"header: {name}": bearer(head=one) for name, one in WRONG_HEADERS.items()},
        **{f"claims: {name}": bearer(**one) for name, one in (WRONG_CLAIMS | WRONG_ISSUERS | WRONG_JTIS).items()},
        **{f"aud: {name}": bearer(aud) for name, aud in WRONG_AUDIENCES.items()},
        **{f"tenant: {name}": bearer(key=_signer(one), **one) for name, one in WRONG_TENANTS.items()},
        **{f"time: {name}": bearer(key=_signer(one), **one) for name, one in WRONG_TIMES.items()},
        **{
            f"alg {alg!r} with {kind}": f"Bearer {unsigned(header(alg=alg), claims(HOOK))}.{signature}"
            for alg in NONES
            for kind, signature in {"nothing": "", "a byte": "AA", "ours": base64url(EHR.sign(text.encode()))}.items()
        },
        **{
            f"{alg} with {name} of {key.alg}": f"Bearer {keyed(header(key, alg=alg), claims(HOOK), secret)}"
            for alg in ("HS256", "HS384", "HS512")
            for name, secret in OUR_COPIES.items()
            for key in (EHR, EHR_RSA)
        },
        **{
            f"keys at an address, by {name} with {key.kid}": bearer(key=key, head={name: value})
            for name, value in {"jku": canary, "x5u": canary, "x5c": [canary], "jwk": STRANGER.jwk()}.items()
            for key in (EHR, STRANGER)
        },
    }


def _signer(changed: Json) -> KeyPair:
    return OTHER if "iss" in changed else EHR


def test_of_all_forged_tokens_none_is_accepted_and_nobody_is_called(screening: Screening, tmp_path: Path) -> None:
    (tmp_path / "ehr.json").write_text(SET, "utf-8")
    service, addresses = service_in(screening, tmp_path), times(1, 3)
    with publisher() as canary, connections() as called:
        wrong = forged(canary.address)
        answers = [
            (name, ask(service, authorization, path))
            for path in (SERVICE, "/cds-services/low-back-pain-encounter-start", ADDRESS)[:addresses]
            for name, authorization in wrong.items()
        ]
        assert (called, canary.asked) == ([], 0)

    accepted = [name for name, answer in answers if answer.status_code != 401]
    bodies, failed = {answer.get_data() for _, answer in answers}, [one for one in answers if one[1].status_code >= 500]
    tell("forged tokens", tried=len(answers), accepted=len(accepted), server_errors=len(failed), bodies=len(bodies))
    assert len(wrong) >= 300
    assert accepted == []
    assert len(bodies) == 1
    for right in RIGHT.values():
        is_accepted(ask(service, right))


@pytest.fixture(scope="module", name="identify")
def _identify(tmp_path_factory: pytest.TempPathFactory) -> Identify:
    """The authentication alone, where no token counts as used: so a wrong token that is accepted twice shows."""
    folder = tmp_path_factory.mktemp("clients")
    (folder / "ehr.json").write_text(key_set(EHR.jwk(), EHR_RSA.jwk(), _THREE.jwk(), _LONG.jwk()), "utf-8")
    identify_in(folder)
    return authenticator(CLIENTS, folder, lambda *_: True)


def accepts(identify: Identify, authorization: str) -> bool:
    try:
        identify(authorization, HOOK, NOW)
    except NotAuthenticated:
        return False
    return True


@pytest.mark.parametrize("key", [EHR, EHR_RSA], ids=["ES384", "RS384"])
def test_a_token_in_which_any_letter_is_another_is_refused(identify: Identify, key: KeyPair) -> None:
    right = bearer(key=key)
    others = [*ALPHABET, *"+/=. ", "\N{KELVIN SIGN}", "\x00"]
    tried = accepted = 0
    for place, letter in enumerate(right):
        near = others if FULL else [others[(place + step) % len(others)] for step in (0, 7, 23)]
        for other in {*near, letter.swapcase()} - {letter}:
            tried += 1
            accepted += accepts(identify, right[:place] + other + right[place + 1 :])
    tell(f"letters of a token changed, {key.alg}", tried=tried, accepted=accepted)
    assert accepted == 0
    assert accepts(identify, right)


@pytest.mark.parametrize("key", [EHR, EHR_RSA], ids=["ES384", "RS384"])
def test_a_signature_in_which_any_bit_is_another_is_refused(identify: Identify, key: KeyPair) -> None:
    text, _, signature = token(header(key), claims(HOOK), key).rpartition(".")
    bits = urlsafe_b64decode(f"{signature}==")
    for bit in range(0, len(bits) * 8, times(7, 1)):
        changed = bytearray(bits)
        changed[bit // 8] ^= 1 << bit % 8
        assert not accepts(identify, f"Bearer {text}.{base64url(bytes(changed))}"), bit
    assert accepts(identify, f"Bearer {text}.{signature}")


# -------------------------------------------------------------------- signatures as RFC 7515 and 7518 do not allow them

_THREE = KeyPair("three", "RS384", rsa.generate_private_key(3, 2048))  # whose cube roots can be guessed
_LONG = rivest("long", 3072)
_ORDER = 0xFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFC7634D81F4372DDF581A0DB248B0A77AECEC196ACCC52973  # of P-384
_SHA384 = bytes.fromhex("3041300d060960864801650304020205000430")  # DigestInfo, RFC 8017, 9.2


def _pair(data: bytes) -> tuple[int, int]:
    return int.from_bytes(data[:48], "big"), int.from_bytes(data[48:], "big")


def _joined(r: int, s: int, size: int = 48) -> bytes:
    return r.to_bytes(size, "big") + s.to_bytes(size, "big")


def _ecdsa(text: bytes, hashed: hashes.HashAlgorithm) -> bytes:
    assert isinstance(EHR.private, ec.EllipticCurvePrivateKey)
    return _joined(*decode_dss_signature(EHR.private.sign(text, ec.ECDSA(hashed))))


def _of_hash(text: bytes) -> bytes:
    """The right key, over a hash that was cut to 32 bytes."""
    assert isinstance(EHR.private, ec.EllipticCurvePrivateKey)
    cut = _sha384(text)[:32]
    return _joined(*decode_dss_signature(EHR.private.sign(cut, ec.ECDSA(Prehashed(hashes.SHA256())))))


def _sha384(text: bytes) -> bytes:
    hashed = hashes.Hash(hashes.SHA384())
    hashed.update(text)
    return hashed.finalize()


def _cube_root(text: bytes) -> bytes:
    """A number whose cube begins as a right signature does, with anything behind the hash (RFC 8017, 8.2.2)."""
    start = b"\0\1" + b"\xff" * 8 + b"\0" + _SHA384 + _sha384(text)
    least = int.from_bytes(start + bytes(256 - len(start)), "big")
    low, high = 0, 1 << 700
    while low < high:
        middle = (low + high) // 2
        low, high = (middle + 1, high) if middle**3 < least else (low, middle)
    assert (low**3).to_bytes(256, "big").startswith(start)
    return low.to_bytes(256, "big")


# Each row: whose key the header names, and what stands for the signature of the text.
VECTORS: dict[str, tuple[KeyPair, Callable[[bytes], bytes]]] = {
    "ES384, in DER": (EHR, lambda text: encode_dss_signature(*_pair(EHR.sign(text)))),
    "ES384, r and s the other way round": (EHR, lambda text: EHR.sign(text)[48:] + EHR.sign(text)[:48]),
    "ES384, a byte short": (EHR, lambda text: EHR.sign(text)[:-1]),
    "ES384, a byte short at the front": (EHR, lambda text: EHR.sign(text)[1:]),
    "ES384, a byte more": (EHR, lambda text: EHR.sign(text) + b"\0"),
    "ES384, a zero byte before": (EHR, lambda text: b"\0" + EHR.sign(text)),
    "ES384, both numbers a byte longer": (EHR, lambda text: _joined(*_pair(EHR.sign(text)), size=49)),
    "ES384, both numbers as long as those of P-521": (EHR, lambda text: _joined(*_pair(EHR.sign(text)), size=66)),
    "ES384, r = 0": (EHR, lambda text: bytes(48) + EHR.sign(text)[48:]),
    "ES384, s = 0": (EHR, lambda text: EHR.sign(text)[:48] + bytes(48)),
    "ES384, both 0": (EHR, lambda _: bytes(96)),
    "ES384, r the order": (EHR, lambda text: _ORDER.to_bytes(48, "big") + EHR.sign(text)[48:]),
    "ES384, s the order": (EHR, lambda text: EHR.sign(text)[:48] + _ORDER.to_bytes(48, "big")),
    "ES384, both the order": (EHR, lambda _: _joined(_ORDER, _ORDER)),
    "ES384, both one less": (EHR, lambda _: _joined(_ORDER - 1, _ORDER - 1)),
    "ES384, both 1": (EHR, lambda _: _joined(1, 1)),
    "ES384, all ones": (EHR, lambda _: b"\xff" * 96),
    "ES384, r negative": (EHR, lambda text: _joined(_ORDER - _pair(EHR.sign(text))[0], _pair(EHR.sign(text))[1])),
    "ES384, over SHA-256": (EHR, lambda text: _ecdsa(text, hashes.SHA256())),
    "ES384, over SHA-512": (EHR, lambda text: _ecdsa(text, hashes.SHA512())),
    "ES384, over half of the hash": (EHR, _of_hash),
    "ES384, over the claims alone": (EHR, lambda text: EHR.sign(text.partition(b".")[2])),
    "ES384, over the text and a line end": (EHR, lambda text: EHR.sign(text + b"\n")),
    "ES384, over what is encoded": (EHR, lambda text: EHR.sign(urlsafe_b64decode(text.partition(b".")[2] + b"=="))),
    "ES384, of another text": (EHR, lambda _: EHR.sign(unsigned(header(), claims(HOOK)).encode())),
    "ES384, twice": (EHR, lambda text: EHR.sign(text) * 2),
    "ES384, none": (EHR, lambda _: b""),
    "ES384, by RSA": (EHR, EHR_RSA.sign),
    "ES384, by another on the same curve": (EHR, STRANGER.sign),
    "RS384, by another": (EHR_RSA, _LONG.sign),
    "RS384, with PSS": (EHR_RSA, lambda text: EHR_RSA.sign(text, "PS384")),
    "RS384, over SHA-256": (EHR_RSA, lambda text: EHR_RSA.sign(text, "RS256")),
    "RS384, over SHA-512": (EHR_RSA, lambda text: EHR_RSA.sign(text, "RS512")),
    "RS384, a byte short": (EHR_RSA, lambda text: EHR_RSA.sign(text)[:-1]),
    "RS384, a zero byte before": (EHR_RSA, lambda text: b"\0" + EHR_RSA.sign(text)),
    "RS384, a zero byte behind": (EHR_RSA, lambda text: EHR_RSA.sign(text) + b"\0"),
    "RS384, the modulus more": (EHR_RSA, lambda text: _plus_modulus(EHR_RSA, text)),
    "RS384, zeros": (EHR_RSA, lambda _: bytes(256)),
    "RS384, one": (EHR_RSA, lambda _: (1).to_bytes(256, "big")),
    "RS384, the padded hash itself": (EHR_RSA, lambda text: _padded(text)),
    "RS384, a guessed cube root": (_THREE, _cube_root),
    "RS384, by EC": (EHR_RSA, EHR.sign),
    "RS384, none": (EHR_RSA, lambda _: b""),
}


def _padded(text: bytes) -> bytes:
    """What a signature is before the private key is used (RFC 8017, 9.2)."""
    end = b"\0" + _SHA384 + _sha384(text)
    return b"\0\1" + b"\xff" * (254 - len(end)) + end


def _plus_modulus(key: KeyPair, text: bytes) -> bytes:
    assert isinstance(key.private, rsa.RSAPrivateKey)
    return (int.from_bytes(key.sign(text), "big") + key.private.public_key().public_numbers().n).to_bytes(257, "big")


@pytest.mark.parametrize(("key", "signature"), VECTORS.values(), ids=VECTORS)
def test_a_signature_in_another_form_than_the_rfcs_allow_is_refused(
    identify: Identify, key: KeyPair, signature: Callable[[bytes], bytes]
) -> None:
    text = unsigned(header(key), claims(HOOK))

    assert not accepts(identify, f"Bearer {text}.{base64url(signature(text.encode()))}")
    assert accepts(identify, f"Bearer {text}.{base64url(key.sign(text.encode()))}")


def test_short_numbers_in_a_signature_are_padded_and_accepted(identify: Identify) -> None:
    """One signature in 256 has an r that begins with a zero byte: it must stay there."""
    for _ in range(5_000):
        text = unsigned(header(), claims(HOOK)).encode()
        signature = EHR.sign(text)
        if signature[0] == 0:
            break
    assert accepts(identify, f"Bearer {text.decode()}.{base64url(signature)}")
    assert not accepts(identify, f"Bearer {text.decode()}.{base64url(signature[1:])}")


def _coordinate(name: str, change: Callable[[bytes], bytes]) -> Json:
    return EHR.jwk(**{name: base64url(change(urlsafe_b64decode(f"{EHR.jwk()[name]}==")))})


# Keys as RFC 7517 and 7518 do not allow them, or that would verify what nobody signed; none of them is a key of ours.
NO_KEYS: dict[str, Json] = {
    "EC, x a byte short": _coordinate("x", lambda data: data[:-1]),
    "EC, y a byte short": _coordinate("y", lambda data: data[1:]),
    "EC, x = 0 and y = 0": EHR.jwk(x=base64url(bytes(48)), y=base64url(bytes(48))),
    "EC, x beyond the field": EHR.jwk(x=base64url(b"\xff" * 48)),
    "EC, y of the other sign and off the curve": _coordinate("y", lambda data: bytes([data[0] ^ 1]) + data[1:]),
    "EC, no text for x": EHR.jwk(x=None),
    "EC, an array for x": EHR.jwk(x=[EHR.jwk()["x"]]),
    "EC, kty in small letters": EHR.jwk(kty="ec"),
    "EC, kty RSA": EHR.jwk(kty="RSA"),
    "EC, crv in small letters": EHR.jwk(crv="p-384"),
    "EC, the curve of another": EHR.jwk(crv="P-256"),
    "EC, secp256k1": EHR.jwk(crv="secp256k1"),
    "RSA, exponent 1, under which every signature is its own text": EHR_RSA.jwk(e="AQ"),
    "RSA, exponent 0": EHR_RSA.jwk(e="AA"),
    "RSA, exponent even": EHR_RSA.jwk(e="Ag"),
    "RSA, no exponent": EHR_RSA.jwk(e=""),
    "RSA, modulus of 512 bits": rivest("weak", 1024).jwk(n=base64url(b"\xc5" * 64)),
    "RSA, modulus 0": EHR_RSA.jwk(n="AA"),
    "RSA, no text for the modulus": EHR_RSA.jwk(n=7),
    "use enc": EHR.jwk(use="enc"),
    "use in capitals": EHR.jwk(use="SIG"),
    "use sig, and operations without verify": EHR.jwk(key_ops=["encrypt"]),
    "no operations": EHR.jwk(key_ops=[]),
    "an empty key": {},
}


@pytest.mark.parametrize("jwk", NO_KEYS.values(), ids=NO_KEYS)
def test_a_key_in_another_form_than_the_rfcs_allow_is_no_key(jwk: Json) -> None:
    try:
        keys = usable({"keys": [jwk, NEW.jwk()]})
    except UnusableSet:
        return
    assert list(keys) == [NEW.kid]


@pytest.mark.parametrize("alg", ["ES256", "RS256", "PS384", "RS384", "HS384", "none", "ES512", "EdDSA", "", None, 5])
def test_a_key_for_another_algorithm_verifies_nothing(tmp_path: Path, alg: Any) -> None:
    (tmp_path / "ehr.json").write_text(key_set(EHR.jwk(alg=alg)), "utf-8")
    identify, _ = identify_in(tmp_path)
    assert not accepts(identify, bearer())


# ----------------------------------------------------------------------------------------------------------- used twice

PROCESSES = 2


@pytest.fixture(scope="module", name="workers")
def _workers(tmp_path_factory: pytest.TempPathFactory) -> Iterator[list[Connection]]:
    """Processes of the service, as in production."""
    folder = tmp_path_factory.mktemp("workers")
    (folder / "ehr.json").write_text(key_set(EHR.jwk()), "utf-8")
    spawn, ends, processes = get_context("spawn"), [], []
    for _ in range(PROCESSES):
        ours, theirs = spawn.Pipe()
        processes.append(spawn.Process(target=use, args=(folder, NOW, theirs), daemon=True))
        processes[-1].start()
        ends.append(ours)
    assert [_received(end) for end in ends] == ["ready"] * PROCESSES
    yield ends
    for process in processes:
        process.terminate()
        process.join()


def _received(end: Connection) -> Any:
    assert end.poll(60), "the worker says nothing"
    return end.recv()


@pytest.mark.timeless
@pytest.mark.requirement("SEC-10")
def test_of_parallel_uses_in_several_processes_exactly_one_is_accepted(
    workers: list[Connection], database_url: str
) -> None:
    repeats, uses = times(3, 20), PROCESSES * THREADS
    for _ in range(repeats):
        authorization = bearer(f"{PUBLIC}{ADDRESS}")
        for end in workers:
            end.send((database_url, authorization))
        statuses = [status for end in workers for status in _received(end)]
        assert sorted(statuses) == [200] + [401] * (uses - 1)
    tell(
        f"one token used {uses} times at once, {database_url.partition(':')[0]}", repeats=repeats, accepted_each_time=1
    )


@pytest.mark.requirement("SEC-10")
@pytest.mark.parametrize("ahead", [10, 60, 299])
def test_a_process_whose_clock_is_ahead_makes_no_used_token_new(ahead: int, tmp_path: Path) -> None:
    """Each use drops the rows that are past by its own clock; the token still lives by the clock that is behind."""
    behind, before = Clock(), Clock()
    slow, _ = identify_in(tmp_path, behind)
    fast, store = identify_in(tmp_path, before)
    used = bearer()
    assert slow(used, HOOK, behind.now) == "ehr"

    behind.pass_(seconds=300 + LEEWAY - 1)  # the last second of its life
    before.now = behind.now + timedelta(seconds=ahead)
    after = (before.now - NOW).total_seconds()
    assert fast(bearer(iat=seconds(after), exp=seconds(after + 300)), HOOK, before.now) == "ehr"

    with pytest.raises(NotAuthenticated) as refused:
        slow(used, HOOK, behind.now)
    assert refused.value.reason == "used"
    with store.connect() as connection:
        assert len(connection.execute(seen_tokens.select()).all()) == 2


def test_live_tokens_are_all_remembered_however_many_there_are(database_url: str) -> None:
    """Most live rows: 100 calls a second of each client, for 300 seconds, twice the leeway, and clocks apart."""
    many, until = times(1_000, 100_000), NOW + timedelta(seconds=360)
    with closing(_Store(database_url)) as store:
        store.fill(many, until)
        began = time.monotonic()
        firsts = [store.use(f"new-{number}", until) for number in range(200)]
        each = (time.monotonic() - began) / 200
        again = [store.use(f"jti-{number}", until) for number in range(0, many, many // 100)]
        before = store.count()
        store.at = until + timedelta(seconds=1)
        for number in range(-(-before // 500)):
            assert store.use(f"later-{number}", store.at + timedelta(seconds=360))
        left = store.count()
    name = f"ids of tokens, {database_url.partition(':')[0]}"
    tell(name, live=many, milliseconds_for_one_more=round(each * 1000, 2), forgotten=sum(again), left_when_past=left)
    assert all(firsts)
    assert not any(again)
    assert before == many + 200
    assert left == -(-before // 500)


class _Store:
    """The ids of tokens in a database, at a moment of the test."""

    def __init__(self, url: str) -> None:
        self.engine, self.at = open_store(url), NOW

    def fill(self, many: int, until: datetime) -> None:
        rows = [{"digest": digest([ISSUER, f"jti-{number}"]), "until": until} for number in range(many)]
        with self.engine.begin() as connection:
            connection.execute(insert(seen_tokens), rows)

    def use(self, jti: str, until: datetime) -> bool:
        return first_use(self.engine, ISSUER, jti, until, self.at)

    def count(self) -> int:
        with self.engine.connect() as connection:
            return len(connection.execute(seen_tokens.select()).all())

    def close(self) -> None:
        self.engine.dispose()


# ---------------------------------------------------------------------------------------- servers of keys, good and bad


@dataclass
class Published:
    """A service whose client publishes its keys at a URL, and a clock that the test moves."""

    service: FlaskClient
    keys: Publisher
    clock: Clock

    def call(self, key: KeyPair = EHR, **changed: Any) -> TestResponse:
        """A right call of the hook at the service's now, but for what is changed."""
        after = (self.clock.now - NOW).total_seconds()
        return ask(self.service, bearer(key=key, iat=seconds(after), exp=seconds(after + 300), **changed))


@pytest.fixture(name="published")
def _published(screening: Screening, tmp_path: Path) -> Iterator[Published]:
    with publisher() as keys:
        keys.publish(EHR)
        clients = {"ehr": Client(issuer=ISSUER, jwks=keys.address, private_addresses=True)}
        clock = Clock()
        yield Published(service_in(screening, tmp_path, clock, clients=clients, https_only=False), keys, clock)


def test_a_flood_of_unknown_keys_causes_one_fetch_and_stops_no_call(published: Published) -> None:
    is_accepted(published.call())
    published.clock.pass_(seconds=60)  # since the last fetch
    flood = times(40, 400)
    for number in range(flood):
        is_refused(published.call(head={"kid": f"unknown-{number}"}))
        if number % 10 == 0:
            is_accepted(published.call())
    tell("unknown keys", tokens=flood, fetches=published.keys.asked - 1)
    assert published.keys.asked == 2


def test_while_keys_are_replaced_no_right_call_is_refused(published: Published) -> None:
    old, new, tried = EHR, NEW, 0
    for _ in range(times(2, 20)):
        published.keys.publish(old, new)
        published.clock.pass_(seconds=60)  # the most that a new key waits
        for key in (new, old, new):
            is_accepted(published.call(key))
        published.keys.publish(new)
        is_accepted(published.call(new))
        published.clock.pass_(seconds=300)  # the longest that a key stays which is gone
        is_refused(published.call(old))
        is_accepted(published.call(new))
        old, new, tried = new, elliptic(f"ehr-{uuid4()}"), tried + 5
    tell("keys replaced", right_calls=tried, refused=0)


HOSTILE: dict[str, tuple[bytes, int, dict[str, str]]] = {
    "500": (key_set(NEW.jwk()).encode(), 500, {}),
    "404": (key_set(NEW.jwk()).encode(), 404, {}),
    "a redirect to a file": (b"", 302, {"Location": "file:///etc/passwd"}),
    "HTML": (b"<!doctype html><script>keys</script>", 200, {"Content-Type": "text/html"}),
    "2 MB": (key_set(NEW.jwk()).encode() + b" " * 2_000_000, 200, {}),
    "deep": (b'{"keys":' + b"[" * 100_000, 200, {}),
    "NaN": (json.dumps({"keys": [NEW.jwk()], "n": float("nan")}).encode(), 200, {}),
    "UTF-16": (key_set(NEW.jwk()).encode("utf-16"), 200, {}),
    "gzip that is none": (key_set(NEW.jwk()).encode(), 200, {"Content-Encoding": "gzip"}),
    "a secret key": (key_set(NEW.jwk(), {"kty": "oct", "kid": "o", "k": "AAAA"}).encode(), 200, {}),
    "two keys with one kid": (key_set(NEW.jwk(), elliptic(NEW.kid).jwk()).encode(), 200, {}),
    "keys to encrypt": (key_set(NEW.jwk(use="enc")).encode(), 200, {}),
    "an unending Content-Length": (b"{}", 200, {"Content-Length": "1000000000000"}),
    "no set": (b"null", 200, {}),
}
EMPTIED = {"keys to encrypt"}  # this is a good set, without a key for us


@pytest.mark.parametrize("name", HOSTILE)
def test_a_hostile_answer_with_keys_gives_no_key_and_leaves_the_old_ones(published: Published, name: str) -> None:
    is_accepted(published.call())
    published.keys.say(*HOSTILE[name][:2], **HOSTILE[name][2])
    published.clock.pass_(minutes=10)

    is_refused(published.call(NEW))
    assert published.call().status_code == (401 if name in EMPTIED else 200)
    published.clock.pass_(hours=24)
    answer = published.call()
    assert answer.status_code == (401 if name in EMPTIED else 503)
    assert name in EMPTIED or "it cannot be checked who calls" in refusal_of(answer, 503)


@pytest.mark.timeless
def test_a_server_of_keys_that_drips_is_given_up_within_its_deadline(screening: Screening, tmp_path: Path) -> None:
    """It sends a byte now and then, for ever: the deadline of a second counts from the start."""
    over = Event()
    with create_server(("127.0.0.1", 0)) as listening:
        Thread(target=_drip, args=(listening, over), daemon=True).start()
        jwks = f"http://127.0.0.1:{listening.getsockname()[1]}/jwks.json"
        clients = {"ehr": Client(issuer=ISSUER, jwks=jwks, private_addresses=True)}
        service = service_in(screening, tmp_path, clients=clients, https_only=False)
        began = time.monotonic()
        refusal_of(ask(service, bearer()), 503)
        took = time.monotonic() - began
        over.set()
    tell("a server of keys that drips", seconds=round(took, 2))
    assert took < 10


def _drip(listening: Any, over: Event) -> None:
    connection, _ = listening.accept()
    with connection:
        connection.sendall(b"HTTP/1.1 200 OK\r\nContent-Length: 100000\r\n\r\n")
        while not over.wait(0.05):
            try:
                connection.sendall(b" ")
            except OSError:
                return


# ---------------------------------------------------------------------------------------------------- how long it takes


@pytest.mark.skipif(not FULL, reason="it measures; nothing is asserted of time")
def test_the_time_of_each_kind_of_refusal_is_told(screening: Screening, tmp_path: Path) -> None:
    service = service_in(screening, tmp_path)
    kinds: dict[str, Callable[[], str]] = {
        "unknown iss": lambda: bearer(iss="https://nobody.example"),
        "wrong signature": lambda: bearer(key=STRANGER),
        "expired": lambda: bearer(exp=seconds(-600), iat=seconds(-900)),
        "another's URL": lambda: bearer(FEEDBACK),
        "no token": lambda: "",
        "1,400 deep": lambda: DAMAGED["a header 1,400 deep"],
        "5,000 digits": lambda: DAMAGED["a number of 5,000 digits"],
        "another client's key": lambda: bearer(key=OTHER, iss=OTHERS_ISSUER, exp=seconds(4000)),
    }
    for name, make in kinds.items():
        sent = [make() for _ in range(500)]
        took = []
        for authorization in sent:
            began = time.process_time()  # not that of the other processes of this machine
            status = ask(service, authorization).status_code
            took.append(time.process_time() - began)
            assert status == 401
        middle, most = (round(one * 1000, 2) for one in (statistics.median(took), max(took)))
        tell(f"401, {name}", times=len(took), median_ms=middle, most_ms=most)
