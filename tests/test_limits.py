"""How often a client may call: as agreed, each client for itself, and no clock that jumps keeps a card back."""

import sys
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
import time_machine
from flask.testing import FlaskClient
from sqlalchemy import Engine
from werkzeug.test import TestResponse

from cds_content.screening import Screening
from cds_service.assembly import prepared
from cds_service.auth import FirstUse, authenticator
from cds_service.clients import Client
from cds_service.config import read_settings
from cds_service.errors import TooManyCalls
from cds_service.limits import limiter
from cds_service.store import first_use, seen_tokens
from cds_service.web import create_app
from tests.attack import tell, times
from tests.conftest import SERVICE
from tests.requirements.callers import HOOK, bearer, is_refused
from tests.requirements.callers import ask as ask_hook
from tests.samples import CALM, call, response
from tests.test_clients import AGREED as AGREED_CLIENT
from tests.test_start import production
from tests.tokens import EHR, NOW, OTHER, PUBLIC, STRANGER, key_set
from tests.wire import refusal_of, serving, store_in

pytestmark = pytest.mark.timeless  # nothing in it is dated

AGREED = 5  # calls a second
CLIENTS = {
    "ehr": Client(issuer="https://ehr.example", jwks="ehr.json", calls_per_second=AGREED),
    "other": Client(issuer="https://other.example", jwks="other.json", calls_per_second=AGREED),
}
Ask = Callable[[str], TestResponse]


@pytest.fixture(name="clock")
def _clock() -> Iterator[time_machine.Traveller]:
    """A clock that stands still at the start of a second until a test moves it."""
    with time_machine.travel(datetime.now(UTC).replace(microsecond=0), tick=False) as clock:
        yield clock


@pytest.fixture(name="hurried")
def _hurried() -> Iterator[None]:
    """Threads take turns after every few steps, so that what only one at a time may do goes wrong soon."""
    usual = sys.getswitchinterval()
    sys.setswitchinterval(1e-6)
    yield
    sys.setswitchinterval(usual)


@pytest.fixture(name="ask")
def _ask(screening: Screening, tmp_path: Path) -> Iterator[Ask]:
    """A hook call of the owner that is named, to a service that was agreed with two clients."""
    parts = {"clients": CLIENTS, "identify": lambda owner, *_: owner, "admit": limiter()[1]}

    def ask(client: FlaskClient, owner: str) -> TestResponse:
        return client.post(SERVICE, json=call(response(CALM)), headers={"Authorization": owner})

    with serving(screening, tmp_path, **parts) as client:
        yield lambda owner: ask(client, owner)


def _admitted(admit: Callable[[str, int], None], owner: str, calls: int, agreed: int = AGREED) -> int:
    """How many of these calls, made at once, are admitted."""
    return sum(_is_admitted(admit, owner, agreed) for _ in range(calls))


def _is_admitted(admit: Callable[[str, int], None], owner: str, agreed: int = AGREED) -> bool:
    try:
        admit(owner, agreed)
    except TooManyCalls:
        return False
    return True


@pytest.mark.usefixtures("clock")
def test_the_call_after_those_agreed_is_refused_and_told_when_to_come_back(ask: Ask) -> None:
    assert [ask("ehr").status_code for _ in range(AGREED)] == [200] * AGREED
    refused = ask("ehr")
    refusal_of(refused, 429)
    assert refused.headers["Retry-After"] == "1"
    assert refused.get_json()["issue"][0]["code"] == "throttled"


@pytest.mark.usefixtures("clock")
def test_a_client_that_floods_takes_nothing_from_another(ask: Ask) -> None:
    flood = [ask("ehr").status_code for _ in range(times(20, 200))]
    others = [ask("other").status_code for _ in range(AGREED)]
    assert flood.count(200) == AGREED
    assert others == [200] * AGREED
    tell("calls of one client in a second", made=len(flood), agreed=AGREED, refused=flood.count(429))


@pytest.mark.usefixtures("clock")
def test_the_tenants_of_a_client_share_what_was_agreed_with_it() -> None:
    admit = limiter()[1]
    assert _admitted(admit, "ehr hospital-a", AGREED) == AGREED
    assert not _is_admitted(admit, "ehr hospital-b")
    assert not _is_admitted(admit, "ehr")


def test_after_the_time_that_the_refusal_names_a_client_may_call_again(clock: time_machine.Traveller) -> None:
    admit = limiter()[1]
    assert _admitted(admit, "ehr", 2 * AGREED) == AGREED
    clock.shift(1.5)
    assert _is_admitted(admit, "ehr")


def test_there_is_no_burst_of_twice_as_many_where_two_seconds_meet(clock: time_machine.Traveller) -> None:
    admit = limiter()[1]
    clock.shift(0.9)
    assert _admitted(admit, "ehr", 100, agreed=100) == 100
    clock.shift(0.2)  # 0.2 seconds later it is the next second, of which a tenth is over
    assert _admitted(admit, "ehr", 100, agreed=100) <= 10


@pytest.mark.parametrize("jump", [timedelta(days=-1), timedelta(hours=-1), timedelta(days=1), timedelta(days=400)])
def test_a_clock_that_jumps_refuses_nobody(clock: time_machine.Traveller, jump: timedelta) -> None:
    admit = limiter()[1]
    assert _admitted(admit, "ehr", 2 * AGREED) == AGREED
    clock.shift(jump)
    assert _admitted(admit, "ehr", AGREED) == AGREED


@pytest.mark.usefixtures("clock", "hurried")
def test_of_calls_at_the_same_time_exactly_as_many_as_agreed_are_admitted() -> None:
    for _ in range(times(20, 200)):
        _, admit = limiter()
        with ThreadPoolExecutor(16) as threads:
            admitted = sum(threads.map(lambda _, admit=admit: _is_admitted(admit, "ehr", 50), range(160)))
        assert admitted == 50


@pytest.mark.usefixtures("clock")
def test_to_look_counts_nothing_and_sees_what_was_counted() -> None:
    check, admit = limiter()
    assert _admitted(check, "ehr", 10 * AGREED) == 10 * AGREED
    assert _admitted(admit, "ehr", 2 * AGREED) == AGREED
    assert not _is_admitted(check, "ehr hospital-a")
    assert _is_admitted(check, "other")


def test_a_call_too_many_leaves_its_token_unused_and_takes_no_row(tmp_path: Path) -> None:
    over = True

    def check_rate(_owner: str, _agreed: int) -> None:
        if over:
            raise TooManyCalls(1)

    store, sent = _keys_and_store(tmp_path), bearer()
    identify = authenticator(CLIENTS, tmp_path, _remembering(store), check_rate=check_rate)
    for _ in range(3):
        with pytest.raises(TooManyCalls):
            identify(sent, HOOK, NOW)
    assert _rows(store) == 0

    over = False
    assert identify(sent, HOOK, NOW) == "ehr"
    assert _rows(store) == 1


def test_the_service_as_it_is_put_together_remembers_no_token_of_a_call_too_many(
    clock: time_machine.Traveller, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    settings = production(tmp_path, f"{AGREED_CLIENT}calls-per-second = {AGREED}\n")
    for name, value in settings.items():
        monkeypatch.setenv(name, value)
    service = prepared(read_settings())
    client, now = create_app(service).test_client(), datetime.now(UTC).timestamp()
    sent = [bearer(iat=int(now), exp=int(now) + 300) for _ in range(2 * AGREED)]

    def statuses(some: list[str]) -> list[int]:
        calls = (client.post(SERVICE, json=call(response(CALM)), headers={"Authorization": one}) for one in some)
        return [answer.status_code for answer in calls]

    assert statuses(sent) == [200] * AGREED + [429] * AGREED
    assert _rows(service.store) == AGREED
    clock.shift(2)
    assert statuses(sent[AGREED:]) == [200] * AGREED, "their tokens are still unused"
    service.store.dispose()


@pytest.mark.usefixtures("clock")
def test_a_call_that_nobody_signed_does_not_count(screening: Screening, tmp_path: Path) -> None:
    store, (check, admit) = _keys_and_store(tmp_path), limiter()
    identify = authenticator(CLIENTS, tmp_path, _remembering(store), check_rate=check)
    parts = {"clients": CLIENTS, "identify": identify, "admit": admit, "public": PUBLIC, "now": lambda: NOW}
    with serving(screening, tmp_path, **parts) as client:
        for _ in range(2 * AGREED):
            is_refused(ask_hook(client, None))
            is_refused(ask_hook(client, bearer(key=STRANGER)))  # which says that it is the client
        assert [ask_hook(client, bearer()).status_code for _ in range(AGREED + 1)] == [200] * AGREED + [429]


def _keys_and_store(folder: Path) -> Engine:
    """A new store; the keys of the clients are put beside it."""
    for name, key in {"ehr.json": EHR, "other.json": OTHER}.items():
        (folder / name).write_text(key_set(key.jwk()), "utf-8")
    return store_in(folder / "tokens.sqlite")


def _remembering(store: Engine) -> FirstUse:
    return lambda issuer, jti, until: first_use(store, issuer, jti, until, NOW)


def _rows(store: Engine) -> int:
    """How many tokens are remembered."""
    with store.connect() as connection:
        return len(connection.execute(seen_tokens.select()).all())
