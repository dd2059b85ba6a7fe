"""The hook, $process-response and $apply advise alike, over answer sets drawn in layers: the same cards, the same rows.

All of them by the functions that the routes call, and a part of them, drawn alike, over the routes themselves.
"""

from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

import pytest
from flask.testing import FlaskClient

from cds_content.screening import Screening
from cds_service.advice import NO_SCREENING
from cds_service.clients import Client
from cds_service.details import Call
from cds_service.errors import BadRequest
from cds_service.hooks import read_request, templates
from cds_service.judgement import Asker, applied, judged
from cds_service.reply import Asked, reply
from cds_service.request_group import request_group
from cds_service.submission import faults, form_of, kept, patient_of
from cds_service.submission.alarms import readable_alarms
from tests.advice_as_fhir import RULES, group_of, rows_of, topics_of
from tests.conftest import SERVICE
from tests.layers import answer_sets
from tests.samples import call, patient

SERVICE_ID = SERVICE.rpartition("/")[2]
PROCESS, APPLY = "/fhir/Questionnaire/$process-response", f"/fhir/PlanDefinition/{SERVICE_ID}/$apply"
DRAWN, OVER_HTTP, AHEAD = 5000, 300, 500  # answer sets; with the clock ahead only the last number of them
ABOUT = patient(None)  # without a birth date: the age is an answer like the others
REFUSED, NO_RESPONSE = "refused", "no response"

Json = dict[str, Any]
Said = (
    list[tuple[str, list[str]]] | str
)  # the topic of each card or action with the rows behind it; or why there is none


@dataclass(frozen=True)
class Told:
    """What each of the three ways says of one response."""

    layer: str
    response: Json
    hook: Said
    plan: Said
    processed: Said


@pytest.fixture(scope="module", name="told")
def _told(screening: Screening, pytestconfig: pytest.Config) -> list[Told]:
    drawn = answer_sets(screening, DRAWN, seed=20261122)
    return [
        Told(one.layer, one.response, *(way(screening, one.response) for way in (hook, plan, processed)))
        for one in (drawn[:AHEAD] if pytestconfig.getoption("--ahead") else drawn)
    ]


def to(screening: Screening) -> Call:
    uuid = "7f3f2b9e-4c1c-4a0e-9a52-0d4d2c1f7a11"
    return Call("p1", "Practitioner/gp-1", None, "nl", datetime.now(UTC), screening.base, lambda: uuid)


def hook(screening: Screening, response: Json) -> Said:
    """What the service patient-view says."""
    service = screening.services[SERVICE_ID]
    request = read_request(call(response, about=ABOUT), [service.hook])
    try:
        advice, answer = reply(Asked(screening, templates(screening, service), request, Client(), to(screening)))
    except BadRequest:
        return REFUSED
    return NO_RESPONSE if advice is NO_SCREENING else of_cards(answer["cards"])


def plan(screening: Screening, response: Json) -> Said:
    """What $apply says of the plan behind the same service."""
    try:
        asker = Asker(Client(), to(screening))
        advice, cards = applied(screening, screening.services[SERVICE_ID].hook, [response, ABOUT], asker)
    except BadRequest:
        return REFUSED
    if advice is NO_SCREENING:
        return NO_RESPONSE
    return of_group(request_group(screening, advice, cards, to(screening), id_="advice"))


def processed(screening: Screening, response: Json) -> Said:
    """What $process-response says."""
    found = faults([screening], response, datetime.now(UTC))
    if any(one.refuses for one in found) or response["status"] == "entered-in-error":
        return REFUSED
    assert form_of([screening], response)[0] is screening
    assert patient_of(response) == "p1"
    advice, cards = judged(screening, kept(screening, response), Asker(Client(), to(screening)), [ABOUT])
    return of_group(request_group(screening, advice, cards, to(screening), id_="advice"))


def of_cards(cards: list[Json]) -> Said:
    return [(card["source"]["topic"]["code"], card["extension"][RULES]["rows"]) for card in cards]


def of_group(group: Json) -> Said:
    return list(zip(topics_of(group), rows_of(group), strict=True))


@pytest.mark.requirement("P-4")
def test_the_plan_says_what_the_hook_says(told: list[Told]) -> None:
    assert [one for one in told if one.plan != one.hook] == []


@pytest.mark.requirement("S-1")
def test_a_response_processed_says_what_the_hook_says(told: list[Told]) -> None:
    judged_ones = [one for one in told if one.processed != REFUSED]

    assert [one for one in judged_ones if one.processed != one.hook] == []
    assert len(judged_ones) > len(told) * 0.7


@pytest.mark.requirement("S-1")
def test_what_is_refused_still_tells_its_alarms(screening: Screening, told: list[Told]) -> None:
    """Where the hook would call for a doctor, the refusal names a disposition at least as urgent."""
    doctors = [name for name, one in screening.dispositions.items() if one.class_ == "doctor"]
    silent = []
    for one in told:
        shown = one.hook if isinstance(one.hook, list) and one.processed == REFUSED else []
        if called := [doctors.index(topic) for topic, _ in shown if topic in doctors]:
            named = [name for _, name in readable_alarms([screening], one.response, datetime.now(UTC))]
            silent += [one] if min(map(doctors.index, named), default=len(doctors)) > min(called) else []

    assert silent == []


@pytest.mark.requirement("P-4", "S-1")
def test_the_routes_say_it_too(told: list[Told], client: FlaskClient) -> None:
    some = told[:OVER_HTTP]

    assert [
        one for one in some if _of_hook(client, one.response) != ([] if one.hook == NO_RESPONSE else one.hook)
    ] == []
    assert [one for one in some if _of_plan(client, one.response) != one.plan] == []
    assert [one for one in some if _of_processing(client, one.response) != one.processed] == []


def _of_hook(client: FlaskClient, response: Json) -> Said:
    answer = client.post(SERVICE, json=call(response, about=ABOUT))
    if answer.status_code != 200:
        return REFUSED
    return of_cards(answer.get_json()["cards"])


def _of_plan(client: FlaskClient, response: Json) -> Said:
    subject = {"name": "subject", "valueString": "Patient/p1"}
    answer = client.post(APPLY, json=_parameters(subject, _held("data", response), _held("data", ABOUT)))
    if answer.status_code != 200:
        return {400: REFUSED, 412: NO_RESPONSE}[answer.status_code]
    return of_group(group_of(answer.get_json()))


def _of_processing(client: FlaskClient, response: Json) -> Said:
    answer = client.post(PROCESS, json=_parameters(_held("in", response), _held("data", ABOUT)))
    if answer.status_code != 200:
        return {400: REFUSED, 422: REFUSED}[answer.status_code]
    return of_group(group_of(answer.get_json()))


def _held(name: str, resource: Json) -> Json:
    return {"name": name, "resource": resource}


def _parameters(*given: Json) -> Json:
    return {"resourceType": "Parameters", "parameter": list(given)}
