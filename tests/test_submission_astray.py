"""A response that is sent where none is taken, or called something else, is refused as ever, its alarm named first."""

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from flask.testing import FlaskClient
from werkzeug.test import TestResponse

from cds_content.screening import Screening
from cds_service.clients import DEVELOPMENT, Client
from cds_service.errors import TooManyCalls
from cds_service.web.refusals import MAX_BODY
from tests.samples import CALM, bundle, response
from tests.test_submission import sound
from tests.test_submission_http import ALARM, URL, codes
from tests.wire import serving

PROCESS = "/fhir/Questionnaire/$process-response"
OPERATIONS = ("/$validate", "/$extract", "/x/$validate", "/x/$extract")
JSON_TYPE = "application/fhir+json"


@pytest.fixture(name="ehr", scope="module")
def _ehr(screening: Screening, tmp_path_factory: pytest.TempPathFactory) -> Iterator[FlaskClient]:
    with serving(screening, tmp_path_factory.mktemp("astray")) as client:
        yield client


def sent(client: FlaskClient, method: str, path: str, body: Any, media: str = JSON_TYPE) -> TestResponse:
    return client.open(path, method=method, data=json.dumps(body), content_type=media)


# Each row: why, the method, the address, the body, the status. RFC 9110, 15.5.5 and 15.5.6.
ASTRAY: list[tuple[str, str, str, Any, int]] = [
    ("a POST to the address of a response", "POST", f"{URL}/x", sound(ALARM), 405),
    ("a PATCH", "PATCH", f"{URL}/x", sound(ALARM), 405),
    ("a PATCH of all", "PATCH", URL, sound(ALARM), 405),
    ("a POST to a version", "POST", f"{URL}/x/_history/1", sound(ALARM), 405),
    ("a batch", "POST", "/fhir", bundle(sound(ALARM)), 404),
    ("a transaction, after a slash", "POST", "/fhir/", bundle(sound(ALARM)) | {"type": "transaction"}, 404),
    ("an address that is not there", "POST", "/fhir/questionnaireresponse", sound(ALARM), 404),
    ("a response to the address of forms", "POST", "/fhir/Questionnaire", sound(ALARM), 405),
]


@pytest.mark.requirement("R-7")
@pytest.mark.parametrize("row", ASTRAY, ids=[row[0] for row in ASTRAY])
def test_where_no_response_is_taken_its_alarm_is_named_first(
    ehr: FlaskClient, row: tuple[str, str, str, Any, int]
) -> None:
    _, method, path, body, status = row

    answer, without = sent(ehr, method, path, body), ehr.open(path, method=method)

    assert (answer.status_code, codes(answer)[0]) == (status, "emergency-now")
    assert (without.status_code, answer.headers.get("Allow")) == (status, without.headers.get("Allow"))
    assert answer.get_json()["issue"][1:] == without.get_json()["issue"]
    assert ehr.get(URL).get_json()["total"] == 0


@pytest.mark.parametrize("path", ["/fhir", f"{URL}/x"])
@pytest.mark.parametrize("body", [response(CALM), {}, [], "x", None, {"resourceType": "Bundle", "entry": 5}], ids=str)
def test_what_alarms_about_nothing_is_refused_as_before(ehr: FlaskClient, path: str, body: Any) -> None:
    assert sent(ehr, "POST", path, body).data == ehr.post(path).data


@pytest.mark.parametrize("path", ["/fhir", f"{URL}/x"])
def test_what_is_too_much_is_not_read_there(ehr: FlaskClient, path: str) -> None:
    answer = ehr.post(path, data=b" " * (MAX_BODY + 1) + json.dumps(sound(ALARM)).encode(), content_type=JSON_TYPE)

    assert answer.data == ehr.post(path).data


@pytest.mark.requirement("R-7")
@pytest.mark.parametrize("media", ["", "text/plain", "application/fhir+xml", f"{JSON_TYPE}; fhirVersion=5.0"])
@pytest.mark.parametrize(
    ("method", "path"),
    [("PUT", f"{URL}/x"), *(("POST", f"{URL}{rest}") for rest in ("", *OPERATIONS)), ("POST", PROCESS)],
)
def test_what_calls_itself_something_else_is_refused_and_its_alarm_named(
    ehr: FlaskClient, method: str, path: str, media: str
) -> None:
    answer = sent(ehr, method, path, sound(ALARM), media)

    assert (answer.status_code, codes(answer)) == (415, ["emergency-now", "not-supported"])


@pytest.mark.parametrize(("method", "path"), [("POST", "/fhir"), ("POST", f"{URL}/x"), ("PATCH", f"{URL}/x")])
def test_who_is_not_known_gets_what_he_got(screening: Screening, tmp_path: Path, method: str, path: str) -> None:
    with serving(screening, tmp_path, development=False) as client:
        answer = sent(client, method, path, sound(ALARM))

        assert answer.data == client.open(path, method=method).data
        assert b"emergency" not in answer.data


def test_who_calls_too_often_has_nothing_read_there(screening: Screening, tmp_path: Path) -> None:
    def admit(_owner: str, _agreed: int) -> None:
        raise TooManyCalls(1)

    with serving(screening, tmp_path, clients={DEVELOPMENT: Client()}, admit=admit) as client:
        assert codes(sent(client, "POST", f"{URL}/x", sound(ALARM))) == ["not-supported"]


@pytest.mark.requirement("R-7")
@pytest.mark.parametrize(
    ("path", "more", "status"),
    [("/x/$validate", {}, 404), ("/$validate", {"name": "mode", "valueCode": "other"}, 400)],
    ids=["of no response that is there", "in a way that nobody knows"],
)
def test_what_is_validated_wrongly_is_refused_and_its_alarm_named(
    ehr: FlaskClient, path: str, more: dict[str, str], status: int
) -> None:
    held = [{"name": "resource", "resource": sound(ALARM)}, *([more] if more else [])]
    answer = sent(ehr, "POST", f"{URL}{path}", {"resourceType": "Parameters", "parameter": held})

    assert (answer.status_code, codes(answer)[0]) == (status, "emergency-now")
