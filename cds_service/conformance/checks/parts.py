"""The parts of every answer to a call, each with its place, and how a member of one is looked at."""

from collections.abc import Callable, Iterator
from typing import Any
from urllib.parse import urlsplit

from cds_content.shapes import Json
from cds_service.conformance.checks.calls import has_cards
from cds_service.conformance.looks import Look
from cds_service.conformance.seen import Call, Seen

Part = tuple[str, Json]
Parts = Callable[[Seen], Iterator[Part]]


def answers(seen: Seen) -> Iterator[tuple[Call, Json]]:
    """Every answer that holds cards, whatever was sent; none of those that should have been refused is worse for it."""
    return ((call, call.reply.value) for call in seen.calls if call.reply.status == 200 and has_cards(call.reply.value))


def cards(seen: Seen) -> Iterator[Part]:
    """Every card."""
    for call, answer in answers(seen):
        yield from ((f"{call.reply.place}, cards[{index}]", card) for index, card in enumerate(answer["cards"]))


def within(outer: Parts, name: str) -> Callable[[Seen], Iterator[tuple[str, Any]]]:
    """Every element of a list that stands in another part; what is no list is its own only element."""

    def each(seen: Seen) -> Iterator[tuple[str, Any]]:
        for place, holder in outer(seen):
            found = holder.get(name)
            if isinstance(found, list):
                yield from ((f"{place}.{name}[{index}]", one) for index, one in enumerate(found))
            elif found is not None:
                yield f"{place}.{name}", found

    return each


def objects(each: Callable[[Seen], Iterator[tuple[str, Any]]]) -> Parts:
    """Those of the elements that are objects; the row of the list says what is wrong with the others."""
    return lambda seen: ((place, one) for place, one in each(seen) if isinstance(one, dict))


def _system(seen: Seen) -> Iterator[Part]:
    return ((call.reply.place, answer) for call, answer in answers(seen))


suggestions = objects(within(cards, "suggestions"))
links = objects(within(cards, "links"))
reasons = within(cards, "overrideReasons")
suggested = within(suggestions, "actions")
system_actions = within(_system, "systemActions")


def actions(seen: Seen) -> Iterator[Part]:
    """Every action, of suggestions and of the system."""
    yield from objects(suggested)(seen)
    yield from objects(system_actions)(seen)


def member(
    parts: Parts, name: str, right: Callable[[Any], bool], wrong: str, *, optional: bool = False
) -> Callable[[Seen], Iterator[Look]]:
    """Looks at one member of every part, where it is there at all if it is optional; what is empty is JSON-2's."""

    def look(seen: Seen) -> Iterator[Look]:
        for place, part in parts(seen):
            if part.get(name) not in (None, "") or not optional:
                yield Look(f"{place}.{name}", "" if right(part.get(name)) else wrong)

    return look


def is_text(value: Any) -> bool:
    """Whether there is something to read."""
    return isinstance(value, str) and bool(value.strip())


def is_absolute(value: Any) -> bool:
    """Whether this is a URL of http or https with a host."""
    try:
        address = urlsplit(value) if isinstance(value, str) else None
        return bool(address and address.scheme in ("http", "https") and address.hostname)
    except ValueError:
        return False
