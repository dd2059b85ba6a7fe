"""One exchange over HTTP, as it was sent and received: what integrators look at."""

import base64
import shlex
import time
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from typing import Any
from urllib.parse import urlsplit

from cds_content.shapes import Json
from cds_service import outbound, strict_json
from cds_service.errors import BadRequest

DEADLINE = 10  # seconds
MAX_SHOWN = 1_000_000  # bytes of an answer
_SAID = {"Accept-Encoding": "gzip, deflate", "User-Agent": "cds-service-sandbox", "Connection": "close"}
_OF_CURL = ("accept-encoding", "connection", "content-length", "host", "user-agent")  # what curl writes by itself
_PORTS = {"http": 80, "https": 443}
_HTTP = {10: "HTTP/1.0", 11: "HTTP/1.1"}


@dataclass(frozen=True)
class Exchange:
    """`what` is "hook", "feedback", "discovery" or "fhir". `status` 0: no answer came, and `error` says why.

    `response_body` is the JSON of the answer, or its text where it is no JSON. `target` and `request_version`
    stand in the first line of the request after the method, `response_version` and `reason` in the answer's, around its
    status. The headers are all that went over the wire; in the answer those with one name are joined.
    """

    what: str
    method: str
    url: str
    request_headers: Mapping[str, str] = field(default_factory=dict)
    request_body: Json | None = None
    status: int = 0
    response_headers: Mapping[str, str] = field(default_factory=dict)
    response_body: Any = None
    ms: float = 0
    error: str = ""
    target: str = ""
    request_version: str = "HTTP/1.1"  # what http.client writes
    response_version: str = ""  # empty: it is not known
    reason: str = ""


def exchanged(what: str, method: str, url: str, headers: Mapping[str, str], body: Json | None = None) -> Exchange:
    """Sends it, and keeps what came of it: never an exception, whatever the other side does. Follows no redirect."""
    sent, began = strict_json.write(body) if body is not None else None, time.monotonic()
    asked = Exchange(what, method, url, headers, body)
    try:
        asked = _prepared(asked, sent)
        return _answered(asked, sent, began)
    except (outbound.Unreachable, ValueError) as error:
        reason = "unanswered" if isinstance(error, outbound.Unanswered) else "unreachable"
        return replace(asked, ms=_since(began), error=reason)


def _prepared(asked: Exchange, sent: bytes | None) -> Exchange:
    """With all that goes out, also what is added on the way: the same that outbound sends."""
    request = outbound.as_sent(asked.method, asked.url, _SAID | dict(asked.request_headers), sent)
    host = {"Host": _named(request.url or "")}
    return replace(asked, request_headers=dict(request.headers) | host, target=request.path_url)


def _answered(asked: Exchange, sent: bytes | None, began: float) -> Exchange:
    headers, until = asked.request_headers, began + DEADLINE
    with outbound.asked(asked.method, asked.url, headers=headers, body=sent, until=until, private=True) as answer:
        body = outbound.read(answer, until, outbound.Room(MAX_SHOWN))
        return replace(
            asked,
            status=answer.status,
            response_version=_HTTP.get(answer.version, "HTTP"),
            reason=answer.reason or "",
            response_headers=dict(answer.headers),
            response_body=_shown(body),
            ms=_since(began),
        )


def _named(url: str) -> str:
    """The header Host: without a port that goes without saying (RFC 9110, 7.2)."""
    parts = urlsplit(url)
    name = f"[{parts.hostname}]" if ":" in (parts.hostname or "") else parts.hostname or ""
    return name if parts.port in (None, _PORTS.get(parts.scheme)) else f"{name}:{parts.port}"


def curl(exchange: Exchange, own: str = "") -> str:
    """The same request as a line for a shell. `own` is the base of a service that asks for no token in development.

    For that one the token is left out: it is good once, so that the line would be refused.
    """
    parts = ["curl", "-i", "-X", exchange.method, exchange.url]
    for name, value in exchange.request_headers.items():
        if name.lower() not in _OF_CURL and not (name == "Authorization" and is_free(exchange, own)):
            parts += ["-H", f"{name}: {value}"]
    if exchange.request_body is not None:
        parts += ["--data-binary", strict_json.write(exchange.request_body).decode()]
    return shlex.join(parts)


def is_free(exchange: Exchange, own: str) -> bool:
    """Whether the call is one to the CDS service at `own`, which wants no token."""
    return bool(own) and exchange.url.startswith(f"{own}/cds-services")


def token(exchange: Exchange) -> tuple[Json, Json] | None:
    """Header and claims of the JWT in the header Authorization, not verified; None where there is none."""
    return claims_of(exchange.request_headers.get("Authorization", ""))


def claims_of(authorization: str) -> tuple[Json, Json] | None:
    """Header and claims of the JWT in this header Authorization, not verified; None where there is none."""
    parts = authorization.removeprefix("Bearer ").split(".")
    if len(parts) != 3:
        return None
    try:
        header, claims = (
            strict_json.read(base64.urlsafe_b64decode(part + "=" * (-len(part) % 4))) for part in parts[:2]
        )
    except (ValueError, BadRequest):
        return None
    return (header, claims) if isinstance(header, dict) and isinstance(claims, dict) else None


def _shown(body: bytes) -> Any:
    """The JSON, else the text, of an answer; None where it is empty."""
    try:
        return strict_json.read(body) if body else None
    except BadRequest:
        return body.decode("utf-8", "replace")


def _since(began: float) -> float:
    return round((time.monotonic() - began) * 1000, 1)
