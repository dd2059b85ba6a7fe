"""The whole screening on one page, side by side in both languages, for a clinician to read and sign."""

from pathlib import Path

from jinja2 import Environment, StrictUndefined

from cds_content.screening import Question, Screening
from cds_content.shapes import Condition, Finding, Statement
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
        topics=displays(screening.resources, f"{screening.name}-dispositions"),
        reasons=displays(screening.resources, f"{screening.name}-override-reasons"),
        meaning=_meaning,
        order=_order,
        rule=_rule,
        condition=_words,
        sources=lambda finding: "; ".join(references[name].label["en"] for name in finding.beyond),
        numbers=lambda names: ", ".join(sorted(names, key=lambda name: int(name[1:]))),
        cell=lambda text: text.replace("\n", "<br>"),
        carried=_carried,
    )


def _meaning(question: Question, code: str) -> str:
    item = question.item
    kinds = {"safe": item.safe, "not known": item.not_known, "out of scope": item.out_of_scope}
    return ", ".join(kind for kind, codes in kinds.items() if code in codes) or "alarm or reason"


def _order(question: Question) -> str:
    ranks = [[rank] if isinstance(rank, str) else rank for rank in question.item.order]
    return " < ".join(" = ".join(rank) for rank in ranks)


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
