"""What a suggestion does to the record, and the feedback that tells the service.

Source: CDS Hooks 2.0.1, "Suggestion", "Action" and "Feedback".
"""

from collections.abc import Sequence
from datetime import datetime

from cds_content.shapes import Json
from cds_service.errors import BadRequest, NotFound, ServiceError, Unprocessable
from cds_service.sandbox.records import Records

DRAFTED = "ServiceRequest"  # what stands among the drafts before it is on record


def apply(records: Records, drafts: list[Json], patient: str, actions: Sequence[Json]) -> list[Json]:
    """Does all of the actions or none; gives the drafts as they are then.

    Raises BadRequest, which says what is wrong with the action, without a word of it.
    """
    with records.lock:
        before, drafts = records.snapshot(), list(drafts)
        try:
            for action in actions:
                _do(records, drafts, patient, action)
        except ServiceError as error:
            records.restore(before)
            why = error.issues[0]["diagnostics"] if isinstance(error, Unprocessable) else str(error)
            raise BadRequest(f"the actions cannot be carried out: {why}") from None
    return drafts


def suggestion_of(card: Json, uuid: str) -> Json:
    """The suggestion of the card with this uuid. Raises NotFound."""
    for one in card.get("suggestions", []):
        if uuid and one.get("uuid") == uuid:
            return dict(one)
    raise NotFound("this card has no such suggestion; open the chart again")


def accepted(card: str, suggestions: Sequence[str], now: datetime) -> Json:
    """The feedback on a card of which these suggestions were taken."""
    taken = [{"id": one} for one in suggestions]
    return _feedback({"card": card, "outcome": "accepted", "acceptedSuggestions": taken}, now)


def overridden(card: str, reason: Json | None, comment: str, now: datetime) -> Json:
    """The feedback on a card that was dismissed; reason and comment may be missing."""
    why = ({"reason": reason} if reason else {}) | ({"userComment": comment} if comment.strip() else {})
    return _feedback({"card": card, "outcome": "overridden"} | ({"overrideReason": why} if why else {}), now)


def _feedback(entry: Json, now: datetime) -> Json:
    return {"feedback": [entry | {"outcomeTimestamp": now.isoformat(timespec="milliseconds")}]}


def _do(records: Records, drafts: list[Json], patient: str, action: Json) -> None:
    if action["type"] == "create":
        records.create(patient, action["resource"])
        return
    kind, id_ = _named(action)
    place = next((at for at, one in enumerate(drafts) if (kind, id_) == (DRAFTED, one["id"])), None)
    if action["type"] == "update" and place is not None:
        drafts[place] = action["resource"]
    elif action["type"] == "update":
        records.update(patient, action["resource"])
    elif place is not None:
        del drafts[place]
    else:
        records.delete(patient, kind, id_)


def _named(action: Json) -> tuple[str, str]:
    """Type and id of the resource that is changed; a reference in its relative form, or the resource itself."""
    resource, named = action.get("resource"), action.get("resourceId")
    if isinstance(resource, dict):
        return str(resource.get("resourceType")), str(resource.get("id"))
    kind, _, id_ = str(named[0] if isinstance(named, list) and named else named).partition("/")
    return kind, id_
