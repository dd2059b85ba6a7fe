"""The base of a FHIR server as it is written in one way only, so that two that are the same are equal.

Sources: RFC 3986, 3 and 6.2; HL7 FHIR R4, "Service Base URL".
"""

import re
from ipaddress import AddressValueError, IPv6Address

PATTERN = r"^https?://[^\s?#@\\%]*[^\s?#@/\\%]$"  # what a schema can say of it
_HOST = re.compile(r"[a-z0-9]([a-z0-9.-]*[a-z0-9])?", re.ASCII)
_PATH = re.compile(r"(/[A-Za-z0-9._~!$&'()*+,;=:-]+)*", re.ASCII)
_PORT = re.compile(r"[1-9]\d{0,4}", re.ASCII)
_USUAL = {"http": "80", "https": "443"}


def plain(base: str) -> str:
    """The base, as it is. Raises ValueError, which says what to write, for any that could be written otherwise."""
    scheme, separator, rest = base.partition("://")
    if scheme not in _USUAL or not separator:
        raise ValueError("is no address of a FHIR server; write https:// (small letters), host and path")
    authority, _, _ = rest.partition("/")
    _refuse_more(base, authority)
    host, port = _parts(authority)
    if port is not None and (not _PORT.fullmatch(port) or int(port) > 65535 or port == _USUAL[scheme]):
        raise ValueError(f"has a port that is no other than the usual; write a port in digits, or none for {scheme}")
    _refuse_host(host)
    _refuse_path(rest.removeprefix(authority))
    return base


def _refuse_more(base: str, authority: str) -> None:
    """Raises ValueError for the parts of a URL that a base does not have."""
    if "@" in authority:
        raise ValueError("holds a user; write the address without user and password")
    if "?" in base or "#" in base:
        raise ValueError("holds a query or a fragment; write the address up to its path")
    if not base.isascii() or re.search(r"[\s\\%\x00-\x1f\x7f]", base):
        raise ValueError("holds a blank, a backslash, a percent sign or a letter that is not ASCII; write plain ASCII")


def _parts(authority: str) -> tuple[str, str | None]:
    """Host and port, None without one; the host of an IPv6 address with its brackets."""
    found = re.fullmatch(r"(\[[^\[\]]*\]|[^:]*)(?::([^:]*))?", authority)
    if not found:
        raise ValueError("holds an address that cannot be read; write an IPv6 address in brackets")
    return found[1], found[2]


def _refuse_host(host: str) -> None:
    if host != host.lower():
        raise ValueError("has a host in capitals; write it in small letters")
    if host.startswith("["):
        _refuse_ipv6(host[1:-1])
    elif not _HOST.fullmatch(host) or ".." in host:
        raise ValueError("has no host, or not as DNS writes it; write its name without a dot at the end")
    elif re.fullmatch(r"[0-9.]+|0x[0-9a-f.x]*", host) and not _is_ipv4(host):
        raise ValueError("has a number for a host; write an IPv4 address as four numbers")


def _is_ipv4(host: str) -> bool:
    parts = host.split(".")
    return len(parts) == 4 and all(re.fullmatch(r"0|[1-9]\d{0,2}", one) and int(one) < 256 for one in parts)


def _refuse_ipv6(address: str) -> None:
    try:
        short = str(IPv6Address(address))
    except AddressValueError:
        short = ""
    if short != address:
        raise ValueError("has an IPv6 address that is not in its shortest form; write that, in brackets")


def _refuse_path(path: str) -> None:
    if path.endswith("/"):
        raise ValueError("has a slash at its end; write it without")
    if not _PATH.fullmatch(path):
        raise ValueError("has a path with an empty part or an unusual letter; write letters, digits and single slashes")
    if {".", ".."} & set(path.split("/")):
        raise ValueError("has . or .. in its path; write the path that it leads to")
