"""The rules in FHIRPath, for engines that know nothing of this project: the condition of each row and each card.

Every condition stands alone: the facts of the response (cds_content.plan.facts), and then a test of that one string.
What a row means is cds_service.findings and .advice; for one response, these conditions fire exactly the same rows.
Source: FHIRPath N1 (2.0.0); HL7 FHIR R4, "FHIRPath"; SDC, %resource.
"""

from cds_content.card_shapes import OrderKind
from cds_content.plan.facts import COUNTS, CURRENT, facts, quoted
from cds_content.plan.holds import all_known, all_safe, can_be_safe, holds, one_holds, outside, safe_codes
from cds_content.screening import Screening
from cds_content.shapes import Condition, Finding

_COUNTS, _CURRENT = (f"startsWith({quoted(part)})" for part in (COUNTS, CURRENT))


def row_condition(screening: Screening, finding: Finding) -> str:
    """Whether the finding fires, for %resource = the response."""
    return f"{facts(screening)}.select({row_test(screening, finding)})"


def order_condition(screening: Screening, kind: OrderKind, when: str) -> str:
    """Whether a response calls for the card of this class about orders of this kind (orders.toml)."""
    return f"{facts(screening)}.select({order_test(screening, kind, when)})"


def urgency_condition(screening: Screening, name: str) -> str:
    """Whether a row of this disposition, of class doctor, fires and none of a more urgent one."""
    urgency = list(screening.dispositions)
    before = [one for other in urgency[: urgency.index(name)] for one in _rows(screening, other)]
    fires = f"{_COUNTS} and {one_holds(screening, _rows(screening, name))}"
    return f"{facts(screening)}.select({fires} and {one_holds(screening, before)}.not())"


def row_test(screening: Screening, finding: Finding) -> str:
    """The part of the condition that tests the facts."""
    if finding.when is None:
        return _COMPUTED[str(finding.computed)](screening)
    if screening.class_of(finding) != "doctor":
        return f"{_CURRENT} and {holds(screening, finding.when)}"
    by_doubt = any(atom.is_ == "not-known" for atom in finding.when.atoms())  # true as well where nothing is told
    return f"{_COUNTS} and {holds(screening, finding.when)}" if by_doubt else holds(screening, finding.when)


def order_test(screening: Screening, kind: OrderKind, when: str) -> str:
    """The part of the condition that tests the facts. That there is no response at all, no response can say."""
    doctor, incomplete = f"({_COUNTS} and {_fires(screening, 'doctor')})", _incomplete(screening)
    if kind.without_screening:  # then no complaint is a screening that is not complete
        incomplete = f"({incomplete} or {_out_of_scope(screening)})"
    return {"doctor": doctor, "incomplete": incomplete}.get(when, f"({doctor} or {incomplete}).not()")


def _incomplete(screening: Screening) -> str:
    """Not all is known; or it is, but no other row fires."""
    fires = f"{_fires(screening, 'doctor')} or {outside(screening)} or {_fires(screening, 'conservative')}"
    settled = f"iif({fires}, false, ({all_safe(screening)}).not())"
    return f"iif({_CURRENT}, iif({all_known(screening)}, {settled}, true), true)"


def _out_of_scope(screening: Screening) -> str:
    alone = f"{all_known(screening)} and {_fires(screening, 'doctor')}.not()"
    return f"iif({_CURRENT} and {outside(screening)}, {alone}, false)"


def _all_safe(screening: Screening) -> str:
    """Every answer is a safe one, and no row fires that safe answers alone can fire."""
    rows = [*_conditions(screening, "doctor"), *_conditions(screening, "conservative")]
    fires = (
        [one_holds(screening, possible)] if (possible := [one for one in rows if can_be_safe(screening, one)]) else []
    )
    if any(one.item.out_of_scope & safe_codes(one) for one in screening.questions.values()):
        fires.append(outside(screening))
    alone = f" and ({' or '.join(fires)}).not()" if fires else ""
    return f"iif({_CURRENT}, {all_safe(screening)}{alone}, false)"


_COMPUTED = {"incomplete": _incomplete, "all-safe": _all_safe, "out-of-scope": _out_of_scope}


def _fires(screening: Screening, class_: str) -> str:
    return one_holds(screening, _conditions(screening, class_))


def _conditions(screening: Screening, class_: str) -> list[Condition]:
    return [one.when for one in screening.findings if one.when and screening.class_of(one) == class_]


def _rows(screening: Screening, disposition: str) -> list[Condition]:
    return [one.when for one in screening.findings if one.when and one.advice == disposition]
