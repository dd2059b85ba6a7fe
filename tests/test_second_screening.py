"""A second screening needs content only: a tiny one works over HTTP, alone and beside the first."""

import os
import shutil
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
from flask.testing import FlaskClient

from cds_content.files import ContentError
from cds_content.loading import load
from cds_service.store import open_store
from cds_service.web import Deployment, create_app
from tests.conftest import ROOT, topics
from tests.samples import BASE, CALM, call, item, patient, response

SECOND = Path(__file__).parent / "second_screening"
BACK, NECK = "low-back-pain-patient-view", "neck-check-patient-view"
NECK_CALM: dict[str, str | int] = {"np-present": "yes", "np-arm": "no", "np-trend": "less"}
NECK_ALARM = NECK_CALM | {"np-arm": "yes", "np-hand": "no"}
BACK_ALARM = CALM | {"rf-saddle": "new"}
NECK_PAIN, BACK_PAIN = "81680005", "279039007"


@pytest.fixture(scope="module", name="alone")
def _alone(tmp_path_factory: pytest.TempPathFactory) -> FlaskClient:
    """The service with the second screening only."""
    return serve(content(tmp_path_factory.mktemp("alone"), SECOND))


@pytest.fixture(scope="module", name="both")
def _both(tmp_path_factory: pytest.TempPathFactory) -> FlaskClient:
    """The service with both screenings."""
    return serve(content(tmp_path_factory.mktemp("both"), ROOT, SECOND))


def content(root: Path, *sources: Path) -> Path:
    """`root`, holding the screenings of the sources and the words that all cards share."""
    for source in sources:
        for folder in ("questionnaires", "cards"):
            shutil.copytree(source / folder, root / folder, dirs_exist_ok=True)
    shutil.copy(ROOT / "cards/words.toml", root / "cards")
    return root


def serve(root: Path) -> FlaskClient:
    """The whole service in process, with its content and its database below `root`."""
    store = open_store(f"sqlite:///{root / 'decisions.sqlite'}")
    app = create_app(Deployment(load(root), store, "http://127.0.0.1:8080", development=True))
    app.testing = False  # so that an error of ours is answered as it is in use
    return app.test_client()


def neck(answers: dict[str, str | int], **members: Any) -> dict[str, Any]:
    """A completed response to the second form."""
    system = f"{BASE}/CodeSystem/neck-check-answers"
    values = {
        name: {"valueInteger": said} if isinstance(said, int) else {"valueCoding": {"system": system, "code": said}}
        for name, said in answers.items()
    }
    items = [item(link_id, [value]) for link_id, value in values.items()]
    return response({}, **({"questionnaire": f"{BASE}/Questionnaire/neck-check|2.0.0", "item": items} | members))


def condition(code: str) -> dict[str, Any]:
    """An active Condition with this SNOMED CT code."""
    coding = [{"system": "http://snomed.info/sct", "code": code}]
    subject = {"reference": "Patient/p1"}
    return {"resourceType": "Condition", "id": "c1", "subject": subject, "code": {"coding": coding}}


def ask(client: FlaskClient, service: str, body: Any, language: str = "nl") -> list[dict[str, Any]]:
    """The cards of one service; fails unless the answer is 200."""
    answer = client.post(f"/cds-services/{service}", json=body, headers={"Accept-Language": language})
    assert answer.status_code == 200, answer.get_data(as_text=True)
    cards: list[dict[str, Any]] = answer.get_json()["cards"]
    return cards


@pytest.mark.parametrize(
    ("answers", "expected"),
    [
        pytest.param(NECK_CALM, ["self-care"], id="all is safe"),
        pytest.param(NECK_CALM | {"np-trend": "same"}, ["physio"], id="the pain is not getting less"),
        pytest.param(NECK_ALARM, ["doctor-today"], id="an arm is weaker"),
        pytest.param(NECK_ALARM | {"np-present": "no"}, ["doctor-today"], id="an arm is weaker, without neck pain"),
        pytest.param(NECK_CALM | {"np-arm": "yes"}, ["doctor-today", "incomplete"], id="the follow-up is missing"),
        pytest.param(NECK_CALM | {"np-hand": "yes"}, ["doctor-today", "incomplete"], id="the follow-up contradicts"),
        pytest.param(NECK_CALM | {"np-arm": "unknown"}, ["incomplete"], id="a safety answer is not known"),
        pytest.param(NECK_CALM | {"np-arm": "maybe"}, ["incomplete"], id="a safety answer is unreadable"),
        pytest.param({"np-present": "yes", "np-trend": "less"}, ["incomplete"], id="a safety answer is missing"),
        pytest.param({"np-present": "yes", "np-trend": "same"}, ["incomplete", "physio"], id="missing, and not less"),
        pytest.param({"np-present": "yes", "np-arm": "no"}, ["incomplete"], id="the course is missing"),
        pytest.param(NECK_CALM | {"np-age": 90}, ["incomplete"], id="the age is not that on record"),
        pytest.param(NECK_CALM | {"np-present": "no"}, [], id="there is no neck pain"),
    ],
)
def test_the_advice_when(answers: dict[str, str | int], expected: list[str], alone: FlaskClient) -> None:
    assert topics(ask(alone, NECK, call(neck(answers)))) == expected


@pytest.mark.parametrize(
    ("age", "expected"), [({}, ["incomplete"]), ({"np-age": 40}, ["self-care"]), ({"np-age": 121}, ["incomplete"])]
)
def test_without_a_birth_date_the_age_is_asked(
    age: dict[str, str | int], expected: list[str], alone: FlaskClient
) -> None:
    body = call(neck(NECK_CALM | age), about=patient(age=None))
    assert topics(ask(alone, NECK, body)) == expected


@pytest.mark.parametrize(
    ("language", "summary", "topic", "safety_net"),
    [
        (
            "nl",
            "Nekpijn met minder kracht in een arm of hand: laat vandaag een arts beoordelen.",
            "Vandaag een arts",
            "Wordt een arm of hand zwakker: bel direct een arts.",
        ),
        (
            "en",
            "Neck pain with less strength in an arm or hand: arrange doctor assessment today.",
            "Doctor today",
            "If an arm or hand gets weaker: call a doctor at once.",
        ),
    ],
)
def test_the_card_is_in(language: str, summary: str, topic: str, safety_net: str, alone: FlaskClient) -> None:
    (card,) = ask(alone, NECK, call(neck(NECK_ALARM)), language)
    assert card["summary"] == summary
    assert card["indicator"] == "critical"
    assert card["source"]["topic"]["display"] == topic
    assert card["source"]["topic"]["system"] == f"{BASE}/CodeSystem/neck-check-dispositions"
    assert safety_net in card["detail"]


def test_the_form_is_offered_where_neck_pain_is_on_record(alone: FlaskClient) -> None:
    body = call()
    body["prefetch"]["conditions"] = condition(NECK_PAIN)
    assert topics(ask(alone, NECK, body)) == ["form-offer"]


def test_the_form_that_the_card_links_to_is_published(alone: FlaskClient) -> None:
    (card,) = ask(alone, NECK, call(neck(NECK_ALARM)))
    form = alone.get(card["source"]["url"].removeprefix("http://127.0.0.1:8080")).get_json()
    assert (form["resourceType"], form["url"]) == ("Questionnaire", f"{BASE}/Questionnaire/neck-check")
    assert alone.get(card["links"][0]["url"].removeprefix("http://127.0.0.1:8080")).location == "/form/neck-check"


def test_discovery_lists_the_services_of_both(both: FlaskClient) -> None:
    services = {service["id"]: service for service in both.get("/cds-services").get_json()["services"]}
    assert {BACK, NECK} <= services.keys()
    assert {id_ for id_ in services if id_.startswith("neck")} == {NECK}
    assert f"questionnaire={BASE}/Questionnaire/neck-check" in services[NECK]["prefetch"]["responses"]
    assert f"questionnaire={BASE}/Questionnaire/low-back-pain" in services[BACK]["prefetch"]["responses"]


def test_the_forms_of_both_are_published(both: FlaskClient) -> None:
    found = both.get("/fhir/Questionnaire").get_json()
    assert {entry["resource"]["id"] for entry in found["entry"]} == {"low-back-pain", "neck-check"}


@pytest.mark.parametrize(
    ("back", "neck_answers", "at_back", "at_neck"),
    [
        pytest.param(CALM, NECK_CALM, ["self-care"], ["self-care"], id="both calm"),
        pytest.param(BACK_ALARM, NECK_CALM, ["emergency-now"], ["self-care"], id="an alarm of the back"),
        pytest.param(CALM, NECK_ALARM, ["self-care"], ["doctor-today"], id="an alarm of the neck"),
        pytest.param(BACK_ALARM, NECK_ALARM, ["emergency-now"], ["doctor-today"], id="an alarm of each"),
        pytest.param({}, NECK_CALM, ["incomplete"], ["self-care"], id="nothing known of the back"),
        pytest.param(CALM, {}, ["self-care"], ["incomplete"], id="nothing known of the neck"),
    ],
)
def test_each_judges_its_own_response(
    back: dict[str, str], neck_answers: dict[str, str | int], at_back: list[str], at_neck: list[str], both: FlaskClient
) -> None:
    body = call(response(back), neck(neck_answers))
    assert topics(ask(both, BACK, body)) == at_back
    assert topics(ask(both, NECK, body)) == at_neck


@pytest.mark.parametrize(
    ("service", "other", "code"),
    [
        pytest.param(BACK, neck(NECK_CALM), BACK_PAIN, id="a calm neck at the back"),
        pytest.param(BACK, neck(NECK_ALARM), BACK_PAIN, id="an alarming neck at the back"),
        pytest.param(BACK, response(CALM, questionnaire=f"{BASE}/Questionnaire/neck-check"), BACK_PAIN, id="disguised"),
        pytest.param(NECK, response(CALM), NECK_PAIN, id="a calm back at the neck"),
        pytest.param(NECK, response(BACK_ALARM), NECK_PAIN, id="an alarming back at the neck"),
    ],
)
def test_a_response_to_the_other_form_is_as_if_it_were_not_there(
    service: str, other: dict[str, Any], code: str, both: FlaskClient
) -> None:
    body = call(other)
    assert ask(both, service, body) == []
    body["prefetch"]["conditions"] = condition(code)
    assert topics(ask(both, service, body)) == ["form-offer"]


@pytest.mark.parametrize(
    ("file", "own", "taken"),
    [
        ("cards/neck-check/services.toml", NECK, BACK),
        ("questionnaires/neck-check/questionnaire.json", "Questionnaire/neck-check", "Questionnaire/low-back-pain"),
    ],
)
def test_no_two_screenings_share(file: str, own: str, taken: str, tmp_path: Path) -> None:
    root = content(tmp_path, ROOT, SECOND)
    text = (root / file).read_text("utf-8")
    assert own in text
    (root / file).write_text(text.replace(own, taken), "utf-8")
    with pytest.raises(ContentError) as refused:
        load(root)
    assert any(one.startswith(f"{file}: ") and "write" in one for one in refused.value.mistakes)


def test_the_mistakes_of_both_are_named_in_one_run(tmp_path: Path) -> None:
    root = content(tmp_path, ROOT, SECOND)
    files = ["questionnaires/low-back-pain/statements.toml", "questionnaires/neck-check/statements.toml"]
    for file in files:
        text = (root / file).read_text("utf-8")
        (root / file).write_text(text.replace('last = "S3', 'last = "S4'), "utf-8")
    with pytest.raises(ContentError) as refused:
        load(root)
    assert {one.partition(": ")[0] for one in refused.value.mistakes} == set(files)


@pytest.mark.parametrize(
    ("command", "says"),
    [
        ("check", ["low-back-pain 1.0.0: no mistakes", "neck-check 2.0.0: no mistakes", "N01   doctor-today"]),
        ("review", ["cards/low-back-pain/review.md", "cards/neck-check/review.md"]),
    ],
)
def test_the_command_covers_both(command: str, says: list[str], tmp_path: Path) -> None:
    root = content(tmp_path, ROOT, SECOND)
    program = str(Path(sys.executable).with_name("cds-service"))
    environment = os.environ | {"CDS_CONTENT": str(root), "PYTHONUTF8": "1"}
    run = subprocess.run(
        [program, command], env=environment, cwd=tmp_path, capture_output=True, encoding="utf-8", check=False
    )
    assert (run.returncode, run.stderr) == (0, "")
    assert [text for text in says if text not in run.stdout] == []
