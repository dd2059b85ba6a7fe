"""What a CDS service answers, read leniently: what can be shown is shown, and what cannot is said, never dropped.

Source: CDS Hooks 2.0.1, "CDS Service Response" and "Discovery".
"""

from typing import Any
from uuid import uuid4

from cds_content.shapes import Json
from cds_service.sandbox.exchange import Exchange

INDICATORS = ("info", "warning", "critical")


def read_services(exchange: Exchange) -> tuple[list[Json], tuple[str, ...]]:
    """The services of a discovery, and what is wrong with it."""
    if problem := _unusable(exchange):
        return [], (problem,)
    listed = exchange.response_body.get("services")
    if not isinstance(listed, list):
        return [], ("no-services",)
    usable = [one for one in listed if isinstance(one, dict) and _are_texts(one, "id", "hook", "description")]
    return usable, () if len(usable) == len(listed) else ("bad-services",)


def read_answer(exchange: Exchange) -> tuple[list[Json], list[Json], tuple[str, ...]]:
    """The cards that can be shown, the system actions, and what is wrong with the answer."""
    if problem := _unusable(exchange):
        return [], [], (problem,)
    cards, actions = exchange.response_body.get("cards"), exchange.response_body.get("systemActions", [])
    if not isinstance(cards, list):
        return [], [], ("no-cards",)
    shown = [_whole(card) for card in cards if _is_card(card)]
    wrong = ["bad-cards"] if len(shown) < len(cards) else []
    wrong += ["bad-parts"] if any(_differs(*pair) for pair in _pairs(shown, cards)) else []
    usable = [one for one in actions if _is_action(one)] if isinstance(actions, list) else []
    wrong += ["bad-actions"] if usable != actions else []
    return shown, usable, tuple(wrong)


def _unusable(exchange: Exchange) -> str:
    """Why nothing can be read from an answer; empty where it can."""
    if exchange.error:
        return exchange.error
    if exchange.status != 200:
        return {401: "status-401", 403: "status-403", 412: "status-412"}.get(exchange.status, "status")
    return "" if isinstance(exchange.response_body, dict) else "no-json"


def _is_card(card: Any) -> bool:
    """Whether it has what each card needs: a summary, an indicator, and a source with a label."""
    if not isinstance(card, dict) or not _are_texts(card, "summary") or card.get("indicator") not in INDICATORS:
        return False
    return isinstance(card.get("source"), dict) and _are_texts(card["source"], "label")


def _pairs(shown: list[Json], cards: list[Any]) -> list[tuple[Json, Json]]:
    return list(zip(shown, [card for card in cards if _is_card(card)], strict=True))


def _differs(card: Json, sent: Json) -> bool:
    return any(card.get(name) != value for name, value in sent.items())


def _whole(card: Json) -> Json:
    """The card without the optional parts that have another shape than they should, and with a uuid."""
    kept = {name: value for name, value in card.items() if name not in _OPTIONAL or isinstance(value, _OPTIONAL[name])}
    for name, wanted in _ELEMENTS.items():
        if name in kept:
            kept[name] = [one for one in kept[name] if wanted(one)]
    kept["source"] = {
        name: value for name, value in card["source"].items() if isinstance(value, _SOURCE.get(name, str))
    }
    return {"uuid": str(uuid4())} | kept


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
_OPTIONAL = {"uuid": str, "detail": str, "suggestions": list, "links": list, "overrideReasons": list}
_ELEMENTS = {"suggestions": _is_suggestion, "links": _is_link, "overrideReasons": _is_reason}
