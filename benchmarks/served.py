"""The service as other servers load it: `app` (WSGI), and `buffered` (ASGI), which reads the whole body first."""

import asyncio
from collections.abc import Awaitable, Callable
from concurrent.futures import ThreadPoolExecutor
from io import BytesIO
from typing import Any

from cds_service.assembly import prepared
from cds_service.config import read_settings
from cds_service.web import MAX_BODY, create_app

DEADLINE = 10  # seconds for a whole body
app = create_app(prepared(read_settings()))
_threads = ThreadPoolExecutor(16)
Message = dict[str, Any]
Receive = Callable[[], Awaitable[Message]]
Send = Callable[[Message], Awaitable[None]]


async def buffered(scope: Message, receive: Receive, send: Send) -> None:
    """Runs `app` in a thread when the whole body is there; 408 when it does not come in time."""
    if scope["type"] != "http":
        return None
    try:
        body = await asyncio.wait_for(_body(receive), DEADLINE)
    except (TimeoutError, ValueError):
        return await _say(send, 408, [(b"connection", b"close")], b"")
    return await _say(send, *await asyncio.get_running_loop().run_in_executor(_threads, _called, scope, body))


async def _body(receive: Receive) -> bytes:
    body, more = b"", True
    while more:
        message = await receive()
        if message["type"] == "http.disconnect" or len(body) > MAX_BODY:
            raise ValueError
        body, more = body + message.get("body", b""), message.get("more_body", False)
    return body


def _called(scope: Message, body: bytes) -> tuple[int, list[tuple[bytes, bytes]], bytes]:
    from a2wsgi.wsgi import build_environ

    said: list[Any] = []
    environ = build_environ(scope, BytesIO(body))  # type: ignore[arg-type] # it reads what BytesIO has
    told = app(
        dict(environ) | {"wsgi.input_terminated": True}, lambda status, headers, _=None: said.extend((status, headers))
    )
    headers = [(name.lower().encode("latin-1"), value.encode("latin-1")) for name, value in said[1]]
    return int(said[0][:3]), headers, b"".join(told)


async def _say(send: Send, status: int, headers: list[tuple[bytes, bytes]], body: bytes) -> None:
    await send({"type": "http.response.start", "status": status, "headers": headers})
    await send({"type": "http.response.body", "body": body})
