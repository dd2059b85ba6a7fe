"""Hostile bodies at every address that takes one: each is answered by the rules or refused, and costs little.

A few of each kind in every run, thousands with ATTACK=full. Nothing answers 5xx, and no refusal repeats what was sent.
"""

import gzip
import json
import time
import zlib
from collections import Counter
from collections.abc import Callable, Iterator
from copy import deepcopy
from datetime import timedelta
from io import BytesIO
from pathlib import Path
from typing import Any

import pytest
from flask.testing import FlaskClient
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from werkzeug.test import TestResponse

from cds_content.screening import Screening
from tests.attack import FULL, tell, times
from tests.conftest import SERVICE, topics
from tests.requirements.requests import HOOKS, path, valid
from tests.samples import ANSWERS, CALM, bundle, call, patient, response
from tests.test_http_fuzz import ANY_JSON
from tests.test_http_json import NOT_JSON_BODIES, NOT_JSON_VALUES, beside, good
from tests.test_http_json_vectors import NO, OPEN
from tests.test_submission import sound
from tests.wire import ABSENT, cards_of, changed, objects, places, refusal_of, serving

pytestmark = pytest.mark.timeless  # nothing in it is dated

Json = dict[str, Any]

MARKER = "<zz marker é>"
FEEDBACK = f"{SERVICE}/feedback"
SUBMISSIONS = "/fhir/QuestionnaireResponse"
PROCESS = "/fhir/Questionnaire/$process-response"
SUBMITTED = sound(subject={"reference": "Patient/s1"})  # of a patient whom no hook is about
ENTRY = {
    "card": "7f3f2b9e-4c1c-4a0e-9a52-0d4d2c1f7a11",
    "outcome": "overridden",
    "outcomeTimestamp": "2026-11-22T10:00:00Z",
    "acceptedSuggestions": [{"id": "7f3f2b9e-4c1c-4a0e-9a52-0d4d2c1f7a12"}],
    "overrideReason": {"reason": {"code": "c", "system": "s", "display": "d"}, "userComment": "words"},
}
# Every address that takes a body, with a right one.
RIGHT: dict[str, tuple[str, Json]] = {
    **{f"the hook {hook}": (path(hook), valid(hook, response(CALM), encounterId="e1")) for hook in HOOKS},
    "feedback": (FEEDBACK, {"feedback": [ENTRY]}),
    "a submission": (SUBMISSIONS, SUBMITTED),
    "$validate": (f"{SUBMISSIONS}/$validate", SUBMITTED),
    "$process-response": (PROCESS, SUBMITTED),
    "$extract": (f"{SUBMISSIONS}/$extract", SUBMITTED),
    "$populate": (
        "/fhir/Questionnaire/low-back-pain/$populate",
        {
            "resourceType": "Parameters",
            "parameter": [
                {"name": "subject", "valueReference": {"reference": "Patient/s1"}},
                {
                    "name": "context",
                    "part": [
                        {"name": "name", "valueString": "patient"},
                        {"name": "content", "resource": patient(id="s1")},
                    ],
                },
            ],
        },
    ),
    "$apply": (
        "/fhir/PlanDefinition/low-back-pain-patient-view/$apply",
        {
            "resourceType": "Parameters",
            "parameter": [
                {"name": "subject", "valueString": "Patient/s1"},
                {"name": "data", "resource": SUBMITTED},
                {"name": "data", "resource": patient(id="s1")},
            ],
        },
    ),
    "$validate-code": (
        "/fhir/CodeSystem/$validate-code",
        {
            "resourceType": "Parameters",
            "parameter": [{"name": "url", "valueUri": ANSWERS}, {"name": "code", "valueCode": "no"}],
        },
    ),
}
ADDRESSES = [address for address, _ in RIGHT.values()]
MAIN = ADDRESSES if times(0, 1) else [SERVICE, FEEDBACK, SUBMISSIONS, PROCESS]


@pytest.fixture(scope="module", name="served")
def _served(screening: Screening, tmp_path_factory: pytest.TempPathFactory) -> Iterator[FlaskClient]:
    with serving(screening, tmp_path_factory.mktemp("attacked")) as client:
        client.application.testing = False  # so that an error of ours is answered as it is in use
        yield client


def _post(client: FlaskClient, address: str, body: bytes, **more: Any) -> TestResponse:
    return client.post(address, data=body, content_type="application/json", **more)


def _is_in_order(answer: TestResponse, sent: Any = None) -> int:
    """Fails unless the answer keeps the rules: cards by theirs, a refusal that repeats nothing; its status."""
    assert answer.status_code < 500, answer.text
    if answer.status_code >= 400:
        refusal_of(answer, answer.status_code)
        assert not {"zz", "marker"} & set(answer.text.lower().replace('"', " ").split())
        assert MARKER not in answer.text
        assert "zz marker" not in answer.text
    elif answer.request.path.startswith("/cds-services/") and not answer.request.path.endswith("/feedback"):
        assert len(cards_of(answer)) <= 3
        assert not (_alarms(sent) and cards_of(answer) and topics(cards_of(answer)) == ["self-care"])
    return answer.status_code


def _alarms(body: Any) -> bool:
    """Whether an emergency is reported somewhere in the body."""
    return any(one.get("code") == "new" for one in objects(body))


def _memory() -> int:
    """What this process holds, in MB. Source: proc_pid_status(5)."""
    (line,) = [line for line in Path("/proc/self/status").read_text("utf-8").splitlines() if line.startswith("VmRSS")]
    return int(line.split()[1]) // 1024


def test_the_right_bodies_are_right(served: FlaskClient) -> None:
    for name, (address, body) in RIGHT.items():
        answer = _post(served, address, json.dumps(body).encode())
        assert answer.status_code == {"feedback": 404, "a submission": 201}.get(name, 200), (name, answer.text)


# What is no JSON, JSON that two readers read in two ways, and what is no object.
MALFORMED: dict[str, bytes] = {
    **NO,
    **OPEN,
    **{f"beside a call: {name}": beside(value) for name, value in NOT_JSON_VALUES.items()},
    **{f"a call spoilt: {name}": spoil(good()) for name, spoil in NOT_JSON_BODIES.items()},
    **{f"no object: {body}": body.encode() for body in ("[]", "null", '"x"', "5", "true", "[{}]", "-0", '[["a"]]')},
}


def test_no_malformed_body_is_taken_anywhere(served: FlaskClient) -> None:
    statuses: Counter[int] = Counter()
    for address in MAIN:
        for name, body in MALFORMED.items():
            answer = _post(served, address, body)
            statuses[_is_in_order(answer)] += 1
            if address.endswith("$validate") and name.startswith("no object"):
                assert answer.get_json()["issue"][0]["severity"] == "error", "it tells what is wrong, with 200"
            else:
                assert answer.status_code == 400, (address, name)
    tell("malformed bodies", bodies=len(MALFORMED), calls=statuses.total(), statuses=dict(statuses))
    assert len(MALFORMED) >= 240


def _written(body: Any) -> bytes:
    return json.dumps(body).encode()


@st.composite
def _hostile(draw: st.DrawFn) -> tuple[str, bytes, Any]:
    """An address, and a body that is nearly right for it: parts replaced, left out, or bytes changed."""
    address, right = RIGHT[draw(st.sampled_from(list(RIGHT)))]
    body: Any = deepcopy(right)
    for _ in range(draw(st.integers(1, 3))):
        there = [(), *places(body)]
        place = draw(st.sampled_from(there))
        body = draw(ANY_JSON) if not place else changed(body, place, draw(ANY_JSON | st.just(ABSENT)))
    sent = _written(body)
    if draw(st.integers(0, 9)):
        return address, sent, body
    at, byte = draw(st.integers(0, len(sent))), draw(st.binary(max_size=3))
    return address, sent[:at] + byte + sent[at + len(byte) :], None


def test_generated_bodies_are_answered_or_refused_and_leave_no_memory_behind(served: FlaskClient) -> None:
    statuses: Counter[int] = Counter()
    sent: list[tuple[str, bytes]] = []

    @given(case=_hostile())
    @settings(
        max_examples=times(300, 10_000),
        derandomize=not FULL,
        deadline=None,
        database=None,
        suppress_health_check=list(HealthCheck),
    )
    def attack(case: tuple[str, bytes, Any]) -> None:
        address, body, value = case
        statuses[_is_in_order(_post(served, address, body), value)] += 1
        sent.append((address, body))

    attack()
    before = _memory()  # hypothesis keeps what it tried: so the same calls again, without it
    again = sent[-1000:] * times(1, 10)
    for address, body in again:
        _post(served, address, body)
    grown = _memory() - before
    tell("generated bodies", calls=statuses.total(), statuses=dict(statuses))
    tell("generated bodies again", calls=len(again), MB_before=before, MB_more=grown)
    assert len({address for address, _ in sent}) > 10
    assert {200, 400} <= set(statuses)
    assert grown < 30


VALUES: tuple[Any, ...] = (
    ABSENT, None, True, 0, -1.5, 10**30, "", MARKER, [], [[MARKER]], {MARKER: MARKER}, {"resourceType": "Bundle"},
)  # fmt: skip


def test_a_right_body_with_any_part_replaced_is_answered_or_refused(served: FlaskClient) -> None:
    replaced = [
        (address, body, place, value) for address, body in RIGHT.values() for place in places(body) for value in VALUES
    ]
    chosen = replaced[:: times(47, 1)]  # a prime: every value and every kind of place comes by
    statuses: Counter[int] = Counter()
    for address, body, place, value in chosen:
        sent = changed(body, place, value)
        statuses[_is_in_order(_post(served, address, _written(sent)), sent)] += 1
    tell("parts replaced", paths_times_values=len(replaced), calls=statuses.total(), statuses=dict(statuses))
    assert {200, 400} <= set(statuses)


def _items(number: int, *answers: Json) -> Json:
    more = [{"linkId": f"q{n}", **({"answer": list(answers)} if answers else {})} for n in range(number)]
    return response(CALM, item=[*response(CALM)["item"], *more])


def _deep_items(levels: int) -> bytes:
    inner = '{"linkId":"g","item":[' * levels + '{"linkId":"x"}' + "]}" * levels
    return _written(call(response(CALM))).replace(b'"item": [', f'"item": [{inner},'.encode(), 1)


BARE = {"resourceType": "QuestionnaireResponse", "status": "completed", "subject": {"reference": "Patient/p1"}}
# Bodies that cost a careless reader much; made when they are sent.
LARGE: dict[str, Callable[[], bytes]] = {
    "2 MB of one text": lambda: _written({"hook": "x" * 2_000_000}),
    "2 MB of nothing": lambda: b" " * 2_000_000,
    "1 MB of zeros": lambda: b"[" + b"0," * 499_000 + b"0]",
    "1 MB of numbers": lambda: b"[" + b"0.5," * 249_000 + b"0]",
    "1 MB of arrays": lambda: b"[" + b"[]," * 330_000 + b"0]",
    "1 MB of open brackets": lambda: b"[" * 999_000,
    "1 MB of open objects": lambda: b'{"a":' * 199_000,
    "1 MB of quotes": lambda: b'"' * 999_000,
    "1 MB of empty texts": lambda: b"[" + b'"",' * 330_000 + b"0]",
    "1 MB of digits": lambda: b"9" * 999_000,
    "1 MB of escapes": lambda: b'"' + b"\\u0041" * 166_000 + b'"',
    "200,000 levels": lambda: b"[" * 200_000 + b"]" * 200_000,
    "60,000 members": lambda: _written(dict.fromkeys(map(str, range(60_000)), 0)),
    "59,000 members of a call": lambda: _written(call(response(CALM)) | dict.fromkeys(map(str, range(59_000)), 0)),
    "59,000 prefetch keys": lambda: _written(call() | {"prefetch": dict.fromkeys(map(str, range(59_000)), 0)}),
    "20,000 items": lambda: _written(call(_items(20_000))),
    "20,000 items as a response": lambda: _written(_items(20_000)),
    "15,000 answers of an item": lambda: _written(call(_items(1, *[{"valueInteger": 1}] * 15_000))),
    "15,000 answers of an item as a response": lambda: _written(_items(1, *[{"valueInteger": 1}] * 15_000)),
    "items 2,000 deep": lambda: _deep_items(2_000),
    "items 20 deep": lambda: _deep_items(20),
    "5,000 responses": lambda: _written(call(*[BARE] * 5_000)),
    "25,000 entries": lambda: _written(call(prefetch={"responses": bundle(*[{"resourceType": "X"}] * 14_000)})),
    "29,000 arrays for a response": lambda: _written(call(prefetch={"responses": [[]] * 29_000})),
    "14,000 conditions": lambda: _written(
        call(prefetch={"responses": bundle(response(CALM)), "conditions": [{"resourceType": "Condition"}] * 14_000})
    ),
    "10,000 feedback entries": lambda: _written({"feedback": [ENTRY | {"acceptedSuggestions": []}] * 5_000}),
    "a text of 900 kB for an id": lambda: _written(
        call(response(CALM), context={"userId": "Practitioner/1", "patientId": "p" * 900_000})
    ),
    "a text of 900 kB for a moment": lambda: _written(call(response(CALM, authored="9" * 900_000))),
    "a text of 900 kB for a form": lambda: _written(call(response(CALM, questionnaire="/" * 900_000))),
    "a text of 900 kB for a subject": lambda: _written(call(response(CALM, subject={"reference": "a/" * 450_000}))),
}


def test_large_bodies_cost_little(served: FlaskClient) -> None:
    slowest: dict[str, float] = {}
    statuses: Counter[int] = Counter()
    before = _memory()
    for name, made in LARGE.items():
        body = made()
        for address in MAIN:
            started = time.perf_counter()
            answer = _post(served, address, body)
            slowest[name] = max(slowest.get(name, 0), time.perf_counter() - started)
            statuses[_is_in_order(answer)] += 1
    name = max(slowest, key=lambda one: slowest[one])
    grown = _memory() - before
    tell("large bodies", calls=statuses.total(), statuses=dict(statuses), slowest=name, ms=round(slowest[name] * 1000))
    tell("large bodies", MB_before=before, MB_more=grown)
    assert {200, 400, 413, 422} <= set(statuses)
    assert slowest[name] < 5, "half a second is the promise; this machine may be ten times as busy"
    assert grown < 100


@pytest.mark.parametrize("megabytes", [2, times(4, 64)])
@pytest.mark.parametrize("address", [SERVICE, FEEDBACK, SUBMISSIONS, PROCESS])
def test_a_body_without_a_length_is_counted_while_it_is_read(served: FlaskClient, address: str, megabytes: int) -> None:
    sent = _Padded(megabytes * 1_000_000)
    chunked = {"wsgi.input": sent, "wsgi.input_terminated": True, "HTTP_TRANSFER_ENCODING": "chunked"}
    answer = served.post(address, content_type="application/json", environ_overrides=chunked)
    refusal_of(answer, 413)
    assert sent.given <= 1_100_000, "no more is read than may be sent"


class _Padded:
    """A right call with so many blanks behind it, cut nowhere by a length; it counts how much of it was read."""

    def __init__(self, size: int) -> None:
        self.body, self.left, self.given = good(), size, 0

    def read(self, size: int = -1) -> bytes:
        number = self.left if size < 0 else min(size, self.left)
        start, self.body = self.body[:number], self.body[number:]
        self.left, self.given = self.left - number, self.given + number
        return start.ljust(number)


def test_a_body_without_a_length_that_is_small_is_read(served: FlaskClient) -> None:
    body = {"wsgi.input": BytesIO(good()), "wsgi.input_terminated": True, "HTTP_TRANSFER_ENCODING": "chunked"}
    answer = served.post(SERVICE, content_type="application/json", environ_overrides=body)
    assert topics(cards_of(answer)) == ["self-care"]


@pytest.mark.parametrize("encoding", ["gzip", "deflate", "br", "zstd", "compress", "x-gzip", "gzip, gzip", "unknown"])
def test_a_compressed_body_is_refused_unread(served: FlaskClient, encoding: str) -> None:
    bomb = b"[" + b"0," * 5_000_000 + b"0]"
    packed = zlib.compress(bomb) if encoding == "deflate" else gzip.compress(bomb)
    for address in ADDRESSES:
        refusal_of(_post(served, address, packed, headers={"Content-Encoding": encoding}), 415)


def test_a_response_with_very_many_items_reassures_nobody_and_its_first_alarms_count(ask: Any) -> None:
    assert topics(ask(call(_items(480)))) == ["incomplete"], "the form does not have these items"
    assert topics(ask(call(_items(20_000)))) == ["incomplete"]
    alarming = response(
        CALM | {"rf-saddle": "new"}, item=[*response({"rf-saddle": "new"})["item"], *_items(9_000)["item"]]
    )
    assert topics(ask(call(alarming)))[0] == "emergency-now"


def test_an_answer_that_is_given_very_often_reassures_nobody(ask: Any) -> None:
    again = response(CALM)
    again["item"] += [{"linkId": "rf-other", "answer": [{"valueCoding": {"code": "none"}}] * 600}]
    assert topics(ask(call(again))) == ["incomplete"]


def test_items_of_a_response_to_the_form_stay_far_below_what_is_read(screening: Screening) -> None:
    options = sum(len(question.options) for question in screening.questions.values())
    assert len(screening.questions) + options + len(screening.displays) < 250


def test_more_responses_than_are_read_reassure_nobody_and_the_first_alarms_count(ask: Any) -> None:
    bare = response(CALM, source=None, id=None, item=None, authored=timedelta(days=5))
    calm = response(CALM)
    assert topics(ask(call(calm, *[bare] * 10))) == ["self-care"], "the newest complete one counts"
    assert topics(ask(call(calm, *[bare] * 600))) == ["incomplete"]
    assert topics(ask(call(response(CALM | {"rf-saddle": "new"}), *[bare] * 600)))[0] == "emergency-now"


def test_a_submission_with_very_many_items_is_refused_and_its_first_alarms_are_named(served: FlaskClient) -> None:
    many = sound({"rf-saddle": "new"}, subject={"reference": "Patient/s1"})
    many["item"] += [{"linkId": f"q{n}"} for n in range(500)]
    answer = _post(served, SUBMISSIONS, _written(many))
    assert answer.status_code == 422
    issues = answer.get_json()["issue"]
    codes = [coding["code"] for one in issues for coding in one["details"]["coding"]]
    assert codes == ["emergency-now", "overfull"]
