"""The service says what a second opinion says, which was written from the same sources and shares no code with it.

`make proof` compares a million answer sets; here are 50,000, and faults planted in the rules that must be found.
"""

import ast
from collections.abc import Iterator
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest

from cds_content.screening import Screening
from cds_content.shapes import Condition, Finding
from tests.damage import ANSWERS, ITEMS
from tests.samples import CALM, ago, born, response
from tests.second_opinion import DISPOSITIONS, LINES, URGENCY, Opinion, opinion, shown
from tests.second_opinion_compared import CHUNK, Case, Tally, chunks, compared, replied
from tests.second_opinion_proof import asking
from tests.second_opinion_reading import NO_RESPONSE, OFFERED, QUESTIONS, REFUSED

COUNT, AHEAD, OVER_HTTP, WHOLE_CALLS = 50_000, 5_000, 200, 500  # answer sets; AHEAD with the clock ahead
SEED = 20261123
HERE = Path(__file__).parent

timeless = pytest.mark.timeless


@dataclass(frozen=True)
class Compared:
    """The tallies of those without a birth date and with one, the number of draws, and the cases of each row."""

    plain: Tally
    dated: Tally
    draws: int
    of_row: dict[str, list[Case]]


@pytest.fixture(scope="module", name="both")
def _both(screening: Screening, pytestconfig: pytest.Config) -> Compared:
    plain, dated, draws, of_row = Tally(), Tally(), 0, dict[str, list[Case]]()
    for cases in chunks(screening, AHEAD if pytestconfig.getoption("--ahead") else COUNT, SEED):
        draws += 1
        plain.add(compared(screening, [case for case in cases if case.birth_date is None]))
        dated.add(compared(screening, [case for case in cases if case.birth_date is not None]))
        for case in cases if draws == 1 else []:
            of_row.setdefault(case.layer.removeprefix("row "), []).append(case)
    return Compared(plain, dated, draws, of_row)


def test_the_service_says_what_the_second_opinion_says(both: Compared) -> None:
    differences = both.plain.differences + both.dated.differences

    assert [one.as_json() for one in differences[:3]] == []


def test_each_row_is_drawn_alone_and_fires(both: Compared) -> None:
    least = 50 if both.draws * CHUNK == COUNT else 20
    drawn = {row: both.plain.layers[f"row {row}"] for row in DISPOSITIONS}

    assert {row: number for row, number in drawn.items() if number < least} == {}
    assert drawn == {row: both.plain.fired[f"row {row}", row] for row in DISPOSITIONS}


def test_each_disposition_is_at_least_one_outcome_in_twenty(both: Compared) -> None:
    outcomes = both.plain.dispositions + both.dated.dispositions

    assert [name for name in URGENCY if outcomes[name] < outcomes.total() * 0.05] == []


def test_each_safety_answer_is_left_out_unknown_and_damaged_in_each_way(both: Compared, screening: Screening) -> None:
    layers = both.plain.layers + both.dated.layers
    for name, question in screening.questions.items():
        if question.item.safety:
            assert layers[f"left out {name}"] == both.draws
            assert layers[f"unknown {name}"] == both.draws * len(question.item.not_known)
            assert layers[f"damaged {name}"] == both.draws * len((*ITEMS, *ANSWERS))


def test_nobody_is_reassured_where_a_safety_answer_is_left_out_or_not_known(
    both: Compared, screening: Screening
) -> None:
    safety = [name for name, question in screening.questions.items() if question.item.safety]
    layers = [f"{kind} {name}" for kind in ("left out", "unknown") for name in safety]

    assert {at: both.plain.layers[at] for at in layers} == {at: both.plain.fired[at, "R00"] for at in layers}


def test_whole_calls_of_the_hook_say_it_too(screening: Screening) -> None:
    cases = next(chunks(screening, AHEAD, SEED + 1))

    assert [one.as_json() for one in compared(screening, cases[:WHOLE_CALLS], replied).differences] == []


@timeless
def test_the_real_server_shows_what_the_second_opinion_shows(screening: Screening) -> None:
    cases = next(chunks(screening, AHEAD, SEED + 2))
    with asking() as ask:
        assert [one.as_json() for one in compared(screening, cases[:OVER_HTTP], ask, shown).differences] == []


def test_a_code_dropped_or_an_age_moved_by_a_year_is_found(both: Compared, screening: Screening) -> None:
    missed, planted = [], 0
    for finding in screening.findings:
        for weaker in weakened(finding.when) if finding.when else ():
            faulty = replace(screening, findings=with_one(screening, finding, weaker))
            planted += 1
            if not any(compared(faulty, [case]).differences for case in both.of_row[finding.row]):
                missed.append((finding.row, weaker))

    assert missed == []
    assert planted > len(screening.findings)


@pytest.mark.parametrize(("question", "code"), [("rf-sexual", "declined"), ("rf-saddle", "unknown")])
def test_an_answer_that_is_not_known_taken_for_a_safe_one_is_found(
    screening: Screening, question: str, code: str
) -> None:
    asked = screening.questions[question]
    item = asked.item.model_copy(update={"safe": asked.item.safe | {code}, "not_known": asked.item.not_known - {code}})
    faulty = replace(screening, questions={**screening.questions, question: replace(asked, item=item)})
    case = Case("planted", sent({question: code}), None)

    assert compared(screening, [case]).differences == []
    assert len(compared(faulty, [case]).differences) == 1


def weakened(condition: Condition) -> Iterator[Condition]:
    """The condition with one code dropped, or one age moved by a year so that it holds for fewer."""
    for name in ("all_", "any_"):
        parts = getattr(condition, name) or ()
        for at, part in enumerate(parts):
            for less in weakened(part):
                yield condition.model_copy(update={name: (*parts[:at], less, *parts[at + 1 :])})
    if condition.is_ and condition.is_ != "not-known":
        for code in condition.is_:
            yield condition.model_copy(update={"is_": type(condition.is_)(one for one in condition.is_ if one != code)})
    for name, years in (("over", 1), ("at_least", 1), ("under", -1)):
        if (limit := getattr(condition, name)) is not None:
            yield condition.model_copy(update={name: limit + years})


def with_one(screening: Screening, finding: Finding, when: Condition) -> tuple[Finding, ...]:
    """All findings, this one with another condition."""
    return tuple(one.model_copy(update={"when": when}) if one.row == finding.row else one for one in screening.findings)


# The second opinion itself, on patients of whom the sources say in words what must follow.


def sent(said: dict[str, Any] | None = None, **members: Any) -> dict[str, Any]:
    """The response of a calm patient of 40 but for what is said."""
    return response(CALM | {"age": 40} | (said or {}), **members)


def of(sent: dict[str, Any], birth_date: str | None = None) -> tuple[str, set[str]]:
    told = opinion(sent, birth_date, datetime.now(UTC))
    return told.disposition, set(told.rows)


def test_a_calm_patient_may_care_for_herself() -> None:
    assert of(sent()) == ("self-care", {"R40"})


def test_who_has_no_low_back_pain_gets_no_advice() -> None:
    assert of(sent({"lbp-present": "no"})) == ("not-applicable", {"R50"})


def test_an_alarm_counts_where_the_form_is_not_finished() -> None:
    assert of(sent({"rf-saddle": "new"}, status="in-progress")) == ("emergency-now", {"R02", "R00"})


def test_an_alarm_of_more_than_30_days_ago_does_not_count() -> None:
    assert of(sent({"rf-saddle": "new"}, authored=ago(days=31))) == ("incomplete", {"R00"})


def test_safe_answers_of_more_than_7_days_ago_do_not_reassure() -> None:
    assert of(sent(authored=ago(days=8))) == ("incomplete", {"R00"})


def test_a_follow_up_that_nobody_asked_counts_and_is_a_contradiction() -> None:
    assert of(sent({"rf-leg-sides": "both"})) == ("emergency-now", {"R04", "R00"})


def test_a_year_of_birth_reassures_only_where_each_age_of_it_does() -> None:
    year = str(datetime.now(UTC).year - 51)

    assert of(sent({"age": 51, "rf-clear-cause": "no"}), year) == ("physio-or-doctor", {"R34"})


def test_a_birth_date_far_from_the_age_item_makes_both_count() -> None:
    said = sent({"age": 70, "rf-accident": "minor"})

    assert of(said, born(40, days=30)) == ("doctor-same-day", {"R15a", "R20", "R00"})


def test_another_patients_response_is_refused_and_another_form_is_not_there() -> None:
    assert of(sent(subject={"reference": "Patient/p2"})) == (REFUSED, set())
    assert of(sent(questionnaire="https://elsewhere.example/Questionnaire/other")) == (NO_RESPONSE, set())


def test_a_doctors_card_takes_the_place_of_conservative_care() -> None:
    assert shown(Opinion("doctor-advice", frozenset({"R20", "R30"}))) == Opinion("doctor-advice", frozenset({"R20"}))


@timeless
def test_the_lines_are_those_of_the_decision_table() -> None:
    assert {line.row for line in LINES} == set(DISPOSITIONS)
    for line in LINES:
        for name, cell in line.cells.items():
            if OFFERED.get(name):
                assert cell <= {code for _, code in OFFERED[name]} | {"-", "?"}
            else:
                assert name in ("age", "response")
    assert set(QUESTIONS) == {name for line in LINES for name in line.cells} - {"response"}


@timeless
@pytest.mark.parametrize("module", ["second_opinion", "second_opinion_reading", "second_opinion_dates"])
def test_the_second_opinion_shares_no_code_with_the_service(module: str) -> None:
    nodes = [*ast.walk(ast.parse((HERE / f"{module}.py").read_text("utf-8")))]
    imported = {alias.name for node in nodes if isinstance(node, ast.Import) for alias in node.names}
    imported |= {str(node.module) for node in nodes if isinstance(node, ast.ImportFrom)}

    assert {name for name in imported if name.partition(".")[0] in ("cds_service", "cds_content", "cds_proof")} == set()
    assert {name for name in imported if name.startswith("tests")} <= {
        "tests.second_opinion_reading",
        "tests.second_opinion_dates",
    }
