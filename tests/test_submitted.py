"""An EHR that can only hand us responses (POST /fhir/QuestionnaireResponse) gets the cards of one with prefetch."""

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from flask.testing import FlaskClient

from cds_content.loading import load
from cds_content.screening import Screening
from cds_service.clients import DEVELOPMENT, EVERYTHING
from tests.conftest import topics
from tests.samples import CALM, ago, bundle, call, patient, response
from tests.test_second_screening import SECOND, content
from tests.wire import cards_of, refusal_of, same, send, serving

ALARM = CALM | {"rf-saddle": "new"}
FAILED = {"resourceType": "OperationOutcome", "issue": [{"severity": "error", "code": "transient"}]}
NOTHING_SENT = {"patient": patient()}
NONE_THERE = {"patient": patient(), "responses": None}


@pytest.fixture(name="ehr")
def _ehr(screening: Screening, tmp_path: Path) -> Iterator[FlaskClient]:
    """A service to which one EHR hands its responses."""
    with serving(screening, tmp_path) as client:
        yield client


@pytest.fixture(name="handing")
def _handing(screening: Screening, tmp_path: Path) -> Iterator[FlaskClient]:
    """A service with an EHR of which it was agreed that it hands all its responses over."""
    agreed = EVERYTHING.model_copy(update={"responses": "submitted"})
    with serving(screening, tmp_path, clients={DEVELOPMENT: agreed}) as client:
        yield client


def submit(ehr: FlaskClient, *responses: dict[str, Any]) -> None:
    for one in responses:
        answer = ehr.post("/fhir/QuestionnaireResponse", json=one, content_type="application/fhir+json")
        assert answer.status_code == 201, answer.text


def asked(ehr: FlaskClient, prefetch: Any) -> list[dict[str, Any]]:
    return cards_of(send(ehr, call(prefetch=prefetch)))


# Each row: why, the answers, how long ago.
CASES: list[tuple[str, dict[str, Any], dict[str, Any]]] = [
    ("an emergency", ALARM, {}),
    ("all safe and improving", CALM, {}),
    ("a course that asks for physiotherapy", CALM | {"co-trend": "worse"}, {}),
    ("a safety answer left out", {name: code for name, code in CALM.items() if name != "rf-saddle"}, {}),
    ("an alarm in an unfinished one", ALARM, {"status": "in-progress"}),
    ("safe answers of 10 days ago", CALM, {"authored": ago(days=10)}),
    ("an alarm of 10 days ago", ALARM, {"authored": ago(days=10)}),
    ("an alarm of 40 days ago", ALARM, {"authored": ago(days=40)}),
]


@pytest.mark.parametrize("sent", [NONE_THERE, NOTHING_SENT], ids=["no response there", "nothing sent along"])
@pytest.mark.parametrize("row", CASES, ids=[row[0] for row in CASES])
def test_the_cards_are_those_of_a_prefetch(
    row: tuple[str, dict[str, Any], dict[str, Any]], sent: Any, ehr: FlaskClient
) -> None:
    _, answers, members = row
    submit(ehr, response(answers, **members))

    handed, fetched = asked(ehr, sent), asked(ehr, call(response(answers, **members))["prefetch"])

    assert _readable(handed) == _readable(fetched)


def _readable(cards: list[dict[str, Any]]) -> Any:
    """The cards without the references to the response, which stands at two addresses."""
    return [
        {name: card[name] for name in ("summary", "indicator", "detail", "source", "overrideReasons") if name in card}
        | {"labels": [one["label"] for one in card.get("suggestions", [])]}
        for card in same(cards)
    ]


def test_a_suggestion_refers_to_the_response_where_the_client_can_read_it(ehr: FlaskClient) -> None:
    submit(ehr, response(ALARM))

    (card,) = asked(ehr, NONE_THERE)
    (referral,) = card["suggestions"][0]["actions"]
    (reference,) = referral["resource"]["supportingInfo"]

    read = ehr.get(reference["reference"].removeprefix("http://127.0.0.1:8080"))
    assert read.status_code == 200
    assert read.get_json()["item"] == response(ALARM)["item"]


def test_any_alarm_that_was_submitted_counts_not_the_newest_response_alone(ehr: FlaskClient) -> None:
    submit(ehr, response(ALARM, authored=ago(days=2)), response(CALM, authored=ago(hours=1)))

    assert topics(asked(ehr, NONE_THERE)) == ["emergency-now"]


# Each row: why, what stands in the record, what was submitted, what follows.
BOTH: list[tuple[str, Any, Any, list[str]]] = [
    ("an older alarm is not lost", response(CALM), response(ALARM, authored=ago(days=1)), ["emergency-now"]),
    (
        "an alarm of a day that cannot be ordered is not lost",
        response(CALM, authored=ago()[:10]),
        response(ALARM, authored=ago(seconds=5)),
        ["emergency-now"],
    ),
    ("a newer alarm is not lost", response(CALM, authored=ago(days=1)), response(ALARM), ["emergency-now"]),
    (
        "newer safe answers do not hide an alarm",
        response(ALARM, authored=ago(days=1)),
        response(CALM),
        ["emergency-now"],
    ),
    ("a record that is unfinished is not enough", response(CALM, status="in-progress"), response(CALM), ["self-care"]),
    (
        "a record that cannot be read stays a gap",
        response(CALM, questionnaire="https://lowbackpain.example/fhir/Questionnaire/low-back-pain|9.9.9"),
        response(CALM),
        ["incomplete"],
    ),
    ("one entered in error is none", response(CALM, status="entered-in-error"), response(CALM), ["self-care"]),
    (
        "an alarm without a date is not lost",
        response(CALM),
        response(ALARM, authored=None),
        ["emergency-now", "incomplete"],
    ),
]


@pytest.mark.parametrize("row", BOTH, ids=[row[0] for row in BOTH])
def test_beside_the_record_what_was_submitted_is_neither_doubled_nor_lost(
    row: tuple[str, Any, Any, list[str]], ehr: FlaskClient
) -> None:
    _, recorded, submitted, follows = row
    submit(ehr, submitted)

    assert topics(asked(ehr, {"patient": patient(), "responses": bundle(recorded)})) == follows


def test_a_copy_of_what_the_record_holds_counts_once(ehr: FlaskClient) -> None:
    alarm = response(ALARM, authored=ago(days=1))
    alone = asked(ehr, {"patient": patient(), "responses": bundle(alarm)})

    submit(ehr, alarm)

    assert same(asked(ehr, {"patient": patient(), "responses": bundle(alarm)})) == same(alone)


def test_a_calm_response_in_hand_does_not_hide_an_alarm_that_was_submitted(ehr: FlaskClient) -> None:
    submit(ehr, response(ALARM, authored=ago(days=1)))
    in_hand = {"resourceType": "QuestionnaireResponse"} | response(CALM)
    own = call(hook="example.lowbackpain.questionnaire-response", prefetch={"patient": patient()})
    own["context"] |= {"questionnaireResponse": in_hand}
    subject = {"name": "subject", "valueString": "Patient/p1"}
    data = {"name": "data", "resource": in_hand}

    hook = ehr.post("/cds-services/low-back-pain-questionnaire-response", json=own)
    judged = ehr.post("/fhir/Questionnaire/$process-response", json=in_hand)
    plan = {"resourceType": "Parameters", "parameter": [subject, data]}
    applied = ehr.post("/fhir/PlanDefinition/low-back-pain-patient-view/$apply", json=plan)

    assert topics(cards_of(hook)) == ["emergency-now"]
    assert "emergency-now" in judged.text
    assert "emergency-now" in applied.text


@pytest.mark.parametrize("failed", [FAILED, bundle() | {"total": 3}], ids=["an error", "a part of a search"])
def test_a_plan_is_not_reassured_by_what_could_not_be_had(failed: Any, ehr: FlaskClient) -> None:
    submit(ehr, response(CALM))
    subject = {"name": "subject", "valueString": "Patient/p1"}
    plan = {"resourceType": "Parameters", "parameter": [subject, {"name": "data", "resource": failed}]}

    applied = ehr.post("/fhir/PlanDefinition/low-back-pain-patient-view/$apply", json=plan)

    assert '"incomplete"' in applied.text
    assert "self-care" not in applied.text


def test_a_response_to_another_form_says_nothing_about_this_one(screening: Screening, tmp_path: Path) -> None:
    (neck,) = load(content(tmp_path, SECOND))
    other = response({}, item=None, questionnaire=f"{neck.questionnaire['url']}|{neck.questionnaire['version']}")

    with serving(screening, tmp_path, screenings=(screening, neck)) as client:
        submit(client, other)
        assert "responses" in refusal_of(send(client, call(prefetch=NOTHING_SENT)), 412)


def test_the_same_id_on_another_server_may_be_another_patient_and_is_no_silence(
    screening: Screening, tmp_path: Path
) -> None:
    agreed = EVERYTHING.model_copy(update={"fhir_servers": ("https://a.example/fhir",)})

    with serving(screening, tmp_path, clients={DEVELOPMENT: agreed}) as client:
        submit(client, response(ALARM))
        there = call(prefetch=NONE_THERE, fhirServer="https://b.example/fhir")
        here = call(prefetch=NONE_THERE, fhirServer="https://a.example/fhir/")
        assert topics(cards_of(send(client, here))) == ["emergency-now"]
        (card,) = cards_of(send(client, there))
        assert card["source"]["topic"]["code"] == "incomplete"
        assert "R02" not in card["detail"]


def test_where_more_are_there_than_are_read_the_rest_may_be_of_this_form(screening: Screening, tmp_path: Path) -> None:
    (neck,) = load(content(tmp_path, SECOND))
    other = response({}, item=None, questionnaire=f"{neck.questionnaire['url']}|{neck.questionnaire['version']}")
    agreed = EVERYTHING.model_copy(update={"fhir_servers": ("https://a.example/fhir",)})
    there = call(prefetch=NONE_THERE, fhirServer="https://b.example/fhir")

    with serving(screening, tmp_path, screenings=(screening, neck), clients={DEVELOPMENT: agreed}) as client:
        submit(client, response(ALARM), *[other] * 500)
        assert topics(cards_of(send(client, there))) == ["incomplete"]


def test_a_client_that_hands_all_over_has_handed_nothing_about_the_patients_of_another_server(
    screening: Screening, tmp_path: Path
) -> None:
    agreed = EVERYTHING.model_copy(update={"responses": "submitted", "fhir_servers": ("https://a.example/fhir",)})

    with serving(screening, tmp_path, clients={DEVELOPMENT: agreed}) as client:
        there = call(prefetch=NOTHING_SENT, fhirServer="https://b.example/fhir")
        assert "responses" in refusal_of(send(client, there), 412)


def test_what_was_sought_and_not_had_stays_a_gap(ehr: FlaskClient) -> None:
    submit(ehr, response(CALM))

    assert topics(asked(ehr, {"patient": patient(), "responses": FAILED})) == ["incomplete"]


def test_a_client_that_hands_all_over_has_no_screening_where_there_is_none(handing: FlaskClient) -> None:
    assert asked(handing, NOTHING_SENT) == []


def test_of_a_client_that_sends_them_along_a_missing_key_is_missing(ehr: FlaskClient) -> None:
    assert "responses" in refusal_of(send(ehr, call(prefetch=NOTHING_SENT)), 412)


def test_a_deleted_response_does_not_count(handing: FlaskClient) -> None:
    made = handing.post("/fhir/QuestionnaireResponse", json=response(ALARM), content_type="application/fhir+json")
    own = made.headers["Location"].removeprefix("http://127.0.0.1:8080").partition("/_history/")[0]
    handing.delete(own)

    assert asked(handing, NOTHING_SENT) == []


def test_one_entered_in_error_counts_as_the_only_one_that_there_is(handing: FlaskClient) -> None:
    submit(handing, response(CALM, status="entered-in-error"))

    assert topics(asked(handing, NOTHING_SENT)) == ["incomplete"]


def test_a_response_of_another_patient_does_not_count(handing: FlaskClient) -> None:
    submit(handing, response(ALARM, subject={"reference": "Patient/p2"}))

    assert asked(handing, NOTHING_SENT) == []


def test_a_client_of_several_servers_cannot_submit_because_one_id_would_be_two_patients(
    screening: Screening, tmp_path: Path
) -> None:
    servers = ("https://one.example/fhir", "https://two.example/fhir")
    agreed = EVERYTHING.model_copy(update={"fhir_servers": servers})

    with serving(screening, tmp_path, clients={DEVELOPMENT: agreed}) as client:
        for subject in ("Patient/p1", f"{servers[1]}/Patient/p1"):
            body = response(ALARM, subject={"reference": subject})
            answer = client.post("/fhir/QuestionnaireResponse", json=body, content_type="application/fhir+json")
            assert answer.status_code == 422
