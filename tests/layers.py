"""Answer sets drawn in layers: each row alone, each way in which an answer or a response may be damaged, and mixtures.

Drawn evenly, nearly all patients would be emergencies and nothing else would be tried. Everything comes from the
compiled content, so that any screening can be drawn; the same seed draws the same patients.
"""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from random import Random
from typing import Any

from cds_content.screening import Question, Screening
from cds_content.shapes import Condition, Finding
from cds_content.translations import items_of
from tests.damage import ANSWERS, FORMS, ITEMS, MOMENTS, STATUSES, SUBJECTS
from tests.samples import response

Said = Mapping[str, Sequence[str | int]]  # linkId → codes, or a number
Json = dict[str, Any]
_SPARE = 1.2  # so that a disposition keeps its share where other rows of a patient are more urgent


@dataclass(frozen=True)
class AnswerSet:
    """A response and what it was drawn for."""

    layer: str
    response: Json


def answer_sets(screening: Screening, count: int, seed: int) -> list[AnswerSet]:
    """`count` responses: of each row at least 1 in 100, of each disposition at least 5 in 100, then all that follows.

    Raises ValueError where `count` is too small for one of each damage.
    """
    draw = Random(seed)  # noqa: S311 - patients for tests, no secrets
    people = _People(screening, _quiet(screening), draw)
    sets = [*_rows(people, count), *_damaged(people), *_around(people)]
    if len(sets) > count:
        raise ValueError(f"write a count of {len(sets)} or more")
    sets += [AnswerSet("mixture", _mixture(people)) for _ in range(count - len(sets))]
    draw.shuffle(sets)
    return sets


def written(screening: Screening, said: Said, **members: Any) -> Json:
    """The whole response of a patient who said this; follow-ups stand in the answer that shows them, as in the form."""
    items = {link: _item(screening.questions[link], values) for link, values in said.items()}
    for question in [one for one in screening.questions.values() if one.shown_for and one.link_id in items]:
        above = next((name for name in question.shown_for if name in items), "")
        if above and _is_nested(screening.questionnaire, above, question.link_id):
            items[above]["answer"][0].setdefault("item", []).append(items.pop(question.link_id))
    return response({}, **({"questionnaire": screening.canonical, "item": list(items.values())} | members))


def calm(screening: Screening) -> Said:
    """What the patient says for whom nothing fires but the row of those who are all safe."""
    return {name: answers[:1] for name, answers in _quiet(screening).items()}


@dataclass(frozen=True)
class _People:
    """Of whom is drawn: `quiet` are the answers of which any leaves a calm patient calm."""

    screening: Screening
    quiet: Mapping[str, Sequence[str | int]]
    draw: Random

    @property
    def calm(self) -> dict[str, Sequence[str | int]]:
        """One of the calm patients, who fills in the form in any order."""
        names = self.draw.sample(list(self.quiet), len(self.quiet))
        return {name: [self.draw.choice(self.quiet[name])] for name in names}


def _rows(people: _People, count: int) -> Iterator[AnswerSet]:
    """Each row alone: of a patient who is calm but for what the row needs."""
    for name in people.screening.dispositions:
        rows = [finding for finding in people.screening.findings if finding.advice == name]
        each = max(count // 100, int(count * 0.05 * _SPARE / max(len(rows), 1)) + 1)
        for finding in rows:
            for _ in range(each):
                yield AnswerSet(f"row {finding.row}", written(people.screening, _alone(people, finding)))


def _alone(people: _People, finding: Finding) -> Said:
    said, draw = people.calm, people.draw
    if finding.when:
        return _followed(people, {**said, **_true(people, finding.when)})
    for name, question in people.screening.questions.items():
        if finding.computed == "all-safe" and question.options and name in said:
            said[name] = [draw.choice(sorted(question.item.reassuring))]
        if finding.computed == "out-of-scope" and question.item.out_of_scope:
            said[name] = [draw.choice(sorted(question.item.out_of_scope))]
    if finding.computed == "incomplete":
        del said[draw.choice([name for name in said if people.screening.questions[name].item.safety])]
    return said


def _true(people: _People, condition: Condition) -> Said:
    """Answers that make the condition true."""
    if condition.all_ or condition.any_:
        parts = condition.all_ or (people.draw.choice(condition.any_ or ()),)
        return {link: values for part in parts for link, values in _true(people, part).items()}
    question = people.screening.questions[condition.answer]
    if condition.is_ == "not-known":
        return {question.link_id: [people.draw.choice(sorted(question.item.not_known) or ["?"])]}
    if condition.is_:
        return {question.link_id: [people.draw.choice(sorted(condition.is_))], **_parents(people, question)}
    numbers = _numbers(question, condition)
    return {question.link_id: [people.draw.choice(people.draw.choice((numbers, [numbers[0], numbers[-1]])))]}


def _parents(people: _People, question: Question) -> Said:
    """An answer of an earlier question for which this one is shown."""
    if not question.shown_for:
        return {}
    name = people.draw.choice(sorted(question.shown_for))
    above = people.screening.questions[name]
    return {name: [people.draw.choice(sorted(question.shown_for[name]))], **_parents(people, above)}


def _followed(people: _People, said: Said) -> Said:
    """With a safe answer to each question that is shown and has none."""
    said = dict(said)
    for name, question in people.screening.questions.items():
        shown = any(set(said.get(at, ())) & codes for at, codes in question.shown_for.items())
        if shown and name not in said:
            said[name] = [people.draw.choice(sorted(question.item.safe))]
    return said


def _numbers(question: Question, condition: Condition) -> list[int]:
    every = range(question.low, question.high + 1)
    if condition.under is not None:
        return [number for number in every if number < condition.under]
    least = condition.at_least if condition.at_least is not None else (condition.over or 0) + 1
    return [number for number in every if number >= least]


def _quiet(screening: Screening) -> dict[str, Sequence[str | int]]:
    """The answers to each question that is always asked: the first safe one, any where nothing rests on it alone."""
    atoms = [atom for finding in screening.findings if finding.when for atom in finding.when.atoms()]
    quiet: dict[str, Sequence[str | int]] = {}
    for name, question in screening.questions.items():
        item, safe = question.item, question.item.reassuring
        fires = {n for atom in atoms if atom.answer == name for n in _numbers(question, atom) if not question.options}
        codes = [code for code in item.ranked() if code in safe][: 1 if item.safety else None]
        numbers = [n for n in range(question.low, question.high + 1) if n not in fires]
        if not question.shown_for:
            quiet[name] = codes if question.options else numbers
    return quiet


def _damaged(people: _People) -> Iterator[AnswerSet]:
    """Each question left out, not known, and damaged in each way, by a patient who is calm otherwise."""
    screening = people.screening
    for name, question in screening.questions.items():
        said = _followed(people, {**people.calm, **_parents(people, question)})
        yield AnswerSet(f"left out {name}", written(screening, {at: v for at, v in said.items() if at != name}))
        for code in sorted(question.item.not_known):
            yield AnswerSet(f"unknown {name}", written(screening, {**said, name: [code]}))
        for damage in (*ITEMS, *ANSWERS):
            sent = written(screening, said)
            damage(sent, name, question, people.draw)
            yield AnswerSet(f"damaged {name}", sent)
        for code in question.options if question.shown_for else ():
            yield AnswerSet(f"not asked {name}", written(screening, {**people.calm, name: [code]}))


def _around(people: _People) -> Iterator[AnswerSet]:
    """Each status, moment, subject and form, of a calm patient and of one with a row of each disposition."""
    picked = {finding.advice: finding for finding in people.screening.findings}.values()
    for said in [people.calm, *(_alone(people, finding) for finding in picked)]:
        for layer, members in (("status", STATUSES), ("date", MOMENTS), ("subject", SUBJECTS), ("form", FORMS)):
            for one in members:
                yield AnswerSet(layer, written(people.screening, said, **one(people.screening)))


def _mixture(people: _People) -> Json:
    """A patient at random, calm in most, with a damaged answer or an odd response now and then."""
    screening, draw, said = people.screening, people.draw, people.calm
    often = draw.choice((0.05, 0.15, 0.3))
    for name, question in screening.questions.items():
        if draw.random() < often:
            options: list[str | int] = [*(question.options or range(question.low, question.high + 1))]
            said[name] = draw.sample(options, min(len(options), draw.choice((1, 2)) if question.repeats else 1))
        if draw.random() < 0.02:
            said.pop(name, None)
    told = _followed(people, said) if draw.random() < 0.8 else said
    odd = [draw.choice(kind)(screening) for kind in (STATUSES, MOMENTS, SUBJECTS, FORMS) if draw.random() < 0.05]
    sent = written(screening, told, **{name: part for one in odd for name, part in one.items()})
    for _ in range(draw.choice((0, 0, 0, 1, 2))):
        name = draw.choice(list(screening.questions))
        draw.choice((*ITEMS, *ANSWERS))(sent, name, screening.questions[name], draw)
    return sent


def _is_nested(form: Json, above: str, below: str) -> bool:
    """Whether the form has one item within the other."""
    return any(one["linkId"] == below for item in items_of(form) if item["linkId"] == above for one in items_of(item))


def _item(question: Question, values: Sequence[str | int]) -> Json:
    return {"linkId": question.link_id, "answer": [_value(question, value) for value in values]}


def _value(question: Question, value: str | int) -> Json:
    coding = {"system": question.system, "code": value}
    return {"valueCoding": coding} if question.options else {"valueInteger": value}
