"""A patient that the solver found: the smallest there is, put through the core itself, and told in words."""

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import z3

from cds_content.reach import calm_answer, calm_answers
from cds_content.screening import Question, Screening
from cds_proof.advised import advised
from cds_proof.claims import Claim
from cds_proof.patients import Patient, Said
from cds_service.advice import Advice, decide
from cds_service.answers import Answer, Answers, Doubt
from cds_service.responses import Reading

DOUBTED = "unfinished"  # the doubt that stands for all for which no "no" of a response counts


@dataclass(frozen=True)
class Found:
    """One patient of a counterexample or example: the answers that are not those of a calm patient, and the advice."""

    screening: Screening
    reading: Reading
    advice: Advice

    def in_words(self, language: str, beside: "Found | None" = None) -> str:
        """`leg: less strength (rf-leg = weakness) → doctor-same-day [R10]`; `beside` another, only what differs."""
        than = beside.reading.answers if beside else calm_answers(self.screening)
        said = [*_doubts(self, beside, language), *_unusual(self, than, language)]
        return f"{'; '.join(said) or _CALM[language]} → **{self.advice.disposition}** [{', '.join(self.advice.rows)}]"


_CALM = {"nl": "een rustige patiënt, elk antwoord veilig", "en": "a calm patient, every answer safe"}
_NOT_ASKED = {"nl": "niet gevraagd", "en": "not asked"}


def find(screening: Screening, claim: Claim) -> tuple[Found, ...] | None:
    """The patients for whom the claim's formula holds, with as few unusual answers as can be; None where it never does.

    Raises WrongTranslation and Undecided.
    """
    if not exists(claim):
        return None
    model = _smallest(claim)
    return tuple(_found(screening, one, model) for one in claim.patients)


def exists(claim: Claim) -> bool:
    """Whether there is such a patient at all. Raises Undecided."""
    solver = z3.Solver()
    solver.add(claim.shows, *(one.possible for one in claim.patients))
    found = solver.check()
    if found == z3.unknown:
        raise Undecided(f"the solver gives no answer: {solver.reason_unknown()}")
    return bool(found == z3.sat)


class WrongTranslation(Exception):
    """The core advises a patient otherwise than the formulas: nothing is proved before the formulas are mended."""


class Undecided(Exception):
    """The solver found neither a patient nor that there is none: then nothing is proved."""


def _smallest(claim: Claim) -> Any:
    """The model whose patients differ least from calm ones: in few answers, and these as plain as can be."""
    search = z3.Optimize()
    search.add(claim.shows, *(one.possible for one in claim.patients))
    wishes = [wish for one in claim.patients for wish in _wishes(one)]
    for place, (wish, weight) in enumerate(wishes):
        search.add_soft(wish, weight * 1000 + place)  # of several that are as small, always the same
    search.minimize(z3.Sum([said.high for one in claim.patients for said in one.answers.values()]))
    if search.check() != z3.sat:
        raise Undecided("the solver finds no smallest patient")
    return search.model()


def _wishes(one: Patient) -> Iterator[tuple[z3.BoolRef, int]]:
    """What makes a patient easy to read, and how much it weighs."""
    yield z3.Not(one.doubted), 8
    yield one.alarms, 8
    for said in one.answers.values():
        yield _is_calm(said), 8
        yield z3.Not(said.damaged), 3
        yield z3.Not(said.several), 3
        yield said.given == said.asked, 20
        yield said.low == said.high, 2
        for code, reported in said.codes.items():
            yield z3.Not(reported), 1 if code in said.question.item.safe else 2


def _is_calm(said: Said) -> z3.BoolRef:
    calm = calm_answer(said.question)
    if not calm.asked:
        return z3.Not(said.given)
    codes = [reported == (code in calm.codes) for code, reported in said.codes.items()]
    numbers = [said.numbered, *(number == calm.span[0] for number in (said.low, said.high))] if calm.span else []
    return z3.And(z3.Not(said.damaged), *codes, *numbers)


def _found(screening: Screening, one: Patient, model: Any) -> Found:
    answers: dict[str, Answer] = {link: _answer(said, model) for link, said in one.answers.items()}
    reading = Reading(
        Answers(answers), alarms=_true(model, one.alarms), doubts=(DOUBTED,) if _true(model, one.doubted) else ()
    )
    advice, formulas = decide(screening, [reading]), advised(screening, one)
    rows = {row for row, fires in formulas.fired.items() if _true(model, fires)}
    if set(advice.rows) != rows:
        raise WrongTranslation(f"the core fires {sorted(advice.rows)}, the formulas {sorted(rows)}")
    return Found(screening, reading, advice)


def _answer(said: Said, model: Any) -> Answer:
    codes = frozenset(code for code, reported in said.codes.items() if _true(model, reported))
    numbers = [model.eval(number, model_completion=True).as_long() for number in (said.low, said.high)]
    span = (numbers[0], numbers[1]) if _true(model, said.numbered) else None
    asked = _true(model, said.asked)
    if not _true(model, said.given):
        return Answer(doubt="missing") if asked else Answer(asked=False)
    return Answer(codes, span, _doubt(said, model, asked=asked))


def _doubt(said: Said, model: Any, *, asked: bool) -> Doubt | None:
    if not asked or _true(model, said.several):
        return "contradictory"
    if _true(model, said.damaged):
        return "unreadable"
    return "not-known" if _true(model, said.doubt) else None


def _true(model: Any, formula: z3.BoolRef) -> bool:
    return bool(z3.is_true(model.eval(formula, model_completion=True)))


def _doubts(found: Found, beside: Found | None, language: str) -> Iterator[str]:
    """Where the response does not count wholly, and the other does."""
    if found.reading.doubts and not (beside and beside.reading.doubts):
        yield found.screening.words.doubt[DOUBTED][language]


def _unusual(found: Found, than: Answers, language: str) -> Iterator[str]:
    """Each answer that is another than in `than`, with its code."""
    for link, question in found.screening.questions.items():
        answer, usual = found.reading.answers[link], than[link]
        if (answer.codes, answer.span, answer.doubt) != (usual.codes, usual.span, usual.doubt):
            yield f"{question.label[language]}: {_told(found.screening, question, answer, language)}"


def _told(screening: Screening, question: Question, answer: Answer, language: str) -> str:
    said = [f"{question.options[code][language]} ({question.link_id} = {code})" for code in sorted(answer.codes)]
    said += ["–".join(str(age) for age in dict.fromkeys(answer.span))] if answer.span else []
    why = screening.words.doubt[answer.doubt][language] if answer.doubt and answer.doubt != "not-known" else ""
    return ", ".join([*said, *([why] if why else [])]) or _NOT_ASKED[language]
