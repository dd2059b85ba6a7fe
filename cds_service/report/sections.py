"""The figures of each screening, week by week, made of what was counted. Nothing about a patient is in them."""

from collections import Counter
from collections.abc import Callable, Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import date

from cds_content.screening import Screening
from cds_content.translations import displays, texts
from cds_service.store.counts import Counts, Decided, Given, Submitted

NO_REASON, OTHER_REASON = "no coded reason", "another code"
UNJUDGED = ("no-screening", "no-order")  # the dispositions of decisions that rest on no response
_ALL = ""


@dataclass(frozen=True)
class Tally:
    """How many decisions and cards there were, and how the cards ended: `reasons` are those of overriding.

    `cardless` of the decisions gave no card at all.
    """

    decisions: int
    shown: int
    accepted: int
    overridden: int
    reasons: Mapping[str, int]
    cardless: int = 0

    @property
    def silent(self) -> int:
        """Cards without feedback."""
        return self.shown - self.accepted - self.overridden


@dataclass(frozen=True)
class Week:
    """What happened in one week. Of the `judged` decisions, which rest on a response, `outside` need no card."""

    name: str
    decisions: int
    unscreened: int
    judged: int
    outside: int
    incomplete: int
    cards: Tally

    @property
    def share(self) -> int | None:
        """How many in a hundred of the judged screenings are incomplete; None when none was judged."""
        return round(100 * self.incomplete / self.judged) if self.judged else None


@dataclass(frozen=True)
class Section:
    """One screening. The tallies by topic of the card and by row have one for each week, as has `submitted`.

    `outside` are the dispositions that need no card.
    """

    name: str
    title: str
    weeks: tuple[Week, ...]
    topics: Mapping[str, tuple[Tally, ...]]
    rows: Mapping[str, tuple[Tally, ...]]
    submitted: Mapping[str, tuple[int, ...]]
    outside: frozenset[str] = frozenset()


@dataclass(frozen=True)
class _Counted:
    """What was counted of one screening, in so many weeks; `named` are the reasons that it knows."""

    decided: list[Decided]
    given: list[Given]
    submitted: list[Submitted]
    weeks: range
    named: Collection[str]


def sections(counts: Counts, screenings: Sequence[Screening]) -> list[Section]:
    """A section for each screening that is published, whatever the version of its form."""
    return [_section(screening, counts) for screening in screenings]


def strangers(counts: Counts, screenings: Sequence[Screening]) -> int:
    """How many decisions are on forms that are not published any more, so that no section has them."""
    ours = {screening.questionnaire["url"] for screening in screenings}
    return sum(one.number for one in counts.decided if one.form.partition("|")[0] not in ours)


def total(tallies: Iterable[Tally]) -> Tally:
    """All of them together."""
    every = list(tallies)
    reasons = sum((Counter(one.reasons) for one in every), Counter[str]())
    counts = ("decisions", "shown", "accepted", "overridden", "cardless")
    return Tally(reasons=reasons, **{name: sum(getattr(one, name) for one in every) for name in counts})


def week_names(mondays: Sequence[date]) -> list[str]:
    """`2026-W09`. Source: ISO 8601."""
    return [f"{year}-W{week:02}" for year, week, _ in (monday.isocalendar() for monday in mondays)]


def _section(screening: Screening, counts: Counts) -> Section:
    url = screening.questionnaire["url"]
    counted = _Counted(
        [one for one in counts.decided if one.form.partition("|")[0] == url],
        [one for one in counts.given if one.form.partition("|")[0] == url],
        [one for one in counts.submitted if one.form.partition("|")[0] == url],
        range(len(counts.weeks)),
        displays(screening.resources, f"{screening.name}-override-reasons"),
    )
    topics = [*screening.dispositions, *sorted({one.topic for one in counted.given} - screening.dispositions.keys())]
    every = _tallies(counted, [_ALL], lambda _: [_ALL], lambda _: [_ALL])[_ALL]
    names = week_names(counts.weeks)
    return Section(
        name=screening.name,
        title=texts(screening.questionnaire, "title", screening.questionnaire["language"])["en"],
        weeks=tuple(_week(screening, counted, names[week], week, every[week]) for week in counted.weeks),
        topics=_tallies(counted, topics, lambda one: [one.disposition], lambda one: [one.topic]),
        rows=_tallies(counted, [one.row for one in screening.findings], lambda one: one.rows, lambda one: one.rows),
        submitted={name: _submitted(counted, name) for name in screening.dispositions},
        outside=_outside(screening),
    )


def _tallies(
    counted: _Counted,
    names: Sequence[str],
    of_decision: Callable[[Decided], Collection[str]],
    of_card: Callable[[Given], Collection[str]],
) -> dict[str, tuple[Tally, ...]]:
    """The tally of each name in each week; what a decision and a card count for is said by the two functions."""
    decided: dict[tuple[str, int], list[Decided]] = {}
    given: dict[tuple[str, int], list[Given]] = {}
    for one in counted.decided:
        for name in of_decision(one):
            decided.setdefault((name, one.week), []).append(one)
    for card in counted.given:
        for name in of_card(card):
            given.setdefault((name, card.week), []).append(card)

    def tally(name: str, week: int) -> Tally:
        return _tally(decided.get((name, week), []), given.get((name, week), []), counted.named)

    return {name: tuple(tally(name, week) for week in counted.weeks) for name in names}


def _tally(decided: Sequence[Decided], cards: Sequence[Given], named: Collection[str]) -> Tally:
    reasons = Counter[str]()
    for one in cards:  # only codes of our own are repeated: what else a client writes may be anything
        if one.outcome == "overridden":
            reasons[(one.reason if one.reason in named else OTHER_REASON) if one.reason else NO_REASON] += one.number
    return Tally(
        decisions=sum(one.number for one in decided),
        shown=sum(one.number for one in cards),
        accepted=sum(one.number for one in cards if one.outcome == "accepted"),
        overridden=reasons.total(),
        reasons=reasons,
        cardless=sum(one.number for one in decided if not one.carded),
    )


def _outside(screening: Screening) -> frozenset[str]:
    return frozenset(name for name, one in screening.dispositions.items() if one.class_ == "none")


def _week(screening: Screening, counted: _Counted, name: str, week: int, cards: Tally) -> Week:
    """A screening counts as incomplete where the row that says so fired, also beside an alarm."""
    decided = [one for one in counted.decided if one.week == week]
    judged = [one for one in decided if one.disposition not in UNJUDGED]
    incomplete = {finding.row for finding in screening.findings if screening.class_of(finding) == "incomplete"}
    return Week(
        name=name,
        decisions=sum(one.number for one in decided),
        unscreened=sum(one.number for one in decided if one.disposition == "no-screening"),
        judged=sum(one.number for one in judged),
        outside=sum(one.number for one in judged if one.disposition in _outside(screening)),
        incomplete=sum(one.number for one in judged if incomplete & set(one.rows)),
        cards=cards,
    )


def _submitted(counted: _Counted, name: str) -> tuple[int, ...]:
    by: Counter[int] = Counter()
    for one in counted.submitted:
        by[one.week] += one.number if one.disposition == name else 0
    return tuple(by[week] for week in counted.weeks)
