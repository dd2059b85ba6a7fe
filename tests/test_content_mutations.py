"""Every single dropped code and every other disposition of a finding is noticed, by the proof or the second opinion."""

import re
from collections import Counter

import pytest

from cds_content.screening import Screening
from tests.content_mutations import mutations
from tests.mutations_caught import PAGE, Patient, by_opinion, by_statement, people, unnoticed

pytestmark = pytest.mark.timeless  # the rules have no clock


@pytest.fixture(scope="module", name="patients")
def _patients(screening: Screening) -> list[Patient]:
    return people(screening)


def test_every_mutation_of_the_rules_is_noticed_or_explained(screening: Screening, patients: list[Patient]) -> None:
    """The second opinion is asked first, being quicker; `make proof` asks both about all, and writes the page."""
    missed = {
        one.name for one in mutations(screening) if not by_opinion(screening, one, patients) and not by_statement(one)
    }

    assert missed == unnoticed().keys()


def test_the_true_rules_differ_from_the_second_opinion_for_nobody(
    screening: Screening, patients: list[Patient]
) -> None:
    (first, *_) = mutations(screening)
    true = type(first)("no fault", "", screening)

    assert by_opinion(screening, true, patients) == ""
    assert by_statement(true) == ""


def test_each_code_limit_and_disposition_of_each_finding_is_mutated(screening: Screening) -> None:
    names = [one.name for one in mutations(screening)]

    assert [name for name, count in Counter(names).items() if count > 1] == []
    for finding in screening.findings:
        assert {f"{finding.row} as {name}" for name in screening.dispositions if name != finding.advice} <= set(names)
        for atom in finding.when.atoms() if finding.when else []:
            codes = [f"= {code}" for code in atom.is_] if isinstance(atom.is_, frozenset) else [""]
            assert all(
                any(name.startswith(f"{finding.row} without {atom.answer} {code}") for name in names) for code in codes
            )


def test_the_page_lists_every_mutation(screening: Screening) -> None:
    text = PAGE.read_text("utf-8")

    lacking = [one.name for one in mutations(screening) if f"| {one.name} |" not in text]
    assert lacking == [], "write the page with: make proof"


def test_a_dropped_code_is_shown_with_its_patient_in_words() -> None:
    (line,) = [
        one for one in PAGE.read_text("utf-8").splitlines() if one.startswith("| R10 without rf-leg = weakness |")
    ]

    _, _, statement, second, _ = line.split("|")
    assert "Yes, less strength (rf-leg = weakness)" in statement
    assert statement.strip().endswith("→ **incomplete** [R00]")
    assert "Yes, less strength (rf-leg = weakness)" in second
    assert re.search(r"; the decision table says \*\*[a-z-]+\*\* \[.*R10.*\] $", second)
