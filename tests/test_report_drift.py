"""A disposition whose share changes from week to week is named in the report; what chance can do is not."""

import pytest

from cds_service.report.drift import Drift, drifts
from cds_service.report.remarks import remarks
from cds_service.report.sections import Section, Tally, Week

pytestmark = pytest.mark.timeless  # weeks are names here
RUNNING = (1000, 1000)  # (screenings, of the disposition) of the week that is running: it is left out

# Each row: why, (screenings, of the disposition) for each week, whether that drifts. The limit is three standard errors
# of the difference of two shares, with the pooled share p: sqrt(p (1 - p) (1/n + 1/m)).
WEEKS: list[tuple[str, list[tuple[int, int]], bool]] = [
    ("10 % before and 30 % now, error 0.034", [(500, 50), (500, 50), (100, 30)], True),
    ("20 % before and none now, error 0.040", [(500, 100), (500, 100), (100, 0)], True),
    ("none before and 10 % now, error 0.0086", [(500, 0), (500, 0), (100, 10)], True),
    ("10 % before and 14 % now, error 0.032", [(500, 50), (500, 50), (100, 14)], False),
    ("the same share", [(500, 50), (500, 50), (100, 10)], False),
    ("always, so that there is no error", [(500, 500), (500, 500), (100, 100)], False),
    ("never", [(500, 0), (500, 0), (100, 0)], False),
    ("too few screenings now", [(500, 50), (500, 50), (29, 29)], False),
    ("just enough screenings now", [(500, 50), (500, 50), (30, 30)], True),
    ("too few screenings before", [(14, 0), (15, 0), (100, 100)], False),
    ("one week before it", [(100, 10), (100, 60)], True),
    ("no week before it", [(100, 60)], False),
]


def section(weeks: list[tuple[int, int]]) -> Section:
    """A section of these weeks and the one that is running."""
    tallies = tuple(Tally(of_it, of_it, of_it, 0, {}) for _, of_it in [*weeks, RUNNING])
    names = [f"2026-W{number:02}" for number in range(1, len(weeks) + 2)]
    judged = [number for number, _ in [*weeks, RUNNING]]
    held = zip(names, judged, tallies, strict=True)
    every = tuple(Week(name, number, 0, number, 0, 0, tally) for name, number, tally in held)
    return Section("neck", "Neck", every, {"doctor-soon": tallies}, {"N01": tallies}, {})


@pytest.mark.parametrize(("weeks", "drifting"), [row[1:] for row in WEEKS], ids=[row[0] for row in WEEKS])
def test_a_share_drifts_where_chance_does_not_explain_it(weeks: list[tuple[int, int]], drifting: bool) -> None:
    assert [one.topic for one in drifts(section(weeks))] == ["doctor-soon"] * drifting


def test_both_shares_and_their_numbers_are_told() -> None:
    assert list(drifts(section([(500, 50), (500, 50), (100, 30)]))) == [
        Drift("2026-W03", "doctor-soon", 30, 100, 10, 1000)
    ]


def test_the_report_says_it_in_words() -> None:
    said = [one for one in remarks(section([(500, 50), (500, 50), (100, 30)])) if "drifts" in one]

    shares = "30 % of 100 screenings, and 10 % of 1000 in the weeks before"
    why = "Did a rule, a form, a code or the patients change?"
    assert said == [f"2026-W03: the share of doctor-soon drifts: {shares}. {why}"]
