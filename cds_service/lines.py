"""A connection to an address that was judged, which ends in time.

TLS certificates are always verified, by the authorities that this machine trusts; the variables SSL_CERT_FILE and
SSL_CERT_DIR of OpenSSL name others. Source: RFC 9525.
"""

import socket
import ssl
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from functools import cache
from threading import Timer

from cds_service.addresses import addresses_of


def open_line(scheme: str, host: str, port: int, until: float, private: bool) -> socket.socket:
    """A connection to an address of the host that was judged, never to its name; TLS is with the name.

    Raises NotPublic, and OSError.
    """
    found = addresses_of(host, port, until, private=private)
    line = _first(found, port, until)
    try:
        line.settimeout(left(until))
        return trusted().wrap_socket(line, server_hostname=host) if scheme == "https" else line
    except BaseException:
        line.close()
        raise


def _first(addresses: tuple[str, ...], port: int, until: float) -> socket.socket:
    """Connects to the first address where somebody listens; each but the last has half of the time that is left."""
    for address in addresses[:-1]:
        with suppress(OSError):
            return socket.create_connection((address, port), timeout=left(until) / 2)
    return socket.create_connection((addresses[-1], port), timeout=left(until))


@contextmanager
def ended(line: socket.socket, until: float) -> Iterator[None]:
    """Ends the connection `until` then, whatever is being read: a timeout of sockets counts from piece to piece."""

    def end() -> None:
        with suppress(OSError):
            socket.socket.shutdown(line, socket.SHUT_RDWR)  # of TCP: that of TLS would say goodbye first

    end_in_time = Timer(left(until), end)
    end_in_time.daemon = True
    end_in_time.start()
    try:
        yield
    finally:
        end_in_time.cancel()


def left(until: float) -> float:
    """Seconds until then, never none: a timeout of 0 means something else."""
    return max(until - time.monotonic(), 0.001)


@cache
def trusted() -> ssl.SSLContext:
    """Once for all: to read the certificates of the authorities takes longer than many an answer."""
    return ssl.create_default_context()
