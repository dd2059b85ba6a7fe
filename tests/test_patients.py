"""Every patient of patients.toml gets the cards of the decision table, in both languages."""

import json
import tomllib
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest

from cds_content.screening import Screening
from cds_service.advice import decide
from cds_service.responses import read_response
from tests.conftest import Ask, topics
from tests.samples import CALM, call, patient, response

CASES = tomllib.loads(Path(__file__).with_name("patients.toml").read_text("utf-8"))["patient"]
TABLE = json.loads((Path(__file__).parent / "clinical/decision_table.json").read_text("utf-8"))

each_patient = pytest.mark.parametrize("case", CASES, ids=[case["reason"] for case in CASES])


def about(case: dict[str, Any]) -> dict[str, Any]:
    age = case.get("age", 40)
    return patient(None if age == "unknown" else age)


def answers(case: dict[str, Any]) -> dict[str, Any]:
    given = CALM | case.get("answers", {})
    return {link_id: answer for link_id, answer in given.items() if answer != "-"}


@pytest.mark.parametrize("language", ["nl", "en"])
@each_patient
def test_the_patient_gets_the_cards(case: dict[str, Any], language: str, ask: Ask) -> None:
    cards = ask(call(response(answers(case)), about=about(case)), language)

    assert case["cards"] == topics(cards)


@each_patient
def test_the_rows_fire_and_no_others(case: dict[str, Any], screening: Screening) -> None:
    reading = read_response(
        screening, response(answers(case)), True, birth_date=about(case).get("birthDate"), now=datetime.now(UTC)
    )

    assert sorted(case["rows"]) == sorted(decide(screening, [reading]).rows)


def test_every_row_of_the_decision_table_has_a_patient() -> None:
    assert {row["id"] for row in TABLE} == {row for case in CASES for row in case["rows"]}


def test_there_are_at_least_60_patients_each_with_its_own_reason() -> None:
    assert len({case["reason"] for case in CASES}) == len(CASES) >= 60
