"""Questionnaire/$process-response: the advice of the hooks as an OperationOutcome with a RequestGroup; nothing kept."""

from collections.abc import Iterator
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest
from flask.testing import FlaskClient
from sqlalchemy import select

from cds_content.screening import Screening
from cds_service.clients import Client
from cds_service.store import cards, decisions, open_store, responses
from cds_service.store.tables import metadata
from cds_service.web import Deployment, create_app, hash_patient
from tests.advice_as_fhir import RULES, as_read, as_sent, group_of, mistakes, rows_of, topics_of
from tests.conftest import ROOT
from tests.samples import ANSWERS, BASE, CALM, FORM, bundle, item, patient, response
from tests.test_patients import about, answers, each_patient
from tests.test_second_screening import SECOND, content, serve
from tests.wire import ABSENT, cards_of, changed, refusal_of, serving

TYPE = "/fhir/Questionnaire/$process-response"
INSTANCE = "/fhir/Questionnaire/low-back-pain/$process-response"
OWN_HOOK = "/cds-services/low-back-pain-questionnaire-response"
WITH_AGE = CALM | {"age": 40}
ALARM = WITH_AGE | {"rf-saddle": "new"}
GAP = WITH_AGE | {"rf-saddle": "unknown"}
DISPOSITIONS = f"{BASE}/CodeSystem/low-back-pain-dispositions"


def parameters(*pairs: tuple[str, Any]) -> dict[str, Any]:
    """FHIR Parameters with these resources."""
    return {"resourceType": "Parameters", "parameter": [{"name": name, "resource": one} for name, one in pairs]}


def send(client: FlaskClient, body: Any, address: str = TYPE, language: str = "nl") -> Any:
    return client.post(address, json=body, headers={"Accept-Language": language})


def outcome(client: FlaskClient, body: Any, address: str = TYPE, language: str = "nl") -> dict[str, Any]:
    """The OperationOutcome of an answer; fails unless that is 200 and valid R4."""
    answer = send(client, body, address, language)
    assert answer.status_code == 200, answer.text[:500]
    assert answer.mimetype == "application/fhir+json"
    found: dict[str, Any] = answer.get_json()
    assert mistakes(found) == []
    return found


def told(body: dict[str, Any]) -> list[str]:
    """The dispositions that the information issues name."""
    return [one["details"]["coding"][0]["code"] for one in body["issue"] if one["severity"] == "information"]


def hook(client: FlaskClient, one: Any, language: str = "nl") -> list[dict[str, Any]]:
    """The cards of the own hook for the same response."""
    body = {
        "hook": "example.lowbackpain.questionnaire-response",
        "hookInstance": "7f3f2b9e-4c1c-4a0e-9a52-0d4d2c1f7a11",
    }
    context = {"questionnaireResponse": one, "patientId": "p1"}
    sent = body | {"context": context, "prefetch": {"patient": patient()}}
    return cards_of(client.post(OWN_HOOK, json=sent, headers={"Accept-Language": language}))


@pytest.fixture(name="served")
def _served(screening: Screening, tmp_path: Path) -> Iterator[tuple[FlaskClient, Deployment]]:
    """A service of its own, with its database."""
    store = open_store(f"sqlite:///{tmp_path / 'served.sqlite'}")
    service = Deployment((screening,), store, "http://127.0.0.1:8080", development=True)
    yield create_app(service).test_client(), service
    store.dispose()


@pytest.mark.requirement("S-1")
@pytest.mark.parametrize("address", [TYPE, INSTANCE], ids=["of the type", "of the form"])
@pytest.mark.parametrize(
    "body",
    [
        pytest.param(response(ALARM), id="the bare response"),
        pytest.param(parameters(("in", response(ALARM))), id="SDC 4: in"),
        pytest.param(parameters(("response", response(ALARM))), id="SDC 3: response"),
        pytest.param(parameters(("in", response(ALARM)), ("data", patient())), id="with the patient"),
    ],
)
def test_a_response_is_processed_however_it_is_wrapped(body: Any, address: str, client: FlaskClient) -> None:
    found = outcome(client, body, address)

    assert told(found) == topics_of(group_of(found)) == ["emergency-now"]


@pytest.mark.requirement("S-1")
@each_patient
def test_the_patient_gets_the_advice_of_the_decision_table(case: dict[str, Any], client: FlaskClient) -> None:
    found = outcome(client, parameters(("in", response(answers(case))), ("data", about(case))))

    assert topics_of(group_of(found)) == case["cards"]
    assert told(found) == (case["cards"] or ["not-applicable"])


@pytest.mark.requirement("S-1", "P-3")
@pytest.mark.parametrize("language", ["nl", "en"])
@pytest.mark.parametrize(
    "said",
    [
        pytest.param(ALARM, id="an alarm"),
        pytest.param(GAP, id="a gap"),
        pytest.param(ALARM | {"rf-bladder-bowel": "unknown"}, id="an alarm and a gap"),
        pytest.param(WITH_AGE | {"co-trend": "same"}, id="conservative care, of the patient's choice"),
        pytest.param(WITH_AGE, id="self-care"),
    ],
)
def test_the_request_group_is_the_cards_of_the_hook(said: dict[str, Any], language: str, client: FlaskClient) -> None:
    cards_there = hook(client, response(said), language)
    found = outcome(client, parameters(("in", response(said)), ("data", patient())), language=language)
    group = group_of(found)

    assert [as_read(action, found["contained"]) for action in group["action"]] == [as_sent(one) for one in cards_there]
    assert rows_of(group) == [card["extension"][RULES]["rows"] for card in cards_there]
    assert (group["status"], group["intent"]) == ("draft", "proposal")
    assert group["subject"] == {"reference": "Patient/p1"}
    assert group["priority"] == group["action"][0]["priority"]


@pytest.mark.requirement("P-3")
def test_every_row_names_its_reason_its_origin_and_the_content_that_said_so(
    screening: Screening, client: FlaskClient
) -> None:
    group = group_of(outcome(client, response(WITH_AGE | {"co-trend": "same"}), language="en"))
    (row,) = [one for one in group["action"][0]["documentation"] if one["label"] == "R30"]

    finding = next(one for one in screening.findings if one.row == "R30")

    assert row["display"] == finding.reason["en"]
    assert all(f"{name}: " in row["citation"] for name in finding.basis)
    assert finding.reason["en"] in [one["text"] for one in group["reasonCode"]]
    assert row["resource"] == f"{BASE}/PlanDefinition/low-back-pain-questionnaire-response|1.0.0"
    assert group["instantiatesCanonical"] == [row["resource"]]
    assert group["instantiatesUri"] == [f"nih:sha-256;{screening.hash}"]


@pytest.mark.requirement("P-3")
def test_where_nothing_can_be_suggested_a_clinician_is_told(screening: Screening, tmp_path: Path) -> None:
    """rgp-1: an action has a resource, or actions. A GP is not advised to refer to the GP."""
    said = response(WITH_AGE | {"rf-saddle": "longstanding"})
    with serving(screening, tmp_path, clients={"development": Client(reader="gp")}) as gp:
        found = outcome(gp, said)
    (action,) = group_of(found)["action"]
    (message,) = [one for one in found["contained"] if f"#{one['id']}" == action["resource"]["reference"]]

    assert told(found) == ["doctor-soon"]
    assert "action" not in action
    assert (message["resourceType"], message["status"]) == ("CommunicationRequest", "draft")
    assert message["payload"] == [{"contentString": action["title"]}]


@pytest.mark.requirement("P-3")
def test_a_choice_among_what_is_created_is_kept(screening: Screening, tmp_path: Path) -> None:
    """For the clients that were agreed with, as on the cards; for the others all belongs together."""
    clients = {"development": Client(action_selection_behavior=True)}
    with serving(screening, tmp_path, clients=clients) as agreed:
        group = group_of(outcome(agreed, response(WITH_AGE | {"co-trend": "same"})))
    choices = [one.choose or "all" for one in screening.dispositions["physio-or-doctor"].suggestion]

    assert [one["selectionBehavior"] for one in group["action"][0]["action"]] == choices
    assert set(choices) == {"any", "all"}


@pytest.mark.requirement("S-1")
@pytest.mark.parametrize("language", ["nl", "en"])
def test_the_issue_holds_the_words_of_the_card(language: str, client: FlaskClient) -> None:
    (card,) = hook(client, response(ALARM), language)
    answer = send(client, parameters(("in", response(ALARM)), ("data", patient())), language=language)
    body = answer.get_json()
    issue = body["issue"][0]

    assert answer.headers["Content-Language"] == body["language"] == language
    assert (issue["severity"], issue["code"]) == ("information", "informational")
    assert issue["details"]["text"] == card["summary"]
    assert issue["diagnostics"] == card["detail"].replace("**", "")
    assert issue["details"]["coding"] == [card["source"]["topic"]]


@pytest.mark.requirement("S-1")
@pytest.mark.parametrize(("language", "words"), [("nl", "Niet van toepassing"), ("en", "Not applicable")])
def test_where_there_is_no_card_the_outcome_says_why(language: str, words: str, client: FlaskClient) -> None:
    found = outcome(client, response(WITH_AGE | {"lbp-present": "no"}), language=language)
    group = group_of(found)

    assert told(found) == ["not-applicable"]
    assert found["issue"][0]["details"]["text"].startswith(words)
    assert "action" not in group
    assert group["note"] == [{"text": found["issue"][0]["diagnostics"]}]


# Each row: why, what is other than in a calm response, the dispositions told. The table "which response counts".
COUNTED: list[tuple[str, dict[str, Any], dict[str, Any], list[str]]] = [
    ("completed", WITH_AGE, {}, ["self-care"]),
    ("amended", WITH_AGE, {"status": "amended"}, ["self-care"]),
    ("in progress: no reassurance", WITH_AGE, {"status": "in-progress"}, ["incomplete"]),
    ("in progress: alarms count", ALARM, {"status": "in-progress"}, ["emergency-now", "incomplete"]),
    ("stopped: no reassurance", WITH_AGE, {"status": "stopped"}, ["incomplete"]),
    ("stopped: alarms count", ALARM, {"status": "stopped"}, ["emergency-now", "incomplete"]),
    ("8 days old: no reassurance", WITH_AGE, {"authored": timedelta(days=8)}, ["incomplete"]),
    ("8 days old: alarms count", ALARM, {"authored": timedelta(days=8)}, ["emergency-now", "incomplete"]),
    ("31 days old", ALARM, {"authored": timedelta(days=31)}, ["incomplete"]),
    ("without a date: no reassurance", WITH_AGE, {"authored": None}, ["incomplete"]),
    ("without a date: alarms count", ALARM, {"authored": None}, ["emergency-now", "incomplete"]),
    ("a form without a version", WITH_AGE, {"questionnaire": FORM}, ["self-care"]),
]


@pytest.mark.requirement("S-1", "QR-2")
@pytest.mark.parametrize("row", COUNTED, ids=[row[0] for row in COUNTED])
def test_a_response_counts_as_far_as_it_does_for_the_hooks(row: Any, client: FlaskClient) -> None:
    _, said, members, expected = row

    assert told(outcome(client, response(said, **members))) == expected


@pytest.mark.requirement("S-1", "QR-2")
@pytest.mark.parametrize("said", [WITH_AGE, ALARM], ids=["calm", "an alarm"])
def test_what_was_entered_in_error_is_refused(said: dict[str, Any], client: FlaskClient) -> None:
    answer = send(client, response(said, status="entered-in-error"))

    assert "entered-in-error" in refusal_of(answer, 422)
    assert answer.get_json()["issue"][0]["expression"] == ["QuestionnaireResponse.status"]


@pytest.mark.requirement("S-1")
@pytest.mark.parametrize("link_id", sorted(CALM))
def test_without_an_answer_nothing_reassures(link_id: str, client: FlaskClient) -> None:
    left = {name: answer for name, answer in WITH_AGE.items() if name != link_id}

    assert "self-care" not in told(outcome(client, response(left)))


@pytest.mark.requirement("S-1")
def test_faults_that_do_not_refuse_stand_beside_the_advice(client: FlaskClient) -> None:
    left = {name: answer for name, answer in WITH_AGE.items() if name != "rf-saddle"}
    found = outcome(client, response(left))
    warnings = [one for one in found["issue"] if one["severity"] == "warning"]

    assert told(found) == ["incomplete"]
    assert "missing-answer" in [one["details"]["coding"][0]["code"] for one in warnings]


OTHER = "https://example.org/Questionnaire/other"
# Each row: why, the body, the code of the fault that refuses it.
REFUSED: list[tuple[str, Any, str]] = [
    ("it names no form", response(WITH_AGE, questionnaire=None), "no-form"),
    ("another form", response(WITH_AGE, questionnaire=OTHER), "unknown-form"),
    ("another version", response(WITH_AGE, questionnaire=f"{FORM}|9.9.9"), "unknown-version"),
    ("nobody's", response(WITH_AGE, subject=None), "no-subject"),
    (
        "somebody's, elsewhere",
        response(WITH_AGE, subject={"reference": "https://x.example/Patient/p1"}),
        "foreign-subject",
    ),
    ("a modifier", response(WITH_AGE, modifierExtension=[{"url": OTHER, "valueBoolean": True}]), "unknown-modifier"),
    ("no option", response(WITH_AGE | {"rf-saddle": "perhaps"}), "not-an-option"),
    ("another type", response(WITH_AGE, item=[item("age", [{"valueString": "40"}])]), "wrong-type"),
]


@pytest.mark.requirement("S-1")
@pytest.mark.parametrize("address", [TYPE, INSTANCE], ids=["of the type", "of the form"])
@pytest.mark.parametrize("row", REFUSED, ids=[row[0] for row in REFUSED])
def test_what_cannot_be_attributed_or_read_is_refused(row: Any, address: str, client: FlaskClient) -> None:
    _, body, code = row
    answer = send(client, body, address)
    refusal_of(answer, 422)
    issues = answer.get_json()["issue"]

    assert code in [one["details"]["coding"][0]["code"] for one in issues if one["severity"] == "error"]
    assert "contained" not in answer.get_json()


@pytest.mark.requirement("S-1")
def test_what_is_no_fhir_is_refused_as_that_whatever_else_is_wrong(client: FlaskClient) -> None:
    refusal_of(send(client, response(WITH_AGE, subject=None, status="activ")), 400)


@pytest.mark.requirement("S-1")
def test_a_contained_form_that_is_ours_is_judged(screening: Screening, client: FlaskClient) -> None:
    form = screening.questionnaire | {"id": "form"}
    found = outcome(client, response(WITH_AGE, contained=[form], questionnaire="#form"))

    assert told(found) == ["self-care"]


@pytest.mark.requirement("S-1")
def test_the_subject_may_be_named_by_the_address_on_the_clients_server(screening: Screening, tmp_path: Path) -> None:
    server = "https://ehr.example/fhir"
    sent = response(WITH_AGE, subject={"reference": f"{server}/Patient/p1"})
    with serving(screening, tmp_path, clients={"development": Client(fhir_servers=(server,))}) as known:
        found = outcome(known, sent)

    assert told(found) == ["self-care"]
    assert group_of(found)["subject"] == {"reference": "Patient/p1"}


@pytest.mark.requirement("S-1")
def test_a_refusal_names_the_alarm_first(client: FlaskClient) -> None:
    answer = send(client, response(ALARM, subject=None), language="en")
    refusal_of(answer, 422)
    first = answer.get_json()["issue"][0]

    assert first["details"]["coding"][0]["system"] == DISPOSITIONS
    assert first["details"]["coding"][0]["code"] == "emergency-now"


@pytest.mark.requirement("S-1")
@pytest.mark.parametrize(
    ("body", "address", "status"),
    [
        pytest.param(response(ALARM), "/fhir/Questionnaire/neck-check/$process-response", 422, id="of another form"),
        pytest.param(response(ALARM), "/fhir/Questionnaire/none/$process-response", 404, id="of no form"),
        pytest.param(parameters(("in", response(ALARM)), ("in", response(CALM))), TYPE, 400, id="two responses"),
        pytest.param(parameters(("in", bundle(response(ALARM)))), TYPE, 400, id="in a Bundle"),
        pytest.param([response(ALARM)], TYPE, 400, id="in an array"),
    ],
)
def test_a_refusal_names_the_alarm_first_wherever_it_was_sent(
    body: Any, address: str, status: int, tmp_path: Path
) -> None:
    both = serve(content(tmp_path, ROOT, SECOND))
    answer = send(both, body, address)
    refusal_of(answer, status)

    assert answer.get_json()["issue"][0]["details"]["coding"][0]["code"] == "emergency-now"


@pytest.mark.requirement("S-1")
@pytest.mark.parametrize(
    ("body", "status"),
    [
        pytest.param(parameters(), 400, id="Parameters without a response"),
        pytest.param(parameters(("in", response(CALM)), ("response", response(CALM))), 400, id="two responses"),
        pytest.param(parameters(("in", response(CALM)), ("other", patient())), 400, id="an unknown parameter"),
        pytest.param(parameters(("in", response(CALM)), ("data", patient(id="p2"))), 400, id="another patient's data"),
        pytest.param(patient(), 400, id="another resource"),
        pytest.param([], 400, id="an array"),
        pytest.param(changed(response(CALM), ("status",), ABSENT), 400, id="no status"),
        pytest.param(changed(response(CALM), ("status",), "activ"), 400, id="no status of FHIR"),
    ],
)
def test_what_is_no_response_is_refused(body: Any, status: int, client: FlaskClient) -> None:
    refusal_of(send(client, body), status)


@pytest.mark.requirement("S-1")
def test_there_is_nothing_at_other_addresses(client: FlaskClient) -> None:
    refusal_of(send(client, response(CALM), "/fhir/Questionnaire/other/$process-response"), 404)
    refusal_of(client.get(TYPE), 404)
    refusal_of(client.post(TYPE, data=b"<QuestionnaireResponse/>", content_type="application/fhir+xml"), 415)
    refusal_of(client.post(TYPE, data=b"{", content_type="application/fhir+json"), 400)


@pytest.mark.requirement("S-1")
def test_the_decision_is_recorded_and_the_answers_are_not(served: tuple[FlaskClient, Deployment]) -> None:
    client, service = served
    sent = response(ALARM, subject={"reference": "Patient/nobody-else"}, id="secret-id")
    group = group_of(outcome(client, sent))
    with service.store.connect() as connection:
        (row,) = connection.execute(select(decisions)).mappings()
        (card,) = connection.execute(select(cards)).mappings()
        everything = str([connection.execute(select(table)).all() for table in metadata.sorted_tables])
        assert connection.execute(select(responses)).all() == []

    assert (row["service"], row["disposition"]) == ("Questionnaire/$process-response", "emergency-now")
    assert row["rows"] == rows_of(group)[0]
    assert row["patient"] == hash_patient(service, row["client"], "nobody-else")
    assert card["uuid"] == group["action"][0]["id"]
    assert card["suggestions"] == [one["id"] for one in group["action"][0]["action"]]
    assert not [word for word in ("nobody-else", "secret-id", ANSWERS, "rf-cancer") if word in everything]


@pytest.mark.requirement("S-1", "R-2")
def test_nothing_is_judged_for_who_cannot_read_the_answer(served: tuple[FlaskClient, Deployment]) -> None:
    client, service = served
    refusal_of(client.post(TYPE, json=response(ALARM), headers={"Accept": "application/fhir+xml"}), 406)
    with service.store.connect() as connection:
        assert connection.execute(select(decisions)).all() == []


@pytest.mark.requirement("S-1")
def test_without_a_record_there_is_no_advice(served: tuple[FlaskClient, Deployment]) -> None:
    client, service = served
    metadata.drop_all(service.store, tables=[cards])
    answer = send(client, response(ALARM))

    assert "no advice is given" in refusal_of(answer, 503)
