"""/sandbox/patients/ID/compare: what another answer to one question would change. Nothing of it is kept."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from flask import Blueprint, Response, request
from markupsafe import Markup

from cds_content.screening import Question, Screening
from cds_service.errors import BadRequest
from cds_service.sandbox import Chart, Ehr, Fired
from cds_service.web import Deployment
from cds_service.web.pages import page, pages, said, spoken
from cds_service.web.sandbox_cards import Card, rows, shown_cards
from cds_service.web.sandbox_chart import CHART
from cds_service.web.sandbox_exchanges import messages
from cds_service.web.sandbox_record import screening_of


@dataclass(frozen=True)
class Line:
    """A card or a rule, and on which side it is there. `change` is "same", "new", "gone" or "altered".

    "altered" is a card that is there on both sides and says something else below its heading; `details` are its texts.
    """

    words: str
    before: bool
    after: bool
    differs: bool = False
    details: tuple[Sequence[Markup], Sequence[Markup]] = ((), ())

    @property
    def change(self) -> str:
        if self.before and self.after:
            return "altered" if self.differs else "same"
        return "new" if self.after else "gone"


def routes(service: Deployment, ehr: Ehr) -> Blueprint:
    """The page; without an answer it asks for one, without a question for that."""
    blueprint = pages("sandbox_compare", service)

    @blueprint.get(f"{CHART}/compare")
    def compare(id_: str) -> Response:
        return _page(service, ehr, ehr.chart(id_))

    return blueprint


def _page(service: Deployment, ehr: Ehr, chart: Chart) -> Response:
    known = [(one, screening) for one in chart.responses if (screening := screening_of(one, service.screenings))]
    response, screening = known[0] if known else ({}, None)
    asked = choosable(screening) if screening else {}
    question, answer = request.args.get("question", ""), request.args.get("answer")  # "": the question left open
    if (question and question not in asked) or (answer and answer not in _options(asked, question)):
        raise BadRequest("question, answer: are not on the form; choose them from the lists of the page")
    chosen = question and answer is not None
    sides = ehr.compare(chart.person.id, question, answer or "", language=spoken()) if chosen else None
    return page(
        "sandbox-compare.html.jinja",
        person=chart.person,
        asked=asked,
        question=question,
        answer=answer,
        present=list(answered(response.get("item"), question)),
        options=_options(asked, question),
        sides=sides,
        findings=_findings(screening, sides) if screening and sides else [],
        cards=_cards(sides) if sides else [],
        messages=[messages(side.exchanges, service.public) for side in sides] if sides else [],
    )


def choosable(screening: Screening) -> dict[str, Question]:
    """The questions that are answered by a choice, in the order of the form."""
    return {link_id: one for link_id, one in screening.questions.items() if one.options}


def answered(parts: Any, link_id: str) -> Iterator[str]:
    """The codes that a response holds as answers to the question, wherever in it they stand."""
    for part in parts if isinstance(parts, list) else []:
        if not isinstance(part, dict):
            continue
        if part.get("linkId") == link_id:
            codings = [one.get("valueCoding") for one in part.get("answer") or [] if isinstance(one, dict)]
            yield from (one["code"] for one in codings if isinstance(one, dict) and isinstance(one.get("code"), str))
        for name in ("item", "answer"):
            yield from answered(part.get(name), link_id)


def _options(asked: Mapping[str, Question], question: str) -> Mapping[str, Mapping[str, str]]:
    return asked[question].options if question in asked else {}


def _findings(screening: Screening, sides: tuple[Fired, Fired]) -> list[Line]:
    """The rules that the cards of either side name, with their reason where they are rules of this content."""
    before, after = ([row for card in side.cards for row in rows(card)] for side in sides)
    known = {one.row: one.reason[spoken()] for one in screening.findings}
    every = dict.fromkeys([*before, *after])
    return [Line(f"{row} {known.get(row, '')}".strip(), row in before, row in after) for row in every]


def _cards(sides: tuple[Fired, Fired]) -> list[Line]:
    before, after = (_by_heading(side) for side in sides)
    return [
        Line(
            one,
            one in before,
            one in after,
            differs=list(map(_said_by, before.get(one, []))) != list(map(_said_by, after.get(one, []))),
            details=([card.detail for card in before.get(one, [])], [card.detail for card in after.get(one, [])]),
        )
        for one in dict.fromkeys([*before, *after])
    ]


def _by_heading(side: Fired) -> dict[str, list[Card]]:
    found: dict[str, list[Card]] = {}
    for card in shown_cards(side):
        found.setdefault(_headed(card), []).append(card)
    return found


def _said_by(card: Card) -> tuple[Any, ...]:
    """All that a card says, without what is made anew for each call: the uuids, and resources with their moments."""
    suggested = [
        (one.label, one.recommended, [(act.kind, act.about, act.description) for act in one.actions])
        for one in card.suggestions
    ]
    return card.detail, card.source, card.topic, suggested, [one.label for one in card.links], card.reasons


def _headed(card: Card) -> str:
    how = said(f"sandbox.indicator-{card.indicator or 'unknown'}")
    return f"{how}: {card.summary}"
