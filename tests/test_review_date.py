"""Which content a card or page rests on, and when it must be reviewed again: shown everywhere, and warned of."""

import json
import shutil
from datetime import UTC, date, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
from flask.testing import FlaskClient

from cds_content.files import ContentError
from cds_content.loading import load
from cds_content.screening import Screening
from tests.advice_as_fhir import RULES
from tests.conftest import ROOT, Ask
from tests.example_files import EXAMPLES
from tests.running import running
from tests.samples import CALM, call, patient, response
from tests.test_metrics import series, value

PAGES = ("/", "/review", "/review/low-back-pain", "/review/low-back-pain/table", "/form", "/contract", "/examples")
FINDINGS, TEXTS = "questionnaires/low-back-pain/findings.toml", "cards/low-back-pain/texts.toml"


def content(folder: Path, file: str, old: str, new: str) -> Path:
    """A copy of the content with one text changed."""
    for name in ("questionnaires", "cards", "examples"):
        shutil.copytree(ROOT / name, folder / name)
    path = folder / file
    assert old in path.read_text("utf-8")
    path.write_text(path.read_text("utf-8").replace(old, new), "utf-8")
    return folder


def stamp(screening: Screening) -> dict[str, Any]:
    """What a card says of its content to machines."""
    return {"version": screening.version, "hash": screening.hash, "nextReview": str(screening.next_review)}


# ------------------------------------------------------------------------------------------------ on cards and pages


def test_every_card_for_a_clinician_names_version_hash_and_review_date(screening: Screening, ask: Ask) -> None:
    told = (CALM, CALM | {"rf-saddle": "new"}, CALM | {"rf-saddle": "unknown"}, CALM | {"co-trend": "worse"})
    cards = [card for answers in told for card in ask(call(response(answers), about=patient()))]

    assert len(cards) == len(told)
    for card in cards:
        assert card["extension"][RULES].items() >= stamp(screening).items()
        for part in (screening.version, screening.hash[:12], str(screening.next_review)):
            assert part in card["detail"]


@pytest.mark.parametrize("language", ["nl", "en"])
def test_every_card_of_the_library_says_when_its_content_is_due(language: str, screening: Screening) -> None:
    """Cards about orders and the offer of the form among them; the library writes {date} for a date."""
    files = sorted((EXAMPLES / screening.name).glob("*.json"))
    answers = [json.loads(path.read_text("utf-8"))["response"][language] for path in files]
    cards = [card for answer in answers for card in answer.get("cards", [])]
    for_patients = [
        card for card in cards if "vóór {date}" not in card["detail"] and "before {date}" not in card["detail"]
    ]

    assert {card["extension"][RULES]["nextReview"] for card in cards} == {"{date}"}
    plain = screening.dispositions["emergency-now"].patient or {}
    assert [card["detail"] for card in for_patients] == [plain[language]]


def test_the_card_that_a_patient_reads_carries_them_for_machines(screening: Screening, ask: Ask) -> None:
    body = call(response(CALM | {"rf-saddle": "new"}), about=patient())
    body["context"]["userId"] = "Patient/p1"

    (card,) = ask(body)

    assert card["extension"][RULES] == stamp(screening)


@pytest.mark.parametrize("path", PAGES)
@pytest.mark.parametrize("language", ["nl", "en"])
def test_every_page_names_version_hash_and_review_date(
    path: str, language: str, screening: Screening, client: FlaskClient
) -> None:
    foot = client.get(path, headers={"Accept-Language": language}).text.rpartition("<footer")[2]

    for part in (screening.version, screening.hash[:12], str(screening.next_review)):
        assert part in foot


@pytest.mark.parametrize("place", ["version", "hash", "next-review"])
def test_content_whose_cards_do_not_say_it_is_refused(place: str, tmp_path: Path) -> None:
    with pytest.raises(ContentError, match=rf"texts\.toml.*closing.*write.*\{{{place}\}}"):
        load(content(tmp_path, TEXTS, f"{{{place}}}", "x"))


# --------------------------------------------------------------------------------------------------- when it is due


@pytest.mark.parametrize(
    ("today", "overdue"),
    [(date(2027, 5, 21), False), (date(2027, 5, 22), True), (date(2030, 1, 1), True)],
    ids=["the day before", "the day itself: it should have been before", "years later"],
)
def test_content_is_overdue_from_its_review_date_on(today: date, overdue: bool, screening: Screening) -> None:
    assert screening.next_review == date(2027, 5, 22)
    assert screening.is_overdue(today) is overdue


@pytest.mark.timeless
@pytest.mark.parametrize("days", [0, 2])
def test_content_past_its_review_date_warns_at_start_and_serves(days: int, tmp_path: Path) -> None:
    """Old advice with its date on it is better than none; that it is old must not go unseen."""
    due = datetime.now(UTC).date() + timedelta(days=days)
    copy = content(tmp_path, FINDINGS, "next-review = 2027-05-22", f"next-review = {due}")

    with running(tmp_path, CDS_CONTENT=str(copy)) as server:
        server.stop()
    warned = [line for line in server.lines() if line["event"] == "content is past its review date"]

    assert [(line["level"], line["screening"]) for line in warned] == [("warning", "low-back-pain")] * (days == 0)


def test_the_figures_say_when_the_content_must_be_reviewed_again(client: FlaskClient) -> None:
    client.get("/metrics")

    due = datetime.fromtimestamp(value("cds_content_next_review_seconds", screening="low-back-pain"), UTC)
    assert due == datetime(2027, 5, 22, tzinfo=UTC)


def test_a_disposition_that_never_came_is_counted_from_0(screening: Screening, client: FlaskClient) -> None:
    shown = {labels for name, labels in series(client.get("/metrics").text) if name == "cds_decisions_total"}

    of_ours = {dict(labels)["disposition"] for labels in shown if ("screening", screening.name) in labels}
    assert of_ours >= set(screening.dispositions)
