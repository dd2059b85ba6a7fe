"""Prefetch templates: what a client must fill, it can fill; and what is not asked for is not relied on."""

import json
import re
from urllib.parse import parse_qsl

import pytest
from flask.testing import FlaskClient

from tests.requirements.requests import ADVISING, ALARM, HOOKS, KEYS, OWN, call, offered, path, valid
from tests.samples import CALM, bundle, response
from tests.wire import ABSENT, cards_of, changed, refusal_of, same

# The context fields that the page of each hook lets a template use; ours lets it use its three ids.
TOKENS = {hook: {"userId", "patientId", "encounterId"} for hook in HOOKS}
OPTIONAL = {hook: {"encounterId"} for hook in HOOKS} | {
    "encounter-start": set(),
    OWN: {"userId", "patientId", "encounterId"},
}
# What a query may hold: references, tokens to be equal to, and how many in which order.
PARAMETERS = {"patient", "questionnaire", "clinical-status", "_sort", "_count"}
READ = re.compile(r"[A-Z][A-Za-z]+/\{\{[^{}]+\}\}")
SEARCH = re.compile(r"[A-Z][A-Za-z]+\?[^?#\s]+")

each_hook = pytest.mark.parametrize("hook", HOOKS)


def _templates(client: FlaskClient, hook: str) -> dict[str, str]:
    templates: dict[str, str] = offered(client)[hook]["prefetch"]
    return templates


def _tokens(template: str) -> list[str]:
    return re.findall(r"\{\{(.*?)\}\}", template)


@pytest.mark.requirement("PRE-T1", "PRE-T2")
@each_hook
def test_a_token_is_a_root_field_of_the_context_that_may_be_used(client: FlaskClient, hook: str) -> None:
    templates = _templates(client, hook).values()
    allowed = {f"context.{field}" for field in TOKENS[hook]}
    assert all(_tokens(template) for template in templates)
    assert {token for template in templates for token in _tokens(template)} <= allowed
    assert not [template for template in templates if re.search(r"[{}]", re.sub(r"\{\{.*?\}\}", "", template))]


@pytest.mark.requirement("PRE-T3", "PRE-T6")
@each_hook
def test_a_template_reads_an_instance_or_searches_in_ways_that_every_client_knows(
    client: FlaskClient, hook: str
) -> None:
    for template in _templates(client, hook).values():
        assert READ.fullmatch(template) or SEARCH.fullmatch(template), "a relative URL"
        query = dict(parse_qsl(template.partition("?")[2], strict_parsing=True)) if "?" in template else {}
        assert query.keys() <= PARAMETERS
        assert query.get("_sort", "-authored") == "-authored"
        assert query.get("_count", "1").isdigit()


@pytest.mark.requirement("PRE-T4")
@each_hook
def test_a_template_uses_no_expression_that_a_2_0_client_does_not_know(client: FlaskClient, hook: str) -> None:
    tokens = [token for template in _templates(client, hook).values() for token in _tokens(template)]
    assert [token for token in tokens if not re.fullmatch(r"context\.[A-Za-z]+", token)] == []


@pytest.mark.requirement("PRE-T5")
@each_hook
def test_the_keys_keep_their_order_on_the_wire(client: FlaskClient, hook: str) -> None:
    raw = client.get("/cds-services").get_data(as_text=True)
    pairs = json.loads(raw, object_pairs_hook=lambda found: found)
    services = dict(pairs)["services"]
    (keys,) = [[key for key, _ in dict(one)["prefetch"]] for one in services if dict(one)["hook"] == hook]
    assert tuple(keys) == KEYS[hook]


@pytest.mark.requirement("PRE-T8")
@each_hook
def test_the_keys_are_those_that_clients_were_told(client: FlaskClient, hook: str) -> None:
    assert _templates(client, hook).keys() == set(KEYS[hook])


@pytest.mark.requirement("PRE-T7")
@each_hook
def test_a_key_that_depends_on_an_optional_field_is_not_needed(client: FlaskClient, hook: str) -> None:
    body = valid(hook, response(CALM | ALARM))
    for field in OPTIONAL[hook] & body["context"].keys():
        body = changed(body, ("context", field), ABSENT)
    absent = {f"context.{field}" for field in OPTIONAL[hook]}
    unfilled = [key for key, template in _templates(client, hook).items() if absent & set(_tokens(template))]
    for key in unfilled:
        body = changed(body, ("prefetch", key), ABSENT)
    assert bool(unfilled) == (hook == OWN)
    assert cards_of(call(client, body))


@pytest.mark.requirement("PRE-T8")
@pytest.mark.parametrize("hook", [hook for hook in HOOKS if hook != OWN])
@pytest.mark.parametrize("key", ["questionnaireResponses", "Responses", "item", "0"])
def test_data_under_a_key_that_was_not_published_is_not_relied_on(client: FlaskClient, hook: str, key: str) -> None:
    calm = valid(hook)
    beside = changed(calm, ("prefetch", key), bundle(response(CALM | ALARM)))
    assert same(cards_of(call(client, beside))) == same(cards_of(call(client, calm)))
    moved = changed(
        calm | {"prefetch": calm["prefetch"] | {key: bundle(response(CALM))}}, ("prefetch", "responses"), ABSENT
    )
    refusal_of(call(client, moved), 412)


@pytest.mark.requirement("PRE-T4")
@pytest.mark.parametrize("hook", ADVISING)
def test_a_service_is_usable_with_the_response_alone(client: FlaskClient, hook: str) -> None:
    body = valid(hook, response(CALM | ALARM))
    answer = client.post(path(hook), json=body | {"prefetch": {"responses": body["prefetch"]["responses"]}})
    assert cards_of(answer)[0]["indicator"] == "critical"
