"""Feedback on the first card that has a uuid: right reports, and reports that say nothing usable.

Source: CDS Hooks 2.0.1, "Feedback".
"""

from collections.abc import Iterator, Sequence
from typing import Any

from cds_content.shapes import Json
from cds_service.conformance.asking import Reply, Target, ask

_WHEN = "2020-12-11T00:00:00.52Z"  # RFC 3339, 5.6, with a fraction as in the specification's sample
RIGHT = ("overridden", "overridden with a reason", "accepted")
REPEATED = "overridden, once more"
WRONG = ("an outcome that there is not", "no card", "accepted without a suggestion", "a bare array")
OVERRIDDEN = RIGHT[0]
REPORTS = frozenset((*RIGHT, REPEATED, *WRONG))


def feedback_of(target: Target, id_: str, answers: Sequence[Any]) -> list[tuple[str, Reply]]:
    """What the service said to each report about a card of these answers; nothing where no card has a uuid.

    Raises ValueError for a report that no row looks for: it would be sent in vain.
    """
    card = next((one for one in _cards(answers) if isinstance(one.get("uuid"), str)), None)
    if card is None:
        return []
    url, reports = f"{target.discovery}/{id_}/feedback", dict(_reports(card))
    if strange := set(reports) - REPORTS:
        raise ValueError(f"no row looks for the report {', '.join(sorted(strange))}; write one of REPORTS")
    return [(name, ask(target, "POST", url, f"{id_}, feedback, {name}", body)) for name, body in reports.items()]


def _cards(answers: Sequence[Any]) -> Iterator[Json]:
    for answer in answers:
        cards = answer.get("cards") if isinstance(answer, dict) else None
        yield from (card for card in (cards if isinstance(cards, list) else ()) if isinstance(card, dict))


def _reports(card: Json) -> Iterator[tuple[str, Any]]:
    about = {"card": card["uuid"], "outcomeTimestamp": _WHEN}
    said = about | {"outcome": "overridden"}
    reason = {"reason": {"code": "conformance", "system": "https://example.org/reasons"}, "userComment": "Conformance."}
    yield OVERRIDDEN, _of(said)
    yield REPEATED, _of(said)
    yield "overridden with a reason", _of(said | {"overrideReason": reason})
    if suggestion := _suggestion(card):
        yield "accepted", _of(about | {"outcome": "accepted", "acceptedSuggestions": [{"id": suggestion}]})
    yield "an outcome that there is not", _of(about | {"outcome": "ignored"})
    yield "no card", _of({name: value for name, value in said.items() if name != "card"})
    yield "accepted without a suggestion", _of(about | {"outcome": "accepted"})
    yield "a bare array", [said]


def _suggestion(card: Json) -> str | None:
    """The uuid of the first suggestion that has one."""
    suggestions = card.get("suggestions")
    uuids = [one.get("uuid") for one in (suggestions if isinstance(suggestions, list) else ()) if isinstance(one, dict)]
    return next((uuid for uuid in uuids if isinstance(uuid, str)), None)


def _of(*entries: Json) -> Json:
    return {"feedback": list(entries)}
