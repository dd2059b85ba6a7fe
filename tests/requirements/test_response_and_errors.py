"""The response and the refusals: 200 always with cards, everything else an OperationOutcome."""

from collections.abc import Callable
from pathlib import Path
from typing import Any, NoReturn

import pytest
from flask.testing import FlaskClient
from sqlalchemy import MetaData
from werkzeug.test import TestResponse

from cds_content.screening import Screening
from cds_service.store import open_store
from cds_service.web import Deployment, create_app
from tests.requirements.conftest import Answer
from tests.requirements.requests import (
    ALARM,
    ANKLE,
    HOOKS,
    ORDERING,
    OWN,
    Json,
    appointment,
    call,
    collection,
    condition,
    encounter,
    order,
    path,
    valid,
    without_responses,
)
from tests.samples import CALM, bundle, response
from tests.wire import ABSENT, cards_of, changed, obeys, refusal_of, serving

NO_COMPLAINT: dict[str, Json] = {
    "patient-view": without_responses("patient-view"),
    "encounter-start": without_responses("encounter-start"),
    "order-select": without_responses("order-select", draftOrders=collection(order(ANKLE))),
    "order-sign": without_responses("order-sign", draftOrders=collection(order(ANKLE))),
    "appointment-book": without_responses("appointment-book", appointments=collection(appointment(ANKLE))),
    "problem-list-item-create": without_responses("problem-list-item-create", conditions=collection(condition(ANKLE))),
    OWN: valid(OWN, response(CALM | {"lbp-present": "no"})),
}
NO_COMPLAINT["encounter-start"]["prefetch"]["encounter"] = encounter(reasonCode=[{"coding": [ANKLE]}])


@pytest.mark.requirement("RESP-1")
@pytest.mark.parametrize("hook", HOOKS)
def test_a_valid_call_is_answered_with_cards_that_are_valid_in_both_versions(client: FlaskClient, hook: str) -> None:
    answer = call(client, valid(hook, response(CALM | ALARM)))
    assert (answer.status_code, answer.mimetype) == (200, "application/json")
    obeys(answer.get_json(), "response-2.0.1", "response-3.0-ballot")
    assert cards_of(answer)


@pytest.mark.requirement("RESP-1")
def test_every_answer_holds_cards_and_at_most_three(answers: list[Answer]) -> None:
    assert {len(answer.cards) for answer in answers} <= {0, 1, 2, 3}
    assert all(isinstance(answer.body["cards"], list) for answer in answers)


@pytest.mark.requirement("RESP-2")
@pytest.mark.parametrize("hook", HOOKS)
def test_with_nothing_to_say_the_list_is_empty(client: FlaskClient, hook: str) -> None:
    answer = call(client, NO_COMPLAINT[hook])
    assert (answer.status_code, answer.get_json()) == (200, {"cards": []})


@pytest.mark.requirement("RESP-2")
@pytest.mark.parametrize("hook", ORDERING)
def test_an_order_for_something_else_gets_no_card_even_with_an_alarm(client: FlaskClient, hook: str) -> None:
    alarm = bundle(response(CALM | ALARM))
    assert cards_of(call(client, changed(NO_COMPLAINT[hook], ("prefetch", "responses"), alarm))) == []


@pytest.mark.requirement("RESP-3", "SYS-1")
def test_no_client_gets_system_actions_by_default(answers: list[Answer]) -> None:
    assert {name for answer in answers for name in answer.body} == {"cards"}


def _fail() -> NoReturn:
    raise RuntimeError("secret marker")


def _without_tables(screening: Screening, folder: Path) -> TestResponse:
    """What a service answers whose database has lost its tables."""
    store = open_store(f"sqlite:///{folder / 'lost.sqlite'}")
    tables = MetaData()
    tables.reflect(store)
    tables.drop_all(store)
    client = create_app(Deployment((screening,), store, "http://127.0.0.1:8080", development=True)).test_client()
    answer = call(client, valid("patient-view", response(CALM | ALARM)))
    store.dispose()
    return answer


Refused = Callable[[FlaskClient], TestResponse]
REFUSED: dict[str, tuple[int, Refused]] = {
    "400 no JSON": (400, lambda client: client.post(path("patient-view"), data="{", content_type="application/json")),
    "400 no hook": (400, lambda client: client.post(path("patient-view"), json={})),
    "404 no such service": (404, lambda client: client.post("/cds-services/x", json=valid("patient-view"))),
    "404 no such path": (404, lambda client: client.get("/nowhere")),
    "405 wrong method": (405, lambda client: client.get(path("patient-view"))),
    "412 no responses": (
        412,
        lambda client: call(client, changed(valid("patient-view"), ("prefetch", "responses"), ABSENT)),
    ),
    "413 too large": (413, lambda client: client.post(path("patient-view"), json={"x": "x" * 1_000_001})),
    "415 a form": (415, lambda client: client.post(path("patient-view"), data={"hook": "patient-view"})),
    "400 feedback": (400, lambda client: client.post(f"{path('patient-view')}/feedback", json={"feedback": {}})),
    "404 feedback": (404, lambda client: client.post("/cds-services/x/feedback", json={"feedback": []})),
}


@pytest.mark.requirement("ERR-1", "RESP-4")
@pytest.mark.parametrize(("status", "ask"), REFUSED.values(), ids=REFUSED)
def test_every_refusal_is_an_operation_outcome(client: FlaskClient, status: int, ask: Refused) -> None:
    refusal_of(ask(client), status)


@pytest.mark.requirement("ERR-1", "ERR-2")
@pytest.mark.parametrize("hook", HOOKS)
def test_an_error_of_ours_is_an_operation_outcome_that_tells_nothing(
    screening: Screening, tmp_path: Path, hook: str
) -> None:
    with serving(screening, tmp_path, new_uuid=_fail) as client:
        answer = call(client, valid(hook, response(CALM | ALARM)))
    refusal_of(answer, 500)
    assert [words for words in ("secret", "marker", "Runtime", "Traceback", ".py", "<") if words in answer.text] == []


@pytest.mark.requirement("ERR-1", "HTTP-7")
def test_without_a_record_there_is_no_advice_and_the_client_may_try_again(screening: Screening, tmp_path: Path) -> None:
    answer = _without_tables(screening, tmp_path)
    refusal_of(answer, 503)
    assert int(answer.headers["Retry-After"]) > 0


@pytest.mark.requirement("ERR-2")
@pytest.mark.parametrize("hook", HOOKS)
def test_a_refusal_tells_no_token_and_no_answer(client: FlaskClient, hook: str) -> None:
    token = {"access_token": "zz-token", "token_type": "Bearer", "expires_in": 5, "scope": "zz", "subject": "zz"}
    body: Any = valid(hook, response(CALM | {"rf-other": {"valueString": "zz answer"}}))
    body |= {"fhirServer": "https://zz.example/fhir", "fhirAuthorization": token | {"patient": "zz-patient"}}
    assert "zz" not in refusal_of(call(client, body), 400)


@pytest.mark.requirement("HTTP-2")
@pytest.mark.parametrize("id_", ["nobody", "low-back-pain", "patient-view", "low-back-pain-order-dispatch", "%2e%2e"])
def test_an_unknown_service_is_not_found(client: FlaskClient, id_: str) -> None:
    refusal_of(client.post(f"/cds-services/{id_}", json=valid("patient-view")), 404)


@pytest.mark.requirement("HTTP-3")
@pytest.mark.parametrize("hook", HOOKS)
def test_a_service_takes_posts_only(client: FlaskClient, hook: str) -> None:
    for method in ("GET", "PUT", "DELETE", "PATCH"):
        for address in (path(hook), f"{path(hook)}/feedback"):
            answer = client.open(address, method=method, json=valid(hook))
            refusal_of(answer, 405)
            assert set(answer.headers["Allow"].split(", ")) - {"OPTIONS"} == {"POST"}
