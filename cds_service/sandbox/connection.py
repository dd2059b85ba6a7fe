"""Which CDS service the sandbox calls, and what it offers."""

from threading import Lock
from urllib.parse import urlsplit

from cds_content.shapes import Json
from cds_service.errors import BadRequest
from cds_service.sandbox.exchange import Exchange, exchanged
from cds_service.sandbox.replies import read_services


class Connection:
    """The CDS service in use: `address` is its base, before /cds-services.

    `discovered` is the exchange in which it said what it offers, None before it was asked; `problem` are names in
    words/problems.toml for what is wrong with that.
    """

    def __init__(self, own: str) -> None:
        self._own, self._lock = own, Lock()
        self.address = own
        self.discovered: Exchange | None = None
        self.problem: tuple[str, ...] = ()
        self._services: list[Json] = []

    @property
    def services(self) -> list[Json]:
        """Its services; asked for when they are first needed. A failure stays until `to` is called again."""
        if self.discovered is None:
            self._discover(self.address)
        return self._services

    def to(self, address: str) -> None:
        """Another CDS service, at this address; empty: this one. Raises BadRequest for no http or https address."""
        plain = (address.strip() or self._own).rstrip("/").removesuffix("/cds-services").rstrip("/")
        _check(plain)
        self._discover(plain)

    def _discover(self, address: str) -> None:
        found = exchanged("discovery", "GET", f"{address}/cds-services", {"Accept": "application/json"})
        services, problem = read_services(found)
        with self._lock:
            self.address, self.discovered, self._services, self.problem = address, found, services, problem


def _check(address: str) -> None:
    try:
        parts = urlsplit(address)
        known = parts.scheme in ("http", "https") and bool(parts.hostname) and parts.port != 0
    except ValueError:  # a port that is none
        known = False
    if not known or any(one in address for one in "?#@\\") or not address.isprintable() or " " in address:
        raise BadRequest("address: is no address of a CDS service; write http:// or https://, host, port and path")
