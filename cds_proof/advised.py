"""The rules as formulas: which rows fire for a patient, and the one disposition that follows.

A translation of cds_service.findings and cds_service.advice for one response. Every patient that the solver finds is
put through the core itself (cds_proof.found), and tests compare the two on patients drawn at random.
"""

from collections.abc import Mapping
from dataclasses import dataclass

import z3

from cds_content.screening import Screening
from cds_content.shapes import Condition, Finding
from cds_proof.patients import Patient, Said


@dataclass(frozen=True)
class Advised:
    """Whether each row fires, whether each class of advice has one that does, and how urgent the most urgent is.

    `urgency` is the place of the disposition in advice.toml, 0 the most urgent; where nothing fires, the number of all.
    """

    fired: Mapping[str, z3.BoolRef]
    classes: Mapping[str, z3.BoolRef]
    urgency: z3.ArithRef


def advised(screening: Screening, patient: Patient, *, without: str = "") -> Advised:
    """What the rules advise this patient, all of them or all but the row `without`."""
    findings = [finding for finding in screening.findings if finding.row != without]
    counts = {"doctor": patient.alarms, "conservative": z3.Not(patient.doubted)}
    fired = {
        one.row: z3.And(counts[screening.class_of(one)], holds(one.when, patient))
        for one in findings
        if one.when and screening.class_of(one) in counts
    }
    fired |= _computed(screening, findings, patient, fired)
    return Advised(fired, _by_class(screening, findings, fired), _urgency(screening, findings, fired))


def holds(condition: Condition, patient: Patient) -> z3.BoolRef:
    """Whether the answers make the condition true."""
    if condition.all_:
        return z3.And(*(holds(part, patient) for part in condition.all_))
    if condition.any_:
        return z3.Or(*(holds(part, patient) for part in condition.any_))
    said = patient.answers[condition.answer]
    if condition.is_ == "not-known":
        return said.doubt
    if condition.is_ is not None:
        return z3.Or(*(said.codes[code] for code in sorted(condition.is_)))
    return z3.And(said.numbered, _reaches(condition, said))


def _reaches(condition: Condition, said: Said) -> z3.BoolRef:
    """Whether any number of the range satisfies the condition."""
    if condition.under is not None:
        return said.low < condition.under
    return said.high > condition.over if condition.over is not None else said.high >= (condition.at_least or 0)


def doubted(patient: Patient) -> z3.BoolRef:
    """Whether anything stands in the way of reassurance: the response, or a safety answer that is not known."""
    safety = [said.doubt for said in patient.answers.values() if said.question.item.safety]
    return z3.Or(patient.doubted, z3.And(patient.alarms, z3.Or(*safety)))


def all_safe(patient: Patient) -> z3.BoolRef:
    """Whether every answer is known and safe, and in scope; a number only has to be known."""
    return z3.And(*(_safe(said) for said in patient.answers.values()))


def _safe(said: Said) -> z3.BoolRef:
    wanted = said.question.item.in_scope or said.question.item.safe
    others = [said.codes[code] for code in said.codes if code not in wanted]
    known = said.numbered if not said.codes else z3.And(z3.Or(*said.codes.values()), z3.Not(z3.Or(*others)))
    unasked = z3.And(z3.Not(said.asked), z3.Not(said.given))
    return z3.Or(unasked, z3.And(known, z3.Not(said.doubt)))


def says(patient: Patient, scope: str) -> z3.BoolRef:
    """Whether an answer says that the screening applies (`in_scope`), or that it does not (`out_of_scope`)."""
    return z3.Or(
        *(said.codes[code] for said in patient.answers.values() for code in sorted(getattr(said.question.item, scope)))
    )


def _computed(
    screening: Screening, findings: list[Finding], patient: Patient, fired: Mapping[str, z3.BoolRef]
) -> dict[str, z3.BoolRef]:
    """The rows that follow from the item tables; of these one fires where none of the others decides."""
    classes = _by_class(screening, findings, fired)
    unclear, outside = doubted(patient), z3.And(says(patient, "out_of_scope"), z3.Not(says(patient, "in_scope")))
    nothing = z3.Not(z3.Or(unclear, *classes.values(), outside))
    calm = z3.And(nothing, all_safe(patient))
    when = {
        "incomplete": z3.Or(unclear, z3.And(nothing, z3.Not(all_safe(patient)))),
        "out-of-scope": z3.And(outside, z3.Not(unclear), z3.Not(classes.get("doctor", z3.BoolVal(False)))),
        "all-safe": calm,
    }
    return {one.row: when[one.computed] for one in findings if one.computed}


def _by_class(screening: Screening, findings: list[Finding], fired: Mapping[str, z3.BoolRef]) -> dict[str, z3.BoolRef]:
    rows: dict[str, list[z3.BoolRef]] = {}
    for one in findings:
        if one.row in fired:
            rows.setdefault(screening.class_of(one), []).append(fired[one.row])
    return {name: z3.Or(*formulas) for name, formulas in rows.items()}


def _urgency(screening: Screening, findings: list[Finding], fired: Mapping[str, z3.BoolRef]) -> z3.ArithRef:
    urgency: z3.ArithRef = z3.IntVal(len(screening.dispositions))
    for place, name in reversed(list(enumerate(screening.dispositions))):
        rows = [fired[one.row] for one in findings if one.advice == name and one.row in fired]
        urgency = z3.If(z3.Or(*rows), z3.IntVal(place), urgency)
    return urgency
