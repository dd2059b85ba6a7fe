"""What is remembered of the responses read so far, bounded: when it is full, it is begun anew."""

from dataclasses import dataclass, field
from datetime import date
from typing import Any

from cds_service.answers import Answer, read_answers
from cds_service.population.marks import marks
from cds_service.population.rows import Judge, Outcome

LONGEST = 10_000  # bytes of a line of which anything is remembered
MOST = 25_000  # entries of each table
MOST_KINDS = 2_000  # a number of so many bits is still quick
Moment = tuple[int, date, date]  # the number of the way in which it counts; the first and the last day of filling in


@dataclass
class Memory:
    """What is remembered for one Judge."""

    judge: Judge
    items: dict[bytes, int] = field(default_factory=dict)  # each item → its questions, and from `shift` its bits
    stated: dict[bytes, Answer] = field(default_factory=dict)  # each item with the age → that answer
    kinds: dict[bytes, int] = field(default_factory=dict)  # each item with a tied question → its bit
    tied: dict[Any, int] = field(default_factory=dict)  # mixtures of these items → the bits of the tied questions
    ages: dict[Any, int] = field(default_factory=dict)
    ways: dict[Any, int] = field(default_factory=dict)
    moments: dict[str, Moment | None] = field(default_factory=dict)
    sound: dict[bytes, bool] = field(default_factory=dict)  # members that are not used, and are JSON
    quick: dict[Any, Outcome] = field(default_factory=dict)  # by the bits of all answers
    outcomes: dict[Any, Outcome] = field(default_factory=dict)  # by the findings that are true
    full: bool = False

    def __post_init__(self) -> None:
        screening = self.judge.screening
        ties = {name for one in screening.questions.values() if one.shown_for for name in (one.link_id, *one.shown_for)}
        self.marks = marks(screening)
        self.ties = [name for name in screening.questions if name in ties]
        self.at = {name: 2 << place for place, name in enumerate(screening.questions)}
        self.low = (2 << len(self.at)) - 1
        self.shift = self.low.bit_length() + LONGEST.bit_length()  # room for the sum of all items of a line
        self.ties_at = sum(self.at[name] for name in self.ties)
        self.unsaid = read_answers({}, screening.questions, screening.displays)
        self.absent = [(self.at[name], self.marks.of(name, self.unsaid[name])) for name in self.at if name not in ties]
        self.aged = [name for name, one in screening.questions.items() if one.item.birth_date]


def keep(memory: Memory, table: dict[Any, Any], key: Any, value: Any) -> None:
    table[key] = value
    memory.full = memory.full or len(table) >= MOST or len(memory.kinds) >= MOST_KINDS


def forget(memory: Memory) -> None:
    """Begins anew, between two lines: the bits in one table mean something in the others. `ways` stay: they are few."""
    for one in (memory.items, memory.stated, memory.kinds, memory.tied, memory.ages, memory.quick):
        one.clear()
    for other in (memory.moments, memory.sound, memory.outcomes):
        other.clear()
    memory.full = False
