"""cds-service: serve, check the content, write the review page and the FHIR package; cli_records has the others."""

import sys
from datetime import UTC, datetime
from pathlib import Path

import click
import waitress

from cds_content.files import ContentError
from cds_content.plan import definitions
from cds_content.reach import report
from cds_content.review import review_page
from cds_service import __version__, cli_records
from cds_service.assembly import agreed_clients, deployment, load_content
from cds_service.config import read_settings, refuse_unsafe
from cds_service.errors import ServiceError, SettingsError
from cds_service.package import write_package
from cds_service.web import create_app

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
    screenings = load_content(settings)
    clients = agreed_clients(settings, screenings)
    refuse_unsafe(settings, clients, signed=all(screening.signed_by for screening in screenings))
    for screening in screenings:
        if datetime.now(UTC).date() > screening.next_review:
            click.echo(f"{screening.name}: content is past its review date {screening.next_review}", err=True)
    public = settings.public
    app = create_app(deployment(settings, screenings, clients))
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
    screenings = load_content(settings)
    agreed_clients(settings, screenings)
    for screening in screenings:
        for line in report(screening):
            click.echo(line)


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


for _command in (cli_records.purge, cli_records.erase, cli_records.export, cli_records.report):
    commands.add_command(_command)


def main() -> None:
    """The command cds-service: what the user can mend is shown without a traceback, with exit code 1."""
    try:
        commands()
    except (ContentError, SettingsError, ServiceError) as error:
        click.echo(str(error), err=True)
        sys.exit(1)
