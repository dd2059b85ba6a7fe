"""All goals of speed, or those that a word names: python -m benchmarks [quick] [rounds=N] [results=PATH] [NAME ...]

Prints a line for each, writes benchmarks/results.json, and ends with 1 when one falls short or cannot be measured.
"""

import json
import os
import platform
import signal
import sqlite3
import subprocess
import sys
from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict
from importlib import import_module
from importlib.metadata import version
from pathlib import Path

from benchmarks import beside
from benchmarks.goals import Goal, line, verdict

ROUNDS = 5
GROUPS = ("full", "jwt", "paced", "purge", "million", "ten", "start", "memory", "outbound", "workers", "population")
BESIDE_OTHERS = {"full", "paced", "start"}  # for these HealthChain and Express are installed
LIBRARIES = ("Flask", "waitress", "orjson", "SQLAlchemy", "joserfc")

Found = Mapping[str, Sequence[Goal]]  # by group; none where it could not be measured


def main(words: Sequence[str]) -> int:
    """The exit code: 0 when all that was measured holds, 1 when something falls short, 2 when a word names no goal."""
    options = dict(word.split("=", 1) for word in words if "=" in word)
    names = [word for word in words if word != "quick" and "=" not in word]
    chosen = [group for group in GROUPS if not names or any(name in group for name in names)]
    if not chosen or not options.keys() <= {"rounds", "results"}:
        print(f"write quick, rounds=N, results=PATH, or words of: {', '.join(GROUPS)}", file=sys.stderr)
        return 2
    rounds, machine = int(options.get("rounds", ROUNDS)), _machine(beside_others=not BESIDE_OTHERS.isdisjoint(chosen))
    print(", ".join(f"{name} {value}" for name, value in machine.items()), f"{rounds} rounds", sep="; ", flush=True)
    found = {group: _measured(group, rounds, quick="quick" in words) for group in chosen}
    written = {"machine": machine, "rounds": rounds, "quick": "quick" in words, **_results(found)}
    path = Path(options.get("results", Path(__file__).with_name("results.json")))
    path.write_text(json.dumps(written, indent=2, ensure_ascii=False) + "\n", "utf-8")
    return 0 if all(goals and all(goal.holds for goal in goals) for goals in found.values()) else 1


def _measured(group: str, rounds: int, *, quick: bool) -> list[Goal]:
    """A group is a module with `goals`; each is told as soon as it is known. None where it cannot be measured."""
    measure: Callable[..., list[Goal]] = import_module(f"benchmarks.{group}").goals
    try:
        found = measure(rounds, quick=quick)
    except (RuntimeError, OSError, subprocess.SubprocessError) as error:
        print(f"{group}: cannot be measured, and so falls short: {error}", flush=True)
        return []
    for goal in found:
        print(line(goal), flush=True)
    return found


def _machine(*, beside_others: bool) -> dict[str, str]:
    """What the figures belong to."""
    own = {"Python": platform.python_version(), "cores": str(os.cpu_count()), "SQLite": sqlite3.sqlite_version}
    return own | {name: version(name) for name in LIBRARIES} | (beside.versions() if beside_others else {})


def _results(found: Found) -> dict[str, object]:
    goals = [goal for group in found.values() for goal in group]
    return {
        "goals": [asdict(goal) | {"median": goal.median, "verdict": verdict(goal)} for goal in goals],
        "cannot be measured": [group for group, measured in found.items() if not measured],
    }


if __name__ == "__main__":
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(1))  # so that the servers end as well
    sys.exit(main(sys.argv[1:]))
