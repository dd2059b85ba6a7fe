"""What a run gave, in figures: how many responses have which disposition, as a table and as a chart.

The chart lies on its side, other than those of the report: names of dispositions are too long to stand below bars.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from jinja2 import Environment, FileSystemLoader

from cds_content.screening import Screening
from cds_service.population.rows import NOT_JUDGED

WIDTH, STEP, BROAD, NAMES = 320, 24, 16, 190  # pixels: of the longest bar, from bar to bar, of a bar, of the names
Counted = Mapping[tuple[str, str], int]  # (disposition, reason) → rows


@dataclass(frozen=True)
class Share:
    """How many rows there are of one kind, and how many in a hundred of all that is."""

    name: str
    count: int
    percent: float


def shares(screening: Screening, counted: Counted) -> list[Share]:
    """Each disposition, most urgent first, also those that nobody has; then why responses were not judged."""
    whole = sum(counted.values()) or 1
    names = dict.fromkeys(screening.dispositions, 0)
    for (disposition, reason), count in sorted(counted.items()):
        name = f"{NOT_JUDGED} ({reason})" if disposition == NOT_JUDGED else disposition
        names[name] = names.get(name, 0) + count
    return [Share(name, count, 100 * count / whole) for name, count in names.items()]


def table(found: Sequence[Share]) -> str:
    """The shares below each other, and all of them together."""
    lines = [("disposition", "responses", "share"), *((one.name, str(one.count), _share(one)) for one in found)]
    lines.append(("all", str(sum(one.count for one in found)), ""))
    wide, right = (max(len(line[place]) for line in lines) for place in (0, 1))
    return "\n".join(f"{name:<{wide}}  {count:>{right}}  {share:>7}".rstrip() for name, count, share in lines)


def chart(title: str, found: Sequence[Share]) -> str:
    """The shares as an SVG picture that stands alone; each figure is in its text as well."""
    pictures = Environment(loader=FileSystemLoader(Path(__file__).parent), autoescape=True, trim_blocks=True)
    most = max([1, *(one.count for one in found)])
    bars = [(place * STEP, one, round(WIDTH * one.count / most, 2), _share(one)) for place, one in enumerate(found)]
    size = {"width": NAMES + WIDTH + 130, "height": STEP * (len(found) + 2), "names": NAMES, "broad": BROAD}
    return pictures.get_template("chart.svg.jinja").render(title=title, bars=bars, top=STEP + 8, **size) + "\n"


def _share(one: Share) -> str:
    return f"{one.percent:.2f} %"
