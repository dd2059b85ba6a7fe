"""From advice to CDS Hooks cards, in the clinician's language. Nothing that a patient typed enters a card.

Source: CDS Hooks 2.0.1 and 3.0 ballot, "CDS Service Response".
"""

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime

from cds_content.screening import Screening
from cds_content.shapes import Card, Disposition, Json, Link, Paragraph
from cds_content.templates import PLACE, fill
from cds_content.translations import displays
from cds_service.advice import NO_SCREENING, Advice, Fired, older, says
from cds_service.findings import Atom
from cds_service.responses import Reading


@dataclass(frozen=True)
class Call:
    """For whom, by whom, when; `public` is this service's address and `new_uuid` gives a fresh lower-case UUID."""

    patient: str
    user: str
    encounter: str | None
    language: str
    now: datetime
    public: str
    new_uuid: Callable[[], str]

    @property
    def by_patient(self) -> bool:
        return self.user.startswith(("Patient/", "RelatedPerson/"))


def advice_cards(screening: Screening, advice: Advice, call: Call) -> list[Json]:
    """The cards of one advice: at most one of the doctor class, one incomplete, one conservative, in that order."""
    shown: dict[str, list[Fired]] = {}
    for fired in advice.fired:
        shown.setdefault(screening.class_of(fired.finding), []).append(fired)
    if call.by_patient:
        return [_plain_card(screening, shown["doctor"][0].finding.advice, call)] if "doctor" in shown else []
    wanted = ("doctor", "incomplete") if "doctor" in shown else ("incomplete", "conservative")
    return [_card(screening, advice, shown[name], call) for name in wanted if name in shown]


def offer_cards(screening: Screening, call: Call) -> list[Json]:
    """The offer of the form, where the record knows the complaint and there is no screening yet."""
    offer = screening.texts.offer
    if call.by_patient:
        return []
    detail = _text(offer.detail, _places(screening, call), call.language, complete=False)
    card = _frame(screening, "form-offer", offer, offer.summary[call.language], detail, call)
    return [card | _actions(screening, offer, NO_SCREENING, (), call)]


def _plain_card(screening: Screening, name: str, call: Call) -> Json:
    """The contact text of the form, for a patient who reads the card: no codes of rules, no suggestions."""
    disposition = screening.dispositions[name]
    text = disposition.patient[call.language] if disposition.patient else ""
    return _frame(screening, name, disposition, text, text, call)


def _card(screening: Screening, advice: Advice, fired: Sequence[Fired], call: Call) -> Json:
    top = fired[0].finding
    disposition = screening.dispositions[top.advice]
    named = listed(screening, fired)
    detail = _detail(screening, advice, disposition, named, call)
    card = _frame(screening, top.advice, disposition, (top.summary or top.reason)[call.language], detail, call)
    return card | _actions(screening, disposition, advice, named, call)


def _frame(screening: Screening, topic: str, card: Card, summary: str, detail: str, call: Call) -> Json:
    return {
        "uuid": call.new_uuid(),
        "summary": summary,
        "indicator": card.indicator,
        "detail": detail,
        "source": {
            "label": screening.texts.source[call.language].format_map(_places(screening, call)),
            "url": f"{call.public}/fhir/Questionnaire/{screening.questionnaire['id']}",
            "topic": _coding(screening, "dispositions", topic, call.language),
        },
    }


def listed(screening: Screening, fired: Sequence[Fired]) -> list[Fired]:
    """What the card names: a reason is left out when listed, more urgent rows rest on the same answers."""
    kept: list[Fired] = []
    for one in fired:
        urgent = [o for o in kept if screening.urgency(o.finding) < screening.urgency(one.finding)]
        covered = frozenset[Atom]().union(*(o.rests_on for o in urgent if o.reading is one.reading))
        if not one.rests_on or not one.rests_on <= covered:
            kept.append(one)
    return kept


def _places(screening: Screening, call: Call) -> dict[str, str]:
    """What the places stand for on every card."""
    texts, language = screening.texts, call.language
    return {name: text[language] for name, text in texts.text.items()} | {
        "version": screening.version,
        "hash": screening.hash[:12],
        "signed": (texts.signed if screening.signed_by else texts.unsigned)[language],
        "fresh-days": str(screening.fresh.days),
        "alarm-days": str(screening.alarming.days),
    }


def _detail(screening: Screening, advice: Advice, disposition: Disposition, fired: Sequence[Fired], call: Call) -> str:
    language, complete = call.language, not advice.unknown
    findings = [one.finding for one in fired]
    shown = [part for part in disposition.detail if complete or not part.only]
    statements = {name for one in findings for name in one.basis} | {name for part in shown for name in part.basis}
    top = [finding for finding in findings if finding.advice == findings[0].advice]  # whose urgency this card has
    sources = dict.fromkeys(name for finding in top for name in finding.beyond)
    shared, denied = _places(screening, call), any(says(screening, one, "out_of_scope") for one in advice.readings)
    places = shared | {
        "reasons": _bullets(_reason(screening, one, language) for one in fired),
        "history": _bullets(_reason(screening, one, language) for one in advice.history),
        "unknown": _bullets(_unknown(screening, advice, shared, language)),
        "basis": ", ".join(sorted(statements, key=lambda name: int(name[1:]))),
        "sources": "; ".join(screening.statements.reference[name].label[language] for name in sources),
        "filled-in": "; ".join(dict.fromkeys(_filled_in(screening, one, language) for one in advice.readings)),
        "denied": screening.texts.denied[language] if denied else "",
        "superseded": "\n\n".join(_superseded(screening, advice, fired, shared, language)),
    }
    return _text([*disposition.detail, *screening.texts.closing], places, language, complete=complete)


def _text(paragraphs: Sequence[Paragraph], places: Mapping[str, str], language: str, *, complete: bool) -> str:
    """The paragraphs with their places filled in; one with an empty place is left out."""
    texts = [str(getattr(part, language)) for part in paragraphs if complete or not part.only]
    return "\n\n".join(text.format_map(places) for text in texts if all(places[name] for name in PLACE.findall(text)))


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
    places = {"date": reading.days or words["no-date"][language], "who": who, "status": reading.status}
    return words["filled-in" if reading.status == "completed" else "filled-in-status"][language].format_map(places)


def _superseded(
    screening: Screening, advice: Advice, fired: Sequence[Fired], shared: Mapping[str, str], language: str
) -> Iterator[str]:
    """Both dates of an alarm that a newer complete response no longer reports, and how to end it."""
    for reading in advice.readings:
        reasons = [one.finding.reason[language] for one in fired if one.reading is reading]
        if advice.newest and older(reading, advice.newest) and reasons:
            places = {"old": reading.days, "new": advice.newest.days, "reasons": "; ".join(reasons)}
            yield screening.words.response["superseded"][language].format_map({**shared, **places})


def _actions(screening: Screening, card: Card, advice: Advice, fired: Sequence[Fired], call: Call) -> Json:
    """Suggestions, override reasons and links; those that there are."""
    places = _resource_places(screening, advice, fired, call)
    reasons = displays(screening.resources, f"{screening.name}-override-reasons")
    members: Json = {
        "suggestions": [
            {
                "label": one.label[call.language],
                "uuid": call.new_uuid(),
                "actions": [_create(screening, name, one.priority, places, call.language) for name in one.resources],
            }
            for one in card.suggestion
        ],
        "selectionBehavior": "at-most-one" if card.suggestion else "",
        "overrideReasons": [_coding(screening, "override-reasons", code, call.language) for code in reasons],
        "links": [_link(screening.texts.link[name], call) for name in card.links],
    }
    return {name: value for name, value in members.items() if value}


def _link(link: Link, call: Call) -> Json:
    return {"label": link.label[call.language], "url": link.url.replace("{public}", call.public), "type": "absolute"}


def _coding(screening: Screening, suffix: str, code: str, language: str) -> Json:
    name = f"{screening.name}-{suffix}"
    display = displays(screening.resources, name)[code][language]
    return {"system": f"{screening.base}/CodeSystem/{name}", "code": code, "display": display}


def _create(screening: Screening, name: str, priority: str, places: Json, language: str) -> Json:
    template = screening.texts.resource[name]
    resource = fill(template.body, places, language)
    if priority and resource["resourceType"] == "ServiceRequest":
        resource["priority"] = priority
    return {"type": "create", "description": template.action[language], "resource": resource}


def _resource_places(screening: Screening, advice: Advice, fired: Sequence[Fired], call: Call) -> Json:
    places = _places(screening, call) | {"rows": ", ".join(advice.rows) or "–"}
    used = dict.fromkeys(reading.reference for reading in advice.readings)
    return {
        "patient": call.patient,
        "questionnaire": screening.canonical,
        "now": call.now.astimezone(UTC).strftime("%Y-%m-%dT%H:%M:%SZ"),
        "requester": {"reference": call.user},
        "encounter": {"reference": f"Encounter/{call.encounter}"} if call.encounter else None,
        "reason-codes": _reason_codes(screening, advice, fired, call.language),
        "responses": [{"reference": reference} for reference in used if reference],
        "note": [{"text": screening.words.response["note"][call.language].format_map(places)}],
    }


def _reason_codes(screening: Screening, advice: Advice, fired: Sequence[Fired], language: str) -> list[Json]:
    """The complaint, unless it was denied, and each reason of the card with its codes."""
    denied = any(says(screening, reading, "out_of_scope") for reading in advice.readings)
    complaint = [] if denied else [{"coding": [screening.codes[screening.texts.reason_code]]}]
    coded = [([screening.codes[code] for code in one.finding.codes], one.finding.reason[language]) for one in fired]
    return complaint + [({"coding": coding} if coding else {}) | {"text": text} for coding, text in coded]
