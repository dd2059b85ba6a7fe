"""One exchange over HTTP, as it was sent and received: what integrators look at."""

import base64
import shlex
import time
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from cds_content.shapes import Json
from cds_service import outbound, strict_json
from cds_service.errors import BadRequest

DEADLINE = 10  # seconds
MAX_SHOWN = 1_000_000  # bytes of an answer


@dataclass(frozen=True)
class Exchange:
    """`what` is "hook", "feedback", "discovery" or "fhir". `status` 0: no answer came, and `error` says why.

    `response_body` is the JSON of the answer, or its text where it is no JSON.
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


def exchanged(what: str, method: str, url: str, headers: Mapping[str, str], body: Json | None = None) -> Exchange:
    """Sends it, and keeps what came of it: never an exception, whatever the other side does. Follows no redirect."""
    sent = strict_json.write(body) if body is not None else None
    began = time.monotonic()
    try:
        answer = outbound.send(
            method, url, headers=headers, body=sent, until=began + DEADLINE, private=True, most=MAX_SHOWN
        )
    except outbound.Unreachable as error:
        reason = "unanswered" if isinstance(error, outbound.Unanswered) else "unreachable"
        return Exchange(what, method, url, headers, body, ms=_since(began), error=reason)
    ms = _since(began)
    return Exchange(what, method, url, headers, body, answer.status, dict(answer.headers), _shown(answer.body), ms)


def curl(exchange: Exchange) -> str:
    """The same request as a line for a shell."""
    parts = ["curl", "-i", "-X", exchange.method, exchange.url]
    for name, value in exchange.request_headers.items():
        parts += ["-H", f"{name}: {value}"]
    if exchange.request_body is not None:
        parts += ["--data-binary", strict_json.write(exchange.request_body).decode()]
    return shlex.join(parts)


def token(exchange: Exchange) -> tuple[Json, Json] | None:
    """Header and claims of the JWT in the header Authorization, not verified; None where there is none."""
    return claims_of(exchange.request_headers.get("Authorization", ""))


def claims_of(authorization: str) -> tuple[Json, Json] | None:
    """The same of the header itself."""
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
