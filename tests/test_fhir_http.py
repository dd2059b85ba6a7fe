"""FHIR over HTTP: formats, versions, parts and pages of what is read, and refusals that are OperationOutcomes."""

import gzip
import json
from collections.abc import Iterator
from email.utils import parsedate_to_datetime
from pathlib import Path
from typing import Any
from urllib.parse import parse_qsl, urlsplit

import pytest
from flask.testing import FlaskClient
from werkzeug.test import TestResponse

from cds_content.screening import Screening
from tests.fhir_rules import valid
from tests.samples import CALM, response
from tests.test_fhir import PUBLIC, Json, get
from tests.wire import empty_members, refusal_of, serving

FORM = "/fhir/Questionnaire/low-back-pain"
FHIR = "application/fhir+json"
SUBSETTED = {"system": "http://terminology.hl7.org/CodeSystem/v3-ObservationValue", "code": "SUBSETTED"}

POSTED = ["QuestionnaireResponse", "QuestionnaireResponse/$validate", "QuestionnaireResponse/$extract"]
POSTED += ["Questionnaire/$populate", "Questionnaire/$process-response", "PlanDefinition/$apply"]
POSTED += ["ValueSet/$expand", "ValueSet/$validate-code", "CodeSystem/$validate-code", "CodeSystem/$lookup"]


@pytest.fixture(scope="module", name="client")
def _client(screening: Screening, tmp_path_factory: pytest.TempPathFactory) -> Iterator[FlaskClient]:
    """A service of its own: what is submitted here would count for the patients of other tests."""
    with serving(screening, tmp_path_factory.mktemp("fhir")) as client:
        client.application.testing = False  # so that an error of ours is answered as it is in use
        yield client


# The header Accept (None: none is sent), and what comes back; None: 406.
ACCEPTED: dict[str | None, str | None] = {
    None: FHIR,
    "": FHIR,
    "*/*": FHIR,
    "application/*": FHIR,
    FHIR: FHIR,
    f"{FHIR}; fhirVersion=4.0": FHIR,
    f"{FHIR}; fhirVersion=4.0.1": FHIR,
    f"{FHIR}; fhirVersion=4.01": None,
    f"{FHIR}; charset=utf-8": FHIR,
    "application/json": "application/json",
    "text/json": "text/json",
    "application/json, application/fhir+json;q=0.5": "application/json",
    "application/json;q=0.5, application/fhir+json": FHIR,
    "text/html, application/xhtml+xml, application/xml;q=0.9, */*;q=0.8": FHIR,
    "application/fhir+xml;q=1.0, application/fhir+json;q=0.1": FHIR,
    "application/fhir+json;q=0.1, */*": "application/json",
    "application/fhir+json;q=0, application/*;q=0.5": "application/json",
    f"{FHIR}; fhirVersion=3.0": None,
    f"{FHIR};q=0": None,
    "application/fhir+xml": None,
    "application/xml": None,
    "text/turtle": None,
    "text/html": None,
}


@pytest.mark.requirement("R-2")
@pytest.mark.parametrize(("accepted", "media"), ACCEPTED.items())
@pytest.mark.parametrize("path", ["metadata", "Questionnaire", "Questionnaire/low-back-pain", "ValueSet/$expand?url=x"])
def test_an_answer_has_the_format_that_is_accepted(
    client: FlaskClient, accepted: str | None, media: str | None, path: str
) -> None:
    answer = client.get(f"/fhir/{path}", headers={} if accepted is None else {"Accept": accepted})
    if media is None:
        refusal_of(answer, 406)
    elif "$" not in path:  # there is no value set with that URL
        assert (answer.status_code, answer.mimetype) == (200, media)
    else:
        refusal_of(answer, 404)


@pytest.mark.requirement("R-2")
@pytest.mark.parametrize("path", POSTED)
def test_another_format_is_refused_before_anything_is_done(client: FlaskClient, path: str) -> None:
    refusal_of(client.post(f"/fhir/{path}", data=b"{", headers={"Accept": "application/xml"}, content_type=FHIR), 406)


FORMATS = {"json": 200, "application/json": 200, "application/fhir+json": 200, "application/fhir%2Bjson": 200}
FORMATS |= {"text/json": 200, "xml": 406, "application/fhir%2Bxml": 406, "html": 406, "ttl": 406, "x": 406}
FORMATS |= {"application/fhir%2Bjson;fhirVersion=4.0": 200, "application/fhir%2Bjson;fhirVersion=5.0": 406}


@pytest.mark.requirement("R-2")
@pytest.mark.parametrize(("format_", "status"), FORMATS.items())
@pytest.mark.parametrize("accepted", ["application/fhir+xml", FHIR])
def test_the_parameter_format_beats_the_header_accept(
    client: FlaskClient, format_: str, status: int, accepted: str
) -> None:
    answer = client.get(f"{FORM}?_format={format_}", headers={"Accept": accepted})
    assert (answer.status_code, answer.mimetype) == (status, FHIR)
    assert valid(answer.get_json()) == []


SENT = {FHIR: True, "application/json": True, "text/json": True, f"{FHIR}; charset=UTF-8": True}
SENT |= {f"{FHIR};fhirVersion=4.0.1": True, f"{FHIR}; fhirVersion=4.3.0": False}
SENT |= {f"{FHIR}; fhirVersion=4.0": True, f"{FHIR}; fhirVersion=3.0": False, f"{FHIR}; charset=latin1": False}
SENT |= {"application/fhir+xml": False, "text/plain": False, "application/x-www-form-urlencoded": False, "": False}


@pytest.mark.requirement("R-2")
@pytest.mark.parametrize(("media", "taken"), SENT.items())
@pytest.mark.parametrize("path", ["ValueSet/low-back-pain-answers/$expand", "QuestionnaireResponse/$validate"])
def test_what_is_sent_is_fhir_json_of_r4(client: FlaskClient, media: str, taken: bool, path: str) -> None:
    body: Json = {"resourceType": "Parameters"} if "ValueSet" in path else response(CALM)
    answer = client.post(f"/fhir/{path}", data=json.dumps(body), content_type=media)
    assert answer.status_code == (200 if taken else 415), answer.text[:300]
    assert valid(answer.get_json()) == []


@pytest.mark.requirement("R-3", "R-1")
@pytest.mark.parametrize("path", ["metadata", "Questionnaire/low-back-pain", "OperationDefinition/ValueSet-expand"])
def test_a_version_that_the_client_has_is_not_sent_again(client: FlaskClient, path: str) -> None:
    first = client.get(f"/fhir/{path}")
    etag = first.headers["ETag"]
    if path != "metadata":
        assert etag == f'W/"{first.get_json()["meta"]["versionId"]}"'
    for known in (etag, etag.removeprefix("W/"), f'W/"0", {etag}', "*"):
        again = client.get(f"/fhir/{path}", headers={"If-None-Match": known})
        assert (again.status_code, again.data, again.headers["ETag"]) == (304, b"", etag)
    assert client.get(f"/fhir/{path}", headers={"If-None-Match": 'W/"0"'}).status_code == 200


@pytest.mark.requirement("R-3")
def test_a_version_of_the_same_second_is_sent_to_a_client_that_knows_the_one_before(client: FlaskClient) -> None:
    """A date in a header has whole seconds, and counts for nothing. Source: RFC 9110, 8.8.2.2."""
    created = client.post("/fhir/QuestionnaireResponse", json=response(CALM))
    path = urlsplit(created.headers["Location"]).path
    modified = client.get(path).headers["Last-Modified"]
    meta = client.get(path).get_json()["meta"]
    assert parsedate_to_datetime(modified).isoformat()[:19] == meta["lastUpdated"][:19]
    assert client.get(path, headers={"If-Modified-Since": modified}).status_code == 200


# What is refused, and with which status.
REFUSED: dict[str, tuple[str, str, int]] = {
    "an unknown type": ("GET", "/fhir/Patient", 404),
    "an instance of an unknown type": ("GET", "/fhir/Patient/p1", 404),
    "what is no type": ("GET", "/fhir/patients", 404),
    "an unknown instance": ("GET", "/fhir/Questionnaire/nope", 404),
    "an unknown version": ("GET", "/fhir/Questionnaire/low-back-pain/_history/9", 404),
    "the base": ("GET", "/fhir", 404),
    "a method that is not offered": ("DELETE", FORM, 405),
    "a patch": ("PATCH", FORM, 405),
    "another format": ("GET", f"{FORM}?_format=xml", 406),
    "a body of another format": ("POST", "/fhir/QuestionnaireResponse", 415),
    "an unknown operation": ("POST", "/fhir/Questionnaire/$nope", 405),
    "an unknown operation on an instance": ("POST", f"{FORM}/$nope", 404),
    "an unknown operation of the server": ("POST", "/fhir/$nope", 404),
    "an unknown _summary": ("GET", f"{FORM}?_summary=short", 400),
    "a _count that is no number": ("GET", "/fhir/Questionnaire?_count=many", 400),
    "another mode of metadata": ("GET", "/fhir/metadata?mode=terminology", 400),
}


@pytest.mark.requirement("R-6", "R-11")
@pytest.mark.parametrize(("method", "path", "status"), REFUSED.values(), ids=REFUSED)
def test_a_refusal_is_an_operation_outcome(client: FlaskClient, method: str, path: str, status: int) -> None:
    answer = client.open(path, method=method, headers={"Accept": FHIR})
    refusal_of(answer, status)
    assert answer.mimetype == FHIR
    assert valid(answer.get_json()) == []


@pytest.mark.requirement("R-6")
def test_an_error_of_ours_is_an_operation_outcome(screening: Screening, tmp_path: Path) -> None:
    def broken() -> Any:
        raise RuntimeError("a secret")

    with serving(screening, tmp_path, new_uuid=broken) as client:
        client.application.testing = False
        answer = client.get("/fhir/ValueSet/low-back-pain-answers/$expand")
    assert "secret" not in refusal_of(answer, 500)
    assert answer.mimetype == FHIR


SUMMARIES = {
    "true": {"id", "meta", "url", "version", "name", "title", "status", "experimental", "subjectType", "date"}
    | {"publisher", "identifier", "useContext", "jurisdiction"},
    "text": {"id", "meta", "text", "status"},
}


@pytest.mark.requirement("R-8")
@pytest.mark.parametrize("path", ["Questionnaire/low-back-pain?", "Questionnaire?_id=low-back-pain&"])
@pytest.mark.parametrize("summary", SUMMARIES)
def test_a_summary_holds_its_elements_and_says_that_it_is_one(client: FlaskClient, summary: str, path: str) -> None:
    form = _only(get(client, f"{path}_summary={summary}"))
    assert {name.removeprefix("_") for name in form} == SUMMARIES[summary] | {"resourceType"}
    assert SUBSETTED in form["meta"]["tag"]


@pytest.mark.requirement("R-8")
@pytest.mark.parametrize("path", ["Questionnaire/low-back-pain?", "Questionnaire?_id=low-back-pain&"])
def test_data_is_all_but_the_narrative(client: FlaskClient, path: str) -> None:
    whole, form = get(client, "Questionnaire/low-back-pain"), _only(get(client, f"{path}_summary=data"))
    assert form.keys() == whole.keys() - {"text"}
    assert SUBSETTED in form["meta"]["tag"]
    assert _only(get(client, f"{path}_summary=false")) == whole


@pytest.mark.requirement("R-8")
@pytest.mark.parametrize("path", ["Questionnaire/low-back-pain?", "Questionnaire?_id=low-back-pain&"])
def test_elements_come_with_those_that_r4_demands(client: FlaskClient, path: str) -> None:
    form = _only(get(client, f"{path}_elements=title,item"))
    assert set(form) == {"resourceType", "id", "meta", "status", "title", "_title", "item"}
    assert SUBSETTED in form["meta"]["tag"]


def _only(found: Json) -> Json:
    if found["resourceType"] != "Bundle":
        return found
    (entry,) = found["entry"]
    resource: Json = entry["resource"]
    return resource


@pytest.mark.requirement("R-8")
@pytest.mark.parametrize("query", ["_summary=count", "_count=0"])
def test_a_count_has_no_entries(client: FlaskClient, query: str) -> None:
    bundle = get(client, f"ValueSet?{query}")
    assert bundle["total"] == get(client, "ValueSet")["total"] > 1
    assert "entry" not in bundle
    assert [link["relation"] for link in bundle["link"]] == ["self"]


@pytest.mark.requirement("R-8")
@pytest.mark.parametrize("count", [1, 2, 3, 200])
def test_pages_hold_everything_once(client: FlaskClient, count: int) -> None:
    whole = [entry["fullUrl"] for entry in get(client, "CodeSystem?status=draft")["entry"]]
    found, address = list[str](), f"CodeSystem?status=draft&_count={count}"
    while address:
        page = get(client, address)
        assert page["total"] == len(whole)
        assert 1 <= len(page["entry"]) <= count
        found += [entry["fullUrl"] for entry in page["entry"]]
        assert len(found) <= len(whole)
        links = {link["relation"]: link["url"] for link in page["link"]}
        assert ("status", "draft") in parse_qsl(urlsplit(links["self"]).query)
        address = links.get("next", "").removeprefix(f"{PUBLIC}/")
    assert found == whole


@pytest.mark.requirement("R-8")
def test_a_search_by_post_takes_its_form_and_its_url(client: FlaskClient) -> None:
    by_post = client.post("/fhir/ValueSet/_search?status=draft", data={"name": "LowBackPainAnswers"})
    by_get = get(client, "ValueSet?status=draft&name=LowBackPainAnswers")
    assert by_post.get_json() == by_get
    assert by_get["total"] == 1
    refusal_of(client.post("/fhir/ValueSet/_search", json={"name": "x"}), 415)


@pytest.mark.requirement("R-8")
@pytest.mark.parametrize("kind", ["Questionnaire", "QuestionnaireResponse", "AuditEvent"])
def test_an_unknown_parameter_is_refused_where_the_client_wants_strict_handling(client: FlaskClient, kind: str) -> None:
    assert client.get(f"/fhir/{kind}?colour=red").status_code == 200
    assert client.get(f"/fhir/{kind}?colour=red", headers={"Prefer": "handling=lenient"}).status_code == 200
    refusal_of(client.get(f"/fhir/{kind}?colour=red", headers={"Prefer": "handling=strict"}), 400)
    strict = {"Prefer": "return=minimal; handling=strict"}
    assert client.get(f"/fhir/{kind}?_count=1&_format=json", headers=strict).status_code == 200


READABLE = ["metadata", "Questionnaire", "Questionnaire/low-back-pain", "ValueSet/low-back-pain-answers/$expand"]


@pytest.mark.requirement("R-13")
@pytest.mark.parametrize("path", READABLE)
def test_head_is_get_without_the_body(client: FlaskClient, path: str) -> None:
    got, head = client.get(f"/fhir/{path}"), client.head(f"/fhir/{path}")
    assert (head.status_code, head.data) == (200, b"")
    if "$" not in path:  # an expansion has a new identifier each time
        assert head.headers["Content-Length"] == got.headers["Content-Length"]
    for name in ("Content-Type", "ETag", "Content-Language", "Vary"):
        assert head.headers.get(name) == got.headers.get(name)
    assert "Date" in head.headers


@pytest.mark.requirement("R-13")
@pytest.mark.parametrize("path", READABLE[:3])
def test_pretty_is_the_same_with_line_breaks(client: FlaskClient, path: str) -> None:
    plain, pretty = client.get(f"/fhir/{path}"), client.get(f"/fhir/{path}?_pretty=true")
    assert plain.data.count(b"\n") == 0
    assert pretty.data.count(b"\n") > 10
    if path == READABLE[2]:
        assert pretty.get_json() == plain.get_json()


@pytest.mark.requirement("R-13")
@pytest.mark.parametrize(
    ("accepted", "zipped"), {"gzip": True, "br, gzip;q=0.5": True, "gzip;q=0": False, "br": False}.items()
)
def test_what_is_published_is_compressed_for_who_can_read_it(client: FlaskClient, accepted: str, zipped: bool) -> None:
    plain, answer = client.get(FORM), client.get(FORM, headers={"Accept-Encoding": accepted})
    assert (answer.headers.get("Content-Encoding") == "gzip") == zipped
    assert (gzip.decompress(answer.data) if zipped else answer.data) == plain.data
    assert "Accept-Encoding" in answer.headers["Vary"]


@pytest.mark.requirement("R-13")
def test_a_form_filler_in_a_browser_may_read_the_form(screening: Screening, tmp_path: Path) -> None:
    with serving(screening, tmp_path, origins=("https://forms.example",)) as client:
        allowed = client.get(FORM, headers={"Origin": "https://forms.example"})
        other = client.get(FORM, headers={"Origin": "https://other.example"})
    assert allowed.headers["Access-Control-Allow-Origin"] == "https://forms.example"
    assert "Access-Control-Allow-Origin" not in other.headers


@pytest.mark.requirement("R-12")
@pytest.mark.parametrize("path", ["metadata", "Questionnaire", "CodeSystem", "ValueSet", "OperationDefinition"])
def test_no_answer_holds_null_or_anything_empty(client: FlaskClient, path: str) -> None:
    body = client.get(f"/fhir/{path}").get_json()
    assert list(empty_members(body)) == []
    assert valid(body) == []


@pytest.mark.requirement("R-12")
def test_a_number_keeps_its_digits(client: FlaskClient) -> None:
    extension = '{"url": "https://other.example/x", "valueDecimal": 1.00}'
    body = json.dumps(response(CALM))[:-1] + f', "extension": [{extension}]}}'
    answer = client.post("/fhir/QuestionnaireResponse", data=body, content_type=FHIR)
    assert answer.status_code == 201, answer.text[:300]
    stored = client.get(urlsplit(answer.headers["Location"]).path)
    assert b'"valueDecimal":1.00' in stored.data.replace(b" ", b"")
    client.delete(f"/fhir/QuestionnaireResponse/{stored.get_json()['id']}")  # others judge what is stored


# Bodies that no FHIR client sends.
HOSTILE: dict[str, bytes] = {
    "nothing": b"",
    "no JSON": b"{",
    "two keys alike": b'{"resourceType": "Parameters", "resourceType": "Parameters"}',
    "a comment": b'{"resourceType": "Parameters"} // x',
    "a byte order mark": b'\xef\xbb\xbf{"resourceType": "Parameters"}',
    "no number": b'{"resourceType": "Parameters", "parameter": NaN}',
    "a number beyond all": b'{"resourceType": "Parameters", "parameter": 1e999}',
    "not UTF-8": b'{"resourceType": "\xff"}',
    "very deep": b'{"a":' * 5_000 + b"1" + b"}" * 5_000,
    "deep arrays": b"[" * 5_000 + b"]" * 5_000,
    "an array": b"[]",
    "a text": b'"Parameters"',
    "a number": b"1",
    "null": b"null",
    "another resource": b'{"resourceType": "Patient"}',
    "a type that is no text": b'{"resourceType": {"a": 1}}',
    "parameters that are none": b'{"resourceType": "Parameters", "parameter": [[], null, 1, "x", {}]}',
    "half a surrogate": b'{"resourceType": "Parameters", "parameter": [{"name": "\\ud800"}]}',
}


@pytest.mark.requirement("R-14", "QR-19")
@pytest.mark.parametrize("body", HOSTILE.values(), ids=HOSTILE)
@pytest.mark.parametrize("path", POSTED)
def test_a_hostile_body_is_refused_and_breaks_nothing(client: FlaskClient, path: str, body: bytes) -> None:
    answer: TestResponse = client.post(f"/fhir/{path}", data=body, content_type=FHIR)
    assert answer.status_code in (200, 400, 422) if path.endswith("$validate") else 400 <= answer.status_code < 500
    assert valid(answer.get_json()) == []


@pytest.mark.requirement("R-14")
@pytest.mark.parametrize("path", POSTED)
def test_a_body_that_is_too_large_is_refused(client: FlaskClient, path: str) -> None:
    refusal_of(client.post(f"/fhir/{path}", data=b" " * 1_000_001, content_type=FHIR), 413)


WILD = ["_count=99999999999999999999", "_after=-1", "_count=%00", "url=" + "a" * 5_000, "date=" + "9" * 5_000]
WILD += ["url=" + "," * 2_000, "status=%7C%7C%7C", "_elements=%2C%2C", "context-type-value=$$", "name=%F0%9F%98%80%00"]
WILD += ["&".join(["status=draft"] * 200), "identifier=|", "_id=..%2F..%2Fetc%2Fpasswd", "_format=;;;", "version=%5C"]


@pytest.mark.requirement("R-14")
@pytest.mark.parametrize("query", WILD)
@pytest.mark.parametrize("kind", ["Questionnaire", "QuestionnaireResponse", "AuditEvent"])
def test_a_wild_search_breaks_nothing(client: FlaskClient, kind: str, query: str) -> None:
    answer = client.get(f"/fhir/{kind}?{query}")
    assert answer.status_code in (200, 400, 406), answer.text[:300]
    assert valid(answer.get_json()) == []
