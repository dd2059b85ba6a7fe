"""What a card is as an action of a RequestGroup, written from the mapping of R4 ("CDS on FHIR"), and what is valid."""

from typing import Any

from tests.fhir_rules import valid
from tests.samples import BASE
from tests.wire import objects

Json = dict[str, Any]
ADVICE = f"{BASE}/StructureDefinition/outcome-advice"  # our own extension: which contained resource is the advice
PRIORITIES = {"info": "routine", "warning": "urgent", "critical": "stat"}  # ConceptMap indicator-to-request-priority
RULES = "example.lowbackpain.rules"


def mistakes(resource: Json) -> list[str]:
    """What is wrong with a resource and what it contains: references among what is contained hold as well."""
    known = {f"#{one['id']}" for one in resource.get("contained", [])}
    local = {one["reference"] for one in objects(resource) if str(one.get("reference", "")).startswith("#")}
    found = [one for one in valid(resource) if "ref-1" not in one]
    return found + [f"{reference}: is not contained" for reference in sorted(local - known)]


def group_of(resource: Json) -> Json:
    """The RequestGroup that an OperationOutcome or a CarePlan contains; fails unless that refers to it."""
    named = [one["valueReference"] for one in resource.get("extension", []) if one["url"] == ADVICE]
    named += [one["reference"] for one in resource.get("activity", [])]
    (reference,) = [one["reference"] for one in named]
    (group,) = [one for one in resource["contained"] if f"#{one['id']}" == reference]
    assert group["resourceType"] == "RequestGroup"
    return dict(group)


def topics_of(group: Json) -> list[str]:
    return [action["code"][0]["coding"][0]["code"] for action in group.get("action", [])]


def rows_of(group: Json) -> list[list[str]]:
    """The rows behind each action."""
    return [
        [one["label"] for one in action["documentation"] if one["type"] == "justification"]
        for action in group.get("action", [])
    ]


def as_read(action: Json, contained: list[Json]) -> Json:
    """An action of a RequestGroup as a card: what an EHR that knows both would show."""
    source = action["documentation"][0]
    assert source["type"] == "documentation"
    card: Json = {
        "summary": action["title"],
        "detail": action["description"],
        "indicator": {priority: name for name, priority in PRIORITIES.items()}[action["priority"]],
        "source": {"label": source["display"], "url": source["url"], "topic": action["code"][0]["coding"][0]},
    }
    if "action" in action:
        suggestions = [_suggestion(one, contained) for one in action["action"]]
        card |= {"suggestions": suggestions, "selectionBehavior": action["selectionBehavior"]}
    return card


def as_sent(card: Json) -> Json:
    """A card without what differs from call to call, and without what a RequestGroup has no place for."""
    kept = {
        name: value for name, value in card.items() if name not in ("uuid", "links", "overrideReasons", "extension")
    }
    if "suggestions" in card:
        kept["suggestions"] = [
            {"label": one["label"], "actions": [_timeless(action) for action in one["actions"]]}
            for one in card["suggestions"]
        ]
    return kept


def _suggestion(action: Json, contained: list[Json]) -> Json:
    by_id = {f"#{one['id']}": one for one in contained}
    return {
        "label": action["title"],
        "actions": [
            _timeless(
                {
                    "type": one["type"]["coding"][0]["code"],
                    "description": one["description"],
                    "resource": by_id[one["resource"]["reference"]],
                }
            )
            for one in action["action"]
        ],
    }


def _timeless(action: Json) -> Json:
    """An action of a card without the moment, the id and the definition of what it creates."""
    left_out = ("id", "authoredOn", "created", "instantiatesCanonical", "code", "input")
    resource = {name: value for name, value in action["resource"].items() if name not in left_out}
    return action | {"resource": resource | {"code": _first_code(action["resource"])}}


def _first_code(resource: Json) -> Any:
    return resource.get("code", {}).get("coding", [None])[0]
