"""The words of a card: its detail in Markdown, from our own texts only. Nothing that a patient typed enters it."""

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from functools import lru_cache

from cds_content.card_shapes import Card, Paragraph
from cds_content.screening import Screening
from cds_content.templates import PLACE
from cds_service.advice import Advice, Fired, older, says
from cds_service.findings import Atom, Truth, truth
from cds_service.orders import Order
from cds_service.responses import Reading


@dataclass(frozen=True)
class Call:
    """For whom, by whom, when; `public` is this service's address and `new_uuid` gives a fresh lower-case UUID.

    Patient and user may be unknown to our own hook. `gp` when the reader is the GP; `choices` when the client knows
    actionSelectionBehavior, `smart` when it can launch a SMART app.
    """

    patient: str | None
    user: str | None
    encounter: str | None
    language: str
    now: datetime
    public: str
    new_uuid: Callable[[], str]
    gp: bool = False
    choices: bool = False
    smart: bool = False

    @property
    def by_patient(self) -> bool:
        return (self.user or "").startswith(("Patient/", "RelatedPerson/"))


def detail(
    screening: Screening, advice: Advice, card: Card, fired: Sequence[Fired], orders: Sequence[Order], call: Call
) -> str:
    """The detail of a card: the card's own paragraphs and the closing ones, with their places filled in."""
    language, complete = call.language, not advice.unknown
    shown = [part for part in card.detail if _applies(part, advice, complete=complete)]
    findings = [one.finding for one in fired]
    statements = {name for one in findings for name in one.basis} | {name for part in shown for name in part.basis}
    top = [finding for finding in findings if finding.advice == findings[0].advice]  # whose urgency this card has
    sources = dict.fromkeys(name for finding in top for name in finding.beyond)
    shared = places(screening, language)
    filled = {
        **shared,
        "orders": _bullets(order.name for order in orders),
        "reasons": _bullets(_reason(screening, one, language) for one in fired),
        "history": _bullets(_reason(screening, one, language) for one in advice.history),
        "unknown": _bullets(_unknown(screening, advice, shared, language)),
        "basis": ", ".join(sorted(statements, key=lambda name: int(name[1:]))),
        "sources": "; ".join(screening.statements.reference[name].label[language] for name in sources),
        "filled-in": "; ".join(dict.fromkeys(_filled_in(screening, one, language) for one in advice.readings)),
        "denied": screening.texts.denied[language] if _is_denied(screening, advice) else "",
        "superseded": "\n\n".join(_superseded(screening, advice, fired, shared, language)),
    }
    closing = [part for part in screening.texts.closing if _applies(part, advice, complete=complete)]
    return text([*shown, *closing], filled, language)


def _is_denied(screening: Screening, advice: Advice) -> bool:
    """Whether there is advice although a response says that the screening does not apply."""
    said = any(says(screening, reading, "out_of_scope") for reading in advice.readings)
    return said and screening.dispositions[advice.disposition].class_ != "none"


def listed(screening: Screening, fired: Sequence[Fired]) -> list[Fired]:
    """What the card names: a reason is left out when listed, more urgent rows rest on the same answers."""
    kept: list[Fired] = []
    for one in fired:
        urgent = [o for o in kept if screening.urgency(o.finding) < screening.urgency(one.finding)]
        covered = frozenset[Atom]().union(*(o.rests_on for o in urgent if o.reading is one.reading))
        if not one.rests_on or not one.rests_on <= covered:
            kept.append(one)
    return kept


def _shared(screening: Screening, language: str) -> Mapping[str, str]:
    """What the places stand for on every card in this language."""
    texts = screening.texts
    return {name: text[language] for name, text in texts.text.items()} | {
        "version": screening.version,
        "hash": screening.hash[:12],
        "next-review": str(screening.next_review),
        "signed": (texts.signed if screening.signed_by else texts.unsigned)[language],
        "fresh-days": str(screening.fresh.days),
        "alarm-days": str(screening.alarming.days),
    }


places = lru_cache(maxsize=64)(_shared)  # screenings and languages; some more than are ever loaded


def _applies(part: Paragraph, advice: Advice, *, complete: bool) -> bool:
    """Whether a paragraph is there: by what is known, and by what the newest complete response says."""
    if part.when and not (advice.newest and truth(part.when, advice.newest.answers) is Truth.YES):
        return False
    return complete or not part.only


def text(paragraphs: Sequence[Paragraph], filled: Mapping[str, str], language: str) -> str:
    """The paragraphs with their places filled in; one with an empty place is left out."""
    texts = [str(getattr(part, language)) for part in paragraphs]
    return "\n\n".join(words.format_map(filled) for words in texts if all(filled[at] for at in _named(words)))


_named = lru_cache(maxsize=4096)(PLACE.findall)  # the places of a paragraph; some more than there are


def _bullets(lines: Iterable[str]) -> str:
    return "\n".join(f"- {line}" for line in lines)


def _reason(screening: Screening, one: Fired, language: str) -> str:
    """The reason, the answers that it rests on, and its row."""
    said = "; ".join(_said(screening, one, link_id, code, language) for link_id, code in sorted(one.rests_on))
    answers = screening.words.response["answers"][language].format_map({"answers": said}) if said else ""
    return f"{one.finding.reason[language]} {answers}[{one.finding.row}]"


def _said(screening: Screening, one: Fired, link_id: str, code: str, language: str) -> str:
    """One answer as question and option: our own texts, never what was typed."""
    question = screening.questions[link_id]
    answer = one.reading.answers[link_id] if one.reading else None
    if code:
        said = question.options[code][language]
    elif answer and answer.span:
        said = "–".join(str(number) for number in dict.fromkeys(answer.span))
    else:
        said = screening.words.doubt[(answer and answer.doubt) or "missing"][language]
    return f"{question.label[language]} – {said}"


def _unknown(screening: Screening, advice: Advice, shared: Mapping[str, str], language: str) -> Iterator[str]:
    for one in advice.unknown:
        why = screening.words.doubt[one.doubt][language].format_map(shared)
        yield f"{screening.questions[one.question].label[language]}: {why}" if one.question else why


def _filled_in(screening: Screening, reading: Reading, language: str) -> str:
    words, who = screening.words.response, screening.words.who[reading.who][language]
    filled = {"date": reading.days or words["no-date"][language], "who": who, "status": reading.status}
    return words["filled-in" if reading.status == "completed" else "filled-in-status"][language].format_map(filled)


def _superseded(
    screening: Screening, advice: Advice, fired: Sequence[Fired], shared: Mapping[str, str], language: str
) -> Iterator[str]:
    """Both dates of an alarm that a newer complete response no longer reports, and how to end it."""
    for reading in advice.readings:
        reasons = [one.finding.reason[language] for one in fired if one.reading is reading]
        if advice.newest and older(reading, advice.newest) and reasons:
            filled = {"old": reading.days, "new": advice.newest.days, "reasons": "; ".join(reasons)}
            yield screening.words.response["superseded"][language].format_map({**shared, **filled})
