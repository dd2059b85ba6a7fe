"""JSON, errors, CORS and HTTP. Sources: CDS Hooks 2.0.1 and 3.0 ballot; RFC 8259; RFC 9110; Fetch."""

import re
from collections.abc import Iterator
from ipaddress import ip_address
from typing import Any
from urllib.parse import urlsplit

from cds_service.conformance.asking import Reply
from cds_service.conformance.looks import Check, Level, Look
from cds_service.conformance.seen import FOREIGN, Seen

_BARE = re.compile(
    rb"<!doctype|<html|<body|Traceback \(most recent|^\s*at [\w.$]+\(|\bException in thread", re.I | re.M
)
_MAY_BE_EMPTY = ("services", "cards")


def _json(seen: Seen) -> Iterator[Look]:
    for reply in seen.replies:
        if not reply.status:
            yield Look(reply.place, unknown=reply.unread)
        elif reply.body:
            media = reply.header("content-type")
            wrong = reply.unread or ("" if "json" in media else "has no Content-Type of JSON; write application/json")
            yield Look(reply.place, wrong)


def _nothing_empty(seen: Seen) -> Iterator[Look]:
    for reply in (seen.discovery, *(call.reply for call in seen.calls)):
        if reply.is_success or not reply.status:
            found = () if reply.unread else empty(reply.value)
            yield Look(reply.place, unknown=reply.unread)
            yield from (Look(reply.place, f"{place} is null or empty; leave it out") for place in found)


def empty(value: Any, place: str = "", name: str = "") -> Iterator[str]:
    """Where null or something empty stands; FHIR resources have rules of their own, and are passed over."""
    if value is None or value in ("", {}) or (value == [] and name not in _MAY_BE_EMPTY):
        yield place or "the body"
    for inner, part in value.items() if isinstance(value, dict) else ():
        if inner != "resource":
            yield from empty(part, f"{place}.{inner}" if place else inner, inner)
    for index, part in enumerate(value) if isinstance(value, list) else ():
        yield from empty(part, f"{place}[{index}]")


def _encrypted(seen: Seen) -> Iterator[Look]:
    address = urlsplit(seen.target.base)
    if address.scheme == "https":
        yield Look(address.netloc)  # the certificate was verified, with TLS 1.2 or newer
    elif _on_this_machine(address.hostname or ""):
        yield Look(address.netloc, unknown="is on this machine; in production it SHALL be reached over https only")
    else:
        yield Look(address.netloc, "is asked over http; give its https address")


def _on_this_machine(host: str) -> bool:
    try:
        return ip_address(host).is_loopback
    except ValueError:
        return host == "localhost"


def refusals(seen: Seen) -> Iterator[Reply]:
    """Every answer from 400 on."""
    return (reply for reply in (*seen.replies, *seen.others) if reply.status >= 400)


def _unanswered(seen: Seen) -> Iterator[Look]:
    """What got no answer: it may have been a refusal."""
    return (Look(one.place, unknown=one.unread) for one in (*seen.replies, *seen.others) if not one.status)


def _outcomes(seen: Seen) -> Iterator[Look]:
    yield from _unanswered(seen)
    for reply in refusals(seen):
        wrong = "has no OperationOutcome as its body; write one with issue, severity and code"
        yield Look(f"{reply.place}, {reply.status}", "" if _is_outcome(reply.value) else wrong)


def _is_outcome(value: Any) -> bool:
    issues = value.get("issue") if isinstance(value, dict) and value.get("resourceType") == "OperationOutcome" else None
    listed = issues if isinstance(issues, list) else []
    return bool(listed) and all(isinstance(one, dict) and one.get("severity") and one.get("code") for one in listed)


def _discreet(seen: Seen) -> Iterator[Look]:
    yield from _unanswered(seen)
    for reply in refusals(seen):
        wrong = "shows HTML or where the program failed; write JSON that says what to send instead"
        yield Look(f"{reply.place}, {reply.status}", wrong if _BARE.search(reply.body) else "")


def _no_such_service(seen: Seen) -> Iterator[Look]:
    reply = seen.named["no such service"]
    if reply.status not in (401, 403):
        wrong = f"answers {reply.status}; write 404" if reply.is_success or reply.is_redirect else ""
        yield Look(reply.place, wrong, reply.untold)


def _methods(seen: Seen) -> Iterator[Look]:
    for name, reply in seen.named.items():
        if name.startswith("GET ") and reply.status not in (401, 403):
            right = reply.status == 404 or (reply.status == 405 and reply.header("allow"))
            wrong = "" if right or not reply.status else f"answers {reply.status}; write 405 with the header Allow"
            yield Look(reply.place, wrong, "" if reply.status else reply.unread)


def _preflights(seen: Seen) -> Iterator[Look]:
    for reply in seen.preflights:
        yield Look(
            reply.place, _preflight_fault(seen, reply) if reply.status else "", "" if reply.status else reply.unread
        )
    for one in (seen.discovery, *(call.reply for call in seen.calls)) if seen.target.origin else ():
        if not one.status:
            yield Look(one.place, unknown=one.unread)
        if one.is_success:
            yield Look(one.place, "" if _allows(seen, one) else "does not allow the origin")


def _preflight_fault(seen: Seen, reply: Reply) -> str:
    if not reply.is_success:
        return f"is answered {reply.status}; answer OPTIONS with 2xx before you ask who calls"
    if not _allows(seen, reply):
        return "does not allow the origin; write Access-Control-Allow-Origin"
    allowed = {one.strip().lower() for one in reply.header("access-control-allow-headers").split(",")}
    wanted = {"authorization"} | ({"content-type"} if "preflight of POST" in reply.place else set())
    return "" if wanted <= allowed else "does not allow the headers authorization and content-type"


def _allows(seen: Seen, reply: Reply) -> bool:
    return reply.header("access-control-allow-origin") in ("*", seen.target.origin)


def _readable(seen: Seen) -> Iterator[Look]:
    foreign = seen.named.get("foreign")
    yield from _unanswered(seen) if seen.target.origin else ()
    for reply in (one for one in refusals(seen) if one is not foreign) if seen.target.origin else ():
        wrong = "does not allow the origin; a browser shows no reason then"
        yield Look(f"{reply.place}, {reply.status}", "" if _allows(seen, reply) else wrong)


def _closed(seen: Seen) -> Iterator[Look]:
    if reply := seen.named.get("foreign"):
        yield Look(reply.place, _openness(reply), "" if reply.status else reply.unread)


def _openness(reply: Reply) -> str:
    """How this answer lets everybody read."""
    allowed = reply.header("access-control-allow-origin")
    if allowed == FOREIGN:
        return "allows whatever origin asks; allow those that were agreed"
    with_credentials = reply.header("access-control-allow-credentials").lower() == "true"
    return "allows everybody with the browser's credentials" if allowed and with_credentials else ""


_JSON = "2.0.1, 3.0: Use of JSON"
_NO_ORIGIN = "needs --origin"
_NO_REFUSAL = "nothing was refused"
_CORS = "2.0.1, 3.0: Cross-Origin Resource Sharing"
CHECKS = (
    Check("JSON-1", _JSON, Level.MUST, "writes nothing but strict JSON, with a media type of JSON", _json),
    Check("JSON-2", _JSON, Level.MUST, "writes nothing null or empty, except the lists of services and of cards",
          _nothing_empty, "no answer was 200 and JSON"),
    Check("TLS-1", "2.0.1, 3.0: Security and Safety", Level.MUST, "is reached over https, unless on this machine",
          _encrypted),
    Check("ERR-1", "3.0 (trial use): HTTP Status Codes", Level.SHOULD, "puts an OperationOutcome in every refusal",
          _outcomes, _NO_REFUSAL),
    Check("ERR-2", "not in the specification: good HTTP", Level.MUST, "shows no HTML and no stack trace in a refusal",
          _discreet, _NO_REFUSAL),
    Check("HTTP-2", "not in the specification: good HTTP", Level.MUST, "does not answer for a service that is not "
          "listed", _no_such_service, "who calls was refused before"),
    Check("HTTP-3", "not in the specification: good HTTP", Level.SHOULD, "answers 405 to a GET of a service, or 404",
          _methods, "no service was asked by GET"),
    Check("CORS-1", _CORS, Level.MUST,
          "answers the preflight of a browser without credentials, and lets the origin read", _preflights, _NO_ORIGIN),
    Check("CORS-2", "not in the specification: good HTTP", Level.MUST, "lets the origin read refusals too", _readable,
          _NO_ORIGIN),
    Check("CORS-3", "not in the specification: good HTTP", Level.SHOULD,
          "does not allow whatever origin asks, nor credentials of the browser", _closed, _NO_ORIGIN),
)  # fmt: skip
