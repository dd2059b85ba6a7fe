"""Nothing answers 500: a valid call with any one part replaced, deleted or doubled is answered or refused."""

from copy import deepcopy
from typing import Any

from flask.testing import FlaskClient
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from tests.samples import CALM, bundle, call, item, patient, response
from tests.wire import ABSENT, cards_of, changed, places, refusal_of, send

ANY_JSON = st.recursive(
    st.none()
    | st.booleans()
    | st.integers()
    | st.floats(allow_nan=False, allow_infinity=False)
    | st.text(max_size=12)
    | st.sampled_from(["Patient/p2", "Bundle", "0000", "2024-02-30", "9999-12-31T23:59:60Z", "#x", "|", "a/b", "\x00"]),
    lambda inner: (
        st.lists(inner, max_size=4)
        | st.dictionaries(st.sampled_from(["resourceType", "reference", "coding", "entry", "item", "x"]), inner)
    ),
    max_leaves=8,
)


def _valid() -> dict[str, Any]:
    """A call with every part that the service reads: two responses, the patient, a complaint, a token."""
    complaint = {
        "resourceType": "Condition",
        "code": {"coding": [{"system": "http://snomed.info/sct", "code": "279039007"}]},
        "subject": {"reference": "Patient/p1"},
    }
    nested = {"linkId": "group", "item": [item("rf-leg", "both"), item("rf-other", ["pregnant", "weight-loss"])]}
    unfinished = response({"age": 40}, status="in-progress", id="response-2", author={"reference": "Practitioner/1"})
    body = call(response(CALM), unfinished | {"item": [*unfinished["item"], nested]}, about=patient(gender="female"))
    body["prefetch"]["conditions"] = bundle(complaint)
    body["prefetch"]["responses"]["link"] = [{"relation": "self", "url": "https://ehr.example/fhir"}]
    body["context"]["encounterId"] = "e1"
    return body | {"fhirServer": "https://ehr.example/fhir", "fhirAuthorization": {"patient": "p1"}}


def _at(body: Any, path: tuple[str | int, ...]) -> Any:
    for step in path:
        body = body[step]
    return body


@st.composite
def _mutated(draw: st.DrawFn) -> Any:
    body = _valid()
    path = draw(st.sampled_from([(), *places(body)]))
    how = draw(st.sampled_from(["replace", "delete", "double"]))
    if not path:
        return draw(ANY_JSON)
    if how == "replace":
        return changed(body, path, draw(ANY_JSON))
    if how == "delete":
        return changed(body, path, ABSENT)
    value, parent = _at(body, path), _at(body, path[:-1])
    if isinstance(parent, list):
        parent.append(deepcopy(value))
        return body
    return changed(body, path, [value, deepcopy(value)])


def _is_answered_or_refused(client: FlaskClient, body: Any) -> None:
    answer = send(client, body)
    if answer.status_code == 200:
        cards_of(answer)
    else:
        assert answer.status_code < 500
        refusal_of(answer, answer.status_code)


def test_the_call_that_is_mutated_is_valid(client: FlaskClient) -> None:
    assert cards_of(send(client, _valid()))


@given(body=_mutated())
@settings(max_examples=300, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
def test_a_mutated_call_is_answered_or_refused(client: FlaskClient, body: Any) -> None:
    _is_answered_or_refused(client, body)


def test_a_call_with_any_part_replaced_by_each_kind_of_value_is_answered_or_refused(client: FlaskClient) -> None:
    body = call(response({"rf-leg": "weakness", "rf-other": ["pregnant"], "age": 40}), fhirServer="https://ehr.example")
    for path in places(body):
        for value in (ABSENT, None, True, 0, -1.5, 10**30, "", "x", [], [[]], {}, {"resourceType": "Bundle"}):
            _is_answered_or_refused(client, changed(body, path, value))
