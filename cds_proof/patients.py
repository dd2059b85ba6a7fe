"""A patient of whom nothing is fixed: every answer that the service can read, at once, as variables of the solver.

One patient stands for every response of the answer space: for each question each option, not known, missing, damaged,
contradictory, each with the ages of the form; and whether the response is one whose "no" answers, or alarms, count.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field

import z3

from cds_content.screening import Question, Screening


@dataclass(frozen=True)
class Said:
    """The answer to one question, as cds_service.answers.Answer: which codes were read, or from what to what number.

    `damaged` when part of it cannot be read, or is there twice. `asked` follows from the answers before it.
    """

    question: Question
    codes: Mapping[str, z3.BoolRef]
    asked: z3.BoolRef
    damaged: z3.BoolRef
    numbered: z3.BoolRef
    low: z3.ArithRef
    high: z3.ArithRef

    @property
    def given(self) -> z3.BoolRef:
        """Whether the response holds anything for this question."""
        return z3.Or(self.damaged, self.numbered, *self.codes.values())

    @property
    def doubt(self) -> z3.BoolRef:
        """Whether the answer is not known: as `_answer` of cds_service.answers says it."""
        not_known = [self.codes[code] for code in sorted(self.question.item.not_known) if code in self.codes]
        unclear = z3.Or(self.damaged, self.several, z3.Not(self.asked), *not_known)
        return z3.If(self.given, unclear, self.asked)

    @property
    def several(self) -> z3.BoolRef:
        """More answers than the question takes; with `repeats` one that excludes the others, and another."""
        codes = self.codes
        if not self.question.repeats:
            return z3.AtLeast(*codes.values(), 2) if len(codes) > 1 else z3.BoolVal(False)
        others = {code: [codes[other] for other in codes if other != code] for code in sorted(self.question.exclusive)}
        return z3.Or(*(z3.And(codes[code], z3.Or(*rest)) for code, rest in others.items()))


@dataclass(frozen=True)
class Patient:
    """All answers by question; `doubted` when no "no" of the response counts, `alarms` when its alarms do."""

    answers: Mapping[str, Said]
    doubted: z3.BoolRef
    alarms: z3.BoolRef
    possible: z3.BoolRef = field(repr=False)  # what holds of every patient


def patient(screening: Screening, name: str) -> Patient:
    """A patient of whom nothing is fixed; `name` keeps the variables of several apart."""
    answers: dict[str, Said] = {}
    for link_id, question in screening.questions.items():  # a parent comes before its follow-ups
        answers[link_id] = _said(question, answers, f"{name}.{link_id}")
    doubted, alarms = z3.Bool(f"{name}.doubted"), z3.Bool(f"{name}.alarms")
    bounds = [bound for said in answers.values() for bound in _bounds(said)]
    return Patient(answers, doubted, alarms, z3.And(z3.Or(alarms, doubted), *bounds))


def _said(question: Question, above: Mapping[str, Said], name: str) -> Said:
    shown = [above[parent].codes[code] for parent, codes in question.shown_for.items() for code in sorted(codes)]
    return Said(
        question=question,
        codes={code: z3.Bool(f"{name}={code}") for code in question.options},
        asked=z3.Or(*shown) if question.shown_for else z3.BoolVal(True),
        damaged=z3.Bool(f"{name} damaged"),
        numbered=z3.BoolVal(False) if question.options else z3.Bool(f"{name} numbered"),
        low=z3.Int(f"{name} low"),
        high=z3.Int(f"{name} high"),
    )


def _bounds(said: Said) -> list[z3.BoolRef]:
    """What holds of every answer: a number is within the bounds of the form; where none was read it is the least.

    A year of birth gives two ages, of which the greater may be one beyond the form's.
    """
    least, most = said.question.low, said.question.high + 1
    within = z3.And(least <= said.low, said.low <= said.high, said.high <= most)
    return [z3.If(said.numbered, within, z3.And(said.low == least, said.high == least))]
