"""How two patients may differ: the same answer, a more alarming one, one that is ruined, or more that is reported."""

from collections.abc import Iterator

import z3

from cds_content.screening import Question, Screening
from cds_proof.patients import Patient, Said


def as_counted(one: Patient, other: Patient) -> z3.BoolRef:
    """Both responses count alike."""
    return z3.And(one.doubted == other.doubted, one.alarms == other.alarms)


def same(one: Said, other: Said) -> z3.BoolRef:
    """The same answer, whatever it is worth."""
    codes = [one.codes[code] == other.codes[code] for code in one.codes]
    numbers = [one.numbered == other.numbered, one.low == other.low, one.high == other.high]
    return z3.And(one.damaged == other.damaged, *codes, *numbers)


def more_alarming(screening: Screening, one: Said, other: Said) -> z3.BoolRef:
    """The same answer, or one that the item's `order` puts as high or higher; a question not asked before counts, too.

    A number has an order only from where no finding asks whether it is under a limit.
    """
    question = one.question
    kinds = _set_rises(one, other) if question.repeats else _code_rises(one, other)
    if not question.options:
        least = _least(screening, question)
        from_there = z3.And(least <= one.low, least <= other.low, one.high <= other.high)
        kinds = z3.And(one.numbered, other.numbered, _sound(one), _sound(other), from_there)
    newly_asked = z3.And(z3.Not(one.asked), z3.Not(one.given), other.asked, other.given, _sound(other))
    return z3.Or(same(one, other), kinds, newly_asked)


def more_reported(one: Said, other: Said) -> z3.BoolRef:
    """All that is in the first answer is in the second, which may hold more, of whatever kind; or both are the same."""
    codes = [z3.Implies(one.codes[code], other.codes[code]) for code in one.codes]
    wider = z3.Implies(one.numbered, z3.And(other.numbered, other.low <= one.low, one.high <= other.high))
    return z3.Or(same(one, other), z3.And(one.given, z3.Implies(one.damaged, other.damaged), wider, *codes))


def spoilt(one: Said, other: Said) -> z3.BoolRef:
    """The same with a first answer that is neither damaged nor contradictory; or both are the same."""
    return z3.Or(same(one, other), z3.And(_sound(one), more_reported(one, other)))


def ruined(said: Said) -> z3.BoolRef:
    """Missing, or damaged, with whatever else is read of it."""
    return z3.Or(z3.Not(said.given), said.damaged)


def left_out_with(one: Patient, other: Patient, link_id: str) -> z3.BoolRef:
    """Every other answer is the same; a follow-up of this question may be gone with it."""
    return z3.And(*_others(one, other, link_id))


def _others(one: Patient, other: Patient, link_id: str) -> Iterator[z3.BoolRef]:
    for name, said in one.answers.items():
        if name == link_id:
            continue
        follows = link_id in said.question.shown_for
        gone = z3.Not(other.answers[name].given) if follows else z3.BoolVal(False)
        yield z3.Or(same(said, other.answers[name]), gone)


def consistent(patient: Patient) -> z3.BoolRef:
    """Exactly the questions that are asked have an answer, each one that the form allows; it may say "I don't know"."""
    return z3.And(*(z3.And(said.given == said.asked, _sound(said)) for said in patient.answers.values()))


def _sound(said: Said) -> z3.BoolRef:
    """Neither damaged nor contradictory in itself."""
    return z3.And(z3.Not(said.damaged), z3.Not(said.several), said.low == said.high)


def _code_rises(one: Said, other: Said) -> z3.BoolRef:
    rank = _ranks(one.question)
    pairs = [(low, high) for low in rank for high in rank if rank[low] <= rank[high]]
    chosen = [z3.And(one.codes[low], other.codes[high]) for low, high in pairs]
    return z3.And(_sound(one), _sound(other), z3.Or(*chosen))


def _set_rises(one: Said, other: Said) -> z3.BoolRef:
    """Of several answers: others beside those that there were, or answers above the only one."""
    rank, alone = _ranks(one.question), one.question.exclusive
    more = z3.And(*(z3.Implies(one.codes[code], other.codes[code]) for code in one.codes))
    above = [
        z3.And(one.codes[code], *(z3.Not(other.codes[low]) for low in rank if rank[low] < rank[code]))
        for code in sorted(alone)
    ]
    return z3.And(_sound(one), _sound(other), one.given, other.given, z3.Or(more, *above))


def _ranks(question: Question) -> dict[str, int]:
    ranks = [(rank,) if isinstance(rank, str) else rank for rank in question.item.order]
    return {code: place for place, codes in enumerate(ranks) for code in codes}


def _least(screening: Screening, question: Question) -> int:
    """The least number that no finding asks to be under."""
    atoms = [atom for finding in screening.findings if finding.when for atom in finding.when.atoms()]
    limits = [atom.under for atom in atoms if atom.answer == question.link_id and atom.under is not None]
    return max([question.low, *limits])
