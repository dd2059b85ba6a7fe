"""A refusal never repeats what was sent: not from the body, the path, the query or the headers."""

import json
from typing import Any

import pytest
from flask.testing import FlaskClient

from tests.conftest import SERVICE
from tests.samples import CALM, bundle, call, response
from tests.wire import changed, obeys, places, refusal_of, send, send_raw

MARKER = "<zz marker é>"  # no id, code, date or URL may look like this
FULL: dict[str, Any] = call(
    response(CALM),
    fhirServer="https://ehr.example/fhir",
    fhirAuthorization={
        "access_token": "some-opaque-token",
        "token_type": "Bearer",
        "expires_in": 300,
        "scope": "user/*.read",
        "subject": "cds-service",
        "patient": "p1",
    },
)


def _silent(text: str) -> bool:
    """Whether the text holds no trace of the marker, written in any way."""
    return not any(trace in text for trace in (MARKER, json.dumps(MARKER), "zz", "marker"))


@pytest.mark.requirement("ERR-2")
@pytest.mark.parametrize("path", list(places(FULL)), ids=lambda path: ".".join(map(str, path)))
def test_a_marker_in_any_field_is_not_repeated(client: FlaskClient, path: tuple[str | int, ...]) -> None:
    for value in (MARKER, [MARKER], {MARKER: MARKER}):
        answer = send(client, changed(FULL, path, value))
        assert answer.status_code in (200, 400, 412)
        if answer.status_code != 200:
            obeys(answer.get_json(), "operationoutcome")
            assert _silent(answer.text)


MARKED: dict[str, Any] = {
    "as the body": MARKER,
    "as an element": [MARKER],
    "as the only key": {MARKER: 1},
    "in every member": dict.fromkeys(FULL, MARKER),
    "in every member of the context": FULL | {"context": dict.fromkeys(FULL["context"], MARKER)},
    "in every prefetch key": FULL | {"prefetch": dict.fromkeys(FULL["prefetch"], MARKER)},
    "as a prefetch key without FHIR": FULL | {"prefetch": {MARKER: MARKER}},
    "as the resource type": FULL | {"prefetch": {"patient": {"resourceType": MARKER}, "responses": bundle()}},
    "as the issue of an OperationOutcome": FULL
    | {
        "prefetch": {
            "responses": {
                "resourceType": "OperationOutcome",
                "issue": [{"severity": "error", "code": MARKER, "diagnostics": MARKER}],
            }
        }
    },
    "as the subject": call(response(CALM, subject={"reference": f"Patient/{MARKER}", "display": MARKER})),
}


@pytest.mark.requirement("ERR-2")
@pytest.mark.parametrize("body", MARKED.values(), ids=MARKED)
def test_a_refusal_does_not_repeat_the_body(client: FlaskClient, body: Any) -> None:
    answer = send(client, body)
    refusal_of(answer, 412 if answer.status_code == 412 else 400)
    assert _silent(answer.text)


RAW: dict[str, tuple[str, str, int]] = {
    "in text that is no JSON": (MARKER, "application/json", 400),
    "in JSON that is cut off": (f'{{"{MARKER}": "{MARKER}', "application/json", 400),
    "in a key that stands twice": (f'{{"{MARKER}": 1, "{MARKER}": 2}}', "application/json", 400),
    "in a number": (f'{{"hook": 1{MARKER}}}', "application/json", 400),
    "in a body that is too large": (json.dumps(MARKER * 100_000), "application/json", 413),
    "in plain text": (MARKER, "text/plain", 415),
    "in the content type": ("{}", "text/zz-marker", 415),
    "in the charset": ("{}", "application/json; charset=zz-marker", 415),
}


@pytest.mark.requirement("ERR-2")
@pytest.mark.parametrize(("body", "media", "status"), RAW.values(), ids=RAW)
def test_a_refusal_does_not_repeat_the_text(client: FlaskClient, body: str, media: str, status: int) -> None:
    answer = send_raw(client, body.encode(), media)
    refusal_of(answer, status)
    assert _silent(answer.text)


PATHS: dict[str, tuple[str, str, int]] = {
    "in a path": ("GET", "/zz-marker", 404),
    "in a path with a query": ("GET", "/nope?zz=marker", 404),
    "in the id of a service": ("POST", "/cds-services/zz-marker", 404),
    "in the FHIR type": ("GET", "/fhir/zz-marker", 404),
    "in the id of a resource": ("GET", "/fhir/Questionnaire/zz-marker", 404),
    "in the version of a resource": ("GET", "/fhir/Questionnaire/low-back-pain/_history/zz-marker", 404),
    "in a modifier": ("GET", "/fhir/Questionnaire?name:zz-marker=zz", 400),
    "in a value with a modifier": ("GET", "/fhir/Questionnaire?name:exact=zz-marker", 400),
    "in the query of a method that is not offered": ("GET", f"{SERVICE}?zz=marker", 405),
    "in a method": ("ZZMARKER", SERVICE, 405),
}


@pytest.mark.requirement("ERR-2")
@pytest.mark.parametrize(("method", "path", "status"), PATHS.values(), ids=PATHS)
def test_a_refusal_does_not_repeat_the_address(client: FlaskClient, method: str, path: str, status: int) -> None:
    headers = {"X-Request-Id": "zz-marker", "Authorization": "Bearer zz-marker", "Accept-Language": "zz-marker"}
    answer = client.open(path, method=method, headers=headers)
    refusal_of(answer, status)
    assert _silent(answer.text.lower() + str(answer.headers).lower())
