"""advice.toml: how exactly one disposition follows from the responses in hand, with every reason."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import lru_cache
from math import inf
from typing import Literal

from cds_content.screening import Screening
from cds_content.shapes import Condition, Finding
from cds_service.answers import Answer, Answers
from cds_service.findings import Atom, Rule, Truth, rule, support
from cds_service.responses import UNFINISHED, Reading


@dataclass(frozen=True)
class Fired:
    """A finding that is true, the answers it rests on, and the response that holds them (none for computed rows)."""

    finding: Finding
    rests_on: frozenset[Atom] = frozenset()
    reading: Reading | None = None


@dataclass(frozen=True)
class Unknown:
    """Something not known: the answer to a question, or (without `question`) something about a response."""

    doubt: str
    question: str | None = None


@dataclass(frozen=True)
class Advice:
    """The one disposition that follows, what fired (most urgent first), and what is not known.

    `history` holds alarms too old to count, `readings` the responses behind the advice, `newest` the newest complete
    response: what fired in an older one is no longer reported.
    """

    disposition: str
    fired: tuple[Fired, ...]
    unknown: tuple[Unknown, ...]
    history: tuple[Fired, ...]
    readings: tuple[Reading, ...]
    newest: Reading | None

    @property
    def rows(self) -> tuple[str, ...]:
        return tuple(one.finding.row for one in self.fired)


NO_SCREENING = Advice("no-screening", (), (Unknown("no-screening"),), (), (), None)  # where there is no response
NO_ORDER = Advice("no-order", (), (), (), (), None)  # where no order of the call is judged


Readings = Sequence[Reading]


def decide(screening: Screening, readings: Readings, doubts: Sequence[str] = ()) -> Advice:
    """The advice that follows from the responses in hand; `doubts` are about all of them together.

    Every alarm that counts fires its finding. "No" answers count only from the newest complete responses. Where
    nothing fires the result is incomplete, never silence.
    """
    complete = [reading for reading in readings if not reading.doubts and reading.earliest]
    newest = max(complete, key=lambda reading: (reading.earliest, str(reading.reference)), default=None)
    by_age = sorted(readings, key=lambda one: one.latest.timestamp() if one.latest else inf, reverse=True)
    standing = [reading for reading in by_age if reading.hidden or not older(reading, newest)]
    current = [reading for reading in standing if not reading.doubts and not older(reading, newest)]
    unknown = list(dict.fromkeys([*(Unknown(doubt) for doubt in doubts), *_unknown(screening, standing, current)]))
    unknown += [gap for gap in dict.fromkeys(_called_for(screening, by_age)) if gap not in unknown]
    alarms = [one for reading in by_age if reading.alarms for one in _true(screening, reading, "doctor")]
    course = [one for reading in current for one in _true(screening, reading, "conservative")]
    fired = list({one.finding.row: one for one in reversed(alarms + course)}.values())  # each once, from the newest
    fired += _computed(screening, {screening.class_of(one.finding) for one in fired}, unknown, standing, current)
    fired.sort(key=lambda one: screening.order(one.finding))
    stale = [reading for reading in by_age if "history" in reading.doubts and not current]
    past = [one for reading in stale for one in _true(screening, reading, "doctor")]
    history = {one.finding.row: one for one in reversed(past)}.values()  # each once, from the newest
    used = {id(reading) for reading in [*current, *(one.reading for one in fired)]}
    behind = [reading for reading in by_age if id(reading) in used] or by_age
    why = unknown or [Unknown("no-rule")] * (fired[0].finding.computed == "incomplete")
    return Advice(fired[0].finding.advice, tuple(fired), tuple(why), tuple(history), tuple(behind), newest)


def older(reading: Reading, newest: Reading | None) -> bool:
    """Whether the newest complete response was certainly filled in later; an undated one cannot be called older."""
    return bool(newest and newest.earliest and reading.latest and reading.latest < newest.earliest)


def says(screening: Screening, reading: Reading, scope: Literal["in_scope", "out_of_scope"]) -> bool:
    """Whether a response says that the screening applies, or that it does not."""
    return any(reading.answers[name].codes & codes for name, codes in screening.scope[scope])


def _true(screening: Screening, reading: Reading, class_: str) -> Iterator[Fired]:
    for finding, when, holds in _rules(screening).get(class_, ()):
        if holds(reading.answers) is Truth.YES:
            yield Fired(finding, support(when, reading.answers), reading)


def _made_ready(screening: Screening) -> Mapping[str, Sequence[tuple[Finding, Condition, Rule]]]:
    """The findings with a condition, made ready, by the class of their advice and in their order."""
    found: dict[str, list[tuple[Finding, Condition, Rule]]] = {}
    for finding in screening.findings:
        if finding.when:
            found.setdefault(screening.class_of(finding), []).append((finding, finding.when, rule(finding.when)))
    return found


_rules = lru_cache(maxsize=64)(_made_ready)  # screenings; some more than are ever loaded


def _unknown(screening: Screening, standing: Readings, current: Readings) -> Iterator[Unknown]:
    """What stands in the way of reassurance: doubts about responses, and safety answers that are not known."""
    for reading in standing:
        beside = bool(current) and reading.status in UNFINISHED  # beside a complete one its gaps do not count
        gaps = ("unfinished", "too-old", "missing") if beside else ()
        yield from (Unknown(doubt) for doubt in reading.doubts if doubt not in gaps)
        for link_id in screening.safety if reading.alarms else ():
            doubt = reading.answers[link_id].doubt
            if doubt and doubt not in gaps:
                yield Unknown(doubt, link_id)


def _called_for(screening: Screening, readings: Readings) -> Iterator[Unknown]:
    """The follow-ups that are not known although what they ask about was reported, in any response that counts."""
    for reading in readings:
        for link_id in screening.safety if reading.alarms else ():
            parents = screening.questions[link_id].shown_for.items()
            doubt = reading.answers[link_id].doubt
            if doubt and any(reading.answers[name].codes & codes for name, codes in parents):
                yield Unknown(doubt, link_id)


def _computed(
    screening: Screening, classes: set[str], unknown: Sequence[Unknown], standing: Readings, current: Readings
) -> list[Fired]:
    """The row, if any, that follows from the item tables; self-care also names what it rests on: the course."""
    outside = all(says(screening, reading, "out_of_scope") for reading in current)
    if unknown or not current:
        kind = "incomplete"
    elif "doctor" in classes:
        return []
    elif outside and not any(says(screening, reading, "in_scope") for reading in standing):
        kind = "out-of-scope"
    elif classes:
        return []
    else:
        kind = "all-safe" if all(_all_safe(screening, reading.answers) for reading in current) else "incomplete"
    reading = current[0] if kind == "all-safe" else None
    named = [name for name, question in screening.questions.items() if reading and not question.item.safety]
    rests_on = frozenset((name, code) for name in named if reading for code in reading.answers[name].codes)
    return [Fired(finding, rests_on, reading) for finding in screening.findings if finding.computed == kind]


def _all_safe(screening: Screening, answers: Answers) -> bool:
    """Every answer known and safe, and in scope. A question not asked is safe; a number only has to be known."""
    return all(
        not answers[link_id].asked
        or _only(answers[link_id], question.item.reassuring)
        or (not question.options and answers[link_id].span is not None and not answers[link_id].doubt)
        for link_id, question in screening.questions.items()
    )


def _only(answer: Answer, codes: frozenset[str]) -> bool:
    return not answer.doubt and bool(answer.codes) and answer.codes <= codes
