"""Calls to a service on this machine: a few connections that stay open, ready-made requests, one loop without threads.

It shares the cores with what it measures, so it does as little as it can: the requests are made beforehand, and an
answer is read only as far as is needed. Nothing else is done in this process meanwhile.
"""

import select
import socket
import time
from collections.abc import Sequence
from dataclasses import dataclass, field
from math import inf

CONNECTIONS = 8
DEADLINE = 30.0  # seconds without any answer


def request(path: str, body: bytes, headers: Sequence[tuple[str, str]] = ()) -> bytes:
    """A POST of this JSON, as it goes over the wire (RFC 9112)."""
    lines = [("Host", "cds.example"), ("Content-Type", "application/json"), ("Content-Length", str(len(body)))]
    head = "".join(f"{name}: {value}\r\n" for name, value in [*lines, *headers])
    return f"POST {path} HTTP/1.1\r\n{head}\r\n".encode() + body


@dataclass(frozen=True)
class Answers:
    """What a number of calls got. A wait is from the moment at which the call was sent, or should have been."""

    seconds: float  # all of them
    waits: tuple[float, ...]  # seconds, the shortest first
    without_card: int  # refused, or failed

    @property
    def a_second(self) -> float:
        return len(self.waits) / self.seconds

    def milliseconds(self, share: float) -> float:
        """The wait that this share of the calls did not go beyond: 0.5 the median, 1 the longest."""
        return self.waits[min(int(len(self.waits) * share), len(self.waits) - 1)] * 1000


@dataclass
class _Line:
    """A connection and the answer that it is waiting for."""

    socket: socket.socket
    since: float = 0.0
    heard: bytearray = field(default_factory=bytearray)


def answers(ports: Sequence[int], requests: Sequence[bytes], *, rate: float = inf) -> Answers:
    """Sends these over CONNECTIONS connections, which the ports share; at most `rate` a second, by a fixed schedule.

    Raises RuntimeError when a connection breaks or nothing is answered any more.
    """
    count = min(CONNECTIONS, len(requests))  # a server closes one on which it gets nothing
    lines = [_Line(socket.create_connection(("127.0.0.1", ports[n % len(ports)]))) for n in range(count)]
    try:
        for line in lines:
            line.socket.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        return _called(lines, requests, rate)
    except OSError as error:
        raise RuntimeError(f"a connection broke: {type(error).__name__}") from None
    finally:
        for line in lines:
            line.socket.close()


def _called(lines: list[_Line], requests: Sequence[bytes], rate: float) -> Answers:
    """A loop over what is due and what has come in."""
    poll, by_number, idle = select.epoll(), {line.socket.fileno(): line for line in lines}, list(lines)
    for number in by_number:
        poll.register(number, select.EPOLLIN)
    waits: list[float] = []
    lost = sent = 0
    begun = time.perf_counter()
    while len(waits) < len(requests):
        sent += _send(idle, requests, sent, begun, rate)
        due = begun + sent / rate if idle and sent < len(requests) else inf
        ready = poll.poll(min(DEADLINE, max(0.0, due - time.perf_counter())))
        if not ready and due is inf:
            raise RuntimeError("a call is not answered")
        for number, _ in ready:
            line = by_number[number]
            if _is_whole(line):
                waits.append(time.perf_counter() - line.since)
                lost += not _has_card(line.heard)
                idle.append(line)
    poll.close()
    return Answers(time.perf_counter() - begun, tuple(sorted(waits)), lost)


def _send(idle: list[_Line], requests: Sequence[bytes], sent: int, begun: float, rate: float) -> int:
    """Sends what is due on the connections that are idle, the longest idle first; how many that were."""
    count, now = 0, time.perf_counter()
    while idle and sent + count < len(requests) and (due := begun + (sent + count) / rate) <= now:
        line = idle.pop(0)
        line.heard.clear()
        line.since = now if rate == inf else due
        line.socket.sendall(requests[sent + count])
        count += 1
    return count


def _is_whole(line: _Line) -> bool:
    """Reads what has come in; whether the answer is there to its end."""
    part = line.socket.recv(65536)
    if not part:
        raise ConnectionResetError
    line.heard += part
    end = line.heard.find(b"\r\n\r\n")
    return end >= 0 and len(line.heard) >= end + 4 + _length(bytes(line.heard[:end]))


def _length(head: bytes) -> int:
    return int(head.lower().partition(b"content-length:")[2].partition(b"\r\n")[0])


def _has_card(heard: bytearray) -> bool:
    return heard.startswith(b"HTTP/1.1 200") and b'"indicator"' in heard
