"""findings.toml: whether what the answers mean is true, false or unknown (Kleene's three values)."""

from collections.abc import Callable, Sequence
from enum import Enum

from cds_content.shapes import Condition
from cds_service.answers import Answer, Answers

Atom = tuple[str, str]  # (linkId, code): one answer on which a finding rests; the code of a number is empty


class Truth(Enum):
    """`all` is no where a part is no, `any` is yes where a part is yes; else what is not known makes them unknown."""

    NO = "no"
    UNKNOWN = "unknown"
    YES = "yes"


Rule = Callable[[Answers], Truth]  # whether the answers make a condition true


def truth(condition: Condition, answers: Answers) -> Truth:
    """Whether the answers make the condition true."""
    return rule(condition)(answers)


def rule(condition: Condition) -> Rule:
    """The condition, made ready to be asked of the answers of many calls."""
    if condition.all_:
        return _settled_by(Truth.NO, [rule(part) for part in condition.all_], otherwise=Truth.YES)
    if condition.any_:
        return _settled_by(Truth.YES, [rule(part) for part in condition.any_], otherwise=Truth.NO)
    return _atom(condition)


def _settled_by(settling: Truth, parts: Sequence[Rule], *, otherwise: Truth) -> Rule:
    """One part that says `settling` settles it; of the others one that is unknown leaves it unknown."""

    def asked(answers: Answers) -> Truth:
        found = otherwise
        for part in parts:
            said = part(answers)
            if said is settling:
                return said
            if said is Truth.UNKNOWN:
                found = said
        return found

    return asked


def _atom(condition: Condition) -> Rule:
    name, holds = condition.answer, _holding(condition)

    def asked(answers: Answers) -> Truth:
        answer = answers[name]
        if holds(answer):
            return Truth.YES
        return Truth.UNKNOWN if answer.doubt else Truth.NO

    return asked


def _holding(condition: Condition) -> Callable[[Answer], bool]:
    """A partial birth date gives a range of ages: true when any age in it satisfies the condition."""
    codes, over, least, under = condition.is_, condition.over, condition.at_least or 0, condition.under
    if codes == "not-known":
        return lambda answer: answer.doubt is not None
    if isinstance(codes, frozenset):
        return lambda answer: not codes.isdisjoint(answer.codes)
    if under is not None:
        return lambda answer: answer.span is not None and answer.span[0] < under
    if over is not None:
        return lambda answer: answer.span is not None and answer.span[1] > over
    return lambda answer: answer.span is not None and answer.span[1] >= least


def support(condition: Condition, answers: Answers) -> frozenset[Atom]:
    """The answers that make a true condition true."""
    true = [atom for atom in condition.atoms() if _holding(atom)(answers[atom.answer])]
    return frozenset(
        (atom.answer, code)
        for atom in true
        for code in (answers[atom.answer].codes & atom.is_ if isinstance(atom.is_, frozenset) else {""})
    )
