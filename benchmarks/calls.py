"""Calls to a service on this machine as fast as it answers: a few connections that stay open, ready-made requests.

The requests are made beforehand and the answers are read only as far as is needed, so that the time is the service's.
"""

import socket
import time
from collections.abc import Sequence
from dataclasses import dataclass
from threading import Thread

CONNECTIONS = 8
DEADLINE = 30.0  # seconds for one answer


def request(path: str, body: bytes, headers: Sequence[tuple[str, str]] = ()) -> bytes:
    """A POST of this JSON, as it goes over the wire (RFC 9112)."""
    lines = [("Host", "cds.example"), ("Content-Type", "application/json"), ("Content-Length", str(len(body)))]
    head = "".join(f"{name}: {value}\r\n" for name, value in [*lines, *headers])
    return f"POST {path} HTTP/1.1\r\n{head}\r\n".encode() + body


@dataclass(frozen=True)
class Answers:
    """What a number of calls got."""

    a_second: float
    p95: float  # milliseconds
    without_card: int  # refused, or failed


def answers(port: int, requests: Sequence[bytes]) -> Answers:
    """Sends these over CONNECTIONS connections. Raises RuntimeError when a connection breaks."""
    waits: list[float] = []  # seconds; negative where no card came
    broken: list[str] = []
    threads = [Thread(target=_call, args=(port, requests[n::CONNECTIONS], waits, broken)) for n in range(CONNECTIONS)]
    begun = time.perf_counter()
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    passed = time.perf_counter() - begun
    if broken:
        raise RuntimeError(f"{len(broken)} connections broke: {broken[0]}")
    p95 = sorted(map(abs, waits))[int(len(waits) * 0.95)] * 1000
    return Answers(len(requests) / passed, p95, sum(wait < 0 for wait in waits))


def _call(port: int, requests: Sequence[bytes], waits: list[float], broken: list[str]) -> None:
    try:
        with socket.create_connection(("127.0.0.1", port), DEADLINE) as connection:
            connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
            for one in requests:
                begun = time.perf_counter()
                connection.sendall(one)
                has_card = _has_card(connection)
                waits.append((time.perf_counter() - begun) * (1 if has_card else -1))
    except (OSError, ValueError) as error:
        broken.append(f"{type(error).__name__} {error}")


def _has_card(connection: socket.socket) -> bool:
    """Reads one answer."""
    answer = b""
    while b"\r\n\r\n" not in answer:
        answer += _more(connection)
    head, _, body = answer.partition(b"\r\n\r\n")
    length = int(head.lower().partition(b"content-length:")[2].partition(b"\r\n")[0])
    while len(body) < length:
        body += _more(connection)
    return head.startswith(b"HTTP/1.1 200") and b'"indicator"' in body


def _more(connection: socket.socket) -> bytes:
    if not (part := connection.recv(65536)):
        raise ValueError("the connection was closed")
    return part
