"""The tables of requirements are whole and true: a row is held by a test or says why not, and the pages are current."""

import ast
import re

import pytest

from tests.requirements.table import TABLES, TESTS, Table, page, read_carriers, states_on

SECTIONS = [(table, section) for table in TABLES for section in table.rows.values()]
ROWS = {id_: row for _, section in SECTIONS for id_, row in section.items()}
CARRIERS = read_carriers()
REASON = re.compile(r"(deployment|client|note|not built): \S.{20,}")
each_table = pytest.mark.parametrize("table", TABLES, ids=[table.page.name for table in TABLES])


@pytest.fixture(name="text")
def _text(table: Table, request: pytest.FixtureRequest) -> str:
    """A page as it stands; it is not judged in the run that writes it."""
    if request.config.getoption("--write-requirements"):
        pytest.skip("this run writes the page")
    return table.page.read_text("utf-8")


@pytest.mark.parametrize("row", ROWS)
def test_a_row_has_a_test_or_a_state_and_never_both(row: str) -> None:
    assert bool(CARRIERS.get(row)) != bool(ROWS[row].get("state")), CARRIERS.get(row)


def test_a_row_stands_in_one_section_of_one_table() -> None:
    assert len(ROWS) == sum(len(section) for _, section in SECTIONS)


@each_table
def test_every_row_says_its_level_its_third_column_and_what_the_service_does(table: Table) -> None:
    for section in table.rows.values():
        for id_, row in section.items():
            assert row.keys() - {"state"} == {"level", table.column, "what"}, id_
            assert not any("|" in text or "\n" in text or not text.strip() for text in row.values()), id_


def test_a_state_names_who_must_do_it_or_why_it_is_not_there() -> None:
    assert [id_ for id_, row in ROWS.items() if "state" in row and not REASON.fullmatch(row["state"])] == []


def test_every_first_priority_is_held_by_a_test() -> None:
    assert [id_ for id_, row in ROWS.items() if row.get("prio") == "1" and "state" in row] == []


def test_no_test_carries_a_row_that_is_not_in_a_table() -> None:
    assert sorted(CARRIERS.keys() - ROWS.keys()) == []


def test_every_marker_is_written_where_the_table_finds_it() -> None:
    for path in TESTS.rglob("test_*.py"):
        text = path.read_text("utf-8")
        functions = [node for node in ast.parse(text).body if isinstance(node, ast.FunctionDef)]
        written = [ast.unparse(decorator) for function in functions for decorator in function.decorator_list]
        found = [one for one in written if one.startswith("pytest.mark.requirement(")]
        assert path.name == "test_table.py" or text.count("mark.requirement") == len(found), path.name


@each_table
def test_the_page_is_what_the_rows_and_the_tests_say(table: Table, text: str) -> None:
    assert text == page(table, CARRIERS, states_on(text)), "run `make requirements`"


@each_table
def test_every_row_of_the_page_passed_or_says_who_must_do_it_or_why_it_is_not_there(table: Table, text: str) -> None:
    rows = {id_: row for section in table.rows.values() for id_, row in section.items()}
    states = states_on(text)
    assert states.keys() == rows.keys()
    assert [id_ for id_, state in states.items() if state != (rows[id_].get("state") or "passed")] == []
