"""The service as two clients call it with JWTs, and a key set that one of them publishes at a URL."""

import json
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from datetime import datetime, timedelta
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from threading import Thread
from typing import Any

import pytest
from flask.testing import FlaskClient
from werkzeug.test import TestResponse

from cds_content.screening import Screening
from cds_service.auth import Identify, authenticator
from cds_service.clients import DEVELOPMENT, Client
from cds_service.store import first_use
from cds_service.web import Deployment, create_app
from tests.conftest import SERVICE
from tests.requirements.requests import valid
from tests.tokens import EHR, EHR_RSA, ISSUER, NOW, OTHER, PUBLIC, Json, KeyPair, claims, header, key_set, token
from tests.wire import obeys, store_in

HOOK = f"{PUBLIC}{SERVICE}"
FEEDBACK = f"{HOOK}/feedback"
DISCOVERY = f"{PUBLIC}/cds-services"
OTHERS_ISSUER = "https://other.example"
CLIENTS = {
    DEVELOPMENT: Client(),
    "ehr": Client(issuer=ISSUER, jwks="ehr.json", tenants=frozenset({"hospital-a"})),
    "other": Client(issuer=OTHERS_ISSUER, jwks="other.json", longest_token=3600),
}


class Clock:
    """The service's now, which tests move."""

    def __init__(self) -> None:
        self.now = NOW

    def pass_(self, **span: float) -> None:
        self.now += timedelta(**span)


def identify_in(
    folder: Path, clock: Clock | None = None, *, clients: Mapping[str, Client] = CLIENTS, https_only: bool = True
) -> tuple[Identify, Any]:
    """The authentication of the service with its store in that folder; the keys of both clients are put beside it."""
    for name, keys in {"ehr.json": [EHR, EHR_RSA], "other.json": [OTHER]}.items():
        if not (folder / name).exists():
            (folder / name).write_text(key_set(*(key.jwk() for key in keys)), "utf-8")
    engine, time = store_in(folder / "store.sqlite"), clock or Clock()

    def unused(issuer: str, jti: str, until: datetime) -> bool:
        return first_use(engine, issuer, jti, until, time.now)

    return authenticator(clients, folder, unused, https_only=https_only), engine


def service_in(screening: Screening, folder: Path, clock: Clock | None = None, **options: Any) -> FlaskClient:
    """The whole service in process, where everybody has to say who calls."""
    time = clock or Clock()
    identify, engine = identify_in(folder, time, **options)
    clients = options.get("clients", CLIENTS)
    deployment = Deployment((screening,), engine, PUBLIC, clients=clients, identify=identify, now=lambda: time.now)
    app = create_app(deployment)
    app.testing = False  # so that an error of ours is answered as it is in use
    return app.test_client()


def bearer(aud: Any = HOOK, *, key: KeyPair = EHR, head: Json | None = None, **changed: Any) -> str:
    """The Authorization header of a right call, but for what is changed in its token's header and claims."""
    return f"Bearer {token(header(key, **(head or {})), claims(aud, **changed), key)}"


def ask(client: FlaskClient, authorization: str | None, path: str = SERVICE, **sent: Any) -> TestResponse:
    """A valid call of the hook, or of another path, with this Authorization header."""
    headers = {"Authorization": authorization} if authorization is not None else {}
    return client.post(path, **({"json": valid("patient-view"), "headers": headers} | sent))


def is_accepted(answer: TestResponse) -> None:
    """Fails unless the caller got the answer of the hook."""
    assert answer.status_code == 200, answer.get_data(as_text=True)[:300]
    assert answer.get_json()["cards"]


def is_refused(answer: TestResponse) -> None:
    """Fails unless the answer is the one 401 that everybody gets."""
    assert answer.status_code == 401, answer.get_data(as_text=True)[:300]
    assert answer.headers["WWW-Authenticate"] == "Bearer"
    assert answer.get_json() == {
        "resourceType": "OperationOutcome",
        "issue": [{"severity": "error", "code": "login", "diagnostics": "not authenticated"}],
    }
    obeys(answer.get_json(), "operationoutcome")


def refusals_in(caplog: pytest.LogCaptureFixture) -> list[tuple[str, str]]:
    """(client, reason) of every call in the log that was not authenticated."""
    lines = [json.loads(record.getMessage()) for record in caplog.records]
    return [(line["client"], line["reason"]) for line in lines if line["event"] == "not authenticated"]


class Publisher:
    """Where a client publishes its keys: counts who asks, and answers as the test says."""

    def __init__(self, address: str) -> None:
        self.address, self.asked = address, 0
        self.status, self.headers, self.body = 200, {"Content-Type": "application/jwk-set+json"}, b""
        self.before: Callable[[], Any] = lambda: None

    def publish(self, *keys: KeyPair) -> None:
        self.say(key_set(*(key.jwk() for key in keys)))

    def say(self, body: str | bytes, status: int = 200, /, **headers: str) -> None:
        self.body, self.status, self.headers = body.encode() if isinstance(body, str) else body, status, headers


@contextmanager
def publisher() -> Iterator[Publisher]:
    """A real HTTP server on this machine."""

    class Front(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            told.asked += 1
            told.before()
            self.send_response(told.status)
            for name, value in told.headers.items():
                self.send_header(name, value)
            self.end_headers()
            self.wfile.write(told.body)

        def log_message(self, *_: Any) -> None:
            """Nothing: `asked` counts."""

    with _Listener(("127.0.0.1", 0), Front) as server:
        told = Publisher(f"http://127.0.0.1:{server.server_address[1]}/jwks.json")
        Thread(target=server.serve_forever, args=(0.01,), daemon=True).start()
        yield told
        server.shutdown()


class _Listener(ThreadingHTTPServer):
    daemon_threads = True

    def handle_error(self, *_: Any) -> None:
        """Nothing: the service may leave when it has waited long enough."""
