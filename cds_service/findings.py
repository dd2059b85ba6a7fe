"""findings.toml: whether what the answers mean is true, false or unknown (Kleene's three values)."""

from enum import IntEnum

from cds_content.shapes import Condition
from cds_service.answers import Answers

Atom = tuple[str, str]  # (linkId, code): one answer on which a finding rests; the code of a number is empty


class Truth(IntEnum):
    """In this order `all` is the least of its parts and `any` the greatest."""

    NO = 0
    UNKNOWN = 1
    YES = 2


def truth(condition: Condition, answers: Answers) -> Truth:
    """Whether the answers make the condition true."""
    if condition.all_:
        return min(truth(part, answers) for part in condition.all_)
    if condition.any_:
        return max(truth(part, answers) for part in condition.any_)
    if _holds(condition, answers):
        return Truth.YES
    unsettled = answers[condition.answer].doubt and condition.is_ != "not-known"
    return Truth.UNKNOWN if unsettled else Truth.NO


def _holds(condition: Condition, answers: Answers) -> bool:
    """A partial birth date gives a range of ages: true when any age in it satisfies the condition."""
    answer = answers[condition.answer]
    if condition.is_ == "not-known":
        return answer.doubt is not None
    if condition.is_ is not None:
        return bool(answer.codes & condition.is_)
    if answer.span is None:
        return False
    lowest, highest = answer.span
    if condition.under is not None:
        return lowest < condition.under
    return highest > condition.over if condition.over is not None else highest >= (condition.at_least or 0)


def support(condition: Condition, answers: Answers) -> frozenset[Atom]:
    """The answers that make a true condition true."""
    true = [atom for atom in condition.atoms() if _holds(atom, answers)]
    return frozenset(
        (atom.answer, code)
        for atom in true
        for code in (answers[atom.answer].codes & atom.is_ if isinstance(atom.is_, frozenset) else {""})
    )
