"""The list of faults is current: what it names still stands in the source, and nothing is left out of it."""

import ast
import importlib
import inspect
from pathlib import Path

import pytest

from tests.core.mutants import PAGE, ROOT, Change, complaints, explained, function_of, modules, planted

pytestmark = pytest.mark.timeless

SURVIVORS, PLANTED = explained(), planted()


def source(function: str) -> list[str]:
    """The lines of `package.module.function` or `package.module.Class.method`, without their blanks."""
    parts = function.split(".")
    found = importlib.import_module(".".join(parts[:2]))
    for name in parts[2:]:
        found = getattr(found, name)
    return [line.strip() for line in inspect.getsource(found).splitlines()]


def test_a_survivor_names_lines_of_its_function_in_a_mutated_file() -> None:
    for one in SURVIVORS:
        assert "/".join(one.place.split(".")[:2]) + ".py" in modules(), one
        assert set(one.line.splitlines()) <= set(source(one.place)), one


@pytest.mark.parametrize("one", PLANTED, ids=[one.changed for one in PLANTED])
def test_a_planted_fault_names_a_line_that_stands_once_in_a_mutated_file(one: Change) -> None:
    assert one.place in modules()
    assert (ROOT / one.place).read_text("utf-8").count(one.line) == 1


def test_each_is_listed_once_with_a_change_and_a_reason() -> None:
    every = [*SURVIVORS, *PLANTED]

    assert len({one.key for one in every}) == len(every)
    assert all(one.line and one.line != one.changed and one.reason.strip() for one in every)


def unmutated(path: Path) -> list[str]:
    """The text of every function that has a decorator, or whose class has one: there mutmut puts no fault."""
    text = path.read_text("utf-8")
    tree = ast.parse(text)
    functions = [one for one in ast.walk(tree) if isinstance(one, ast.FunctionDef)]
    classes = [one for one in ast.walk(tree) if isinstance(one, ast.ClassDef) and one.decorator_list]
    within = [part for one in classes for part in one.body if isinstance(part, ast.FunctionDef)]
    found = {one.name: one for one in [*within, *(one for one in functions if one.decorator_list)]}
    return [ast.get_source_segment(text, one) or "" for one in found.values()]


@pytest.mark.parametrize("file", modules())
def test_every_function_without_mutants_has_a_planted_fault(file: str) -> None:
    for text in unmutated(ROOT / file):
        assert [one for one in PLANTED if one.place == file and one.line in text], text


def test_the_page_names_every_module_and_every_listed_fault() -> None:
    text = PAGE.read_text("utf-8").replace(r"\|", "|")

    for file in modules():
        assert file.removesuffix(".py").replace("/", ".") in text
    for one in [*SURVIVORS, *PLANTED]:
        assert one.reason in text
        assert all(line in text for line in [*one.line.splitlines(), *one.changed.splitlines()])


def test_a_mutant_is_known_by_its_function() -> None:
    assert function_of("cds_service.advice.x_decide__mutmut_35") == "cds_service.advice.decide"
    assert function_of("cds_service.advice.x__unknown__mutmut_2") == "cds_service.advice._unknown"
    assert function_of("cds_service.orders.xǁOrderǁname__mutmut_1") == "cds_service.orders.Order.name"


def test_a_survivor_without_an_explanation_and_an_explanation_without_a_survivor_are_both_wrong() -> None:
    one, other = (
        Change("cds_service.advice.older", "a < b", "a <= b", "why"),
        Change("cds_service.advice.says", "c", "d"),
    )

    assert list(complaints([one], [one])) == []
    assert [words.partition(":")[0] for words in complaints([other], [one])] == [
        "not noticed",
        "explained, but noticed or not there any more",
    ]
