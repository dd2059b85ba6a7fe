"""Which addresses may be called: public ones, and those of a private network only where the client's table says so.

A name is looked up once, all its addresses are judged, and the connection goes to an address that was judged: a name
that leads elsewhere a moment later (DNS rebinding) changes nothing. Sources: RFC 6890, and the registries of
special-purpose IPv4 and IPv6 addresses that IANA keeps by it; RFC 4291, 2.4.
"""

import socket
import time
from collections.abc import Callable
from functools import cache
from ipaddress import IPv4Address, ip_address, ip_network
from queue import Empty, SimpleQueue
from threading import BoundedSemaphore, Thread

AT_ONCE = 8  # lookups of one name; the resolver of this machine may hold each for as long as it likes
PUBLIC_IPV6 = ip_network("2000::/3")  # all that is given out; loopback, mapped, NAT64, unique local … lie outside
# Written out, because the lists of `ipaddress` differ between versions of Python.
SPECIAL_IPV6 = tuple(
    ip_network(block)
    for block in (
        "2001::/23",  # protocol assignments, of which Teredo, benchmarking, ORCHID
        "2001:db8::/32",  # documentation
        "2002::/16",  # 6to4: it holds an IPv4 address
        "3fff::/20",  # documentation
    )
)
SPECIAL_IPV4 = tuple(
    ip_network(block)
    for block in (
        "0.0.0.0/8",  # "this host on this network"
        "10.0.0.0/8",  # private
        "100.64.0.0/10",  # shared by the customers of a provider (CGNAT)
        "127.0.0.0/8",  # loopback
        "169.254.0.0/16",  # link-local, where clouds keep the passwords of a machine
        "172.16.0.0/12",  # private
        "192.0.0.0/24",  # protocol assignments
        "192.0.2.0/24",  # documentation
        "192.88.99.0/24",  # 6to4 relays
        "192.168.0.0/16",  # private
        "198.18.0.0/15",  # benchmarking
        "198.51.100.0/24",  # documentation
        "203.0.113.0/24",  # documentation
        "224.0.0.0/4",  # multicast
        "240.0.0.0/4",  # reserved, and broadcast
    )
)
# What `private-addresses` allows beside public ones: nothing link-local, and no multicast.
PRIVATE = tuple(
    ip_network(block)
    for block in ("10.0.0.0/8", "127.0.0.0/8", "172.16.0.0/12", "192.168.0.0/16", "::1/128", "fc00::/7")
)
_Found = tuple[str, ...] | OSError


class NotPublic(Exception):
    """A name leads to an address that may not be called; which one is not said."""


def addresses_of(host: str, port: int, until: float, *, private: bool = False) -> tuple[str, ...]:
    """The addresses of a host, in the order of the resolver, all of which may be called.

    Raises NotPublic when one of them may not; OSError when there is none, and TimeoutError `until` (time.monotonic).
    """
    found = _looked_up(host, port, until)
    if not all(may_be_called(address, private=private) for address in found):
        raise NotPublic
    return found


def may_be_called(address: str, *, private: bool = False) -> bool:
    """Whether an IP address is a public unicast one, or where `private`, one of a private network or this machine."""
    try:
        ip = ip_address(address)
    except ValueError:
        return False
    if private and any(ip in block for block in PRIVATE):
        return True
    if isinstance(ip, IPv4Address):
        return not any(ip in block for block in SPECIAL_IPV4)
    return ip in PUBLIC_IPV6 and not any(ip in block for block in SPECIAL_IPV6)


def _looked_up(host: str, port: int, until: float) -> tuple[str, ...]:
    """In a thread of its own, because a lookup cannot be broken off; it ends with the process at the latest."""
    places, told = _places(host), SimpleQueue[_Found]()
    if not places.acquire(blocking=False):
        raise TimeoutError("too many lookups of one name")
    Thread(target=_look_up, args=(host, port, told.put, places.release), daemon=True).start()
    try:
        found = told.get(timeout=max(until - time.monotonic(), 0.001))
    except Empty:
        raise TimeoutError("looking up a name takes too long") from None
    if isinstance(found, OSError):
        raise found
    return found


def _look_up(host: str, port: int, tell: Callable[[_Found], None], leave: Callable[[], None]) -> None:
    try:
        found = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM)
        tell(tuple(dict.fromkeys(str(address[0]) for *_, address in found)))
    except (OSError, ValueError) as error:
        tell(OSError(f"no such name: {type(error).__name__}"))
    finally:
        leave()


@cache
def _places(host: str) -> BoundedSemaphore:  # noqa: ARG001 - one for each host, and hosts stand in the configuration
    return BoundedSemaphore(AT_ONCE)
