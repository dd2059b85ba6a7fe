"""Which part of a screening carries which statement of the patient sheet, and back: one page, made from the content.

From statements to questions, findings and cards; and back from every question, finding and text of a card.
"""

import re
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path

from jinja2 import Environment, StrictUndefined

from cds_content.card_shapes import Card, OrderCard, Paragraph
from cds_content.review import by_number
from cds_content.screening import Screening
from cds_content.shapes import Finding, Statement
from cds_content.templates import PLACE

Tests = Mapping[str, Sequence[str]]  # a statement, a row or the name of a card → its tests, in Markdown
_NUMBER = re.compile(r"\bS\d+\b")
_FILLED_IN = frozenset({"reasons", "basis", "sources"})  # places that a card fills with what the findings rest on


def trace_page(screening: Screening, tests: Tests, why: Mapping[str, str]) -> str:
    """The page in Markdown; equal content and tests give an equal page.

    `why` says what carries a text of a card that names no statement: words that such a text holds → what carries it.
    """
    template = Path(__file__).with_name("trace.md.jinja").read_text("utf-8")
    page = Environment(undefined=StrictUndefined, keep_trailing_newline=True, autoescape=False)  # noqa: S701 - Markdown
    return page.from_string(template).render(
        screening=screening,
        tests=lambda name: tests.get(name, ()),
        by_number=by_number,
        questions_of=lambda statement: _questions(screening, statement),
        cards_of=lambda statement: _cards(screening, statement),
        reads=lambda finding: _reads(screening, finding),
        rows_of=lambda link_id: _rows(screening, link_id),
        beyond=lambda findings: "; ".join(_beyond(screening, findings)) or "–",
        sheet=lambda findings: by_number(frozenset(name for one in findings for name in one.basis)),
        texts=list(card_texts(screening)),
        carried=lambda part: carried(part, why),
        cell=lambda words: words.replace("\n", "<br>").replace("|", "\\|"),
    )


def card_texts(screening: Screening) -> Iterator[tuple[str, str, tuple[Paragraph, ...]]]:
    """(name, row or nothing, paragraphs) of every card that has any; those of all cards come last, as "every card"."""
    for _, name, card in screening.cards:
        if card.detail:
            yield name, _row(card), card.detail
    yield "every card", "", screening.texts.closing


def carried(part: Paragraph, why: Mapping[str, str]) -> str:
    """What a text of a card rests on: statements, what the findings rest on, or what `why` says; empty: nothing."""
    named = by_number(part.basis | frozenset(_NUMBER.findall(part.en)))
    from_findings = "what the findings named on the card rest on" if set(PLACE.findall(part.en)) & _FILLED_IN else ""
    said = [carrier for words, carrier in why.items() if words in part.en]
    return "; ".join(one for one in (", ".join(named), from_findings, *said) if one)


def _row(card: Card) -> str:
    return card.row if isinstance(card, OrderCard) else ""


def _questions(screening: Screening, statement: Statement) -> list[str]:
    """The questions of the findings that carry a statement, in the order of the form."""
    carrying = [one for one in screening.findings if one.row in statement.findings]
    read = {atom.answer for one in carrying if one.when for atom in one.when.atoms()}
    named = [name for name in screening.questions if name in read]
    return named + [_reads(screening, one) for one in carrying if one.computed]


def _cards(screening: Screening, statement: Statement) -> list[str]:
    """The dispositions of the findings that carry a statement, and the cards whose text names it."""
    advised = {one.advice for one in screening.findings if one.row in statement.findings}
    named = [f"{name} (finding)" for name in screening.dispositions if name in advised]
    return named + [f"{name} (text)" for name in sorted(statement.cards)]


def _reads(screening: Screening, finding: Finding) -> str:
    """The questions that a finding reads; in words where it follows from the tables of the questions."""
    if finding.when:
        return ", ".join(dict.fromkeys(atom.answer for atom in finding.when.atoms()))
    scope = [name for name, question in screening.questions.items() if question.item.out_of_scope]
    words = {"incomplete": "every safety question", "all-safe": "every question", "out-of-scope": ", ".join(scope)}
    return words[finding.computed or "incomplete"]


def _rows(screening: Screening, link_id: str) -> list[Finding]:
    """The findings that read a question by a rule of their own."""
    ruled = [one for one in screening.findings if one.when]
    return [one for one in ruled if one.when and link_id in {atom.answer for atom in one.when.atoms()}]


def _beyond(screening: Screening, findings: Sequence[Finding]) -> list[str]:
    """The references beyond the sheet, each with how far it was read."""
    names = dict.fromkeys(name for one in findings for name in one.beyond)
    return [f"{screening.statements.reference[name].label['en']} ({_read(screening, name)})" for name in names]


def _read(screening: Screening, name: str) -> str:
    state = screening.statements.reference[name].state
    return {"read": "read", "in part": "read in part", "not verified": "not verified"}[state]
