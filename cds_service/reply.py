"""One call answered: prefetch → responses → findings → advice → cards. What the web and the records both need."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

from cds_content.screening import Screening
from cds_content.shapes import Json
from cds_service.advice import NO_ORDER, NO_SCREENING, Advice, decide
from cds_service.cards import advice_cards, offer_cards, order_cards
from cds_service.clients import Client
from cds_service.details import Call
from cds_service.errors import BadRequest, DataMissing
from cds_service.fetch import completed
from cds_service.hooks import HookRequest
from cds_service.orders import Order, current, is_unclear, judged
from cds_service.prefetch import MOST, Evidence, Submitted, gather, names_complaint, refuse_others
from cds_service.resources import is_damaged
from cds_service.responses import belongs
from cds_service.suggestions import annotations


@dataclass(frozen=True)
class Asked:
    """A call to a service: its screening and prefetch templates, the request, the client, for whom the cards are.

    `submitted` gives the responses that the client handed to us for the patient of the call; it is asked when needed.
    """

    screening: Screening
    templates: Mapping[str, str]
    request: HookRequest
    client: Client
    call: Call
    submitted: Callable[[], Sequence[Json]] = tuple


def reply(asked: Asked) -> tuple[Advice, Json]:
    """The advice, and the response with its cards.

    Raises OtherPatient, DataMissing, and BadRequest, also where there would be no card although a part of the context
    cannot be read: that would be silence about what nobody has seen.
    """
    advice, response = _replied(asked)
    context = asked.request.context
    bundles = {"draftOrders": context.draft_orders, "appointments": context.appointments}
    for place, bundle in (bundles | {"conditions": context.conditions}).items():
        if bundle is not None and not response["cards"] and is_damaged(bundle):
            raise BadRequest(f'context.{place}: holds what is no resource; write each entry as {{"resource": ...}}')
    if asked.request.kind.about and not response["cards"] and is_unclear(asked.screening, context):
        raise BadRequest("context: holds an order whose type or code cannot be read; write both as FHIR does")
    return advice, response


def _replied(asked: Asked) -> tuple[Advice, Json]:
    """What follows from what can be read. Nothing is asked for orders that are not judged."""
    screening, request, client = asked.screening, asked.request, asked.client
    refuse_others(request, (request.prefetch or {}).values())
    if request.kind.about:
        orders = judged(screening, request.context, client.orders, client.other_reasons)
        return _ordered(asked, orders) if orders else (NO_ORDER, {"cards": _offer_at_booking(asked)})
    evidence = _evidence(asked)
    advice = _advice(screening, evidence)
    if advice is NO_SCREENING:
        return advice, {"cards": offer_cards(screening, asked.call) if evidence.complaint else []}
    return advice, {"cards": advice_cards(screening, advice, asked.call)}


def _evidence(asked: Asked, orders: Sequence[Order] = ()) -> Evidence:
    prefetch = completed(asked.request, asked.templates, asked.client)
    sent = asked.request.prefetch or {}
    refuse_others(asked.request, [value for key, value in prefetch.items() if value is not sent.get(key)])
    resources = [order.resource for order in orders]
    return gather(asked.screening, asked.request, prefetch, resources, _submitted(asked), asked.call.now)


def _submitted(asked: Asked) -> Submitted:
    """What the client handed to us. One with no FHIR server that we may ask has handed us what there is.

    Where the call names a server that was not agreed, the same id may be another patient: nothing of it is shown, and
    nothing reassures; nor does it where there are more than are read.
    """
    every = asked.submitted()
    responses, rest = tuple(one for one in every[:MOST] if belongs(one, asked.screening)), len(every) > MOST
    server, agreed = asked.request.fhir_server, asked.client.fhir_servers
    if server and agreed and server.removesuffix("/") not in agreed:
        return Submitted(unclear=bool(responses) or rest)
    instead = asked.client.responses == "submitted" or bool(responses and not asked.client.fhir_servers)
    return Submitted(responses, f"{asked.call.public}/fhir", instead, unclear=rest)


def _advice(screening: Screening, evidence: Evidence, *doubts: str) -> Advice:
    """The advice that follows; `doubts` are about the complaint not being screened at all."""
    if evidence.readings or evidence.doubts or doubts:
        return decide(screening, evidence.readings, [*evidence.doubts, *doubts])
    return NO_SCREENING


def _ordered(asked: Asked, orders: Sequence[Order]) -> tuple[Advice, Json]:
    """The cards about orders; the offer of the form where there is no response, and no kind of them needs one."""
    screening, evidence = asked.screening, _evidence(asked, orders)
    advices = _advices(screening, evidence, orders)
    heard = {kind: advice for kind, advice in advices.items() if advice is not NO_SCREENING}
    if not heard:
        return NO_SCREENING, {"cards": offer_cards(screening, asked.call) if evidence.complaint else []}
    urgency = list(screening.dispositions)  # the most urgent first: what is recorded is no calmer than what is shown
    advice = min(heard.values(), key=lambda one: urgency.index(one.disposition))
    cards = order_cards(screening, heard, orders, asked.call)
    signed = orders if asked.client.system_actions and asked.request.hook == "order-sign" else []  # final only there
    done = annotations(screening, signed, advice, asked.call.language)
    return advice, {"cards": cards} | ({"systemActions": done} if done else {})


def _advices(screening: Screening, evidence: Evidence, orders: Sequence[Order]) -> dict[str, Advice]:
    """The advice for each kind of order. For some kinds no screening of the complaint is one that is not complete."""
    advice = _advice(screening, evidence)
    absent = advice is NO_SCREENING
    unscreened = absent or screening.dispositions[advice.disposition].class_ == "none"
    instead = _advice(screening, evidence, "no-screening" if absent else "no-complaint") if unscreened else advice
    kinds = dict.fromkeys(order.kind for order in orders)
    return {kind: instead if screening.orders[kind].without_screening else advice for kind in kinds}


def _offer_at_booking(asked: Asked) -> list[Json]:
    """For an appointment of no kind that is judged, but for the complaint: the offer where there is no response."""
    booked = asked.request.kind.about == "appointments" and current(asked.request.context)
    if not booked or not any(names_complaint(asked.screening, one) for one in booked):
        return []
    try:
        evidence = _evidence(asked)
    except DataMissing:  # the offer is all that depends on it
        return []
    return [] if evidence.readings or evidence.doubts else offer_cards(asked.screening, asked.call)
