"""What a service says to right calls and to wrong ones.

A wrong call that is answered like a right one is the worst there is: an empty list of cards then reads as "no alarm".
Sources: CDS Hooks 2.0.1 and 3.0 ballot, "Calling a CDS Service" and "Providing FHIR Resources to a CDS Service".
"""

from collections.abc import Callable, Iterator
from typing import Any

from cds_service.conformance.asking import Reply
from cds_service.conformance.bodies import HOOKS
from cds_service.conformance.looks import Check, Level, Look
from cds_service.conformance.probes import AGAIN, PLAIN
from cds_service.conformance.seen import Call, Seen

Looks = Callable[[Seen], Iterator[Look]]


def _answers(seen: Seen) -> Iterator[Look]:
    for call in seen.of(PLAIN):
        yield Look(call.reply.place, *_answer(call.reply, seen.target.authenticates))
    for one in seen.uncalled:
        yield Look(f"{one['id']} ({one['hook']})", unknown="no call of this hook is known; give one with --call")


def _answer(reply: Reply, authenticates: bool) -> tuple[str, str]:
    """What is wrong with the answer to a right call, and what is unknown."""
    if reply.unread and (not reply.status or (reply.status == 200 and reply.body)):
        return "", reply.unread
    if reply.status == 412:
        return "", "answers 412: it needs more data; give a call that holds it with --call"
    if reply.status in (401, 403) and not authenticates:
        return "", f"answers {reply.status}; give --token or --jwt-key"
    if reply.status != 200:
        return f"answers {reply.status} to a right call; write 200", ""
    return ("" if has_cards(reply.value) else 'is no object with an array "cards" of objects'), ""


def has_cards(value: Any) -> bool:
    """Whether this is the answer to a call."""
    cards = value.get("cards") if isinstance(value, dict) else None
    return isinstance(cards, list) and all(isinstance(card, dict) for card in cards)


def refused(*probes: str) -> Looks:
    """Calls with these changes must be refused with a 4xx; nothing is known where no call is.

    A success is wrong whatever else is known; a redirect only where the right call is answered.
    """

    def look(seen: Seen) -> Iterator[Look]:
        for call in seen.of(*probes):
            reply, unknown = call.reply, call.reply.untold or _unknown(seen, call)
            is_wrong = reply.is_success or (reply.is_redirect and not unknown)
            wrong = f"answers {reply.status}{_how_many(reply.value)}; refuse it with 400"
            yield Look(reply.place, wrong if is_wrong else "", unknown)

    return look


def answered(*probes: str, also: tuple[int, ...] = ()) -> Looks:
    """Calls with these changes must be answered with cards, or with one of these statuses."""

    def look(seen: Seen) -> Iterator[Look]:
        for call in seen.of(*probes):
            right = call.reply.status in also or (call.reply.status == 200 and has_cards(call.reply.value))
            unknown = _unknown(seen, call)
            yield Look(call.reply.place, "" if right or unknown else f"answers {call.reply.status}; write 200", unknown)

    return look


def alike(*probes: str) -> Looks:
    """Calls with these changes must get the cards that the call without them got, but for what is unique in each."""

    def look(seen: Seen) -> Iterator[Look]:
        for call in seen.of(*probes):
            wrong = _differs(seen.base(call), call.reply)
            unknown = _unknown(seen, call) or _moody(seen, call)
            yield Look(call.reply.place, "" if unknown else wrong, unknown)

    return look


def _moody(seen: Seen, call: Call) -> str:
    """Why other cards would show nothing: the same call again gets others, too, or nobody knows what it gets."""
    for again in (one.reply for one in seen.of(AGAIN) if one.service is call.service and call.probe != AGAIN):
        if not again.status:
            return f"the same call again: {again.unread}"
        if _differs(seen.base(call), again):
            return "the same call gets other cards each time"
    return ""


def _differs(base: Reply, other: Reply) -> str:
    if other.status != base.status:
        return f"answers {other.status}; answer as without the change"
    if not has_cards(other.value):
        return "has no cards; answer as without the change"
    return "" if _said(base.value) == _said(other.value) else "gives other cards; give those of the call without it"


def _said(value: Any) -> list[Any]:
    return [(card.get("summary"), card.get("indicator")) for card in value["cards"]] if has_cards(value) else []


def _unknown(seen: Seen, call: Call) -> str:
    """Why nothing follows from this answer."""
    if unseen := _unseen(call.reply):
        return unseen
    base = seen.base(call)
    if base.status == 200 and has_cards(base.value):
        return ""
    return f"the call without the change is not answered with cards, but {base.status or 'not at all'}"


def _unseen(reply: Reply) -> str:
    """Why it cannot be seen what this answer says: none came, or it is no JSON; what a refusal says matters less."""
    return reply.unread if reply.status in (0, 200) else ""


def _how_many(value: Any) -> str:
    return f" with {len(value['cards'])} cards" if has_cards(value) else ""


def _no_prefetch(seen: Seen) -> Iterator[Look]:
    for call in seen.of("no prefetch"):
        reply, without = call.reply, "" if has_cards(call.reply.value) else " without cards"
        unknown = _unseen(reply) if seen.base(call).status == 412 else _unknown(seen, call)
        right = unknown or reply.status == 412 or (reply.status == 200 and not without)
        wrong = f"answers {reply.status}{without}; write 412, or 200 with cards if it needs none"
        yield Look(reply.place, "" if right else wrong, unknown)


def _in_trouble(seen: Seen) -> Iterator[Look]:
    for reply in (*(call.reply for call in seen.calls), *(reply for _, reply in seen.feedback), *seen.tokens.values()):
        wrong = f"answers {reply.status}; a wrong call is a 4xx" if reply.status >= 500 else ""
        yield Look(reply.place, wrong, "" if reply.status else reply.unread)


_REQUEST = "2.0.1, 3.0: Calling a CDS Service, HTTP Request"
_CONTEXT = "2.0.1, 3.0: Hooks, hook context; the page of the hook"
_PREFETCH = "2.0.1, 3.0: Prefetch Template"
_HTTP = "not in the specification: good HTTP"
_NO_CALL = "no service was called"
_NO_SEARCH = "no service was called that has a template that searches"
_VITAL = sorted({name for hook in HOOKS.values() for name in hook["vital"]})
CHECKS = (
    Check("RESP-1", "2.0.1, 3.0: CDS Service Response, HTTP Response", Level.MUST,
          "answers a right call with 200 and an object with an array of cards", _answers, "no service is listed"),
    Check("RESP-4", "2.0.1, 3.0: CDS Service Response, HTTP Status Codes", Level.SHOULD,
          "never answers a call with a 5xx", _in_trouble, _NO_CALL),
    Check("REQ-1", _REQUEST, Level.MUST, "refuses a call without hook, hookInstance or context",
          refused("no hook", "no hookInstance", "no context", "context is a text"), _NO_CALL),
    Check("REQ-2", _REQUEST, Level.MUST, "refuses a hookInstance that is no text", refused("hookInstance is a number"),
          _NO_CALL),
    Check("REQ-3", _REQUEST, Level.MUST, "refuses a hook that the service does not list",
          refused("a hook that is not listed"), _NO_CALL),
    Check("REQ-5", _REQUEST + " (the SHALL binds the client)", Level.SHOULD,
          "refuses fhirAuthorization without fhirServer", refused("a token without a server"), _NO_CALL),
    Check("REQ-8", "2.0.1, 3.0: Hooks, Hook Version; Extensions", Level.MUST,
          "ignores members that it does not know, extensions among them", alike("members that are not known"),
          _NO_CALL),
    Check("CTX-1", _CONTEXT, Level.MUST, "refuses a call that does not say about whom or what",
          refused(*(f"no context.{name}" for name in _VITAL)), _NO_CALL),
    Check("CTX-2", _CONTEXT + " (the SHALL binds the client)", Level.SHOULD, "refuses a patientId that is no bare id",
          refused("patientId is a number", "patientId with its type"), _NO_CALL),
    Check("CTX-5", "not in the specification: patient safety", Level.SHOULD,
          "refuses a call that holds another patient than its context", refused("the Patient is another"),
          "no service was called that reads the Patient of the context"),
    Check("PRE-1", "2.0.1, 3.0: CDS Service Response, HTTP Status Codes", Level.MUST,
          "answers a call without prefetch with 412, or 200 when it needs none", _no_prefetch,
          "no service was called that has templates"),
    Check("PRE-2", _PREFETCH, Level.SHOULD, "reads null as: asked, and nothing there", answered("searches are null"),
          _NO_SEARCH),
    Check("PRE-3", _PREFETCH, Level.SHOULD, "reads an empty searchset as: asked, and nothing there",
          answered("searches found nothing"), _NO_SEARCH),
    Check("PRE-4", _PREFETCH, Level.SHOULD, "reads an OperationOutcome as: not to be had, with 200 or 412",
          answered("searches failed", also=(412,)), _NO_SEARCH),
    Check("PRE-5", _PREFETCH, Level.SHOULD, "takes a Bundle that also holds an OperationOutcome",
          answered("searches hold another type", also=(412,)), _NO_SEARCH),
    Check("PRE-10", _PREFETCH, Level.SHOULD, "takes a Patient without an id", answered("the Patient has no id"),
          "no service was called that reads the Patient of the context"),
    Check("PRE-T7", _PREFETCH, Level.SHOULD, "does not need a key that depends on an optional field of the context",
          answered("no optional field"), "no service was called with a template that uses an optional field"),
    Check("PRE-T8", _PREFETCH, Level.MUST, "relies on no data under a key that it did not publish",
          alike("a key that was not published"), _NO_CALL),
    Check("DET-1", "not in the specification: patient safety", Level.SHOULD, "gives the same cards for the same call",
          alike(AGAIN), _NO_CALL),
    Check("HTTP-4", _HTTP, Level.MUST, "refuses what is no JSON object",
          refused("a body that ends early", "an array", "null", "a text", "an empty body"), _NO_CALL),
    Check("HTTP-5", _HTTP, Level.SHOULD, "refuses another content type than JSON", refused("a form"), _NO_CALL),
    Check("HTTP-6", _HTTP, Level.SHOULD, "takes application/json with charset=utf-8", answered("charset=utf-8"),
          _NO_CALL),
)  # fmt: skip
