"""cds-service: serve, check the content, write the review page."""

import sys
from datetime import UTC, datetime

import click
import waitress

from cds_content.files import ContentError
from cds_content.loading import load
from cds_content.reach import report
from cds_content.review import review_page
from cds_content.screening import Screening
from cds_service import __version__
from cds_service.config import Settings, read_settings, refuse_unsafe
from cds_service.errors import ServiceError, SettingsError
from cds_service.store import open_store
from cds_service.web import Deployment, create_app

WELCOME = """cds-service {version}, development mode: no authentication; never send it the data of patients.
Not a certified medical device. Content: {content}.

  services        {public}/cds-services
  questionnaires  {public}/fhir/Questionnaire

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
    refuse_unsafe(settings)
    screenings = _load(settings)
    for screening in screenings:
        if datetime.now(UTC).date() > screening.next_review:
            click.echo(f"{screening.name}: content is past its review date {screening.next_review}", err=True)
    public = settings.public
    app = create_app(Deployment(screenings, open_store(settings.database_url), public, settings.development))
    signed = [f"{one.name} {one.version} ({one.signed_by or 'not reviewed by a clinician'})" for one in screenings]
    click.echo(
        WELCOME.format(
            version=__version__,
            content=", ".join(signed),
            public=public,
            try_it="/cds-services/low-back-pain-patient-view",
        )
    )
    try:  # many slow sockets must not stop the others: a high limit, and each is closed after 20 s of silence
        waitress.serve(app, host=settings.host, port=settings.port, connection_limit=1000, channel_timeout=20)
    except OSError:
        raise SettingsError("CDS_PORT: cannot listen there; write a port that is free") from None


@commands.command()
def check() -> None:
    """Check the content: every mistake with file, place and what to write instead."""
    for screening in _load(read_settings()):
        for line in report(screening):
            click.echo(line)


@commands.command()
def review() -> None:
    """Write each screening on one page for a clinician to sign."""
    for screening in _load(read_settings()):
        path = read_settings().content / "cards" / screening.name / "review.md"
        path.write_text(review_page(screening), "utf-8")
        click.echo(f"wrote {path}")


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
