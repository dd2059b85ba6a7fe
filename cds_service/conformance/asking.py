"""Asks the service that is checked, and reads its answers strictly; none is followed to another address."""

import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any
from uuid import uuid4

from cds_service import outbound, strict_json
from cds_service.conformance.signing import Signer
from cds_service.errors import BadRequest

JSON = "application/json"
_TRIES = 5  # where the service takes no more calls for the moment
_LONGEST_WAIT = 5.0  # seconds
_BUSY = 429  # RFC 6585, 4


@dataclass(frozen=True)
class Target:
    """The service: its base URL without a slash at the end, and how it is asked. `timeout` is in seconds.

    `token` goes out as it stands; a `signer` signs a JWT for the URL of each call, below `audience` where the service
    knows itself by another base URL, as behind a proxy.
    """

    base: str
    timeout: float = 10.0
    origin: str = ""
    token: str = ""
    signer: Signer | None = None
    audience: str = ""

    @property
    def discovery(self) -> str:
        """The address of discovery. Source: CDS Hooks 2.0.1, "Discovery"."""
        return f"{self.base}/cds-services"

    @property
    def authenticates(self) -> bool:
        """Whether calls say who makes them."""
        return bool(self.token or self.signer)

    def known_as(self, url: str) -> str:
        """The URL as the service knows it, which is the aud of a JWT."""
        return f"{self.audience or self.base}{url.removeprefix(self.base)}"

    def authorization(self, url: str) -> Mapping[str, str]:
        """The header that says who calls, for a call of this URL."""
        token = self.signer.sign(self.known_as(url)) if self.signer else self.token
        return {"Authorization": f"Bearer {token}"} if token else {}


@dataclass(frozen=True)
class Reply:
    """An answer; status 0 where there is none. `value` is its JSON, or `unread` says why it has none."""

    place: str
    status: int = 0
    headers: Mapping[str, str] | None = None
    body: bytes = b""
    value: Any = None
    unread: str = ""

    def header(self, name: str) -> str:
        """The value of a header, whose name is in small letters; empty where it is absent."""
        return (self.headers or {}).get(name, "")

    @property
    def is_success(self) -> bool:
        """Whether the service says that it did what was asked."""
        return 200 <= self.status < 300

    @property
    def is_redirect(self) -> bool:
        """Whether it sends the caller elsewhere, which neither does what was asked nor refuses it."""
        return 300 <= self.status < 400

    @property
    def untold(self) -> str:
        """Why nobody knows whether the service refuses: no answer came, or it failed; empty where that can be seen."""
        if not self.status:
            return self.unread
        return f"answers {self.status}, which is trouble of its own and no refusal" if self.status >= 500 else ""


def ask(
    target: Target, method: str, url: str, place: str, body: Any = None, *, media: str = JSON, **headers: str | None
) -> Reply:
    """The answer to one request. Bytes are sent as they stand, anything else as JSON.

    `headers` replace (Authorization, Origin) or add; "_" for "-", and None leaves one out. A service that takes no more
    calls for the moment is asked again when it says; what it would have said is unknown if it never does.
    """
    for _ in range(_TRIES):
        reply = _asked(target, method, url, place, body, media, headers)
        if reply.status != _BUSY:
            return reply
        time.sleep(_wait(reply))
    return Reply(place, unread=f"answers {_BUSY} {_TRIES} times; allow more calls for this check")


def _wait(reply: Reply) -> float:
    """How many seconds the service wants to be left alone."""
    said = reply.header("retry-after")
    return min(float(said), _LONGEST_WAIT) if said.isdecimal() else 1.0


def _asked(
    target: Target, method: str, url: str, place: str, body: Any, media: str, headers: Mapping[str, str | None]
) -> Reply:
    said = {"Accept": JSON, "Origin": target.origin or None, **target.authorization(url)}
    said |= {"Content-Type": media if body is not None else None}
    said |= {name.replace("_", "-"): value for name, value in headers.items()}
    sent = body if isinstance(body, bytes) or body is None else strict_json.write(body)
    kept = {name: value for name, value in said.items() if value}
    return _answer(
        lambda until: outbound.send(method, url, headers=kept, body=sent, until=until, private=True), target, place
    )


def _answer(send: Callable[[float], outbound.Answered], target: Target, place: str) -> Reply:
    try:
        answered = send(time.monotonic() + target.timeout)
    except outbound.Unreachable as error:
        why = type(error.__cause__ or error).__name__
        return Reply(place, unread=f"no whole answer within {target.timeout:g} seconds ({why})")
    return _read(Reply(place, answered.status, answered.headers, answered.body))


def _read(reply: Reply) -> Reply:
    value, unread = None, ""
    try:
        value = strict_json.read(reply.body)
    except BadRequest as error:
        unread = str(error)
    return Reply(reply.place, reply.status, reply.headers, reply.body, value, unread)


def new_instance() -> str:
    """A hookInstance of its own for every call."""
    return str(uuid4())
