"""The only outbound HTTP: what a server is asked, within one deadline, and nothing that it did not offer.

A server that hangs, drips, redirects, lies or sends too much ends as Unreachable, never as "nothing there". No proxy
and no password of this machine is used. TLS certificates are always verified, by the authorities that this machine
trusts; the variables SSL_CERT_FILE and SSL_CERT_DIR of OpenSSL name others. Sources: RFC 9110; RFC 9525.
"""

import socket
import ssl
import time
from collections.abc import Iterator, Mapping
from contextlib import ExitStack, closing, contextmanager, suppress
from dataclasses import dataclass
from functools import cache
from http.client import HTTPException
from threading import Timer
from typing import Any
from urllib.parse import SplitResult, urlsplit

import requests
from requests.adapters import HTTPAdapter
from urllib3.connection import HTTPConnection
from urllib3.exceptions import HTTPError
from urllib3.response import HTTPResponse

from cds_service import strict_json
from cds_service.addresses import NotPublic, addresses_of
from cds_service.errors import BadRequest

MAX_BYTES = 1_000_000
_CHUNK = 65_536  # bytes
_PORTS = {"http": 80, "https": 443}
_OURS = {"Accept-Encoding": "gzip, deflate", "User-Agent": "cds-service", "Connection": "close"}


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


def get(url: str, headers: Mapping[str, str], until: float, *, private: bool = False) -> Any:
    """The JSON at `url`: what `fetch` gives, without the headers."""
    return fetch(url, headers, until, private=private)[0]


def fetch(
    url: str, headers: Mapping[str, str], until: float, *, private: bool = False, room: Room | None = None
) -> tuple[Any, Mapping[str, str]]:
    """The JSON at `url` and the headers of the answer, read before `until` (seconds of time.monotonic).

    `private`: it may stand on a private address, or on this machine. `room` is what it may take, MAX_BYTES unless it is
    given. Raises Unreachable.
    """
    try:
        with ExitStack() as open_, requests.Session() as session:
            session.trust_env = False  # no proxies and no .netrc of this machine
            for scheme in _PORTS:
                session.mount(f"{scheme}://", _Judged(until, private, open_))
            response = session.get(url, headers=_OURS | dict(headers), stream=True, allow_redirects=False)
            return strict_json.read(_body(response.raw, until, room or Room())), response.headers
    except NotPublic as error:
        raise Elsewhere from error
    except (requests.RequestException, BadRequest) as error:  # of requests itself: what is asked for is no URL
        raise Unreachable from error
    except (OSError, HTTPException, HTTPError) as error:
        raise Unanswered from error
    except ValueError as error:
        raise Unreachable from error


class _Judged(HTTPAdapter):
    """Sends over a connection to an address of the host that was judged; it is open for `open_`, at most `until`."""

    def __init__(self, until: float, private: bool, open_: ExitStack) -> None:
        super().__init__()
        self.until, self.private, self.open_ = until, private, open_

    def send(self, request: requests.PreparedRequest, *_: Any, **__: Any) -> requests.Response:
        """The answer, of which only the head is read. Raises Unreachable for all but 200: requests would read more."""
        answer = self.open_.enter_context(_asked(request, self.until, self.private))
        if answer.status >= 500:
            raise Unanswered
        if answer.status != 200:
            raise Unreachable
        return self.build_response(request, answer)


@contextmanager
def _asked(request: requests.PreparedRequest, until: float, private: bool) -> Iterator[HTTPResponse]:
    address = urlsplit(request.url or "")
    host, port = address.hostname or "", address.port or _PORTS[address.scheme]
    line = _line(address.scheme, host, port, until, private)
    with closing(HTTPConnection(host, port, timeout=_left(until))) as connection:
        connection.sock = line
        with _ended(line, until):
            said = dict(request.headers) | {"Host": _named(address, host)}
            connection.request("GET", request.path_url, headers=said, preload_content=False, decode_content=False)
            with closing(connection.getresponse()) as response:
                yield response


def _line(scheme: str, host: str, port: int, until: float, private: bool) -> socket.socket:
    """A connection to an address of the host that was judged, never to its name; TLS is with the name."""
    found = addresses_of(host, port, until, private=private)
    line = _first(found, port, until)
    try:
        line.settimeout(_left(until))
        return _trusted().wrap_socket(line, server_hostname=host) if scheme == "https" else line
    except BaseException:
        line.close()
        raise


def _first(addresses: tuple[str, ...], port: int, until: float) -> socket.socket:
    """Connects to the first address where somebody listens; each but the last has half of the time that is left."""
    for address in addresses[:-1]:
        with suppress(OSError):
            return socket.create_connection((address, port), timeout=_left(until) / 2)
    return socket.create_connection((addresses[-1], port), timeout=_left(until))


@contextmanager
def _ended(line: socket.socket, until: float) -> Iterator[None]:
    """Ends the connection `until` then, whatever is being read: a timeout of sockets counts from piece to piece."""

    def end() -> None:
        with suppress(OSError):
            socket.socket.shutdown(line, socket.SHUT_RDWR)  # of TCP: that of TLS would say goodbye first

    end_in_time = Timer(_left(until), end)
    end_in_time.daemon = True
    end_in_time.start()
    try:
        yield
    finally:
        end_in_time.cancel()


def _body(response: HTTPResponse, until: float, room: Room) -> bytes:
    pieces: list[bytes] = []
    while piece := response.read1(_CHUNK, decode_content=True):
        pieces.append(piece)
        room.left -= len(piece)
        if room.left < 0:
            raise Unreachable
    if time.monotonic() >= until:  # the end may be ours
        raise Unanswered
    return b"".join(pieces)


def _named(address: SplitResult, host: str) -> str:
    """The header Host: without a port that goes without saying (RFC 9110, 7.2)."""
    name = f"[{host}]" if ":" in host else host
    return name if address.port in (None, _PORTS[address.scheme]) else f"{name}:{address.port}"


def _left(until: float) -> float:
    return max(until - time.monotonic(), 0.001)


@cache
def _trusted() -> ssl.SSLContext:
    """Once for all: to read the certificates of the authorities takes longer than many an answer."""
    return ssl.create_default_context()
