"""Cards, their sources, their reasons and extensions.

Source: CDS Hooks 2.0.1 and 3.0 ballot, "Card Attributes", "Source", "Extensions".
"""

import re
from collections import Counter
from collections.abc import Iterator
from typing import Any

from cds_service.conformance.checks.parts import Part, answers, cards, is_absolute, is_text, member, objects, reasons
from cds_service.conformance.looks import Check, Level, Look
from cds_service.conformance.seen import Seen

MOST = 140  # characters of a summary: fewer than these
_INDICATORS = ("info", "warning", "critical")
_CHOICES = ("at-most-one", "any")
_ACTIVE = re.compile(r"<\s*(script|iframe|object|embed|img|svg)\b|\]\(\s*(javascript|data|vbscript):", re.I)
_MEMBERS = frozenset(("uuid", "summary", "detail", "indicator", "source", "suggestions", "selectionBehavior"))
_MEMBERS |= {"overrideReasons", "links", "extension"}


def sources(seen: Seen) -> Iterator[Part]:
    """The source of every card that has one."""
    return objects(lambda seen: ((f"{place}.source", card.get("source")) for place, card in cards(seen)))(seen)


def topics(seen: Seen) -> Iterator[tuple[str, Any]]:
    return ((f"{place}.topic", source["topic"]) for place, source in sources(seen) if "topic" in source)


def unique(parts: list[Part]) -> Iterator[Look]:
    """Looks at the uuids of these parts, where they have any."""
    times = Counter(str(part["uuid"]) for _, part in parts if "uuid" in part)
    for place, part in parts:
        if "uuid" in part:
            right = is_text(part["uuid"]) and times[str(part["uuid"])] == 1
            yield Look(f"{place}.uuid", "" if right else "is no text of its own; write a new UUID each time")


def _uuids(seen: Seen) -> Iterator[Look]:
    return unique(list(cards(seen)))


def _summaries(seen: Seen) -> Iterator[Look]:
    for place, card in cards(seen):
        yield Look(f"{place}.summary", _summary_fault(card.get("summary")))


def _summary_fault(summary: Any) -> str:
    if not is_text(summary):
        return "is no text; it is REQUIRED"
    if len(summary) >= MOST:
        return f"has {len(summary)} characters; write fewer than {MOST}"
    return "has more than one line; write one sentence" if "\n" in summary.strip() else ""


def _is_detail(detail: Any) -> bool:
    return is_text(detail) and not _ACTIVE.search(detail)


def _labels(seen: Seen) -> Iterator[Look]:
    for place, card in cards(seen):
        source = card.get("source")
        right = isinstance(source, dict) and is_text(source.get("label"))
        yield Look(f"{place}.source.label", "" if right else "is no text; it is REQUIRED")


def _choices(seen: Seen) -> Iterator[Look]:
    for place, card in cards(seen):
        if card.get("suggestions"):
            right = card.get("selectionBehavior") in _CHOICES
            yield Look(
                f"{place}.selectionBehavior",
                "" if right else f"is not one of {', '.join(_CHOICES)}; it is REQUIRED beside suggestions",
            )


def _recommended(seen: Seen) -> Iterator[Look]:
    for place, card in cards(seen):
        if card.get("selectionBehavior") == "at-most-one" and isinstance(card.get("suggestions"), list):
            marked = [one for one in card["suggestions"] if isinstance(one, dict) and one.get("isRecommended") is True]
            yield Look(
                f"{place}.suggestions", "" if len(marked) < 2 else "recommends several of which one can be taken"
            )


def _is_coding(value: Any, *members: str) -> bool:
    return isinstance(value, dict) and all(is_text(value.get(name)) for name in members)


def _reasons(seen: Seen) -> Iterator[Look]:
    for place, reason in reasons(seen):
        right = _is_coding(reason, "code", "system", "display")
        yield Look(place, "" if right else "has no code, system and display, all of which are REQUIRED")


def _topics(seen: Seen) -> Iterator[Look]:
    for place, topic in topics(seen):
        yield Look(place, "" if _is_coding(topic, "code", "system") else "has no code and system; both are REQUIRED")


def _known(seen: Seen) -> Iterator[Look]:
    for place, card in cards(seen):
        wrong = "has members that the specification does not know; put them under extension"
        yield Look(place, "" if _MEMBERS.issuperset(card) else wrong)


def extensions(value: Any, place: str) -> Iterator[tuple[str, Any]]:
    """Every extension of CDS Hooks below a value; those of FHIR resources are another thing."""
    for name, part in value.items() if isinstance(value, dict) else ():
        if name == "extension":
            yield f"{place}.extension", part
        elif name != "resource":
            yield from extensions(part, f"{place}.{name}")
    for index, part in enumerate(value) if isinstance(value, list) else ():
        yield from extensions(part, f"{place}[{index}]")


def _extended(seen: Seen) -> Iterator[tuple[str, Any]]:
    yield from extensions(seen.discovery.value, "discovery")
    for call, answer in answers(seen):
        yield from extensions(answer, call.reply.place)


def _extension_objects(seen: Seen) -> Iterator[Look]:
    for place, value in _extended(seen):
        yield Look(place, "" if isinstance(value, dict) else "is no object; write {name: value}")


def _extension_names(seen: Seen) -> Iterator[Look]:
    for place, value in _extended(seen):
        if isinstance(value, dict):
            right = all("." in name for name in value)
            yield Look(place, "" if right else "has a name that others could use too; write such as org.example.name")


_CARD = "2.0.1, 3.0: Card Attributes"
_SOURCE = "2.0.1, 3.0: Source"
_EXTENSIONS = "2.0.1, 3.0: Extensions"
_NO_CARD = "no card came; give calls that lead to cards with --call"
_NO_EXTENSION = "nothing has an extension"
CHECKS = (
    Check("CARD-1", _CARD, Level.MUST, "gives no two cards the same uuid", _uuids, "no card with a uuid came"),
    Check("CARD-2", _CARD, Level.MUST, f"writes a summary of one line with fewer than {MOST} characters", _summaries,
          _NO_CARD),
    Check("CARD-3", _CARD, Level.MUST, "writes the detail as a text, without scripts, frames or images of HTML",
          member(cards, "detail", _is_detail, "is no text, or holds active HTML; write Markdown", optional=True),
          "no card with a detail came"),
    Check("CARD-4", _CARD, Level.MUST, "uses the indicators info, warning and critical only",
          member(cards, "indicator", _INDICATORS.__contains__, f"is not one of {', '.join(_INDICATORS)}"), _NO_CARD),
    Check("CARD-5", _SOURCE, Level.MUST, "names the source of the guidance in source.label", _labels, _NO_CARD),
    Check("CARD-6", _SOURCE, Level.MUST, "gives the source an absolute URL, if any",
          member(sources, "url", is_absolute, "is no absolute URL", optional=True), "no source with a URL came"),
    Check("CARD-7", _SOURCE, Level.SHOULD, "gives the source an icon by an absolute URL, if any",
          member(sources, "icon", is_absolute, "is no absolute URL", optional=True), "no source with an icon came"),
    Check("CARD-8", _SOURCE, Level.MUST, "gives a topic code and system, if any", _topics, "no topic came"),
    Check("CARD-9", _CARD, Level.MUST, "sends selectionBehavior whenever it sends suggestions", _choices,
          "no card with suggestions came"),
    Check("CARD-10", "2.0.1, 3.0: Suggestion", Level.MUST, "recommends at most one suggestion where one can be taken",
          _recommended, "no card came of whose suggestions at most one can be taken"),
    Check("CARD-11", _CARD, Level.MUST, "gives every override reason code, system and display", _reasons,
          "no override reason came"),
    Check("CARD-14", _CARD, Level.SHOULD, "puts only members of the specification on a card", _known, _NO_CARD),
    Check("EXT-1", _EXTENSIONS, Level.MUST, "writes an extension as an object", _extension_objects, _NO_EXTENSION),
    Check("EXT-2", _EXTENSIONS, Level.SHOULD, "names what is in it by a reverse domain", _extension_names,
          _NO_EXTENSION),
)  # fmt: skip
