"""The only outbound HTTP: to addresses that were judged, within one deadline, and never more than was offered.

A server that hangs, drips, redirects or sends too much ends as Unreachable. No proxy and no password of this machine is
used. How a connection is made stands in lines.py. Source: RFC 9110.
"""

import time
from collections.abc import Iterator, Mapping
from contextlib import closing, contextmanager
from dataclasses import dataclass
from http.client import HTTPException
from io import BytesIO
from typing import Any
from urllib.parse import SplitResult, urlsplit

import requests
from requests.adapters import HTTPAdapter
from urllib3.connection import HTTPConnection
from urllib3.exceptions import HTTPError
from urllib3.response import HTTPResponse

from cds_service.addresses import NotPublic
from cds_service.lines import ended, left, open_line

MAX_BYTES = 1_000_000
_CHUNK = 65_536  # bytes
_PORTS = {"http": 80, "https": 443}
_OURS = {"Accept": "*/*", "Accept-Encoding": "gzip, deflate", "User-Agent": "cds-service", "Connection": "close"}


class Unreachable(Exception):
    """It cannot be had; the reason stays here, because it may name hosts and tokens."""


class Unanswered(Unreachable):
    """The server gives no answer at all: it is down, too slow, or in trouble (5xx)."""


class Elsewhere(Unreachable):
    """The name of the server leads to an address that may not be called: nothing was."""


@dataclass
class Room:
    """How many bytes may still be read, of one answer or of several."""

    left: int = MAX_BYTES


@dataclass(frozen=True)
class Answered:
    """What a server answered, with any status, a redirect too: none is followed."""

    status: int
    headers: Mapping[str, str]
    body: bytes


def send(
    method: str,
    url: str,
    *,
    headers: Mapping[str, str],
    body: bytes | None = None,
    until: float,
    private: bool = False,
    most: int = MAX_BYTES,
) -> Answered:
    """The answer to one request, read whole before `until` (seconds of time.monotonic); at most `most` bytes of it.

    `private`: the server may stand on a private address, or on this machine. Raises Unreachable.
    """
    with asked(method, url, headers=headers, body=body, until=until, private=private) as answer:
        return Answered(answer.status, _headers(answer), read(answer, until, Room(most)))


@contextmanager
def asked(
    method: str, url: str, *, headers: Mapping[str, str], body: bytes | None = None, until: float, private: bool = False
) -> Iterator[HTTPResponse]:
    """The head of the answer, of any status; `read` gives the body, while the block lasts. Raises Unreachable."""
    with _in_our_words(), _open(as_sent(method, url, headers, body), until, private) as answer:
        yield answer


def as_sent(method: str, url: str, headers: Mapping[str, str], body: bytes | None) -> requests.PreparedRequest:
    """The request as it goes out, but for the header Host. Raises ValueError for what is no URL or no header."""
    return requests.Request(method, url, headers=_OURS | dict(headers), data=body).prepare()


@contextmanager
def mounted(session: requests.Session, until: float, private: bool) -> Iterator[None]:
    """While the block lasts, a session of a library sends as `send` does; a redirect is Unreachable there.

    Raises Unreachable, also for what the session itself finds wrong.
    """
    session.trust_env = False  # no proxies and no .netrc of this machine
    session.headers.update(_OURS)
    for scheme in _PORTS:
        session.mount(f"{scheme}://", _Judged(until, private))
    try:
        yield
    except requests.RequestException as error:
        raise Unreachable from error
    finally:
        session.adapters.clear()


def read(answer: HTTPResponse, until: float, room: Room) -> bytes:
    """The body of an answer, within the room. Raises Unreachable."""
    pieces: list[bytes] = []
    while piece := answer.read1(_CHUNK, decode_content=True):
        pieces.append(piece)
        room.left -= len(piece)
        if room.left < 0:
            raise Unreachable
    if time.monotonic() >= until:  # the end may be ours
        raise Unanswered
    return b"".join(pieces)


class _Judged(HTTPAdapter):
    """Sends over a connection to an address of the host that was judged, and reads the answer whole."""

    def __init__(self, until: float, private: bool) -> None:
        super().__init__()
        self.until, self.private = until, private

    def send(self, request: requests.PreparedRequest, *_: Any, **__: Any) -> requests.Response:
        """The answer, of any status but a redirect, which a session would follow. Raises Unreachable."""
        with _in_our_words(), _open(request, self.until, self.private) as answer:
            if 300 <= answer.status < 400:
                raise Unreachable
            body = BytesIO(read(answer, self.until, Room()))
            headers = {name: value for name, value in _headers(answer).items() if name != "content-encoding"}
            whole = HTTPResponse(body, headers, answer.status, reason=answer.reason, preload_content=False)
            return self.build_response(request, whole)


@contextmanager
def _in_our_words() -> Iterator[None]:
    """What goes wrong, as one of our three errors."""
    try:
        yield
    except NotPublic as error:
        raise Elsewhere from error
    except requests.RequestException as error:  # what is asked for is no URL
        raise Unreachable from error
    except (OSError, HTTPException, HTTPError) as error:
        raise Unanswered from error
    except ValueError as error:
        raise Unreachable from error


@contextmanager
def _open(request: requests.PreparedRequest, until: float, private: bool) -> Iterator[HTTPResponse]:
    address = urlsplit(request.url or "")
    if address.scheme not in _PORTS:
        raise Unreachable
    host, port = address.hostname or "", address.port or _PORTS[address.scheme]
    line = open_line(address.scheme, host, port, until, private)
    with closing(HTTPConnection(host, port, timeout=left(until))) as connection:
        connection.sock = line
        with ended(line, until):
            said = dict(request.headers) | {"Host": _named(address, host)}
            sent = {"body": request.body, "headers": said, "preload_content": False, "decode_content": False}
            connection.request(request.method or "GET", request.path_url, **sent)  # type: ignore[arg-type] # of a dict
            with closing(connection.getresponse()) as response:
                yield response


def _headers(answer: HTTPResponse) -> dict[str, str]:
    """Names in small letters; what stands there twice, joined."""
    return {name.lower(): value for name, value in answer.headers.items()}


def _named(address: SplitResult, host: str) -> str:
    """The header Host: without a port that goes without saying (RFC 9110, 7.2)."""
    name = f"[{host}]" if ":" in host else host
    return name if address.port in (None, _PORTS[address.scheme]) else f"{name}:{address.port}"
