"""Discovery: what is listed is there, is true, and is named as the catalogue of hooks names it."""

import re
from pathlib import Path

import pytest
from flask.testing import FlaskClient
from werkzeug.middleware.dispatcher import DispatcherMiddleware
from werkzeug.test import Client as Browser
from werkzeug.wrappers import Response

from cds_content.screening import Screening
from tests.requirements.requests import (
    ADVISING,
    HOOKS,
    LOINC,
    ORDERING,
    OWN,
    Json,
    call,
    offered,
    order,
    valid,
    without_responses,
)
from tests.requirements.requests import appointment as visit
from tests.requirements.requests import collection as bundled
from tests.wire import ABSENT, cards_of, changed, empty_members, obeys, refusal_of, serving

SERVICES = "/cds-services"
ROOT = Path(__file__).parents[2]
LANGUAGES = ["nl", "en"]
# The published version of each hook of the catalogue.
VERSIONS = {
    "patient-view": "1.0",
    "encounter-start": "1.0",
    "order-select": "1.0",
    "order-sign": "1.0",
    "appointment-book": "1.0",
    "problem-list-item-create": "0.1.0",
}
CATALOGUE = {*VERSIONS, "encounter-discharge", "order-dispatch", "medication-refill", "allergyintolerance-create"}
SEMVER = re.compile(r"\d+\.\d+\.\d+(-[0-9A-Za-z.-]+)?")


@pytest.mark.requirement("DISC-1", "DISC-2")
@pytest.mark.parametrize("language", LANGUAGES)
def test_discovery_lists_every_hook_once_in_an_object(client: FlaskClient, language: str) -> None:
    answer = client.get(SERVICES, headers={"Accept-Language": language})
    assert (answer.status_code, answer.mimetype) == (200, "application/json")
    obeys(answer.get_json(), "discovery-3.0-ballot")
    assert sorted(service["hook"] for service in answer.get_json()["services"]) == sorted(HOOKS)


@pytest.mark.requirement("DISC-2")
def test_discovery_is_that_of_2_0_but_for_the_two_new_members(client: FlaskClient) -> None:
    listed = client.get(SERVICES).get_json()["services"]
    older = [{name: one[name] for name in one if name not in ("version", "hookVersion")} for one in listed]
    assert all(one.keys() - two.keys() == {"version", "hookVersion"} for one, two in zip(listed, older, strict=True))
    obeys({"services": older}, "discovery-2.0.1")


@pytest.mark.requirement("DISC-2", "DISC-5", "DISC-6")
def test_the_two_new_members_can_be_switched_off(screening: Screening, tmp_path: Path) -> None:
    with serving(screening, tmp_path, versions=False) as client:
        body = client.get(SERVICES).get_json()
    assert not any({"version", "hookVersion"} & service.keys() for service in body["services"])
    obeys(body, "discovery-2.0.1", "discovery-3.0-ballot")


@pytest.mark.requirement("DISC-1")
def test_discovery_and_services_answer_below_a_path_prefix(screening: Screening, tmp_path: Path) -> None:
    with serving(screening, tmp_path, public="https://cds.example/back") as client:
        mounted = DispatcherMiddleware(Response(status=404), {"/back": client.application})
        browser = Browser(mounted)
        listed = browser.get("/back/cds-services").get_json()["services"]
        answers = [browser.post(f"/back/cds-services/{one['id']}", json=valid(one["hook"])) for one in listed]
        assert browser.get("/cds-services").status_code == 404
    assert len(answers) == len(HOOKS)
    urls = [card["source"]["url"] for answer in answers for card in cards_of(answer)]
    assert {url.startswith("https://cds.example/back/fhir/") for url in urls} == {True}


@pytest.mark.requirement("DISC-3")
def test_with_nothing_to_offer_the_list_is_empty(screening: Screening, tmp_path: Path) -> None:
    with serving(screening, tmp_path, hooks=()) as client:
        answer = client.get(SERVICES)
    assert (answer.status_code, answer.get_json()) == (200, {"services": []})


@pytest.mark.requirement("DISC-3")
def test_only_the_hooks_that_are_on_are_listed_and_served(screening: Screening, tmp_path: Path) -> None:
    with serving(screening, tmp_path, hooks=("order-sign",)) as client:
        assert list(offered(client)) == ["order-sign"]
        assert cards_of(call(client, valid("order-sign")))
        refusal_of(call(client, valid("patient-view")), 404)


@pytest.mark.requirement("DISC-4")
@pytest.mark.parametrize("language", LANGUAGES)
def test_every_service_has_a_title_and_no_name(client: FlaskClient, language: str) -> None:
    services = offered(client, language).values()
    assert all(service["title"].strip() and "name" not in service for service in services)
    assert len({service["title"] for service in services}) == len(services)


@pytest.mark.requirement("DISC-5")
def test_every_service_names_the_version_of_cds_hooks(client: FlaskClient) -> None:
    versions = {service["version"] for service in offered(client).values()}
    assert len(versions) == 1
    assert all(SEMVER.fullmatch(version) and version.startswith("3.0.0") for version in versions)


@pytest.mark.requirement("DISC-6")
def test_every_service_names_the_published_version_of_its_hook(client: FlaskClient) -> None:
    named = {hook: service["hookVersion"] for hook, service in offered(client).items()}
    assert {hook: named[hook] for hook in VERSIONS} == VERSIONS
    assert re.fullmatch(r"\d+\.\d+(\.\d+)?", named[OWN])


@pytest.mark.requirement("DISC-7", "STALE-5")
def test_hooks_can_be_offered_under_one_id(screening: Screening, tmp_path: Path) -> None:
    with serving(screening, tmp_path, grouped=True) as client:
        listed = client.get(SERVICES).get_json()["services"]
        answers = {hook: client.post(f"{SERVICES}/low-back-pain", json=valid(hook)) for hook in HOOKS}
        refusal_of(client.post(f"{SERVICES}/low-back-pain", json=valid("order-sign") | {"hook": "order-dispatch"}), 400)
    assert {service["id"] for service in listed} == {"low-back-pain"}
    assert sorted(service["hook"] for service in listed) == sorted(HOOKS)
    topics = {hook: [card["source"]["topic"]["code"] for card in cards_of(answers[hook])] for hook in HOOKS}
    assert topics["patient-view"] == ["self-care"]
    assert topics["order-sign"] == ["imaging"]


@pytest.mark.requirement("DISC-8")
def test_every_listed_id_is_safe_in_a_url_and_answers(client: FlaskClient) -> None:
    for service in client.get(SERVICES).get_json()["services"]:
        assert re.fullmatch(r"[A-Za-z0-9.-]{1,64}", service["id"])
        cards_of(client.post(f"{SERVICES}/{service['id']}", json=valid(service["hook"])))


@pytest.mark.requirement("DISC-9")
@pytest.mark.parametrize("language", LANGUAGES)
def test_descriptions_read_the_same_as_text_and_as_markdown(client: FlaskClient, language: str) -> None:
    texts = [service[name] for service in offered(client, language).values() for name in ("description", "title")]
    assert [text for text in texts if re.search(r"[<>*_`\[\]#|\\\n]|^\s*[-+>]|^\d+\.", text)] == []


@pytest.mark.requirement("DISC-10")
@pytest.mark.parametrize("hook", [hook for hook in HOOKS if hook != OWN])
def test_the_key_that_is_said_to_be_required_is_required(client: FlaskClient, hook: str) -> None:
    for language in LANGUAGES:
        needs = offered(client, language)[hook]["usageRequirements"]
        assert "FHIR R4" in needs
        assert "'responses'" in needs
    assert "responses" in refusal_of(call(client, changed(valid(hook), ("prefetch", "responses"), ABSENT)), 412)
    cards_of(call(client, without_responses(hook)))


OTHER_THINGS = {"system": LOINC, "code": "58410-2", "display": "CBC panel - Blood by Automated count"}
NOT_JUDGED: dict[str, Json] = {
    "order-select": {"draftOrders": bundled(order(OTHER_THINGS))},
    "order-sign": {"draftOrders": bundled(order(OTHER_THINGS))},
    "appointment-book": {"appointments": bundled(visit(OTHER_THINGS))},
}


@pytest.mark.requirement("DISC-10")
@pytest.mark.parametrize("hook", ORDERING)
def test_no_key_is_required_where_no_order_is_judged(client: FlaskClient, hook: str) -> None:
    assert "once an order or appointment is judged" in offered(client)[hook]["usageRequirements"]
    body = changed(valid(hook, **NOT_JUDGED[hook]), ("prefetch",), ABSENT)
    assert cards_of(call(client, body)) == []


@pytest.mark.requirement("DISC-10")
def test_our_own_hook_needs_the_response_and_nothing_else(client: FlaskClient) -> None:
    for language in LANGUAGES:
        needs = offered(client, language)[OWN]["usageRequirements"]
        assert {"questionnaireResponse", "patientId", "userId", "encounterId"} <= set(re.findall(r"\w+", needs))
    body = changed(valid(OWN), ("prefetch",), ABSENT)
    for name in ("patientId", "userId"):
        body = changed(body, ("context", name), ABSENT)
    assert cards_of(call(client, body))
    refusal_of(call(client, changed(body, ("context", "questionnaireResponse"), ABSENT)), 400)


@pytest.mark.requirement("DISC-12")
@pytest.mark.parametrize("method", ["POST", "PUT", "DELETE"])
def test_a_wrong_call_of_discovery_is_refused(client: FlaskClient, method: str) -> None:
    refusal_of(client.open(SERVICES, method=method), 405)


@pytest.mark.requirement("DISC-13")
def test_the_documentation_lists_every_service_of_discovery_and_no_other(client: FlaskClient) -> None:
    page = (ROOT / "docs" / "cds-hooks.md").read_text("utf-8")
    listed = re.findall(r"^\| `([a-z-]+)` \| \[?`([A-Za-z.-]+)`", page, re.M)
    assert sorted(listed) == sorted((service["id"], hook) for hook, service in offered(client).items())


@pytest.mark.requirement("DISC-14")
def test_a_hook_is_of_the_catalogue_or_has_a_reverse_domain_name(client: FlaskClient, screening: Screening) -> None:
    (own,) = offered(client).keys() - CATALOGUE
    host = re.sub(r"^https?://([^/:]+).*", r"\1", screening.base)
    assert own == ".".join([*reversed(host.split(".")), "questionnaire-response"])


@pytest.mark.requirement("STALE-5")
def test_every_hook_has_an_id_of_its_own_unless_they_are_grouped(client: FlaskClient) -> None:
    services = client.get(SERVICES).get_json()["services"]
    assert len({service["id"] for service in services}) == len(services) == len(HOOKS)
    assert list(empty_members(services)) == []
    assert len(ADVISING) + len(ORDERING) == len(services)
