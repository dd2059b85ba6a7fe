"""The own hook: a response in hand, with or without the patient, the user and other responses."""

import json
from datetime import timedelta
from typing import Any

import pytest
from flask.testing import FlaskClient

from tests.advice_as_fhir import RULES
from tests.conftest import topics
from tests.samples import CALM, bundle, patient, response
from tests.wire import cards_of, refusal_of

HOOK = "example.lowbackpain.questionnaire-response"
SERVICE = "/cds-services/low-back-pain-questionnaire-response"
SERVER = "https://ehr.example/fhir"
WITH_AGE = CALM | {"age": 40}
ALARM = WITH_AGE | {"rf-saddle": "new"}


def send(client: FlaskClient, one: Any, prefetch: Any = None, context: Any = None, **members: Any) -> Any:
    held = {"questionnaireResponse": one} | (context or {})
    body = {"hook": HOOK, "hookInstance": "7f3f2b9e-4c1c-4a0e-9a52-0d4d2c1f7a11", "context": held, **members}
    return client.post(SERVICE, json=body | ({} if prefetch is None else {"prefetch": prefetch}))


@pytest.mark.parametrize("context", [{}, {"patientId": "p1"}, {"patientId": "p1", "userId": "Practitioner/1"}])
def test_the_response_in_hand_is_enough(context: dict[str, str], client: FlaskClient) -> None:
    assert topics(cards_of(send(client, response(WITH_AGE), context=context))) == ["self-care"]
    assert topics(cards_of(send(client, response(ALARM), context=context))) == ["emergency-now"]


def test_the_patient_is_the_subject_of_the_response(client: FlaskClient) -> None:
    for reference in ("Patient/p1", "Patient/p1/_history/2", f"{SERVER}/Patient/p1"):
        one = response(ALARM, subject={"reference": reference})
        (card,) = cards_of(send(client, one, fhirServer=SERVER))
        assert card["suggestions"][0]["actions"][0]["resource"]["subject"] == {"reference": "Patient/p1"}


@pytest.mark.parametrize(
    "subject", [None, {"display": "Jan"}, {"reference": f"{SERVER}/Patient/p1"}, {"reference": "#p"}]
)
def test_without_a_patient_alarms_count_and_nothing_is_suggested(subject: Any, client: FlaskClient) -> None:
    doctor, incomplete = cards_of(send(client, response(ALARM, subject=subject)))
    (calm,) = cards_of(send(client, response(WITH_AGE, subject=subject)))

    assert topics([doctor, incomplete, calm]) == ["emergency-now", "incomplete", "incomplete"]
    assert not [card for card in (doctor, incomplete, calm) if {"suggestions", "selectionBehavior"} & card.keys()]


def test_another_patient_is_refused(client: FlaskClient) -> None:
    refusal_of(send(client, response(WITH_AGE), context={"patientId": "p2"}), 400)
    refusal_of(send(client, response(WITH_AGE), {"patient": patient(id="p2")}), 400)
    refusal_of(
        send(client, response(WITH_AGE), {"responses": bundle(response(CALM, subject={"reference": "Patient/p2"}))}),
        400,
    )


# Each row: why it is refused, the response.
REFUSED: list[tuple[str, Any]] = [
    ("another form", response(WITH_AGE, questionnaire="https://example.org/Questionnaire/other")),
    ("another resource", patient()),
    ("a text", "QuestionnaireResponse/1"),
    ("null", None),
    ("an array", [response(WITH_AGE)]),
]


@pytest.mark.parametrize("row", REFUSED, ids=[row[0] for row in REFUSED])
def test_what_is_no_response_to_our_form_is_refused(row: tuple[str, Any], client: FlaskClient) -> None:
    assert "context.questionnaireResponse" in refusal_of(send(client, row[1]), 400)


# Each row: why, the prefetch beside a calm response in hand, the cards.
BESIDE: list[tuple[str, Any, list[str]]] = [
    (
        "an alarm of three days ago counts",
        bundle(response(ALARM, id="old", authored=timedelta(days=3))),
        ["emergency-now"],
    ),
    ("none elsewhere", None, ["self-care"]),
    ("the same response in the EHR", bundle(response(WITH_AGE)), ["self-care"]),
    ("sought and not had", {"resourceType": "OperationOutcome", "issue": []}, ["incomplete"]),
    ("a part of them", bundle() | {"total": 1}, ["incomplete"]),
]


@pytest.mark.parametrize("row", BESIDE, ids=[row[0] for row in BESIDE])
def test_responses_elsewhere_count_as_well(row: tuple[str, Any, list[str]], client: FlaskClient) -> None:
    _, value, expected = row

    assert topics(cards_of(send(client, response(WITH_AGE), {"responses": value}))) == expected


def test_a_patient_who_reads_sees_plain_words(client: FlaskClient) -> None:
    (card,) = cards_of(send(client, response(ALARM), context={"userId": "Patient/p1"}))

    assert card["summary"] == "Bel nu je huisarts of de huisartsenpost. Bel 112 bij levensgevaar."
    assert not {"suggestions", "links"} & card.keys()
    assert "rows" not in card["extension"][RULES]


def test_no_suggestion_refers_to_a_response_that_the_ehr_may_not_have(client: FlaskClient) -> None:
    (card,) = cards_of(send(client, response(ALARM)))

    assert "QuestionnaireResponse/" not in json.dumps(card["suggestions"])
