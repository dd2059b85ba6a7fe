"""What is remembered of the responses read so far, bounded: what is full is begun anew.

Of an item one number is remembered, so that those of a response are just added up. It begins with counts, each of
them 1 or 0: whether the item is odd, so that nothing is remembered of it; whether it is stray; and for each question,
whether it answers that. From `shift` on it has the bits of `marks`. MOST_ITEMS are so few that no count runs over.
"""

from dataclasses import dataclass, field
from datetime import date
from typing import Any

from cds_content.shapes import Json
from cds_service.answers import Answer, read_answers
from cds_service.population.marks import marks
from cds_service.population.rows import Judge, Outcome

LONGEST = 10_000  # bytes of a line of which anything is remembered
MOST = 25_000  # entries of each table
MOST_KINDS = 2_000  # a number of so many bits is still quick
_COUNT = 6  # bits of a count
MOST_ITEMS = (1 << _COUNT) - 1
ODD, STRAY = 1, 1 << _COUNT  # the number of an item that is nothing but that
Moment = tuple[int, date, date]  # the number of the way in which it counts; the first and the last day of filling in


@dataclass
class Memory:
    """What is remembered for one Judge."""

    judge: Judge
    items: dict[bytes, int] = field(default_factory=dict)  # each item, as `items` cuts it → its number
    parsed: dict[bytes, Json] = field(default_factory=dict)  # each item as it was read
    stated: dict[bytes, Answer] = field(default_factory=dict)  # each item with the age → that answer
    kinds: dict[bytes, int] = field(default_factory=dict)  # each item with a tied question → its bit
    tied: dict[Any, int] = field(default_factory=dict)  # mixtures of these items → the bits of the tied questions
    ages: dict[Any, int] = field(default_factory=dict)
    ways: dict[Any, int] = field(default_factory=dict)
    moments: dict[str, Moment | None] = field(default_factory=dict)
    sound: dict[bytes, bool] = field(default_factory=dict)  # members that are not used, and are JSON
    quick: dict[Any, Outcome] = field(default_factory=dict)  # by the bits of all answers
    outcomes: dict[Any, Outcome] = field(default_factory=dict)  # by the findings that are true

    def __post_init__(self) -> None:
        screening = self.judge.screening
        ties = {name for one in screening.questions.values() if one.shown_for for name in (one.link_id, *one.shown_for)}
        self.marks = marks(screening)
        self.ties = [name for name in screening.questions if name in ties]
        self.at = {name: 1 << _COUNT * place for place, name in enumerate(screening.questions, start=2)}
        self.shift = _COUNT * (2 + len(self.at))
        self.stray = STRAY * MOST_ITEMS
        self.ties_at = sum(self.at[name] for name in self.ties)
        self.twice = ODD * MOST_ITEMS | sum(one * (MOST_ITEMS - 1) for one in self.at.values())
        self.unsaid = read_answers({}, screening.questions, screening.displays)
        self.absent = [(self.at[name], self.marks.of(name, self.unsaid[name])) for name in self.at if name not in ties]
        self.aged = [name for name, one in screening.questions.items() if one.item.birth_date]


def keep(table: dict[Any, Any], key: Any, value: Any) -> None:
    if len(table) >= MOST:
        table.clear()
    table[key] = value


def forget_full(memory: Memory) -> None:
    """Between two lines: where the items are full, all begins anew in which their bits mean something."""
    if len(memory.items) >= MOST or len(memory.kinds) >= MOST_KINDS:
        for one in (memory.items, memory.parsed, memory.stated, memory.kinds, memory.tied, memory.quick):
            one.clear()
