"""Whether the share of a disposition drifts: the last whole week beside all weeks before it."""

import math
from collections.abc import Iterator
from dataclasses import dataclass

from cds_service.report.sections import Section

LEAST = 30  # screenings on either side: of fewer a share says nothing
FAR = 3.0  # standard errors: by chance alone about one comparison in 370 is further


@dataclass(frozen=True)
class Drift:
    """A disposition whose share of the judged screenings changed: `now` and `before` in hundredths, of so many."""

    week: str
    topic: str
    now: int
    of: int
    before: int
    of_before: int


def drifts(section: Section) -> Iterator[Drift]:
    """Every disposition whose share in the last whole week is far from that of the weeks before.

    A two-proportion z-test with the pooled share. The week that is running is left out: it has only begun.
    """
    if not are_compared(section):
        return
    last, of_before = section.weeks[-2], sum(week.judged for week in section.weeks[:-2])
    of = last.judged
    for topic, tallies in section.topics.items():
        now, before = tallies[-2].decisions, sum(tally.decisions for tally in tallies[:-2])
        if _is_far(now, of, before, of_before):
            yield Drift(last.name, topic, round(100 * now / of), of, round(100 * before / of_before), of_before)


def are_compared(section: Section) -> bool:
    """Whether there are enough screenings on either side for `drifts` to say anything."""
    of_before = sum(week.judged for week in section.weeks[:-2])
    return len(section.weeks) > 2 and min(section.weeks[-2].judged, of_before) >= LEAST


def _is_far(now: int, of: int, before: int, of_before: int) -> bool:
    share = (now + before) / (of + of_before)
    error = math.sqrt(share * (1 - share) * (1 / of + 1 / of_before))
    return error > 0 and abs(now / of - before / of_before) >= FAR * error
