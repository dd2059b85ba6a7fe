"""What every answer on the wire must be: its schema, its status, and nothing empty."""

import json
from collections.abc import Iterator
from contextlib import contextmanager
from copy import deepcopy
from functools import cache
from pathlib import Path
from socketserver import BaseServer
from tempfile import TemporaryDirectory
from threading import Thread
from typing import Any
from urllib.parse import urlsplit

from flask.testing import FlaskClient
from jsonschema import Draft202012Validator
from sqlalchemy import Engine
from werkzeug.serving import make_server
from werkzeug.test import TestResponse

from cds_content.screening import Screening
from cds_service.store import open_store
from cds_service.web import Deployment, create_app
from tests.conftest import SERVICE

ABSENT = object()  # the value of a member that is left out

_SCHEMAS = {
    path.name.removesuffix(".schema.json"): Draft202012Validator(json.loads(path.read_text("utf-8")))
    for path in (Path(__file__).parent / "schemas").glob("*.schema.json")
}


def obeys(body: Any, *schemas: str) -> None:
    """Fails with every place where the body breaks one of the schemas."""
    faults = [
        f"{name}: {error.json_path} {error.message}" for name in schemas for error in _SCHEMAS[name].iter_errors(body)
    ]
    assert faults == []


@contextmanager
def serving(screening: Screening, folder: Path, **parts: Any) -> Iterator[FlaskClient]:
    """A service of its own, in process, with its database in the folder and these parts of a Deployment.

    It is in development mode unless it can authenticate.
    """
    parts.setdefault("development", "identify" not in parts)
    store = store_in(folder / "served.sqlite")
    screenings, public = parts.pop("screenings", (screening,)), parts.pop("public", "http://127.0.0.1:8080")
    app = create_app(Deployment(screenings, store, public, **parts))
    yield app.test_client()
    store.dispose()


@contextmanager
def listening(service: Deployment) -> Iterator[None]:
    """The service at the port of its public address, on this machine; several calls at once, for it may call itself.

    Its store is closed at the end.
    """
    app = create_app(service)
    app.testing = False  # so that an error of ours is answered as it is in use
    server = make_server("127.0.0.1", urlsplit(service.public).port or 80, app, threaded=True)
    try:
        with answering(server):
            yield
    finally:
        service.store.dispose()


@contextmanager
def answering(server: BaseServer) -> Iterator[None]:
    """The server in a thread of its own, which ends with the block."""
    thread = Thread(target=server.serve_forever, args=(0.01,))  # seconds until it sees that it should end
    thread.start()
    try:
        yield
    finally:
        server.shutdown()
        thread.join()
        server.server_close()


def store_in(path: Path) -> Engine:
    """The database at `path`; a new one begins as a copy, because to make its tables anew takes ten times as long."""
    if not path.exists():
        path.write_bytes(_new_database())
    return open_store(f"sqlite:///{path}")


@cache
def _new_database() -> bytes:
    with TemporaryDirectory() as folder:
        path = Path(folder) / "new.sqlite"
        open_store(f"sqlite:///{path}").dispose()
        return path.read_bytes()


def send(client: FlaskClient, body: Any, language: str = "nl") -> TestResponse:
    """A call to the patient-view service."""
    return client.post(SERVICE, json=body, headers={"Accept-Language": language})


def send_raw(client: FlaskClient, body: bytes, media: str | None = "application/json") -> TestResponse:
    """A call whose body goes out as it stands."""
    return client.post(SERVICE, data=body, content_type=media)


def cards_of(answer: TestResponse) -> list[dict[str, Any]]:
    """The cards of an answer; fails unless it is a valid hook response of both versions with nothing empty in it."""
    assert answer.status_code == 200, answer.text[:300]
    assert answer.mimetype == "application/json"
    body = answer.get_json()
    obeys(body, "response-2.0.1", "response-3.0-ballot")
    assert [place for place in empty_members(body) if place != ".cards"] == []
    cards: list[dict[str, Any]] = body["cards"]
    return cards


def refusal_of(answer: TestResponse, status: int) -> str:
    """The reason of a refusal; fails unless it is an OperationOutcome with this status and no cards."""
    assert answer.status_code == status, answer.text[:300]
    assert answer.mimetype in ("application/json", "application/fhir+json")
    body = answer.get_json()
    obeys(body, "operationoutcome")
    assert "cards" not in body
    assert all(issue.get("diagnostics", "").strip() for issue in body["issue"])
    return " ".join(issue["diagnostics"] for issue in body["issue"])


def changed(body: Any, path: tuple[str | int, ...], value: Any) -> Any:
    """A copy of the body with another value at this place; ABSENT leaves the member out."""
    copy = deepcopy(body)
    parent = copy
    for step in path[:-1]:
        parent = parent[step]
    if value is ABSENT:
        del parent[path[-1]]
    else:
        parent[path[-1]] = value
    return copy


def places(value: Any, path: tuple[str | int, ...] = ()) -> Iterator[tuple[str | int, ...]]:
    """Where every member and element below `value` stands."""
    inner = value.items() if isinstance(value, dict) else enumerate(value) if isinstance(value, list) else ()
    for step, part in inner:
        yield (*path, step)
        yield from places(part, (*path, step))


def objects(value: Any) -> Iterator[dict[str, Any]]:
    """Every JSON object in `value`, itself included."""
    if isinstance(value, dict):
        yield value
    for part in value.values() if isinstance(value, dict) else value if isinstance(value, list) else ():
        yield from objects(part)


def empty_members(value: Any, place: str = "") -> Iterator[str]:
    """Where null, an empty text, an empty array or an empty object stands."""
    if value is None or value in ("", [], {}):
        yield place
    for name, part in value.items() if isinstance(value, dict) else ():
        yield from empty_members(part, f"{place}.{name}")
    for index, part in enumerate(value) if isinstance(value, list) else ():
        yield from empty_members(part, f"{place}[{index}]")


def same(cards: list[dict[str, Any]]) -> Any:
    """The cards without what differs from call to call: uuids and the moment of the call."""
    return _without(cards, {"uuid", "authoredOn", "created"})


def _without(value: Any, names: set[str]) -> Any:
    if isinstance(value, list):
        return [_without(part, names) for part in value]
    if isinstance(value, dict):
        return {name: _without(part, names) for name, part in value.items() if name not in names}
    return value
