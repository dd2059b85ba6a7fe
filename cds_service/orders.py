"""orders.toml: which orders and appointments of a call are judged, and by which words a card names them."""

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from cds_content.card_shapes import Coding, NamedCode
from cds_content.screening import Screening
from cds_content.shapes import Json
from cds_service.hooks import Context
from cds_service.resources import ID, coded, held, is_scrambled, system_of

_REFERENCE = re.compile(rf"[A-Z][A-Za-z]*/{ID}|urn:uuid:[0-9a-f-]{{36}}", re.ASCII)
_VOID = ("revoked", "cancelled", "noshow", "entered-in-error")  # statuses of what will not take place


@dataclass(frozen=True)
class Order:
    """One order or appointment of a kind of orders.toml; `display` is our own word for its code."""

    kind: str
    display: str
    resource: Json

    @property
    def name(self) -> str:
        """What a card calls it: nothing that was typed into it."""
        own = f"/{self.resource['id']}" if _has_id(self.resource) else ""
        return f"{self.display} ({self.resource['resourceType']}{own})"


def judged(
    screening: Screening, context: Context, more: Mapping[str, Sequence[NamedCode]], elsewhere: Sequence[Coding]
) -> list[Order]:
    """The orders of the call that the screening says something about, in the order sent.

    `more` adds a client's own codes to a kind; an order with reasons, every one of them among `elsewhere`, is ignored.
    """
    named = {
        kind: {_key(one): one.display for one in [*table.codes, *more.get(kind, ())]}
        for kind, table in screening.orders.items()
    }
    ours, other = {_key(one) for one in screening.texts.known_by}, {_key(one) for one in elsewhere}
    found = [_order(screening, resource, named) for resource in current(context)]
    return [order for order in found if order and not _is_for_other(order.resource, ours, other)]


def current(context: Context) -> list[Json]:
    """The appointments, or the draft orders, that are to take place; where the call selects some of them, those."""
    orders = held(context.draft_orders)
    if context.selections is not None:
        orders = _selected(orders, {_local(one) for one in context.selections})
    resources = [resource for _, resource in [*orders, *held(context.appointments)]]
    return [one for one in resources if one.get("status") not in _VOID and one.get("doNotPerform") is not True]


def is_unclear(screening: Screening, context: Context) -> bool:
    """Whether an order or appointment has a type or a code that nobody can read: it may be one that is judged."""
    places = {
        (kind, name) for table in screening.orders.values() for kind, found in table.elements.items() for name in found
    }
    return any(
        one["resourceType"].lower() == kind.lower() and (one["resourceType"] != kind or is_scrambled(one.get(name)))
        for one in current(context)
        for kind, name in places
    )


def _selected(orders: list[tuple[str, Json]], chosen: set[str]) -> list[tuple[str, Json]]:
    """The orders chosen; where a choice is none of them, also those that it may mean, for one of both is damaged."""
    names = [{_local(url), str(one.get("id")), f"{one['resourceType']}/{one.get('id')}"} for url, one in orders]
    lost = chosen - set().union(*names)
    damaged = any(not _REFERENCE.fullmatch(one) for one in lost)
    return [
        order
        for order, own in zip(orders, names, strict=True)
        if own & chosen or damaged or (lost and not _has_id(order[1]))
    ]


def _has_id(resource: Json) -> bool:
    own = resource.get("id")
    return isinstance(own, str) and re.fullmatch(ID, own) is not None


def _local(reference: str) -> str:
    """`Type/id` of a reference, whatever stands before it or after it; anything else as it is."""
    pieces = reference.strip().split("/_history/")[0].rsplit("/", 2)
    return "/".join(pieces[-2:])


def _key(coding: Coding) -> tuple[str, str]:
    return system_of(coding.system), coding.code


def _order(screening: Screening, resource: Json, named: Mapping[str, Mapping[tuple[str, str], str]]) -> Order | None:
    for kind, table in screening.orders.items():
        elements = table.elements.get(resource["resourceType"], ())
        found = [key for element in elements for key in sorted(coded(resource.get(element))) if key in named[kind]]
        if found:
            return Order(kind, named[kind][found[0]], resource)
    return None


def _is_for_other(resource: Json, ours: set[tuple[str, str]], other: set[tuple[str, str]]) -> bool:
    """Whether the order is clearly for something else: it gives reasons, and the client named each of them so."""
    reasons = resource.get("reasonCode")
    said = [coded(reason) for reason in reasons] if isinstance(reasons, list) else []
    doubtful = "reasonReference" in resource or any(codes & ours for codes in said)
    return bool(said) and all(codes & other for codes in said) and not doubtful
