"""The contract is what the service does: the same addresses, calls, refusals and answers; and people can read it."""

import json
import re
import sqlite3
from collections.abc import Iterator
from contextlib import closing
from dataclasses import replace
from html.parser import HTMLParser
from pathlib import Path
from typing import Any, NoReturn

import pytest
from flask.testing import FlaskClient
from jsonschema import Draft202012Validator
from openapi_spec_validator import OpenAPIV31SpecValidator
from werkzeug.test import TestResponse

from cds_content.loading import load
from cds_content.screening import Screening
from cds_service.clients import EVERYTHING
from cds_service.errors import ServiceError, TooManyCalls
from cds_service.store import open_store
from cds_service.web import Deployment, create_app
from tests.conftest import ROOT, SERVICE
from tests.requirements.callers import service_in
from tests.requirements.requests import HOOKS, ORDERING, OWN, TOKEN, Json, condition, path, valid, without_responses
from tests.samples import CALM, bundle, call, patient, response
from tests.test_second_screening import SECOND, content
from tests.wire import ABSENT, changed, empty_members, objects, places, serving

pytestmark = pytest.mark.timeless  # nothing in it is dated

PUBLIC = "https://cds.example/back"
ALARM = CALM | {"rf-saddle": "new"}
FEEDBACK = f"{SERVICE}/feedback"
# What is for people, the files that their pages load, and the sandbox, which plays the other side.
PEOPLE = re.compile(r"/|/examples|/examples/<name>/\w+|/(review|form|sandbox|static|bootstrap)(/.*)?")
# Every kind of deployment.
DEPLOYMENTS: dict[str, dict[str, Any]] = {
    "development": {"development": True},
    "production": {},
    "production, grouped": {"grouped": True},
    "development, grouped": {"development": True, "grouped": True},
    "two hooks only": {"hooks": ("patient-view", "order-sign")},
    "two hooks only, grouped": {"hooks": ("patient-view", "order-sign"), "grouped": True},
    "no hook at all": {"hooks": ()},
    "without versions": {"versions": False},
    "with browsers that call": {"origins": ("https://sandbox.example",)},
}


@pytest.fixture(scope="module", name="served", params=DEPLOYMENTS.values(), ids=list(DEPLOYMENTS))
def _served(
    request: pytest.FixtureRequest, screening: Screening, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[FlaskClient]:
    """A service of each kind."""
    with serving(screening, tmp_path_factory.mktemp("served"), public=PUBLIC, **request.param) as client:
        yield client


@pytest.fixture(scope="module", name="contract")
def _contract(client: FlaskClient) -> Json:
    """The document of the service in development mode."""
    return contract_of(client)


def contract_of(client: FlaskClient) -> Json:
    answer = client.get("/openapi.json")
    assert (answer.status_code, answer.mimetype, answer.headers["Content-Language"]) == (200, "application/json", "en")
    document: Json = answer.get_json()
    return document


def faults(document: Json, schema: Json, value: Any) -> list[str]:
    """Where the value breaks a schema of the document."""
    validator = Draft202012Validator({**schema, "components": document["components"]})
    return [f"{error.json_path} {error.message}" for error in validator.iter_errors(value)]


def operations(document: Json) -> Iterator[tuple[str, str, Json]]:
    """(method, address, operation) of all that is offered."""
    for address, methods in document["paths"].items():
        for method, operation in methods.items():
            yield method.upper(), address, operation


def call_schema(document: Json, address: str) -> Json:
    content: Json = document["paths"][address]["post"]["requestBody"]["content"]
    assert content.keys() == {"application/json", "application/fhir+json"}
    schema: Json = content["application/json"]["schema"]
    return schema


def keeps(document: Json, answer: TestResponse, method: str, address: str) -> None:
    """Fails unless the answer is one that the operation promises, with its media type, headers and schema."""
    promised = document["paths"][address][method.lower()]["responses"]
    assert str(answer.status_code) in promised, answer.text[:300]
    agrees(document, answer, promised[str(answer.status_code)])


def agrees(document: Json, answer: TestResponse, promise: Json) -> None:
    promise = resolved(document, promise)
    for name, header in promise["headers"].items():
        assert name in answer.headers, name
        assert faults(document, resolved(document, header)["schema"], answer.headers[name]) == [], name
    assert list(promise["content"]) == [answer.mimetype]
    body = answer.text if str(answer.mimetype).startswith("text/") else answer.get_json()
    assert faults(document, promise["content"][answer.mimetype]["schema"], body) == []


def resolved(document: Json, part: Json) -> Json:
    found: Any = part
    for step in part["$ref"].split("/")[1:] if "$ref" in part else ():
        found = (document if found is part else found)[step]
    return dict(found)


def test_the_document_is_valid_openapi_and_holds_nothing_empty(served: FlaskClient) -> None:
    document = contract_of(served)
    assert [str(error) for error in OpenAPIV31SpecValidator(document).iter_errors()] == []
    empty = [place for place in empty_members(document) if not place.endswith(".security[0].client")]  # without scopes
    assert empty == []


def test_whatever_the_document_refers_to_is_in_it(served: FlaskClient) -> None:
    document = contract_of(served)
    references = {part["$ref"] for part in objects(document) if isinstance(part.get("$ref"), str)}
    assert references
    for reference in references:
        assert resolved(document, {"$ref": reference})


def test_every_route_is_in_the_document_and_nothing_else(served: FlaskClient) -> None:
    document, map_ = contract_of(served), served.application.url_map
    routes = {
        (rule.rule, method) for rule in map_.iter_rules() for method in (rule.methods or set()) - {"HEAD", "OPTIONS"}
    }
    described = set()
    for method, address, _ in operations(document):
        rule, _ = map_.bind("cds.example").match(re.sub(r"\{\w+\}", "x", address), method, return_rule=True)
        described.add((rule.rule, method))
    unused = {
        route
        for route in routes
        if "<service_id>" in route[0] and not served.get("/cds-services").get_json()["services"]
    }
    in_fhir = {route for route in routes if route[0].startswith("/fhir/")} - {("/fhir/metadata", "GET")}
    in_fhir |= {("/auth/token", "POST")}  # SMART's own document tells of it
    people = {route for route in routes if PEOPLE.fullmatch(route[0])}
    assert (
        described == routes - unused - in_fhir - people
    )  # those in FHIR are in the CapabilityStatement, which has tests of its own


def test_the_services_of_the_document_are_those_of_discovery(served: FlaskClient) -> None:
    listed = served.get("/cds-services").get_json()["services"]
    addresses = {f"/cds-services/{service['id']}{more}" for service in listed for more in ("", "/feedback")}
    document = contract_of(served)
    assert {address for address in document["paths"] if address.startswith("/cds-services/")} == addresses
    for service in listed:
        body = valid(service["hook"])
        assert faults(document, call_schema(document, f"/cds-services/{service['id']}"), body) == []


def test_every_address_that_is_read_keeps_its_promise(served: FlaskClient) -> None:
    document = contract_of(served)
    for method, address, operation in operations(document):
        if method == "GET":
            given = [resolved(document, one) for one in operation.get("parameters", [])]
            names = {
                one["name"]: one.get("example") or next(iter(one["examples"])) for one in given if one["in"] == "path"
            }
            answer = served.get(address.format(**names))
            assert answer.status_code == 200, address
            keeps(document, answer, method, address)


def test_every_example_obeys_its_schema_and_is_answered(served: FlaskClient) -> None:
    document = contract_of(served)
    for method, address, operation in operations(document):
        if method == "POST" and not address.endswith("/feedback"):
            for example in operation["requestBody"]["content"]["application/json"]["examples"].values():
                body = resolved(document, example)["value"]
                assert faults(document, call_schema(document, address), body) == []
                answer = served.post(address, json=body)
                assert answer.status_code == 200
                keeps(document, answer, method, address)


# What the examples of a hook must give: the indicator of the first card; nothing for "".
EXAMPLES = {
    "one-alarm": "critical",  # rf-bladder-bowel = new: row R01, an emergency
    "no-response-yet": "info",  # the form is offered, because the complaint is on record
}


@pytest.mark.parametrize("hook", ["patient-view", "encounter-start", "problem-list-item-create", OWN])
def test_the_examples_show_an_alarm_and_the_offer_of_the_form(client: FlaskClient, contract: Json, hook: str) -> None:
    for case, indicator in EXAMPLES.items():
        example = contract["components"]["examples"].get(f"low-back-pain.{hook}.{case}")
        if example:
            cards = client.post(path(hook), json=example["value"]).get_json()["cards"]
            assert [card["indicator"] for card in cards][:1] == [indicator], case
        else:
            assert (hook, case) == (OWN, "no-response-yet"), "this hook brings the response along"


def test_the_examples_of_feedback_obey_their_schema(contract: Json) -> None:
    examples = [
        one["value"] for name, one in contract["components"]["examples"].items() if name.startswith("Feedback.")
    ]
    assert {entry["outcome"] for one in examples for entry in one["feedback"]} == {"accepted", "overridden"}
    for example in examples:
        assert faults(contract, call_schema(contract, FEEDBACK), example) == []


def calls() -> Iterator[Json]:
    """Calls of all hooks as the other tests make them."""
    yield from (call(), call(response(CALM)), call(response(ALARM), about=patient(None)))
    for hook in HOOKS:
        for answers in (CALM, ALARM, CALM | {"rf-leg": "unknown"}, CALM | {"co-trend": "worse"}, {"lbp-present": "no"}):
            yield valid(hook, response(answers))
        yield valid(hook, response(ALARM), encounterId="e1") | {
            "fhirServer": "https://ehr.example",
            "fhirAuthorization": TOKEN,
        }
    for hook in HOOKS[:-1]:
        yield without_responses(hook)
        offered = without_responses(hook)
        yield offered | {"prefetch": offered["prefetch"] | {"conditions": bundle(condition())}}
    for hook in ("patient-view", "appointment-book", OWN):
        yield valid(hook, response(ALARM), userId="Patient/p1")


@pytest.mark.parametrize("name", [file.stem for file in (ROOT / "examples").glob("*/*.json")])
def test_every_example_that_is_shipped_obeys_the_contract(client: FlaskClient, contract: Json, name: str) -> None:
    body = client.get(f"/examples/{name}").get_json()
    assert faults(contract, call_schema(contract, path(body["hook"])), body) == []


@pytest.mark.parametrize("language", ["nl", "en"])
def test_calls_and_answers_of_all_hooks_keep_the_contract(client: FlaskClient, contract: Json, language: str) -> None:
    indicators = set()
    for body in calls():
        address = path(body["hook"])
        assert faults(contract, call_schema(contract, address), body) == [], body["hook"]
        answer = client.post(address, json=body, headers={"Accept-Language": language})
        assert answer.status_code == 200
        keeps(contract, answer, "POST", address)
        indicators |= {card["indicator"] for card in answer.get_json()["cards"]}
    assert indicators == {"critical", "warning", "info"}


VALUES = [
    ABSENT,
    None,
    True,
    5,
    1.5,
    "",
    "x",
    "p 1",
    "Patient/p1",
    [],
    [{}],
    [5],
    {},
    {"resourceType": "Bundle", "entry": 5},
]
# What is refused and no schema can say. Where the hook is about orders, prefetch is read only when one is judged.
BEYOND = (
    "another patient",
    "holds other resources only",
    "is another form",
    "holds what is no resource",
    "type or code",
)


def broken(good: Json, depth: int) -> Iterator[tuple[str, Any]]:
    """The body with every member down to that depth replaced by each value."""
    yield from ((repr(value), value) for value in VALUES if value is not ABSENT)
    for place in places(good):
        if len(place) <= depth:
            yield from ((f"{place} = {value!r}", changed(good, place, value)) for value in VALUES)


@pytest.mark.parametrize("hook", HOOKS)
def test_a_call_is_refused_where_the_schema_refuses_it_and_nowhere_else(
    client: FlaskClient, contract: Json, hook: str
) -> None:
    good = valid(hook, response(CALM), encounterId="e1")
    good |= {"fhirServer": "https://ehr.example/fhir", "fhirAuthorization": {"access_token": "t", "patient": "p1"}}
    beyond = (*BEYOND, "is no FHIR resource") if hook in ORDERING else BEYOND
    for what, body in broken(good, depth=2):
        answer = client.post(path(hook), data=json.dumps(body), content_type="application/json")
        keeps(contract, answer, "POST", path(hook))
        if faults(contract, call_schema(contract, path(hook)), body):
            assert answer.status_code == 400, what
        else:
            assert answer.status_code in (200, 412) or any(words in answer.text for words in beyond), what


def test_feedback_is_refused_where_the_schema_refuses_it_and_nowhere_else(client: FlaskClient, contract: Json) -> None:
    for outcome in ("accepted", "overridden"):
        entry = {
            "card": "7f3f2b9e-4c1c-4a0e-9a52-0d4d2c1f7a11",
            "outcome": outcome,
            "outcomeTimestamp": "2026-11-22T10:00:00Z",
            "acceptedSuggestions": [{"id": "7f3f2b9e-4c1c-4a0e-9a52-0d4d2c1f7a12"}],
            "overrideReason": {"reason": {"code": "c", "system": "s", "display": "d"}, "userComment": "words"},
        }
        for what, body in broken({"feedback": [entry]}, depth=5):
            answer = client.post(FEEDBACK, data=json.dumps(body), content_type="application/json")
            keeps(contract, answer, "POST", FEEDBACK)
            obeys = not faults(contract, call_schema(contract, FEEDBACK), body)
            assert (answer.status_code in (200, 404)) is obeys, what


def test_feedback_on_a_card_keeps_the_contract(client: FlaskClient, contract: Json) -> None:
    (card,) = client.post(SERVICE, json=valid("patient-view", response(ALARM))).get_json()["cards"]
    entry = {"card": card["uuid"], "outcome": "overridden", "outcomeTimestamp": "2026-11-22T10:00:00.5+01:00"}
    answer = client.post(FEEDBACK, json={"feedback": [entry]})
    assert answer.status_code == 200
    keeps(contract, answer, "POST", FEEDBACK)


# What is sent, and the status that follows.
REFUSALS: dict[str, tuple[str, str, dict[str, Any], int]] = {
    "no JSON": ("POST", SERVICE, {"data": b"{", "content_type": "application/json"}, 400),
    "no response in hand": ("POST", SERVICE, {"json": valid("patient-view") | {"prefetch": {}}}, 412),
    "a body over a megabyte": ("POST", SERVICE, {"data": b" " * 1_000_001, "content_type": "application/json"}, 413),
    "plain text": ("POST", SERVICE, {"data": b"{}", "content_type": "text/plain"}, 415),
    "feedback over a megabyte": ("POST", FEEDBACK, {"data": b" " * 1_000_001, "content_type": "application/json"}, 413),
    "feedback as plain text": ("POST", FEEDBACK, {"data": b"{}", "content_type": "text/plain"}, 415),
    "an example that there is not": ("GET", "/examples/{name}", {}, 404),
}


@pytest.mark.parametrize(("method", "address", "sent", "status"), REFUSALS.values(), ids=REFUSALS)
def test_every_refusal_keeps_the_contract(
    client: FlaskClient, contract: Json, method: str, address: str, sent: Json, status: int
) -> None:
    answer = client.open(re.sub(r"\{\w+\}", "nobody", address), method=method, **sent)
    assert answer.status_code == status
    keeps(contract, answer, method, address)


def test_a_method_that_is_not_listed_is_refused_as_promised(client: FlaskClient, contract: Json) -> None:
    promise = contract["components"]["responses"]["MethodNotAllowed"]
    for address, methods in contract["paths"].items():
        answer = client.delete(re.sub(r"\{\w+\}", "x", address))
        assert answer.status_code == 405
        agrees(contract, answer, promise)
        assert set(answer.headers["Allow"].lower().split(", ")) - {"head", "options"} == methods.keys()


def _broken() -> NoReturn:
    raise RuntimeError


def test_an_error_of_ours_keeps_the_contract(screening: Screening, tmp_path: Path, contract: Json) -> None:
    with serving(screening, tmp_path, now=_broken, identify=lambda *_: "nobody") as failing:
        failing.application.testing = False
        for method, address in [("POST", SERVICE), ("GET", "/contract"), ("GET", "/openapi.json")]:
            answer = failing.open(address, method=method, json=valid("patient-view"))
            assert answer.status_code == 500
            keeps(contract, answer, method, address)


@pytest.mark.parametrize("address", [SERVICE, FEEDBACK])
def test_a_database_that_fails_keeps_the_contract(
    screening: Screening, tmp_path: Path, contract: Json, address: str
) -> None:
    with serving(screening, tmp_path) as failing:
        with closing(sqlite3.connect(tmp_path / "served.sqlite")) as database:
            database.execute("ALTER TABLE cards RENAME TO gone")
        answer = failing.post(address, json=valid("patient-view") | {"feedback": []})
        assert answer.status_code == 503
        keeps(contract, answer, "POST", address)


def _one_too_many(*_: Any) -> NoReturn:
    raise TooManyCalls(7)


@pytest.mark.parametrize(("method", "address"), [("POST", SERVICE), ("POST", FEEDBACK), ("GET", "/report")])
def test_a_call_too_many_keeps_the_contract(screening: Screening, tmp_path: Path, method: str, address: str) -> None:
    clients = {"ehr": EVERYTHING}
    with serving(screening, tmp_path, clients=clients, identify=lambda *_: "ehr", admit=_one_too_many) as busy:
        answer = busy.open(address, method=method, json=valid("patient-view"))
        assert (answer.status_code, answer.headers["Retry-After"]) == (429, "7")
        keeps(contract_of(busy), answer, method, address)


def test_every_reason_to_refuse_is_in_the_contract(contract: Json) -> None:
    issue = contract["components"]["schemas"]["OperationOutcome"]["properties"]["issue"]["items"]
    kinds = [ServiceError]
    for kind in kinds:
        kinds += kind.__subclasses__()
    assert {kind.code for kind in kinds} | {"too-long"} == set(issue["properties"]["code"]["enum"])


def test_in_production_calls_need_a_token_and_what_is_published_does_not(screening: Screening, tmp_path: Path) -> None:
    production = service_in(screening, tmp_path)
    document = contract_of(production)
    assert document["components"]["securitySchemes"]["client"]["scheme"] == "bearer"
    for method, address, operation in operations(document):
        answer = production.open(re.sub(r"\{\w+\}", "x", address), method=method)
        assert ("security" in operation) is ("401" in operation["responses"]) is (answer.status_code == 401), address
        keeps(document, answer, method, address)


def test_in_development_no_token_is_asked_for(contract: Json) -> None:
    assert "securitySchemes" not in contract["components"]
    assert not [address for _, address, operation in operations(contract) if "401" in operation["responses"]]
    assert "/examples/{name}" in contract["paths"]


def test_examples_are_not_offered_in_production(screening: Screening, tmp_path: Path) -> None:
    assert "/examples/{name}" not in contract_of(service_in(screening, tmp_path))["paths"]


def test_the_contract_says_where_it_is_and_what_it_is_not(served: FlaskClient) -> None:
    document = contract_of(served)
    assert document["servers"] == [{"url": PUBLIC}]
    assert (
        "This is not a certified medical device. No clinician has signed its content."
        in document["info"]["description"]
    )


def test_the_contract_names_the_clinician_who_signed(screening: Screening, tmp_path: Path) -> None:
    with serving(replace(screening, signed_by="A. Huisarts"), tmp_path) as signed:
        words = contract_of(signed)["info"]["description"]
    assert "not a certified medical device. Its content was signed by A. Huisarts." in words
    assert "No clinician" not in words


def test_the_contract_is_the_same_however_often_it_is_read(client: FlaskClient) -> None:
    assert client.get("/openapi.json").data == client.get("/openapi.json", headers={"Accept-Language": "nl"}).data


def test_two_screenings_share_one_contract(tmp_path: Path) -> None:
    store = open_store(f"sqlite:///{tmp_path / 'store.sqlite'}")
    both = create_app(
        Deployment(load(content(tmp_path, ROOT, SECOND)), store, PUBLIC, development=True, grouped=True)
    ).test_client()
    document = contract_of(both)
    assert {"/cds-services/low-back-pain", "/cds-services/neck-check"} <= document["paths"].keys()
    example = document["components"]["examples"]["neck-check.patient-view.one-alarm"]["value"]
    answer = both.post("/cds-services/neck-check", json=example)
    keeps(document, answer, "POST", "/cds-services/neck-check")
    assert answer.get_json()["cards"][0]["source"]["topic"]["code"] == "doctor-today"  # np-arm = yes: row N01
    store.dispose()


class Page(HTMLParser):
    """What stands on a page: elements with their attributes, and the texts of headings."""

    def __init__(self, html: str) -> None:
        super().__init__()
        self.elements: list[tuple[str, dict[str, str | None]]] = []
        self.headings: list[str] = []
        self._within = ""
        self.feed(html)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.elements.append((tag, dict(attrs)))
        self._within = tag

    def handle_data(self, data: str) -> None:
        if self._within in ("h1", "h2", "h3", "h4"):
            self.headings.append(data.strip())

    def handle_endtag(self, _: str) -> None:
        self._within = ""

    def all(self, name: str) -> list[str]:
        """The values of one attribute."""
        return [value or "" for _, attributes in self.elements for key, value in attributes.items() if key == name]


def test_the_page_names_every_operation_schema_and_service(served: FlaskClient) -> None:
    document, answer = contract_of(served), served.get("/contract")
    page = Page(answer.text)
    assert {f"{method} {address}" for method, address, _ in operations(document)} <= set(page.headings)
    assert document["components"]["schemas"].keys() <= set(page.headings)
    for service in served.get("/cds-services", headers={"Accept-Language": "en"}).get_json()["services"]:
        assert service["title"] in page.headings
        for template in service["prefetch"].values():
            assert template.replace("&", "&amp;") in answer.text


def test_the_page_says_what_the_service_is_not(served: FlaskClient) -> None:
    assert (
        "This is not a certified medical device. No clinician has signed its content." in served.get("/contract").text
    )


def test_the_page_is_english_within_a_frame_in_the_language_of_its_reader(client: FlaskClient) -> None:
    reader = client.application.test_client(use_cookies=False)
    answer = reader.get("/contract", headers={"Accept-Language": "nl"})
    page = Page(answer.text)
    assert answer.text.startswith("<!doctype html>")
    assert ("html", {"lang": "nl"}) in page.elements
    assert ("div", {"lang": "en", "class": "contract"}) in page.elements
    assert ("meta", {"name": "viewport", "content": "width=device-width, initial-scale=1"}) in page.elements
    assert "Naar de inhoud" in answer.text
    assert answer.headers["Content-Language"] == "en"


def test_every_link_on_the_page_leads_somewhere(served: FlaskClient) -> None:
    page = Page(served.get("/contract").text)
    ids = page.all("id")
    assert len(ids) == len(set(ids))
    for link in page.all("href"):
        if link.startswith("#"):
            assert link[1:] in ids, link
        elif not link.startswith("?"):  # those change the language or the colours of this page
            with served.get(link, base_url="https://cds.example") as answer:
                assert answer.status_code == 200, link


def test_anybody_reads_the_contract_under_any_name_of_the_service(served: FlaskClient) -> None:
    for address in ("/contract", "/openapi.json"):
        assert served.get(address, base_url="https://another.example").status_code == 200


def test_markup_in_a_text_is_shown_and_not_obeyed(screening: Screening, tmp_path: Path) -> None:
    evil = "<script>alert(1)</script>"
    service = screening.services["low-back-pain-patient-view"]
    changed_service = service.model_copy(
        update={"title": {"nl": evil, "en": evil}, "description": {"nl": evil, "en": evil}}
    )
    services = {**screening.services, "low-back-pain-patient-view": changed_service}
    with serving(replace(screening, services=services), tmp_path) as client:
        html = client.get("/contract").text
    assert evil not in html
    assert "&lt;script&gt;" in html
