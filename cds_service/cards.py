"""From advice to CDS Hooks cards, in the clinician's language.

Source: CDS Hooks 2.0.1 and 3.0 ballot, "CDS Service Response".
"""

from collections.abc import Mapping, Sequence

from cds_content.card_shapes import Card, OrderCard
from cds_content.screening import Screening
from cds_content.shapes import Json, Text
from cds_service.advice import NO_SCREENING, Advice, Fired
from cds_service.details import Call, detail, listed, places, text
from cds_service.orders import Order
from cds_service.suggestions import actions

URGENT = {"doctor", "incomplete"}  # the classes of advice that a card about an order must pass on
MOST = 3  # cards in one response; more are not read


def advice_cards(screening: Screening, advice: Advice, call: Call) -> list[Json]:
    """The cards of one advice: at most one of the doctor class, one incomplete, one conservative, in that order."""
    shown = _by_class(screening, advice)
    if call.by_patient:
        return _plain_cards(screening, shown, call)
    wanted = ("doctor", "incomplete") if "doctor" in shown else ("incomplete", "conservative")
    return [_triage_card(screening, advice, shown[name], call) for name in wanted if name in shown]


def order_cards(screening: Screening, advices: Mapping[str, Advice], orders: Sequence[Order], call: Call) -> list[Json]:
    """The cards about orders and appointments: for each kind those that its advice calls for, the most urgent first.

    A disposition's suggestions stand on the first of its cards only, so that nobody is referred twice.
    """
    classes = {kind: _by_class(screening, advice) for kind, advice in advices.items()}
    if call.by_patient:
        return next((plain for shown in classes.values() if (plain := _plain_cards(screening, shown, call))), [])
    wanted = [
        (kind, card)
        for name in ("doctor", "incomplete", "calm")
        for kind, shown in classes.items()
        for card in screening.orders[kind].card
        if card.when == name and _calls(name, shown)
    ]
    cards: list[Json] = []
    suggested: set[str] = set()
    for kind, card in wanted[:MOST]:
        about = [order for order in orders if order.kind == kind]
        cards.append(_order_card(screening, advices[kind], about, card, call, again=card.when in suggested))
        suggested.add(card.when)
    return cards


def _calls(name: str, shown: Mapping[str, object]) -> bool:
    """Whether an advice with these classes calls for a card of this class; "calm" is neither of the urgent ones."""
    return name in shown if name in URGENT else not shown.keys() & URGENT


def offer_cards(screening: Screening, call: Call) -> list[Json]:
    """The offer of the form, where the record knows the complaint and there is no screening yet."""
    offer, reasons = screening.texts.offer, screening.texts.override_reasons
    if call.by_patient:
        return []
    words = text(offer.detail, places(screening, call.language), call.language)
    card = _frame(screening, "form-offer", offer, offer.summary, words, call)
    return [card | actions(screening, offer, reasons, NO_SCREENING, (), call) | _rules(screening)]


def _by_class(screening: Screening, advice: Advice) -> dict[str, list[Fired]]:
    shown: dict[str, list[Fired]] = {}
    for fired in advice.fired:
        shown.setdefault(screening.class_of(fired.finding), []).append(fired)
    return shown


def _plain_cards(screening: Screening, shown: dict[str, list[Fired]], call: Call) -> list[Json]:
    """The contact text of the form, for a patient who reads the card: no codes of rules, no suggestions."""
    if "doctor" not in shown:
        return []
    name = shown["doctor"][0].finding.advice
    disposition = screening.dispositions[name]
    words = disposition.patient or {}
    return [_frame(screening, name, disposition, words, words[call.language], call) | _rules(screening)]


def _triage_card(screening: Screening, advice: Advice, fired: Sequence[Fired], call: Call) -> Json:
    top = fired[0].finding
    disposition, named = screening.dispositions[top.advice], listed(screening, fired)
    words = detail(screening, advice, disposition, named, (), call)
    card = _frame(screening, top.advice, disposition, top.summary or top.reason, words, call)
    reasons = screening.texts.override_reasons
    rules = _rules(screening, [one.finding.row for one in fired])
    return card | actions(screening, disposition, reasons, advice, named, call) | rules


def _order_card(
    screening: Screening, advice: Advice, orders: Sequence[Order], own: OrderCard, call: Call, *, again: bool
) -> Json:
    """A card about orders of one kind; but for a calm one it goes on as the card of the disposition does."""
    table = screening.orders[orders[0].kind]
    fired = _by_class(screening, advice).get(own.when, advice.fired)
    top = fired[0].finding
    card = own if own.when == "calm" else _continued(own, screening.dispositions[top.advice], again=again)
    named = listed(screening, fired)
    words = detail(screening, advice, card, named, orders, call)
    said = top.summary or top.reason
    summary = {language: line.replace("{advice}", said[language]) for language, line in own.summary.items()}
    framed = _frame(screening, table.topic or top.advice, card, summary, words, call)
    reasons = [*screening.texts.override_reasons, *table.override_reasons]
    rules = _rules(screening, [own.row, *(one.finding.row for one in fired)])
    return framed | actions(screening, card, reasons, advice, named, call) | rules


def _continued(own: Card, disposition: Card, *, again: bool) -> Card:
    """The disposition's card with the first paragraph of the order's before its own, and the others after them."""
    return disposition.model_copy(
        update={
            "detail": (*own.detail[:1], *disposition.detail, *own.detail[1:]),
            "suggestion": own.suggestion if again else (*own.suggestion, *disposition.suggestion),
            "links": (*own.links, *disposition.links),
        }
    )


def _frame(screening: Screening, topic: str, card: Card, summary: Text, words: str, call: Call) -> Json:
    return {
        "uuid": call.new_uuid(),
        "summary": summary[call.language],
        "indicator": card.indicator,
        "detail": words,
        "source": {
            "label": screening.texts.source[call.language].format_map(places(screening, call.language)),
            "url": f"{call.public}/fhir/Questionnaire/{screening.questionnaire['id']}",
            "topic": screening.coding("dispositions", topic, call.language),
        },
    }


def _rules(screening: Screening, rows: Sequence[str] = ()) -> Json:
    """What the card rests on, for machines: rows, version of the rule set, content hash, and when it is due again."""
    named = {"rows": list(dict.fromkeys(rows))} if rows else {}
    content = {"version": screening.version, "hash": screening.hash, "nextReview": str(screening.next_review)}
    return {"extension": {f"{screening.domain}.rules": named | content}}
