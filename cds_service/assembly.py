"""A service put together from its settings: content, clients, database, authentication."""

from collections.abc import Iterator, Mapping
from datetime import UTC, datetime
from functools import partial
from pathlib import Path

from sqlalchemy import Engine

from cds_content.files import unknown
from cds_content.screening import Screening
from cds_service import selftest
from cds_service.auth import authenticator
from cds_service.clients import Client, read_clients
from cds_service.config import Settings, load_content
from cds_service.errors import SettingsError
from cds_service.keys import Known
from cds_service.limits import limiter
from cds_service.sandbox.trust import SANDBOX, sandbox_client
from cds_service.store import first_use as is_first_use
from cds_service.store import open_store
from cds_service.store.watched import passing_store
from cds_service.unsafe import refuse, unsafe, unsigned
from cds_service.web import Deployment


def agreed_clients(settings: Settings, screenings: tuple[Screening, ...]) -> dict[str, Client]:
    """The clients of CDS_CLIENTS. Raises SettingsError with the mistakes in it."""
    clients = read_clients(settings.clients)
    _refuse_unknown_orders(clients, screenings)
    return clients


def _refuse_unknown_orders(clients: Mapping[str, Client], screenings: tuple[Screening, ...]) -> None:
    kinds = {kind for screening in screenings for kind in screening.orders}
    for name, client in clients.items():
        for kind in [kind for kind in client.orders if kind not in kinds]:
            raise SettingsError(f"CDS_CLIENTS: {name}.orders.{kind}: {unknown('kind of order', kind, kinds)}")


def prepared(settings: Settings, store: Engine | None = None, known: Known | None = None) -> Deployment:
    """All that the routes work with, read anew, checked, tried, and safe to serve.

    With `store` and `known` (key sets that were fetched), these are gone on with. Raises ContentError, SettingsError
    and Unavailable.
    """
    clients = read_clients(settings.clients)  # once: what is checked is what is served
    refuse(unsafe(settings, clients))  # before the content is read, which takes longest
    screenings = load_content(settings)
    _refuse_unknown_orders(clients, screenings)
    refuse(unsigned(settings, signed=_are_signed(screenings)))
    service = _deployment(settings, screenings, clients, store or open_store(settings.database_url), known)
    selftest.check(service)
    return service


def faults(settings: Settings, screenings: tuple[Screening, ...]) -> Iterator[str]:
    """All that `prepared` would refuse, without opening the database; of the content, `try_out` says it."""
    clients = agreed_clients(settings, screenings)
    yield from unsafe(settings, clients)
    yield from unsigned(settings, signed=_are_signed(screenings))
    for attempt in (_hooks, _keys):
        try:
            attempt(settings, screenings)
        except SettingsError as error:
            yield str(error)


def try_out(settings: Settings, screenings: tuple[Screening, ...]) -> None:
    """The self-test of each screening, with nothing kept. Raises SettingsError where one gives another card."""
    with passing_store() as store:
        selftest.check(Deployment(screenings, store, settings.public))


def _are_signed(screenings: tuple[Screening, ...]) -> bool:
    return all(screening.signed_by for screening in screenings)


def _keys(settings: Settings, _: tuple[Screening, ...]) -> None:
    """Reads the key files of the clients. Raises SettingsError for one that cannot be used."""
    if not settings.development:
        authenticator(read_clients(settings.clients), _folder(settings), lambda *_: False)


def _deployment(
    settings: Settings,
    screenings: tuple[Screening, ...],
    clients: Mapping[str, Client],
    store: Engine,
    known: Known | None,
) -> Deployment:
    def first_use(issuer: str, jti: str, until: datetime) -> bool:
        return is_first_use(store, issuer, jti, until, datetime.now(UTC))

    check_rate, admit = (_never_refused, _never_refused) if settings.development else limiter()
    if settings.development:  # its own sandbox calls it, and is known by its tokens
        clients = {**clients, SANDBOX: sandbox_client(settings.public)}
    identified = partial(authenticator, clients, _folder(settings), first_use, known=known, check_rate=check_rate)
    return Deployment(
        screenings,
        store,
        settings.public,
        patient_key=settings.patient_key.get_secret_value().encode(),
        metrics_token=settings.metrics_token.get_secret_value(),
        development=settings.development,
        admit=admit,
        clients=clients,
        identify=None if settings.development else identified(),
        hooks=_hooks(settings, screenings),
        grouped=settings.group_services,
        versions=settings.discovery_versions,
        origins=settings.allowed_origins,
    )


def _never_refused(_owner: str, _agreed: int) -> None:
    """In development mode nobody calls too often."""


def _folder(settings: Settings) -> Path:
    """Where the key files of clients stand."""
    return settings.clients.parent if settings.clients else Path()


def _hooks(settings: Settings, screenings: tuple[Screening, ...]) -> tuple[str, ...] | None:
    """The hooks that are offered; None: all. Raises SettingsError for one that no screening has."""
    if settings.hooks in ("all", "none"):
        return None if settings.hooks == "all" else ()
    named = tuple(settings.hooks.split(","))
    known = {service.hook for screening in screenings for service in screening.services.values()}
    for wrong in [hook for hook in named if hook not in known]:
        raise SettingsError(f"CDS_HOOKS: {unknown('hook', wrong, known)}, or all, or none")
    return named
