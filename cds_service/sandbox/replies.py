"""What a CDS service answers, read leniently: what can be shown is shown, and what cannot is said, never dropped.

A card has to have a summary to be shown, and nothing else: a critical one never vanishes for a small fault.

Source: CDS Hooks 2.0.1, "CDS Service Response" and "Discovery".
"""

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any
from uuid import uuid4

from cds_content.shapes import Json
from cds_service.sandbox.exchange import Exchange

INDICATORS = ("info", "warning", "critical")


@dataclass(frozen=True)
class Reply:
    """The cards that can be shown, the system actions, and what is wrong, in names of words/problems.toml.

    Each card and each suggestion has a uuid of its own. `made` are those made here, where the service sent none, or one
    that stands there twice: it knows nothing of them, so that no feedback may name them.
    """

    cards: tuple[Json, ...] = ()
    system_actions: tuple[Json, ...] = ()
    problem: tuple[str, ...] = ()
    made: frozenset[str] = frozenset()


def read_services(exchange: Exchange) -> tuple[list[Json], tuple[str, ...]]:
    """The services of a discovery, and what is wrong with it."""
    if problem := _unusable(exchange):
        return [], (problem,)
    listed = exchange.response_body.get("services")
    if not isinstance(listed, list):
        return [], ("no-services",)
    usable = [one for one in listed if isinstance(one, dict) and _are_texts(one, "id", "hook", "description")]
    return usable, () if len(usable) == len(listed) else ("bad-services",)


def read_reply(exchange: Exchange) -> Reply:
    """What can be shown of the answer, and what is wrong with it."""
    if problem := _unusable(exchange):
        return Reply(problem=(problem,))
    sent, actions = exchange.response_body.get("cards"), exchange.response_body.get("systemActions", [])
    if not isinstance(sent, list):
        return Reply(problem=("no-cards",))
    whole = [card for card in sent if _is_card(card)]
    shown = [_whole(card) for card in whole]
    cards = _distinct([_told_apart(card) for card in shown])
    usable = [one for one in actions if _is_action(one)] if isinstance(actions, list) else []
    faults = {
        "bad-cards": len(whole) < len(sent),
        "bad-parts": shown != whole or any(map(_lacks, whole)) or any(map(_unclear, _named(shown))),
        "bad-actions": usable != actions,
    }
    wrong = tuple(name for name, found in faults.items() if found)
    return Reply(tuple(cards), tuple(usable), wrong, _made(shown, cards))


def renamed(card: Json) -> Json:
    """The card under a uuid made here."""
    return card | {"uuid": str(uuid4())}


def _unusable(exchange: Exchange) -> str:
    """Why nothing can be read from an answer; empty where it can."""
    if exchange.error:
        return exchange.error
    if exchange.status != 200:
        return {401: "status-401", 403: "status-403", 412: "status-412"}.get(exchange.status, "status")
    return "" if isinstance(exchange.response_body, dict) else "no-json"


def _is_card(card: Any) -> bool:
    """Whether it can be shown: it has a summary."""
    return isinstance(card, dict) and _are_texts(card, "summary")


def _lacks(card: Json) -> bool:
    """Whether something is missing that each card needs beside its summary: an indicator, a source with a label."""
    source = card.get("source")
    return card.get("indicator") not in INDICATORS or not isinstance(source, dict) or not _are_texts(source, "label")


def _whole(card: Json) -> Json:
    """The card without the parts that have another shape than they should."""
    kept = {name: value for name, value in card.items() if name not in _SHAPES or isinstance(value, _SHAPES[name])}
    for name, wanted in _ELEMENTS.items():
        if name in kept:
            kept[name] = [one for one in kept[name] if wanted(one)]
    if "source" in kept:
        parts = kept["source"].items()
        kept["source"] = {name: value for name, value in parts if isinstance(value, _SOURCE.get(name, str))}
    return kept


def _told_apart(card: Json) -> Json:
    """The card with a uuid for each of its suggestions."""
    return card | {"suggestions": _distinct(card["suggestions"])} if "suggestions" in card else card


def _distinct(parts: Sequence[Json]) -> list[Json]:
    """The cards, or the suggestions of a card, each with a uuid that only it has."""
    unclear = _unclear(parts)
    return [one if "uuid" in one and one["uuid"] not in unclear else renamed(one) for one in parts]


def _unclear(parts: Sequence[Json]) -> set[str]:
    """The uuids that name nothing, because they are empty or stand there twice."""
    counted = Counter(one["uuid"] for one in parts if "uuid" in one)
    return {uuid for uuid, count in counted.items() if not uuid or count > 1}


def _named(cards: Sequence[Json]) -> list[Sequence[Json]]:
    """What has to be told apart by uuids: the cards, and the suggestions of each."""
    return [cards, *(card.get("suggestions", []) for card in cards)]


def _made(sent: Sequence[Json], shown: Sequence[Json]) -> frozenset[str]:
    pairs = [pair for parts in zip(_named(sent), _named(shown), strict=True) for pair in zip(*parts, strict=True)]
    return frozenset(now["uuid"] for before, now in pairs if before.get("uuid") != now["uuid"])


def _are_texts(value: Json, *names: str) -> bool:
    return all(isinstance(value.get(name), str) and value[name].strip() for name in names)


def _is_suggestion(value: Any) -> bool:
    if not isinstance(value, dict) or not _are_texts(value, "label"):
        return False
    actions = value.get("actions", [])
    return isinstance(value.get("uuid", ""), str) and isinstance(actions, list) and all(map(_is_action, actions))


def _is_action(value: Any) -> bool:
    """create and update bring a resource; delete names one, or brings it (CDS Hooks 1.1)."""
    if not isinstance(value, dict) or value.get("type") not in ("create", "update", "delete"):
        return False
    resource = value.get("resource")
    brought = isinstance(resource, dict) and isinstance(resource.get("resourceType"), str)
    named = value["type"] == "delete" and value.get("resourceId")
    return isinstance(value.get("description", ""), str) and bool(brought or named)


def _is_link(value: Any) -> bool:
    known = isinstance(value, dict) and _are_texts(value, "label", "url") and value.get("type") in ("absolute", "smart")
    return known and isinstance(value.get("appContext", ""), str)


def _is_reason(value: Any) -> bool:
    texts = ("code", "system", "display")
    return isinstance(value, dict) and all(isinstance(value.get(name, ""), str) for name in texts) and bool(value)


_SOURCE = {"topic": dict}
_SHAPES = {"source": dict, "uuid": str, "detail": str, "suggestions": list, "links": list, "overrideReasons": list}
_ELEMENTS = {"suggestions": _is_suggestion, "links": _is_link, "overrideReasons": _is_reason}
