"""What stands out in the figures of a screening, in words: signs of a silent malfunction, and of an ignored card."""

from collections.abc import Callable, Iterator, Sequence

from cds_service.report.drift import LEAST, are_compared, drifts
from cds_service.report.sections import Section, Tally, Week, total

NOTHING = "No sign of a malfunction or an ignored card was found among those that are looked for."
UNCOMPARED = f"Shares were not compared: that takes {LEAST} screenings in the last whole week, and as many before it."


def remarks(section: Section) -> list[str]:
    """A sentence for each sign, for what could not be looked for, and where all was looked for in vain, that."""
    started = next((at for at, week in enumerate(section.weeks) if week.decisions), None)
    if started is None:
        return ["No call was answered in these weeks."]
    found = [*_weeks(section.weeks[started:]), *_shares(section), *_rows(section), *_cards(section)]
    unseen = [] if are_compared(section) else [UNCOMPARED]
    return [*found, *unseen] or [NOTHING]


_SIGNS: Sequence[tuple[Callable[[Week], bool], str]] = (
    (lambda week: not week.decisions, "no call was answered"),
    (lambda week: 0 < week.decisions == week.unscreened, "no call found a screening ({decisions} calls)"),
    (
        lambda week: week.judged > week.outside and week.cards.cardless == week.decisions,
        "no card was given ({judged} screenings judged, {outside} of them outside its scope)",
    ),
    (lambda week: 0 < week.judged == week.incomplete, "every screening was incomplete ({judged} of {judged})"),
)


def _weeks(weeks: Sequence[Week]) -> Iterator[str]:
    """The signs in each week since the first call of the period; the last week may have only begun."""
    for week in weeks:
        for holds, words in _SIGNS:
            if holds(week):
                counts = {"decisions": week.decisions, "judged": week.judged, "outside": week.outside}
                running = ", the week that is running" if week is weeks[-1] else ""
                yield f"{week.name}{running}: {words.format_map(counts)}."


_WHY = "Did a rule, a form, a code or the patients change?"


def _shares(section: Section) -> Iterator[str]:
    for one in drifts(section):
        shares = f"{one.now} % of {one.of} screenings, and {one.before} % of {one.of_before} in the weeks before"
        yield f"{one.week}: the share of {one.topic} drifts: {shares}. {_WHY}"


def _rows(section: Section) -> Iterator[str]:
    never = [row for row, tallies in section.rows.items() if not total(tallies).decisions]
    if never:
        yield f"Rows that never fired in these weeks: {', '.join(never)}."


def _cards(section: Section) -> Iterator[str]:
    for topic, tallies in section.topics.items():
        every = total(tallies)
        if every.decisions and every.cardless == every.decisions and topic not in section.outside:
            yield f"Disposition {topic}: no card on any of {every.decisions} decisions."
        if words := _ignored(every):
            yield f"Cards {topic}: {words}."
    ignored = [row for row, tallies in section.rows.items() if "accepted" in _ignored(total(tallies))]
    if ignored:
        yield f"Rows whose cards were never accepted: {', '.join(ignored)}."


def _ignored(cards: Tally) -> str:
    """How cards were ignored; empty when they were not."""
    if cards.shown and cards.silent == cards.shown:
        return f"no feedback on any of {cards.shown}"
    if cards.overridden and not cards.accepted:
        return f"never accepted ({cards.overridden} overridden, {cards.silent} without feedback)"
    return ""
