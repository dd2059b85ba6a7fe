"""Suggestions, actions and links.

Source: CDS Hooks 2.0.1 and 3.0 ballot, "Suggestion", "Action", "System Actions", "Link".
"""

import re
from collections.abc import Callable, Iterator
from typing import Any

from cds_service.conformance.checks.cards import unique
from cds_service.conformance.checks.parts import (
    Part,
    Parts,
    actions,
    answers,
    cards,
    is_absolute,
    is_text,
    links,
    member,
    suggested,
    suggestions,
    system_actions,
    within,
)
from cds_service.conformance.looks import Check, Level, Look
from cds_service.conformance.seen import Seen

_TYPES = ("create", "update", "delete")
_REFERENCE = re.compile(r"[A-Z][A-Za-z]+/[A-Za-z0-9.-]{1,64}")
_LONG = 8  # letters of an id that is not in a URL by chance


def _each(parts: Callable[[Seen], Iterator[tuple[str, Any]]], *members: str) -> Callable[[Seen], Iterator[Look]]:
    """Every element is an object with these texts."""

    def look(seen: Seen) -> Iterator[Look]:
        for place, one in parts(seen):
            right = isinstance(one, dict) and all(is_text(one.get(name)) for name in members)
            yield Look(place, "" if right else f"has no {' and '.join(members)}; REQUIRED")

    return look


def _uuids(seen: Seen) -> Iterator[Look]:
    found = list(suggestions(seen))
    missing = "is absent; without it no client can say that the suggestion was accepted"
    yield from (Look(f"{place}.uuid", "" if "uuid" in one else missing) for place, one in found)
    yield from unique(found)


def _behaviour(seen: Seen) -> Iterator[Look]:
    for place, one in suggestions(seen):
        wrong = "has actionSelectionBehavior, which few clients know; send it only where it was agreed"
        yield Look(place, wrong if "actionSelectionBehavior" in one else "")


def _of_type(type_: str) -> Parts:
    def parts(seen: Seen) -> Iterator[Part]:
        return ((place, one) for place, one in actions(seen) if one.get("type") == type_)

    return parts


def _is_resource(value: Any) -> bool:
    return isinstance(value, dict) and is_text(value.get("resourceType"))


def _is_named_resource(value: Any) -> bool:
    return _is_resource(value) and is_text(value.get("id"))


def _is_reference(value: Any) -> bool:
    return isinstance(value, str) and bool(_REFERENCE.fullmatch(value))


def _system(seen: Seen) -> Iterator[Look]:
    for call, answer in answers(seen):
        if "systemActions" in answer and not isinstance(answer["systemActions"], list):
            yield Look(f"{call.reply.place}, systemActions", "is no array of actions")
    yield from _each(system_actions, "type", "description")(seen)


def _contexts(seen: Seen) -> Iterator[Look]:
    for place, link in links(seen):
        if "appContext" in link:
            right = is_text(link["appContext"]) and link.get("type") == "smart"
            yield Look(f"{place}.appContext", "" if right else "is no text on a smart link; escape JSON in a text")


def _private(seen: Seen) -> Iterator[Look]:
    for call, _ in answers(seen):
        context = call.sent.get("context") if isinstance(call.sent, dict) else None
        patient = context.get("patientId") if isinstance(context, dict) else None
        if isinstance(patient, str) and len(patient) >= _LONG:
            found = (one for one in links(seen) if one[0].startswith(f"{call.reply.place}, "))
            for place, link in found:
                yield Look(f"{place}.url", "holds the id of the patient" if patient in str(link.get("url")) else "")


def _is_flag(value: Any) -> bool:
    return isinstance(value, bool)


_SUGGESTION = "2.0.1, 3.0: Suggestion"
_ACTION = "2.0.1, 3.0: Action"
_LINK = "2.0.1, 3.0: Link"
_NO_SUGGESTION = "no suggestion came; give calls that lead to suggestions with --call"
_NO_ACTION = "no action came; give calls that lead to actions with --call"
_NO_LINK = "no link came; give calls that lead to links with --call"
CHECKS = (
    Check("SUG-1", _SUGGESTION, Level.MUST, "labels every suggestion", _each(within(cards, "suggestions"), "label"),
          _NO_SUGGESTION),
    Check("SUG-2", _SUGGESTION + " (OPTIONAL; needed for Feedback)", Level.SHOULD,
          "gives every suggestion a uuid of its own", _uuids, _NO_SUGGESTION),
    Check("SUG-3", _SUGGESTION, Level.MUST, "sends isRecommended as true or false, if at all",
          member(suggestions, "isRecommended", _is_flag, "is neither true nor false", optional=True),
          "no suggestion with isRecommended came"),
    Check("SUG-5", "3.0 (trial use): Suggestion", Level.MUST,
          "sends actionSelectionBehavior to nobody who did not agree", _behaviour, _NO_SUGGESTION),
    Check("ACT-1", _ACTION, Level.MUST, "gives every action one of the types create, update and delete",
          member(actions, "type", _TYPES.__contains__, f"is not one of {', '.join(_TYPES)}"), _NO_ACTION),
    Check("ACT-2", _ACTION, Level.MUST, "describes every action of a suggestion", _each(suggested, "description"),
          "no action of a suggestion came; give calls that lead to one with --call"),
    Check("ACT-3", _ACTION, Level.MUST, "creates whole resources",
          member(_of_type("create"), "resource", _is_resource, "is no FHIR resource"), "no action to create came"),
    Check("ACT-4", _ACTION, Level.MUST, "updates with a whole resource and its id",
          member(_of_type("update"), "resource", _is_named_resource, "is no FHIR resource with an id"),
          "no action to update came"),
    Check("ACT-5", _ACTION, Level.SHOULD, "deletes by resourceId, with type and id",
          member(_of_type("delete"), "resourceId", _is_reference, "is no type and id, such as ServiceRequest/1"),
          "no action to delete came"),
    Check("SYS-2", "2.0.1: System Actions (the description is OPTIONAL in 3.0)", Level.MUST,
          "writes systemActions as an array of actions with a description", _system, "no system action came"),
    Check("LINK-1", _LINK, Level.MUST, "gives every link a label, a URL and a type",
          _each(within(cards, "links"), "label", "url", "type"), _NO_LINK),
    Check("LINK-2", _LINK, Level.MUST, "uses the link types absolute and smart only",
          member(links, "type", ("absolute", "smart").__contains__, "is not one of absolute, smart"), _NO_LINK),
    Check("LINK-3", _LINK, Level.MUST, "writes absolute URLs of http or https",
          member(links, "url", is_absolute, "is no absolute URL of http or https"), _NO_LINK),
    Check("LINK-4", _LINK, Level.MUST, "sends appContext as a text, and on smart links only", _contexts,
          "no link with appContext came"),
    Check("LINK-5", _LINK, Level.MUST, "writes autolaunchable as true or false, if at all",
          member(links, "autolaunchable", _is_flag, "is neither true nor false", optional=True),
          "no link with autolaunchable came"),
    Check("LINK-6", "not in the specification: good privacy", Level.SHOULD, "puts no id of the patient in a link",
          _private, _NO_LINK),
)  # fmt: skip
