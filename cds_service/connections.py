"""The connections of the server: each must bring a whole request in time, and none is waited for by a thread.

waitress holds them all in one loop; here stands what it leaves open.
"""

import math
import sys
import time
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

from waitress.adjustments import Adjustments
from waitress.channel import HTTPChannel
from waitress.server import TcpWSGIServer
from waitress.task import ThreadedTaskDispatcher

from cds_service import logs
from cds_service.framing import MOST_HEADERS, MOST_READ, Answer, Refusal, Request

LOOK = 0.2  # seconds between two looks at what is overdue
AHEAD = 4  # requests that a client may send before it has the answer to the first
REST = 0.2  # seconds without accepting, when no file can be opened: the others must end first
log = logs.get()


@dataclass(frozen=True)
class Patience:
    """How long the server waits, in seconds: for a whole request from its first byte (or from the connection), for the
    next one on a connection that was answered (longer than the 60 s for which nginx keeps it), for a client to take its
    answer, for what is being answered when the server has to stop, and then for those that may just be sending."""

    whole: float = 10
    idle: float = 75
    taken: float = 20
    drain: float = 8
    grace: float = 1


class Connection(HTTPChannel):
    """One connection of a client. `until` is when it is closed, unless a request of it is being answered."""

    parser_class, task_class, error_task_class = Request, Answer, Refusal

    def __init__(self, server: "Listener", *parts: Any, **more: Any) -> None:
        self.patience = server.patience
        self._full_since = math.inf
        self._expect_request()
        super().__init__(server, *parts, **more)

    def received(self, data: bytes) -> bool:
        """A client that sends many requests ahead could make answers faster than it takes them."""
        if not self._expected:
            self._expect_request()
        taken = super().received(data)
        with self.requests_lock:  # type: ignore[attr-defined] # of HTTPChannel
            if len(self.requests) > AHEAD:
                del self.requests[1:]  # type: ignore[attr-defined] # a list; the first is being answered
                self.will_close = True
        return taken

    def writable(self) -> bool:
        """Not while a thread is writing: the loop would come back at once, again and again, and hold that thread up."""
        if not self.outbuf_lock.acquire(blocking=False):
            return False
        self.outbuf_lock.release()
        return bool(super().writable())

    def service(self) -> None:
        self.until, self._expected = time.monotonic() + self.patience.idle, False
        super().service()

    def _expect_request(self) -> None:
        """From now on, however many bytes or empty lines drip in, a whole request must come in time."""
        self.until, self._expected = time.monotonic() + self.patience.whole, True

    def is_overdue(self, now: float) -> bool:
        """Whether a request has not come in time, or an answer was not taken in time."""
        self._full_since = min(self._full_since, now) if self.total_outbufs_len else math.inf
        return now > self._full_since + self.patience.taken or (not self.requests and now > self.until)

    def is_idle(self) -> bool:
        """Whether it only waits for what its client may want next."""
        return not self._expected and not self.is_busy()

    def is_busy(self) -> bool:
        """Whether a request is being answered, or its answer sent."""
        return bool(self.requests or self.total_outbufs_len or self.close_when_flushed)

    def handle_error(self) -> None:
        _tell()
        self.handle_close()


class Listener(TcpWSGIServer):
    """One address on which clients connect, and the connections made there."""

    channel_class = Connection
    next_channel_cleanup = math.inf  # type: ignore[assignment] # waitress's own way goes by the clock on the wall
    draining = False

    def __init__(self, patience: Patience, *parts: Any, **more: Any) -> None:
        self.patience = patience
        self._looked = self._rests = 0.0  # until when, on the monotonic clock
        super().__init__(*parts, **more)

    def readable(self) -> bool:
        return time.monotonic() >= self._rests and super().readable()

    def accept(self) -> Any:
        """None where no file can be opened: instead of trying again at once, and for ever, the loop goes on."""
        try:
            return super().accept()
        except OSError:
            self._rests = time.monotonic() + REST
            return None

    def stop_accepting(self) -> None:
        """Those who have connected already still come in; nobody else."""
        waiting = -1
        while self.accepting and waiting != len(self.active_channels):  # type: ignore[arg-type] # a dict
            waiting = len(self.active_channels)  # type: ignore[arg-type] # a dict
            self.handle_accept()
        self.accepting = False
        self.del_channel()
        self.socket.close()  # type: ignore[union-attr] # it listens
        self.draining = True

    def connections(self) -> Iterator[Connection]:
        yield from list(self.active_channels.values())  # type: ignore[attr-defined] # a dict

    def handle_error(self) -> None:
        _tell()

    def end_overdue(self) -> None:
        """Those in whose time nothing came or went; and where no other could come in, half of those that are idle."""
        now = time.monotonic()
        if now < self._looked:
            return
        self._looked = now + LOOK
        for one in self.connections():
            if one.is_overdue(now):
                one.handle_close()  # a thread that waits to write its answer is let go
        if len(self._map) >= self.adj.connection_limit:  # type: ignore[attr-defined] # the map of its loop
            idle = sorted((one for one in self.connections() if one.is_idle()), key=lambda one: one.until)
            for one in idle[: len(idle) // 2 + 1]:
                one.handle_close()


def listen(app: Any, host: str, port: int, patience: Patience, most: int) -> list[Listener]:
    """The listeners at this address (`localhost` may have two), of at most so many connections. Raises OSError."""
    adjusted = _adjusted(host, port, most)
    threads, map_ = ThreadedTaskDispatcher(), {}  # type: ignore[var-annotated] # of file numbers
    found: list[Listener] = []
    try:
        for address in adjusted.listen:
            listener = Listener(patience, app, map_, dispatcher=threads, adj=adjusted, sockinfo=address)
            found.append(listener)
    except OSError:
        for one in found:
            one.close()
        raise
    threads.set_thread_count(adjusted.threads)
    return found


def _adjusted(host: str, port: int, most: int) -> Adjustments:
    in_memory = 2**31  # bytes: waitress writes nothing into files
    return Adjustments(
        host=host,
        port=port,
        threads=16,
        connection_limit=most,
        asyncore_use_poll=True,  # select() cannot hold a file whose number is over 1023
        max_request_header_size=MOST_HEADERS,
        max_request_body_size=MOST_READ,
        inbuf_overflow=in_memory,
        outbuf_overflow=in_memory,
        outbuf_high_watermark=AHEAD * 2_000_000,  # bytes; no thread waits for a client to take its answers
        recv_bytes=64 * 1024,
        log_socket_errors=False,  # a client may leave when it likes
        clear_untrusted_proxy_headers=True,
        ident="",
    )


def _tell() -> None:
    """An error of ours or of waitress's, by its kind and place: its text may hold what was sent."""
    error = sys.exc_info()[1]
    log.error("the server failed", kind=type(error).__name__, place=logs.place(error))
