"""Every statement of the sheet reaches a card or says why not; every question, finding and text of a card leads back.

What a card names is seen on the cards that the service gives to the patients of the examples and of patients.toml.
"""

import re
from typing import Any

import pytest
from flask.testing import FlaskClient

from cds_content.loading import load
from cds_content.screening import Screening
from cds_content.trace import card_texts, carried, trace_page
from tests.advice_as_fhir import RULES
from tests.conftest import ROOT, SERVICE, topics
from tests.example_files import LANGUAGES, answered
from tests.safety_file import carriers
from tests.samples import call, response
from tests.test_patients import CASES, about, answers
from tests.test_scenarios import LIBRARY
from tests.test_second_screening import SECOND, content

(CONTENT,) = load(ROOT)
STATEMENTS = CONTENT.statements.statement
BY_TEXT = [number for number, one in STATEMENTS.items() if one.cards]
BY_FINDING = [number for number, one in STATEMENTS.items() if one.findings]

Cards = dict[str, list[dict[str, Any]]]  # language → cards


@pytest.fixture(scope="module", name="of_examples")
def _of_examples(client: FlaskClient) -> Cards:
    """Every card of the examples, about orders too."""
    bodies = {
        language: [answered(client, one.service, one.request, language)[1] for one in LIBRARY] for language in LANGUAGES
    }
    return {language: [card for body in found for card in body.get("cards", [])] for language, found in bodies.items()}


@pytest.fixture(scope="module", name="of_patients")
def _of_patients(client: FlaskClient) -> Cards:
    """Every card of the patients of patients.toml."""
    bodies = [call(response(answers(case)), about=about(case)) for case in CASES]
    return {
        language: [
            card
            for body in bodies
            for card in client.post(SERVICE, json=body, headers={"Accept-Language": language}).get_json()["cards"]
        ]
        for language in LANGUAGES
    }


def names(card: dict[str, Any], number: str) -> bool:
    return re.search(rf"\b{number}\b", card["detail"]) is not None


@pytest.mark.parametrize("number", BY_TEXT)
def test_a_card_shows_the_statement_that_its_text_carries(number: str, of_examples: Cards) -> None:
    for language in LANGUAGES:
        showing = {topic for card in of_examples[language] if names(card, number) for topic in topics([card])}

        assert STATEMENTS[number].cards <= showing, language


@pytest.mark.parametrize("number", BY_FINDING)
def test_a_patient_gets_a_card_that_names_the_statement_of_its_row(number: str, of_patients: Cards) -> None:
    for language in LANGUAGES:
        for row in STATEMENTS[number].findings:
            showing = [card for card in of_patients[language] if row in card["extension"][RULES]["rows"]]

            assert [card for card in showing if names(card, number)], f"{row}, {language}"


def test_every_statement_is_carried_or_says_why_it_is_information_only() -> None:
    assert list(STATEMENTS) == [f"S{number}" for number in range(1, 40)]
    carried_ = set(BY_TEXT) | set(BY_FINDING)
    assert {number for number, one in STATEMENTS.items() if not one.information} == carried_


def test_every_text_of_a_card_says_what_carries_it() -> None:
    why = carriers()

    texts = [part for _, _, parts in card_texts(CONTENT) for part in parts]
    assert len(texts) > 50
    assert [part.en for part in texts if not carried(part, why)] == []


def test_every_carrier_that_is_written_down_carries_a_text() -> None:
    texts = [part.en for _, _, parts in card_texts(CONTENT) for part in parts]

    assert [words for words in carriers() if not any(words in text for text in texts)] == []


def test_a_text_names_the_same_statements_in_both_languages() -> None:
    for part in [part for _, _, parts in card_texts(CONTENT) for part in parts]:
        dutch, english = (set(re.findall(r"\bS\d+\b", words)) for words in (part.nl, part.en))
        assert dutch == english


def line(page: str, first: str, section: str) -> str:
    """The line of a table that begins with this, in the section of this title."""
    (found,) = [text for text in page.partition(section)[2].splitlines() if text.startswith(f"| {first} |")][:1]
    return found


def test_the_page_leads_from_a_statement_to_its_question_findings_cards_and_tests() -> None:
    page = trace_page(CONTENT, {"S21": ["a test of falls"]}, {})

    told = line(page, "S21", "## From the sheet")
    for part in ("rf-accident", "R14, R15a, R15b, R20", "doctor-same-day (finding)", "a test of falls"):
        assert part in told
    assert "information only: " in line(page, "S36", "## From the sheet")


def test_the_page_leads_back_from_what_is_beyond_the_sheet_to_its_references() -> None:
    page = trace_page(CONTENT, {}, {})

    question = line(page, "rf-saddle", "## Back: every question")
    assert "R02, R17" in question
    assert "none: carried by what stands beyond the sheet" in question
    assert "CES warning card (Greenhalgh, Mercer, Finucane, Selfe) (read)" in question
    assert "none: carried by what stands beyond the sheet" in line(page, "R05", "## Back: every finding")
    assert "source not verified (not verified)" in line(page, "R05", "## Back: every finding")


def test_the_page_holds_every_statement_question_and_row(screening: Screening) -> None:
    page = trace_page(screening, {}, {})

    for name in [*STATEMENTS, *screening.questions, *(finding.row for finding in screening.findings)]:
        assert f"\n| {name} |" in page


def test_another_screening_has_its_page_too(tmp_path: Any) -> None:
    (other,) = load(content(tmp_path, SECOND))

    page = trace_page(other, {}, {})

    assert page.startswith(f"# {other.name}: ")
    assert all(f"\n| {name} |" in page for name in [*other.statements.statement, *other.questions])
