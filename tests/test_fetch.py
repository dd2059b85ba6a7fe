"""Fetching from the EHR's FHIR server: the cards of prefetch, and never reassurance, whatever the server does."""

import socket
import time
import tracemalloc
from collections.abc import Iterator, Mapping
from dataclasses import replace
from datetime import timedelta
from itertools import groupby
from pathlib import Path
from typing import Any

import pytest
from flask.testing import FlaskClient
from werkzeug.test import TestResponse

from cds_content.screening import Screening
from cds_service.clients import Client
from cds_service.ehr import Unreachable, get
from cds_service.fetch import _whole
from tests.conftest import topics
from tests.ehr import AUTHORIZATION, BUDGET, ENDLESS, Ehr, Hospital, Name, Serve, asked_at_once, connections, fetching
from tests.ehr import as_little_as_in_use as _hurry  # noqa: F401 - the fixture `hurry`
from tests.ehr import ehr_server as _ehr_server  # noqa: F401 - the fixture `ehr`
from tests.ehr import enough_for_a_busy_machine as _patience  # noqa: F401 - the fixture `patience` of every test here
from tests.ehr import service_with_fhir_servers as _serve  # noqa: F401 - the fixture `serve`
from tests.ehr_server import TOKEN
from tests.requirements.requests import call as call_hook
from tests.requirements.requests import collection, condition, encounter, order, valid
from tests.samples import CALM, FORM, bundle, call, patient, response
from tests.test_patients import CASES, about, answers
from tests.wire import cards_of, refusal_of, same, send, serving

ALARM = CALM | {"rf-saddle": "new"}
SERVED = ["Condition", "Patient", "QuestionnaireResponse"]
NEVER = 10 * BUDGET  # by then a partner that never answers has been given up

timeless = pytest.mark.timeless  # about who is asked and what fails: nothing that is read there differs on another day

# ---------------------------------------------------------------------------------------- the same cards as by prefetch

Case = tuple[str, list[dict[str, Any]], list[dict[str, Any]], list[str]]  # why, Patient, what is on record, cards


def _of_every_kind() -> Iterator[Case]:
    """Two test patients for each list of cards that there is: thereby every disposition, alone and together."""
    for cards, cases in groupby(sorted(CASES, key=lambda case: list(case["cards"])), key=lambda case: case["cards"]):
        for case in list(cases)[:2]:
            yield case["reason"], [about(case)], [response(answers(case))], cards


def _another(**members: Any) -> dict[str, Any]:
    return response(CALM, id="response-2", **members)


ON_RECORD: list[Case] = [
    *_of_every_kind(),
    (
        "in progress, with an alarm",
        [patient()],
        [response(ALARM, status="in-progress")],
        ["emergency-now", "incomplete"],
    ),
    ("in progress and calm", [patient()], [response(CALM, status="in-progress")], ["incomplete"]),
    ("stopped", [patient()], [response(CALM, status="stopped")], ["incomplete"]),
    ("entered in error", [patient()], [response(ALARM, status="entered-in-error")], ["incomplete"]),
    ("8 days old", [patient()], [response(CALM, authored=timedelta(days=8))], ["incomplete"]),
    ("an alarm of 31 days ago", [patient()], [response(ALARM, authored=timedelta(days=31))], ["incomplete"]),
    ("a newer calm one", [patient()], [response(ALARM, authored=timedelta(days=3)), _another()], ["emergency-now"]),
    ("two calm ones", [patient()], [response(CALM), _another(authored=timedelta(days=3))], ["self-care"]),
    ("stored without a version", [patient()], [response(CALM, questionnaire=FORM)], ["self-care"]),
    (
        "an alarm without a version beside a calm one with it",
        [patient()],
        [response(ALARM, questionnaire=FORM, authored=timedelta(days=1)), _another()],
        ["emergency-now"],
    ),
    ("nothing filled in", [patient()], [], []),
    ("another form", [patient()], [response(ALARM, questionnaire="https://other.example/Questionnaire/x|1.0.0")], []),
    ("low back pain on record, nothing filled in", [patient()], [condition()], ["form-offer"]),
    ("no Patient on record", [], [response(CALM)], ["incomplete"]),
]


def test_at_least_30_patients_are_compared_and_every_disposition_is_among_them() -> None:
    assert len({reason for reason, *_ in ON_RECORD}) == len(ON_RECORD) >= 30
    assert {card for case in CASES for card in case["cards"]} <= {card for *_, cards in ON_RECORD for card in cards}


@pytest.mark.parametrize("mode", ["open", "bare"])
@pytest.mark.parametrize("case", ON_RECORD, ids=[case[0] for case in ON_RECORD])
def test_what_is_fetched_gives_the_cards_that_the_same_prefetch_gives(
    ehr: Ehr, serve: Serve, client: FlaskClient, case: Case, mode: str
) -> None:
    _, patients, held, expected = case
    hospital = ehr.hospital(*patients, *held, mode=mode)
    of = {kind: [one for one in held if one["resourceType"] == kind] for kind in SERVED}
    sent = {"patient": patients[0] if patients else None}
    sent |= {"responses": bundle(*of["QuestionnaireResponse"]), "conditions": bundle(*of["Condition"])}

    fetched = cards_of(send(serve(hospital.base), fetching(hospital.base)))

    assert topics(fetched) == expected
    assert same(fetched) == same(cards_of(send(client, call(prefetch=sent))))
    assert hospital.kinds() == SERVED


def test_a_server_that_takes_its_time_is_waited_for(ehr: Ehr, serve: Serve) -> None:
    hospital = ehr.hospital(patient(), response(CALM), mode="slow")

    assert topics(cards_of(send(serve(hospital.base), fetching(hospital.base)))) == ["self-care"]


def test_a_response_about_the_patient_by_absolute_address_is_read(ehr: Ehr, serve: Serve) -> None:
    hospital = ehr.hospital()
    hospital.load(patient(), response(CALM, subject={"reference": f"{hospital.base}/Patient/p1"}))

    assert topics(cards_of(send(serve(hospital.base), fetching(hospital.base)))) == ["self-care"]


def test_a_server_that_is_named_with_a_slash_behind_it_is_the_same_server(ehr: Ehr, serve: Serve) -> None:
    hospital = ehr.hospital(patient(), response(CALM))

    assert topics(cards_of(send(serve(hospital.base), fetching(f"{hospital.base}/")))) == ["self-care"]
    assert {request.path for request in hospital.requests()} == {"Patient/p1", "QuestionnaireResponse", "Condition"}


def test_one_of_several_servers_that_were_agreed_on_is_asked_and_not_the_others(ehr: Ehr, serve: Serve) -> None:
    one, other = ehr.hospital(patient(), response(CALM)), ehr.hospital(patient(), response(ALARM))

    assert topics(cards_of(send(serve(other.base, one.base), fetching(one.base)))) == ["self-care"]
    assert (one.kinds(), other.kinds()) == (SERVED, [])


def test_all_keys_are_asked_at_the_same_time(ehr: Ehr, serve: Serve) -> None:
    """The server answers nothing until it has been asked for everything."""
    hospital = ehr.hospital(patient(), response(CALM), mode="abreast", types=SERVED)

    assert topics(cards_of(send(serve(hospital.base), fetching(hospital.base)))) == ["self-care"]


# ---------------------------------------------------------------------------------------------------- what is not asked


@pytest.mark.parametrize("encounter_id", [None, "e1"])
def test_the_encounter_is_asked_only_when_the_context_names_one(
    ehr: Ehr, screening: Screening, tmp_path: Path, encounter_id: str | None
) -> None:
    """On a service for patient-view, where encounterId is optional, that would like to have the Encounter."""
    hospital = ehr.hospital(patient(), encounter(), response(CALM))
    service = screening.services["low-back-pain-patient-view"]
    keys = {**service.prefetch, "encounter": "Encounter/{{context.encounterId}}"}
    services = {"low-back-pain-patient-view": service.model_copy(update={"prefetch": keys})}
    clients = {"development": Client(fhir_servers=(hospital.base,), private_addresses=True)}
    body = fetching(hospital.base)
    body["context"] |= {"encounterId": encounter_id} if encounter_id else {}

    with serving(replace(screening, services=services), tmp_path, clients=clients) as client:
        answer = send(client, body)

    assert topics(cards_of(answer)) == ["self-care"]
    assert hospital.kinds() == sorted([*SERVED, *(["Encounter"] if encounter_id else [])])


def test_the_encounter_of_the_context_is_asked_where_the_service_wants_it(ehr: Ehr, serve: Serve) -> None:
    hospital = ehr.hospital(patient(), encounter())
    body = valid("encounter-start") | {"prefetch": {}, "fhirServer": hospital.base, "fhirAuthorization": AUTHORIZATION}

    assert topics(cards_of(call_hook(serve(hospital.base), body))) == ["form-offer"]
    assert "Encounter/e1" in [request.path for request in hospital.requests()]


BRAIN_MRI = {"system": "http://loinc.org", "code": "24590-2", "display": "MR Brain"}
MEDICINE = {"resourceType": "MedicationRequest", "id": "order-1", "status": "draft", "intent": "order"}
NOT_OURS: dict[str, dict[str, Any]] = {
    "imaging of something else": collection(order(BRAIN_MRI)),
    "a medicine": collection(MEDICINE | {"subject": {"reference": "Patient/p1"}}),
    "no orders": {"resourceType": "Bundle", "type": "collection"},
}


def _ordering(hook: str, base: str, orders: Any) -> dict[str, Any]:
    body = valid(hook, draftOrders=orders)
    return body | {"prefetch": {}, "fhirServer": base, "fhirAuthorization": AUTHORIZATION}


@pytest.mark.parametrize("hook", ["order-select", "order-sign"])
@pytest.mark.parametrize("orders", NOT_OURS.values(), ids=NOT_OURS)
def test_for_orders_that_are_not_ours_nothing_is_asked(
    ehr: Ehr, serve: Serve, orders: dict[str, Any], hook: str
) -> None:
    hospital = ehr.hospital(patient(), response(ALARM))

    with connections() as tried:
        answer = call_hook(serve(hospital.base), _ordering(hook, hospital.base, orders))

    assert cards_of(answer) == []
    assert (tried, hospital.requests()) == ([], [])


@pytest.mark.parametrize("hook", ["order-select", "order-sign"])
def test_for_an_order_that_is_ours_everything_is_asked(ehr: Ehr, serve: Serve, hook: str) -> None:
    hospital = ehr.hospital(patient(), response(ALARM))

    answer = call_hook(serve(hospital.base), _ordering(hook, hospital.base, collection(order())))

    assert topics(cards_of(answer)) == ["imaging"]
    assert hospital.kinds() == SERVED


def _near(base: str, canary: str) -> dict[str, str]:
    """Addresses that resemble a base that was agreed on."""
    host = base.split("/")[2]
    return {
        "its beginning, and more": f"{base}-evil",
        "a folder of it": f"{base}/admin",
        "the folder above it": base.rpartition("/")[0],
        "climbing out of it": f"{base}/../other",
        "climbing back into it": f"{base}/x/..",
        "climbing, encoded": f"{base}/%2e%2e/other",
        "a letter encoded": base.replace("/open", "/%6fpen"),
        "in capitals": base.upper(),
        "a folder of it, and slashes": f"{base}/x//",
        "two slashes behind it": f"{base}//",
        "a query": f"{base}?x=1",
        "an empty query": f"{base}?",
        "a fragment": f"{base}#x",
        "over https": base.replace("http:", "https:"),
        "another port": f"{canary}/{base.split('/', 3)[3]}",
        "with a user": base.replace("//", "//user@"),
        "as the user of another host": f"http://{host}@{canary.split('/')[2]}/{base.split('/', 3)[3]}",
        "another host behind a backslash": f"{canary}\\@{host}/{base.split('/', 3)[3]}",
        "by another name": base.replace("127.0.0.1", "localhost"),
        "as one number": base.replace("127.0.0.1", "2130706433"),
        "shortened": base.replace("127.0.0.1", "127.1"),
        "in IPv6": base.replace("127.0.0.1", "[::ffff:127.0.0.1]"),
        "a blank before it": f" {base}",
        "a blank behind it": f"{base} ",
        "a line break behind it": f"{base}\n",
        "without a scheme": base.removeprefix("http:"),
        "the canary": canary,
        "nothing": "",
    }


@timeless
@pytest.mark.parametrize("how", _near("http://127.0.0.1:1/open/h", "http://127.0.0.1:2"))
def test_a_server_that_resembles_one_that_was_agreed_on_is_not_asked(ehr: Ehr, serve: Serve, how: str) -> None:
    hospital = ehr.hospital(patient(), response(CALM))
    client = serve(hospital.base)

    with connections() as tried:
        answer = send(client, fetching(_near(hospital.base, ehr.canary)[how]))

    assert answer.status_code in (400, 412)
    assert refusal_of(answer, answer.status_code)
    assert (tried, hospital.requests(), ehr.strayed()) == ([], [], [])


def test_a_client_that_agreed_on_no_server_has_none_asked(ehr: Ehr, serve: Serve) -> None:
    hospital = ehr.hospital(patient(), response(CALM))

    assert "prefetch.responses" in refusal_of(send(serve(), fetching(hospital.base)), 412)
    assert hospital.requests() == []


def test_the_canary_hears_whoever_calls_it(ehr: Ehr) -> None:
    ehr.hospital()
    with connections() as tried, socket.create_connection(("127.0.0.1", int(ehr.canary.rpartition(":")[2]))) as line:
        line.sendall(b"x")
        line.recv(1)

    assert [one["said"] for one in ehr.strayed()] == ["x"]
    assert tried == 2 * [ehr.canary.removeprefix("http://")]  # looked up, and called


# -------------------------------------------------------------------------------------------------- a server that fails

FAILING: dict[str, str] = {
    "expired": "the token is no longer good",
    "forbidden": "the token does not reach that far",
    "missing": "there is no such thing",
    "error": "it failed, and sends the right answer nevertheless",
    "unavailable": "it is busy, and wants to be asked again in an hour",
    "away": "it sends us to another host, with the right answer beside it",
    "around": "it sends us to itself",
    "html": "a sign-in page with status 200",
    "text": "no JSON",
    "empty": "no body",
    "nan": "NaN in the right answer",
    "truncated": "the end is missing",
    "cut-off": "the connection ends before the answer does",
    "outcome": "an OperationOutcome with status 200",
    "other-type": "another resource than was asked for",
    "hang-up": "no answer at all",
    "headers": "the right answer behind ten thousand headers",
    "deep": "a hundred thousand arrays in each other, in the right answer",
    "huge": "16 MB before the right answer",
    "bomb": "32 MB in 32 kB before the right answer",
    "silent": "never answers",
    "dripping-body": "20 seconds of blanks before the right answer, byte by byte",
    "dripping-headers": "headers for 20 seconds, byte by byte",
    "chatter": "it goes on, it says, without an end",
    "lying": "the right answer, and a promise of a terabyte",
}
IN_HAND: dict[str, tuple[dict[str, Any], list[str]]] = {
    "calm": (CALM, ["incomplete"]),
    "an alarm": (ALARM, ["emergency-now", "incomplete"]),
}
Way = tuple[str, str]  # how the server fails, and what is in hand
WAYS = [(mode, held) for mode in FAILING for held in IN_HAND]
CARDS = {(mode, held): IN_HAND[held][1] for mode, held in WAYS}


def _cards(answers: Mapping[Way, TestResponse]) -> dict[Way, list[str]]:
    return {way: topics(cards_of(answer)) for way, answer in answers.items()}


def _fetched(serve: Serve, hospitals: Mapping[Name, Hospital]) -> dict[Name, TestResponse]:
    """What each of these hospitals makes of a call without prefetch, all asked at the same time."""
    client = serve(*(one.base for one in hospitals.values()))
    return asked_at_once(client, {name: fetching(one.base) for name, one in hospitals.items()})


def _without_responses(serve: Serve, hospitals: Mapping[str, Hospital]) -> dict[str, TestResponse]:
    """The refusals of those; fails for an answer."""
    answers = _fetched(serve, hospitals)
    refused = {mode: refusal_of(answer, 412) for mode, answer in answers.items()}
    assert {mode for mode, reason in refused.items() if "prefetch.responses" not in reason} == set()
    return answers


@timeless
def test_a_server_that_fails_without_a_response_in_hand_is_412(
    ehr: Ehr, serve: Serve, caplog: pytest.LogCaptureFixture
) -> None:
    hospitals = {mode: ehr.hospital(patient(), response(ALARM), condition(), mode=mode) for mode in FAILING}

    with caplog.at_level("DEBUG"):
        answers = _without_responses(serve, hospitals)

    assert {mode: one.kinds() for mode, one in hospitals.items()} == dict.fromkeys(FAILING, SERVED)
    assert ehr.strayed() == []
    assert [text for text in (caplog.text, *(one.text for one in answers.values())) if TOKEN in text] == []
    assert [mode for mode, one in answers.items() if hospitals[mode].name in one.text] == []


@timeless
def test_a_server_that_fails_with_a_response_in_hand_gives_its_alarms_and_incomplete(
    ehr: Ehr, serve: Serve, caplog: pytest.LogCaptureFixture
) -> None:
    hospitals = {way: ehr.hospital(patient(), response(ALARM), condition(), mode=way[0]) for way in WAYS}
    sent = {held: {"responses": bundle(response(answers))} for held, (answers, _) in IN_HAND.items()}
    calls = {way: fetching(one.base, prefetch=sent[way[1]]) for way, one in hospitals.items()}

    with caplog.at_level("DEBUG"):
        answers = asked_at_once(serve(*(one.base for one in hospitals.values())), calls)

    assert _cards(answers) == CARDS
    assert {way: one.kinds() for way, one in hospitals.items()} == {way: ["Condition", "Patient"] for way in WAYS}
    assert [text for text in (caplog.text, *(one.text for one in answers.values())) if TOKEN in text] == []


@timeless
def test_only_the_responses_failing_is_412(ehr: Ehr, serve: Serve) -> None:
    held = patient(), response(ALARM), condition()

    _without_responses(serve, {mode: ehr.hospital(*held, mode=f"QuestionnaireResponse.{mode}") for mode in FAILING})


def _failing_in(ehr: Ehr, part: str, *more: Any) -> dict[Way, Hospital]:
    """Hospitals that hold a response, and fail in this part only."""
    return {
        (mode, held): ehr.hospital(patient(), response(IN_HAND[held][0]), *more, mode=f"{part}.{mode}")
        for mode, held in WAYS
    }


@timeless
def test_only_the_patient_failing_leaves_the_age_unknown(ehr: Ehr, serve: Serve) -> None:
    assert _cards(_fetched(serve, _failing_in(ehr, "Patient"))) == CARDS


@timeless
def test_only_the_conditions_failing_takes_no_alarm_away(ehr: Ehr, serve: Serve) -> None:
    found = _cards(_fetched(serve, _failing_in(ehr, "Condition")))

    assert found == {way: {"calm": ["self-care"], "an alarm": ["emergency-now"]}[way[1]] for way in WAYS}


@timeless
def test_a_later_page_failing_gives_the_alarms_of_the_first_and_incomplete(ehr: Ehr, serve: Serve) -> None:
    assert _cards(_fetched(serve, _failing_in(ehr, "second", response(ALARM, id="later")))) == CARDS


@pytest.mark.parametrize("mode", ["stranger", "Patient.stranger", "Condition.stranger", "second.stranger"])
def test_a_resource_of_another_patient_from_the_server_is_refused_without_a_card(
    ehr: Ehr, serve: Serve, mode: str
) -> None:
    hospital = ehr.hospital(patient(), response(CALM), response(ALARM, id="later"), condition(), mode=mode)

    refusal_of(send(serve(hospital.base), fetching(hospital.base)), 400)


def test_entries_of_another_type_are_no_responses(ehr: Ehr, serve: Serve) -> None:
    hospital = ehr.hospital(patient(), response(ALARM), mode="QuestionnaireResponse.other-entries")

    assert "prefetch.responses" in refusal_of(send(serve(hospital.base), fetching(hospital.base)), 412)


def test_a_server_where_nobody_listens_is_412(serve: Serve) -> None:
    with socket.socket() as bound:
        bound.bind(("127.0.0.1", 0))
        base = f"http://127.0.0.1:{bound.getsockname()[1]}/fhir"

        assert "prefetch.responses" in refusal_of(send(serve(base), fetching(base)), 412)


@timeless
@pytest.mark.parametrize("mode", ["huge", "bomb"])
def test_what_is_too_large_is_not_kept_in_memory_however_much_time_there_is(ehr: Ehr, mode: str) -> None:
    hospital = ehr.hospital(patient(), mode=mode)
    tracemalloc.start()

    with pytest.raises(Unreachable):
        get(f"{hospital.base}/Patient/p1", {}, time.monotonic() + 60, private=True)

    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert peak < 8_000_000  # bytes; the answers are of 16 and 32 MB


@timeless
@pytest.mark.parametrize("mode", ENDLESS)
def test_a_question_without_an_answer_ends_by_itself(ehr: Ehr, mode: str) -> None:
    hospital, start = ehr.hospital(patient(), mode=mode), time.monotonic()

    with pytest.raises(Unreachable):
        get(f"{hospital.base}/Patient/p1", {}, start + BUDGET, private=True)

    assert time.monotonic() - start < NEVER


def test_proxies_and_passwords_of_this_machine_are_not_used(
    ehr: Ehr, serve: Serve, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "netrc").write_text("default login somebody password something\n")
    hospital = ehr.hospital(patient(), response(CALM), mode="bearer")
    client = serve(hospital.base)

    with monkeypatch.context() as machine:
        machine.setenv("NETRC", str(tmp_path / "netrc"))
        for name in ("HTTP_PROXY", "http_proxy", "ALL_PROXY", "all_proxy"):
            machine.setenv(name, ehr.canary)
        answer = send(client, fetching(hospital.base))

    assert topics(cards_of(answer)) == ["self-care"]
    assert ehr.strayed() == []


@timeless
@pytest.mark.parametrize(
    "mode", ["silent", "dripping-body", "dripping-headers", "endless", "second.silent", "second.dripping-headers"]
)
@pytest.mark.usefixtures("hurry")
def test_a_server_without_an_end_is_given_up_in_time(ehr: Ehr, serve: Serve, mode: str) -> None:
    hospital = ehr.hospital(patient(), response(CALM), response(CALM, id="later"), mode=mode)
    client, start = serve(hospital.base), time.monotonic()

    answer = send(client, fetching(hospital.base))

    assert time.monotonic() - start < NEVER
    assert answer.status_code == 412 or topics(cards_of(answer)) == ["incomplete"]


@timeless
@pytest.mark.parametrize("mode", ["silent", "dripping-body", "dripping-headers", "huge"])
def test_a_server_without_an_end_takes_no_other_server_along(
    ehr: Ehr, serve: Serve, mode: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    bad, good = ehr.hospital(mode=mode), ehr.hospital(patient(), response(CALM))
    client = serve(bad.base, good.base)
    with monkeypatch.context() as hurry:
        hurry.setattr("cds_service.fetch.BUDGET", BUDGET)
        for _ in range(6):  # with three questions each
            refusal_of(send(client, fetching(bad.base)), 412)

    assert topics(cards_of(send(client, fetching(good.base)))) == ["self-care"]


# ---------------------------------------------------------------------------------------------------------------- pages


def test_a_server_whose_pages_never_end_is_asked_for_five_and_the_rest_is_not_known(ehr: Ehr, serve: Serve) -> None:
    hospital = ehr.hospital(patient(), response(CALM), mode="endless")

    assert topics(cards_of(send(serve(hospital.base), fetching(hospital.base)))) == ["incomplete"]
    assert hospital.kinds().count("QuestionnaireResponse") <= 5


def test_empty_pages_without_an_end_are_412(ehr: Ehr, serve: Serve) -> None:
    hospital = ehr.hospital(patient(), mode="endless")

    assert "prefetch.responses" in refusal_of(send(serve(hospital.base), fetching(hospital.base)), 412)


@pytest.mark.parametrize("pages", [2, 3, 5])
def test_up_to_five_pages_are_one_search(ehr: Ehr, serve: Serve, pages: int) -> None:
    held = [response(CALM, id=f"response-{number}") for number in range(pages)]
    hospital = ehr.hospital(patient(), *held, mode="paged")

    assert topics(cards_of(send(serve(hospital.base), fetching(hospital.base)))) == ["self-care"]
    assert hospital.kinds().count("QuestionnaireResponse") == pages


def _following(base: str) -> dict[str, str]:
    """Addresses of a next page below the base, as servers write them."""
    return {
        "the same search": f"{base}/QuestionnaireResponse?patient=p1&_page=2",
        "a page of the server": f"{base}?_page=2",
        "relative to the base": "QuestionnaireResponse?patient=p1&_page=2",
    }


@pytest.mark.parametrize("how", _following("http://127.0.0.1:1/open/h"))
def test_a_next_page_below_the_base_is_followed_with_the_token(ehr: Ehr, serve: Serve, how: str) -> None:
    hospital = ehr.hospital(mode="QuestionnaireResponse.leading")
    newer = [response(CALM, id=f"response-{number}") for number in range(20)]
    hospital.load(patient(), *newer, response(ALARM, authored=timedelta(days=1)), next=_following(hospital.base)[how])

    assert topics(cards_of(send(serve(hospital.base), fetching(hospital.base)))) == ["emergency-now"]
    assert {request.headers["authorization"] for request in hospital.requests()} == {f"Bearer {TOKEN}"}


@pytest.mark.parametrize(("kind", "asked"), [("Bearer", True), ("bearer", True), ("DPoP", False), ("mac", False)])
def test_only_a_bearer_token_is_used(ehr: Ehr, serve: Serve, kind: str, *, asked: bool) -> None:
    hospital = ehr.hospital(patient(), response(ALARM))
    body = fetching(hospital.base, fhirAuthorization=AUTHORIZATION | {"token_type": kind})

    assert send(serve(hospital.base), body).status_code == (200 if asked else 412)
    assert bool(hospital.requests()) is asked


def _leading_away(base: str, canary: str) -> dict[str, Any]:
    """What may stand in a next link and must not be called: elsewhere, outside the base, or no address at all."""
    host, there = base.split("/")[2], "QuestionnaireResponse?patient=p1&_page=2"
    return {
        "another port": f"{canary}/{there}",
        "another port, without a scheme": f"{canary.removeprefix('http:')}/{there}",
        "the base as a user of another host": f"http://{host}@{canary.split('/')[2]}/{there}",
        "a user of the base": f"{base.replace('//', '//user@')}/{there}",
        "another host behind a backslash": f"{canary}\\@{host}/{there}",
        "backslashes": f"{canary}/{there}".replace("/", "\\"),
        "a blank before it": f" {canary}/{there}",
        "a line break in it": f"{canary[:9]}\n{canary[9:]}/{there}",
        "over https": f"{base.replace('http:', 'https:')}/{there}",
        "by another name": f"{base.replace('127.0.0.1', 'localhost')}/{there}",
        "beside the base": f"{base}-evil/{there}",
        "above the base": f"{base.rpartition('/')[0]}/{there}",
        "climbing out of the base": f"{base}/../{base.rpartition('/')[2]}-evil/{there}",
        "climbing, encoded": f"{base}/%2e%2e/{base.rpartition('/')[2]}-evil/{there}",
        "climbing, with encoded slashes": f"{base}/..%2f{base.rpartition('/')[2]}-evil/{there}",
        "climbing, as some servers read it": f"{base}/..;/{base.rpartition('/')[2]}-evil/{there}",
        "climbing, encoded twice": f"{base}/%252e%252e/{base.rpartition('/')[2]}-evil/{there}",
        "from the root": f"/open/x/{there}",
        "a file": "file:///etc/passwd",
        "ftp": f"ftp://{canary.split('/')[2]}/x",
        "a bad port": f"http://127.0.0.1:x/{there}",
        "half an IPv6 address": f"http://[::1/{there}",
        "no text": 5,
        "a list": [f"{canary}/{there}"],
    }


@timeless
@pytest.mark.parametrize("how", _leading_away("http://127.0.0.1:1/open/h", "http://127.0.0.1:2"))
def test_a_next_page_elsewhere_is_not_called_and_the_result_is_incomplete(ehr: Ehr, serve: Serve, how: str) -> None:
    hospital = ehr.hospital(mode="QuestionnaireResponse.leading")
    hospital.load(patient(), response(CALM), next=_leading_away(hospital.base, ehr.canary)[how])
    client = serve(hospital.base)

    with connections() as tried:
        answer = send(client, fetching(hospital.base))

    assert topics(cards_of(answer)) == ["incomplete"]
    assert hospital.kinds() == SERVED
    assert tried == 3 * len(SERVED) * [ehr.address.removeprefix("http://")]  # looked up, and its address called
    assert ehr.strayed() == []


# Each row: the totals of page 1 and page 2 (None: not said), that of all.
TOTALS: list[tuple[Any, Any, Any]] = [(None, None, None), (2, None, 2), (2, 2, 2), (2, 5, 5), (5, 2, 5), (2, "2", "2")]


@pytest.mark.parametrize("row", TOTALS)
def test_the_highest_total_of_all_pages_counts(row: tuple[Any, Any, Any]) -> None:
    pages = [bundle(response(CALM)) | ({} if total is None else {"total": total}) for total in row[:2]]
    first = pages[0] | {"link": [{"relation": "next", "url": "https://ehr.example/fhir?page=2"}]}
    kept: list[Any] = []

    _whole(lambda _: pages[1], "https://ehr.example/fhir", first, kept.append)

    assert (len(kept[-1]["entry"]), kept[-1].get("total")) == (2, row[2])
