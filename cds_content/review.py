"""The whole screening on one page, side by side in both languages, for a clinician to read and sign.

This is the page as Markdown, beside the content; cds_service.web.review shows the same as HTML, with the same readings.
"""

from collections.abc import Iterator
from pathlib import Path
from typing import Any

from jinja2 import Environment, StrictUndefined

from cds_content.screening import Question, Screening
from cds_content.shapes import LANGUAGES, Condition, Finding, Statement, Text
from cds_content.translations import displays, texts


def review_page(screening: Screening) -> str:
    """The page in Markdown; equal content gives an equal page."""
    template = Path(__file__).with_name("review.md.jinja").read_text("utf-8")
    form = screening.questionnaire
    references = screening.statements.reference
    page = Environment(undefined=StrictUndefined, keep_trailing_newline=True, autoescape=False)  # noqa: S701 - Markdown
    return page.from_string(template).render(
        screening=screening,
        form=form,
        items=form["item"],
        text=lambda parent, name: texts(parent, name, form["language"]),
        topics=topics(screening),
        shared=list(shared_texts(screening)),
        meaning=lambda question, code: ", ".join(counts_as(question, code)),
        order=rising,
        rule=_rule,
        condition=_words,
        sources=lambda finding: "; ".join(references[name].label["en"] for name in finding.beyond),
        numbers=lambda names: ", ".join(by_number(names)),
        cell=lambda text: text.replace("\n", "<br>"),
        carried=_carried,
    )


def topics(screening: Screening) -> dict[str, dict[str, str]]:
    """What each card can be about, dispositions first: code → name in each language."""
    return displays(screening.resources, f"{screening.name}-dispositions")


def shared_texts(screening: Screening) -> Iterator[tuple[str, Text]]:
    """(name, text) of all that several cards or the form share, so that no text is left unread."""
    shared = screening.texts
    yield from shared.text.items()
    yield from (("closing", {"nl": part.nl, "en": part.en}) for part in shared.closing)
    yield "offer of the form", shared.offer.summary
    yield from (("offer of the form", {"nl": part.nl, "en": part.en}) for part in shared.offer.detail)
    yield from (("offer of the form: suggestion", one.label) for one in shared.offer.suggestion)
    named = {"source": shared.source, "signed": shared.signed, "unsigned": shared.unsigned, "denied": shared.denied}
    yield from named.items()
    yield from ((f"link: {name}", link.label) for name, link in shared.link.items())
    yield from ((f"link: {name}, smart", link.smart.label) for name, link in shared.link.items() if link.smart)
    for name, resource in shared.resource.items():
        yield f"action: {name}", resource.action
        yield from ((f"in {name}", text) for text in _said(resource.body))
    for group, words in screening.words:
        yield from ((f"{group}: {name}", text) for name, text in words.items())
    reasons = displays(screening.resources, f"{screening.name}-override-reasons")
    yield from ((f"override reason: {code}", text) for code, text in reasons.items())


def counts_as(question: Question, code: str) -> tuple[str, ...]:
    """What an answer means: one or more of "safe", "not known", "out of scope"; else "alarm or reason"."""
    item = question.item
    kinds = {"safe": item.safe, "not known": item.not_known, "out of scope": item.out_of_scope}
    return tuple(kind for kind, codes in kinds.items() if code in codes) or ("alarm or reason",)


def rising(question: Question) -> str:
    """The answers in rising alarm."""
    ranks = [[rank] if isinstance(rank, str) else rank for rank in question.item.order]
    return " < ".join(" = ".join(rank) for rank in ranks)


def by_number(names: frozenset[str] | tuple[str, ...]) -> list[str]:
    """Statements in the order of the sheet: S9 before S10."""
    return sorted(names, key=lambda name: int(name[1:]))


def _said(value: Any) -> Iterator[Text]:
    """Every text in the body of a resource."""
    if isinstance(value, dict) and set(value) == set(LANGUAGES):
        yield value
    for part in value.values() if isinstance(value, dict) else value if isinstance(value, list) else ():
        yield from _said(part)


def _rule(finding: Finding) -> str:
    computed = {
        "incomplete": "a safety answer is not known, or the response cannot be relied on, or nothing else holds",
        "all-safe": "nothing above holds, and every answer is known and safe",
        "out-of-scope": "the complaint is absent, and neither a doctor-class row nor the incomplete row holds",
    }
    return _words(finding.when) if finding.when else computed[finding.computed or "incomplete"]


def _words(condition: Condition) -> str:
    if condition.all_:
        return " **and** ".join(_words(part) for part in condition.all_)
    if condition.any_:
        return "(" + " **or** ".join(_words(part) for part in condition.any_) + ")"
    if isinstance(condition.is_, frozenset):
        return f"{condition.answer} = {' or '.join(sorted(condition.is_))}"
    if condition.is_:
        return f"{condition.answer} is not known"
    limits = {">": condition.over, "≥": condition.at_least, "<": condition.under}
    return " ".join(f"{condition.answer} {sign} {limit}" for sign, limit in limits.items() if limit is not None)


def _carried(statement: Statement) -> str:
    parts = [*sorted(statement.findings), *(f"card {name}" for name in sorted(statement.cards))]
    return ", ".join(parts) or f"information only: {statement.information}"
