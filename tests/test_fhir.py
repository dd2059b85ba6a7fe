"""What is published below /fhir: search, read, and one version of it."""

from base64 import b64decode
from typing import Any
from urllib.parse import parse_qsl, quote, urlsplit

import pytest
from flask.testing import FlaskClient
from werkzeug.datastructures import MultiDict

from tests.fhir_rules import valid
from tests.samples import BASE, FORM
from tests.wire import empty_members, refusal_of

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
    """Every published resource of a type that clinicians write."""
    found = [entry["resource"] for entry in get(client, kind, language)["entry"]]
    return [one for one in found if one["id"].startswith("low-back-pain")]


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


@pytest.mark.requirement("R-8", "S-2", "S-3")
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


# The parameters that S-2 asks for beside those of SEARCHES; `found` is whether they find the form.
MORE: dict[str, tuple[str, bool]] = {
    "the id": ("_id=low-back-pain", True),
    "another id": ("_id=low-back", False),
    "experimental": ("experimental=true", True),
    "not experimental": ("experimental=false", False),
    "the day": ("date={date}", True),
    "the day before": ("date=2026-11-21", False),
    "the month of the day": ("date=2026-11", True),
    "not another day": ("date=ne2026-11-21", True),
    "since the day": ("date=ge{date}", True),
    "after the day": ("date=gt{date}", False),
    "starting after the day before": ("date=sa2026-11-21", True),
    "until the day": ("date=le{date}", True),
    "before the day": ("date=lt{date}", False),
    "ending before the year after": ("date=eb2027", True),
    "within two days": ("date=ge2026-11-21&date=le2026-11-23", True),
    "the publisher": ("publisher=low back pain", True),
    "another publisher": ("publisher=somebody", False),
    "the description": ("description=vragenlijst voor volwassenen", True),
    "the description in English": ("description=questionnaire for adults", True),
    "another description": ("description=adults", False),
    "an identifier": ("identifier=urn:ietf:rfc:3986|{url}", True),
    "an identifier without its system": ("identifier={url}", True),
    "an identifier of another system": ("identifier=urn:oid:1.2|{url}", False),
    "any identifier of the system": ("identifier=urn:ietf:rfc:3986|", True),
    "another identifier": ("identifier=urn:ietf:rfc:3986|x", False),
    "the jurisdiction": ("jurisdiction=urn:iso:std:iso:3166|NL", True),
    "the jurisdiction without its system": ("jurisdiction=NL", True),
    "a code without a system": ("jurisdiction=|NL", False),
    "another jurisdiction": ("jurisdiction=BE", False),
    "about patients": ("subject-type=Patient", True),
    "about devices": ("subject-type=Device", False),
    "for low back pain": ("context-type-value=focus$http://snomed.info/sct|279039007", True),
    "for low back pain, by the code alone": ("context-type-value=focus$279039007", True),
    "for neck pain": ("context-type-value=focus$http://snomed.info/sct|81680005", False),
    "used by low back pain": ("context-type-value=user$279039007", False),
    "with a version": ("version:missing=false", True),
    "without a version": ("version:missing=true", False),
    "without an identifier": ("identifier:missing=true", False),
    "a comma that is part of the text": (r"title=Screening\, lage", False),
    "a parameter without a value": ("status=", True),
}


@pytest.mark.requirement("S-2")
@pytest.mark.parametrize(("query", "found"), MORE.values(), ids=MORE)
def test_every_search_parameter_finds_the_form_and_only_where_it_holds(
    client: FlaskClient, query: str, found: bool
) -> None:
    form = get(client, "Questionnaire/low-back-pain")
    pairs = [pair.partition("=")[::2] for pair in query.format(**form).split("&")]
    by_get = client.get("/fhir/Questionnaire", query_string=dict(pairs) if len(pairs) == 1 else pairs)
    by_post = client.post("/fhir/Questionnaire/_search", data=MultiDict(pairs))
    assert by_get.get_json()["total"] == (1 if found else 0)
    assert by_post.get_json() == by_get.get_json()


UNREADABLE = ["date=soon", "date=ap2026-11-22", "date=2026-13-01", "version:missing=yes", "context-type-value=focus"]


@pytest.mark.requirement("R-8")
@pytest.mark.parametrize("query", UNREADABLE)
def test_a_value_that_cannot_be_read_is_refused(client: FlaskClient, query: str) -> None:
    refusal_of(client.get(f"/fhir/Questionnaire?{query}"), 400)


@pytest.mark.parametrize("title", ["Screening lage rugpijn", "screening", "Low back pain screening", "low back"])
def test_search_finds_the_form_by_its_title_in_either_language(client: FlaskClient, title: str) -> None:
    assert get(client, f"Questionnaire?title={quote(title)}")["total"] == 1


@pytest.mark.requirement("R-8")
@pytest.mark.parametrize(
    "query", ["name:exact=LowBackPain", "name:contains=Pain", "url:below=x", "status:not=draft", "version:of-type=x"]
)
@pytest.mark.parametrize("kind", KINDS)
def test_a_modifier_is_refused(client: FlaskClient, kind: str, query: str) -> None:
    refusal_of(client.get(f"/fhir/{kind}?{query}"), 400)


@pytest.mark.requirement("R-8")
@pytest.mark.parametrize("kind", KINDS)
def test_a_bundle_of_what_is_found_is_a_searchset_with_absolute_addresses(client: FlaskClient, kind: str) -> None:
    bundle = get(client, kind)
    assert valid(bundle) == []
    assert (bundle["resourceType"], bundle["type"]) == ("Bundle", "searchset")
    assert bundle["total"] == len(bundle["entry"]) >= 1
    for entry in bundle["entry"]:
        assert entry["fullUrl"] == f"{PUBLIC}/{kind}/{entry['resource']['id']}"
        assert entry["search"] == {"mode": "match"}
        assert entry["resource"] == get(client, f"{kind}/{entry['resource']['id']}")


@pytest.mark.requirement("R-8")
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


@pytest.mark.requirement("R-8")
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


@pytest.mark.requirement("R-3", "S-2", "S-3")
@pytest.mark.parametrize(("kind", "id_"), NAMED)
def test_read_and_read_of_the_version_give_the_resource(client: FlaskClient, kind: str, id_: str) -> None:
    resource = get(client, f"{kind}/{id_}")
    assert (resource["resourceType"], resource["id"]) == (kind, id_)
    assert get(client, f"{kind}/{id_}/_history/{resource['meta']['versionId']}") == resource


NOT_THERE = ["{kind}/nope", "{kind}/{upper}", "{kind}/{id}/_history/0", "{kind}/{id}/_history/", "{kind}/{id}/x"]


@pytest.mark.requirement("R-3")
@pytest.mark.parametrize("path", NOT_THERE)
@pytest.mark.parametrize(("kind", "id_"), NAMED)
def test_another_id_or_version_is_not_found(client: FlaskClient, kind: str, id_: str, path: str) -> None:
    refusal_of(client.get("/fhir/" + path.format(kind=kind, id=id_, upper=id_.upper())), 404)


@pytest.mark.parametrize("kind", ["CodeSystem", "ValueSet"])
def test_an_id_of_another_type_is_not_found(client: FlaskClient, kind: str) -> None:
    refusal_of(client.get(f"/fhir/{kind}/low-back-pain"), 404)


@pytest.mark.requirement("Q-1", "Q-18", "R-12")
@pytest.mark.parametrize("language", ["nl", "en"])
@pytest.mark.parametrize("kind", KINDS)
def test_every_published_resource_is_valid_with_its_canonical_url(
    client: FlaskClient, kind: str, language: str
) -> None:
    for resource in published(client, kind, language):
        assert valid(resource) == []
        assert resource["url"] == f"{BASE}/{kind}/{resource['id']}"
        assert resource["language"] == language
        assert not set(resource["url"]) & set("|# ")


@pytest.mark.requirement("P-7", "S-3")
def test_the_rules_are_a_library_of_fhirpath_that_every_plan_names(client: FlaskClient) -> None:
    (library,) = published(client, "Library")
    assert [coding["code"] for coding in library["type"]["coding"]] == ["logic-library"]
    assert {content["contentType"] for content in library["content"]} == {"text/fhirpath"}
    assert all(b64decode(content["data"], validate=True).strip() for content in library["content"])
    for plan in published(client, "PlanDefinition"):
        assert plan["library"] == [f"{library['url']}|{library['version']}"]


SHAREABLE = ("url", "version", "name", "status", "experimental", "publisher", "description")


@pytest.mark.requirement("P-10")
@pytest.mark.parametrize("kind", ["PlanDefinition", "ActivityDefinition", "Library"])
def test_a_definition_has_what_the_profiles_ask_that_it_claims(client: FlaskClient, kind: str) -> None:
    for resource in published(client, kind):
        claimed = {one.rpartition("/")[2] for one in resource["meta"]["profile"]}
        assert f"shareable{kind.lower()}" in claimed
        assert not {one for one in claimed if "publishable" in one}
        assert [name for name in SHAREABLE if name not in resource] == []
        if f"computable{kind.lower()}" in claimed:
            assert len(resource["library"]) == 1
