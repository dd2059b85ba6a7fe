"""Where the keys of a client come from: a file or the URL that was agreed on, and never from what a token says."""

import json
import os
from collections.abc import Iterator
from concurrent.futures import Future, ThreadPoolExecutor, as_completed
from datetime import UTC, datetime, timedelta
from itertools import islice
from pathlib import Path
from threading import Barrier, Event
from typing import Any

import pytest
from flask.testing import FlaskClient
from joserfc import jws
from joserfc.jwk import ECKey
from werkzeug.test import TestResponse

from cds_content.screening import Screening
from cds_service.auth import authenticator
from cds_service.clients import Client
from cds_service.errors import NotAuthenticated, SettingsError, Unavailable
from cds_service.jwks import Keys, UnusableSet, usable
from cds_service.keys import FRESH, PAUSE, WAITING, KeySet, Known, read_ahead
from cds_service.keys import key_set as key_set_of
from tests.requirements.callers import (
    HOOK,
    Clock,
    Publisher,
    ask,
    bearer,
    identify_in,
    is_accepted,
    is_refused,
    publisher,
    refusals_in,
    service_in,
)
from tests.tokens import (
    EHR,
    EHR_RSA,
    ISSUER,
    NOW,
    STRANGER,
    Json,
    KeyPair,
    claims,
    elliptic,
    header,
    key_set,
    rivest,
    seconds,
    token,
)
from tests.wire import ABSENT, refusal_of

pytestmark = pytest.mark.timeless  # the clock of the service is one of the tests

NEW = elliptic("ehr-3")
MINUTE, HOUR = 60, 3600

# The public keys in the specification's example and of the public CDS Hooks Sandbox; anybody has their private halves.
EXAMPLE: Json = {
    "kty": "EC",
    "use": "sig",
    "crv": "P-384",
    "kid": "example-kid",
    "x": "46SDH7Znh821wblCBglA61sNE9ZrHYKKt3qRtRTmSXyOI_FIGBLWrWa0GPUkDCEk",
    "y": "XMcRuuoGW7CXjQdy-F5i3FeBE0x9hPLdeFdSoDd3ELmx404tLX0VRRcqzAsPhXcI",
    "alg": "ES384",
}
SANDBOX: Json = {
    "kty": "EC",
    "use": "sig",
    "crv": "P-384",
    "kid": "44823f3d-0b01-4a6c-a80e-b9d3e8a7226f",
    "x": "dw_JGR8nB2I6XveNxUOl2qk699ZPLM2nYI5STSdiEl9avAkrm3CkfYMbrrjr8laB",
    "y": "Sm3mLE-n1zYNla_aiE3cb3nZsL51RbC7ysw3q8aJLxGm-hx79RPMYpITDjp7kgzy",
    "alg": "ES384",
}
# The token in the specification's example, section "Trusting CDS Clients".
PRINTED = (
    "eyJhbGciOiJFUzM4NCIsInR5cCI6IkpXVCIsImtpZCI6ImV4YW1wbGUta2lkIiwiamt1IjoiaHR0cHM6Ly9maGlyLWVoci5leGFtcGxlLmNvbS9qd"
    "2tfdXJpIn0.eyJpc3MiOiJodHRwczovL2ZoaXItZWhyLmV4YW1wbGUuY29tLyIsInN1YiI6ImNsaWVudF9pZCIsImF1ZCI6Imh0dHBzOi8vY2RzLmV"
    "4YW1wbGUub3JnL2Nkcy1zZXJ2aWNlcy9zb21lLXNlcnZpY2UiLCJleHAiOjE0MjI1Njg4NjAsImlhdCI6MTMxMTI4MDk3MCwianRpIjoiZWUyMmIwM"
    "jEtZTFiNy00NjExLWJhNWItOGVlYzZhMzNhYzFlIiwidGVuYW50IjoiMmRkZDZjM2EtOGU5YS00NGM2LWEzMDUtNTIxMTFhZDMwMmEyIn0.CUFPkpl"
    "nWd6YGIvzoHolWCQBDsCL8QtTWKGg_QFpS169WrqDGzktRi-_we6-6rVzbjerU27ZKww_SW0-b9RTz-dPJNcqsueMio8r6EqXUXhbLm_ch3XFSbDlG"
    "HDl_tqo"
)

# Sets that no client means to publish, each with a good new key in it: nothing of them may count.
BAD_SETS: dict[str, str | bytes] = {
    "no JSON": "<!doctype html><title>Sign in</title>",
    "nothing": "",
    "no UTF-8": key_set(NEW.jwk()).encode("utf-16"),
    "NaN": json.dumps({"keys": [NEW.jwk()], "a": float("nan")}),
    "too deep": json.dumps({"keys": [NEW.jwk()], "a": json.loads("[" * 100 + "]" * 100)}),
    "keys twice": f'{{"keys": [], "keys": [{json.dumps(NEW.jwk())}]}}',
    "no keys": json.dumps({"key": [NEW.jwk()]}),
    "one key without a set": json.dumps(NEW.jwk()),
    "an array": json.dumps([NEW.jwk()]),
    "null": "null",
    "keys an object": json.dumps({"keys": {"0": NEW.jwk()}}),
    "a key that is text": json.dumps({"keys": [NEW.jwk(), "key"]}),
    "a key that is null": json.dumps({"keys": [None, NEW.jwk()]}),
    "a secret key": key_set(NEW.jwk(), {"kty": "oct", "kid": "o", "k": "AAAA"}),
    "a private key": key_set(NEW.private_jwk()),
    "a private key beside it": key_set(NEW.jwk(), elliptic("p").private_jwk()),
    "a private key of a kind that is not used": key_set(NEW.jwk(), {"kty": "OKP", "kid": "o", "crv": "X", "d": "AA"}),
    "two keys with one kid": key_set(NEW.jwk(), elliptic(NEW.kid).jwk()),
    "the same key twice": key_set(NEW.jwk(), NEW.jwk()),
    "two kinds with one kid": key_set(NEW.jwk(), EHR_RSA.jwk(kid=NEW.kid)),
    "the key of the specification": key_set(NEW.jwk(), EXAMPLE),
    "the key of the Sandbox": key_set(NEW.jwk(), SANDBOX),
}
UNUSABLE_KEYS: dict[str, Json] = {
    "of another kind": {"kty": "OKP", "crv": "Ed25519", "x": "11qYAYKxCrfVS_7TyWQHOg7hcvPapiMlrwIaaPcHURo", "kid": "k"},
    "of an unknown kind": NEW.jwk(kty="XX"),
    "without a kind": NEW.jwk(kty=ABSENT),
    "whose kind is an array": NEW.jwk(kty=["EC"]),
    "of another curve": elliptic("k", "P-256").jwk(),
    "of an unknown curve": NEW.jwk(crv="P-385"),
    "off the curve": NEW.jwk(y=NEW.jwk()["x"]),
    "with half a point": NEW.jwk(y=ABSENT),
    "with a number for a coordinate": NEW.jwk(x=1),
    "that is too short": rivest("k", 1024).jwk(),
    "with an even exponent": rivest("k").jwk(e="Ag"),
    "without a name": NEW.jwk(kid=ABSENT),
    "named by a number": NEW.jwk(kid=3),
    "to encrypt": NEW.jwk(use="enc"),
    "of unknown use": NEW.jwk(use="tls"),
    "of null use": NEW.jwk(use=None),
    "that only signs": NEW.jwk(key_ops=["sign"]),
    "whose operations are text": NEW.jwk(use=ABSENT, key_ops="verify"),
    "whose operations are a number": NEW.jwk(key_ops=5),
}


@pytest.fixture(name="clock")
def _clock() -> Clock:
    return Clock()


@pytest.fixture(name="published")
def _published() -> Iterator[Publisher]:
    """A URL where the client publishes its keys."""
    with publisher() as server:
        server.publish(EHR, EHR_RSA)
        yield server


def _clients(jwks: str) -> dict[str, Client]:
    return {"ehr": Client(issuer=ISSUER, jwks=jwks, private_addresses=True)}


@pytest.fixture(name="service")
def _service(screening: Screening, tmp_path: Path, clock: Clock, published: Publisher) -> FlaskClient:
    """The service, with a client whose keys are at a URL; http, because there is no certificate for this machine."""
    return service_in(screening, tmp_path, clock, clients=_clients(published.address), https_only=False)


@pytest.fixture(name="file")
def _file(tmp_path: Path) -> Path:
    """Where the keys of the client stand, when not at a URL."""
    (tmp_path / "ehr.json").write_text(key_set(EHR.jwk()), "utf-8")
    return tmp_path / "ehr.json"


def _at(clock: Clock, *, key: KeyPair = EHR, **changed: Any) -> str:
    """A token that is right at the service's now."""
    after = (clock.now - NOW).total_seconds()
    return bearer(key=key, iat=seconds(after), exp=seconds(after + 300), **changed)


def _is_not_checked(answer: TestResponse) -> None:
    """Fails unless the caller is told that it cannot be checked now who calls: no 401, because it may be right."""
    assert "it cannot be checked who calls" in refusal_of(answer, 503)
    assert answer.headers["Retry-After"]


# ----------------------------------------------------------------------------------------------------------- at a URL


@pytest.mark.requirement("SEC-3")
def test_keys_are_fetched_once_for_many_calls(service: FlaskClient, clock: Clock, published: Publisher) -> None:
    for key in (EHR, EHR_RSA, EHR):
        clock.pass_(seconds=90)
        is_accepted(ask(service, _at(clock, key=key)))
    assert published.asked == 1


@pytest.mark.requirement("SEC-3", "SEC-5")
def test_a_jku_that_is_the_agreed_url_is_accepted(service: FlaskClient, published: Publisher) -> None:
    is_accepted(ask(service, bearer(head={"jku": published.address})))


@pytest.mark.requirement("SEC-3", "SEC-5")
def test_a_jku_that_was_not_agreed_is_refused_and_not_fetched(service: FlaskClient, published: Publisher) -> None:
    with publisher() as evil:
        evil.publish(STRANGER)
        for jku in (evil.address, f"{published.address}?a=b", f"{published.address}/", published.address.upper()):
            is_refused(ask(service, bearer(key=STRANGER, head={"jku": jku})))
            is_refused(ask(service, bearer(head={"jku": jku})))
        is_refused(ask(service, bearer(key=STRANGER, head={"x5u": evil.address})))
        assert (evil.asked, published.asked) == (0, 0)


@pytest.mark.requirement("SEC-3")
def test_a_new_key_counts_at_the_next_call_and_the_old_one_still(
    service: FlaskClient, clock: Clock, published: Publisher
) -> None:
    is_accepted(ask(service, bearer()))
    published.publish(EHR, NEW)
    clock.pass_(seconds=1)

    is_accepted(ask(service, _at(clock, key=NEW)))
    is_accepted(ask(service, _at(clock)))
    assert published.asked == 2


@pytest.mark.requirement("SEC-3")
def test_unknown_keys_cause_one_fetch_a_minute(service: FlaskClient, clock: Clock, published: Publisher) -> None:
    is_accepted(ask(service, bearer()))
    for number in range(40):
        is_refused(ask(service, bearer(head={"kid": f"unknown-{number}"})))
    assert published.asked == 2

    clock.pass_(seconds=59)
    is_refused(ask(service, _at(clock, head={"kid": "unknown"})))
    assert published.asked == 2

    clock.pass_(seconds=1)
    published.publish(EHR, NEW)
    is_accepted(ask(service, _at(clock, key=NEW)))
    assert published.asked == 3
    for number in range(40):
        is_refused(ask(service, _at(clock, head={"kid": f"unknown-{number}"})))
    assert published.asked == 3


@pytest.mark.requirement("SEC-3")
def test_a_key_that_was_removed_is_refused_after_ten_minutes(
    service: FlaskClient, clock: Clock, published: Publisher
) -> None:
    is_accepted(ask(service, bearer()))
    published.publish(NEW)

    clock.pass_(minutes=10)
    is_refused(ask(service, _at(clock)))
    is_accepted(ask(service, _at(clock, key=NEW)))


OUTAGES: dict[str, tuple[bytes, int]] = {
    "an error, though with the new keys": (key_set(NEW.jwk()).encode(), 500),
    "not found": (b"{}", 404),
    "more than a megabyte": (key_set(NEW.jwk()).encode() + b" " * 2_000_000, 200),
    "no content": (b"", 204),
}


@pytest.mark.requirement("SEC-3")
@pytest.mark.parametrize(("body", "status"), OUTAGES.values(), ids=OUTAGES)
def test_in_an_outage_the_last_keys_count_for_a_day(
    service: FlaskClient, clock: Clock, published: Publisher, body: bytes, status: int
) -> None:
    is_accepted(ask(service, bearer()))
    published.say(body, status)

    clock.pass_(hours=23, minutes=59)
    is_accepted(ask(service, _at(clock)))
    is_refused(ask(service, _at(clock, key=NEW)))
    clock.pass_(minutes=1)
    _is_not_checked(ask(service, _at(clock)))

    published.publish(EHR)
    clock.pass_(minutes=1)
    is_accepted(ask(service, _at(clock)))


@pytest.mark.requirement("SEC-3")
@pytest.mark.parametrize(("body", "status"), OUTAGES.values(), ids=OUTAGES)
def test_keys_that_were_never_had_make_the_caller_wait_and_not_go_away(
    service: FlaskClient, clock: Clock, published: Publisher, body: bytes, status: int
) -> None:
    published.say(body, status)
    for _ in range(3):
        _is_not_checked(ask(service, _at(clock)))
    assert published.asked <= 2

    published.publish(EHR)
    clock.pass_(minutes=1)
    is_accepted(ask(service, _at(clock)))


@pytest.mark.requirement("SEC-3")
def test_keys_that_were_never_had_are_asked_for_again_after_five_seconds(
    service: FlaskClient, clock: Clock, published: Publisher
) -> None:
    published.say(b"", 500)
    _is_not_checked(ask(service, _at(clock)))
    published.publish(EHR)

    clock.pass_(seconds=4)
    _is_not_checked(ask(service, _at(clock)))
    assert published.asked == 1
    clock.pass_(seconds=1)
    is_accepted(ask(service, _at(clock)))
    assert published.asked == 2


@pytest.mark.requirement("SEC-3", "SEC-12")
def test_in_an_outage_what_is_wrong_without_any_key_is_refused_as_always(
    service: FlaskClient, published: Publisher
) -> None:
    published.say(b"", 500)
    wrong = [
        "",
        bearer(exp=seconds(-600)),
        bearer(exp=seconds(3600)),
        bearer(f"{HOOK}-2"),
        bearer(tenant="x"),
        bearer(iss="https://nobody.example"),
        bearer(head={"jku": "https://ehr.example/jwks.json"}),
        bearer(head={"jwk": EHR.jwk()}),
    ]
    for authorization in wrong:
        is_refused(ask(service, authorization))
    assert published.asked == 0


# What the server of the keys says of their lifetime, and for how many seconds they are used without asking again.
LIFETIMES: dict[str, tuple[str, int]] = {
    "nothing": ("", 300),
    "two minutes": ("max-age=120", 120),
    "two minutes, among other words": ("public, must-revalidate, Max-Age=120", 120),
    "shorter than our pause": ("max-age=5", 60),
    "not at all": ("no-store", 60),
    "only after asking": ("no-cache, max-age=200", 60),
    "zero": ("max-age=0", 60),
    "a day, which is longer than ours": ("max-age=86400", 300),
    "more than any clock can tell": ("max-age=99999999999999999999", 300),
    "no number": ("max-age=soon", 300),
    "below zero": ("max-age=-1", 60),
}


@pytest.mark.requirement("SEC-3")
@pytest.mark.parametrize(("said", "lasts"), LIFETIMES.values(), ids=LIFETIMES)
def test_keys_are_used_as_long_as_their_server_says_within_our_limits(
    service: FlaskClient, clock: Clock, published: Publisher, said: str, lasts: int
) -> None:
    published.say(key_set(EHR.jwk()), **{"Cache-Control": said})
    is_accepted(ask(service, _at(clock)))

    clock.pass_(seconds=lasts - 1)
    is_accepted(ask(service, _at(clock)))
    assert published.asked == 1
    published.publish(NEW)
    clock.pass_(seconds=1)
    is_refused(ask(service, _at(clock)))
    assert published.asked == 2
    is_accepted(ask(service, _at(clock, key=NEW)))


@pytest.mark.requirement("SEC-3")
def test_in_an_outage_keys_are_asked_for_once_a_minute(
    service: FlaskClient, clock: Clock, published: Publisher
) -> None:
    is_accepted(ask(service, bearer()))
    published.say(b"", 500)
    clock.pass_(hours=1)
    for _ in range(20):
        is_accepted(ask(service, _at(clock)))
        clock.pass_(seconds=6)
    assert published.asked == 1 + 2


@pytest.mark.requirement("SEC-3")
def test_a_redirect_to_other_keys_is_not_followed(service: FlaskClient, clock: Clock, published: Publisher) -> None:
    with publisher() as elsewhere:
        elsewhere.publish(NEW)
        is_accepted(ask(service, bearer()))
        for status in (301, 302, 303, 307, 308):
            published.say(b"", status, Location=elsewhere.address)
            clock.pass_(minutes=10)
            is_refused(ask(service, _at(clock, key=NEW)))
            is_accepted(ask(service, _at(clock)))
        assert elsewhere.asked == 0


@pytest.mark.requirement("SEC-3")
def test_a_server_of_keys_that_hangs_is_given_up(service: FlaskClient, clock: Clock, published: Publisher) -> None:
    is_accepted(ask(service, bearer()))
    over = Event()
    published.before = lambda: over.wait(20)
    published.publish(EHR, NEW)
    clock.pass_(minutes=10)

    is_refused(ask(service, _at(clock, key=NEW)))
    is_accepted(ask(service, _at(clock)))
    over.set()


@pytest.mark.requirement("SEC-3")
def test_a_clock_that_is_set_back_makes_no_key_eternal(
    service: FlaskClient, clock: Clock, published: Publisher
) -> None:
    is_accepted(ask(service, bearer()))
    published.publish(NEW)

    clock.pass_(days=-2)
    is_refused(ask(service, _at(clock)))


@pytest.mark.requirement("SEC-3")
def test_calls_that_come_together_share_the_first_fetch(tmp_path: Path, clock: Clock, published: Publisher) -> None:
    identify, _ = identify_in(tmp_path, clock, clients=_clients(published.address), https_only=False)
    started = Barrier(WAITING)
    published.before = lambda: started.wait(10)

    def use(number: int) -> str:
        if number:
            started.wait(10)
        return identify(bearer(), HOOK, NOW)

    with ThreadPoolExecutor(WAITING) as calls:
        assert list(calls.map(use, range(WAITING))) == ["ehr"] * WAITING
    assert published.asked == 1


class Slow:
    """A key set whose server hangs until `over`; it has a new key since the second of the `reads`."""

    def __init__(self) -> None:
        self.over, self.reads = Event(), 0
        self.keys = KeySet("ehr", self._read, PAUSE)

    def _read(self) -> tuple[Keys, timedelta]:
        self.reads += 1
        assert self.over.wait(20)
        return usable({"keys": [EHR.jwk(), NEW.jwk()][: self.reads]}), FRESH

    def ask(self, kids: list[str], now: datetime) -> tuple[list[Future[Any]], list[Future[Any]]]:
        """All ask at once: those who were answered while the server hung, and those who waited for it."""
        with ThreadPoolExecutor(len(kids)) as calls:
            asked = [calls.submit(self.keys.find, kid, now) for kid in kids]
            try:
                early = list(islice(as_completed(asked, timeout=60), len(kids) - WAITING))
            finally:
                self.over.set()
        return early, [one for one in asked if one not in early]


@pytest.mark.requirement("SEC-3")
def test_while_keys_are_fetched_a_few_wait_and_the_others_are_told_at_once_to_come_back() -> None:
    slow = Slow()
    early, waited = slow.ask([f"unknown-{number}" for number in range(16)], NOW)

    assert [type(one.exception()) for one in early] == [Unavailable] * (16 - WAITING)
    assert [one.result() for one in waited] == [None] * WAITING
    assert slow.reads == 1, "what one has read the others do not read again"


@pytest.mark.requirement("SEC-3")
def test_while_a_new_key_is_fetched_nobody_who_signs_with_it_is_told_that_it_is_wrong() -> None:
    slow = Slow()
    slow.over.set()
    slow.keys.find(EHR.kid, NOW)
    slow.over.clear()
    early, waited = slow.ask([NEW.kid] * 16, NOW + PAUSE)

    assert [type(one.exception()) for one in early] == [Unavailable] * (16 - WAITING)
    assert [one.result().kid for one in waited] == [NEW.kid] * WAITING
    assert slow.reads == 2


@pytest.mark.requirement("SEC-3")
def test_while_keys_are_fetched_those_whose_key_is_known_go_on_with_it() -> None:
    slow = Slow()
    slow.over.set()
    key = slow.keys.find(EHR.kid, NOW)
    slow.over.clear()
    early, waited = slow.ask([EHR.kid] * 16, NOW + FRESH)

    assert key
    assert [one.result() for one in early] == [key] * (16 - WAITING)
    assert [one.result().kid for one in waited] == [EHR.kid] * WAITING
    assert slow.reads == 2


@pytest.mark.requirement("SEC-3")
def test_places_to_wait_are_free_again_also_after_a_fetch_that_failed(
    service: FlaskClient, clock: Clock, published: Publisher
) -> None:
    published.say(b"", 500)
    for _ in range(2 * WAITING):
        _is_not_checked(ask(service, _at(clock)))
        clock.pass_(minutes=1)
    published.publish(EHR)
    is_accepted(ask(service, _at(clock)))


@pytest.mark.requirement("SEC-3")
def test_a_call_with_a_known_key_does_not_wait_for_a_fetch(tmp_path: Path, clock: Clock, published: Publisher) -> None:
    identify, _ = identify_in(tmp_path, clock, clients=_clients(published.address), https_only=False)
    assert identify(bearer(), HOOK, NOW) == "ehr"
    fetching, over = Event(), Event()

    def hang() -> None:
        fetching.set()
        over.wait(20)

    published.before = hang
    with ThreadPoolExecutor(1) as calls:
        waits = calls.submit(identify, bearer(key=NEW), HOOK, NOW + PAUSE)
        assert fetching.wait(20)
        assert identify(bearer(), HOOK, NOW + PAUSE) == "ehr"
        assert not waits.done()
        over.set()
        assert isinstance(waits.exception(20), NotAuthenticated)


@pytest.mark.requirement("SEC-3")
def test_keys_that_are_read_ahead_wait_for_no_call(tmp_path: Path, clock: Clock, published: Publisher) -> None:
    known, fetching = Known(), Event()
    clients = _clients(published.address)
    identify = authenticator(clients, tmp_path, lambda *_: True, https_only=False, known=known)
    published.before = fetching.set
    clock.now = datetime.now(UTC)
    read_ahead(known)
    assert fetching.wait(20)

    assert identify(_at(clock), HOOK, clock.now) == "ehr"
    assert published.asked == 1


@pytest.mark.requirement("SEC-3")
def test_a_renewal_reads_keys_however_fresh_they_are_and_keeps_them_where_that_fails(published: Publisher) -> None:
    now, (client,) = datetime.now(UTC), _clients(published.address).values()
    keys = key_set_of("ehr", client, Path(), known=Known(), https_only=False)
    assert keys.find(EHR.kid, now)

    published.publish(NEW)
    keys.renew()
    assert keys.find(NEW.kid, now)
    assert keys.find(EHR.kid, now) is None

    published.say(key_set(EHR.jwk()), 500)
    keys.renew()
    assert keys.find(NEW.kid, now)
    assert published.asked == 4  # at first, twice for the renewals, and once for the key that is gone


@pytest.mark.requirement("SEC-3", "SEC-14")
@pytest.mark.filterwarnings("ignore:Key size should be")
@pytest.mark.parametrize("bad", BAD_SETS.values(), ids=BAD_SETS)
def test_a_bad_set_at_the_url_is_not_used_and_the_last_good_one_is(
    service: FlaskClient, clock: Clock, published: Publisher, bad: str | bytes
) -> None:
    is_accepted(ask(service, bearer()))
    published.say(bad)
    clock.pass_(minutes=10)

    is_refused(ask(service, _at(clock, key=NEW)))
    is_accepted(ask(service, _at(clock)))

    published.publish(NEW)
    clock.pass_(minutes=10)
    is_accepted(ask(service, _at(clock, key=NEW)))


@pytest.mark.requirement("SEC-3")
@pytest.mark.filterwarnings("ignore:Key size should be")
@pytest.mark.parametrize("unusable", UNUSABLE_KEYS.values(), ids=UNUSABLE_KEYS)
def test_a_key_of_no_use_is_passed_over_and_the_others_count(unusable: Json) -> None:
    assert list(usable({"keys": [unusable, EHR.jwk()]})) == [EHR.kid]


@pytest.mark.requirement("SEC-3")
@pytest.mark.parametrize("name", ["d", "p", "q", "dp", "dq", "qi", "oth", "k"])  # RFC 7518, 6.2.2, 6.3.2 and 6.4.1
def test_any_secret_part_of_a_key_spoils_the_set(name: str) -> None:
    with pytest.raises(UnusableSet, match="private key"):
        usable({"keys": [EHR.jwk(), EHR_RSA.jwk(**{name: "AAAA"})]})


@pytest.mark.requirement("SEC-3")
def test_a_key_to_encrypt_may_have_the_kid_of_one_to_sign() -> None:
    assert list(usable({"keys": [elliptic(EHR.kid).jwk(use="enc"), EHR.jwk()]})) == [EHR.kid]


@pytest.mark.requirement("SEC-3")
def test_use_alg_and_operations_may_be_left_out() -> None:
    plain = EHR.jwk(use=ABSENT, alg=ABSENT)
    assert list(usable({"keys": [plain, NEW.jwk(key_ops=["verify"]), EHR_RSA.jwk(x5t="abc", ours=1)]})) == [
        EHR.kid,
        NEW.kid,
        EHR_RSA.kid,
    ]


# ----------------------------------------------------------------------------------------------------------- in a file


@pytest.mark.requirement("SEC-3")
def test_a_file_is_read_again_when_it_has_changed(
    screening: Screening, tmp_path: Path, clock: Clock, file: Path
) -> None:
    service = service_in(screening, tmp_path, clock)
    is_accepted(ask(service, bearer()))
    is_refused(ask(service, bearer(key=NEW)))

    file.write_text(key_set(EHR.jwk(), NEW.jwk()), "utf-8")
    is_accepted(ask(service, bearer(key=NEW)))
    is_accepted(ask(service, bearer()))

    file.write_text(key_set(NEW.jwk()), "utf-8")
    is_refused(ask(service, bearer()))
    is_accepted(ask(service, bearer(key=NEW)))

    file.write_text(key_set(), "utf-8")
    is_refused(ask(service, bearer(key=NEW)))


@pytest.mark.requirement("SEC-3")
def test_a_file_of_the_same_size_or_time_is_read_again(screening: Screening, tmp_path: Path, file: Path) -> None:
    service = service_in(screening, tmp_path)
    is_accepted(ask(service, bearer()))
    before = file.stat()

    file.write_text(key_set(STRANGER.jwk()), "utf-8")
    os.utime(file, ns=(before.st_atime_ns, before.st_mtime_ns + 1))
    assert file.stat().st_size == before.st_size
    is_accepted(ask(service, bearer(key=STRANGER)))

    (tmp_path / "new.json").write_text(key_set(EHR.jwk()), "utf-8")
    os.utime(tmp_path / "new.json", ns=(before.st_atime_ns, before.st_mtime_ns + 1))
    (tmp_path / "new.json").replace(file)
    is_accepted(ask(service, bearer()))
    is_refused(ask(service, bearer(key=STRANGER)))


@pytest.mark.requirement("SEC-3", "SEC-14")
@pytest.mark.parametrize("bad", [*BAD_SETS.values(), None], ids=[*BAD_SETS, "the file is gone"])
def test_a_file_that_becomes_bad_is_not_used_and_the_last_good_keys_count_for_a_day(
    screening: Screening, tmp_path: Path, clock: Clock, file: Path, bad: str | bytes | None
) -> None:
    service = service_in(screening, tmp_path, clock)
    clock.pass_(days=3)
    is_accepted(ask(service, _at(clock)))
    if bad is None:
        file.unlink()
    else:
        file.write_bytes(bad.encode() if isinstance(bad, str) else bad)

    clock.pass_(hours=23, minutes=59)
    is_accepted(ask(service, _at(clock)))
    is_refused(ask(service, _at(clock, key=NEW)))
    clock.pass_(minutes=1)
    _is_not_checked(ask(service, _at(clock)))


@pytest.mark.requirement("SEC-3")
def test_keys_that_cannot_be_read_are_told_to_the_operator_once_a_minute(
    screening: Screening, tmp_path: Path, clock: Clock, file: Path, caplog: pytest.LogCaptureFixture
) -> None:
    service = service_in(screening, tmp_path, clock)
    is_accepted(ask(service, bearer()))
    file.write_text(key_set(EHR.private_jwk()), "utf-8")
    for _ in range(30):
        is_accepted(ask(service, _at(clock)))
        clock.pass_(seconds=4)
    lines = [json.loads(record.getMessage()) for record in caplog.records]
    told = [line for line in lines if line["event"] == "keys of a client cannot be used"]
    assert [line["client"] for line in told] == ["ehr"] * 2
    assert told[0]["reason"] == "holds a secret or private key; write public keys only, and make new ones"


@pytest.mark.requirement("SEC-3", "SEC-14")
@pytest.mark.parametrize("bad", [*BAD_SETS.values(), None], ids=[*BAD_SETS, "there is no file"])
def test_the_service_does_not_start_with_a_file_that_cannot_be_used(tmp_path: Path, bad: str | bytes | None) -> None:
    if bad is not None:
        (tmp_path / "ehr.json").write_bytes(bad.encode() if isinstance(bad, str) else bad)
    with pytest.raises(SettingsError, match=r"^CDS_CLIENTS: ehr\.jwks: .*; write "):
        authenticator(_clients("ehr.json"), tmp_path, lambda *_: True)


@pytest.mark.requirement("SEC-3")
@pytest.mark.parametrize("url", ["http://ehr.example/jwks.json", "HTTPS://ehr.example/jwks.json", "file:///jwks.json"])
def test_the_service_does_not_start_with_keys_at_another_url_than_https(tmp_path: Path, url: str) -> None:
    with pytest.raises(SettingsError, match=r"^CDS_CLIENTS: ehr\.jwks: .*https"):
        authenticator(_clients(url), tmp_path, lambda *_: True)


# ------------------------------------------------------------------------------------------------- what is published


@pytest.mark.requirement("SEC-14")
@pytest.mark.parametrize("key", [EXAMPLE, SANDBOX], ids=["the specification", "the Sandbox"])
def test_a_published_sample_key_is_not_trusted_whatever_it_is_called(key: Json) -> None:
    zeros = {name: f"AAAA{key[name]}" for name in ("x", "y")}  # three zero bytes before the same number
    for changed in ({}, {"kid": "ehr-9"}, {"alg": ABSENT, "use": ABSENT}, zeros):
        jwk = {name: value for name, value in (key | changed).items() if value is not ABSENT}
        with pytest.raises(UnusableSet, match="sample key"):
            usable({"keys": [jwk, EHR.jwk()]})


@pytest.mark.requirement("SEC-14", "SEC-16")
def test_the_sample_key_of_the_specification_is_the_one_that_signed_its_sample_token() -> None:
    assert jws.deserialize_compact(PRINTED, ECKey.import_key(EXAMPLE), algorithms=["ES384"]).payload


@pytest.mark.requirement("SEC-16")
def test_the_sample_token_of_the_specification_is_refused_because_it_has_expired(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    theirs = Client(
        issuer="https://fhir-ehr.example.com/",
        jwks="https://fhir-ehr.example.com/jwk_uri",
        tenants=frozenset({"2ddd6c3a-8e9a-44c6-a305-52111ad302a2"}),
    )
    identify = authenticator({"theirs": theirs}, tmp_path, lambda *_: True)
    with pytest.raises(NotAuthenticated):
        identify(f"Bearer {PRINTED}", "https://cds.example.org/cds-services/some-service", NOW)
    assert refusals_in(caplog) == [("theirs", "expired")]


@pytest.mark.requirement("SEC-3")
def test_no_key_is_tried_but_the_one_that_the_token_names(tmp_path: Path) -> None:
    identify, _ = identify_in(tmp_path)
    with pytest.raises(NotAuthenticated):
        identify(f"Bearer {token(header(kid=EHR_RSA.kid), claims(HOOK), EHR)}", HOOK, NOW)
