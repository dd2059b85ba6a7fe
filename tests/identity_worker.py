"""A process of the service for the tests of who calls: it is told tokens, and uses each in all its threads at once."""

from concurrent.futures import ThreadPoolExecutor
from datetime import datetime
from multiprocessing.connection import Connection
from pathlib import Path

from flask.testing import FlaskClient

from cds_content.loading import load
from cds_content.screening import Screening
from cds_service.auth import authenticator
from cds_service.clients import Client
from cds_service.store import first_use, open_store
from cds_service.web import Deployment, create_app
from tests.conftest import ROOT
from tests.tokens import ISSUER, PUBLIC

THREADS = 8
ADDRESS = "/fhir/QuestionnaireResponse"  # whose search writes nothing but that the token was used


def use(folder: Path, now: datetime, calls: Connection) -> None:
    """Says "ready"; then takes pairs of the URL of a database and an Authorization header, and tells the statuses.

    The keys of the client stand in `ehr.json` in the folder; `now` is the clock of the test, which may run ahead.
    """
    (screening,) = load(ROOT)
    services: dict[str, FlaskClient] = {}
    with ThreadPoolExecutor(THREADS) as threads:
        calls.send("ready")
        while True:
            url, authorization = calls.recv()
            if url not in services:
                services[url] = _service(screening, folder, url, now)
            using = [threads.submit(_status, services[url], authorization) for _ in range(THREADS)]
            calls.send([one.result() for one in using])


def _status(service: FlaskClient, authorization: str) -> int:
    """As a client that is told to come back later, and does: a busy machine is not what is tried here."""
    for _ in range(50):
        status = service.get(ADDRESS, headers={"Authorization": authorization}).status_code
        if status != 503:
            return status
    raise AssertionError(status)


def _service(screening: Screening, folder: Path, url: str, now: datetime) -> FlaskClient:
    store, clients = open_store(url), {"ehr": Client(issuer=ISSUER, jwks="ehr.json")}
    identify = authenticator(clients, folder, lambda issuer, jti, until: first_use(store, issuer, jti, until, now))
    service = Deployment((screening,), store, PUBLIC, clients=clients, identify=identify, now=lambda: now)
    return create_app(service).test_client()
