"""A small proxy before several processes: each connection goes to the next of them that can be reached.

It stands in for what ends TLS in use, and does no more than that does: a connection that broke in the middle is broken
for the caller too.
"""

import contextlib
import socket
from collections import Counter
from collections.abc import Iterator, Sequence
from itertools import count
from socketserver import BaseRequestHandler, ThreadingTCPServer
from threading import Condition, Thread

from tests.running import LONG
from tests.wire import answering


class Proxy(ThreadingTCPServer):
    """Listens on a free port, and counts the connections that it made to each of the ports behind it."""

    daemon_threads = True

    def __init__(self, ports: Sequence[int]) -> None:
        super().__init__(("127.0.0.1", 0), _Pass)
        self.ports, self.turns = ports, count()
        self.opened: Counter[int] = Counter()
        self.changed = Condition()

    @property
    def address(self) -> str:
        return f"http://127.0.0.1:{self.server_address[1]}"

    def reach(self) -> socket.socket:
        """A connection to the next process that takes one; fails when none does."""
        turn = next(self.turns)
        for port in (self.ports[(turn + further) % len(self.ports)] for further in range(len(self.ports))):
            with contextlib.suppress(ConnectionRefusedError):
                made = socket.create_connection(("127.0.0.1", port), timeout=LONG)
                with self.changed:
                    self.opened[port] += 1
                    self.changed.notify_all()
                return made
        raise ConnectionError("no process can be reached")

    def until_another_goes_to(self, port: int) -> None:
        """Waits for one more connection to this port than there are now; fails when none comes."""
        with self.changed:
            before = self.opened[port]
            assert self.changed.wait_for(lambda: self.opened[port] > before, LONG), "nobody calls"


class _Pass(BaseRequestHandler):
    """One connection: what comes goes on, both ways, until either side ends."""

    server: Proxy

    def handle(self) -> None:
        with contextlib.suppress(OSError), self.server.reach() as behind:
            there = Thread(target=_pump, args=(self.request, behind), daemon=True)
            there.start()
            _pump(behind, self.request)
            there.join(LONG)


def _pump(source: socket.socket, target: socket.socket) -> None:
    """Passes on until the source ends; then both are at their end."""
    with contextlib.suppress(OSError):
        while told := source.recv(65536):
            target.sendall(told)
    for one in (source, target):
        with contextlib.suppress(OSError):
            one.shutdown(socket.SHUT_RDWR)


@contextlib.contextmanager
def proxy_before(ports: Sequence[int]) -> Iterator[Proxy]:
    """The proxy, until the end of the block."""
    proxy = Proxy(ports)
    with answering(proxy):
        yield proxy
