"""The pages of the safety file that are made from data: `python -m tests.safety_file` (or `make safety`) writes them.

docs/safety/hazards.md from hazards.toml and from triage of invented patients; docs/safety/traceability.md from the
content, the test patients and the examples.
"""

import tomllib
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

from jinja2 import Environment, StrictUndefined

from cds_content.loading import load
from cds_content.screening import Screening
from cds_content.trace import trace_page
from tests import triage_rates
from tests.example_files import EXAMPLES, source
from tests.test_patients import CASES

ROOT = Path(__file__).parent.parent
SAFETY = ROOT / "docs/safety"
IDS = tuple(f"H{number:02}" for number in range(1, 21))
_SHOWN = "tests/test_trace.py::test_a_card_shows_the_statement_that_its_text_carries"
_NAMED = "tests/test_trace.py::test_a_patient_gets_a_card_that_names_the_statement_of_its_row"

# Tests that look at more than that the statement is named.
MORE = {
    "S7": ["tests/test_hazards.py::test_no_text_repeats_what_the_sheet_overstates"],
    "S8": ["tests/test_cards.py::test_self_care_shows_the_answers_it_rests_on"],
    "S15": ["tests/test_hazards.py::test_each_safety_answer_left_out_or_not_known_leaves_the_screening_incomplete"],
    "S18": ["tests/test_cards.py::test_referral_reasons_are_low_back_pain_and_the_finding"],
    "S20": ["tests/test_responses.py::test_the_51st_birthday_counts_on_the_day_of_filling_in"],
    "S26": ["tests/test_hazards.py::test_no_text_says_or_implies_that_nothing_is_wrong"],
    "S30": ["tests/test_orders.py::test_chronic_pain_rests_on_the_sheet_and_acute_pain_on_the_guidelines"],
    "S31": ["tests/test_orders.py::test_no_order_is_blocked_deleted_or_replaced_by_another_scan"],
    "S32": ["tests/test_hazards.py::test_no_text_repeats_what_the_sheet_overstates"],
    "S33": ["tests/test_hazards.py::test_painkillers_are_named_only_with_their_caveat_and_in_conservative_care"],
}


def hazards() -> dict[str, dict[str, Any]]:
    """The hazard log: id → its fields, in the order of the file."""
    log: dict[str, dict[str, Any]] = tomllib.loads((SAFETY / "hazards.toml").read_text("utf-8"))["hazard"]
    return log


def hazards_page(screening: Screening) -> str:
    """docs/safety/hazards.md: the log, and how often the advice is urgent for invented patients."""
    page = Environment(undefined=StrictUndefined, keep_trailing_newline=True, autoescape=False)  # noqa: S701 - Markdown
    template = Path(__file__).with_name("hazards.md.jinja").read_text("utf-8")
    shares = {often: triage_rates.shares(screening, often) for often in triage_rates.OFTEN}
    return page.from_string(template).render(
        hazards=hazards(), shares=shares, dispositions=list(screening.dispositions), count=triage_rates.COUNT
    )


def traceability_page(screening: Screening) -> str:
    """docs/safety/traceability.md of one screening."""
    return trace_page(screening, tests_of(screening), carriers())


def carriers() -> dict[str, str]:
    """What carries the texts of cards that name no statement: words that the text holds → what carries it."""
    listed = tomllib.loads((SAFETY / "card-texts.toml").read_text("utf-8"))["text"]
    return {one["says"]: one["by"] for one in listed}


def tests_of(screening: Screening) -> Mapping[str, list[str]]:
    """The tests of every statement, row and card, as the data say: patients, examples, and the tests of the trace."""
    found: dict[str, list[str]] = {}
    for name, test in [*_of_patients(), *_of_examples(screening), *_of_statements(screening)]:
        found.setdefault(name, []).append(test)
    return found


def _of_patients() -> Iterator[tuple[str, str]]:
    for patient in CASES:
        yield from ((row, patient["reason"]) for row in patient["rows"])


def _of_examples(screening: Screening) -> Iterator[tuple[str, str]]:
    """Rows, and cards where no row names them, with the example that shows them."""
    for name, scenario in source(screening.name)["scenario"].items():
        link = f"[{name}](../../{(EXAMPLES / screening.name / name).relative_to(ROOT)}.json)"
        yield from ((row, link) for row in scenario.get("rows", []))
        yield from ((topic, link) for topic in scenario["cards"])


def _of_statements(screening: Screening) -> Iterator[tuple[str, str]]:
    for number, statement in screening.statements.statement.items():
        if statement.findings:
            yield number, f"`{_NAMED}[{number}]`"
        if statement.cards:
            yield number, f"`{_SHOWN}[{number}]`"
        yield from ((number, f"`{test}`") for test in MORE.get(number, []))


def write() -> None:
    """Writes both pages."""
    (screening,) = load(ROOT)
    (SAFETY / "hazards.md").write_text(hazards_page(screening), "utf-8")
    (SAFETY / "traceability.md").write_text(traceability_page(screening), "utf-8")


if __name__ == "__main__":
    write()
