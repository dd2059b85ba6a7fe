"""The pages of requirements: every row of a file of rows with the tests that carry its id, and how they ended.

A test carries ids by the marker `requirement`, written with texts above the function. `pytest --write-requirements`
registers `Outcomes`, which writes the pages after the run.
"""

import ast
import os
import tomllib
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

TESTS = Path(__file__).parent.parent
DOCS = TESTS.parent / "docs"
_HOOKS = """# The requirements on a CDS Hooks service, and the tests that hold them

The rules of CDS Hooks 1.0, 2.0.1 and the 3.0 ballot for a service, in our own words, and what good HTTP, security and
patient safety ask beyond them. `make requirements` runs all tests and writes this page: each row names the tests that
carry its id, and its state is how they ended in that run. What no test can hold says who must do it, or why it is not
there. Levels are those of the specification; *derived* follows from its text, *house* is ours, *guidance* is advised
beside it. Versions: 2.0 is 2.0.1, 3.0 is the ballot.
"""
_FHIR = """# The requirements on the FHIR side, and the tests that hold them

The rules of FHIR R4, Structured Data Capture 4.0.0 and Clinical Practice Guidelines 2.0 for what this service
publishes, receives and answers, in our own words. `make requirements` runs all tests and writes this page: each row
names the tests that carry its id, and its state is how they ended in that run. What is not built says why. Levels are
those of the source; *trial* is trial use, *profile* a rule of a profile, *house* is ours. Priorities: 1 first.
"""

Row = Mapping[str, str]
Rows = Mapping[str, Mapping[str, Row]]  # section → id → row
Carriers = Mapping[str, list[str]]  # id → tests that carry it, each as tests/…/file.py::function


@dataclass(frozen=True)
class Table:
    """A file of rows and the page made from it; `column` is the third, beside id and level."""

    file: str
    page: Path
    heading: str
    column: str

    @property
    def rows(self) -> Rows:
        """The sections of the file in their order."""
        return tomllib.loads(Path(__file__).with_name(self.file).read_text("utf-8"))


TABLES = (
    Table("rows.toml", DOCS / "requirements.md", _HOOKS, "versions"),
    Table("fhir_rows.toml", DOCS / "fhir-requirements.md", _FHIR, "prio"),
)


def read_carriers() -> dict[str, list[str]]:
    """Which tests carry which row, as the source of all tests says: so it does not matter which of them run."""
    found: dict[str, list[str]] = {}
    for path in sorted(TESTS.rglob("test_*.py")):
        for function, ids in _marked(ast.parse(path.read_text("utf-8"))):
            for id_ in ids:
                found.setdefault(id_, []).append(f"{path.relative_to(TESTS.parent).as_posix()}::{function}")
    return found


def page(table: Table, carriers: Carriers, states: Mapping[str, str]) -> str:
    """The page of a table; `states` is how the tests of each row ended."""
    sections = (part for title in table.rows for part in _section(table, title, carriers, states))
    return "\n".join([table.heading, *sections])


def states_on(text: str) -> dict[str, str]:
    """The state of each row that a page shows."""
    lines = [line.strip("| ").split(" | ") for line in text.splitlines() if line.startswith("| ")]
    return {cells[0]: cells[-1] for cells in lines if cells[0] != "row"}


class Outcomes:
    """What pytest tells while it runs: which tests ended how."""

    def __init__(self) -> None:
        self.ended: dict[str, set[str]] = {}

    def pytest_runtest_logreport(self, report: pytest.TestReport) -> None:
        if report.when == "call" or report.outcome != "passed":
            self.ended.setdefault(report.nodeid.partition("[")[0], set()).add(report.outcome)

    def pytest_sessionfinish(self) -> None:
        carriers = read_carriers()
        states = {id_: self._state(tests) for id_, tests in carriers.items()}
        for table in TABLES:
            table.page.write_text(page(table, carriers, states), "utf-8")

    def _state(self, tests: list[str]) -> str:
        ended = [self.ended.get(test, {"not run"}) for test in tests]
        worst = [one for one in ("failed", "not run", "skipped") if any(one in outcomes for outcomes in ended)]
        return worst[0] if worst else "passed"


def _section(table: Table, title: str, carriers: Carriers, states: Mapping[str, str]) -> Iterator[str]:
    yield f"## {title}\n"
    yield f"| row | level | {table.column} | the service | tests | state |\n|---|---|---|---|---|---|"
    for id_, row in table.rows[title].items():
        tests = "<br>".join(_link(test) for test in carriers.get(id_, []))
        state = row.get("state") or states.get(id_, "no test")
        yield f"| {' | '.join([id_, row['level'], row[table.column], row['what'], tests, state])} |"
    yield ""


def _link(test: str) -> str:
    file, _, function = test.partition("::")
    return f"[{Path(file).name}::{function}]({os.path.relpath(TESTS.parent / file, DOCS)})"


def _marked(module: ast.Module) -> Iterator[tuple[str, list[str]]]:
    """The test functions of a module that carry rows, with their ids."""
    for node in module.body:
        if isinstance(node, ast.FunctionDef):
            ids = [id_ for decorator in node.decorator_list for id_ in _ids(decorator)]
            if ids:
                yield node.name, ids


def _ids(decorator: ast.expr) -> list[Any]:
    if isinstance(decorator, ast.Call) and ast.unparse(decorator.func) == "pytest.mark.requirement":
        return [ast.literal_eval(argument) for argument in decorator.args]
    return []
