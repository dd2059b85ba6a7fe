"""Tests of the facts of a response (cds_content.plan.facts) in FHIRPath: what cds_service.findings and .answers decide.

Where the service compares codes, these look for `;linkId=code;` in the one string; where it asks whether an answer is
known, for the item with that answer alone between `;;`.
"""

from collections.abc import Iterable, Sequence

from cds_content.plan.facts import fact, literally, matching, quoted
from cds_content.screening import Question, Screening
from cds_content.shapes import Condition


def holds(screening: Screening, condition: Condition) -> str:
    """A condition of findings.toml."""
    if parts := _parts(condition):
        return f"({(' and ' if condition.all_ else ' or ').join(holds(screening, part) for part in parts)})"
    question = screening.questions[condition.answer]
    if condition.is_ == "not-known":
        return f"({_each(screening, {question.link_id: frozenset(question.options) - question.item.not_known})}).not()"
    if condition.is_ is not None:
        return _is_there([_facts_of(screening, question, condition.is_)])
    low, high = _limits(question, condition)
    return matching(f"^.*;{literally(question.link_id)}=#({_numbers(low, high)});.*$")


def one_holds(screening: Screening, conditions: Iterable[Condition]) -> str:
    """One of the conditions; what another of them says already is left out."""
    parts = [part for condition in conditions for part in condition.any_ or (condition,)]
    codes: dict[str, frozenset[str]] = {}
    for part in parts:
        if isinstance(part.is_, frozenset):
            codes[part.answer] = codes.get(part.answer, frozenset()) | part.is_
    alone = [_facts_of(screening, screening.questions[name], said) for name, said in codes.items()]
    rest = [holds(screening, part) for part in parts if not _is_said(part, codes)]
    return f"({' or '.join([*([_is_there(alone)] if alone else []), *rest]) or 'false'})"


def outside(screening: Screening) -> str:
    """The response says that the screening does not apply, and nowhere that it does."""
    said = [_facts_of(screening, one, one.item.out_of_scope) for one in screening.questions.values()]
    unsaid = [_facts_of(screening, one, one.item.in_scope) for one in screening.questions.values()]
    return f"({_is_there(said)} and {_is_there(unsaid)}.not())"


def all_known(screening: Screening) -> str:
    """The answer to every safety question is known, or it was not to be asked."""
    safety = [question for question in screening.questions.values() if question.item.safety]
    return _each(screening, {one.link_id: frozenset(one.options) - one.item.not_known for one in safety})


def all_safe(screening: Screening) -> str:
    """The answer to every question is known and a safe one, or it was not to be asked."""
    questions = screening.questions.values()
    return _each(screening, {one.link_id: safe_codes(one) - one.item.not_known for one in questions})


def safe_codes(question: Question) -> frozenset[str]:
    """The answers that the row of those who are all safe allows."""
    return question.item.reassuring


def can_be_safe(screening: Screening, condition: Condition) -> bool:
    """Whether the condition can be true where every answer is known and a safe one."""
    if parts := _parts(condition):
        possible = [can_be_safe(screening, part) for part in parts]
        return all(possible) if condition.all_ else any(possible)
    if isinstance(condition.is_, frozenset):
        return bool(condition.is_ & safe_codes(screening.questions[condition.answer]))
    return condition.is_ is None


def _parts(condition: Condition) -> tuple[Condition, ...]:
    return condition.all_ or condition.any_ or ()


def _each(screening: Screening, allowed: dict[str, frozenset[str]]) -> str:
    """Each of the questions is answered, in one item and by these codes only, or rightly not at all."""
    questions = [screening.questions[name] for name in allowed]
    each = [_settled(screening, question, allowed[question.link_id]) for question in questions]
    return f"{' and '.join(each)} and {_repeated(questions)}.not()"


def _settled(screening: Screening, question: Question, codes: frozenset[str]) -> str:
    answered = matching(f"^.*;;{_item(screening, question, codes)};;.*$")
    if not question.shown_for:
        return answered
    parents = [_facts_of(screening, screening.questions[at], shown) for at, shown in question.shown_for.items()]
    return f"iif({_is_there(parents)}, {answered}, contains({quoted(f';{question.link_id}=')}).not())"


def _repeated(questions: Sequence[Question]) -> str:
    """One of the questions is answered in several items."""
    names = [literally(question.link_id) for question in questions]
    twice = "|".join(f";;{name}=.*;;{name}=" for name in names)
    return matching(f"^.*({twice}).*$")


def _item(screening: Screening, question: Question, codes: frozenset[str]) -> str:
    """A regular expression for the facts of an item that is answered by these codes only, or by a number in range."""
    if not question.options:
        return f"{literally(question.link_id)}=#({_numbers(question.low, question.high)})"
    if not question.repeats:
        return _one_of(screening, question, codes)
    alone, together = codes & question.exclusive, codes - question.exclusive
    several = _one_of(screening, question, together)
    forms = [_one_of(screening, question, alone)] if alone else []
    return f"({'|'.join([*forms, *([f'{several}(;{several})*'] if together else [])])})"


def _one_of(screening: Screening, question: Question, codes: Iterable[str]) -> str:
    name = f"{literally(question.link_id)}="
    said = [literally(one).removeprefix(name) for one in _facts_of(screening, question, codes)]
    return f"{name}({'|'.join(said)})"


def _facts_of(screening: Screening, question: Question, codes: Iterable[str]) -> list[str]:
    return [fact(screening, question, code) for code in question.options if code in codes]


def _is_there(facts_of: Iterable[list[str]]) -> str:
    """Whether one of these facts is there."""
    wanted = [one for facts in facts_of for one in facts]
    if len(wanted) == 1:
        return f"contains({quoted(f';{wanted[0]};')})"
    return matching(f"^.*;({'|'.join(literally(one) for one in wanted)});.*$")


def _limits(question: Question, condition: Condition) -> tuple[int, int]:
    """The lowest and the highest number for which a condition on a number is true."""
    if condition.under is not None:
        return question.low, condition.under - 1
    least = condition.at_least if condition.at_least is not None else (condition.over or 0) + 1
    return max(least, question.low), question.high


def _numbers(low: int, high: int) -> str:
    """A regular expression for the whole numbers from `low` to `high`."""
    below = [str(number) for number in range(low, min(high + 1, 0))]
    tens = range(max(low, 0) // 10, high // 10 + 1)
    ends = [(ten, max(low - ten * 10, 0), min(high - ten * 10, 9)) for ten in tens]
    above = [f"{ten or ''}{first if first == last else f'[{first}-{last}]'}" for ten, first, last in ends]
    return "|".join([*below, *above])


def _is_said(condition: Condition, codes: dict[str, frozenset[str]]) -> bool:
    """Whether one of these answers is among those that the condition needs."""
    if parts := _parts(condition):
        said = [_is_said(part, codes) for part in parts]
        return any(said) if condition.all_ else all(said)
    return isinstance(condition.is_, frozenset) and condition.is_ <= codes.get(condition.answer, frozenset())
