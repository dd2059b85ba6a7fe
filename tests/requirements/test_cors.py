"""CORS: a browser of a configured origin may call, and read what it is refused; no other may."""

from collections.abc import Iterator
from pathlib import Path
from typing import Any, NoReturn

import pytest
from flask.testing import FlaskClient
from werkzeug.test import TestResponse

from cds_content.screening import Screening
from cds_service.errors import NotAuthenticated, TooManyCalls
from tests.requirements.requests import ALARM, HOOKS, call, path, valid
from tests.samples import CALM, response
from tests.wire import ABSENT, cards_of, changed, refusal_of, serving

pytestmark = pytest.mark.timeless  # nothing in it is dated

ORIGIN = "https://sandbox.cds-hooks.org"
OTHERS = [
    "https://evil.example",
    "http://sandbox.cds-hooks.org",
    "https://sandbox.cds-hooks.org.evil.example",
    "https://evil.example/https://sandbox.cds-hooks.org",
    "https://sandbox.cds-hooks.org:8443",
    "https://sub.sandbox.cds-hooks.org",
    "https://sandboxxcds-hooks.org",
    "https://sandbox.cds-hooks.or",
    "https://evil.example#https://sandbox.cds-hooks.org",
    "https://sandbox.cds-hooks.org@evil.example",
    "https://sandbox.cds-hooks.org:443",
    "https://sandbox.cds-hooks.org/",
    "https://sandbox.cds-hooks.org ,https://evil.example",
    "https://SANDBOX.CDS-HOOKS.ORG",
    "HTTPS://sandbox.cds-hooks.org",
    "sandbox.cds-hooks.org",
    "file://",
    "null",
    "*",
]
# address → its method; discovery, every hook, and its feedback
ADDRESSES = {"/cds-services": "GET"} | {
    address: "POST" for hook in HOOKS for address in (path(hook), f"{path(hook)}/feedback")
}
ALLOWED = "Access-Control-Allow-Origin"


def _nobody(*_: Any) -> NoReturn:
    raise NotAuthenticated


@pytest.fixture(name="guarded")
def _guarded(screening: Screening, tmp_path: Path) -> Iterator[FlaskClient]:
    """A service that authenticates nobody: a preflight that is answered is answered before that."""
    with serving(screening, tmp_path, origins=(ORIGIN,), identify=_nobody) as client:
        yield client


@pytest.fixture(name="browsed")
def _browsed(screening: Screening, tmp_path: Path) -> Iterator[FlaskClient]:
    """A service that a browser of the origin may call."""
    with serving(screening, tmp_path, origins=(ORIGIN,)) as client:
        yield client


def _preflight(client: FlaskClient, address: str, origin: str = ORIGIN, **headers: str) -> TestResponse:
    asked = {"Access-Control-Request-Method": ADDRESSES[address], "Access-Control-Request-Headers": HEADERS}
    return client.options(address, headers={"Origin": origin} | asked | headers)


HEADERS = "authorization, content-type"


def _listed(answer: TestResponse, header: str) -> set[str]:
    return {word.strip().lower() for word in answer.headers.get(header, "").split(",")}


@pytest.mark.requirement("CORS-1")
@pytest.mark.parametrize("address", ADDRESSES)
def test_a_preflight_is_answered_without_credentials(guarded: FlaskClient, address: str) -> None:
    answer = _preflight(guarded, address)
    assert answer.status_code in (200, 204)
    assert answer.headers[ALLOWED] == ORIGIN
    assert ADDRESSES[address].lower() in _listed(answer, "Access-Control-Allow-Methods")
    assert {"authorization", "content-type"} <= _listed(answer, "Access-Control-Allow-Headers")
    assert "Access-Control-Allow-Credentials" not in answer.headers


@pytest.mark.requirement("CORS-1")
@pytest.mark.parametrize("address", ADDRESSES)
def test_a_preflight_names_the_methods_that_the_address_offers(guarded: FlaskClient, address: str) -> None:
    methods = _listed(_preflight(guarded, address), "Access-Control-Allow-Methods")
    assert methods == {"options", *({"get", "head"} if ADDRESSES[address] == "GET" else {"post"})}


@pytest.mark.requirement("CORS-1")
def test_a_preflight_before_discovery_may_ask_for_authorization_alone(guarded: FlaskClient) -> None:
    answer = _preflight(guarded, "/cds-services", **{"Access-Control-Request-Headers": "authorization"})
    assert "authorization" in _listed(answer, "Access-Control-Allow-Headers")


@pytest.mark.requirement("CORS-1")
@pytest.mark.parametrize("hook", HOOKS)
def test_the_call_after_the_preflight_can_be_read(browsed: FlaskClient, hook: str) -> None:
    answer = browsed.post(path(hook), json=valid(hook, response(CALM | ALARM)), headers={"Origin": ORIGIN})
    assert answer.headers[ALLOWED] == ORIGIN
    assert cards_of(answer)
    assert browsed.get("/cds-services", headers={"Origin": ORIGIN}).headers[ALLOWED] == ORIGIN


def _refusals(client: FlaskClient) -> Iterator[tuple[int, TestResponse]]:
    told = {"headers": {"Origin": ORIGIN}}
    address, body = path("patient-view"), valid("patient-view")
    yield 400, client.post(address, json={}, **told)
    yield 404, client.post("/cds-services/nobody", json=body, **told)
    yield 405, client.put(address, json=body, **told)
    yield 412, client.post(address, json=changed(body, ("prefetch",), ABSENT), **told)
    yield 413, client.post(address, json={"x": "x" * 1_000_001}, **told)
    yield 415, client.post(address, data="hook", content_type="text/plain", **told)
    yield 400, client.post(f"{address}/feedback", json=[], **told)


@pytest.mark.requirement("CORS-2")
def test_a_refusal_can_be_read_in_the_browser(browsed: FlaskClient) -> None:
    for status, answer in _refusals(browsed):
        refusal_of(answer, status)
        assert answer.headers.get(ALLOWED) == ORIGIN, status


def _too_many(*_: Any) -> NoReturn:
    raise TooManyCalls(1)


@pytest.mark.requirement("CORS-2")
def test_a_call_too_many_can_be_read_in_the_browser(screening: Screening, tmp_path: Path) -> None:
    with serving(screening, tmp_path, origins=(ORIGIN,), admit=_too_many) as client:
        answer = client.post(path("patient-view"), json=valid("patient-view"), headers={"Origin": ORIGIN})
    refusal_of(answer, 429)
    assert answer.headers[ALLOWED] == ORIGIN


@pytest.mark.requirement("CORS-2")
def test_not_authenticated_can_be_read_in_the_browser(guarded: FlaskClient) -> None:
    answer = guarded.post(path("patient-view"), json=valid("patient-view"), headers={"Origin": ORIGIN})
    refusal_of(answer, 401)
    assert answer.headers[ALLOWED] == ORIGIN


def _fail() -> NoReturn:
    raise RuntimeError


@pytest.mark.requirement("CORS-2")
def test_an_error_of_ours_can_be_read_in_the_browser(screening: Screening, tmp_path: Path) -> None:
    with serving(screening, tmp_path, origins=(ORIGIN,), new_uuid=_fail) as client:
        answer = client.post(path("patient-view"), json=valid("patient-view"), headers={"Origin": ORIGIN})
    refusal_of(answer, 500)
    assert answer.headers[ALLOWED] == ORIGIN


@pytest.mark.requirement("CORS-3")
@pytest.mark.parametrize("origin", OTHERS)
def test_another_origin_is_not_allowed(browsed: FlaskClient, origin: str) -> None:
    answers = [_preflight(browsed, address, origin) for address in ADDRESSES]
    answers.append(browsed.post(path("patient-view"), json=valid("patient-view"), headers={"Origin": origin}))
    assert [answer.headers[ALLOWED] for answer in answers if ALLOWED in answer.headers] == []


@pytest.mark.requirement("CORS-3")
def test_without_origins_no_browser_may_call(client: FlaskClient) -> None:
    answers = [_preflight(client, address) for address in ADDRESSES] + [call(client, valid("patient-view"))]
    assert [answer.headers[ALLOWED] for answer in answers if ALLOWED in answer.headers] == []


@pytest.mark.requirement("CORS-3")
def test_no_answer_allows_everybody_or_the_credentials_of_the_browser(browsed: FlaskClient) -> None:
    answers = [_preflight(browsed, address, origin) for address in ADDRESSES for origin in (ORIGIN, *OTHERS)]
    answers += [answer for _, answer in _refusals(browsed)]
    assert {answer.headers.get(ALLOWED) for answer in answers} == {ORIGIN, None}
    assert all("Origin" in answer.vary for answer in answers if ALLOWED in answer.headers)
    assert not any("Access-Control-Allow-Credentials" in answer.headers for answer in answers)
