"""Cards as the sandbox shows them. They may come from any service: every member is read as what may be anything.

Source: CDS Hooks 2.0.1, "CDS Service Response".
"""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from markupsafe import Markup

from cds_content.shapes import Json
from cds_service import strict_json
from cds_service.markdown import is_web, rendered
from cds_service.sandbox import Fired
from cds_service.sandbox.progress import is_open

INDICATORS = ("critical", "warning", "info")


@dataclass(frozen=True)
class Action:
    """What accepting a suggestion does to the record."""

    kind: str  # create, update or delete
    about: str  # the type of the resource, or its address
    description: str
    json: str


@dataclass(frozen=True)
class Suggestion:
    """`is_open` while it can be accepted, `is_known` where its service gave it a uuid that names only it."""

    uuid: str
    label: str
    recommended: bool
    actions: tuple[Action, ...]
    is_open: bool
    is_known: bool


@dataclass(frozen=True)
class Link:
    """`kind` is "new" for a new tab, "launch" for an app that opens with the patient, "" for what is shown as text."""

    label: str
    url: str
    kind: str
    index: int


@dataclass(frozen=True)
class Card:
    uuid: str
    service: str
    indicator: str  # one of INDICATORS, or "" where it is none of them
    summary: str
    detail: Markup
    source: str
    source_url: str  # empty: none that can be opened
    topic: str
    topic_code: str
    suggestions: tuple[Suggestion, ...]
    links: tuple[Link, ...]
    reasons: tuple[str, ...]
    heeded: str  # "accepted", "overridden", or "" while nobody has answered
    untold: str  # why the service does not know of that, as in Fired; empty where it does
    is_known: bool  # whether its service gave it a uuid that names only it


def shown_cards(fired: Fired) -> tuple[Card, ...]:
    """The cards in the order of the service."""
    return tuple(_card(fired, card) for card in fired.cards)


def card_of(fired: Fired | None, uuid: str) -> Json:
    """The card with this uuid as the service sent it; empty where there is none."""
    return next((one for one in (fired.cards if fired else ()) if one.get("uuid") == uuid), {})


def launched(card: Json, index: int) -> tuple[str, str]:
    """The url and appContext of a link that starts an app; two empty texts where there is no such link."""
    found = [raw for at, raw in enumerate(_tables(card, "links")) if at == index and _link(at, raw).kind == "launch"]
    return (_text(found[0], "url"), _text(found[0], "appContext")) if found else ("", "")


def reasons(card: Json) -> list[Json]:
    """The Codings with which the card may be put aside."""
    return _tables(card, "overrideReasons")


def rows(card: Json) -> tuple[str, ...]:
    """The rules that the card names as those that fired, in the extension of this service; () where it names none."""
    extension = card.get("extension")
    named = [value for key, value in extension.items() if key.endswith(".rules")] if isinstance(extension, dict) else []
    found = named[0].get("rows") if named and isinstance(named[0], dict) else None
    return tuple(str(row) for row in found) if isinstance(found, list) else ()


def pretty(value: Any) -> str:
    """JSON as people read it; a text as it stands."""
    return value if isinstance(value, str) else strict_json.write(value, pretty=True).decode()


def _card(fired: Fired, raw: Json) -> Card:
    uuid, source = _text(raw, "uuid"), _table(raw, "source")
    topic, indicator, address = _table(source, "topic"), _text(raw, "indicator"), _text(source, "url")
    return Card(
        uuid=uuid,
        service=fired.origin.get(uuid, ""),
        indicator=indicator if indicator in INDICATORS else "",
        summary=_text(raw, "summary"),
        detail=rendered(_text(raw, "detail")),
        source=_text(source, "label"),
        source_url=address if is_web(address) else "",
        topic=_text(topic, "display") or _text(topic, "code"),
        topic_code=_text(topic, "code"),
        suggestions=tuple(_suggestion(fired, raw, one) for one in _tables(raw, "suggestions")),
        links=tuple(_link(at, one) for at, one in enumerate(_tables(raw, "links"))),
        reasons=tuple(_text(one, "display") or _text(one, "code") for one in reasons(raw)),
        heeded=fired.heeded.get(uuid, ""),
        untold=fired.untold.get(uuid, ""),
        is_known=uuid not in fired.made,
    )


def _suggestion(fired: Fired, card: Json, raw: Json) -> Suggestion:
    uuid, actions = _text(raw, "uuid"), tuple(_action(one) for one in _tables(raw, "actions"))
    return Suggestion(
        uuid,
        label=_text(raw, "label"),
        recommended=raw.get("isRecommended") is True,
        actions=actions,
        is_open=is_open(fired, card, uuid),
        is_known=uuid not in fired.made,
    )


def _action(raw: Json) -> Action:
    resource = _table(raw, "resource")
    about = _text(resource, "resourceType") or pretty(raw.get("resourceId", ""))
    return Action(_text(raw, "type"), about, _text(raw, "description"), pretty(resource) if resource else "")


def _link(index: int, raw: Json) -> Link:
    url = _text(raw, "url")
    kind = {"absolute": "new", "smart": "launch"}.get(_text(raw, "type"), "") if is_web(url) else ""
    return Link(_text(raw, "label") or url, url, kind, index)


def _text(parent: Mapping[str, Any], name: str) -> str:
    value = parent.get(name)
    return value if isinstance(value, str) else ""


def _table(parent: Mapping[str, Any], name: str) -> Json:
    value = parent.get(name)
    return value if isinstance(value, dict) else {}


def _tables(parent: Mapping[str, Any], name: str) -> list[Json]:
    value = parent.get(name)
    return [one if isinstance(one, dict) else {} for one in value] if isinstance(value, list) else []
