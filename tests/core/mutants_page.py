"""The page of the mutants, for readers: what was mutated, what was not and why, and what no test can notice."""

from collections.abc import Iterable, Iterator, Sequence
from typing import Protocol

_HEAD = """# Mutants of the core

Tests that pass say little while nobody knows whether they would fail. `make mutants` puts small faults into the pure
core, one at a time (a `<` becomes `<=`, an `and` becomes `or`, a text or a number changes), and runs `tests/core`
with each. A fault that no test notices fails the run, unless [mutants.toml](mutants.toml) explains why no input can
show it; an explanation that is no longer needed fails it, too. The tool is mutmut; `scripts/mutants` runs it and
writes this page. The tests of `tests/core` also run with all other tests.

| module | faults | noticed |
|---|---|---|
"""
_SURVIVORS = """
## Not noticed, and why

"""
_PLANTED = """
## Planted by hand

mutmut puts faults into plain functions only: not into methods of decorated classes, which all frozen dataclasses are,
nor into what stands outside functions. There these faults are planted, and every one must be noticed.

| file | line | with the fault | what it would do |
|---|---|---|---|
"""


class Listed(Protocol):
    """A fault as mutants.toml lists it."""

    @property
    def place(self) -> str: ...
    @property
    def line(self) -> str: ...
    @property
    def changed(self) -> str: ...
    @property
    def reason(self) -> str: ...


def page(figures: Iterable[tuple[str, int, int]], survivors: Sequence[Listed], planted: Sequence[Listed]) -> str:
    """The page in Markdown: (module, faults, noticed) of each module, and the lists of mutants.toml."""
    rows = [f"| `{module}` | {number} | {killed} |\n" for module, number, killed in figures]
    return "".join([_HEAD, *rows, _SURVIVORS, *_listed(survivors), _PLANTED, *map(_row, planted)])


def _listed(survivors: Sequence[Listed]) -> Iterator[str]:
    if not survivors:
        yield "Nothing: every fault was noticed.\n"
    for one in survivors:
        yield f"- `{one.place}`: {one.reason}\n\n  ```diff\n"
        yield from (
            f"  {sign}{line}\n" for sign, text in (("-", one.line), ("+", one.changed)) for line in text.splitlines()
        )
        yield "  ```\n"


def _row(one: Listed) -> str:
    file, line, changed = (f"`{words}`".replace("|", r"\|") for words in (one.place, one.line, one.changed))
    return f"| {file} | {line} | {changed} | {one.reason} |\n"
