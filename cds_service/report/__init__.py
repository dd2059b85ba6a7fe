"""The report as text: whether advice is given and heeded, so that a silent malfunction or an ignored card is seen."""

from collections.abc import Iterator, Mapping, Sequence

from cds_content.screening import Screening
from cds_service.report.remarks import remarks
from cds_service.report.sections import Section, Tally, sections, strangers, total, week_names
from cds_service.store.counts import Counts

CELL = "shown/accepted/overridden"
NOTE = (
    "Weeks are those of ISO 8601, in UTC; the last one is running. A card counts in the week of its decision, with the"
    " last feedback on it. Of Questionnaire/$process-response the decisions are counted and the cards are not: nobody"
    " can give feedback on these. All clients together."
)
_WEEKLY = (
    "week",
    "calls",
    "no screening",
    "judged",
    "incomplete",
    "share",
    "cards",
    "accepted",
    "overridden",
    "no feedback",
)


def text(counts: Counts, screenings: Sequence[Screening]) -> str:
    """The report on all screenings, for a terminal; `counts` are those of store.counts.figures."""
    parts = [part for section in sections(counts, screenings) for part in _section(section)]
    parts += ["Responses received by FHIR POST, also those removed since", *_table(received(counts))]
    if others := strangers(counts, screenings):
        parts += ["", f"{others} decisions are on forms that are not published any more; they are not shown."]
    return "\n".join([NOTE, "", *parts])


def weekly(section: Section) -> list[list[str]]:
    """The lines of the table of weeks, its heading first."""
    lines = [list(_WEEKLY)]
    for week in section.weeks:
        share = "–" if week.share is None else f"{week.share} %"
        counts = [week.decisions, week.unscreened, week.judged, week.incomplete]
        ended = [week.cards.shown, week.cards.accepted, week.cards.overridden, week.cards.silent]
        lines.append([week.name, *map(str, counts), share, *map(str, ended)])
    return lines


def by_name(section: Section, tallies: Mapping[str, Sequence[Tally]]) -> list[list[str]]:
    """The lines of a table of topics or rows: decisions in all, cards in each week and in all, and the reasons."""
    lines = [["", "decisions", *(week.name[5:] for week in section.weeks), "all weeks", "overridden because"]]
    for name, weeks in tallies.items():
        every = total(weeks)
        lines.append([name, str(every.decisions), *map(_ended, weeks), _ended(every), _because(every)])
    return lines


def by_reason(section: Section) -> list[list[str]]:
    """The lines of the table of reasons: how often a card on each topic was overridden for each, in each week."""
    lines = [["", "because", *(week.name[5:] for week in section.weeks), "all weeks"]]
    for topic, weeks in section.topics.items():
        for reason, number in sorted(total(weeks).reasons.items()):
            lines.append([topic, reason, *(str(week.reasons.get(reason, 0)) for week in weeks), str(number)])
    return lines


def submitted(section: Section) -> list[list[str]]:
    """The lines of the table of responses that are kept, by the disposition that they gave."""
    heading = ["", *(week.name[5:] for week in section.weeks), "all weeks"]
    return [heading, *([name, *map(str, n), str(sum(n))] for name, n in section.submitted.items())]


def received(counts: Counts) -> list[list[str]]:
    """The lines of the table of all responses that were received."""
    lines = zip(week_names(counts.weeks), map(str, counts.posted), strict=True)
    return [["week", "received"], *map(list, lines)]


def _section(section: Section) -> Iterator[str]:
    yield from (f"{section.title} ({section.name})", "", "What stands out", *(f"- {one}" for one in remarks(section)))
    yield from ("", "Per week", *_table(weekly(section)))
    yield from ("", f"Per disposition or topic of the card: {CELL}", *_table(by_name(section, section.topics)))
    yield from ("", "Overridden, by topic and reason", *_table(by_reason(section)))
    yield from ("", f"Per row: {CELL}, of the cards of decisions in which it fired")
    yield from _table(by_name(section, section.rows))
    yield from ("", "Responses received by FHIR POST and still kept, by disposition", *_table(submitted(section)), "")


def _ended(cards: Tally) -> str:
    return f"{cards.shown}/{cards.accepted}/{cards.overridden}" if cards.shown else "0"


def _because(cards: Tally) -> str:
    return ", ".join(f"{reason} {number}" for reason, number in sorted(cards.reasons.items())) or "–"


def _table(lines: Sequence[Sequence[str]]) -> list[str]:
    """The lines with their columns below each other."""
    widths = [max(len(cell) for cell in column) for column in zip(*lines, strict=True)]
    return ["  ".join(cell.ljust(width) for cell, width in zip(line, widths, strict=True)).rstrip() for line in lines]
