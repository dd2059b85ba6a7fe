"""Which items of a form these answers ask: enableWhen, with all of its operators. Source: FHIR R4 Questionnaire.

Its operator texts for order are slips of the pen; they are read as the HL7 validator reads them: some answer satisfies,
and what is not answered satisfies only `exists` = false. `!=`: answered, and no answer is equal.
"""

from collections.abc import Iterable, Mapping
from typing import Any

from cds_content.shapes import Json
from cds_service.resources import dicts
from cds_service.submission.values import below, same, values_in, values_of

Values = Mapping[str, list[tuple[str, Any]]]  # linkId → (type, value) of each answer


def shown_items(form: Json, response: Json) -> frozenset[str]:
    """The linkIds of all items that are enabled, as are all items around them.

    Answers count wherever they stand in the response.
    """
    values: dict[str, list[tuple[str, Any]]] = {}
    for item in _answered(response):
        if isinstance(item.get("linkId"), str):
            values.setdefault(item["linkId"], []).extend(values_of(item.get("answer")))
    return frozenset(_shown(form.get("item", []), values))


def _answered(parent: Json) -> Iterable[Json]:
    for item in dicts(parent.get("item")):
        yield item
        for inner in (item, *dicts(item.get("answer"))):
            yield from _answered(inner)


def _shown(items: list[Json], values: Values) -> Iterable[str]:
    for item in items:
        rules = [_met(rule, values.get(rule["question"], [])) for rule in item.get("enableWhen", [])]
        if not rules or (all(rules) if item.get("enableBehavior") == "all" else any(rules)):
            yield item["linkId"]
            yield from _shown(item.get("item", []), values)


def _met(rule: Json, given: list[tuple[str, Any]]) -> bool:
    ((kind, wanted),) = values_in(rule).items()
    if rule["operator"] == "exists":
        return bool(given) is wanted
    ours = [value for type_, value in given if type_ == kind]
    equal = any(same(kind, value, wanted) for value in ours)
    match rule["operator"]:
        case "=":
            return equal
        case "!=":
            return bool(given) and not equal
        case ">" | ">=":
            return any(below(kind, wanted, value) for value in ours) or (equal and rule["operator"] == ">=")
        case _:
            return any(below(kind, value, wanted) for value in ours) or (equal and rule["operator"] == "<=")
