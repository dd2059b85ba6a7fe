"""The CapabilityStatement says what works and nothing more: all that it declares is called, all else is refused."""

from collections.abc import Callable, Iterator
from typing import Any
from urllib.parse import urlsplit

import pytest
from flask.testing import FlaskClient
from werkzeug.test import TestResponse

from cds_content.screening import Screening
from tests.fhir_rules import valid
from tests.requirements.requests import ALARM
from tests.samples import ANSWERS, CALM, FORM, patient, response
from tests.test_fhir import PUBLIC, Json, get
from tests.wire import objects, refusal_of, serving

pytestmark = pytest.mark.timeless  # nothing in it is dated

PUBLISHED = ["Questionnaire", "CodeSystem", "ValueSet", "PlanDefinition", "ActivityDefinition", "Library"]
PUBLISHED += ["OperationDefinition", "StructureDefinition"]
STORED = ["QuestionnaireResponse", "AuditEvent"]
SDC = "http://hl7.org/fhir/uv/sdc"
RESPONSE = "/fhir/QuestionnaireResponse"
# Every interaction that R4 has with a type or an instance: method and address.
INTERACTIONS: dict[str, tuple[str, str]] = {
    "read": ("GET", "/fhir/{kind}/{id}"),
    "vread": ("GET", "/fhir/{kind}/{id}/_history/{version}"),
    "update": ("PUT", "/fhir/{kind}/{id}"),
    "patch": ("PATCH", "/fhir/{kind}/{id}"),
    "delete": ("DELETE", "/fhir/{kind}/{id}"),
    "history-instance": ("GET", "/fhir/{kind}/{id}/_history"),
    "history-type": ("GET", "/fhir/{kind}/_history"),
    "create": ("POST", "/fhir/{kind}"),
    "search-type": ("GET", "/fhir/{kind}?_id={id}"),
}
WORKS = {"read": 200, "vread": 200, "update": 200, "delete": 204, "create": 201, "search-type": 200}


@pytest.fixture(scope="module", name="client")
def _client(screening: Screening, tmp_path_factory: pytest.TempPathFactory) -> Iterator[FlaskClient]:
    """A service of its own: what is submitted here would count for the patients of other tests."""
    with serving(screening, tmp_path_factory.mktemp("fhir")) as client:
        client.application.testing = False  # so that an error of ours is answered as it is in use
        yield client


@pytest.fixture(name="statement")
def _statement(client: FlaskClient) -> Json:
    return get(client, "metadata")


@pytest.fixture(name="declared")
def _declared(statement: Json) -> dict[str, Json]:
    (rest,) = statement["rest"]
    by_type = {resource["type"]: resource for resource in rest["resource"]}
    assert len(by_type) == len(rest["resource"])
    return by_type


def one_of(client: FlaskClient, kind: str) -> Json:
    """A resource of this type: one that is published, a response just submitted, or the event of that."""
    if kind in STORED:
        created = client.post(RESPONSE, json=_response())
        assert created.status_code == 201, created.text
        path = urlsplit(created.headers["Location"]).path
        found = get(client, "AuditEvent")["entry"][0]["resource"] if kind == "AuditEvent" else None
        return found or get(client, path.removeprefix("/fhir/"))
    resource: Json = get(client, kind)["entry"][0]["resource"]
    return resource


def _response() -> Json:
    own = response(CALM, author={"reference": "Practitioner/d1"}, identifier={"system": "urn:x", "value": "1"})
    return {name: value for name, value in own.items() if name != "id"}


def _call(client: FlaskClient, code: str, own: Json) -> TestResponse:
    method, address = INTERACTIONS[code]
    kind = own["resourceType"]
    path = address.format(kind=kind, id=own["id"], version=own["meta"]["versionId"])
    body = own if code == "update" else _response() if kind == "QuestionnaireResponse" else own
    return client.open(path, method=method, json=body if method in ("POST", "PUT", "PATCH") else None)


@pytest.mark.requirement("R-1")
def test_the_statement_is_valid_and_describes_this_server(statement: Json) -> None:
    assert valid(statement) == []
    assert (statement["kind"], statement["fhirVersion"]) == ("instance", "4.0.1")
    assert statement["implementation"]["url"] == PUBLIC
    assert statement["format"] == ["application/fhir+json", "json"]
    assert [rest["mode"] for rest in statement["rest"]] == ["server"]


@pytest.mark.requirement("R-1")
def test_every_type_with_an_address_is_declared_and_no_other(client: FlaskClient, declared: dict[str, Json]) -> None:
    assert set(declared) == {*PUBLISHED, *STORED}
    for kind in ("Patient", "Observation", "Task", "Bundle", "SearchParameter", "Binary"):
        refusal_of(client.get(f"/fhir/{kind}"), 404)
        refusal_of(client.post(f"/fhir/{kind}", json={"resourceType": kind}), 404)


@pytest.mark.requirement("R-1", "S-2", "S-3")
@pytest.mark.parametrize("kind", [*PUBLISHED, *STORED])
def test_every_declared_interaction_works_and_no_other(
    client: FlaskClient, declared: dict[str, Json], kind: str
) -> None:
    codes = [interaction["code"] for interaction in declared[kind]["interaction"]]
    assert len(set(codes)) == len(codes)
    for code in INTERACTIONS:
        own = one_of(client, kind)
        answer = _call(client, code, own)
        if code in codes:
            assert answer.status_code == WORKS[code], (code, answer.text[:300])
        else:
            assert answer.status_code in (404, 405), code
            refusal_of(answer, answer.status_code)


@pytest.mark.requirement("R-1", "S-1", "S-2", "S-3")
def test_the_roles_are_those_whose_duties_are_declared(statement: Json, declared: dict[str, Json]) -> None:
    roles = ["sdc-form-receiver", "sdc-form-fill-manager", "sdc-form-response-manager"]
    assert statement["instantiates"] == [f"{SDC}/CapabilityStatement/{role}" for role in roles]
    assert "process-response" in [one["name"] for one in declared["Questionnaire"]["operation"]]
    duties = {
        "Questionnaire": ({"read", "search-type"}, {"url", "version", "status", "experimental"}),
        "ValueSet": ({"search-type"}, {"url", "version"}),
        "CodeSystem": ({"read", "search-type"}, {"url", "version"}),
        "Library": ({"search-type"}, {"url", "version"}),
        "QuestionnaireResponse": (
            {"create", "update", "read", "search-type"},
            {"questionnaire", "status", "subject", "authored", "author"},
        ),
    }
    for kind, (interactions, parameters) in duties.items():
        assert interactions <= {one["code"] for one in declared[kind]["interaction"]}, kind
        assert parameters <= {one["name"] for one in declared[kind]["searchParam"]}, kind


@pytest.mark.requirement("S-2")
def test_experimental_is_searched_as_sdc_defines_it(declared: dict[str, Json]) -> None:
    (found,) = [one for one in declared["Questionnaire"]["searchParam"] if one["name"] == "experimental"]
    assert (found["type"], found["definition"]) == ("token", f"{SDC}/SearchParameter/canonical-experimental")


# What a parameter finds and what it does not; {…} stands for an element of the resource. None: nothing that it finds.
VALUES: dict[str, tuple[str | None, str]] = {
    "_id": ("{id}", "nope"),
    "url": ("{url}", "https://other.example/x"),
    "version": ("{version}", "0.0.0"),
    "name": ("{name}", "nothing like it"),
    "title": ("{title}", "nothing like it"),
    "status": ("{status}", "retired"),
    "experimental": ("true", "false"),
    "date": ("ge2026-01-01", "lt2026-01-01"),
    "publisher": ("Low back pain", "somebody else"),
    "description": ("{description}", "nothing like it"),
    "identifier": ("urn:ietf:rfc:3986|{url}", "urn:x|nope"),
    "jurisdiction": ("urn:iso:std:iso:3166|NL", "BE"),
    "subject-type": ("Patient", "Device"),
    "context-type-value": ("focus$279039007", "focus$81680005"),
}
STORED_VALUES: dict[str, tuple[str | None, str]] = {
    "_id": ("{id}", "nope"),
    "questionnaire": (FORM, "https://other.example/x"),
    "status": ("completed", "stopped"),
    "subject": ("Patient/p1", "Patient/p2"),
    "patient": ("p1", "p2"),
    "authored": ("ge2020-01-01", "lt2020-01-01"),
    "author": ("Practitioner/d1", "Practitioner/d2"),
    "identifier": ("urn:x|1", "urn:x|2"),
    "date": ("ge2020-01-01", "lt2020-01-01"),
}


@pytest.mark.requirement("R-1", "R-8", "S-2", "S-3")
@pytest.mark.parametrize("kind", [*PUBLISHED, *STORED])
def test_every_declared_search_parameter_finds_what_holds_and_nothing_else(
    client: FlaskClient, declared: dict[str, Json], kind: str
) -> None:
    own = one_of(client, kind)
    names = [one["name"] for one in declared[kind]["searchParam"]]
    assert len(set(names)) == len(names)
    for name in names:
        finds, misses = (STORED_VALUES if kind in STORED else VALUES)[name]
        held = str(finds).format(**own).replace(",", r"\,")
        found = client.get(f"/fhir/{kind}", query_string={name: held, "_count": "200"}).get_json()
        assert name != names[0] or valid(found) == []
        assert own["id"] in [entry["resource"]["id"] for entry in found.get("entry", [])], name
        nothing = client.get(f"/fhir/{kind}", query_string={name: misses}).get_json()
        assert (nothing["total"], "entry" in nothing) == (0, False), name


@pytest.mark.requirement("R-1")
@pytest.mark.parametrize("kind", [*PUBLISHED, *STORED])
def test_a_search_parameter_that_is_not_declared_is_not_understood(
    client: FlaskClient, declared: dict[str, Json], kind: str
) -> None:
    names = {one["name"] for one in declared[kind]["searchParam"]}
    for name in (VALUES.keys() | STORED_VALUES.keys() | {"_lastUpdated", "_has", "_sort", "_include", "code"}) - names:
        strict = {"Prefer": "handling=strict"}
        refusal_of(client.get(f"/fhir/{kind}", query_string={name: "x"}, headers=strict), 400)


@pytest.mark.requirement("R-1", "R-3")
@pytest.mark.parametrize("kind", [*PUBLISHED, *STORED])
def test_a_conditional_read_works_as_declared(client: FlaskClient, declared: dict[str, Json], kind: str) -> None:
    own = one_of(client, kind)
    read = client.get(f"/fhir/{kind}/{own['id']}")
    known = {"If-None-Match": read.headers["ETag"]}
    assert client.get(f"/fhir/{kind}/{own['id']}", headers=known).status_code == 304
    assert declared[kind]["conditionalRead"] == "not-match"
    since = {"If-Modified-Since": read.headers.get("Last-Modified", "Sun, 22 Nov 2026 00:00:00 GMT")}
    assert client.get(f"/fhir/{kind}/{own['id']}", headers=since).status_code == 200


@pytest.mark.requirement("R-1")
def test_conditional_create_and_past_versions_are_there_as_declared(
    client: FlaskClient, declared: dict[str, Json]
) -> None:
    said = declared["QuestionnaireResponse"]
    assert (said["conditionalCreate"], said["updateCreate"], said["readHistory"]) == (True, False, True)
    first = client.post(RESPONSE, json=_response() | {"identifier": {"system": "urn:x", "value": "only one"}})
    unless = {"If-None-Exist": "identifier=urn:x|only one"}
    again = client.post(RESPONSE, json=_response(), headers=unless)
    assert (first.status_code, again.status_code) == (201, 200)
    path = urlsplit(first.headers["Location"]).path
    stored = client.get(path).get_json()
    changed = client.put(f"{RESPONSE}/{stored['id']}", json=stored)
    assert changed.get_json()["meta"]["versionId"] == "2"
    assert client.get(path).get_json()["meta"]["versionId"] == "1"
    refusal_of(client.put(f"{RESPONSE}/nope", json=stored | {"id": "nope"}), 405)


def _with(**named: Any) -> Json:
    return {"resourceType": "Parameters", "parameter": [{"name": name, **value} for name, value in named.items()]}


SUBJECT = {"valueReference": {"reference": "Patient/p1"}}
EXTRACTED = {"questionnaire-response": {"resource": response(CALM)}}
DATA = {"subject": SUBJECT, "data": {"resource": response(CALM | ALARM)}}
PLAN = {"url": {"valueUri": "https://lowbackpain.example/fhir/PlanDefinition/low-back-pain-patient-view"}}
# Each operation with a call at the type and one at an instance; None: not there.
Call = tuple[str, Callable[[], Json]] | None
OPERATIONS: dict[tuple[str, str], tuple[Call, Call]] = {
    ("Questionnaire", "populate"): (
        ("", lambda: _with(questionnaire={"valueCanonical": FORM}, subject=SUBJECT)),
        ("low-back-pain", lambda: _with(subject=SUBJECT, data={"resource": patient()})),
    ),
    ("Questionnaire", "process-response"): (
        ("", lambda: response(CALM)),
        ("low-back-pain", lambda: _with(**{"in": {"resource": response(CALM)}})),
    ),
    ("QuestionnaireResponse", "validate"): (("", lambda: response(CALM)), ("{id}", lambda: response(CALM, id="{id}"))),
    ("QuestionnaireResponse", "extract"): (("", lambda: _with(**EXTRACTED)), ("{id}", lambda: _with())),
    ("PlanDefinition", "apply"): (
        ("", lambda: _with(**PLAN, **DATA)),
        ("low-back-pain-patient-view", lambda: _with(**DATA)),
    ),
    ("ValueSet", "expand"): (
        ("", lambda: _with(url={"valueUri": f"{ANSWERS.replace('CodeSystem', 'ValueSet')}"})),
        ("low-back-pain-answers", lambda: _with()),
    ),
    ("ValueSet", "validate-code"): (
        (
            "",
            lambda: _with(
                url={"valueUri": f"{ANSWERS.replace('CodeSystem', 'ValueSet')}"},
                coding={"valueCoding": {"system": ANSWERS, "code": "yes"}},
            ),
        ),
        ("low-back-pain-answers", lambda: _with(code={"valueCode": "yes"}, system={"valueUri": ANSWERS})),
    ),
    ("CodeSystem", "validate-code"): (
        ("", lambda: _with(url={"valueUri": ANSWERS}, code={"valueCode": "yes"})),
        ("low-back-pain-answers", lambda: _with(code={"valueCode": "yes"})),
    ),
    ("CodeSystem", "lookup"): (("", lambda: _with(code={"valueCode": "yes"}, system={"valueUri": ANSWERS})), None),
}
IMPLEMENTED = {
    "Questionnaire-populate": f"{SDC}/OperationDefinition/Questionnaire-populate",
    "Questionnaire-process-response": f"{SDC}/OperationDefinition/Questionnaire-process-response",
    "QuestionnaireResponse-extract": f"{SDC}/OperationDefinition/QuestionnaireResponse-extract",
    "QuestionnaireResponse-validate": "http://hl7.org/fhir/OperationDefinition/Resource-validate",
    "PlanDefinition-apply": "http://hl7.org/fhir/OperationDefinition/PlanDefinition-apply",
    "ValueSet-expand": "http://hl7.org/fhir/OperationDefinition/ValueSet-expand",
    "ValueSet-validate-code": "http://hl7.org/fhir/OperationDefinition/ValueSet-validate-code",
    "CodeSystem-validate-code": "http://hl7.org/fhir/OperationDefinition/CodeSystem-validate-code",
    "CodeSystem-lookup": "http://hl7.org/fhir/OperationDefinition/CodeSystem-lookup",
}


@pytest.mark.requirement("R-1", "R-11", "S-1", "S-3")
@pytest.mark.parametrize(("kind", "code"), OPERATIONS)
@pytest.mark.parametrize("level", [0, 1], ids=["type", "instance"])
def test_every_operation_works_at_the_levels_of_its_definition(
    client: FlaskClient, kind: str, code: str, level: int
) -> None:
    definition = get(client, f"OperationDefinition/{kind}-{code}")
    call = OPERATIONS[kind, code][level]
    assert definition["instance" if level else "type"] is (call is not None)
    id_, body = call or ("low-back-pain-answers", lambda: _with())
    if "{id}" in id_:
        id_ = one_of(client, kind)["id"]
    sent = body() | ({"id": id_} if body().get("id") == "{id}" else {})
    answer = client.post(f"/fhir/{kind}/{id_}/${code}".replace("//", "/"), json=sent)
    assert answer.status_code == (200 if call else 404), answer.text[:300]
    assert valid(answer.get_json()) == []


@pytest.mark.requirement("R-1", "R-11")
def test_the_operations_declared_are_these(declared: dict[str, Json]) -> None:
    found = {(kind, one["name"]) for kind, said in declared.items() for one in said.get("operation", [])}
    assert found == set(OPERATIONS)


@pytest.mark.requirement("R-11")
def test_every_operation_links_to_its_definition_that_is_served(client: FlaskClient, declared: dict[str, Json]) -> None:
    served = {entry["resource"]["url"]: entry["resource"] for entry in get(client, "OperationDefinition")["entry"]}
    linked = {
        (kind, one["name"]): one["definition"] for kind, said in declared.items() for one in said.get("operation", [])
    }
    assert sorted(linked.values()) == sorted(served)
    for (kind, name), url in linked.items():
        definition = get(client, url.removeprefix(f"{PUBLIC}/"))
        assert valid(definition) == []
        assert definition == served[url]
        assert (definition["resource"], definition["code"], definition["system"]) == ([kind], name, False)
        assert definition["base"] == IMPLEMENTED[definition["id"]]


@pytest.mark.requirement("R-11")
@pytest.mark.parametrize("kind", [*PUBLISHED, *STORED])
@pytest.mark.parametrize("name", ["nope", "everything", "meta", "populate", "apply", "expand", "extract", "lookup"])
def test_an_operation_that_is_not_declared_is_refused(client: FlaskClient, kind: str, name: str) -> None:
    if (kind, name) in OPERATIONS:
        return
    for method in ("GET", "POST"):
        for path in (f"/fhir/{kind}/${name}", f"/fhir/{kind}/low-back-pain/${name}", f"/fhir/${name}"):
            answer = client.open(path, method=method, json=_with() if method == "POST" else None)
            assert answer.status_code in (404, 405), path
            refusal_of(answer, answer.status_code)


@pytest.mark.requirement("R-11")
@pytest.mark.parametrize("path", ["Questionnaire/$populate", "Questionnaire/$process-response"])
def test_an_operation_with_resources_in_it_or_that_keeps_something_is_not_called_by_get(
    client: FlaskClient, path: str
) -> None:
    answer = client.get(f"/fhir/{path}")
    assert answer.status_code in (404, 405)
    refusal_of(answer, answer.status_code)


UNDECLARED = [("GET", "/fhir/_history"), ("POST", "/fhir"), ("GET", "/fhir?status=draft"), ("POST", "/fhir/_search")]
UNDECLARED += [("DELETE", "/fhir/{kind}?status=draft"), ("PUT", "/fhir/{kind}?status=draft"), ("PATCH", "/fhir/{kind}")]


@pytest.mark.requirement("R-1")
@pytest.mark.parametrize(("method", "path"), UNDECLARED)
@pytest.mark.parametrize("kind", [*PUBLISHED, *STORED])
def test_what_is_not_declared_for_the_server_or_by_condition_is_refused(
    client: FlaskClient, kind: str, method: str, path: str
) -> None:
    answer = client.open(path.format(kind=kind), method=method)
    assert answer.status_code in (404, 405)
    refusal_of(answer, answer.status_code)


@pytest.mark.requirement("S-12")
def test_the_expression_languages_are_declared_and_documented(statement: Json, declared: dict[str, Json]) -> None:
    feature = "http://hl7.org/fhir/uv/application-feature/StructureDefinition/feature"
    found = [one for one in declared["Questionnaire"]["extension"] if one["url"] == feature]
    said = {
        part["valueCanonical"].partition("#")[2]: one["extension"][1] for one in found for part in one["extension"][:1]
    }
    assert {name: part["valueCoding"] for name, part in said.items()} == {
        "populationExpressionLanguage": {"system": "urn:ietf:bcp:13", "code": "text/fhirpath"}
    }
    for text in (statement["rest"][0]["documentation"], statement["text"]["div"]):
        for word in ("text/fhirpath", "population", "behavior", "extraction", "CQL", "x-fhir-query"):
            assert word in text, word


@pytest.mark.requirement("S-12", "Q-15")
def test_the_form_uses_no_expression_in_a_language_that_is_not_declared(client: FlaskClient) -> None:
    form = get(client, "Questionnaire/low-back-pain")
    expressions = [one for one in objects(form) if "valueExpression" in one]
    assert {one["url"].rpartition("-")[2] for one in expressions} == {"initialExpression"}
    assert {one["valueExpression"]["language"] for one in expressions} == {"text/fhirpath"}
