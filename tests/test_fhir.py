"""What /fhir offers: search, read, one version of what is published, and a CapabilityStatement that says just that."""

from typing import Any
from urllib.parse import parse_qsl, quote, urlsplit

import pytest
from fhir.resources.R4B import get_fhir_model_class
from flask.testing import FlaskClient

from tests.samples import BASE, FORM
from tests.wire import empty_members, objects, refusal_of

PUBLIC = "http://127.0.0.1:8080/fhir"
NAMED = [
    ("Questionnaire", "low-back-pain"),
    *(
        (kind, f"low-back-pain-{name}")
        for kind in ("CodeSystem", "ValueSet")
        for name in ("answers", "dispositions", "override-reasons")
    ),
]
KINDS = ["Questionnaire", "CodeSystem", "ValueSet"]
Json = dict[str, Any]


def get(client: FlaskClient, path: str, language: str = "nl") -> Json:
    """What stands at this path below /fhir; fails unless it is FHIR JSON with nothing empty in it."""
    answer = client.get(f"/fhir/{path}", headers={"Accept-Language": language})
    assert (answer.status_code, answer.mimetype) == (200, "application/fhir+json"), answer.text[:300]
    body: Json = answer.get_json()
    assert list(empty_members(body)) == []
    return body


def published(client: FlaskClient, kind: str, language: str = "nl") -> list[Json]:
    """Every published resource of a type."""
    return [entry["resource"] for entry in get(client, kind, language)["entry"]]


# What is asked of a resource, with {its own members} filled in, and whether it is found.
SEARCHES: dict[str, tuple[str, bool]] = {
    "everything": ("", True),
    "the url": ("url={url}", True),
    "another url": ("url=https://other.example/fhir/Questionnaire/phq-9", False),
    "the beginning of the url": (f"url={BASE}", False),
    "the url in capitals": (f"url={FORM.upper()}", False),
    "the version": ("version={version}", True),
    "another version": ("version=0.0.0", False),
    "the beginning of the version": ("version=1", False),
    "the name": ("name={name}", True),
    "the beginning of the name, in capitals": ("name=LOWBACK", True),
    "the end of the name": ("name=Pain", False),
    "another name": ("name=PHQ9", False),
    "the title": ("title={title}", True),
    "another title": ("title=PHQ-9", False),
    "the status": ("status={status}", True),
    "the status with its system": ("status=http://hl7.org/fhir/publication-status|{status}", True),
    "the status with another system": ("status=http://other.example|{status}", False),
    "another status": ("status=retired", False),
    "url and version": ("url={url}&version={version}", True),
    "url and another version": ("url={url}&version=0.0.0", False),
    "all at once": ("url={url}&version={version}&name={name}&title={title}&status={status}", True),
    "all at once, one wrong": ("url={url}&version={version}&name={name}&title={title}&status=retired", False),
    "this status or another": ("status=retired,{status}", True),
    "this version or another": ("version={version},0.0.0", True),
    "this url or another": ("url=https://other.example/x,{url}", True),
    "two other statuses": ("status=retired,unknown", False),
    "this status and another": ("status={status}&status=retired", False),
    "an unknown parameter": ("colour=red", True),
    "an unknown parameter and another status": ("colour=red&status=retired", False),
}


@pytest.mark.parametrize(("query", "found"), SEARCHES.values(), ids=SEARCHES)
@pytest.mark.parametrize(("kind", "id_"), NAMED)
def test_search_finds_what_holds_in_every_parameter(
    client: FlaskClient, kind: str, id_: str, query: str, found: bool
) -> None:
    own = get(client, f"{kind}/{id_}")
    filled = query.format(**{name: quote(own[name]) for name in ("url", "version", "name", "title", "status")})
    bundle = get(client, f"{kind}?{filled}")
    assert (own in [entry["resource"] for entry in bundle.get("entry", [])]) == found
    assert bundle["total"] == len(bundle.get("entry", []))


@pytest.mark.parametrize("title", ["Screening lage rugpijn", "screening", "Low back pain screening", "low back"])
def test_search_finds_the_form_by_its_title_in_either_language(client: FlaskClient, title: str) -> None:
    assert get(client, f"Questionnaire?title={quote(title)}")["total"] == 1


@pytest.mark.parametrize(
    "query", ["name:exact=LowBackPain", "name:contains=Pain", "url:below=x", "version:missing=true", "status:not=draft"]
)
@pytest.mark.parametrize("kind", KINDS)
def test_a_modifier_is_refused(client: FlaskClient, kind: str, query: str) -> None:
    refusal_of(client.get(f"/fhir/{kind}?{query}"), 400)


@pytest.mark.parametrize("kind", KINDS)
def test_a_bundle_of_what_is_found_is_a_searchset_with_absolute_addresses(client: FlaskClient, kind: str) -> None:
    bundle = get(client, kind)
    get_fhir_model_class("Bundle").model_validate(bundle)
    assert (bundle["resourceType"], bundle["type"]) == ("Bundle", "searchset")
    assert bundle["total"] == len(bundle["entry"]) >= 1
    for entry in bundle["entry"]:
        assert entry["fullUrl"] == f"{PUBLIC}/{kind}/{entry['resource']['id']}"
        assert entry["search"] == {"mode": "match"}
        assert entry["resource"] == get(client, f"{kind}/{entry['resource']['id']}")


@pytest.mark.parametrize("kind", KINDS)
def test_a_bundle_of_nothing_has_no_entry(client: FlaskClient, kind: str) -> None:
    bundle = get(client, f"{kind}?status=retired")
    assert bundle == {
        "resourceType": "Bundle",
        "type": "searchset",
        "total": 0,
        "link": [{"relation": "self", "url": f"{PUBLIC}/{kind}?status=retired"}],
    }


UNDERSTOOD: dict[str, tuple[str, list[tuple[str, str]]]] = {
    "nothing": ("", []),
    "one parameter": ("status=draft", [("status", "draft")]),
    "two parameters": (f"url={FORM}&status=draft,active", [("url", FORM), ("status", "draft,active")]),
    "the same parameter twice": ("status=draft&status=active", [("status", "draft"), ("status", "active")]),
    "an unknown parameter": ("colour=red&status=draft", [("status", "draft")]),
    "a space": ("title=Screening%20lage", [("title", "Screening lage")]),
    "an ampersand": ("title=Rug%26nek", [("title", "Rug&nek")]),
    "a hash": ("title=Rug%23nek", [("title", "Rug#nek")]),
    "letters beyond ASCII": ("title=pati%C3%ABnt", [("title", "patiënt")]),
}


@pytest.mark.parametrize(("query", "understood"), UNDERSTOOD.values(), ids=UNDERSTOOD)
def test_the_self_link_is_a_url_that_holds_what_was_understood_and_finds_the_same(
    client: FlaskClient, query: str, understood: list[tuple[str, str]]
) -> None:
    bundle = get(client, f"Questionnaire?{query}")
    (link,) = bundle["link"]
    assert link["relation"] == "self"
    assert link["url"].split("?")[0] == f"{PUBLIC}/Questionnaire"
    assert link["url"].isascii()
    assert not set(link["url"]) & set(' "<>\\^`{|}#')
    assert parse_qsl(urlsplit(link["url"]).query) == understood
    assert get(client, link["url"].removeprefix(f"{PUBLIC}/")) == bundle


@pytest.mark.parametrize(("kind", "id_"), NAMED)
def test_read_and_read_of_the_version_give_the_resource(client: FlaskClient, kind: str, id_: str) -> None:
    resource = get(client, f"{kind}/{id_}")
    assert (resource["resourceType"], resource["id"]) == (kind, id_)
    assert get(client, f"{kind}/{id_}/_history/{resource['meta']['versionId']}") == resource


NOT_THERE = ["{kind}/nope", "{kind}/{upper}", "{kind}/{id}/_history/0", "{kind}/{id}/_history/", "{kind}/{id}/x"]


@pytest.mark.parametrize("path", NOT_THERE)
@pytest.mark.parametrize(("kind", "id_"), NAMED)
def test_another_id_or_version_is_not_found(client: FlaskClient, kind: str, id_: str, path: str) -> None:
    refusal_of(client.get("/fhir/" + path.format(kind=kind, id=id_, upper=id_.upper())), 404)


@pytest.mark.parametrize("kind", ["CodeSystem", "ValueSet"])
def test_an_id_of_another_type_is_not_found(client: FlaskClient, kind: str) -> None:
    refusal_of(client.get(f"/fhir/{kind}/low-back-pain"), 404)


@pytest.mark.parametrize("language", ["nl", "en"])
@pytest.mark.parametrize("kind", KINDS)
def test_every_published_resource_is_fhir_with_its_canonical_url(client: FlaskClient, kind: str, language: str) -> None:
    for resource in published(client, kind, language):
        get_fhir_model_class(kind).model_validate(resource)
        assert resource["url"] == f"{BASE}/{kind}/{resource['id']}"
        assert resource["language"] == language
        assert not set(resource["url"]) & set("|# ")


def test_the_capability_statement_describes_this_server(client: FlaskClient) -> None:
    statement = get(client, "metadata")
    get_fhir_model_class("CapabilityStatement").model_validate(statement)
    assert statement["resourceType"] == "CapabilityStatement"
    assert (statement["kind"], statement["fhirVersion"]) == ("instance", "4.0.1")
    assert statement["implementation"]["url"] == PUBLIC
    assert {"application/fhir+json", "json"} & set(statement["format"])
    assert [rest["mode"] for rest in statement["rest"]] == ["server"]


def _declared(client: FlaskClient) -> dict[str, Json]:
    resources = get(client, "metadata")["rest"][0]["resource"]
    by_type = {resource["type"]: resource for resource in resources}
    assert len(by_type) == len(resources)
    return by_type


def test_every_type_that_is_published_is_declared(client: FlaskClient) -> None:
    assert set(_declared(client)) == set(KINDS)


def test_every_declared_interaction_works(client: FlaskClient) -> None:
    for kind, declared in _declared(client).items():
        some = published(client, kind)[0]
        own = f"{kind}/{some['id']}"
        paths = {"read": own, "vread": f"{own}/_history/{some['meta']['versionId']}", "search-type": f"{kind}?name="}
        codes = [interaction["code"] for interaction in declared["interaction"]]
        assert sorted(codes) == sorted(paths)
        for code in codes:
            get(client, paths[code])


def test_every_declared_search_parameter_works(client: FlaskClient) -> None:
    types = {"url": "uri", "version": "token", "name": "string", "title": "string", "status": "token"}
    for kind, declared in _declared(client).items():
        some = published(client, kind)[0]
        assert {one["name"]: one["type"] for one in declared["searchParam"]} == types
        assert len(declared["searchParam"]) == len(types)
        for name in types:
            assert some in [one["resource"] for one in get(client, f"{kind}?{name}={quote(some[name])}")["entry"]]
            assert get(client, f"{kind}?{name}=nothing-like-it")["total"] == 0


UNDECLARED: dict[str, tuple[str, str]] = {
    "create": ("POST", "/fhir/{kind}"),
    "update": ("PUT", "/fhir/{kind}/{id}"),
    "patch": ("PATCH", "/fhir/{kind}/{id}"),
    "delete": ("DELETE", "/fhir/{kind}/{id}"),
    "conditional delete": ("DELETE", "/fhir/{kind}?status=draft"),
    "history of an instance": ("GET", "/fhir/{kind}/{id}/_history"),
    "history of a type": ("GET", "/fhir/{kind}/_history"),
    "history of the system": ("GET", "/fhir/_history"),
    "transaction": ("POST", "/fhir"),
    "search of the system": ("GET", "/fhir?status=draft"),
    "an operation": ("POST", "/fhir/{kind}/$validate"),
    "an operation on an instance": ("GET", "/fhir/{kind}/{id}/$populate"),
    "another type": ("GET", "/fhir/Patient"),
    "an instance of another type": ("GET", "/fhir/Patient/p1"),
}


@pytest.mark.parametrize(("method", "path"), UNDECLARED.values(), ids=UNDECLARED)
@pytest.mark.parametrize(("kind", "id_"), NAMED[:2])
def test_what_is_not_declared_is_refused(client: FlaskClient, kind: str, id_: str, method: str, path: str) -> None:
    answer = client.open(path.format(kind=kind, id=id_), method=method)
    assert answer.status_code in (404, 405)
    refusal_of(answer, answer.status_code)


def test_no_operation_is_declared_that_is_not_there(client: FlaskClient) -> None:
    assert [one for one in objects(get(client, "metadata")) if "operation" in one] == []
