"""Prefetch: what was sent counts, what is missing is fetched key by key, what cannot be had never reassures."""

import re
from datetime import timedelta
from typing import Any

import pytest
from flask.testing import FlaskClient

from tests.conftest import SERVICE, topics
from tests.ehr import AUTHORIZATION, Ehr, Hospital, Serve, fetching
from tests.ehr import as_little_as_in_use as _hurry  # noqa: F401 - the fixture `hurry`
from tests.ehr import ehr_server as _ehr_server  # noqa: F401 - the fixture `ehr`
from tests.ehr import enough_for_a_busy_machine as _patience  # noqa: F401 - the fixture `patience` of every test here
from tests.ehr import service_with_fhir_servers as _serve  # noqa: F401 - the fixture `serve`
from tests.ehr_server import TOKEN
from tests.requirements.requests import HOOKS, OWN, condition, encounter, offered, valid
from tests.requirements.requests import call as call_hook
from tests.samples import CALM, bundle, call, patient, response
from tests.wire import cards_of, refusal_of, same, send

ALARM = CALM | {"rf-saddle": "new"}
PREFETCH = {"patient": patient(), "responses": bundle(response(CALM)), "conditions": bundle(condition())}
KEYS = {"patient": "Patient", "responses": "QuestionnaireResponse", "conditions": "Condition"}
OUTCOME = {"resourceType": "OperationOutcome", "issue": [{"severity": "error", "code": "forbidden"}]}
TOLD = {"resourceType": "OperationOutcome", "issue": [{"severity": "information", "code": "informational"}]}
REASSURING = {"self-care", "physio-or-doctor"}
NOTHING_THERE = {
    "null": None,
    "no entry": {"resourceType": "Bundle", "type": "searchset"},
    "no entry, total 0": {"resourceType": "Bundle", "type": "searchset", "total": 0},
    "an empty entry": {"resourceType": "Bundle", "type": "searchset", "entry": []},
}


def prefetch_without(*keys: str) -> dict[str, Any]:
    return {key: value for key, value in PREFETCH.items() if key not in keys}


def alarming(ehr: Ehr, **settings: Any) -> Hospital:
    """A hospital that holds an alarm: whoever asks it cannot miss it."""
    return ehr.hospital(patient(), response(ALARM), condition(), **settings)


# ---------------------------------------------------------------------------------------------------- by either way


PATIENTS: dict[str, list[dict[str, Any]]] = {
    "calm": [response(CALM)],
    "an alarm": [response(ALARM)],
    "a gap": [response(CALM | {"rf-cancer": "unknown"})],
    "nothing filled in": [],
}


@pytest.mark.requirement("REQ-10")
@pytest.mark.parametrize("held", PATIENTS.values(), ids=PATIENTS)
def test_the_same_data_by_prefetch_or_from_the_fhir_server_gives_the_same_cards(
    ehr: Ehr, serve: Serve, client: FlaskClient, held: list[dict[str, Any]]
) -> None:
    hospital = ehr.hospital(patient(), condition(), *held)
    sent = {"patient": patient(), "responses": bundle(*held), "conditions": bundle(condition())}

    fetched = cards_of(send(serve(hospital.base), fetching(hospital.base)))

    assert fetched
    assert same(fetched) == same(cards_of(send(client, call(prefetch=sent))))


@pytest.mark.requirement("REQ-7")
def test_a_server_without_a_token_is_not_asked(ehr: Ehr, serve: Serve) -> None:
    hospital = alarming(ehr)

    answer = send(serve(hospital.base), call(prefetch={}, fhirServer=hospital.base))

    assert "responses" in refusal_of(answer, 412)
    assert hospital.requests() == []


@pytest.mark.requirement("REQ-7")
def test_a_server_that_was_agreed_to_be_open_is_asked_without_a_token(ehr: Ehr, serve: Serve) -> None:
    hospital = alarming(ehr)

    answer = send(serve(hospital.base, open_fhir_servers=True), call(prefetch={}, fhirServer=hospital.base))

    assert topics(cards_of(answer)) == ["emergency-now"]
    assert {"authorization" in request.headers for request in hospital.requests()} == {False}


# -------------------------------------------------------------------------------------- what was sent, and what was not


@pytest.mark.requirement("PRE-1")
def test_responses_that_are_needed_and_nowhere_to_be_had_are_named(client: FlaskClient) -> None:
    assert "prefetch.responses" in refusal_of(send(client, call(prefetch=prefetch_without("responses"))), 412)


@pytest.mark.requirement("PRE-1")
def test_responses_that_the_fhir_server_does_not_give_are_named(ehr: Ehr, serve: Serve) -> None:
    hospital = alarming(ehr, mode="forbidden")

    answer = send(serve(hospital.base), fetching(hospital.base, prefetch=prefetch_without("responses")))

    assert "prefetch.responses" in refusal_of(answer, 412)
    assert hospital.kinds() == ["QuestionnaireResponse"]


@pytest.mark.requirement("PRE-2", "PRE-3")
@pytest.mark.parametrize("value", NOTHING_THERE.values(), ids=NOTHING_THERE)
def test_nothing_there_is_an_answer_and_is_not_asked_again(ehr: Ehr, serve: Serve, value: Any) -> None:
    hospital = alarming(ehr)
    sent = {"patient": patient(), "responses": value, "conditions": bundle(condition())}

    answer = send(serve(hospital.base), fetching(hospital.base, prefetch=sent))

    assert topics(cards_of(answer)) == ["form-offer"]
    assert hospital.requests() == []


@pytest.mark.requirement("PRE-2", "PRE-3")
@pytest.mark.parametrize("value", NOTHING_THERE.values(), ids=NOTHING_THERE)
@pytest.mark.parametrize("key", ["patient", "conditions"])
def test_nothing_there_is_an_answer_under_every_key(ehr: Ehr, serve: Serve, key: str, value: Any) -> None:
    hospital = alarming(ehr)

    answer = send(serve(hospital.base), fetching(hospital.base, prefetch=PREFETCH | {key: value}))

    assert topics(cards_of(answer)) == (["incomplete"] if key == "patient" else ["self-care"])
    assert hospital.requests() == []


@pytest.mark.requirement("PRE-4")
def test_responses_that_the_client_could_not_get_are_not_asked_again(ehr: Ehr, serve: Serve) -> None:
    hospital = alarming(ehr)

    answer = send(serve(hospital.base), fetching(hospital.base, prefetch=PREFETCH | {"responses": OUTCOME}))

    assert "prefetch.responses" in refusal_of(answer, 412)
    assert hospital.requests() == []


@pytest.mark.requirement("PRE-4")
def test_a_patient_that_the_client_could_not_get_is_not_asked_again_and_is_not_known(ehr: Ehr, serve: Serve) -> None:
    hospital = alarming(ehr)

    answer = send(serve(hospital.base), fetching(hospital.base, prefetch=PREFETCH | {"patient": OUTCOME}))

    assert topics(cards_of(answer)) == ["incomplete"]
    assert hospital.requests() == []


MIXED: dict[str, list[dict[str, Any]]] = {
    "an outcome that informs": [{"resource": TOLD, "search": {"mode": "outcome"}}],
    "an included patient": [{"resource": patient(), "search": {"mode": "include"}}],
    "a condition": [{"resource": condition()}],
    "all of them": [{"resource": TOLD}, {"resource": patient()}, {"resource": condition()}],
}


@pytest.mark.requirement("PRE-5")
@pytest.mark.parametrize("answers", [CALM, ALARM], ids=["calm", "alarm"])
@pytest.mark.parametrize("others", MIXED.values(), ids=MIXED)
def test_only_responses_are_taken_from_a_bundle_of_responses(
    client: FlaskClient, others: list[dict[str, Any]], answers: dict[str, Any]
) -> None:
    one = response(answers)
    mixed = bundle() | {"entry": [*others, {"resource": one, "search": {"mode": "match"}}]}
    sent = {"patient": patient(), "responses": mixed, "conditions": None}

    cards = cards_of(send(client, call(prefetch=sent)))

    assert topics(cards) == (["self-care"] if answers is CALM else ["emergency-now"])
    assert same(cards) == same(cards_of(send(client, call(prefetch=sent | {"responses": bundle(one)}))))


@pytest.mark.requirement("PRE-5")
def test_an_entry_without_a_resource_is_something_that_was_not_seen(client: FlaskClient) -> None:
    mixed = bundle() | {"entry": [{"fullUrl": "https://ehr.example/QuestionnaireResponse/2"}]}
    mixed["entry"].append({"resource": response(ALARM)})

    assert topics(cards_of(send(client, call(prefetch=PREFETCH | {"responses": mixed})))) == [
        "emergency-now",
        "incomplete",
    ]


@pytest.mark.requirement("PRE-10")
@pytest.mark.parametrize("key", KEYS)
def test_resources_without_an_id_and_with_unknown_elements_are_read(client: FlaskClient, key: str) -> None:
    resources = {"patient": patient(), "responses": response(CALM), "conditions": condition()}
    bare = {name: value for name, value in resources[key].items() if name != "id"} | {"futureElement": {"x": [1]}}

    answer = send(client, call(prefetch=PREFETCH | {key: bare if key == "patient" else bundle(bare)}))

    assert topics(cards_of(answer)) == ["self-care"]


# ------------------------------------------------------------------------------------------------------ what is fetched


def query_of(client: FlaskClient, key: str) -> tuple[str, dict[str, str]]:
    """Path and parameters of the template that discovery publishes, for the patient p1."""
    template: str = offered(client)["patient-view"]["prefetch"][key]
    path, _, query = template.replace("{{context.patientId}}", "p1").partition("?")
    pairs = [pair.partition("=") for pair in query.split("&") if pair]
    return path, {name: value for name, _, value in pairs}


@pytest.mark.requirement("PRE-7")
@pytest.mark.parametrize("key", KEYS)
def test_one_missing_key_is_asked_once_as_published_with_the_token(ehr: Ehr, serve: Serve, key: str) -> None:
    hospital = ehr.hospital(patient(), response(CALM), condition(), mode="bearer")
    client = serve(hospital.base)

    answer = send(client, fetching(hospital.base, prefetch=prefetch_without(key)))

    assert topics(cards_of(answer)) == ["self-care"]
    (request,) = hospital.requests()
    assert (request.method, request.path, request.parameters) == ("GET", *query_of(client, key))
    assert request.headers["authorization"] == f"Bearer {TOKEN}"


@pytest.mark.requirement("PRE-7")
@pytest.mark.parametrize("key", KEYS)
def test_one_key_that_was_sent_is_the_one_that_is_not_asked(ehr: Ehr, serve: Serve, key: str) -> None:
    hospital = ehr.hospital(patient(), response(CALM), condition(), mode="bearer")

    answer = send(serve(hospital.base), fetching(hospital.base, prefetch={key: PREFETCH[key]}))

    assert topics(cards_of(answer)) == ["self-care"]
    assert hospital.kinds() == sorted(kind for name, kind in KEYS.items() if name != key)


@pytest.mark.requirement("PRE-7")
@pytest.mark.parametrize("members", [{}, {"prefetch": None}], ids=["empty", "null"])
def test_without_any_prefetch_every_key_is_asked_once(ehr: Ehr, serve: Serve, members: dict[str, Any]) -> None:
    hospital = alarming(ehr, mode="bearer")

    answer = send(serve(hospital.base), fetching(hospital.base, **members))

    assert topics(cards_of(answer)) == ["emergency-now"]
    assert hospital.kinds() == sorted(KEYS.values())


def hooked(hook: str, hospital: Hospital, *responses: dict[str, Any]) -> dict[str, Any]:
    """V(hook) without any prefetch, with a FHIR server."""
    return valid(hook, *responses) | {"prefetch": {}, "fhirServer": hospital.base, "fhirAuthorization": AUTHORIZATION}


@pytest.mark.requirement("PRE-7")
@pytest.mark.parametrize("hook", HOOKS)
def test_every_hook_asks_each_key_that_it_publishes_once(ehr: Ehr, serve: Serve, hook: str) -> None:
    hospital = ehr.hospital(patient(), response(ALARM, id="on-record"), condition(), encounter(), mode="bearer")
    client = serve(hospital.base)
    templates: dict[str, str] = offered(client)[hook]["prefetch"]

    assert topics(cards_of(call_hook(client, hooked(hook, hospital))))
    assert hospital.kinds() == sorted(re.split("[/?]", template)[0] for template in templates.values())


@pytest.mark.requirement("PRE-8")
@pytest.mark.parametrize("hook", [hook for hook in HOOKS if hook != OWN])
def test_no_hook_advises_when_no_response_is_to_be_had(ehr: Ehr, serve: Serve, hook: str) -> None:
    hospital = ehr.hospital(mode="error")

    assert "prefetch.responses" in refusal_of(call_hook(serve(hospital.base), hooked(hook, hospital)), 412)


@pytest.mark.requirement("PRE-8")
@pytest.mark.parametrize(
    ("answers", "cards"), [(CALM, ["incomplete"]), (ALARM, ["emergency-now", "incomplete"])], ids=["calm", "alarm"]
)
def test_a_response_in_the_context_counts_in_part_when_the_others_are_not_to_be_had(
    ehr: Ehr, serve: Serve, answers: dict[str, Any], cards: list[str]
) -> None:
    hospital = ehr.hospital(patient(), mode="QuestionnaireResponse.error")

    assert topics(cards_of(call_hook(serve(hospital.base), hooked(OWN, hospital, response(answers))))) == cards


@pytest.mark.requirement("PRE-7")
def test_an_older_alarm_on_record_counts_beside_a_calm_response_in_the_context(ehr: Ehr, serve: Serve) -> None:
    hospital = ehr.hospital(patient(), response(ALARM, id="older", authored=timedelta(days=3)))

    answer = call_hook(serve(hospital.base), hooked(OWN, hospital, response(CALM)))

    assert topics(cards_of(answer)) == ["emergency-now"]


@pytest.mark.requirement("PRE-7")
def test_when_all_was_sent_nothing_is_asked(ehr: Ehr, serve: Serve) -> None:
    hospital = alarming(ehr)

    answer = send(serve(hospital.base), fetching(hospital.base, prefetch=PREFETCH))

    assert topics(cards_of(answer)) == ["self-care"]
    assert hospital.requests() == []


@pytest.mark.requirement("PRE-7")
def test_data_under_a_key_that_was_not_published_does_not_stand_for_one_that_was(ehr: Ehr, serve: Serve) -> None:
    hospital = alarming(ehr)
    sent = prefetch_without("responses") | {"questionnaireResponses": bundle(response(CALM))}

    answer = send(serve(hospital.base), fetching(hospital.base, prefetch=sent))

    assert topics(cards_of(answer)) == ["emergency-now"]
    assert hospital.kinds() == ["QuestionnaireResponse"]


# ------------------------------------------------------------------------------------------------------------ paging

OLD = response(CALM, id="old", authored="2020-01-01T10:00:00Z")


def first_page(url: str, *held: Any) -> dict[str, Any]:
    return bundle(*held) | {"total": 2, "link": [{"relation": "next", "url": url}]}


@pytest.mark.requirement("PRE-6")
@pytest.mark.parametrize(("newest", "card"), [(CALM, "self-care"), (ALARM, "emergency-now")], ids=["calm", "alarm"])
def test_the_newest_response_on_a_later_page_is_used(ehr: Ehr, serve: Serve, newest: dict[str, Any], card: str) -> None:
    hospital = ehr.hospital(patient(), OLD, response(newest), mode="paged")

    answer = send(serve(hospital.base), fetching(hospital.base))

    assert topics(cards_of(answer)) == [card]
    assert hospital.kinds().count("QuestionnaireResponse") == 2


@pytest.mark.requirement("PRE-6")
@pytest.mark.parametrize(("newest", "card"), [(CALM, "self-care"), (ALARM, "emergency-now")], ids=["calm", "alarm"])
def test_the_page_after_one_that_was_sent_is_fetched_with_the_token(
    ehr: Ehr, serve: Serve, newest: dict[str, Any], card: str
) -> None:
    hospital = ehr.hospital(OLD, response(newest), mode="paged")
    page = first_page(f"{hospital.base}/QuestionnaireResponse?patient=p1&_page=2", OLD)

    answer = send(serve(hospital.base), fetching(hospital.base, prefetch=PREFETCH | {"responses": page}))

    assert topics(cards_of(answer)) == [card]
    (request,) = hospital.requests()
    assert request.parameters == {"patient": "p1", "_page": "2"}
    assert request.headers["authorization"] == f"Bearer {TOKEN}"


@pytest.mark.requirement("PRE-6")
def test_a_next_page_at_another_host_is_not_called_and_the_rest_says_that_it_is_a_part(ehr: Ehr, serve: Serve) -> None:
    hospital = ehr.hospital(
        patient(),
        response(CALM),
        mode="QuestionnaireResponse.leading",
        next=f"{ehr.canary}/QuestionnaireResponse?_page=2",
    )

    answer = send(serve(hospital.base), fetching(hospital.base))

    assert topics(cards_of(answer)) == ["incomplete"]
    assert ehr.strayed() == []


@pytest.mark.requirement("PRE-6")
def test_a_next_page_that_may_not_be_fetched_leaves_a_part(client: FlaskClient) -> None:
    page = first_page("https://ehr.example/fhir?page=2", response(CALM))

    assert topics(cards_of(send(client, call(prefetch=PREFETCH | {"responses": page})))) == ["incomplete"]


# ------------------------------------------------------------------------------------------- what fails, and what lacks


@pytest.mark.requirement("PRE-8")
@pytest.mark.parametrize("mode", ["expired", "forbidden", "missing", "error", "silent", "html", "text"])
@pytest.mark.usefixtures("hurry")
def test_a_fhir_server_that_fails_is_412_or_a_part_and_never_an_error_of_ours(
    ehr: Ehr, serve: Serve, mode: str
) -> None:
    hospital = alarming(ehr, mode=mode)
    client = serve(hospital.base)

    refusal_of(send(client, fetching(hospital.base)), 412)
    in_hand = {"responses": bundle(response(ALARM))}
    assert topics(cards_of(send(client, fetching(hospital.base, prefetch=in_hand)))) == ["emergency-now", "incomplete"]


GAPS = {"rf-saddle": ("gevoel", "feeling"), "rf-cancer": ("kanker", "cancer")}


@pytest.mark.requirement("PRE-9")
@pytest.mark.parametrize("language", [0, 1], ids=["nl", "en"])
@pytest.mark.parametrize(("question", "words"), GAPS.items(), ids=GAPS)
def test_a_question_without_an_answer_is_advice_that_names_it(
    client: FlaskClient, question: str, words: tuple[str, str], language: int
) -> None:
    answers = {name: value for name, value in CALM.items() if name != question}

    (card,) = cards_of(send(client, call(response(answers)), ("nl", "en")[language]))

    assert card["source"]["topic"]["code"] == "incomplete"
    assert words[language] in card["detail"].lower()


NO_DATA: dict[str, dict[str, Any]] = {
    "no prefetch": {"prefetch": {}},
    "no responses": {"prefetch": prefetch_without("responses")},
    **{f"responses: {how}": {"prefetch": PREFETCH | {"responses": value}} for how, value in NOTHING_THERE.items()},
    "responses: an outcome": {"prefetch": PREFETCH | {"responses": OUTCOME}},
    "responses: a Bundle of an outcome": {"prefetch": PREFETCH | {"responses": bundle(OUTCOME)}},
    "patient: an outcome": {"prefetch": PREFETCH | {"patient": OUTCOME}},
    "patient: null": {"prefetch": PREFETCH | {"patient": None}},
    "no patient": {"prefetch": prefetch_without("patient")},
}


@pytest.mark.requirement("PRE-11")
@pytest.mark.parametrize("members", NO_DATA.values(), ids=NO_DATA)
def test_absent_or_failed_data_never_reassures(client: FlaskClient, members: dict[str, Any]) -> None:
    answer = client.post(SERVICE, json=call(**members))

    assert answer.status_code in (200, 412)
    assert not REASSURING & set(topics(answer.get_json().get("cards", [])))


@pytest.mark.requirement("PRE-11")
def test_the_data_that_is_taken_away_there_is_what_reassures(client: FlaskClient) -> None:
    assert topics(cards_of(send(client, call(prefetch=PREFETCH)))) == ["self-care"]
