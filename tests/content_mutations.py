"""Every single fault of a kind in the rules of a screening: a code dropped, a finding with another disposition.

Each is a compiled screening, so that faults are tried too that the content check would refuse at start.
"""

from collections.abc import Iterator
from dataclasses import dataclass, replace

from cds_content.screening import Screening
from cds_content.shapes import Condition, Finding


@dataclass(frozen=True)
class Mutation:
    """What was changed, in which row or question, and the rules as they are then."""

    name: str
    about: str
    screening: Screening


def mutations(screening: Screening) -> Iterator[Mutation]:
    """All of them, in the order of the content."""
    for finding in screening.findings:
        yield from _dropped(screening, finding)
        yield from _moved(screening, finding)
    yield from _item_codes(screening)


def _dropped(screening: Screening, finding: Finding) -> Iterator[Mutation]:
    for what, condition in _without(finding.when) if finding.when else ():
        changed = finding.model_copy(update={"when": condition})
        yield Mutation(f"{finding.row} without {what}", finding.row, _with(screening, finding, changed))


def _moved(screening: Screening, finding: Finding) -> Iterator[Mutation]:
    for name in screening.dispositions:
        if name != finding.advice:
            changed = finding.model_copy(update={"advice": name})
            yield Mutation(f"{finding.row} as {name}", finding.row, _with(screening, finding, changed))


def _with(screening: Screening, finding: Finding, changed: Finding) -> Screening:
    return replace(screening, findings=tuple(changed if one is finding else one for one in screening.findings))


def _without(condition: Condition) -> Iterator[tuple[str, Condition]]:
    """(what was dropped, the condition without it) for each code and each limit; what never holds is an empty `is`."""
    for key in ("all_", "any_"):
        parts: tuple[Condition, ...] = getattr(condition, key) or ()
        for place, part in enumerate(parts):
            for what, changed in _without(part):
                yield what, condition.model_copy(update={key: (*parts[:place], changed, *parts[place + 1 :])})
    if isinstance(condition.is_, frozenset):
        for code in sorted(condition.is_):
            yield f"{condition.answer} = {code}", condition.model_copy(update={"is_": condition.is_ - {code}})
    elif condition.answer:
        never = condition.model_copy(update={"is_": frozenset(), "over": None, "at_least": None, "under": None})
        yield f"{condition.answer} {_limit(condition)}", never


def _limit(condition: Condition) -> str:
    limits = {"not known": condition.is_, ">": condition.over, "≥": condition.at_least, "<": condition.under}
    return next(
        f"{sign} {limit}" if limit != "not-known" else sign for sign, limit in limits.items() if limit is not None
    )


def _item_codes(screening: Screening) -> Iterator[Mutation]:
    """Each code dropped from what is safe, not known, in scope or out of scope."""
    for link_id, question in screening.questions.items():
        for key in ("safe", "not_known", "in_scope", "out_of_scope"):
            for code in sorted(getattr(question.item, key)):
                item = question.item.model_copy(update={key: getattr(question.item, key) - {code}})
                questions = {**screening.questions, link_id: replace(question, item=item)}
                name = f"{link_id} without {key.replace('_', '-')} = {code}"
                yield Mutation(name, link_id, replace(screening, questions=questions))
