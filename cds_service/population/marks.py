"""What `decide` can see of the answers of a response, as the bits of one number.

Each question has bits of its own: which conditions hold of its answer, why it is doubted where that matters, that it is
not safe, in scope, out of scope. A condition is true or not by bits alone: `all` and `any` of what holds.
"""

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from typing import get_args

from cds_content.screening import Question, Screening
from cds_content.shapes import Condition
from cds_service.answers import Answer, Answers, Doubt
from cds_service.findings import Truth, truth

Holds = Callable[[int], bool]


@dataclass(frozen=True)
class Marks:
    """Which bit means what. `regions` are all bits of a question."""

    screening: Screening
    atoms: Mapping[str, Mapping[Condition, int]]
    doubts: Mapping[tuple[str, str], int]
    unsafe: Mapping[str, int]
    inside: Mapping[str, int]
    outside: Mapping[str, int]
    regions: Mapping[str, int]
    kept: int  # the bits that say something of themselves: the doubts, and `stray`
    shared: tuple[int, int, int]  # all of `unsafe`, of `inside`, of `outside`: of which question it is does not matter
    findings: tuple[Holds, ...]
    stray: int
    first_free: int

    def of(self, name: str, answer: Answer) -> int:
        """The bits of an answer to the question of this name."""
        question, alone = self.screening.questions[name], Answers({name: answer})
        bits = sum(bit for atom, bit in self.atoms[name].items() if truth(atom, alone) is Truth.YES)
        bits |= self.doubts[name, answer.doubt] if answer.doubt and question.item.safety else 0
        bits |= 0 if _is_safe(question, answer) else self.unsafe[name]
        bits |= self.inside[name] if answer.codes & question.item.in_scope else 0
        return bits | (self.outside[name] if answer.codes & question.item.out_of_scope else 0)

    def reduced(self, bits: int) -> tuple[int, int, bool, bool, bool]:
        """The findings that are true by these bits, and what else there is to see."""
        true = sum(1 << place for place, holds in enumerate(self.findings) if holds(bits))
        unsafe, inside, outside = (bool(bits & one) for one in self.shared)
        return true, bits & self.kept, unsafe, inside, outside


def marks(screening: Screening) -> Marks:
    """The bits for a screening; those from `first_free` on are nobody's."""
    names = list(screening.questions)
    found = [atom for one in screening.findings if one.when for atom in one.when.atoms()]
    every: list[object] = [*dict.fromkeys(found), *((name, doubt) for name in names for doubt in get_args(Doubt))]
    every += [(kind, name) for kind in ("unsafe", "inside", "outside") for name in names]
    bit = {what: 1 << place for place, what in enumerate(every)}
    atoms = {name: {atom: bit[atom] for atom in found if atom.answer == name} for name in names}
    doubts = {(name, doubt): bit[name, doubt] for name in names for doubt in get_args(Doubt)}
    own = [{name: bit[kind, name] for name in names} for kind in ("unsafe", "inside", "outside")]
    unsafe, inside, outside = own
    regions = {
        name: _all([*atoms[name].values(), *(doubts[name, one] for one in get_args(Doubt)), *(of[name] for of in own)])
        for name in names
    }
    stray = 1 << len(every)
    kept, shared = (
        _all([stray, *doubts.values()]),
        (_all(unsafe.values()), _all(inside.values()), _all(outside.values())),
    )
    holds = tuple(_holds(one.when, bit) for one in screening.findings if one.when)
    return Marks(screening, atoms, doubts, unsafe, inside, outside, regions, kept, shared, holds, stray, stray << 1)


def _holds(condition: Condition, bit: Mapping[object, int]) -> Holds:
    if condition.all_:
        parts = [_holds(one, bit) for one in condition.all_]
        return lambda bits: all(part(bits) for part in parts)
    if condition.any_ and any(one.all_ or one.any_ for one in condition.any_):
        parts = [_holds(one, bit) for one in condition.any_]
        return lambda bits: any(part(bits) for part in parts)
    mask = _all(bit[one] for one in condition.any_ or (condition,))
    return lambda bits: bool(bits & mask)


def _all(bits: Iterable[int]) -> int:
    together = 0
    for one in bits:
        together |= one
    return together


def _is_safe(question: Question, answer: Answer) -> bool:
    """As advice.toml means it: not asked, or known and safe, or in scope; a number only has to be known."""
    codes = question.item.reassuring
    known = answer.span is not None if not question.options else bool(answer.codes) and answer.codes <= codes
    return not answer.asked or (not answer.doubt and known)
