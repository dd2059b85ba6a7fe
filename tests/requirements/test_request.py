"""The request: what a call must say around its context, what may be odd about it, and who is asked for more."""

import socket
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import pytest
from flask.testing import FlaskClient

from cds_content.screening import Screening
from tests.requirements.requests import (
    ALARM,
    HOOKS,
    OWN,
    SERVER,
    TOKEN,
    Json,
    about_somebody,
    agreed,
    call,
    path,
    valid,
)
from tests.samples import CALM, response
from tests.wire import ABSENT, cards_of, changed, obeys, refusal_of, same, serving

each_hook = pytest.mark.parametrize("hook", HOOKS)
CATALOGUED = [hook for hook in HOOKS if hook != OWN]
OTHER = "p2"


@pytest.mark.requirement("REQ-1", "CTX-1")
@each_hook
def test_the_smallest_valid_request_obeys_both_versions_and_is_answered(client: FlaskClient, hook: str) -> None:
    obeys(valid(hook), "request-2.0.1", "request-3.0-ballot")
    assert bool(cards_of(call(client, valid(hook)))) == (hook != "appointment-book"), "a calm patient may be booked"


@pytest.mark.requirement("REQ-1")
@pytest.mark.parametrize("member", ["hook", "hookInstance", "context"])
@each_hook
def test_a_body_without_its_envelope_is_refused(client: FlaskClient, hook: str, member: str) -> None:
    assert member in refusal_of(client.post(path(hook), json=changed(valid(hook), (member,), ABSENT)), 400)


@pytest.mark.requirement("REQ-2")
@each_hook
def test_the_instance_is_any_text_and_nothing_but_a_text(client: FlaskClient, hook: str) -> None:
    for instance in ("7F3F2B9E-4C1C-4A0E-9A52-0D4D2C1F7A11", "urn:uuid:1", "visit 12", "é", "x" * 255):
        assert cards_of(call(client, valid(hook, response(CALM | ALARM)) | {"hookInstance": instance}))
    for other in (5, "", None, ["x"], "x" * 256):
        refusal_of(call(client, valid(hook) | {"hookInstance": other}), 400)


@pytest.mark.requirement("REQ-3")
@each_hook
def test_a_service_refuses_the_hooks_that_it_does_not_offer(client: FlaskClient, hook: str) -> None:
    for other in ["no-such-hook", "order-dispatch", hook.upper(), *(one for one in HOOKS if one != hook)]:
        assert "hook" in refusal_of(client.post(path(hook), json=valid(hook) | {"hook": other}), 400)


@pytest.mark.requirement("REQ-4")
def test_parallel_calls_get_the_answers_of_their_own_input(client: FlaskClient) -> None:
    calm, alarm = valid("patient-view"), about_somebody(valid("patient-view", response(CALM | ALARM)), OTHER)
    bodies = [calm, alarm] * 10

    def ask(body: Json) -> Any:
        return same(cards_of(call(client.application.test_client(), body)))

    expected = [ask(calm), ask(alarm)]
    with ThreadPoolExecutor(max_workers=20) as pool:
        assert list(pool.map(ask, bodies)) == expected * 10
    assert expected[0] != expected[1]


@pytest.mark.requirement("REQ-5")
@each_hook
def test_a_token_without_a_server_is_an_error(client: FlaskClient, hook: str) -> None:
    assert "fhirServer" in refusal_of(call(client, valid(hook) | {"fhirAuthorization": TOKEN}), 400)


@pytest.mark.requirement("REQ-6")
@each_hook
def test_a_token_need_not_name_the_patient(client: FlaskClient, hook: str) -> None:
    body = valid(hook) | {"fhirServer": SERVER, "fhirAuthorization": TOKEN}
    obeys(body, "request-2.0.1", "request-3.0-ballot")
    assert same(cards_of(call(client, body))) == same(cards_of(call(client, valid(hook))))


@pytest.fixture(name="listener")
def _listener() -> Iterator[socket.socket]:
    """A server that only listens: whoever calls it stands in its queue."""
    with socket.create_server(("127.0.0.1", 0)) as listening:
        listening.setblocking(False)
        yield listening


def _is_called(listener: socket.socket) -> bool:
    try:
        listener.accept()[0].close()
    except BlockingIOError:
        return False
    return True


@pytest.mark.requirement("REQ-7")
@pytest.mark.parametrize("known", [False, True], ids=["unknown server", "configured server"])
@pytest.mark.parametrize("hook", CATALOGUED)
def test_a_server_without_a_token_is_not_called(
    screening: Screening, tmp_path: Path, listener: socket.socket, hook: str, known: bool
) -> None:
    server = f"http://127.0.0.1:{listener.getsockname()[1]}/fhir"
    servers = [server] if known else []
    with serving(screening, tmp_path, clients=agreed(fhir_servers=servers, private_addresses=True)) as client:
        body = valid(hook) | {"fhirServer": server, "prefetch": {}}
        assert "responses" in refusal_of(call(client, body), 412)
        assert not _is_called(listener)


@pytest.mark.requirement("REQ-7")
def test_the_listener_of_these_tests_notices_a_call(listener: socket.socket) -> None:
    with socket.create_connection(listener.getsockname()):
        assert _is_called(listener)


def _strewn(value: Any) -> Any:
    """The value with an unknown member in every object."""
    if isinstance(value, list):
        return [_strewn(part) for part in value]
    if isinstance(value, dict):
        return {name: _strewn(part) for name, part in value.items()} | {"futureField": [{"later": True}, None]}
    return value


@pytest.mark.requirement("REQ-8", "EXT-3")
@each_hook
def test_unknown_members_at_every_level_change_nothing(client: FlaskClient, hook: str) -> None:
    body = valid(hook, response(CALM | ALARM)) | {"fhirServer": SERVER, "fhirAuthorization": TOKEN}
    cards = same(cards_of(call(client, body)))
    extended = _strewn(body) | {"extension": {"org.example.client": {"urgency": "low"}, "plain": 1}}
    extended["context"]["extension"] = {"org.example.ward": ["a", None]}
    assert same(cards_of(call(client, extended))) == cards != []


@pytest.mark.requirement("REQ-8")
@pytest.mark.parametrize("selections", [[], ["ServiceRequest/another"], ["x"]], ids=["none", "another", "no reference"])
def test_order_sign_knows_no_selections_and_judges_every_order(client: FlaskClient, selections: list[str]) -> None:
    body = valid("order-sign", response(CALM | ALARM))
    beside = changed(body, ("context", "selections"), selections)
    assert same(cards_of(call(client, beside))) == same(cards_of(call(client, body))) != []


OTHER_FIELDS: dict[str, Any] = {
    "selections": 5,
    "draftOrders": "x",
    "appointments": [],
    "conditions": 5,
    "questionnaireResponse": "x",
}
DEFINED = {"order-select": {"selections", "draftOrders"}, OWN: {"questionnaireResponse"}}
DEFINED |= {"order-sign": {"draftOrders"}, "appointment-book": {"appointments"}}
DEFINED |= {"problem-list-item-create": {"conditions"}}


@pytest.mark.requirement("REQ-8")
@each_hook
def test_a_context_field_of_another_hook_is_ignored_whatever_it_holds(client: FlaskClient, hook: str) -> None:
    body = valid(hook, response(CALM | ALARM))
    cards = same(cards_of(call(client, body)))
    for field in OTHER_FIELDS.keys() - DEFINED.get(hook, set()):
        beside = changed(body, ("context", field), OTHER_FIELDS[field])
        assert same(cards_of(call(client, beside))) == cards != [], field
