"""cds-service: serve, check the content, write the review page and the FHIR package; the others stand beside it."""

import gc
import os
import signal
import sys
from datetime import UTC, datetime
from importlib import import_module
from pathlib import Path

import click
from flask import Flask

from cds_content.files import ContentError
from cds_content.plan import definitions
from cds_content.reach import report
from cds_content.review import review_page
from cds_service import __version__, logs, server
from cds_service.assembly import agreed_clients, faults, prepared, try_out
from cds_service.config import Settings, load_content, read_settings
from cds_service.errors import ServiceError, SettingsError
from cds_service.keys import Known, read_ahead
from cds_service.package import write_package
from cds_service.reload import Current
from cds_service.web import Deployment, create_app

WELCOME = """cds-service {version}. Not a certified medical device. Content: {content}.

  services        {public}/cds-services
  questionnaires  {public}/fhir/Questionnaire
  contract        {public}/contract, {public}/openapi.json
  content         {public}/review
"""
OVERDUE = "WARNING: the content of {name} should have been reviewed again before {day}. Have it reviewed, and signed."
DEVELOPMENT = """Development mode: no authentication; never send it the data of patients.

  Open {public}/sandbox in a browser: a small EHR with invented patients.

Or, from the command line (in Dutch; add -H 'Accept-Language: en' for English):

curl -s -H 'Content-Type: application/json' -d "$(curl -s {public}/examples/new-bladder-problems)" {public}{try_it}
"""

log = logs.get()


ELSEWHERE = {
    "migrate": "cli_records",
    "purge": "cli_records",
    "erase": "cli_records",
    "export": "cli_records",
    "report": "cli_records",
    "screen": "cli_screen",
    "conformance": "cli_conformance",
    "prove": "cli_prove",
}


class Commands(click.Group):
    """Those of this module and those of ELSEWHERE, each loaded when it is asked for: a start has no time for all."""

    def list_commands(self, ctx: click.Context) -> list[str]:
        return sorted([*super().list_commands(ctx), *ELSEWHERE])

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:
        if cmd_name not in ELSEWHERE:
            return super().get_command(ctx, cmd_name)
        found: click.Command = getattr(import_module(f"cds_service.{ELSEWHERE[cmd_name]}"), cmd_name)
        return found


@click.group(cls=Commands)
@click.version_option(__version__)
def commands() -> None:
    """A CDS Hooks service for low back pain."""


@commands.command()
def serve() -> None:
    """Serve on CDS_HOST and CDS_PORT until SIGTERM; SIGHUP reads content, clients and keys again."""
    early: list[int] = []  # what is asked for before there is something to reload is done then
    signal.signal(signal.SIGHUP, lambda number, _: early.append(number))
    logs.start()
    gc.disable()
    settings, known = read_settings(), Known()
    service = prepared(settings, known=known)
    _welcome(settings, service)
    read_ahead(known)

    def renewed() -> Flask:
        app = create_app(prepared(read_settings(), service.store, known))
        read_ahead(known)
        return app

    current = Current(create_app(service), renewed)
    gc.freeze()  # what there is by now stays: to find that out, the collector would hold a call up for 0.1 s
    gc.enable()
    signal.signal(signal.SIGHUP, lambda *_: current.reload())
    if early:
        current.reload()
    server.serve(current, settings.host, settings.port)
    service.store.dispose()


def _welcome(settings: Settings, service: Deployment) -> None:
    for screening in service.screenings:
        if screening.is_overdue(datetime.now(UTC).date()):
            log.warning("content is past its review date", screening=screening.name)
            click.echo(OVERDUE.format(name=screening.name, day=screening.next_review))
    content = [
        f"{one.name} {one.version} ({one.signed_by or 'not reviewed by a clinician'})" for one in service.screenings
    ]
    click.echo(WELCOME.format(version=__version__, content=", ".join(content), public=service.public))
    if settings.development:
        click.echo(DEVELOPMENT.format(public=service.public, try_it="/cds-services/low-back-pain-patient-view"))


@commands.command()
def check() -> None:
    """Check content and clients: every mistake with file, place and what to write instead. Runs the self-test.

    With CDS_CLIENTS also all for which the service would refuse to start with these settings.
    """
    settings = read_settings()
    screenings = load_content(settings)
    agreed_clients(settings, screenings)
    try_out(settings, screenings)
    for screening in screenings:
        for line in report(screening):
            click.echo(line)
    if settings.clients and (found := list(faults(settings, screenings))):
        raise SettingsError("\n".join(found))


@commands.command()
def review() -> None:
    """Write each screening on one page for a clinician to sign."""
    for screening in load_content(read_settings()):
        path = read_settings().content / "cards" / screening.name / "review.md"
        path.write_text(review_page(screening), "utf-8")
        click.echo(f"wrote {path}")


@commands.command()
@click.argument("path", type=click.Path(path_type=Path), default=Path("package.tgz"))
def package(path: Path) -> None:
    """Write the FHIR package: forms, terminology, plans, the guide and examples."""
    screenings = load_content(read_settings())
    write_package(screenings, [one for screening in screenings for one in definitions(screening)], path)
    click.echo(f"wrote {path}")


def main() -> None:
    """The command cds-service: what the user can mend is shown without a traceback, with exit code 1."""
    os.umask(0o077)  # the database is nobody else's
    try:
        commands()
    except (ContentError, SettingsError, ServiceError) as error:
        click.echo(str(error), err=True)
        sys.exit(1)
