"""The mini-EHR calls this service as any EHR would: each switch gives what the table of responses says."""

import json
import subprocess
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import requests
from flask.testing import FlaskClient
from sqlalchemy import select

from cds_content.screening import Screening
from cds_service.errors import BadRequest, NotFound
from cds_service.sandbox import SWITCHES, Ehr, Fired
from cds_service.sandbox.comparison import changed
from cds_service.sandbox.exchange import curl
from cds_service.store.tables import feedback
from cds_service.web import Deployment
from cds_service.web.pages import words
from cds_service.web.sandbox_compare import answered
from tests.conftest import topics
from tests.samples import CALM, response
from tests.sandboxes import sandbox
from tests.wire import obeys, serving

OWN = "example.lowbackpain.questionnaire-response"


@pytest.fixture(scope="module", name="service")
def _service(screening: Screening, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Deployment]:
    with sandbox(screening, tmp_path_factory.mktemp("sandbox")) as service:
        yield service


@pytest.fixture(name="ehr")
def _ehr(service: Deployment) -> Ehr:
    """As it was at start."""
    service.ehr.reset()
    return service.ehr


def shown(fired: Fired) -> tuple[list[str], tuple[str, ...]]:
    return topics(list(fired.cards)), fired.problem


def told(service: Deployment, card: str) -> list[Any]:
    """What the database holds of the feedback on this card."""
    kept = select(feedback.c.outcome, feedback.c.reason_code, feedback.c.comment).where(feedback.c.card == card)
    with service.store.connect() as connection:
        return [tuple(row) for row in connection.execute(kept)]


# Each row: what is switched on, who, the topics of the cards, the problem, the status. By "Which response counts".
SWITCHED: list[tuple[str, str, list[str], tuple[str, ...], int]] = [
    ("", "alarming", ["emergency-now"], (), 200),
    ("", "calm", ["self-care"], (), 200),
    ("no-prefetch", "alarming", ["emergency-now"], (), 200),  # fetched
    ("no-prefetch", "calm", ["self-care"], (), 200),
    ("null-prefetch", "alarming", [], (), 200),  # null: no response yet; nothing says low back pain
    ("outcome-prefetch", "alarming", [], ("status-412",), 412),
    ("other-patient", "calm", [], ("status",), 400),
    ("other-patient", "new-comer", [], ("status",), 400),
    ("in-progress", "alarming", ["emergency-now", "incomplete"], (), 200),
    ("in-progress", "calm", ["incomplete"], (), 200),
    ("wrong-token", "alarming", [], ("status-401",), 401),
    ("expired-token", "alarming", [], ("status-401",), 401),
    ("no-fhir-server", "alarming", ["emergency-now"], (), 200),  # all is in prefetch
    ("no-prefetch no-fhir-server", "alarming", [], ("status-412",), 412),
    ("no-prefetch slow-fhir", "calm", [], ("status-412",), 412),
]


@pytest.mark.parametrize("row", SWITCHED, ids=[f"{row[0]}-{row[1]}" for row in SWITCHED])
def test_a_switch_breaks_what_it_says(
    row: tuple[str, str, list[str], tuple[str, ...], int], ehr: Ehr, monkeypatch: pytest.MonkeyPatch
) -> None:
    switched, who, expected, problem, status = row
    monkeypatch.setattr("cds_service.web.sandbox_fhir.SLOW", 0.7)  # seconds: more than the service waits
    for name in switched.split():
        ehr.switch(name, on=True)
    fired = ehr.fire(who, "patient-view")

    assert shown(fired) == (expected, problem)
    assert fired.exchanges[0].status == status


def test_every_switch_is_tried_and_has_words() -> None:
    assert {name for row in SWITCHED for name in row[0].split()} == set(SWITCHES)
    assert {name for name in words("switches") if not name.endswith("-why")} == set(SWITCHES)
    assert {f"{name}-why" for name in SWITCHES} <= words("switches").keys()


def test_the_calls_that_the_service_makes_on_our_fhir_server_are_shown(ehr: Ehr) -> None:
    ehr.switch("no-prefetch", on=True)
    fired = ehr.fire("alarming", "patient-view")

    assert [one.what for one in fired.exchanges] == ["hook", "fhir", "fhir", "fhir"]
    assert {one.status for one in fired.exchanges} == {200}
    assert any("/sandbox/fhir/QuestionnaireResponse?" in one.url for one in fired.exchanges)


@pytest.mark.parametrize("hook", ["patient-view", "encounter-start", "problem-list-item-create", OWN])
def test_every_triage_hook_gives_the_card(ehr: Ehr, hook: str) -> None:
    fired = ehr.fire("alarming", hook, language="en")

    assert shown(fired) == (["emergency-now"], ())
    obeys(fired.exchanges[0].request_body, "request-2.0.1", "request-3.0-ballot")
    assert fired.exchanges[0].response_headers["Content-Language"] == "en"


def test_an_order_is_selected_and_signed_as_the_service_left_it(ehr: Ehr) -> None:
    selected = ehr.order("alarming", "imaging")
    assert shown(selected) == (["imaging"], ())
    obeys(selected.exchanges[0].request_body, "request-2.0.1", "request-3.0-ballot")
    assert [one["status"] for one in ehr.chart("alarming").drafts] == ["draft"]

    assert shown(ehr.sign("alarming")) == (["imaging"], ())
    (order,) = ehr.chart("alarming").orders
    assert order["status"] == "active"
    assert order["supportingInfo"] == [{"reference": "QuestionnaireResponse/alarming-0"}]  # by its system action
    assert ehr.chart("alarming").drafts == ()


def test_an_appointment_is_booked(ehr: Ehr) -> None:
    fired = ehr.book("alarming", "physiotherapy")

    assert shown(fired) == (["emergency-now"], ())
    obeys(fired.exchanges[0].request_body, "request-2.0.1", "request-3.0-ballot")
    assert [one["status"] for one in ehr.chart("alarming").appointments] == ["proposed"]


def test_a_new_problem_offers_the_form_and_is_on_record(ehr: Ehr) -> None:
    assert shown(ehr.fire("new-comer", "problem-list-item-create")) == (["form-offer"], ())
    assert len(ehr.chart("new-comer").conditions) == 1
    assert shown(ehr.fire("new-comer", "patient-view")) == (["form-offer"], ())


@pytest.mark.parametrize("hook", ["order-sign", "order-select", "appointment-book", OWN])
def test_a_hook_without_what_it_is_about_is_not_called(ehr: Ehr, hook: str) -> None:
    with pytest.raises(NotFound, match="this patient has no"):
        ehr.fire("new-comer", hook)


def test_what_is_accepted_is_on_record_and_in_the_database(ehr: Ehr, service: Deployment) -> None:
    card = ehr.fire("calm", "patient-view").cards[0]
    suggestion = card["suggestions"][0]
    ehr.accept("calm", card["uuid"], suggestion["uuid"])
    chart = ehr.chart("calm")

    assert [one["title"] for one in chart.plans] == [suggestion["actions"][0]["resource"]["title"]]
    assert chart.hook is not None
    assert chart.hook.heeded == {card["uuid"]: "accepted"}
    assert (chart.hook.exchanges[-1].what, chart.hook.exchanges[-1].status) == ("feedback", 200)
    assert told(service, card["uuid"]) == [("accepted", None, None)]


def test_what_is_dismissed_is_in_the_database_with_its_reason(ehr: Ehr, service: Deployment) -> None:
    card = ehr.fire("alarming", "patient-view").cards[0]
    reason = card["overrideReasons"][0]
    ehr.dismiss("alarming", card["uuid"], reason, "seen")

    assert told(service, card["uuid"]) == [("overridden", reason["code"], "seen")]
    with pytest.raises(NotFound):
        ehr.dismiss("alarming", card["uuid"])


def test_feedback_that_is_not_accepted_is_said(ehr: Ehr) -> None:
    card = ehr.fire("alarming", "patient-view").cards[0]
    ehr.switch("wrong-token", on=True)
    ehr.dismiss("alarming", card["uuid"])
    last = ehr.chart("alarming").hook

    assert last is not None
    assert last.problem == ("feedback",)


def test_one_answer_changed_gives_another_card_and_keeps_nothing(ehr: Ehr) -> None:
    before = ehr.records.snapshot()
    first, second = ehr.compare("calm", "rf-bladder-bowel", "new")

    assert (shown(first), shown(second)) == ((["self-care"], ()), (["emergency-now"], ()))
    assert ehr.records.snapshot() == before
    assert ehr.chart("calm").hook is None


def test_an_answer_that_stands_within_another_is_changed_and_not_doubled(ehr: Ehr, screening: Screening) -> None:
    held = response(CALM, id="nested")
    *others, last = held["item"]
    others[0]["answer"][0]["item"] = [last]
    kept = ehr.records.put("calm", held | {"item": others})
    trial = changed(ehr.records, [kept], [screening], last["linkId"], "", "calm")

    assert list(answered(kept["item"], last["linkId"])) == [CALM[last["linkId"]]]
    assert list(answered(trial.read("QuestionnaireResponse", "nested")["item"], last["linkId"])) == []


def test_an_answer_taken_out_is_never_reassuring(ehr: Ehr) -> None:
    assert shown(ehr.compare("calm", "rf-bladder-bowel", "")[1]) == (["incomplete"], ())


@pytest.mark.parametrize(("question", "code"), [("none", "yes"), ("rf-leg", "none-such"), ("age", "999"), ("age", "x")])
def test_only_answers_of_the_form_can_be_tried(ehr: Ehr, question: str, code: str) -> None:
    with pytest.raises(BadRequest):
        ehr.compare("calm", question, code)


def test_a_response_that_is_removed_is_not_there_at_the_next_call(ehr: Ehr) -> None:
    ehr.remove("alarming", "alarming-0")

    assert shown(ehr.fire("alarming", "patient-view")) == ([], ())
    with pytest.raises(NotFound):
        ehr.remove("alarming", "calm-0")  # of another patient


def test_a_reset_puts_all_back(ehr: Ehr) -> None:
    ehr.remove("alarming", "alarming-0")
    ehr.order("alarming", "imaging")
    ehr.switch("in-progress", on=True)
    ehr.reset()
    chart = ehr.chart("alarming")

    assert (len(chart.responses), chart.drafts, chart.hook, ehr.switches) == (1, (), None, frozenset())


def test_the_line_for_curl_is_the_same_call(ehr: Ehr, tmp_path: Path) -> None:
    hook = ehr.fire("alarming", "patient-view").exchanges[0]
    again = subprocess.run(curl(hook), shell=True, capture_output=True, cwd=tmp_path, timeout=30, check=True)  # noqa: S602 - that it is fit for a shell is what is tried
    assert b" 401 " in again.stdout.splitlines()[0]  # the token is good once
    ours = subprocess.run(curl(hook, ehr.public), shell=True, capture_output=True, cwd=tmp_path, timeout=30, check=True)  # noqa: S602
    assert topics(json.loads(ours.stdout.partition(b"\r\n\r\n")[2])["cards"]) == ["emergency-now"]  # without it

    found = ehr.discovered
    assert found is not None
    said = subprocess.run(curl(found), shell=True, capture_output=True, cwd=tmp_path, timeout=30, check=True)  # noqa: S602
    assert json.loads(said.stdout.partition(b"\r\n\r\n")[2]) == found.response_body


def test_a_call_without_a_token_is_not_authenticated_as_before(service: Deployment, ehr: Ehr) -> None:
    body = ehr.fire("alarming", "patient-view").exchanges[0].request_body
    url = f"{service.public}/cds-services/low-back-pain-patient-view"
    for headers in ({}, {"Authorization": "Bearer nothing"}, {"Authorization": "Basic eA=="}):
        assert requests.post(url, json=body, headers=headers, timeout=60).status_code == 200


def test_nothing_of_it_is_there_in_production(screening: Screening, tmp_path: Path) -> None:
    with serving(screening, tmp_path, identify=lambda *_, **__: "development") as client:
        assert _sandbox_routes(client) == []
        for path in ("/sandbox", "/sandbox/fhir/metadata", "/sandbox/auth/authorize", "/sandbox/jwks.json"):
            assert client.get(path).status_code == 404
        assert client.post("/sandbox/auth/token").status_code == 404


def _sandbox_routes(client: FlaskClient) -> list[str]:
    return [rule.rule for rule in client.application.url_map.iter_rules() if "sandbox" in rule.rule]
