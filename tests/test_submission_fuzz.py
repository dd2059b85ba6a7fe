"""Hostile submissions: whatever is sent is stored or refused, and never an error of ours."""

import json
from collections.abc import Iterator
from copy import deepcopy
from typing import Any

import pytest
from flask.testing import FlaskClient
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from werkzeug.test import TestResponse

from cds_content.screening import Screening
from tests.fhir_rules import valid
from tests.samples import item, response
from tests.test_http_fuzz import ANY_JSON
from tests.test_submission import option, selects, sound
from tests.wire import ABSENT, changed, places, serving

URL = "/fhir/QuestionnaireResponse"
VALUES: tuple[Any, ...] = (ABSENT, None, True, 10**30, "\x00", [], [[None]], {"resourceType": "Bundle"})


@pytest.fixture(scope="module", name="ehr")
def _ehr(screening: Screening, tmp_path_factory: pytest.TempPathFactory) -> Iterator[FlaskClient]:
    with serving(screening, tmp_path_factory.mktemp("fuzz")) as client:
        client.application.testing = False  # so that an error of ours is answered as it is in use
        yield client


def rich() -> dict[str, Any]:
    """A response with every kind of part: nested items, several answers, references, narrative, what is contained."""
    nested = {"linkId": "group", "item": [item("rf-leg", "both"), item("rf-other", ["pregnant", "weight-loss"])]}
    inner = option("no") | {"item": [{"linkId": "rf-saddle-help"}], "extension": [{"url": "urn:x", "valueCode": "x"}]}
    return response(
        {"age": 40, "rf-saddle": [inner], "rf-unwell": [{"valueString": "x"}]},
        identifier={"use": "usual", "system": "urn:x", "value": "1"},
        meta={"tag": [{"system": "urn:x", "code": "y"}], "profile": ["urn:y"]},
        text={"status": "generated", "div": "<div>x</div>"},
        contained=[{"resourceType": "Patient", "id": "a", "name": [{"given": ["A"]}]}],
        author={"reference": "Practitioner/1", "type": "Practitioner"},
        partOf=[{"reference": "Observation/1"}],
        _authored={"extension": [{"url": "urn:x", "valueCode": "x"}]},
    ) | {"item": [item("lbp-present", "yes"), nested]}


def told(answer: TestResponse, body: Any) -> None:
    """Fails unless the answer is right for what it is: stored and valid, or refused with faults that are there."""
    assert answer.status_code in (200, 201, 400, 422), answer.text
    said = answer.get_json()
    assert valid(said) == []
    if said["resourceType"] == "OperationOutcome":
        refused = any(one["severity"] == "error" for one in said["issue"])
        assert refused == (answer.status_code >= 400) or "$validate" in answer.request.path
        for expression in [where for one in said["issue"] for where in one.get("expression", [])]:
            assert selects(body, expression), expression


def post(ehr: FlaskClient, body: Any) -> None:
    told(ehr.post(URL, data=json.dumps(body), content_type="application/fhir+json"), body)


@st.composite
def mutated(draw: st.DrawFn) -> Any:
    body = rich() if draw(st.booleans()) else sound()
    for _ in range(draw(st.integers(1, 3))):
        path = draw(st.sampled_from([(), *places(body)]))
        if not path:
            return draw(ANY_JSON)
        body = changed(body, path, draw(ANY_JSON | st.just(ABSENT)))
        if not isinstance(body, dict):
            break
    return body


@given(body=mutated())
@settings(max_examples=200, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
def test_a_mutated_response_is_stored_or_refused(ehr: FlaskClient, body: Any) -> None:
    post(ehr, deepcopy(body))


def test_a_response_with_any_part_replaced_is_stored_or_refused(ehr: FlaskClient) -> None:
    body = rich()
    for path in places(body):
        for value in VALUES:
            sent = changed(body, path, value)
            told(ehr.post(f"{URL}/$validate", json=sent), sent)


def test_a_response_with_any_part_damaged_is_stored_or_refused(ehr: FlaskClient) -> None:
    body = sound()
    for path in [path for path in places(body) if len(path) == 1 or path[1] in (1, 5)]:
        for value in VALUES:
            post(ehr, changed(body, path, value))


@pytest.mark.parametrize("depth", [10, 15, 25, 40, 2000])
def test_a_deep_response_is_stored_or_refused(depth: int, ehr: FlaskClient) -> None:
    nested = '{"linkId":"rf-leg","answer":[{"item":[' * depth + '{"linkId":"x"}' + "]}]}" * depth
    head = '{"resourceType":"QuestionnaireResponse","status":"completed","item":['
    answer = ehr.post(URL, data=f"{head}{nested}]}}", content_type="application/fhir+json")
    assert answer.status_code in (400, 422)


@pytest.mark.parametrize(
    ("header", "value"),
    [
        ("If-None-Exist", "identifier=%00|%ff"),
        ("If-None-Exist", "a=b&" * 3000 + "identifier=x"),
        ("If-None-Exist", "authored=" + "9" * 5000),
        ("If-Match", "W/" * 4000),
        ("Prefer", "return=" + "x" * 8000),
        ("X-Provenance", "{" * 8000),
        ("X-Request-Id", "\x7f" * 300),
        ("Accept", ";,;=q"),
    ],
)
def test_a_hostile_header_is_no_error_of_ours(header: str, value: str, ehr: FlaskClient) -> None:
    for method, path in (("POST", URL), ("PUT", f"{URL}/x"), ("DELETE", f"{URL}/x"), ("GET", URL)):
        answer = ehr.open(path, method=method, json=sound(id="x"), headers={header: value})
        assert answer.status_code < 500, (method, answer.text)


@pytest.mark.parametrize(
    "query",
    ["_id=%00", "patient=%ff", "identifier=%F0%9F%98%80|%00", "authored=0000", "authored=9999-12-31T23:59:59.999Z",
     "_count=999999999", "_after=99999999999999999.x", "status=" + "x," * 3000, "author=" + "y" * 9000, "_elements=,,"],
)  # fmt: skip
def test_a_hostile_search_is_no_error_of_ours(query: str, ehr: FlaskClient) -> None:
    assert ehr.get(f"{URL}?{query}").status_code < 500
