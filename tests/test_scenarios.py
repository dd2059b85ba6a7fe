"""The scenario library: each answer is as written by hand, as the decision table says, and as its file holds it."""

import json
import re
from datetime import UTC, date, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
from flask.testing import FlaskClient
from sqlalchemy import select

from cds_content.files import PUBLISHED_BASE
from cds_content.screening import Screening
from cds_service.hooks import HOOKS
from cds_service.scenarios import Scenario, filled, filled_in, scenarios
from cds_service.store.tables import decisions
from tests.conftest import ROOT, topics
from tests.example_files import EXAMPLES, answered, comparable, source, text, written
from tests.test_orders import SUMMARY
from tests.wire import serving, store_in

LIBRARY = scenarios(EXAMPLES)
TABLE = {row["id"]: row for row in json.loads((ROOT / "tests/clinical/decision_table.json").read_text("utf-8"))}
INDICATORS = {  # design, "Dispositions, most urgent first"
    "emergency-now": "critical",
    "doctor-same-day": "critical",
    "doctor-soon": "warning",
    "doctor-advice": "warning",
    "incomplete": "warning",
    "physio-or-doctor": "info",
    "self-care": "info",
    "form-offer": "info",
}
FOR_PATIENTS = {  # clinical specification, the form's first words
    "nl": "Bel nu je huisarts of de huisartsenpost. Bel 112 bij levensgevaar.",
    "en": "Call your GP or out-of-hours GP now. Call 112 if life is in danger.",
}
OFFER = {
    "nl": "Lage rugpijn in het dossier, nog geen screening: laat de vragenlijst invullen.",
    "en": "Low back pain on record, no screening yet: have the questionnaire filled in.",
}
PHYSIO_UNKNOWN = {
    "nl": "Geen volledige screening: vraag alarmsignalen na voordat de fysiotherapie begint.",
    "en": "No complete screening: ask about warning signs before physiotherapy starts.",
}

# Every line of the design's "Which response counts", and each other trap that must be there: what it is → its scenario.
TRAPS = {
    "7 to 30 days old, alarm": "trap-nine-days-old",
    "7 to 30 days old, calm": "trap-calm-nine-days-old",
    "older than 30 days": "trap-forty-days-old",
    "in-progress": "trap-in-progress",
    "stopped": "trap-stopped",
    "a version that is not accepted": "trap-other-version",
    "another status code": "trap-other-status",
    "entered-in-error": "trap-entered-in-error",
    "another form": "trap-other-form",
    "authored absent": "trap-no-authored",
    "authored unreadable": "trap-unreadable-authored",
    "authored in the future": "trap-authored-ahead",
    "partial authored": "trap-partial-authored",
    "no subject": "trap-no-subject",
    "subject is another patient": "trap-another-patient",
    "several responses, an older alarm": "trap-older-alarm-newer-calm",
    "prefetch absent": "trap-prefetch-absent",
    "prefetch null": "trap-prefetch-null",
    "Bundle without entry": "trap-bundle-without-entry",
    "Bundle with an empty entry": "trap-bundle-with-empty-entry",
    "OperationOutcome": "trap-operation-outcome",
    "no Patient": "trap-no-patient",
    "unknown code": "trap-unknown-code",
    "valueBoolean": "trap-boolean",
    "valueString": "trap-string",
    "none and one of these": "trap-none-and-weight-loss",
    "a follow-up that its parent excludes": "trap-follow-up-without-parent",
    "a missing question": "trap-missing-question",
    "declined": "trap-declined",
    "an item of no question": "trap-unknown-item",
    "HTML in free text": "trap-html",
    "51st birthday": "trap-51st-birthday",
    "still 50": "trap-still-50",
    "partial birth date": "trap-partial-birth-date",
    "age item and birth date apart": "trap-ages-apart",
    "a child by the age item": "trap-child-by-item",
    "a patient reads, alarm": "trap-patient-reads",
    "a patient reads, calm": "trap-patient-reads-calm",
    "an order with a code of elsewhere": "trap-order-code-of-elsewhere",
    "an order that is not quite FHIR": "trap-order-not-in-an-array",
    "an order without status": "trap-order-bare",
    "an order that nobody can read": "trap-order-unreadable",
}

each_scenario = pytest.mark.parametrize("scenario", LIBRARY, ids=[one.name for one in LIBRARY])
each_language = pytest.mark.parametrize("language", ["nl", "en"])


@each_language
@each_scenario
def test_the_answer_is_the_one_in_the_file(scenario: Scenario, language: str, client: FlaskClient) -> None:
    status, body = answered(client, scenario.service, scenario.request, language)

    assert status == scenario.status
    assert body == scenario.response[language]


@each_language
@each_scenario
def test_the_expected_answer_is_as_the_decision_table_says(scenario: Scenario, language: str) -> None:
    """What stands in the file, held against what was written by hand: nothing here runs the rules."""
    body = scenario.response[language]
    if scenario.status != 200:
        assert body["resourceType"] == "OperationOutcome"
        return
    assert topics(body["cards"]) == list(scenario.cards)
    for card in body["cards"]:
        expected = _expected(scenario, card["source"]["topic"]["code"], language)
        assert (card["indicator"], card["summary"]) == expected


def _expected(scenario: Scenario, topic: str, language: str) -> tuple[str, str]:
    """Indicator and summary of the card on this topic, by the decision table and the clinical specification."""
    if topic == "form-offer":
        return "info", OFFER[language]
    if str(scenario.request["context"]["userId"]).startswith("Patient/"):
        return INDICATORS[topic], FOR_PATIENTS[language]
    about = scenario.rows[0] if not scenario.rows[0].startswith("R") else ""
    fired = [TABLE[row] for row in scenario.rows if row in TABLE]
    first = next(row for row in fired if topic in ("imaging", row["disposition"]))
    if topic == "imaging":
        nl, en = SUMMARY[about]
        return ("info" if about == "IMG-1" else first["indicator"]), {"nl": nl, "en": en}[language]
    return first["indicator"], _about(about, first[f"summary_{language}"], language)


def _about(row: str, summary: str, language: str) -> str:
    """The summary of a card about physiotherapy, as the clinical specification words it."""
    if row == "PHY-1":
        return {"nl": "Eerst een arts: ", "en": "Doctor first: "}[language] + summary
    return PHYSIO_UNKNOWN[language] if row == "PHY-2" else summary


@pytest.mark.parametrize("row", TABLE)
def test_every_row_of_the_decision_table_leads_a_scenario(row: str) -> None:
    """R12 explains only: R13 fires with it, and so it never stands alone."""
    assert [one.name for one in LIBRARY if one.kind == "row" and one.rows[0] == row]


def test_the_rows_about_orders_have_a_scenario_too(screening: Screening) -> None:
    rows = {card.row for kind in screening.orders.values() for card in kind.card}

    assert rows - {row for one in LIBRARY for row in one.rows} == set()


@each_scenario
def test_the_rows_fire_that_were_written_down(scenario: Scenario, screening: Screening, tmp_path: Path) -> None:
    with serving(screening, tmp_path, scenarios=tuple) as client:
        _, body = answered(client, scenario.service, scenario.request, "nl")
    with store_in(tmp_path / "served.sqlite").connect() as connection:
        decided = [row for found in connection.execute(select(decisions.c.rows)).scalars() for row in found]
    named = [row for card in body.get("cards", []) for row in _named(card) if not row.startswith("R")]

    assert [*dict.fromkeys(named), *decided] == list(scenario.rows)


def _named(card: dict[str, Any]) -> list[str]:
    rules = card.get("extension", {}).get("example.lowbackpain.rules", {})
    rows: list[str] = rules.get("rows", [])
    return rows


def test_every_trap_has_a_scenario() -> None:
    assert set(TRAPS.values()) == {one.name for one in LIBRARY if one.kind == "trap"}


def test_every_hook_is_called() -> None:
    assert {one.request["hook"].rpartition(".")[2] for one in LIBRARY} == set(HOOKS)


def test_no_trap_reassures() -> None:
    """But the three whose answers are all calm, and of which the reason says why."""
    calm = {one.name for one in LIBRARY if one.kind == "trap" and "self-care" in one.cards}

    assert calm == {"trap-html", "trap-still-50"}


def test_the_files_are_those_that_their_source_makes(screening: Screening, tmp_path: Path) -> None:
    """If not: python -m tests.example_files, and read what changed."""
    with serving(screening, tmp_path, scenarios=tuple) as client:
        made = {one["name"]: text(one) for one in written(screening, client)}

    stand = {path.stem: path.read_text("utf-8") for path in (EXAMPLES / screening.name).glob("*.json")}
    assert [name for name in made | stand if made.get(name) != stand.get(name)] == []


def test_what_can_be_clicked_is_complete(screening: Screening) -> None:
    """Each question that the form shows for these answers is answered, and no other, with a code that it offers."""
    clicked = [one for one in LIBRARY if one.answers]
    assert {row for one in clicked for row in one.rows} >= set(TABLE) - {"R27", "R50"}
    for one in clicked:
        for name, question in screening.questions.items():
            shown = not question.shown_for or any(
                one.answers.get(parent) in codes for parent, codes in question.shown_for.items()
            )
            given = one.answers.get(name, [])
            assert bool(given) == (shown and bool(question.options)), (one.name, name)
            assert set(given if isinstance(given, list) else [given]) <= set(question.options)


def test_every_patient_is_made_up_and_says_so(screening: Screening) -> None:
    for one in LIBRARY:
        patient = one.request["prefetch"].get("patient")
        if patient:
            assert patient["id"] == one.name
            assert patient["name"][0]["text"].endswith("(verzonnen)")
            assert patient["meta"]["tag"][0]["code"] == "HTEST"
    assert screening.name in source(screening.name)["service"]


@each_language
def test_titles_differ_and_texts_are_in_both_languages(language: str) -> None:
    titles = [one.title[language] for one in LIBRARY]

    assert len(set(titles)) == len(titles)
    assert all(one.reason[language].endswith(".") for one in LIBRARY)
    assert all(set(one.title) == set(one.reason) == {"nl", "en"} for one in LIBRARY)


def test_the_text_of_a_patient_stands_on_no_card() -> None:
    (html,) = [one for one in LIBRARY if one.name == "trap-html"]

    assert "<script>" in json.dumps(html.request)
    assert not re.search("<script|<img|alert", json.dumps(html.response))


# ---------------------------------------------------------------------------------------------------------- times

# Each row: the text, now, what it is then.
TIMES = [
    ("{now-5h}", datetime(2026, 1, 1, 3, tzinfo=UTC), "2025-12-31T22:00:00+00:00"),
    ("{now-9d}", datetime(2028, 3, 1, 3, tzinfo=UTC), "2028-02-21T03:00:00+00:00"),
    ("{now+2d}", datetime(2028, 2, 28, tzinfo=UTC), "2028-03-01T00:00:00+00:00"),
    ("{date-7d}", datetime(2026, 1, 3, tzinfo=UTC), "2025-12-27"),
    ("{years-40}", datetime(2028, 2, 29, tzinfo=UTC), "1988-02-29"),
    ("{years-51}", datetime(2028, 2, 29, tzinfo=UTC), "1977-02-28"),
    ("{years-40-30d}", datetime(2026, 1, 10, tzinfo=UTC), "1985-12-11"),
    ("{year-51-1d}", datetime(2026, 1, 1, tzinfo=UTC), "1974"),
    ("{year-51}", datetime(2026, 1, 1, tzinfo=UTC), "1975"),
]


@pytest.mark.parametrize(("written_", "now", "expected"), TIMES)
def test_a_time_is_filled_in(written_: str, now: datetime, expected: str) -> None:
    assert filled_in({"at": written_}, now, PUBLISHED_BASE) == {"at": expected}


@pytest.mark.parametrize("name", ["trap-51st-birthday", "trap-still-50"])
def test_the_birthdays_are_right_on_every_day_of_four_years(name: str) -> None:
    (scenario,) = [one for one in LIBRARY if one.name == name]
    for day in range(4 * 366):
        now = datetime(2027, 1, 1, 0, 30, tzinfo=UTC) + timedelta(days=day)
        prefetch = filled(scenario, now, PUBLISHED_BASE)["prefetch"]
        born = date.fromisoformat(prefetch["patient"]["birthDate"])
        on = datetime.fromisoformat(prefetch["responses"]["entry"][0]["resource"]["authored"]).date()
        age = on.year - born.year - ((on.month, on.day) < (born.month, born.day))
        assert age == (51 if name == "trap-51st-birthday" else 50), now


def test_what_is_filled_in_leaves_the_scenario_as_it_was() -> None:
    before = text(LIBRARY[0].request)
    filled(LIBRARY[0], datetime.now(UTC), "https://other.example/fhir")

    assert text(LIBRARY[0].request) == before


def test_dates_versions_and_addresses_are_taken_out_of_an_answer() -> None:
    said = "leeftijd – 50–51; Ingevuld: 2026-11-13. Regelset 1.0.0, inhoud 2075be80c1e1. http://127.0.0.1:8080/x|1.0.0"

    assert comparable({"uuid": "1", "a": [said]}) == {
        "a": ["leeftijd – {age}; Ingevuld: {date}. Regelset {version}, inhoud {version}. {public}/x|{version}"]
    }


# Each row: what is wrong, the members that make it so.
NONE: list[tuple[str, dict[str, Any]]] = [
    ("another name than its file", {"name": "else"}),
    ("another kind", {"kind": "trick"}),
    ("a member of no scenario", {"extra": 1}),
    ("no rows", {"rows": None}),
]


@pytest.mark.parametrize("row", NONE, ids=[row[0] for row in NONE])
def test_a_file_that_is_no_scenario_is_refused_with_its_name(row: tuple[str, dict[str, Any]], tmp_path: Path) -> None:
    whole = json.loads((EXAMPLES / "low-back-pain/self-care.json").read_text("utf-8"))
    (tmp_path / "x").mkdir()
    (tmp_path / "x/self-care.json").write_text(json.dumps(whole | row[1]))

    with pytest.raises(ValueError, match=r"self-care\.json"):
        scenarios(tmp_path)


def test_two_scenarios_of_one_name_are_refused(tmp_path: Path) -> None:
    for folder in ("x", "y"):
        (tmp_path / folder).mkdir()
        (tmp_path / folder / "self-care.json").write_bytes((EXAMPLES / "low-back-pain/self-care.json").read_bytes())

    with pytest.raises(ValueError, match="self-care"):
        scenarios(tmp_path)
