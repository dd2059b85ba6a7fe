"""The sandbox with answers that are half right: no card vanishes, and nothing is said that is not so."""

from collections.abc import Iterator
from dataclasses import replace
from typing import Any

import pytest
import requests

from cds_content.screening import Screening
from cds_service.sandbox import Fired
from cds_service.sandbox.exchange import curl
from tests.pages_sandbox import Page, Sandbox, Told, foreign, person, sandbox
from tests.processes import free_port
from tests.samples import CALM, response

SELF_CARE = person("self-care", "row", response(CALM))
_MINE = person("mine", "row", response(CALM, author={"reference": "Patient/p1"}))
MINE = replace(_MINE, request=_MINE.request | {"context": {"userId": "Patient/mine", "patientId": "mine"}})
TASK = {"type": "create", "description": "A task", "resource": {"resourceType": "Task", "status": "draft"}}
TASK["resource"]["intent"] = "proposal"  # type: ignore[index] # what is in a dict of such values is not known
LAST = {"indicator": "critical", "source": {"label": "Another service"}}
CARD = LAST | {"uuid": "card-1", "summary": "Go now"}
INDICATORS: list[Any] = [None, "hard-stop", "Critical", 7, [], {}]
SOURCES: list[Any] = [None, "text", [], {}, {"label": ""}, {"label": 7}]
TWO = {"services": [{"id": name, "hook": "patient-view", "description": name} for name in ("one", "two")]}
BOTH = [{"label": name, "uuid": name, "actions": [TASK]} for name in ("one", "two")]


@pytest.fixture(scope="module", name="served")
def _served(screening: Screening, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Sandbox]:
    with sandbox((screening,), tmp_path_factory.mktemp("hostile"), (SELF_CARE, MINE)) as one:
        yield one


@pytest.fixture(name="at")
def _at(served: Sandbox) -> Sandbox:
    """The sandbox as it is at start."""
    served.session.cookies.clear()
    served.post("/reset")
    return served


def opened(at: Sandbox, address: str) -> Page:
    """The record of a patient after patient-view at the service at this address."""
    at.post("/connect", {"address": address})
    return at.post("/patients/self-care/hook", {"hook": "patient-view"})


def last(at: Sandbox) -> Fired:
    fired = at.ehr.chart("self-care").hook
    assert fired is not None
    return fired


def shown(at: Sandbox, *cards: Any, **members: Any) -> Page:
    with foreign({"cards": list(cards)} | members) as address:
        return opened(at, address)


def done(at: Sandbox, how: str, **values: str) -> Page:
    return at.post(f"/patients/self-care/{how}", values)


# ------------------------------------------------------------------------------------- what is wrong with an answer


@pytest.mark.parametrize(
    "wrong",
    [
        *({"indicator": one} for one in INDICATORS),
        *({"source": one} for one in SOURCES),
        *({"uuid": ""}, {"uuid": 7}, {"links": [{"label": "no url"}]}, {"suggestions": "none"}),
    ],
    ids=str,
)
def test_a_card_with_a_summary_is_shown_and_its_fault_is_said(at: Sandbox, wrong: dict[str, Any]) -> None:
    page = shown(at, CARD | wrong)

    assert "Go now" in page.one("data-card").text
    assert page.one("data-problem").attributes["data-problem"] == "bad-parts"


def test_what_a_card_lacks_is_said_on_the_card(at: Sandbox) -> None:
    text = shown(at, {"summary": "Go now"}).one("data-card").text

    assert "Dringendheid onbekend" in text
    assert "geen bron genoemd" in text


@pytest.mark.parametrize("card", [None, "text", {}, {"summary": ""}, {"summary": 7} | LAST, LAST])
def test_a_card_without_a_summary_is_a_problem_beside_those_that_are_shown(at: Sandbox, card: Any) -> None:
    page = shown(at, card, CARD)

    assert page.one("data-problem").attributes["data-problem"] == "bad-cards"
    assert len(page.all("data-card")) == 1


@pytest.mark.parametrize("kind", ["Patient/self-care", "Encounter/{encounter}"])
def test_system_actions_that_were_refused_changed_nothing_and_the_page_says_why(at: Sandbox, kind: str) -> None:
    encounter = at.ehr.chart("self-care").person.encounter
    delete = {"type": "delete", "description": "x", "resourceId": kind.format(encounter=encounter)}
    page = shown(at, CARD, systemActions=[TASK, delete])

    assert page.one("data-problem").attributes["data-problem"] == "system-actions"
    assert "zonder te vragen" not in page.text
    assert "a chart rests on its Patient" in page.one("id", "refused").text
    assert page.all("data-on-record", "Task") == []
    assert at.chart("self-care").status == 200


def test_system_actions_that_were_done_are_counted(at: Sandbox) -> None:
    page = shown(at, CARD, systemActions=[TASK])

    assert "1 keer (systemActions)" in page.text
    assert len(page.all("data-on-record", "Task")) == 1


def test_a_service_that_reads_a_lot_is_shown_with_what_was_left_out(at: Sandbox) -> None:
    def read(asked: Any) -> Any:
        given = {"Authorization": f"Bearer {asked['fhirAuthorization']['access_token']}"}
        for _ in range(60):
            requests.get(f"{asked['fhirServer']}/Patient/self-care", headers=given, timeout=60)
        return {"cards": [CARD]}

    with foreign(read) as address:
        page = opened(at, address)
        after = done(at, "dismiss", card="card-1")

    assert len(page.all("data-exchange", "fhir")) == 50
    assert "weggelaten" in page.one("id", "cut").text
    assert after.one("data-told").attributes["data-told"] == "yes"
    assert after.all("id", "cut") != []


def test_what_was_left_out_of_one_service_is_said_beside_another(at: Sandbox) -> None:
    asked: list[Any] = []

    def read(request: Any) -> Any:
        asked.append(request)
        given = {"Authorization": f"Bearer {request['fhirAuthorization']['access_token']}"}
        for _ in range(60 if len(asked) == 1 else 0):
            requests.get(f"{request['fhirServer']}/Patient/self-care", headers=given, timeout=60)
        return {"cards": []}

    with foreign(read, TWO) as address:
        page = opened(at, address)

    assert [one.attributes["data-exchange"] for one in page.all("data-exchange")] == ["hook", *["fhir"] * 50, "hook"]
    assert page.all("id", "cut") != []


def test_nothing_is_said_to_be_left_out_where_nothing_was(at: Sandbox) -> None:
    assert shown(at, CARD).all("id", "cut") == []


# ---------------------------------------------------------------------------------------------------- what was told


@pytest.mark.parametrize(
    ("how", "values"), [("dismiss", {"card": "card-1"}), ("accept", {"card": "card-1", "suggestion": "one"})]
)
def test_a_card_says_that_its_service_refused_to_hear_of_it(at: Sandbox, how: str, values: dict[str, str]) -> None:
    with foreign({"cards": [CARD | {"suggestions": BOTH}]}, feedback=500) as address:
        opened(at, address)
        page = done(at, how, **values)

    assert page.one("data-told").attributes["data-told"] == "refused"
    assert "De dienst weet dat niet" in page.one("data-card").text
    assert page.one("data-problem").attributes["data-problem"] == "feedback"


def test_a_card_says_that_its_service_was_not_there_to_hear_of_it(at: Sandbox) -> None:
    shown(at, CARD)
    page = done(at, "dismiss", card="card-1")

    assert page.one("data-told").attributes["data-told"] == "unanswered"
    assert "De dienst weet dat niet" in page.one("data-card").text


def test_a_card_says_that_its_service_was_told_only_where_it_was(at: Sandbox) -> None:
    with foreign({"cards": [CARD]}) as address:
        opened(at, address)
        page = done(at, "dismiss", card="card-1")

    assert page.one("data-told").attributes["data-told"] == "yes"
    assert "De dienst weet dat." in page.one("data-card").text


@pytest.mark.parametrize("named", [{}, {"uuid": ""}])
def test_a_suggestion_without_a_uuid_can_be_accepted_and_no_feedback_is_made_up(
    at: Sandbox, named: dict[str, str]
) -> None:
    told: list[Told] = []
    with foreign(
        {"cards": [CARD | {"suggestions": [{"label": "Do", "actions": [TASK]} | named]}]}, told=told
    ) as address:
        before = opened(at, address)
        page = done(at, "accept", card="card-1", suggestion=before.one("data-suggestion").attributes["data-suggestion"])

    assert before.one("data-unknown").attributes["data-unknown"] == "suggestion"
    assert [one.attributes["data-problem"] for one in before.all("data-problem")] == (["bad-parts"] if named else [])
    assert len(page.all("data-on-record", "Task")) == 1
    assert page.one("data-told").attributes["data-told"] == "no-uuid"
    assert [one.about for one in told if one.about] == []


def test_a_card_without_a_uuid_can_be_put_aside_and_no_feedback_is_made_up(at: Sandbox) -> None:
    told: list[Told] = []
    with foreign({"cards": [LAST | {"summary": "Go now"}]}, told=told) as address:
        before = opened(at, address)
        page = done(at, "dismiss", card=before.one("data-card").attributes["data-card"])

    assert before.all("data-problem") == []
    assert before.one("data-unknown").attributes["data-unknown"] == "card"
    assert page.one("data-told").attributes["data-told"] == "no-uuid"
    assert [one.about for one in told if one.about] == []


def test_cards_with_the_same_uuid_are_all_shown_and_each_can_be_put_aside(at: Sandbox) -> None:
    page = shown(at, CARD, CARD | {"summary": "Another"})
    first, second = (one.attributes["data-card"] for one in page.all("data-card"))
    after = done(at, "dismiss", card=second)

    assert page.one("data-problem").attributes["data-problem"] == "bad-parts"
    assert first != second
    assert [one.attributes.get("data-heeded") for one in after.all("data-card")] == [None, "overridden"]


def test_a_uuid_that_two_services_give_hides_no_card(at: Sandbox) -> None:
    with foreign({"cards": [CARD]}, TWO) as address:
        page = opened(at, address)

    assert len(page.all("data-card")) == 2
    assert page.one("data-problem").attributes["data-problem"] == "bad-parts"
    assert [one.attributes["data-unknown"] for one in page.all("data-unknown")] == ["card"]


def test_suggestions_with_the_same_uuid_are_told_apart(at: Sandbox) -> None:
    page = shown(at, CARD | {"suggestions": [BOTH[0], BOTH[0] | {"label": "two"}]})

    assert len({one.attributes["data-suggestion"] for one in page.all("data-suggestion")}) == 2
    assert len(page.all("data-unknown", "suggestion")) == 2
    assert page.one("data-problem").attributes["data-problem"] == "bad-parts"


def test_where_any_may_be_chosen_the_others_stay_usable(at: Sandbox) -> None:
    told: list[Told] = []
    card = CARD | {"suggestions": BOTH, "selectionBehavior": "any"}
    with foreign({"cards": [card]}, told=told) as address:
        opened(at, address)
        first = done(at, "accept", card="card-1", suggestion="one")
        again = done(at, "accept", card="card-1", suggestion="one")
        second = done(at, "accept", card="card-1", suggestion="two")

    assert [one.attributes["data-suggestion"] for one in first.all("data-suggestion")] == ["two"]
    assert first.all("data-dismiss") == []
    assert again.status == 404
    assert second.all("data-suggestion") == []
    assert len(second.all("data-on-record", "Task")) == 2
    said = [one.about["acceptedSuggestions"] for one in told if one.about]
    assert said == [[{"id": "one"}], [{"id": "one"}, {"id": "two"}]]


def test_a_card_that_was_put_aside_is_closed_as_a_whole(at: Sandbox) -> None:
    with foreign({"cards": [CARD | {"suggestions": BOTH, "selectionBehavior": "any"}]}) as address:
        opened(at, address)
        page = done(at, "dismiss", card="card-1")

    assert page.all("data-suggestion") == []
    assert done(at, "accept", card="card-1", suggestion="one").status == 404


def test_where_at_most_one_may_be_chosen_the_others_are_closed(at: Sandbox) -> None:
    with foreign({"cards": [CARD | {"suggestions": BOTH, "selectionBehavior": "at-most-one"}]}) as address:
        opened(at, address)
        page = done(at, "accept", card="card-1", suggestion="one")

    assert page.all("data-suggestion") == []
    assert done(at, "accept", card="card-1", suggestion="two").status == 404


# ------------------------------------------------------------------------------------------------ links and messages


def test_a_link_of_a_card_whose_uuid_holds_a_slash_opens(at: Sandbox) -> None:
    smart = {"label": "App", "type": "smart", "url": "https://app.example/start?x=1"}
    page = shown(at, CARD | {"uuid": "a/../b?c=d&link=7", "links": [smart]})

    status, where = at.led(page.one("data-launch").attributes["href"].removeprefix("/sandbox"))
    assert (status, where.startswith("https://app.example/start?x=1&")) == (303, True)


@pytest.mark.parametrize(("length", "folded"), [(40, False), (400, True)])
def test_a_long_address_is_folded_away(at: Sandbox, length: int, folded: bool) -> None:
    url = f"https://app.example/{'x' * length}"
    page = shown(at, CARD | {"links": [{"label": "App", "type": "smart", "url": url}]})

    assert url in page.one("data-card").text
    assert ("Het hele adres" in page.one("data-card").text) == folded


def test_a_message_is_shown_as_it_went_over_the_wire(at: Sandbox) -> None:
    told: list[Told] = []
    with foreign({"cards": [CARD]}, told=told) as address:
        page = opened(at, address)
    sent, wire = last(at).exchanges[0], told[-1]

    assert sent.request_headers == wire.headers
    assert f"{sent.method} {sent.target} {sent.request_version}" == wire.line
    message = page.one("data-exchange", "hook").text
    assert all(f"{name}: {value}" in message for name, value in wire.headers.items())
    assert {"Host", "Content-Length", "Accept", "User-Agent"} <= wire.headers.keys()
    assert wire.line in message
    assert "HTTP/1.0 200 OK" in message  # of that server
    assert "Niet te zien:" in page.text


def test_the_line_for_curl_says_whether_it_can_be_sent_again(at: Sandbox) -> None:
    page = shown(at, CARD)
    sent = last(at).exchanges[0]
    assert page.one("data-repeated").attributes["data-repeated"] == "once"
    line = curl(sent, at.address)
    assert "Authorization: Bearer" in line
    written_by_curl = ("Host:", "Content-Length:", "Accept-Encoding:", "Connection:", "User-Agent:")
    assert [name for name in written_by_curl if name in line] == []

    at.post("/connect", {"own": "yes"})
    page = at.post("/patients/self-care/hook", {"hook": "patient-view"})
    assert page.one("data-repeated").attributes["data-repeated"] == "free"
    assert "Authorization: Bearer" not in curl(last(at).exchanges[0], at.address)


def test_a_service_that_cannot_be_reached_is_asked_again_when_it_is_connected_again(at: Sandbox) -> None:
    told: list[Told] = []
    with foreign({"cards": []}, {"services": "none"}, told=told) as address:
        at.post("/connect", {"address": address})
        asked = len(told)
        page = at.get("")
        at.chart("self-care")
        at.get("")
        assert (asked, len(told)) == (1, 1)
        at.post("/connect", {"address": address})
        assert len(told) == 2

    assert page.one("data-problem").attributes["data-problem"] == "no-services"


def test_a_failure_can_be_left_by_a_button(at: Sandbox) -> None:
    page = at.post("/connect", {"address": f"http://127.0.0.1:{free_port()}"})

    assert page.all("id", "connect-own") != []


# --------------------------------------------------------------------------------------------------- what is compared


def compared(at: Sandbox, *answers: list[Any], query: str = "question=rf-saddle&answer=new") -> Page:
    """The comparison, where the other service gives these cards, one list for each side."""
    left = list(answers)
    with foreign(lambda _: {"cards": left.pop(0)}) as address:
        at.post("/connect", {"address": address})
        return at.get(f"/patients/self-care/compare?{query}")


def changes(page: Page) -> list[str]:
    return [one.attributes["data-change"] for one in page.all("data-change")]


@pytest.mark.parametrize(
    "other",
    [
        {"detail": "now"},
        {"source": {"label": "Somebody else"}},
        {"suggestions": BOTH[:1]},
        {"links": [{"label": "App", "type": "smart", "url": "https://app.example"}]},
        {"overrideReasons": [{"code": "no", "display": "No"}]},
    ],
    ids=lambda other: next(iter(other)),
)
def test_a_card_that_says_something_else_below_its_heading_does_not_stay(at: Sandbox, other: dict[str, Any]) -> None:
    assert changes(compared(at, [CARD], [CARD | other])) == ["altered"]


def test_a_card_that_says_the_same_stays(at: Sandbox) -> None:
    first, second = ({name: value for name, value in CARD.items() if name != "uuid"} for _ in range(2))

    assert changes(compared(at, [first], [second])) == ["same"]


@pytest.mark.parametrize(("sides", "where"), [(([CARD], []), "after"), (([], [CARD]), "before")])
def test_a_card_that_vanishes_reassures_nobody(at: Sandbox, sides: tuple[list[Any], list[Any]], where: str) -> None:
    page = compared(at, *sides)

    assert "geen geruststelling" in page.one("data-no-card").text
    assert page.one("data-no-card").attributes["data-no-card"] == where


def test_the_present_answer_is_shown_and_chosen_beforehand(at: Sandbox, screening: Screening) -> None:
    page = at.get("/patients/self-care/compare?question=rf-saddle")

    present = str(CALM["rf-saddle"])
    assert screening.questions["rf-saddle"].options[present]["nl"] in page.one("id", "present").text
    chosen = [one.attributes["value"] for one in page.elements if "selected" in one.attributes]
    assert chosen == ["rf-saddle", present]


# --------------------------------------------------------------------------------------------------------- the record


@pytest.mark.parametrize("hook", ["order-select", "order-sign", "encounter-start", "problem-list-item-create"])
def test_a_hook_for_staff_names_staff_also_where_a_patient_reads(at: Sandbox, hook: str) -> None:
    at.ehr.order("mine", "imaging")
    fired = at.ehr.fire("mine", hook)

    asked = fired.exchanges[0].request_body
    assert asked is not None
    assert asked["context"]["userId"] == "Practitioner/synthetic-gp"
    assert fired.exchanges[0].status == 200
    assert at.ehr.chart("mine").drafts[0]["requester"] == {"reference": "Practitioner/synthetic-gp"}


def test_a_patient_who_reads_is_the_user_of_patient_view(at: Sandbox) -> None:
    asked = at.ehr.fire("mine", "patient-view").exchanges[0].request_body

    assert asked is not None
    assert asked["context"]["userId"] == "Patient/mine"


def test_the_complaint_is_on_the_list_once_and_not_named_after_the_form(at: Sandbox, screening: Screening) -> None:
    for _ in range(3):
        at.ehr.fire("self-care", "problem-list-item-create")
    (problem,) = at.ehr.chart("self-care").conditions

    known = screening.texts.known_by[0]
    assert problem["code"]["text"] == screening.codes[known.code]["display"]
    assert problem["code"]["text"] != screening.questionnaire["title"]


def test_who_filled_in_the_form_is_said_in_words(at: Sandbox) -> None:
    assert "door de patiënt zelf (Patient/mine)" in at.chart("mine").one("data-response").text
