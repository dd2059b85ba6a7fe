"""CDS Hooks feedback on the wire: what clinicians did with the cards. Unknown members are ignored at every level.

Source: CDS Hooks 2.0.1 and 3.0 ballot, "Feedback".
"""

import re
from collections.abc import Mapping, Sequence
from datetime import UTC, datetime
from typing import Annotated, Any, Literal

from pydantic import AfterValidator, BaseModel, BeforeValidator, ConfigDict, Field, ValidationError
from pydantic.alias_generators import to_camel
from pydantic_core import PydanticCustomError

from cds_content.shapes import Json
from cds_service.errors import BadRequest, NotFound

# What to write, by member; "[]" is an element of that array.
_WRITE = {
    "": 'an object with the array "feedback"',
    "feedback": "an array of entries, which may be empty",
    "feedback[]": "an object with card, outcome and outcomeTimestamp",
    "card": "the uuid of the card",
    "outcome": "'accepted' or 'overridden'",
    "outcomeTimestamp": "a time as in RFC 3339, such as 2026-11-22T10:00:00Z",
    "acceptedSuggestions": "the suggestions that were accepted, at least one; leave it out when there are none",
    "acceptedSuggestions[]": "an object with the id of the suggestion",
    "id": "the uuid of the suggestion",
    "overrideReason": "an object with a reason, a userComment or both; leave it out when there are none",
    "reason": "an object with at least a code; leave it out when there is none",
    "code": "a text that is not blank",
    "system": "a text that is not blank, or leave it out",
    "display": "a text that is not blank, or leave it out",
    "userComment": "a text that is not blank, or leave it out",
}
_TIME = re.compile(r"[\d-]{10}T([01]\d|2[0-3]):[0-5]\d:[0-5]\d(\.\d+)?(Z|[+-]([01]\d|2[0-3]):[0-5]\d)", re.ASCII)
_WIRE = ConfigDict(strict=True, frozen=True, alias_generator=to_camel)


def _moment(value: Any) -> datetime:
    try:
        if isinstance(value, str) and _TIME.fullmatch(value):
            return datetime.fromisoformat(value).astimezone(UTC)
    except (ValueError, OverflowError):  # no such day, or a year that UTC does not have
        pass
    raise PydanticCustomError("moment", "no RFC 3339 time")


def _given(value: Any) -> Any:
    if value is None:  # CDS Hooks: what has no value is left out, never null
        raise PydanticCustomError("null", "null")
    return value


Given = BeforeValidator(_given)
Words = Annotated[str, Field(pattern=r"\S")]
Uuid = Annotated[Words, AfterValidator(str.lower)]


class Suggestion(BaseModel):
    model_config = _WIRE
    id: Uuid


class Reason(BaseModel):
    """Any code: a client has reasons of its own, and some leave out what their system is."""

    model_config = _WIRE
    code: Words
    system: Words = ""
    display: Words = ""


class OverrideReason(BaseModel):
    model_config = _WIRE
    reason: Annotated[Reason | None, Given] = None
    user_comment: Words = ""


class Entry(BaseModel):
    """What became of one card; uuids in lower case, the time in UTC."""

    model_config = _WIRE
    card: Uuid
    outcome: Literal["accepted", "overridden"]
    outcome_timestamp: Annotated[datetime, BeforeValidator(_moment)]
    accepted_suggestions: Annotated[list[Suggestion], Field(min_length=1)] = []
    override_reason: Annotated[OverrideReason | None, Given] = None


class _Feedback(BaseModel):
    model_config = _WIRE
    feedback: list[Entry]


def read_feedback(body: Any) -> tuple[Entry, ...]:
    """The entries of a feedback call. Raises BadRequest naming index and member, such as feedback[2].outcome."""
    try:
        entries = tuple(_Feedback.model_validate(body).feedback)
    except ValidationError as error:
        fault = error.errors(include_url=False, include_input=False, include_context=False)[0]
        raise _refusal(fault["loc"], "is missing" if fault["type"] == "missing" else "is not right") from None
    for index, entry in enumerate(entries):
        _refuse_incomplete(index, entry)
    return entries


def rows(entries: Sequence[Entry], issued: Mapping[str, Sequence[str]]) -> list[Json]:
    """What is kept of each entry. `issued`: the cards that this service gave to this client, with their suggestions.

    Raises NotFound naming the index of a card that is not among them; BadRequest where a suggestion is not of its card.
    """
    for index, entry in enumerate(entries):
        _refuse_foreign(index, entry, issued)
    return [_row(entry) for entry in entries]


def _refuse_incomplete(index: int, entry: Entry) -> None:
    """What depends on another member. Source: invariants cds-fb-2 and cds-fb-3."""
    if entry.outcome == "accepted" and not entry.accepted_suggestions:
        raise _refusal(("feedback", index, "acceptedSuggestions"), "is missing, and the outcome is 'accepted'")
    reason = entry.override_reason
    if reason and not (reason.reason or reason.user_comment):
        raise _refusal(("feedback", index, "overrideReason"), "is empty")


def _refuse_foreign(index: int, entry: Entry, issued: Mapping[str, Sequence[str]]) -> None:
    if entry.card not in issued:
        place = f"feedback[{index}].card"
        raise NotFound(f"{place}: is no card that this service gave to you; write the uuid of one that it gave")
    for nth, suggestion in enumerate(entry.accepted_suggestions):
        if suggestion.id not in issued[entry.card]:
            raise _refusal(("feedback", index, "acceptedSuggestions", nth, "id"), "is no suggestion of that card")


def _refusal(loc: Sequence[str | int], wrong: str) -> BadRequest:
    place = "".join(f"[{step}]" if isinstance(step, int) else f".{step}" for step in loc).lstrip(".")
    member = re.sub(r"\[\d+\]", "[]", place).rpartition(".")[2]
    return BadRequest(f"{place or 'body'}: {wrong}; write {_WRITE[member]}")


def _row(entry: Entry) -> Json:
    override = entry.override_reason or OverrideReason()
    reason = override.reason
    return {
        "card": entry.card,
        "outcome": entry.outcome,
        "outcome_timestamp": entry.outcome_timestamp,
        "accepted_suggestions": sorted({suggestion.id for suggestion in entry.accepted_suggestions}),
        "reason_code": reason.code if reason else None,
        "reason_system": (reason.system or None) if reason else None,
        "reason_display": (reason.display or None) if reason else None,
        "comment": override.user_comment or None,
    }
