"""The goals of speed: what a goal says of its ratios, and that the command which measures them ends as they say."""

import json
import subprocess
import sys
from pathlib import Path

import pytest

from benchmarks import __main__ as benchmark
from benchmarks.goals import Goal, line, verdict
from tests.locks import ROOT

pytestmark = pytest.mark.timeless  # another process does the work


def goal(*ratios: float, least: float | None = None, most: float | None = None) -> Goal:
    return Goal("a thing / another", "as agreed", least, most, ratios)


@pytest.mark.parametrize(
    ("measured", "said"),
    [
        (goal(2.9, 3.0, 9.0, least=3.0), "holds"),
        (goal(1.0, 2.9, 9.0, least=3.0), "falls short"),
        (goal(0.1, 2.0, 2.1, most=2.0), "holds"),
        (goal(0.1, 2.1, 2.2, most=2.0), "falls short"),
        (goal(0.0, most=0.0), "holds"),
        (goal(1.0, most=0.0), "falls short"),
        (goal(100.0), "shown only"),
    ],
)
def test_a_goal_holds_or_falls_short_by_the_median_of_its_ratios(measured: Goal, said: str) -> None:
    assert (verdict(measured), measured.holds) == (said, said != "falls short")


def test_the_line_of_a_goal_names_least_median_and_most() -> None:
    assert line(goal(3.0, 1.0, 2.5, least=3.0)) == (
        "a thing / another: 1.00 .. 2.50 .. 3.00, goal as agreed, falls short"
    )


def test_the_line_of_what_is_only_shown_names_no_goal() -> None:
    assert line(goal(2.0)) == "a thing / another: 2.00 .. 2.00 .. 2.00, shown only"


def test_the_command_measures_a_real_service_and_writes_what_it_found(tmp_path: Path) -> None:
    results = tmp_path / "results.json"
    words = ["quick", "rounds=1", f"results={results}", "outbound"]
    done = subprocess.run([sys.executable, "-m", "benchmarks", *words], cwd=ROOT, capture_output=True, text=True)
    assert done.returncode == 0, done.stdout + done.stderr
    written = json.loads(results.read_text("utf-8"))
    assert {"Python", "SQLite", "waitress", "Flask"} <= written["machine"].keys()
    (found,) = written["goals"]
    assert (found["ratios"], found["at_most"], found["verdict"]) == ([0], 0.0, "holds")
    assert f"{found['name']}: 0.00 .. 0.00 .. 0.00, goal 0, holds" in done.stdout


@pytest.mark.parametrize(
    ("goals", "code"),
    [([goal(3.0, least=3.0)], 0), ([goal(3.0, least=3.0), goal(1.0, least=3.0)], 1), (None, 1)],
    ids=["all hold", "one falls short", "cannot be measured"],
)
def test_the_command_ends_as_its_goals_say(
    goals: list[Goal] | None, code: int, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def measure(_rounds: int, *, quick: bool) -> list[Goal]:
        del quick
        if goals is None:
            raise RuntimeError("a server did not start")
        return goals

    monkeypatch.setattr("benchmarks.outbound.goals", measure)
    assert benchmark.main([f"results={tmp_path / 'results.json'}", "outbound"]) == code
    unmeasured = json.loads((tmp_path / "results.json").read_text("utf-8"))["cannot be measured"]
    assert unmeasured == (["outbound"] if goals is None else [])


def test_a_word_that_names_no_goal_is_refused() -> None:
    assert benchmark.main(["no-such-goal"]) == 2
