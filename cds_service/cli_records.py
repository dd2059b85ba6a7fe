"""cds-service: what is kept, and its end: purge, erase, export, report."""

import json
import re
from datetime import UTC, datetime, timedelta

import click
from sqlalchemy import Engine

from cds_content.files import unknown
from cds_service.clients import read_clients
from cds_service.config import Settings, load_content, read_settings
from cds_service.errors import SettingsError
from cds_service.report import text
from cds_service.resources import ID
from cds_service.store import Keep, open_store, owners
from cds_service.store import erase as erase_patient
from cds_service.store import export as export_patient
from cds_service.store import purge as purge_old
from cds_service.store.counts import figures
from cds_service.web.call import hashed

_OF_CLIENT = click.option("--client", help="the name in clients.toml; without it all clients")
_OF_TENANT = click.option("--tenant", help="one tenant of that client; without it the client and all its tenants")


@click.command()
def migrate() -> None:
    """Make the tables, or bring them to the form of this version; `serve` does the same at its start."""
    open_store(read_settings().database_url).dispose()
    click.echo("the database has the form of this version")


@click.command()
def purge() -> None:
    """Remove what is older than CDS_KEEP_RESPONSE_DAYS and CDS_KEEP_RECORD_DAYS say; run it daily."""
    settings = read_settings()
    keep = Keep(timedelta(days=settings.keep_response_days), timedelta(days=settings.keep_record_days))
    for table, removed in purge_old(open_store(settings.database_url), keep, datetime.now(UTC)).items():
        click.echo(f"{table}: {removed} removed")


@click.command()
@_OF_CLIENT
@_OF_TENANT
@click.argument("patient")
def erase(client: str | None, tenant: str | None, patient: str) -> None:
    """Remove the responses of PATIENT (the id on the client's FHIR server), and say what stays and why."""
    engine, hashes = _asked(client, tenant, patient)
    done = erase_patient(engine, None, hashes, datetime.now(UTC))
    click.echo(json.dumps(done, indent=2))


@click.command()
@_OF_CLIENT
@_OF_TENANT
@click.argument("patient")
def export(client: str | None, tenant: str | None, patient: str) -> None:
    """Print all that is kept about PATIENT (the id on the client's FHIR server) as JSON."""
    engine, hashes = _asked(client, tenant, patient)
    found = export_patient(engine, None, hashes, datetime.now(UTC))
    click.echo(json.dumps(found, indent=2, ensure_ascii=False))


@click.command()
def report() -> None:
    """Print what was shown, accepted and overridden, by disposition and row, per week; never answers or patients."""
    settings = read_settings()
    counted = figures(open_store(settings.database_url), datetime.now(UTC))
    click.echo(text(counted, load_content(settings)))


def _asked(client: str | None, tenant: str | None, patient: str) -> tuple[Engine, list[str]]:
    """The database, and what stands for the patient in it: a hash for each owner meant, which no other owner has.

    Raises SettingsError for what is not known or no id. A slip or a wrong key would find nobody and say that nothing is
    kept: so none is taken for granted.
    """
    settings = read_settings()
    if not settings.development and not settings.has_patient_key:
        raise SettingsError("CDS_PATIENT_KEY: is missing; write the key with which the service runs")
    _check_owner(settings, client, tenant)
    key, id_ = settings.patient_key.get_secret_value().encode(), _id(patient)
    engine = open_store(settings.database_url)
    return engine, [hashed(key, owner, id_) for owner in owners(engine) if _meant(owner, client, tenant)]


def _check_owner(settings: Settings, client: str | None, tenant: str | None) -> None:
    """Raises SettingsError for a client or a tenant that is not in clients.toml."""
    known = read_clients(settings.clients)
    if client is not None and client not in known:
        raise SettingsError(f"--client: {unknown('client', client, known)}")
    if tenant is not None and client is None:
        raise SettingsError("--tenant: is that of a client; write --client as well")
    if client is not None and tenant is not None and tenant not in (tenants := known[client].tenants):
        wrong = unknown("tenant", tenant, tenants) if tenants else "the client has none; leave it out"
        raise SettingsError(f"--tenant: {wrong}")


def _meant(owner: str, client: str | None, tenant: str | None) -> bool:
    """Whether an owner, "client" or "client tenant", is asked for."""
    name, _, of_client = owner.partition(" ")
    return client in (None, name) and tenant in (None, of_client)


def _id(patient: str) -> str:
    """The id of a patient, alone or after Patient/. Raises SettingsError, which does not repeat it."""
    id_ = patient.removeprefix("Patient/")
    if not re.fullmatch(ID, id_):
        raise SettingsError("PATIENT: is no id; write the id of the Patient on the client's FHIR server, such as p1")
    return id_
