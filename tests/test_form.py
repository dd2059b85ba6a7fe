"""The form as a page: notice first, nothing preselected, faults at their question, a summary, and two outcomes only."""

import json
import re
from collections.abc import Callable, Iterator, Mapping
from datetime import UTC, datetime, timedelta
from html.parser import HTMLParser
from pathlib import Path
from typing import Any, NoReturn

import pytest
from flask.testing import FlaskClient
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from werkzeug.test import TestResponse

from cds_content.loading import load
from cds_content.screening import Screening
from cds_content.translations import items_of, texts
from cds_service import form
from cds_service.errors import Unavailable
from cds_service.submission import faults
from cds_service.web import visits
from cds_service.web.visits import Visit
from tests.conftest import ROOT, SERVICE, topics
from tests.patients_table import FILLED_IN
from tests.samples import CALM, born, call, patient
from tests.test_second_screening import NECK_ALARM, NECK_CALM, SECOND, content
from tests.wire import serving

FORM = "/form/low-back-pain"
VERSIONS = {one.name: one.canonical for one in load(ROOT)}
FOLLOW_UPS = {"rf-leg-sides": "one", "rf-leg-progress": "no", "rf-fever": "no"}


@pytest.fixture(scope="module", name="web")
def _web(screening: Screening, tmp_path_factory: pytest.TempPathFactory) -> Iterator[FlaskClient]:
    with serving(screening, tmp_path_factory.mktemp("form")) as client:
        client.application.testing = False
        yield client


class Seen(HTMLParser):
    """What stands on a page: its texts in their order, its fields, and what is chosen."""

    def __init__(self, html: str) -> None:
        super().__init__()
        self.texts: list[str] = []
        self.fields: list[dict[str, str]] = []
        self.questions: list[dict[str, str]] = []
        self.feed(html)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        named = {name: value or "" for name, value in attrs}
        if tag == "input":
            self.fields.append(named)
        if "data-question" in named:
            self.questions.append(named)

    def handle_data(self, data: str) -> None:
        self.texts += [data.strip()] if data.strip() else []

    @property
    def shown(self) -> list[str]:
        return [one["data-question"] for one in self.questions if "hidden" not in one]

    @property
    def chosen(self) -> dict[str, str]:
        kept = [one for one in self.fields if "checked" in one or one.get("type") == "hidden"]
        return {one["name"]: one["value"] for one in kept if one["name"] != "questionnaire"}


def post(web: FlaskClient, step: str, answers: Mapping[str, Any], at: str = FORM, language: str = "nl") -> TestResponse:
    """What a browser sends from our page, which names the version of its form."""
    data = {"questionnaire": VERSIONS.get(at.partition("?")[0].split("/")[2], ""), **answers, "step": step}
    return web.post(at, data=data, headers={"Accept-Language": language})


def outcome(answer: TestResponse) -> list[str]:
    assert answer.status_code == 200, answer.text
    return re.findall(r'data-outcome="([a-z]+)"', answer.text)


@pytest.mark.parametrize(("language", "first"), [("nl", "Bel nu je huisarts"), ("en", "Call your GP")])
def test_the_emergency_notice_stands_before_every_question_and_on_the_summary(
    web: FlaskClient, language: str, first: str
) -> None:
    asked = web.get(FORM, headers={"Accept-Language": language}).text
    summed = post(web, "review", CALM, language=language).text

    assert 0 < asked.index(first) < asked.index("data-question")
    assert 0 < summed.index(first) < summed.index("data-answer")


def test_nothing_is_preselected(web: FlaskClient) -> None:
    seen = Seen(web.get(FORM).text)

    assert seen.chosen == {}
    assert [one for one in seen.fields if one.get("inputmode") and one["value"]] == []


@pytest.mark.parametrize("language", ["nl", "en"])
def test_every_question_and_option_of_the_questionnaire_is_there_in_its_words(
    web: FlaskClient, screening: Screening, language: str
) -> None:
    seen = Seen(web.get(FORM, headers={"Accept-Language": language}).text)
    items = list(items_of(screening.questionnaire))
    said = [texts(item, "text", "nl")[language] for item in items]
    options = [(item["linkId"], one["valueCoding"]["code"]) for item in items for one in item.get("answerOption", [])]

    assert [text for text in said if not any(text in shown for shown in seen.texts)] == []
    assert [(one["name"], one["value"]) for one in seen.fields if one.get("type") in ("radio", "checkbox")] == options


def test_a_follow_up_is_asked_again_by_the_server_and_the_answers_stay(web: FlaskClient) -> None:
    answer = post(web, "review", CALM | {"rf-leg": "weakness"})
    seen = Seen(answer.text)

    assert answer.status_code == 422
    assert {"rf-leg-sides", "rf-leg-progress"} <= set(seen.shown)
    assert "rf-fever" not in seen.shown, "nobody feels ill"
    assert seen.chosen == CALM | {"rf-leg": "weakness"}


def test_a_follow_up_that_no_longer_applies_is_not_sent(web: FlaskClient) -> None:
    sent = post(web, "send", CALM | {"rf-leg-sides": "both"})

    assert "rf-leg-sides" not in sent.text
    assert outcome(sent) == ["sent"]


@pytest.mark.parametrize(
    ("answers", "place", "said"),
    [
        ({"rf-saddle": ""}, "rf-saddle", "Kies een antwoord"),
        ({"rf-saddle": "nope"}, "rf-saddle", "hoort niet bij deze vraag"),
        ({"rf-saddle": ["no", "new"]}, "rf-saddle", "Kies één antwoord"),
        ({"rf-other": ["none", "weight-loss"]}, "rf-other", "passen niet bij elkaar"),
        ({"age": "abc"}, "age", "heel getal"),
        ({"age": "121"}, "age", "heel getal"),
        ({"age": "-1"}, "age", "heel getal"),
        ({"age": "٤٠"}, "age", "heel getal"),
    ],
)
@pytest.mark.parametrize("step", ["review", "send"])
def test_a_fault_stands_at_its_question_and_nothing_is_sent(
    web: FlaskClient, answers: dict[str, Any], place: str, said: str, step: str
) -> None:
    answer = post(web, step, CALM | answers)
    named = re.search(rf'id="e-{place}">([^<]*)', answer.text)

    assert answer.status_code == 422
    assert named
    assert said in named[1]
    assert f'href="#q-{place}"' in answer.text
    assert "data-outcome" not in answer.text


def test_each_question_that_must_be_answered_is_named_when_nothing_is(web: FlaskClient, screening: Screening) -> None:
    required = [item["linkId"] for item in items_of(screening.questionnaire) if item.get("required")]
    faulty = re.findall(r'id="e-([a-z-]+)"', post(web, "review", {}).text)

    assert faulty == [name for name in required if name not in FOLLOW_UPS]


def test_the_summary_shows_each_answer_in_words_and_the_way_back(web: FlaskClient) -> None:
    summed = post(web, "review", CALM | {"rf-other": ["weight-loss", "pregnant"], "age": "40"}, language="en")
    said = dict(re.findall(r'data-answer="([a-z-]+)">\s*([^<]*?)\s*<', summed.text))

    assert said["rf-other"] == "I lost weight without trying; I am pregnant"
    assert said["age"] == "40"
    assert said["rf-leg"] == "No"
    assert Seen(post(web, "change:rf-leg", CALM).text).chosen == CALM
    assert re.search(r'id="i-rf-leg-none"[^>]*autofocus', post(web, "change:rf-leg", CALM).text)


def test_the_language_changes_on_the_way_and_the_answers_stay(web: FlaskClient) -> None:
    english = post(web, "language", CALM, at=f"{FORM}?lang=en")
    summary = post(web, "summary-language", CALM, at=f"{FORM}?lang=en")
    web.delete_cookie("lang")

    assert 'lang="en"' in english.text
    assert Seen(english.text).chosen == CALM
    assert "Your answers" in summary.text
    assert Seen(summary.text).chosen.items() >= CALM.items()


@pytest.mark.parametrize("language", ["nl", "en"])
@pytest.mark.parametrize("row", FILLED_IN, ids=[row["reason"] for row in FILLED_IN])
def test_only_an_emergency_is_told_and_in_full(web: FlaskClient, row: dict[str, Any], language: str) -> None:
    sent = post(web, "send", row["answers"], language=language)
    emergency = "emergency-now" in row["cards"]

    assert outcome(sent) == (["emergency"] if emergency else ["sent"])
    if emergency:
        told = Seen(sent.text[sent.text.index("data-outcome") :]).texts
        notice = {"nl": "Bel nu je huisarts of de huisartsenpost.", "en": "Call your GP or out-of-hours GP now."}
        assert any(notice[language] in text for text in told[:4])
        assert 'role="alert"' in sent.text


def test_all_that_is_no_emergency_ends_with_one_and_the_same_page(web: FlaskClient) -> None:
    pages = set()
    for row in FILLED_IN:
        if "emergency-now" not in row["cards"]:
            text = post(web, "send", row["answers"]).text
            pages.add(re.sub(r"<details.*?</details>", "", text, flags=re.S))  # the JSON for developers

    assert len(pages) == 1
    assert "Niemand leest je antwoorden meteen." in pages.pop()


def test_what_is_sent_is_a_response_without_a_fault_and_gives_the_card_of_its_row(
    client: FlaskClient, screening: Screening
) -> None:
    assert len(FILLED_IN) > 40
    for row in FILLED_IN:
        made = _made(screening, row["answers"])
        cards = client.post(SERVICE, json=call(made, patient=patient(age=40))).get_json()["cards"]

        assert faults([screening], made, datetime.now(UTC)) == []
        assert topics(cards) == row["cards"], row["reason"]


def _made(screening: Screening, answers: Mapping[str, Any], language: str = "nl") -> dict[str, Any]:
    sheet = form.sheet(screening, language)
    said = form.read(sheet, [(name, one if isinstance(one, list) else [str(one)]) for name, one in answers.items()])
    who = {"patient": "p1", "user": "Patient/p1", "language": language}
    made = form.response(screening, sheet, said, now=datetime.now(UTC), **who)
    return {"id": "r1", **made}


@settings(max_examples=60, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(data=st.data())
def test_any_answers_without_a_fault_make_a_response_without_a_fault(data: st.DataObject, screening: Screening) -> None:
    sheet = form.sheet(screening, data.draw(st.sampled_from(["nl", "en"])))
    said = {
        entry.link_id: (data.draw(st.sampled_from([one.code for one in entry.options])),)
        for entry in sheet.questions
        if entry.options
    }
    assert form.faults(sheet, said) == {}
    made = _made(screening, {name: codes[0] for name, codes in said.items()})

    assert faults([screening], made, datetime.now(UTC)) == []


def test_an_error_of_ours_shows_the_notice_and_never_silence(web: FlaskClient, monkeypatch: pytest.MonkeyPatch) -> None:
    def fail(*_: Any) -> bool:
        raise RuntimeError

    monkeypatch.setattr(form, "is_emergency", fail)
    assert outcome(post(web, "send", CALM)) == ["emergency"]


@pytest.mark.parametrize(
    ("body", "media", "status"),
    [
        (b"step=review&unknown=1", "application/x-www-form-urlencoded", 409),
        (b"step=nothing", "application/x-www-form-urlencoded", 400),
        (b"", "application/x-www-form-urlencoded", 400),
        (b"{}", "application/json", 415),
        (b"rf-leg=" + b"x" * 70_000, "application/x-www-form-urlencoded", 413),
        (b"step=review&rf-leg=%ff%fe%00", "application/x-www-form-urlencoded", 409),
    ],
)
def test_what_is_no_form_is_refused_in_words(web: FlaskClient, body: bytes, media: str, status: int) -> None:
    answer = web.post(FORM, data=body, content_type=media)

    assert answer.status_code == status
    assert answer.mimetype == "text/html"
    assert "data-outcome" not in answer.text


def test_what_is_typed_stays_text(web: FlaskClient) -> None:
    hostile = '"><script>alert(1)</script>'
    answer = post(web, "review", CALM | {"age": hostile})

    assert "<script>alert" not in answer.text
    assert answer.status_code == 422


def test_in_production_the_form_is_opened_from_the_ehr_only(screening: Screening, tmp_path: Path) -> None:
    with serving(screening, tmp_path, development=False) as client:
        assert client.get(FORM, base_url="http://127.0.0.1:8080").status_code == 403
        assert client.post(FORM, data=CALM, base_url="http://127.0.0.1:8080").status_code == 403
        assert "dossier" in client.get("/form", base_url="http://127.0.0.1:8080").text


def test_a_second_screening_has_its_form_without_python(tmp_path: Path) -> None:
    content(tmp_path, ROOT, SECOND)
    first, second = load(tmp_path)
    with serving(first, tmp_path, screenings=(first, second)) as client:
        listed = client.get("/form").text
        VERSIONS[second.name] = second.canonical
        calm, alarm = (
            outcome(post(client, "send", {name: str(one) for name, one in said.items()}, at="/form/neck-check"))
            for said in (NECK_CALM, NECK_ALARM)
        )

    assert "/form/neck-check" in listed
    assert "/form/low-back-pain" in listed
    assert calm == ["sent"]
    assert alarm == ["emergency"], "its advice.toml: doctor-today is the most urgent, and critical"


def test_the_response_for_developers_is_the_one_that_would_be_sent(web: FlaskClient) -> None:
    sent = post(web, "send", CALM | {"rf-other": ["pregnant", "weight-loss"]}).text
    (shown,) = re.findall(r"<pre[^>]*>(.*?)</pre>", sent, flags=re.S)
    made = json.loads(shown.replace("&#34;", '"').replace("&#39;", "'"))
    others = next(item for item in made["item"] if item["linkId"] == "rf-other")

    assert made["status"] == "completed"
    assert [one["valueCoding"]["code"] for one in others["answer"]] == ["pregnant", "weight-loss"]
    assert "subject" not in made


UNTIL = (datetime.now(UTC) + timedelta(minutes=30)).isoformat()
VISIT = Visit(
    "v1", "low-back-pain", "https://ehr.example/fhir", "p1", "A <b>name</b>", born(40), "Patient/p1", "/back", UNTIL
)
IN_VISIT = f"{FORM}/v1"
EMERGENCY = CALM | {"rf-saddle": "new"}


@pytest.fixture(name="written")
def _written(monkeypatch: pytest.MonkeyPatch) -> list[Any]:
    """A visit, with an EHR that takes what is written. Its launch and its server are tried where they are real."""
    taken: list[Any] = []
    monkeypatch.setattr(visits, "visit", lambda *_: VISIT)
    monkeypatch.setattr(visits, "write", lambda _, __, response: taken.append(response))
    monkeypatch.setattr(visits, "close", lambda *_: None)
    return taken


def _raising(error: Exception) -> Callable[..., NoReturn]:
    def fail(*_: Any) -> NoReturn:
        raise error

    return fail


def test_in_a_visit_the_age_is_filled_in_from_the_record_and_the_name_is_text(
    web: FlaskClient, written: list[Any]
) -> None:
    asked = web.get(IN_VISIT).text
    (age,) = [one for one in Seen(asked).fields if one.get("name") == "age"]

    assert age["value"] == "40"
    assert "A &lt;b&gt;name&lt;/b&gt;" in asked
    assert written == []


def test_in_a_visit_the_response_is_about_its_patient_and_by_its_user(web: FlaskClient, written: list[Any]) -> None:
    sent = post(web, "send", CALM | {"age": "40"}, at=IN_VISIT)
    (made,) = written

    assert outcome(sent) == ["sent"]
    assert made["subject"] == made["author"] == {"reference": "Patient/p1"}
    assert 'href="/back"' in sent.text
    assert "QuestionnaireResponse" not in sent.text, "what was sent is for the record only"


@pytest.mark.parametrize("error", [Unavailable("The record does not answer."), RuntimeError("answers")])
def test_what_could_not_be_written_can_be_sent_again_and_an_emergency_is_named_first(
    web: FlaskClient, written: list[Any], monkeypatch: pytest.MonkeyPatch, error: Exception
) -> None:
    monkeypatch.setattr(visits, "write", _raising(error))
    calm, urgent = post(web, "send", CALM, at=IN_VISIT), post(web, "send", EMERGENCY, at=IN_VISIT)

    assert (calm.status_code, urgent.status_code) == (503, 503)
    assert "data-outcome" not in calm.text
    assert urgent.text.index('data-outcome="emergency"') < urgent.text.index("<h1")
    assert Seen(urgent.text).chosen.items() >= EMERGENCY.items()
    assert "answers</" not in urgent.text
    assert written == []


def test_what_was_written_counts_as_sent_although_the_visit_could_not_be_closed(
    web: FlaskClient, written: list[Any], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(visits, "close", _raising(Unavailable("database")))
    assert outcome(post(web, "send", EMERGENCY, at=IN_VISIT)) == ["emergency"]
    assert outcome(post(web, "send", CALM, at=IN_VISIT)) == ["sent"]
    assert len(written) == 2


@pytest.mark.parametrize("step", ["review", "send", "change:rf-leg", "language"])
@pytest.mark.parametrize("answers", [EMERGENCY, {"rf-saddle": "new"}, EMERGENCY | {"rf-leg": "nope", "age": "x"}])
def test_an_emergency_is_named_although_the_visit_is_over(web: FlaskClient, step: str, answers: dict[str, str]) -> None:
    answer = post(web, step, answers, at=IN_VISIT)

    assert answer.status_code == 404
    assert answer.text.index('data-outcome="emergency"') < answer.text.index("<h1")
    assert "niet verstuurd" in answer.text


def test_a_visit_that_is_over_says_that_nothing_was_sent_and_nothing_about_alarms(web: FlaskClient) -> None:
    answer = post(web, "send", CALM, at=IN_VISIT)

    assert answer.status_code == 404
    assert "data-outcome" not in answer.text
    assert "Bel nu je huisarts" in answer.text
    assert web.get(IN_VISIT).status_code == 404
