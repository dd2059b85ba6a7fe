"""cds-service: serve, check the content, write the review page."""

import sys
from collections.abc import Mapping
from datetime import UTC, datetime
from pathlib import Path

import click
import waitress

from cds_content.files import ContentError, unknown
from cds_content.loading import load
from cds_content.reach import report
from cds_content.review import review_page
from cds_content.screening import Screening
from cds_service import __version__
from cds_service.auth import authenticator
from cds_service.clients import Client, read_clients
from cds_service.config import Settings, read_settings, refuse_unsafe
from cds_service.errors import ServiceError, SettingsError
from cds_service.store import first_use as is_first_use
from cds_service.store import open_store
from cds_service.web import Deployment, create_app

WELCOME = """cds-service {version}. Not a certified medical device. Content: {content}.

  services        {public}/cds-services
  questionnaires  {public}/fhir/Questionnaire
  contract        {public}/contract, {public}/openapi.json
"""
DEVELOPMENT = """Development mode: no authentication; never send it the data of patients.

Try it (in Dutch; add -H 'Accept-Language: en' for English):

curl -s -H 'Content-Type: application/json' -d "$(curl -s {public}/examples/new-bladder-problems)" {public}{try_it}
"""


@click.group()
@click.version_option(__version__)
def commands() -> None:
    """A CDS Hooks service for low back pain."""


@commands.command()
def serve() -> None:
    """Serve on CDS_HOST and CDS_PORT."""
    settings = read_settings()
    screenings = _load(settings)
    clients = _clients(settings, screenings)
    refuse_unsafe(settings, clients, signed=all(screening.signed_by for screening in screenings))
    for screening in screenings:
        if datetime.now(UTC).date() > screening.next_review:
            click.echo(f"{screening.name}: content is past its review date {screening.next_review}", err=True)
    public = settings.public
    app = create_app(_deployment(settings, screenings, clients))
    signed = [f"{one.name} {one.version} ({one.signed_by or 'not reviewed by a clinician'})" for one in screenings]
    click.echo(WELCOME.format(version=__version__, content=", ".join(signed), public=public))
    if settings.development:
        click.echo(DEVELOPMENT.format(public=public, try_it="/cds-services/low-back-pain-patient-view"))
    try:  # many slow sockets must not stop the others: a high limit, and each is closed after 20 s of silence
        waitress.serve(app, host=settings.host, port=settings.port, connection_limit=1000, channel_timeout=20)
    except OSError:
        raise SettingsError("CDS_PORT: cannot listen there; write a port that is free") from None


@commands.command()
def check() -> None:
    """Check content and clients: every mistake with file, place and what to write instead."""
    settings = read_settings()
    screenings = _load(settings)
    _clients(settings, screenings)
    for screening in screenings:
        for line in report(screening):
            click.echo(line)


@commands.command()
def review() -> None:
    """Write each screening on one page for a clinician to sign."""
    for screening in _load(read_settings()):
        path = read_settings().content / "cards" / screening.name / "review.md"
        path.write_text(review_page(screening), "utf-8")
        click.echo(f"wrote {path}")


def _clients(settings: Settings, screenings: tuple[Screening, ...]) -> dict[str, Client]:
    clients = read_clients(settings.clients)
    kinds = {kind for screening in screenings for kind in screening.orders}
    for name, client in clients.items():
        for kind in [kind for kind in client.orders if kind not in kinds]:
            raise SettingsError(f"CDS_CLIENTS: {name}.orders.{kind}: {unknown('kind of order', kind, kinds)}")
    return clients


def _deployment(settings: Settings, screenings: tuple[Screening, ...], clients: Mapping[str, Client]) -> Deployment:
    store = open_store(settings.database_url)

    def first_use(issuer: str, jti: str, until: datetime) -> bool:
        return is_first_use(store, issuer, jti, until, datetime.now(UTC))

    folder = settings.clients.parent if settings.clients else Path()
    identify = None if settings.development else authenticator(clients, folder, first_use)
    return Deployment(
        screenings,
        store,
        settings.public,
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


def _load(settings: Settings) -> tuple[Screening, ...]:
    days = {"fresh_days": settings.fresh_days, "alarm_days": settings.alarm_days}
    return load(settings.content, base=settings.canonical_base, **days)


def main() -> None:
    """The command cds-service: what the user can mend is shown without a traceback, with exit code 1."""
    try:
        commands()
    except (ContentError, SettingsError, ServiceError) as error:
        click.echo(str(error), err=True)
        sys.exit(1)
