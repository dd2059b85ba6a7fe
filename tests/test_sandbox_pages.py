"""The pages of the mini-EHR: who has never seen CDS Hooks finds a patient, sees the card, and every message of it."""

from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import pytest

from cds_content.loading import load
from cds_content.screening import Screening
from tests.conftest import ROOT
from tests.pages_sandbox import Page, Sandbox, foreign, person, sandbox
from tests.samples import CALM, patient, response
from tests.test_second_screening import SECOND, content
from tests.wire import serving

NUMB = CALM | {"rf-saddle": "new"}  # row R02 of the decision table: a doctor today
NEW = person("new", "start", about=patient(name=[{"text": "Anna Nieuw"}]))
SELF_CARE = person("self-care", "row", response(CALM), about=patient(), topic="self-care")
URGENT = person("urgent", "row", response(NUMB), about=patient(), topic="emergency-now")
NAMELESS = person("nameless", "trap", about=patient())
TRAP = person("trap", "trap", response(CALM, status="in-progress"))
_SIGNED = person("signing", "row", response(NUMB))
SIGNING = replace(_SIGNED, request={**_SIGNED.request, "hook": "order-sign"})
SMART = {"label": "App", "type": "smart", "url": "https://app.example/start?x=1", "appContext": "here"}
CARD = {"uuid": "card-1", "summary": "Another card", "indicator": "warning", "source": {"label": "Another service"}}


@pytest.fixture(scope="module", name="served")
def _served(screening: Screening, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Sandbox]:
    with sandbox(
        (screening,), tmp_path_factory.mktemp("sandbox"), (NEW, SELF_CARE, URGENT, SIGNING, TRAP, NAMELESS)
    ) as one:
        yield one


@pytest.fixture(name="at")
def _at(served: Sandbox) -> Sandbox:
    """The sandbox as it is at start, in the language of the browser."""
    served.session.cookies.clear()
    served.post("/reset")
    served.post("/connect", {"own": "yes"})
    return served


def topics(page: Page) -> list[str]:
    return [card.attributes["data-topic"] for card in page.all("data-card")]


def card_of(page: Page) -> str:
    return page.one("data-card").attributes["data-card"]


def what(page: Page) -> list[str]:
    return [one.attributes["data-exchange"] for one in page.all("data-exchange")]


# ------------------------------------------------------------------------------------------------- the first page


def test_the_first_page_leads_a_newcomer_to_a_patient_without_a_form(at: Sandbox) -> None:
    page = at.get("")

    assert page.one("id", "newcomer").attributes["href"] == "/sandbox/patients/new"
    assert "Begin met Anna Nieuw" in page.text
    assert page.html.index('id="newcomer"') < page.html.index("data-patient")


def test_the_first_page_lists_every_patient_with_what_it_shows(at: Sandbox) -> None:
    page = at.get("")

    shown = {one.attributes["data-patient"]: one.attributes["href"] for one in page.all("data-patient")}
    assert shown == {
        name: f"/sandbox/patients/{name}" for name in ("new", "self-care", "urgent", "signing", "trap", "nameless")
    }
    assert all(f"Titel van {name}" in page.text and f"Reden van {name}" in page.text for name in shown)


def test_patients_stand_under_the_advice_that_is_expected_for_them(at: Sandbox) -> None:
    headings = [one.text for one in at.get("").elements if one.tag == "h3"]

    assert headings[0] == "Nog geen vragenlijst ingevuld"
    assert "Verwacht advies: Vandaag met spoed een arts" in headings
    assert headings[-1] == "Valkuilen: hier is iets mis met de gegevens"


def test_the_first_page_speaks_english_too(at: Sandbox) -> None:
    page = at.get("?lang=en")

    assert page.elements[0].attributes["lang"] == "en"
    assert "Choose a patient." in page.text
    assert "Reason of urgent" in page.text


def test_the_services_of_the_cds_service_in_use_are_listed(at: Sandbox, screening: Screening) -> None:
    text = at.get("").text

    assert [id_ for id_ in screening.services if id_ not in text] == []


def test_a_service_that_cannot_be_reached_is_a_problem_not_an_empty_list(at: Sandbox) -> None:
    page = at.post("/connect", {"address": "http://127.0.0.1:1"})

    assert page.one("data-problem").attributes["data-problem"] in ("unreachable", "unanswered")
    assert "Deze dienst biedt niets aan" not in page.text


def test_what_is_no_address_of_a_service_is_refused(at: Sandbox) -> None:
    assert at.post("/connect", {"address": "file:///etc/passwd"}).status == 400


def test_another_service_gives_the_cards_once_it_is_connected(at: Sandbox) -> None:
    with foreign({"cards": [CARD]}) as address:
        at.post("/connect", {"address": address})
        page = at.chart("self-care")

    assert "Another card" in page.text
    assert topics(page) == [""]


# ---------------------------------------------------------------------------------------------------- the record


def test_to_open_a_record_asks_the_service_once(at: Sandbox) -> None:
    first, again = at.chart("urgent"), at.chart("urgent")

    assert what(first) == ["hook"]
    assert card_of(again) == card_of(first)


def test_a_new_response_changes_the_card_when_the_record_is_opened_again(at: Sandbox) -> None:
    before = topics(at.chart("new"))
    at.ehr.records.put("new", response(NUMB, subject={"reference": "Patient/new"}))

    assert (before, topics(at.chart("new"))) == ([], ["emergency-now"])


def test_a_step_stays_in_sight_when_the_record_is_loaded_again(at: Sandbox) -> None:
    at.chart("urgent")
    shown = at.post("/patients/urgent/hook", {"hook": "encounter-start"})

    assert card_of(at.chart("urgent")) == card_of(shown)


def test_what_is_broken_shows_when_the_record_is_opened_again(at: Sandbox) -> None:
    at.chart("urgent")
    at.post("/switches", {"on": ["null-prefetch"]})

    assert "Met opzet stuk:" in at.chart("urgent").text
    assert topics(at.chart("urgent")) != ["emergency-now"]


def test_the_card_says_its_urgency_in_a_word(at: Sandbox) -> None:
    page = at.chart("urgent")

    card = page.one("data-card")
    assert (card.attributes["data-indicator"], card.attributes["data-topic"]) == ("critical", "emergency-now")
    assert card.text.split()[0] == "Dringend"
    assert "[R02]" in card.text


def test_the_record_says_who_it_is_and_that_the_patient_is_made_up(at: Sandbox) -> None:
    text = at.chart("new").text

    assert "Anna Nieuw" in text
    assert "40 jaar" in text
    assert "Verzonnen patiënt" in text


def test_who_has_no_name_is_called_by_their_id(at: Sandbox) -> None:
    (heading,) = (one for one in at.chart("nameless").elements if one.tag == "h1")

    assert heading.text.split() == ["nameless", "Verzonnen", "patiënt"]


def test_no_card_is_said_plainly_and_reassures_nobody(at: Sandbox) -> None:
    page = at.chart("new")

    assert "Geen kaart." in page.one("data-no-card").text
    assert "geen geruststelling" in page.one("data-no-card").text
    assert page.all("data-problem") == []


def test_a_refusal_of_the_service_is_a_problem_never_no_card(at: Sandbox) -> None:
    at.post("/switches", {"on": ["wrong-token"]})
    page = at.chart("new")

    assert page.one("data-problem").attributes["data-problem"] == "status-401"
    assert page.all("data-no-card") == []
    assert page.all("data-card") == []


def test_an_answer_that_is_no_hook_response_is_a_problem(at: Sandbox) -> None:
    with foreign(["no", "cards"]) as address:
        at.post("/connect", {"address": address})
        page = at.chart("new")

    assert page.one("data-problem").attributes["data-problem"] == "no-json"
    assert page.all("data-no-card") == []


def test_a_patient_that_there_is_not_gives_a_page_with_404(at: Sandbox) -> None:
    page = at.chart("nobody")

    assert page.status == 404
    assert "Dat ging niet" in page.text


def test_a_response_can_be_taken_off_the_record(at: Sandbox) -> None:
    response_id = at.chart("urgent").one("data-response").attributes["data-response"]
    page = at.post("/patients/urgent/remove", {"response": response_id})

    assert page.all("data-response") == []
    assert "Nog geen vragenlijst ingevuld." in page.text


# ------------------------------------------------------------------------------------------------------- the steps


@pytest.mark.parametrize("hook", ["patient-view", "encounter-start", "problem-list-item-create"])
def test_a_button_fires_its_hook(at: Sandbox, hook: str) -> None:
    page = at.post("/patients/urgent/hook", {"hook": hook})

    assert page.one("data-hook", hook).tag == "button"
    assert f"Na: {hook} →" in " ".join(page.text.split())
    assert what(page)[0] == "hook"


def test_a_button_sends_the_response_in_hand(at: Sandbox) -> None:
    (hook,) = (
        one.attributes["data-hook"] for one in at.chart("urgent").all("data-hook") if "." in one.attributes["data-hook"]
    )

    assert topics(at.post("/patients/urgent/hook", {"hook": hook})) == ["emergency-now"]


def test_a_hook_that_no_button_offers_is_refused(at: Sandbox) -> None:
    assert at.post("/patients/urgent/hook", {"hook": "made-up"}).status == 400


def test_an_order_is_a_draft_until_it_is_signed(at: Sandbox) -> None:
    kinds = [one.attributes["data-order"] for one in at.chart("urgent").all("data-order")]
    ordered = at.post("/patients/urgent/order", {"kind": kinds[0]})
    signed = at.post("/patients/urgent/sign")

    assert "Na: order-select" in " ".join(ordered.text.split())
    assert "emergency-now" in topics(ordered) or ordered.one("data-card").attributes["data-indicator"] == "critical"
    assert ordered.one("data-hook", "order-sign")
    assert "Na: order-sign" in " ".join(signed.text.split())
    assert signed.all("data-hook", "order-sign") == []
    assert [one.text.split(":")[-1].split(",")[0].strip() for one in signed.all("data-on-record", "ServiceRequest")]


def test_an_example_of_another_moment_names_that_moment(at: Sandbox) -> None:
    assert at.chart("urgent").all("id", "moment") == []
    assert "order-sign" in at.chart("signing").one("id", "moment").text


def test_an_appointment_is_booked(at: Sandbox) -> None:
    kind = at.chart("urgent").all("data-book")[0].attributes["data-book"]
    page = at.post("/patients/urgent/book", {"kind": kind})

    assert "Na: appointment-book" in " ".join(page.text.split())
    assert page.one("data-on-record", "Appointment")


def test_cards_come_in_the_language_of_the_page(at: Sandbox) -> None:
    at.chart("urgent")
    page = at.get("/patients/urgent?lang=en")

    assert page.one("data-card").attributes["lang"] == "en"
    assert page.one("data-card").text.split()[0] == "Urgent"


# ----------------------------------------------------------------------------------------------------- the answers


def test_what_is_accepted_is_on_record_and_the_service_hears_of_it(at: Sandbox) -> None:
    page = at.chart("urgent")
    values = {"card": card_of(page), "suggestion": page.all("data-suggestion")[0].attributes["data-suggestion"]}
    after = at.post("/patients/urgent/accept", values)

    assert after.one("data-heeded").attributes["data-heeded"] == "accepted"
    assert after.all("data-suggestion") == []
    assert after.all("data-on-record", "ServiceRequest") != []
    assert what(after) == ["hook", "feedback"]
    assert at.post("/patients/urgent/accept", values).status == 404


def test_a_card_is_dismissed_with_a_reason_that_the_card_offers(at: Sandbox, screening: Screening) -> None:
    page = at.chart("urgent")
    values = {"card": card_of(page), "reason": "1", "comment": "Gebeld"}
    after = at.post("/patients/urgent/dismiss", values)

    assert after.one("data-heeded").attributes["data-heeded"] == "overridden"
    feedback = after.one("data-exchange", "feedback").text
    assert '"outcome": "overridden"' in feedback
    assert f'"code": "{screening.texts.override_reasons[1]}"' in feedback
    assert '"userComment": "Gebeld"' in feedback


def test_a_reason_that_the_card_does_not_offer_is_refused(at: Sandbox) -> None:
    values = {"card": card_of(at.chart("urgent")), "reason": "99"}

    assert at.post("/patients/urgent/dismiss", values).status == 400


def test_the_form_is_opened_by_a_smart_launch(at: Sandbox) -> None:
    link = at.chart("new").one("id", "fill-in").attributes["href"]
    status, where = at.led(link.removeprefix("/sandbox"))

    assert status == 303
    assert where.startswith(f"{at.address}/form/launch?")
    assert "launch=" in where
    assert "iss=" in where


def test_a_link_of_a_card_that_starts_an_app_is_opened_by_its_place(at: Sandbox) -> None:
    with foreign({"cards": [CARD | {"links": [SMART, SMART | {"type": "absolute"}]}]}) as address:
        at.post("/connect", {"address": address})
        link = at.chart("new").one("data-launch").attributes["href"].removeprefix("/sandbox")

    status, where = at.led(link)
    assert (status, where.startswith("https://app.example/start?x=1&")) == (303, True)
    assert at.led(link.removesuffix("0") + "1")[0] == 404
    assert at.led(link.removesuffix("0") + "7")[0] == 404
    assert at.led("/patients/new/launch?card=another-card&link=0&url=https://evil.example")[0] == 404
    assert at.led("/patients/new/launch")[0] == 404


# ---------------------------------------------------------------------------------------------------- the messages


def test_each_message_is_there_as_it_was_sent(at: Sandbox) -> None:
    message = at.chart("urgent").one("data-exchange", "hook")

    assert f"POST {at.address}/cds-services/low-back-pain-patient-view" in message.text
    assert message.attributes["data-status"] == "200"
    assert '"hook": "patient-view"' in message.text
    assert f'"iss": "{at.address}/sandbox"' in message.text
    assert f'"aud": "{at.address}/cds-services/low-back-pain-patient-view"' in message.text
    assert '"cards": [' in message.text
    assert "curl -i -X POST" in message.text


def test_what_the_service_reads_in_the_record_is_there_too(at: Sandbox) -> None:
    at.post("/switches", {"on": ["no-prefetch"]})
    page = at.chart("urgent")

    assert set(what(page)) == {"hook", "fhir"}
    assert topics(page) == ["emergency-now"]


# ------------------------------------------------------------------------------------------------------- comparing


def test_another_answer_shows_which_findings_and_cards_change(at: Sandbox) -> None:
    before = at.chart("self-care").all("data-response")
    page = at.get("/patients/self-care/compare?question=rf-saddle&answer=new")

    changes = [(one.attributes["data-change"], one.text.split()[0]) for one in page.all("data-change")]
    assert changes == [("gone", "R40"), ("new", "R02"), ("gone", "Informatie:"), ("new", "Dringend:")]
    assert len(at.chart("self-care").all("data-response")) == len(before)
    assert topics(at.post("/patients/self-care/hook", {"hook": "patient-view"})) == ["self-care"]


def test_a_question_left_open_is_compared_as_not_known(at: Sandbox) -> None:
    page = at.get("/patients/self-care/compare?question=rf-saddle&answer=")

    assert ("new", "R00") in [(one.attributes["data-change"], one.text.split()[0]) for one in page.all("data-change")]


def test_a_comparison_that_the_service_refuses_shows_the_problem(at: Sandbox) -> None:
    with foreign("nothing") as address:
        at.post("/connect", {"address": address})
        page = at.get("/patients/self-care/compare?question=rf-saddle&answer=new")

    assert len(page.all("data-problem", "no-json")) == 2
    assert page.all("data-change") == []


@pytest.mark.parametrize("query", ["question=made-up", "question=rf-saddle&answer=made-up", "answer=new"])
def test_what_is_not_on_the_form_is_not_compared(at: Sandbox, query: str) -> None:
    assert at.get(f"/patients/self-care/compare?{query}").status == 400


def test_without_a_response_there_is_nothing_to_compare(at: Sandbox) -> None:
    assert "Vul die eerst in." in at.get("/patients/new/compare").text


# ------------------------------------------------------------------------------------------------- who may use them


def test_another_site_changes_nothing_here(at: Sandbox) -> None:
    page = at.post("/patients/urgent/order", {"kind": "lumbar-mri"}, Sec_Fetch_Site="cross-site")

    assert page.status == 403


@pytest.mark.parametrize("path", ["", "/patients/new", "/patients/new/compare"])
def test_there_is_no_sandbox_in_production(screening: Screening, tmp_path: Path, path: str) -> None:
    with serving(screening, tmp_path, development=False) as client:
        assert client.get(f"/sandbox{path}").status_code == 404


def test_any_screening_has_its_form_in_the_record(tmp_path: Path) -> None:
    both = load(content(tmp_path, ROOT, SECOND))
    with sandbox(both, tmp_path, (NEW, SELF_CARE)) as at:
        shown = [one.attributes["data-screening"] for one in at.chart("new").all("data-screening")]
        compared = at.get("/patients/self-care/compare?question=rf-saddle&answer=new")

    assert shown == ["low-back-pain", "neck-check"]
    assert compared.all("data-change", "new") != []
