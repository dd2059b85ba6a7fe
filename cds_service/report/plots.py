"""Bar charts of the report as geometry: the page draws them as inline SVG, and has every figure in a table as well."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from cds_service.report.sections import Section, Tally, total

LEFT, TOP, HEIGHT, STEP, GAP, FOOT = 44, 12, 120, 48, 10, 24  # pixels
WORDS = {"silent": "without feedback"}  # of a kind of bar, where its own name is not the word


@dataclass(frozen=True)
class Bar:
    """A rectangle; `kind` says what it counts, `words` the same to whom cannot see it."""

    x: int
    y: float
    height: float
    kind: str
    words: str


@dataclass(frozen=True)
class Plot:
    """A chart: each label stands below the middle of its bar, at `x`. `top` is the number at the upper line."""

    id: str
    title: str
    words: str
    kinds: tuple[tuple[str, str], ...]  # each with its words
    bars: tuple[Bar, ...]
    labels: tuple[tuple[int, str], ...]
    top: int

    @property
    def width(self) -> int:
        return LEFT + STEP * len(self.labels)

    @property
    def height(self) -> int:
        return TOP + HEIGHT + FOOT


def plots(section: Section) -> list[Plot]:
    """The charts of a screening: incomplete screenings, cards by how they ended, by week, by topic and by row."""
    names = [week.name[5:] for week in section.weeks]
    shares = [{"incomplete": week.share or 0} for week in section.weeks]
    share = "Incomplete screenings in each week, in a hundred of those judged"
    charts = [_plot(f"{section.name}-share", share, names, shares, top=100)]
    every = [_endings(week.cards) for week in section.weeks]
    charts.append(_plot(f"{section.name}-cards", "Cards in each week, by how they ended", names, every))
    for topic, weeks in section.topics.items():
        if total(weeks).shown:
            title = f"Cards {topic} in each week, by how they ended"
            charts.append(_plot(f"{section.name}-{topic}", title, names, [_endings(week) for week in weeks]))
    rows = [_endings(total(weeks)) for weeks in section.rows.values()]
    title = "Cards of each row in all these weeks, by how they ended"
    return [*charts, _plot(f"{section.name}-rows", title, list(section.rows), rows)]


def _endings(cards: Tally) -> dict[str, int]:
    return {"accepted": cards.accepted, "overridden": cards.overridden, "silent": cards.silent}


def _plot(id_: str, title: str, names: Sequence[str], stacks: Sequence[Mapping[str, int]], top: int = 0) -> Plot:
    """The stacks side by side, each with its parts upon each other, as high as the highest of them."""
    top = top or max([1, *(sum(stack.values()) for stack in stacks)])
    bars = []
    for at, (name, stack) in enumerate(zip(names, stacks, strict=True)):
        below = 0
        for kind, number in stack.items():
            below += number
            y, height = TOP + HEIGHT * (1 - below / top), HEIGHT * number / top
            if number:
                bars.append(
                    Bar(
                        LEFT + STEP * at + GAP // 2,
                        round(y, 2),
                        round(height, 2),
                        kind,
                        f"{name}: {WORDS.get(kind, kind)} {number}",
                    )
                )
    kinds = tuple((kind, WORDS.get(kind, kind)) for kind in dict.fromkeys(kind for stack in stacks for kind in stack))
    labels = tuple((LEFT + STEP * at + STEP // 2, name) for at, name in enumerate(names))
    words = f"{', '.join(word for _, word in kinds)}; the tables below have every figure. " + (
        "" if bars else "There is nothing to draw."
    )
    return Plot(id_, title, words.strip(), kinds, tuple(bars), labels, top)
