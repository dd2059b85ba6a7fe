"""The page of the scenario library and its downloads, in both languages; development mode only."""

import re
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from flask.testing import FlaskClient

from cds_content.loading import load
from cds_service.scenarios import Scenario, scenarios
from tests.conftest import ROOT
from tests.wire import obeys, refusal_of, serving

LIBRARY = scenarios(ROOT / "examples")
WELL_FORMED = [one for one in LIBRARY if one.status == 200]

each_scenario = pytest.mark.parametrize("scenario", LIBRARY, ids=[one.name for one in LIBRARY])
each_well_formed = pytest.mark.parametrize("scenario", WELL_FORMED, ids=[one.name for one in WELL_FORMED])
each_language = pytest.mark.parametrize("language", ["nl", "en"])


@each_language
def test_the_page_shows_every_scenario_with_its_reason_rows_and_command(client: FlaskClient, language: str) -> None:
    text = client.get(f"/examples?lang={language}").text

    assert f'<html lang="{language}"' in text
    for one in LIBRARY:
        section = re.search(rf'<section id="{one.name}".*?</section>', text, re.DOTALL)
        assert section
        assert f"/examples/{one.name}/response?lang={language}" in section[0]
        assert f"/cds-services/{one.service}</code>" in section[0]
        assert re.findall(r'href="/review/low-back-pain#([^"]+)"', section[0]) == list(one.rows)


def test_the_rows_that_the_page_links_to_are_on_the_review_page(client: FlaskClient) -> None:
    review = client.get("/review/low-back-pain").text

    assert {row for one in LIBRARY for row in one.rows if f'id="{row}"' not in review} == set()


def test_the_page_has_one_heading_and_each_anchor_once(client: FlaskClient) -> None:
    text = client.get("/examples").text
    anchors = re.findall(r' id="([^"]+)"', text)

    assert text.count("<h1") == 1
    assert len(anchors) == len(set(anchors))


@each_well_formed
def test_a_request_is_a_valid_call_with_its_times_filled_in(scenario: Scenario, client: FlaskClient) -> None:
    answer = client.get(f"/examples/{scenario.name}")

    assert answer.mimetype == "application/json"
    assert not re.search(r"\{(now|date|years?)\b", answer.text)
    obeys(answer.get_json(), "request-2.0.1", "request-3.0-ballot")


@each_language
def test_the_expected_answer_is_in_the_language_asked_for(client: FlaskClient, language: str) -> None:
    answer = client.get(f"/examples/new-bladder-problems/response?lang={language}")
    urgent = {"nl": "laat vandaag met spoed een arts beoordelen", "en": "arrange emergency medical assessment today"}

    assert answer.headers["Content-Language"] == language
    assert urgent[language] in answer.get_json()["cards"][0]["summary"]
    assert "{public}" not in answer.text


def test_the_whole_scenario_is_there_as_it_stands_in_its_file(client: FlaskClient) -> None:
    told = client.get("/examples/trap-nine-days-old/scenario").get_json()

    assert told["request"]["prefetch"]["responses"]["entry"][0]["resource"]["authored"] == "{now-9d}"


def test_a_request_on_another_canonical_base_and_day_follows_both(tmp_path: Path) -> None:
    (moved,) = load(ROOT, base="https://forms.hospital.example/fhir")
    day = datetime(2028, 2, 29, 12, tzinfo=UTC)
    with serving(moved, tmp_path, now=lambda: day) as other:
        told = other.get("/examples/response-in-hand").get_json()

    response = told["context"]["questionnaireResponse"]
    assert told["hook"] == "example.hospital.forms.questionnaire-response"
    assert response["questionnaire"].startswith("https://forms.hospital.example/fhir/Questionnaire/")
    assert datetime.fromisoformat(response["authored"]) == day - timedelta(hours=2)


@pytest.mark.parametrize("path", ["nobody", "nobody/response", "nobody/scenario", "low-back-pain", "..%2fREADME.md"])
def test_what_is_not_there_is_not_found(client: FlaskClient, path: str) -> None:
    assert client.get(f"/examples/{path}").status_code == 404


def test_the_refusal_names_those_that_there_are(client: FlaskClient) -> None:
    assert "new-bladder-problems" in refusal_of(client.get("/examples/nobody"), 404)
