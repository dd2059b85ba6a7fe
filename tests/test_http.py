"""Paths, methods, sizes, media types and unknown members; and an error of ours, which is never silence."""

import json
from datetime import datetime
from pathlib import Path
from typing import Any, NoReturn

import pytest
from flask.testing import FlaskClient
from werkzeug.test import TestResponse

from cds_content.screening import Screening
from cds_service.store import open_store
from cds_service.web import Deployment, create_app
from tests.conftest import SERVICE, topics
from tests.samples import CALM, bundle, call, response
from tests.wire import cards_of, empty_members, obeys, refusal_of, same, send, send_raw

SERVICES = "/cds-services"
MEGABYTE = 1_000_000
LOW_BACK_PAIN = {
    "resourceType": "Condition",
    "clinicalStatus": {
        "coding": [{"system": "http://terminology.hl7.org/CodeSystem/condition-clinical", "code": "active"}]
    },
    "code": {"coding": [{"system": "http://snomed.info/sct", "code": "279039007"}]},
    "subject": {"reference": "Patient/p1"},
}


def test_discovery_is_valid(client: FlaskClient) -> None:
    answer = client.get(SERVICES)
    obeys(answer.get_json(), "discovery-3.0-ballot")
    assert (answer.status_code, answer.mimetype) == (200, "application/json")
    assert list(empty_members(answer.get_json())) == []


def test_every_service_of_discovery_answers_a_call(client: FlaskClient) -> None:
    for service in client.get(SERVICES).get_json()["services"]:
        assert client.post(f"{SERVICES}/{service['id']}", json={}).status_code == 400


NO_SUCH_PATH: dict[str, tuple[str, str]] = {
    "an unknown service": ("POST", f"{SERVICES}/no-such-service"),
    "a service in capitals": ("POST", SERVICE.upper()),
    "a service that climbs": ("POST", f"{SERVICES}/../fhir/metadata"),
    "something below a service": ("POST", f"{SERVICE}/no-such-path"),
    "an unknown path": ("GET", "/no-such-path"),
    "the path of an unknown FHIR type": ("GET", "/fhir/Nope"),
    "an unknown id of a FHIR type": ("GET", "/fhir/Questionnaire/nope"),
    "a FHIR type in lower case": ("GET", "/fhir/questionnaire"),
    "the repository": ("GET", "/.git/config"),
    "the environment": ("GET", "/.env"),
    "a debugger": ("GET", "/console"),
}


@pytest.mark.requirement("HTTP-2", "HTTP-3")
@pytest.mark.parametrize(("method", "path"), NO_SUCH_PATH.values(), ids=NO_SUCH_PATH)
def test_what_is_not_there_is_not_found(client: FlaskClient, method: str, path: str) -> None:
    body = call(response(CALM)) if method == "POST" else None
    refusal_of(client.open(path, method=method, json=body), 404)


@pytest.mark.requirement("HTTP-3", "DISC-12")
@pytest.mark.parametrize(
    ("path", "allowed", "refused"),
    [
        (SERVICE, {"POST"}, ["GET", "PUT", "DELETE", "PATCH", "TRACE"]),
        (SERVICES, {"GET", "HEAD"}, ["POST", "PUT", "DELETE", "PATCH", "TRACE"]),
        ("/fhir/metadata", {"GET", "HEAD"}, ["POST", "PUT", "DELETE", "PATCH"]),
        ("/fhir/Questionnaire", {"GET", "HEAD"}, ["POST", "PUT", "DELETE", "PATCH"]),
        ("/fhir/Questionnaire/low-back-pain", {"GET", "HEAD"}, ["POST", "PUT", "DELETE", "PATCH"]),
    ],
)
def test_a_method_that_is_not_offered_is_refused_and_the_others_are_named(
    client: FlaskClient, path: str, allowed: set[str], refused: list[str]
) -> None:
    for method in refused:
        answer = client.open(path, method=method, json=call(response(CALM)))
        refusal_of(answer, 405)
        assert set(answer.headers["Allow"].split(", ")) - {"OPTIONS"} == allowed, method


def _padded(size: int) -> bytes:
    """A calm call of that many bytes, filled up with an unknown member."""
    short = json.dumps(call(response(CALM)) | {"futureField": ""}).encode()
    return short.replace(b'"futureField": ""', b'"futureField": "%s"' % (b"x" * (size - len(short))))


@pytest.mark.parametrize("size", [MEGABYTE - 1, MEGABYTE])
def test_a_body_of_a_megabyte_is_read(client: FlaskClient, size: int) -> None:
    assert len(_padded(size)) == size
    assert topics(cards_of(send_raw(client, _padded(size)))) == ["self-care"]


@pytest.mark.requirement("HTTP-7")
@pytest.mark.parametrize("size", [MEGABYTE + 1, 2 * MEGABYTE, 20 * MEGABYTE])
def test_a_body_over_a_megabyte_is_too_large(client: FlaskClient, size: int) -> None:
    refusal_of(send_raw(client, _padded(size)), 413)


UNSUPPORTED: dict[str, dict[str, str]] = {
    "plain text": {"Content-Type": "text/plain"},
    "a form": {"Content-Type": "application/x-www-form-urlencoded"},
    "a form in parts": {"Content-Type": "multipart/form-data; boundary=x"},
    "HTML": {"Content-Type": "text/html"},
    "FHIR in XML": {"Content-Type": "application/fhir+xml"},
    "JSON lines": {"Content-Type": "application/jsonl"},
    "something that ends in +json": {"Content-Type": "application/problem+json"},
    "no content type": {},
    "an empty content type": {"Content-Type": ""},
    "a content type that cannot be read": {"Content-Type": "json"},
    "JSON in UTF-16": {"Content-Type": "application/json; charset=utf-16"},
    "JSON in Latin-1": {"Content-Type": "application/json; charset=iso-8859-1"},
    "compressed by gzip": {"Content-Type": "application/json", "Content-Encoding": "gzip"},
    "compressed by deflate": {"Content-Type": "application/json", "Content-Encoding": "deflate"},
    "compressed by br": {"Content-Type": "application/json", "Content-Encoding": "br"},
}


@pytest.mark.requirement("HTTP-5")
@pytest.mark.parametrize("headers", UNSUPPORTED.values(), ids=UNSUPPORTED)
def test_a_body_that_is_not_sent_as_json_in_utf8_is_refused(client: FlaskClient, headers: dict[str, str]) -> None:
    refusal_of(client.post(SERVICE, data=json.dumps(call(response(CALM))), headers=headers), 415)


@pytest.mark.requirement("HTTP-6")
@pytest.mark.parametrize(
    "media",
    [
        "application/json",
        "application/json; charset=utf-8",
        'application/json;charset="UTF-8"',
        "Application/JSON",
        "application/fhir+json",
        "application/fhir+json; charset=utf-8",
        "application/fhir+json; fhirVersion=4.0",
    ],
)
def test_a_body_that_is_sent_as_json_is_read(client: FlaskClient, media: str) -> None:
    body = json.dumps(call(response(CALM))).encode()
    assert topics(cards_of(send_raw(client, body, media))) == ["self-care"]


def _strewn(value: Any) -> Any:
    """The value with an unknown member in every object."""
    if isinstance(value, list):
        return [_strewn(part) for part in value]
    if isinstance(value, dict):
        return {name: _strewn(part) for name, part in value.items()} | {"futureField": [{"later": True}, None]}
    return value


@pytest.mark.requirement("REQ-8")
@pytest.mark.parametrize("answers", [CALM, CALM | {"rf-saddle": "new"}, CALM | {"co-trend": "unknown"}, None])
def test_unknown_members_at_every_level_change_nothing(client: FlaskClient, answers: dict[str, Any] | None) -> None:
    body = call(*([response(answers)] if answers else []))
    body["prefetch"]["conditions"] = bundle(LOW_BACK_PAIN)
    body["fhirServer"] = "https://ehr.example/fhir"
    body["fhirAuthorization"] = {"access_token": "some-opaque-token", "token_type": "Bearer", "expires_in": 300}
    cards = cards_of(send(client, body))
    assert cards
    assert same(cards_of(send(client, _strewn(body)))) == same(cards)
    assert same(cards_of(send(client, body | {"extension": {"org.example.x": {"a": 1}}}))) == same(cards)


SECRET = "secret marker of the patient"  # noqa: S105 - no password: a marker to look for


def _broken() -> NoReturn:
    raise RuntimeError(SECRET)


def _answer_with(screening: Screening, path: Path, **faults: Any) -> TestResponse:
    """What a service answers to a calm call when a part of it is broken."""
    store = open_store(f"sqlite:///{path / 'decisions.sqlite'}")
    app = create_app(Deployment((screening,), store, "http://127.0.0.1:8080", development=True, **faults))
    answer = app.test_client().post(SERVICE, json=call(response(CALM | {"rf-saddle": "new"})))
    store.dispose()
    return answer


@pytest.mark.requirement("ERR-2")
@pytest.mark.parametrize("part", ["now", "new_uuid"])
def test_an_error_of_ours_is_an_error_and_never_an_empty_list_of_cards(
    screening: Screening, tmp_path: Path, caplog: pytest.LogCaptureFixture, part: str
) -> None:
    answer = _answer_with(screening, tmp_path, **{part: _broken})
    refusal_of(answer, 500)
    assert [words for words in (SECRET, "Error", "Traceback", "cards") if words in answer.text] == []
    assert "RuntimeError" in caplog.text
    assert SECRET not in caplog.text


def test_the_clock_of_the_error_test_is_what_makes_it_fail(screening: Screening, tmp_path: Path) -> None:
    answer = _answer_with(screening, tmp_path, now=lambda: datetime.now().astimezone())
    assert topics(cards_of(answer)) == ["emergency-now"]
