"""Which patients make a finding fire, and whether it can change the advice: found by trying, on the core itself."""

from collections.abc import Iterator, Mapping
from dataclasses import replace
from itertools import product

from cds_content.screening import Question, Screening
from cds_content.shapes import Finding
from cds_service.advice import decide
from cds_service.answers import Answer, Answers, Doubt
from cds_service.responses import Reading

_AGE = 18  # of the calm patient: an adult, of an age about which no rule asks


def witness(screening: Screening, finding: Finding) -> Mapping[str, str] | None:
    """What one patient, calm but for this, answers so that the finding fires; None when nobody can."""
    for change, answers in _patients(screening, finding):
        if finding.row in decide(screening, [Reading(answers)]).rows:
            return change
    return None


def changes_advice(screening: Screening, finding: Finding) -> bool:
    """Whether for some patient the advice would be another without this finding.

    It is enough to try the answers that the finding names, in every combination, over those of a calm patient: the
    rules are monotone, so other answers could only make more findings fire.
    """
    without = replace(screening, findings=tuple(other for other in screening.findings if other is not finding))
    return any(
        decide(screening, [Reading(answers)]).disposition != decide(without, [Reading(answers)]).disposition
        for _, answers in _patients(screening, finding)
    )


def calm_answers(screening: Screening) -> Answers:
    """What a calm patient answers: the least alarming of what is safe, the age of an adult; nothing to a follow-up."""
    return Answers({link_id: calm_answer(question) for link_id, question in screening.questions.items()})


def calm_answer(question: Question) -> Answer:
    """The calm patient's answer to one question."""
    if question.shown_for:
        return Answer(asked=False)
    number = question.calm_number(_AGE)
    return Answer(frozenset({question.calm})) if question.options else Answer(span=(number, number))


def report(screening: Screening) -> Iterator[str]:
    """What has been proved: for every row a patient for whom it fires, for every statement its place."""
    for finding in screening.findings:
        answers = ", ".join(f"{name} = {code}" for name, code in (witness(screening, finding) or {}).items())
        yield f"{finding.row:5} {finding.advice:17} fires for a patient calm but for: {answers}"
    for number, statement in screening.statements.statement.items():
        carried = [*sorted(statement.findings), *(f"card {card}" for card in sorted(statement.cards))]
        yield f"{number:5} {', '.join(carried) or 'information only: ' + statement.information}"
    signed = screening.signed_by or "nobody: not reviewed by a clinician"
    yield f"{screening.name} {screening.version}: no mistakes; content {screening.hash}; signed by {signed}"


def _patients(screening: Screening, finding: Finding) -> Iterator[tuple[dict[str, str], Answers]]:
    questions = screening.questions
    calm = dict(calm_answers(screening).by_question)
    named = [atom.answer for atom in finding.when.atoms()] if finding.when else []
    named = list(dict.fromkeys(named)) or [name for name, question in questions.items() if question.item.in_scope]
    for said in product(*(_choices(screening, questions[name]) for name in named)):
        answers = calm | {name: answer for name, (_, answer) in zip(named, said, strict=True)}
        yield {name: code for name, (code, _) in zip(named, said, strict=True)}, Answers(answers)


def _choices(screening: Screening, question: Question) -> list[tuple[str, Answer]]:
    """Every option; or the numbers around which a finding changes; and no answer."""
    missing = [("missing", Answer(doubt="missing"))]
    if question.options:
        doubts: dict[str, Doubt] = dict.fromkeys(question.item.not_known, "not-known")
        return [(code, Answer(frozenset({code}), doubt=doubts.get(code))) for code in question.options] + missing
    atoms = [atom for finding in screening.findings if finding.when for atom in finding.when.atoms()]
    limits = [limit for atom in atoms for limit in (atom.over, atom.at_least, atom.under) if limit is not None]
    edges = {edge for limit in limits for edge in (limit - 1, limit, limit + 1)}
    return [(str(edge), Answer(span=(edge, edge))) for edge in sorted(edges)] + missing
