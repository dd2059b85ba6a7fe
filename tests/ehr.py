"""The EHR's FHIR server for the tests: starts and stops it, loads its hospitals, and tells what it was asked."""

import json
import subprocess
import sys
from collections.abc import Iterator, Mapping
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any, Protocol, TypeVar
from urllib.parse import parse_qsl
from uuid import uuid4

import pytest
import requests
from flask.testing import FlaskClient
from werkzeug.test import TestResponse

from cds_content.screening import Screening
from cds_service.clients import DEVELOPMENT, Client
from cds_service.store import open_store
from cds_service.web import Deployment, create_app
from tests.ehr_server import TOKEN
from tests.samples import call
from tests.wire import send

ROOT = Path(__file__).parent.parent
Name = TypeVar("Name")
BUDGET = 0.35  # seconds, for all that is fetched for one answer
PATIENCE = 10.0  # seconds instead of that, in tests where something good must come
CALLS = 12  # that the service lets wait for FHIR servers at the same time
AUTHORIZATION = {
    "access_token": TOKEN,
    "token_type": "Bearer",
    "expires_in": 300,
    "scope": "user/Patient.read user/QuestionnaireResponse.read user/Condition.read user/Encounter.read",
    "subject": "cds-service",
}


@dataclass(frozen=True)
class Request:
    """What the FHIR server was asked: the path below its base, the parameters, and the headers in lower case."""

    method: str
    path: str
    parameters: dict[str, str]
    headers: dict[str, str]

    @property
    def kind(self) -> str:
        return self.path.partition("/")[0]


@dataclass(frozen=True)
class Hospital:
    """One FHIR base of the server."""

    server: str
    mode: str
    name: str

    @property
    def base(self) -> str:
        return f"{self.server}/{self.mode}/{self.name}"

    def load(self, *resources: Any, **settings: Any) -> None:
        """Puts these resources in place of what it held, and forgets what was asked; `settings` are for its mode."""
        held = {"resources": list(resources), **settings}
        _line.put(f"{self.server}/control/{self.name}", json=held, timeout=60).raise_for_status()

    def requests(self) -> list[Request]:
        """Every request in its order; fails for one that names this hospital and is not below its base."""
        home = f"/{self.mode}/{self.name}"
        told = [one for one in _log(self.server)["requests"] if self.name in one["path"]]
        assert [one["path"] for one in told if not f"{one['path']}/".startswith(f"{home}/")] == []
        return [
            Request(
                one["method"],
                one["path"].removeprefix(home).lstrip("/"),
                dict(parse_qsl(one["query"])),
                {name.lower(): value for name, value in one["headers"].items()},
            )
            for one in told
        ]

    def kinds(self) -> list[str]:
        """The types that were asked for, in alphabetical order: keys are fetched in any order."""
        return sorted(request.kind for request in self.requests())


@dataclass(frozen=True)
class Ehr:
    """The running server, and the address of its canary."""

    address: str
    canary: str

    def hospital(self, *resources: Any, mode: str = "open", **settings: Any) -> Hospital:
        """A new base in this mode that holds these resources; what was asked before is forgotten."""
        hospital = Hospital(self.address, mode, f"h-{uuid4().hex}")
        hospital.load(*resources, **settings)
        return hospital

    def strayed(self) -> list[Any]:
        """Who has called the canary."""
        canary: list[Any] = _log(self.address)["canary"]
        return canary


_line = requests.Session()  # one connection for all that the tests themselves ask
_line.trust_env = False


def _log(address: str) -> Any:
    return _line.get(f"{address}/control/log", timeout=60).json()


def asked_at_once(client: FlaskClient, calls: Mapping[Name, Any]) -> dict[Name, TestResponse]:
    """The answers to these calls, as many at a time as the service takes: so what never answers is waited for once."""

    def ask(body: Any) -> TestResponse:
        return send(client.application.test_client(), body)  # each with cookies and a context of its own

    with ThreadPoolExecutor(CALLS) as pool:
        return dict(zip(calls, pool.map(ask, calls.values()), strict=True))


def fetching(fhir_server: str, **members: Any) -> dict[str, Any]:
    """A patient-view call without prefetch, with a FHIR server and a token for it; `members` replace."""
    return call(**{"prefetch": {}, "fhirServer": fhir_server, "fhirAuthorization": AUTHORIZATION, **members})


@contextmanager
def connections(*, lookups: bool = True) -> Iterator[list[str]]:
    """Every host:port that this process connects to meanwhile, whatever the way, or that it looks up."""
    _install_hook()
    heard: list[str] = []
    hearing = heard, ("socket.connect", "socket.getaddrinfo")[: 1 + lookups]
    _hearing.append(hearing)
    try:
        yield heard
    finally:
        _hearing[:] = [one for one in _hearing if one is not hearing]


_hearing: list[tuple[list[str], tuple[str, ...]]] = []  # where to write, and which events


@cache
def _install_hook() -> None:
    """Once: an audit hook can never be taken away."""
    sys.addaudithook(_hear)


def _hear(event: str, arguments: tuple[Any, ...]) -> None:
    if event in ("socket.connect", "socket.getaddrinfo"):
        to = arguments[1] if event == "socket.connect" else arguments
        for heard, events in list(_hearing):
            if event in events:
                heard.append(f"{to[0]}:{to[1]}")


@pytest.fixture(scope="session", name="ehr")
def ehr_server() -> Iterator[Ehr]:
    command = [sys.executable, "-m", "tests.ehr_server", "0"]
    with subprocess.Popen(command, cwd=ROOT, stdout=subprocess.PIPE, text=True) as process:
        try:
            assert process.stdout
            addresses = json.loads(process.stdout.readline())
            yield Ehr(addresses["ehr"], addresses["canary"])
        finally:
            process.kill()


ENDLESS = ("silent", "dripping-body", "dripping-headers", "lying", "chatter")


@pytest.fixture(autouse=True, name="patience")
def enough_for_a_busy_machine(monkeypatch: pytest.MonkeyPatch) -> None:
    """However busy this machine is, what a good server answers comes in time. What never answers is waited for."""
    monkeypatch.setattr("cds_service.fetch.BUDGET", PATIENCE)


@pytest.fixture(name="hurry")
def as_little_as_in_use(patience: None, monkeypatch: pytest.MonkeyPatch) -> None:  # noqa: ARG001 - it comes after that
    """The budget that the service has in use: where the answer is the same, however late everything comes."""
    monkeypatch.setattr("cds_service.fetch.BUDGET", BUDGET)


class Serve(Protocol):
    """Gives the service that may ask this base, here or on a private address, and nobody else.

    `agreed` is what else its client was agreed with.
    """

    def __call__(self, *bases: str, **agreed: Any) -> FlaskClient: ...


@pytest.fixture(scope="session", name="serve")
def service_with_fhir_servers(screening: Screening, tmp_path_factory: pytest.TempPathFactory) -> Serve:
    store = open_store(f"sqlite:///{tmp_path_factory.mktemp('store') / 'decisions.sqlite'}")

    def serve(*bases: str, **agreed: Any) -> FlaskClient:
        clients = {DEVELOPMENT: Client(fhir_servers=bases, **({"private_addresses": True} | agreed))}
        app = create_app(Deployment((screening,), store, "http://127.0.0.1:8080", development=True, clients=clients))
        app.testing = False  # so that an error of ours is answered as it is in use
        return app.test_client()

    return serve
