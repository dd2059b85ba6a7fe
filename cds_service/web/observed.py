"""What is told of every call: one line in the log, and the figures; never what was sent or answered."""

import re
import time
from collections.abc import Mapping
from contextvars import Token
from typing import Any
from uuid import uuid4

from flask import Flask, Response, g, request
from structlog.contextvars import bind_contextvars, reset_contextvars

from cds_service import logs, metrics

# A caller's own id of a call is taken where it is no number of a patient: a UUID, or the id of a trace (16 bytes).
_REQUEST_ID = re.compile(r"[0-9a-f]{32}|[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}", re.ASCII | re.IGNORECASE)
_STATIC = ("/static/<path:filename>", "/bootstrap/static/<path:filename>")
_QUIET = ("/health/live", "/health/ready", "/metrics", *_STATIC)  # asked again and again; only refusals are in the log
log = logs.get()


def observe(app: Flask) -> None:
    """Every call of this application is logged and counted."""
    app.before_request(_begin)
    app.after_request(_tell)
    app.teardown_request(_end)


def _begin() -> None:
    named = request.headers.get("X-Request-ID", "")
    g.request_id = named if _REQUEST_ID.fullmatch(named) else str(uuid4())
    g.began = time.monotonic()
    g.bound = bind_contextvars(request=g.request_id)  # also in what else this call writes; the audit trail takes it too


def _tell(response: Response) -> Response:
    response.headers["X-Request-ID"] = g.request_id
    client, seconds = g.get("client", ""), time.monotonic() - g.began
    if client != metrics.SELF_TEST_CLIENT:
        route, hook = request.url_rule.rule if request.url_rule else "none", g.get("hook", "")
        call = metrics.Called(route, request.method, hook, response.status_code, client, g.get("reason", ""))
        metrics.count_call(call, seconds)
        if route not in _QUIET or response.status_code not in (200, 503):
            _write(call, seconds)
    return response


def _write(call: metrics.Called, seconds: float) -> None:
    """`method` is one of those that there are, because any word may be sent as one."""
    log.info(
        "call",
        method=call.known_method,
        route=call.route,
        service=g.get("service", ""),
        hook=call.hook,
        status=call.status,
        ms=round(seconds * 1000, 1),
        client=call.client,
        tenant=g.get("tenant", ""),
        reason=call.reason if call.status >= 400 else "",
    )


def _end(_: BaseException | None) -> None:
    bound: Mapping[str, Token[Any]] = g.pop("bound", {})
    reset_contextvars(**bound)
