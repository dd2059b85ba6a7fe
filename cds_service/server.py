"""The HTTP server: waitress in one process, which keeps answering under slow sockets, and drains when told to stop.

Decided by measurement: benchmarks/servers.py. More processes stand behind a proxy: docs/deployment.md.
"""

import logging
import resource
import signal
import time
from typing import Any

from waitress import wasyncore

from cds_service.connections import Listener, Patience, listen
from cds_service.errors import SettingsError

CONNECTIONS = 1000  # at most; others wait until one of these ends
_FILES = 4096  # that this process may open, where the system lets it
PATIENT = Patience()


def serve(app: Any, host: str, port: int, patience: Patience = PATIENT) -> None:
    """Answers calls until SIGTERM or SIGINT, and then until all that has come in is answered.

    `app` is a WSGI application. Raises SettingsError where nobody can listen there.
    """
    logging.getLogger("waitress.queue").setLevel(logging.ERROR)  # busy threads are no news
    listeners: list[Listener] = []
    stopping = _told_to_stop(listeners)  # before anybody can call: who is told to stop then ends as well as later
    try:
        listeners += listen(app, host, port, patience, _connections())
    except OSError:
        raise SettingsError("CDS_PORT: cannot listen there; write a port that is free") from None
    while not stopping:
        _turn(listeners)
    _drain(listeners, patience)


def _told_to_stop(listeners: list[Listener]) -> list[int]:
    """Becomes non-empty when a signal says to stop; the loop of those who listen by then is woken."""
    told: list[int] = []

    def stop(number: int, _: object) -> None:
        told.append(number)
        for listener in listeners[:1]:
            listener.pull_trigger()

    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, stop)
    return told


def _turn(listeners: list[Listener], seconds: float = 0.2) -> None:
    """Reads and writes what is there; waits at most so long when nothing is."""
    for listener in listeners:
        listener.end_overdue()
    wasyncore.loop(timeout=seconds, use_poll=True, map=listeners[0]._map, count=1)  # type: ignore[attr-defined] # the map of its loop


def _drain(listeners: list[Listener], patience: Patience) -> None:
    """Nobody else comes in; those who are there get their answer, as the last on their connection.

    A connection without a request is left open for a moment: its client may be sending just now.
    """
    for listener in listeners:
        listener.stop_accepting()
    started = time.monotonic()
    while (spent := time.monotonic() - started) < patience.drain and _open(listeners, idle=spent < patience.grace):
        _turn(listeners, 0.05)
    listeners[0].task_dispatcher.shutdown(timeout=1)
    wasyncore.close_all(listeners[0]._map)  # type: ignore[attr-defined] # the map of its loop


def _open(listeners: list[Listener], *, idle: bool) -> bool:
    """Whether a connection is still waited for."""
    connections = [one for listener in listeners for one in listener.connections()]
    return any(idle or one.request or one.is_busy() for one in connections)


def _connections() -> int:
    """How many connections at once: half of the files that may be opened, since the database needs them too."""
    _, most = resource.getrlimit(resource.RLIMIT_NOFILE)
    files = _FILES if most == resource.RLIM_INFINITY else min(_FILES, most)
    resource.setrlimit(resource.RLIMIT_NOFILE, (files, most))
    return min(CONNECTIONS, files // 2)
