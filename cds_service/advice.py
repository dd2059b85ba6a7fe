"""advice.toml: how exactly one disposition follows from the responses in hand, with every reason."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from cds_content.screening import Screening
from cds_content.shapes import Finding
from cds_service.answers import Answer, Answers
from cds_service.findings import Atom, Truth, support, truth
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


NO_SCREENING = Advice("no-screening", (), (), (), (), None)  # where there is nothing to judge


def decide(screening: Screening, readings: Sequence[Reading], doubts: Sequence[str] = ()) -> Advice:
    """The advice that follows from the responses in hand; `doubts` are about all of them together.

    Every alarm that counts fires its finding. "No" answers count only from the newest complete responses. Where
    nothing fires the result is incomplete, never silence.
    """
    complete = [reading for reading in readings if not reading.doubts and reading.earliest]
    newest = max(complete, key=lambda reading: (reading.earliest, reading.reference or ""), default=None)
    by_age = sorted(readings, key=lambda reading: reading.latest.timestamp() if reading.latest else 1e12, reverse=True)
    standing = [reading for reading in by_age if not older(reading, newest)]
    current = [reading for reading in standing if not reading.doubts]
    found = [
        one
        for reading in by_age
        for one in _true(screening, reading)
        if reading in current or (reading.alarms and screening.class_of(one.finding) == "doctor")
    ]
    fired = list({one.finding.row: one for one in reversed(found)}.values())  # each row once, from the newest response
    unknown = list(dict.fromkeys([*(Unknown(doubt) for doubt in doubts), *_unknown(screening, standing, current)]))
    computed = _computed(screening, fired, unknown, current)
    if computed == "incomplete" and not unknown:
        unknown = [Unknown("no-rule")]
    fired += [Fired(finding) for finding in screening.findings if computed and finding.computed == computed]
    fired.sort(key=lambda one: (screening.urgency(one.finding), screening.findings.index(one.finding)))
    old = () if current else tuple(one for reading in by_age if reading.history for one in _true(screening, reading))
    history = tuple(one for one in old if screening.class_of(one.finding) == "doctor")
    behind = [reading for reading in by_age if reading in current or any(reading is one.reading for one in fired)]
    return Advice(fired[0].finding.advice, tuple(fired), tuple(unknown), history, tuple(behind or by_age), newest)


def older(reading: Reading | None, newest: Reading | None) -> bool:
    """Whether the newest complete response was certainly filled in later; an undated one cannot be called older."""
    if reading is None or newest is None or reading.latest is None or newest.earliest is None:
        return False
    return reading.latest < newest.earliest


def _true(screening: Screening, reading: Reading) -> Iterator[Fired]:
    for finding in screening.findings:
        if finding.when and truth(finding.when, reading.answers) is Truth.YES:
            yield Fired(finding, support(finding.when, reading.answers), reading)


def _unknown(screening: Screening, standing: Sequence[Reading], current: Sequence[Reading]) -> Iterator[Unknown]:
    """What stands in the way of reassurance: doubts about responses, and safety answers that are not known."""
    for reading in standing:
        if not (current and reading.status in UNFINISHED):  # beside a complete one it only adds its alarms
            yield from (Unknown(doubt) for doubt in reading.doubts)
    for reading in current or [reading for reading in standing if reading.alarms]:
        for link_id, question in screening.questions.items():
            doubt = reading.answers[link_id].doubt
            if doubt and question.item.safety:
                yield Unknown(doubt, link_id)


def _computed(
    screening: Screening, fired: Sequence[Fired], unknown: Sequence[Unknown], current: Sequence[Reading]
) -> str | None:
    """Which of the three rows that follow from the item tables fires, if any."""
    classes = {screening.class_of(one.finding) for one in fired}
    if unknown or not current:
        return "incomplete"
    if "doctor" in classes:
        return None
    if all(_out_of_scope(screening, reading.answers) for reading in current):
        return "out-of-scope"
    if classes:
        return None
    return "all-safe" if all(_all_safe(screening, reading.answers) for reading in current) else "incomplete"


def _out_of_scope(screening: Screening, answers: Answers) -> bool:
    return any(_only(answers[link_id], question.item.out_of_scope) for link_id, question in screening.questions.items())


def _all_safe(screening: Screening, answers: Answers) -> bool:
    """Every answer known and safe, and in scope. A question not asked is safe; a number only has to be known."""
    return all(
        not answers[link_id].asked
        or _only(answers[link_id], question.item.in_scope or question.item.safe)
        or (not question.options and answers[link_id].span is not None and not answers[link_id].doubt)
        for link_id, question in screening.questions.items()
    )


def _only(answer: Answer, codes: frozenset[str]) -> bool:
    return not answer.doubt and bool(answer.codes) and answer.codes <= codes
