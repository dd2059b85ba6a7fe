"""Small faults in the pure core: which of them no test noticed, and whether each of these is explained.

`scripts/mutants` calls this. It runs mutmut, which puts one fault after another into a copy of the code in mutants/;
plants there the faults of docs/safety/mutants.toml where mutmut puts none; and writes docs/safety/mutants.md.
"""

import os
import shutil
import subprocess
import sys
import tomllib
from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import click

from tests.core.mutants_page import page

ROOT = Path(__file__).parent.parent.parent
LIST = ROOT / "docs/safety/mutants.toml"
PAGE = ROOT / "docs/safety/mutants.md"
COPY = ROOT / "mutants"
MUTMUT = Path(sys.executable).with_name("mutmut")


@dataclass(frozen=True)
class Change:
    """A fault: in a function or file, the `line` that became `changed`; `reason` says why it is listed."""

    place: str
    line: str
    changed: str
    reason: str = ""

    @property
    def key(self) -> tuple[str, str, str]:
        return self.place, self.line, self.changed


def explained() -> list[Change]:
    """The survivors of mutants.toml: no input can show the difference."""
    return [_change(table, "function") for table in _tables("survivor")]


def planted() -> list[Change]:
    """The faults of mutants.toml that are planted by hand, where mutmut puts none."""
    return [_change(table, "file") for table in _tables("planted")]


def modules() -> list[str]:
    """The files that are mutated, as pyproject.toml says."""
    files: list[str] = tomllib.loads((ROOT / "pyproject.toml").read_text("utf-8"))["tool"]["mutmut"]["only_mutate"]
    return files


def main() -> int:
    """0 when every fault was noticed or is explained, and every explanation still has its fault; else 1."""
    results, known, by_hand = _mutated(), explained(), planted()
    found = [_survivor(name) for name, status in results if status != "killed"]
    _restore()
    lost = [one for one in by_hand if not _is_noticed(one)]
    wrong = [*complaints(found, known), *(f"planted and not noticed: {_shown(one)}; write a test" for one in lost)]
    click.echo("\n".join(wrong))
    click.echo(f"{len(results)} mutants: {len(results) - len(found)} noticed, {len(found)} not; {len(known)} explained")
    click.echo(f"{len(by_hand)} faults planted by hand: {len(by_hand) - len(lost)} noticed")
    if not wrong:
        PAGE.write_text(page(_figures(results), known, by_hand), "utf-8")
    return 1 if wrong else 0


def complaints(found: Sequence[Change], known: Sequence[Change]) -> Iterator[str]:
    """Each survivor without an explanation, and each explanation without a survivor."""
    survivors, explanations = {one.key for one in found}, {one.key for one in known}
    for one in (one for one in found if one.key not in explanations):
        yield f"not noticed: {_shown(one)}; write a test in tests/core, or why no input shows it in mutants.toml"
    for one in (one for one in known if one.key not in survivors):
        yield f"explained, but noticed or not there any more: {_shown(one)}; remove it from mutants.toml"


def _tables(name: str) -> list[dict[str, Any]]:
    tables: list[dict[str, Any]] = tomllib.loads(LIST.read_text("utf-8")).get(name, [])
    return tables


def _change(table: dict[str, Any], place: str) -> Change:
    return Change(table[place], table["line"], table["changed"], table["reason"])


def _shown(one: Change) -> str:
    return f"{one.place}\n  - {one.line}\n  + {one.changed}\n"


def _mutated() -> list[tuple[str, str]]:
    """Every mutant's name and what became of it: killed, survived, no tests, timeout, suspicious, ..."""
    shutil.rmtree(COPY, ignore_errors=True)
    ran = subprocess.run([MUTMUT, "run", "--max-children", str(os.cpu_count() or 1)], cwd=ROOT, capture_output=True)
    if ran.returncode:
        raise SystemExit(f"mutmut did not run through:\n{ran.stdout.decode()[-5000:]}{ran.stderr.decode()[-2000:]}")
    results = _said("results", "--all", "true")
    return [(name, status) for name, status in (line.strip().split(": ") for line in results)]


def _said(*words: str) -> list[str]:
    return subprocess.run([MUTMUT, *words], cwd=ROOT, capture_output=True, check=True, text=True).stdout.splitlines()


def _survivor(name: str) -> Change:
    """What mutmut did: its number may change with every edit, the function and the line less so."""
    diff = [line for line in _said("show", name) if not line.startswith(("---", "+++"))]
    before, after = ("\n".join(line[1:].strip() for line in diff if line.startswith(sign)) for sign in "-+")
    return Change(function_of(name), before, after)


def function_of(mutant: str) -> str:
    """`cds_service.advice.x_decide__mutmut_35` → `cds_service.advice.decide`."""
    module, _, own = mutant.partition("__mutmut_")[0].rpartition(".")
    return f"{module}.{own.removeprefix('x_').removeprefix('xǁ').replace('ǁ', '.')}"


def _restore() -> None:
    """The sound code in the copy, without mutmut's faults; there all tests must pass."""
    for file in modules():
        shutil.copy(ROOT / file, COPY / file)
    if _tests_fail():
        raise SystemExit("the tests fail without any fault; mend them first")


def _is_noticed(fault: Change) -> bool:
    """Whether the tests fail with the sound code but for this fault."""
    sound = (ROOT / fault.place).read_text("utf-8")
    if sound.count(fault.line) != 1:
        raise SystemExit(f"{fault.place}: {fault.line} does not stand there once; write a line that does")
    (COPY / fault.place).write_text(sound.replace(fault.line, fault.changed), "utf-8")
    failed = _tests_fail()
    (COPY / fault.place).write_text(sound, "utf-8")
    return failed


def _tests_fail() -> bool:
    options = ["-x", "-o", "pythonpath=.", "-p", "no:cacheprovider", "--ignore=tests/core/test_mutants_page.py"]
    words = [sys.executable, "-B", "-m", "pytest", *options, "--rootdir=.", "tests/core"]
    ran = subprocess.run(words, cwd=COPY, capture_output=True)
    return ran.returncode != 0


def _figures(results: list[tuple[str, str]]) -> Iterator[tuple[str, int, int]]:
    """Of each module: mutants, and those noticed."""
    whole = Counter(name.partition(".x")[0] for name, _ in results)
    killed = Counter(name.partition(".x")[0] for name, status in results if status == "killed")
    yield from ((module, number, killed[module]) for module, number in sorted(whole.items()))


if __name__ == "__main__":
    raise SystemExit(main())
