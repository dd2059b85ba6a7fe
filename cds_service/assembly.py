"""A service put together from its settings: content, clients, database, authentication."""

from collections.abc import Mapping
from datetime import UTC, datetime
from pathlib import Path

from cds_content.files import unknown
from cds_content.loading import load
from cds_content.screening import Screening
from cds_service.auth import authenticator
from cds_service.clients import Client, read_clients
from cds_service.config import Settings
from cds_service.errors import SettingsError
from cds_service.store import first_use as is_first_use
from cds_service.store import open_store
from cds_service.web import Deployment


def load_content(settings: Settings) -> tuple[Screening, ...]:
    """The content at CDS_CONTENT, compiled. Raises ContentError with every mistake in it."""
    days = {"fresh_days": settings.fresh_days, "alarm_days": settings.alarm_days}
    return load(settings.content, base=settings.canonical_base, **days)


def agreed_clients(settings: Settings, screenings: tuple[Screening, ...]) -> dict[str, Client]:
    """The clients of CDS_CLIENTS. Raises SettingsError with the mistakes in it."""
    clients = read_clients(settings.clients)
    kinds = {kind for screening in screenings for kind in screening.orders}
    for name, client in clients.items():
        for kind in [kind for kind in client.orders if kind not in kinds]:
            raise SettingsError(f"CDS_CLIENTS: {name}.orders.{kind}: {unknown('kind of order', kind, kinds)}")
    return clients


def deployment(settings: Settings, screenings: tuple[Screening, ...], clients: Mapping[str, Client]) -> Deployment:
    """All that the routes work with, the database opened. Raises SettingsError and Unavailable."""
    store = open_store(settings.database_url)

    def first_use(issuer: str, jti: str, until: datetime) -> bool:
        return is_first_use(store, issuer, jti, until, datetime.now(UTC))

    folder = settings.clients.parent if settings.clients else Path()
    identify = None if settings.development else authenticator(clients, folder, first_use)
    return Deployment(
        screenings,
        store,
        settings.public,
        patient_key=settings.patient_key.get_secret_value().encode(),
        metrics_token=settings.metrics_token.get_secret_value(),
        development=settings.development,
        clients=clients,
        identify=identify,
        hooks=_hooks(settings, screenings),
        grouped=settings.group_services,
        versions=settings.discovery_versions,
        origins=settings.allowed_origins,
    )


def _hooks(settings: Settings, screenings: tuple[Screening, ...]) -> tuple[str, ...] | None:
    """The hooks that are offered; None: all. Raises SettingsError for one that no screening has."""
    if settings.hooks in ("all", "none"):
        return None if settings.hooks == "all" else ()
    named = tuple(settings.hooks.split(","))
    known = {service.hook for screening in screenings for service in screening.services.values()}
    for wrong in [hook for hook in named if hook not in known]:
        raise SettingsError(f"CDS_HOOKS: {unknown('hook', wrong, known)}, or all, or none")
    return named
