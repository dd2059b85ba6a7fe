"""The table of requirements is whole and true: every row is held by a test or says why not, and the page is current."""

import re

import pytest

from tests.requirements.table import PAGE, TESTS, page, read_carriers, read_rows, states_on

ROWS = {id_: row for section in read_rows().values() for id_, row in section.items()}
CARRIERS = read_carriers()
REASON = re.compile(r"(deployment|client|note|not built): \S.{20,}")


@pytest.fixture(name="text")
def _text(request: pytest.FixtureRequest) -> str:
    """The page as it stands; it is not judged in the run that writes it."""
    if request.config.getoption("--write-requirements"):
        pytest.skip("this run writes the page")
    return PAGE.read_text("utf-8")


@pytest.mark.parametrize("row", ROWS)
def test_a_row_has_a_test_or_a_state_and_never_both(row: str) -> None:
    assert bool(CARRIERS.get(row)) != bool(ROWS[row].get("state")), CARRIERS.get(row)


def test_a_row_stands_in_one_section() -> None:
    assert len(ROWS) == sum(len(section) for section in read_rows().values())


def test_every_row_says_its_level_its_versions_and_what_the_service_does() -> None:
    for id_, row in ROWS.items():
        assert row.keys() - {"state"} == {"level", "versions", "what"}, id_
        assert not any("|" in text or "\n" in text or not text.strip() for text in row.values()), id_


def test_a_state_names_who_must_do_it_or_why_it_is_not_there() -> None:
    assert [id_ for id_, row in ROWS.items() if "state" in row and not REASON.fullmatch(row["state"])] == []


def test_no_test_carries_a_row_that_is_not_in_the_table() -> None:
    assert sorted(CARRIERS.keys() - ROWS.keys()) == []


def test_every_marker_is_written_where_the_table_finds_it() -> None:
    texts = [path.read_text("utf-8") for path in TESTS.rglob("test_*.py") if path.name != "test_table.py"]
    markers = sum(len(re.findall(r"^ *@pytest\.mark\.requirement\(", text, re.M)) for text in texts)
    tests = {test for tests in CARRIERS.values() for test in tests}
    assert sum(text.count("mark.requirement") for text in texts) == markers == len(tests)


def test_the_page_is_what_the_rows_and_the_tests_say(text: str) -> None:
    assert text == page(read_rows(), CARRIERS, states_on(text)), "run `make requirements`"


def test_every_row_of_the_page_passed_or_says_who_must_do_it_or_why_it_is_not_there(text: str) -> None:
    states = states_on(text)
    assert states.keys() == ROWS.keys()
    assert [id_ for id_, state in states.items() if state != (ROWS[id_].get("state") or "passed")] == []
