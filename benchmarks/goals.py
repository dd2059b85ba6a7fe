"""A goal of speed: a ratio of two things that were measured in turns in one run, and what it has to reach."""

import statistics
from dataclasses import dataclass


@dataclass(frozen=True)
class Goal:
    """What was measured, in words, and the ratio of each round.

    The median has to be `at_least` or `at_most`; with neither the ratios are only shown. `said`: the figures behind.
    """

    name: str
    goal: str
    at_least: float | None
    at_most: float | None
    ratios: tuple[float, ...]
    said: str = ""

    @property
    def median(self) -> float:
        """Of the rounds. Raises StatisticsError where none was measured."""
        return statistics.median(self.ratios)

    @property
    def holds(self) -> bool:
        """Whether the median reaches the goal. One that is only shown always holds."""
        enough = self.at_least is None or self.median >= self.at_least
        return enough and (self.at_most is None or self.median <= self.at_most)

    @property
    def is_aimed(self) -> bool:
        """Whether there is something to reach."""
        return self.at_least is not None or self.at_most is not None


def line(goal: Goal) -> str:
    """One line: the name, least .. median .. most, the goal, and whether it holds."""
    ratios = f"{min(goal.ratios):.2f} .. {goal.median:.2f} .. {max(goal.ratios):.2f}"
    aimed = f"goal {goal.goal}, " if goal.is_aimed else ""
    return f"{goal.name}: {ratios}, {aimed}{verdict(goal)}" + (f" ({goal.said})" if goal.said else "")


def verdict(goal: Goal) -> str:
    """In words: holds, falls short, or that there is nothing to reach."""
    return ("holds" if goal.holds else "falls short") if goal.is_aimed else "shown only"
