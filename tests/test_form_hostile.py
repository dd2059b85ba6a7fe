"""The form when all goes wrong: the emergency notice stands first, nothing typed is lost, nothing is said falsely.

The service, its database and the EHR are real; the EHR is a process of its own. Sources: HL7 FHIR R4, "create"; SMART
App Launch 2.2; RFC 9207; W3C Referrer Policy.
"""

import re
from collections.abc import Iterator, Mapping
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack, contextmanager
from typing import Any
from urllib.parse import unquote

import pytest
import requests
from sqlalchemy import text
from werkzeug.test import TestResponse

from cds_service.partners import CALLS, place
from tests.samples import CALM
from tests.test_form import EMERGENCY, Seen
from tests.test_smart_launch import FORM, PUBLIC, Opened, OpenEhr
from tests.test_smart_launch import _opened as opened_  # noqa: F401 - the fixture "opened"

pytestmark = pytest.mark.timeless

NOTICE = "Bel nu je huisarts"
FALSE = ("Er is niets verstuurd", "zijn niet verstuurd,")


def visit(both: Opened) -> str:
    """The address of a visit that this browser began."""
    answer = both.returned(both.launch())
    assert answer.status_code == 303, answer.text
    return str(answer.location)


def press(both: Opened, path: str, step: str, answers: Mapping[str, Any], **more: Any) -> TestResponse:
    data = {"questionnaire": FORM, **answers, "step": step}
    return both.browser.post(path, base_url=PUBLIC, **({"data": data} | more))


def stored(both: Opened) -> list[dict[str, Any]]:
    found: list[dict[str, Any]] = requests.get(f"{both.ehr}/stored", timeout=60).json()
    return found


def is_named_first(answer: TestResponse) -> bool:
    """Whether an emergency is told before anything else on the page."""
    return 0 < answer.text.find('data-outcome="emergency"') < answer.text.index("<h1")


def has_answers(answer: TestResponse, given: Mapping[str, str]) -> bool:
    return Seen(answer.text).chosen.items() >= given.items()


@contextmanager
def without_database(both: Opened) -> Iterator[None]:
    """The table of the visits cannot be read."""
    with both.service.store.begin() as connection:
        connection.execute(text("ALTER TABLE visits RENAME TO elsewhere"))
    yield
    with both.service.store.begin() as connection:
        connection.execute(text("ALTER TABLE elsewhere RENAME TO visits"))


# -------------------------------------------------------------------------------------------------- the visit has ended


@pytest.mark.parametrize("method", ["GET", "POST"])
def test_who_comes_back_after_sending_is_told_that_it_was_sent_and_sees_the_notice_first(
    opened: OpenEhr, method: str
) -> None:
    both = opened()
    path = visit(both)
    press(both, path, "send", EMERGENCY)
    again = both.browser.get(path, base_url=PUBLIC) if method == "GET" else press(both, path, "send", EMERGENCY)

    assert again.status_code == 404
    assert "al verstuurd" in again.text
    assert 0 < again.text.index(NOTICE) < again.text.index("<h1")
    assert is_named_first(again) is (method == "POST"), "only these answers tell of an emergency"
    assert [one for one in FALSE if one in again.text] == []
    assert len(stored(both)) == 1


def test_a_visit_that_ended_shows_what_was_typed_and_never_says_that_nothing_was_sent(opened: OpenEhr) -> None:
    both = opened()
    path = visit(both)
    with both.service.store.begin() as connection:
        connection.execute(text("DELETE FROM visits"))
    over = press(both, path, "review", EMERGENCY | {"age": "41"})

    assert over.status_code == 404
    assert is_named_first(over)
    assert "Had je je antwoorden nog niet verstuurd?" in over.text
    assert re.search(r'data-answer="age">\s*41\s*<', over.text)
    assert both.browser.get(path, base_url=PUBLIC).text.index(NOTICE) > 0


def test_the_page_says_for_how_long_the_visit_is_open(opened: OpenEhr) -> None:
    both = opened()
    asked = both.browser.get(visit(both), base_url=PUBLIC).text

    assert re.search(r'id="minutes">9<', asked), "the token lives 600 seconds, and some have passed"


# ---------------------------------------------------------------------------------------------------- what we cannot do


@pytest.mark.parametrize("step", ["review", "send", "change:rf-leg", "language"])
def test_a_database_that_is_gone_loses_no_answer_and_ends_no_visit(opened: OpenEhr, step: str) -> None:
    both = opened()
    path = visit(both)
    with without_database(both):
        urgent, calm = press(both, path, step, EMERGENCY), press(both, path, step, CALM)
        looked = both.browser.get(path, base_url=PUBLIC)

    assert (urgent.status_code, calm.status_code, looked.status_code) == (503, 503, 503)
    assert is_named_first(urgent)
    assert has_answers(urgent, EMERGENCY)
    assert has_answers(calm, CALM)
    assert NOTICE in looked.text
    assert "voorbij" not in calm.text + looked.text
    assert press(both, path, "send", CALM).status_code == 200


def test_a_fault_of_ours_is_told_in_words_with_the_notice_and_the_answers(
    opened: OpenEhr, monkeypatch: pytest.MonkeyPatch
) -> None:
    both = opened()
    both.app.testing = False
    path = visit(both)

    def fail(*_: Any) -> None:
        raise RuntimeError("rf-saddle=new")

    monkeypatch.setattr("cds_service.web.visits.visit", fail)
    answer = press(both, path, "send", EMERGENCY)

    assert answer.status_code == 500
    assert is_named_first(answer)
    assert 'data-answer="rf-saddle"' in answer.text
    assert "rf-saddle=new" not in answer.text
    assert both.browser.get(path, base_url=PUBLIC).text.index(NOTICE) > 0


def test_an_ehr_whose_places_are_all_taken_is_not_waited_for(opened: OpenEhr) -> None:
    both = opened()
    path = visit(both)
    with ExitStack() as taken:
        for _ in range(CALLS):
            taken.enter_context(place(f"{both.ehr}/fhir"))
        answer = press(both, path, "send", EMERGENCY)

    assert answer.status_code == 503
    assert is_named_first(answer)
    assert has_answers(answer, EMERGENCY)
    assert stored(both) == []


# ------------------------------------------------------------------------------------------------------ what is refused


@pytest.mark.parametrize(
    ("more", "status"),
    [
        ({"step": "nothing"}, 400),
        ({"step": ""}, 400),
        ({"unknown": "1", "step": "send"}, 422),
        ({"questionnaire": f"{FORM}-older", "step": "send"}, 409),
        ({"questionnaire": "", "step": "send"}, 409),
        ({"step": "send", "zz": "1" * 70_000}, 413),
    ],
    ids=["unknown step", "no step", "unknown field", "another version", "no version", "too large"],
)
@pytest.mark.parametrize("ended", [False, True], ids=["open", "ended"])
def test_what_is_not_taken_keeps_the_answers_and_names_an_emergency_first(
    opened: OpenEhr, more: dict[str, str], status: int, ended: bool
) -> None:
    both = opened()
    path = visit(both)
    if ended:
        both.browser = both.app.test_client()
    answer = press(both, path, "", {}, data={"questionnaire": FORM, **EMERGENCY, **more})

    assert answer.status_code == (404 if ended else status)
    assert is_named_first(answer)
    assert stored(both) == []
    if ended:
        assert 'data-answer="rf-saddle"' in answer.text
    else:
        assert has_answers(answer, EMERGENCY)
        assert 'role="alert">' in answer.text.partition("<h1")[2]


def test_what_is_no_form_gives_the_questions_and_the_notice(opened: OpenEhr) -> None:
    both = opened()
    answer = press(both, visit(both), "", {}, data=b"{}", content_type="application/json")

    assert answer.status_code == 415
    assert NOTICE in answer.text
    assert Seen(answer.text).shown


def test_another_site_that_sends_the_form_gets_the_notice_in_the_language_of_the_page(opened: OpenEhr) -> None:
    both = opened()
    path = visit(both)
    answer = press(both, path, "send", EMERGENCY, headers={"Origin": "null"})

    assert answer.status_code == 403
    assert is_named_first(answer)
    assert "Een andere site stuurde dit" in answer.text
    assert stored(both) == []


def test_a_refused_launch_is_told_in_the_language_of_the_page_without_a_link_that_forgets_it(opened: OpenEhr) -> None:
    refused = opened().launch(iss="https://other.example/fhir")

    assert '<p lang="nl"><code>403</code> Dit EPD is niet bekend' in refused.text
    assert "?lang=en" not in refused.text
    assert refused.headers["Referrer-Policy"] == "no-referrer"


def test_a_page_says_where_its_form_comes_from_to_this_service_only(opened: OpenEhr) -> None:
    both = opened()
    assert both.browser.get(visit(both), base_url=PUBLIC).headers["Referrer-Policy"] == "same-origin"
    assert both.browser.get("/cds-services", base_url=PUBLIC).headers["Referrer-Policy"] == "no-referrer"


def test_what_only_the_head_of_is_asked_is_no_answer(opened: OpenEhr) -> None:
    both = opened()
    path = visit(both)

    assert both.browser.head(path, base_url=PUBLIC).status_code == 200
    assert both.browser.head("/form/low-back-pain", base_url=PUBLIC).status_code == 200


# ------------------------------------------------------------------------------------------------------------ sent once


def test_two_presses_at_once_write_once(opened: OpenEhr) -> None:
    both = opened("slow-write")
    path = visit(both)
    cookies = "; ".join(f"{one.key}={one.value}" for one in both.cookies() if one.path == path)

    def send(answers: Mapping[str, str]) -> TestResponse:
        browser = both.app.test_client(use_cookies=False)
        data = {"questionnaire": FORM, **answers, "step": "send"}
        return browser.post(path, base_url=PUBLIC, data=data, headers={"Cookie": cookies})

    with ThreadPoolExecutor(2) as threads:
        answers = list(threads.map(send, [EMERGENCY, EMERGENCY]))

    assert sorted(one.status_code for one in answers) == [200, 503]
    assert all(is_named_first(one) for one in answers)
    assert len(stored(both)) == 1
    assert "al verstuurd" in send(EMERGENCY).text


def test_what_failed_can_be_sent_again(opened: OpenEhr) -> None:
    both = opened("error-on-write")
    path = visit(both)

    assert [press(both, path, "send", CALM).status_code for _ in range(2)] == [503, 503]
    assert len(requests.get(f"{both.ehr}/writes", timeout=60).json()) == 2


def test_the_same_answers_have_the_same_identifier_and_others_another(opened: OpenEhr) -> None:
    both = opened("searchable")
    path = visit(both)
    press(both, path, "send", EMERGENCY)
    (written,), (headers,) = stored(both), requests.get(f"{both.ehr}/writes", timeout=60).json()
    named = written["identifier"]

    assert named["system"] == f"{FORM.partition('|')[0]}/visit"
    assert named["value"].startswith(f"{path.rpartition('/')[2]}.")
    assert unquote(headers["if-none-exist"]) == f"identifier={named['system']}|{named['value']}"
    assert headers["prefer"] == "return=minimal"


def test_changed_answers_are_never_taken_for_those_that_are_there(opened: OpenEhr) -> None:
    both = opened("searchable-error")
    path = visit(both)
    for answers in (CALM, CALM, EMERGENCY):
        press(both, path, "send", answers)
    first, again, changed = [one["if-none-exist"] for one in requests.get(f"{both.ehr}/writes", timeout=60).json()]

    assert first == again != changed


def test_who_may_not_search_does_not_ask_what_is_there(opened: OpenEhr) -> None:
    both = opened()
    press(both, visit(both), "send", CALM)

    assert "if-none-exist" not in requests.get(f"{both.ehr}/writes", timeout=60).json()[0]


@pytest.mark.parametrize(("fault", "outcome_"), [("remark-on-write", 200), ("error-with-201", 503)])
def test_remarks_beside_the_address_of_what_was_stored_are_no_failure(
    opened: OpenEhr, fault: str, outcome_: int
) -> None:
    both = opened(fault)
    assert press(both, visit(both), "send", CALM).status_code == outcome_


# ----------------------------------------------------------------------------------------------------------- the launch


@pytest.mark.parametrize(
    ("fault", "status"),
    [("own-iss", 303), ("other-iss", 403), ("no-iss", 403), ("short-lived", 403), ("lives-two-minutes", 303)],
)
def test_only_the_answer_of_the_server_that_was_asked_begins_a_visit(opened: OpenEhr, fault: str, status: int) -> None:
    both = opened(fault)
    assert both.returned(both.launch()).status_code == status


def test_an_answer_comes_back_to_the_address_of_its_own_client_only(opened: OpenEhr) -> None:
    both = opened()
    begun = both.launch()
    back = requests.get(begun.location, allow_redirects=False, timeout=60).headers["Location"].removeprefix(PUBLIC)
    (own,) = both.cookies()
    for path in ("/form/callback", "/form/callback/development"):
        both.browser.set_cookie(own.key, own.value, domain=own.domain, path=path)
        wrong = both.browser.get(back.replace("/form/callback/hospital", path), base_url=PUBLIC)
        assert wrong.status_code == 403, path
    assert both.browser.get(back, base_url=PUBLIC).status_code == 303


def test_an_odd_token_is_refused_in_words(opened: OpenEhr) -> None:
    both = opened("odd-expiry")
    both.app.testing = False
    refused = both.returned(both.launch())

    assert refused.status_code == 503
    assert "niet te gebruiken" in refused.text


def test_the_cookie_of_a_launch_goes_as_it_came(opened: OpenEhr) -> None:
    both = opened()
    back = both.returned(both.launch())
    (gone,) = [one for one in back.headers.getlist("Set-Cookie") if one.startswith("launch-")]

    assert {"HttpOnly", "SameSite=Lax", "Max-Age=0", "Path=/form/callback/hospital"} <= set(gone.split("; "))


# ---------------------------------------------------------------------------------------------- what a reader perceives


def test_another_language_keeps_the_faults_and_the_failed_send(opened: OpenEhr) -> None:
    both = opened("error-on-write")
    path = visit(both)
    for answers, step in ((CALM, "send"), ({"rf-saddle": "no"}, "review")):
        first = press(both, path, step, answers)
        (button,) = re.findall(r'formaction="([^"]+)"[^>]*value="([^"]+)" lang="en"', first.text)
        again = press(both, button[0], button[1], answers)

        assert again.status_code == first.status_code
        assert 'lang="en"' in again.text
        assert 'role="alert"' in again.text
        both.browser.delete_cookie("lang", domain="127.0.0.1")


def test_the_title_and_the_inputs_say_what_is_wrong(opened: OpenEhr) -> None:
    both = opened("error-on-write")
    path = visit(both)
    faulty, failed = press(both, path, "review", {}), press(both, path, "send", EMERGENCY)

    assert "<title>Nog nakijken" in faulty.text
    assert re.search(r'name="rf-saddle"[^>]*aria-invalid="true"', faulty.text)
    assert re.search(r"<title>[^<]*Niet gelukt", failed.text)


def test_the_first_button_of_the_form_is_not_one_that_changes_the_language(opened: OpenEhr) -> None:
    both = opened()
    asked = both.browser.get(visit(both), base_url=PUBLIC).text
    buttons = re.findall(r'<button[^>]*name="step" value="([^"]+)"', asked)

    assert buttons[0] == "review"
