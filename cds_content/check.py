"""What must hold between the content files, checked at every start.

Every name stands for something, every statement has its place, every row can fire and can change the advice, only the
computed rows lead to incomplete and to self-care, and every text fits on a card.
"""

from collections.abc import Iterator

from cds_content.check_cards import CHECK_DIGIT, card_mistakes, is_code, wrong_answers
from cds_content.files import Files, unknown
from cds_content.reach import changes_advice, witness
from cds_content.screening import Screening
from cds_content.shapes import CodesFile, Finding
from cds_content.wording import Mistake, text_mistakes

_CLASS_OF = {"incomplete": "incomplete", "all-safe": "conservative", "out-of-scope": "none"}


def check(files: Files, screening: Screening, codes: CodesFile, *, sound: bool) -> None:
    """Notes every mistake between the files of one screening in `files`; `sound` when the form has none of its own."""
    cards = ("advice.toml", "texts.toml", "orders.toml", "services.toml", "self-test.toml")
    folder = dict.fromkeys(cards, f"cards/{screening.name}")
    folder["words.toml"] = "cards"
    checks = (_findings, _computed, card_mistakes, _trace, text_mistakes)
    found = [mistake for one in checks for mistake in one(screening) if mistake[2]]
    found += [("codes.toml", f"code.{code}", CHECK_DIGIT) for code in codes.code if not is_code(codes.system, code)]
    found += _reach(screening) if sound and not found else []  # trying patients needs rules without mistakes
    for name, place, wrong in dict.fromkeys(found):
        files.wrong(files.root / folder.get(name, f"questionnaires/{screening.name}") / name, place, wrong)


def _findings(screening: Screening) -> Iterator[Mistake]:
    statements, rows = screening.statements, [finding.row for finding in screening.findings]
    for finding in screening.findings:
        place = f"finding.{finding.row}"
        yield "findings.toml", f"{place}.advice", unknown("disposition", finding.advice, screening.dispositions)
        yield "findings.toml", f"{place}.advice", _wrong_class(screening, finding)
        for name in finding.basis:
            yield "findings.toml", f"{place}.basis", unknown("statement", name, statements.statement)
        for name in finding.beyond:
            yield "findings.toml", f"{place}.beyond", unknown("reference", name, statements.reference)
        for name in finding.codes:
            yield "findings.toml", f"{place}.codes", unknown("code", name, screening.codes)
        yield from _conditions(screening, finding)
    for number, statement in statements.statement.items():
        for row in sorted(statement.findings):
            yield "statements.toml", f"statement.{number}.findings", unknown("row", row, rows)


def _computed(screening: Screening) -> Iterator[Mistake]:
    computed = sorted(finding.computed for finding in screening.findings if finding.computed)
    if computed != sorted(_CLASS_OF):
        yield "findings.toml", "finding", f"write one row for each computed: {', '.join(_CLASS_OF)}"
    for key in ("in_scope", "out_of_scope"):
        if not any(getattr(question.item, key) for question in screening.questions.values()):
            yield "findings.toml", "item", f"no question has {key.replace('_', '-')}; write it for the one that tells"
    version = screening.questionnaire["version"]
    if version not in screening.accepts:
        yield "findings.toml", "accepts", f"lacks the version of the form; write '{version}'"


def _conditions(screening: Screening, finding: Finding) -> Iterator[Mistake]:
    for wrong in wrong_answers(screening, finding.when):
        yield "findings.toml", f"finding.{finding.row}.when", wrong


def _wrong_class(screening: Screening, finding: Finding) -> str:
    """Only the computed rows lead to incomplete, to no card, and to the disposition of those who are all safe."""
    if finding.advice not in screening.dispositions:
        return ""
    given, all_safe = screening.class_of(finding), [f.advice for f in screening.findings if f.computed == "all-safe"]
    if finding.computed:
        wanted = _CLASS_OF[finding.computed]
        return "" if given == wanted else f"is of class {given}; write a disposition of class {wanted}"
    if given in ("doctor", "conservative") and finding.advice not in all_safe:
        return ""
    return f"'{finding.advice}' is for a computed row; write another of class doctor or conservative"


def _trace(screening: Screening) -> Iterator[Mistake]:
    """Statements, and the findings and texts that carry them, name each other."""
    statements, last = screening.statements.statement, int(screening.statements.last[1:])
    for number in sorted(statements.keys() ^ {f"S{number}" for number in range(1, last + 1)}):
        yield "statements.toml", f"statement.{number}", f"write exactly the statements S1 to S{last}"
    for number, statement in statements.items():
        rows = {finding.row for finding in screening.findings if number in finding.basis}
        texts = {name for _, name, card in screening.cards if any(number in part.basis for part in card.detail)}
        for key, said, carried in (("findings", statement.findings, rows), ("cards", statement.cards, texts)):
            if said != carried:
                wanted = ", ".join(sorted(carried)) or "nothing"
                yield "statements.toml", f"statement.{number}.{key}", f"write those whose basis names it: {wanted}"


def _reach(screening: Screening) -> Iterator[Mistake]:
    for finding in screening.findings:
        if witness(screening, finding) is None:
            yield "findings.toml", f"finding.{finding.row}", "no answers make it fire; change its `when`"
        elif finding.when and not finding.explains and not changes_advice(screening, finding):
            wrong = "can never change the advice; change its `when` or `advice`, or write explains = true"
            yield "findings.toml", f"finding.{finding.row}", wrong
