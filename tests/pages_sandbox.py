"""The pages of the sandbox as a browser without scripts gets them, from a real server with patients of our own.

The server is real because the mini-EHR calls the service over HTTP, and the service calls back.
"""

import json
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from html.parser import HTMLParser
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import requests

from cds_content.screening import Screening
from cds_service.clients import DEVELOPMENT, EVERYTHING
from cds_service.sandbox import Ehr
from cds_service.sandbox.trust import SANDBOX, sandbox_client
from cds_service.scenarios import Scenario
from cds_service.web import Deployment
from tests.processes import free_port
from tests.samples import bundle, patient
from tests.wire import answering, listening, store_in

LONG = 60  # seconds that a test waits for what should come at once
_VOID = {"input", "meta", "link", "br", "hr", "img"}


@dataclass
class Element:
    """An element of a page: its attributes, and all text inside it."""

    tag: str
    attributes: dict[str, str]
    text: str = ""


@dataclass
class Page(HTMLParser):
    """A page, read as a browser reads it."""

    status: int
    html: str
    elements: list[Element] = field(default_factory=list)

    def __post_init__(self) -> None:
        super().__init__()
        self._open: list[Element] = []
        self.feed(self.html)

    def handle_starttag(self, tag: str, attrs: Sequence[tuple[str, str | None]]) -> None:
        element = Element(tag, {name: value or "" for name, value in attrs})
        self.elements.append(element)
        if tag not in _VOID:
            self._open.append(element)

    def handle_endtag(self, tag: str) -> None:
        while self._open and self._open.pop().tag != tag:
            pass

    def handle_data(self, data: str) -> None:
        for element in self._open:
            element.text += data

    def all(self, attribute: str, value: str | None = None) -> list[Element]:
        """The elements with this attribute, and this value of it where one is given."""
        return [one for one in self.elements if one.attributes.get(attribute) in ((value,) if value else _Any())]

    def one(self, attribute: str, value: str | None = None) -> Element:
        found = self.all(attribute, value)
        assert len(found) == 1, f"{attribute}={value}: {len(found)} times on the page"
        return found[0]

    @property
    def text(self) -> str:
        return self.elements[0].text


class _Any:
    def __contains__(self, value: object) -> bool:
        return value is not None


@dataclass(frozen=True)
class Sandbox:
    """A browser at the sandbox."""

    address: str
    session: requests.Session
    ehr: Ehr
    language: str = "nl"

    def get(self, path: str, **headers: str) -> Page:
        return self._page(self.session.get(self._url(path), headers=self._said(headers), timeout=LONG))

    def post(self, path: str, values: Mapping[str, Any] | None = None, **headers: str) -> Page:
        """What the browser shows after the redirect that each step ends with."""
        answer = self.session.post(self._url(path), data=values or {}, headers=self._said(headers), timeout=LONG)
        if answer.ok:
            assert [one.status_code for one in answer.history] == [303]
        return self._page(answer)

    def led(self, path: str) -> tuple[int, str]:
        """The status, and where the browser is sent."""
        answer = self.session.get(self._url(path), allow_redirects=False, timeout=LONG)
        return answer.status_code, answer.headers.get("Location", "")

    def chart(self, id_: str) -> Page:
        return self.get(f"/patients/{id_}")

    def _url(self, path: str) -> str:
        return f"{self.address}/sandbox{path}"

    def _said(self, headers: Mapping[str, str]) -> dict[str, str]:
        return {"Accept-Language": self.language} | {name.replace("_", "-"): value for name, value in headers.items()}

    def _page(self, answer: requests.Response) -> Page:
        assert answer.headers["Content-Type"] == "text/html; charset=utf-8"
        assert "script-src 'self'" in answer.headers["Content-Security-Policy"]
        return Page(answer.status_code, answer.text)


@contextmanager
def sandbox(screenings: Sequence[Screening], folder: Path, people: Sequence[Scenario]) -> Iterator[Sandbox]:
    """The service in development mode, on a port of its own, with these people in its sandbox."""
    address = f"http://127.0.0.1:{free_port()}"
    store = store_in(folder / "sandbox.sqlite")
    clients = {DEVELOPMENT: EVERYTHING, SANDBOX: sandbox_client(address)}
    deployment = Deployment(
        tuple(screenings), store, address, development=True, clients=clients, scenarios=lambda: people
    )
    with listening(deployment), requests.Session() as session:
        yield Sandbox(address, session, deployment.ehr)


@dataclass(frozen=True)
class Told:
    """A request as it came over the wire: its first line, its headers, and what its body says."""

    line: str
    headers: dict[str, str]
    body: Any

    @property
    def about(self) -> Any:
        """The only feedback in it; None where it is none."""
        return self.body["feedback"][0] if self.body and "feedback" in self.body else None


@contextmanager
def foreign(
    answer: Any, discovery: Any = None, *, feedback: int = 200, told: list[Told] | None = None
) -> Iterator[str]:
    """The address of another CDS service, which gives this answer to patient-view whatever is asked.

    Where `answer` is a function, it is called with the request. `feedback` is the status for feedback; `told` is
    filled with what came.
    """
    heard: list[Told] = [] if told is None else told
    offered = {"services": [{"id": "foreign", "hook": "patient-view", "description": "Foreign"}]}

    class Foreign(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            heard.append(Told(self.requestline, dict(self.headers.items()), None))
            self._give(discovery or offered)

        def do_POST(self) -> None:
            body = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
            heard.append(Told(self.requestline, dict(self.headers.items()), body))
            if self.path.endswith("/feedback"):
                self._give({}, feedback)
            else:
                self._give(answer(body) if callable(answer) else answer)

        def log_message(self, *_: Any) -> None:
            pass

        def _give(self, value: Any, status: int = 200) -> None:
            self.send_response(status)
            self.send_header("Content-Type", "application/json")
            self.end_headers()
            self.wfile.write(json.dumps(value).encode())

    server = ThreadingHTTPServer(("127.0.0.1", 0), Foreign)
    with answering(server):
        yield f"http://127.0.0.1:{server.server_port}"


def person(name: str, kind: str, *resources: Any, about: Any = None, topic: str = "") -> Scenario:
    """Somebody with these responses and conditions on record; `name` is also the id."""
    told = json.loads(json.dumps([about or patient(), *resources]).replace("Patient/p1", f"Patient/{name}"))
    responses = [one for one in told if one["resourceType"] == "QuestionnaireResponse"]
    conditions = [one for one in told if one["resourceType"] == "Condition"]
    prefetch = {"patient": told[0], "conditions": bundle(*conditions), "responses": bundle(*responses)}
    words = {"nl": f"Titel van {name}", "en": f"Title of {name}"}
    why = {"nl": f"Reden van {name}", "en": f"Reason of {name}"}
    request = {"hook": "patient-view", "context": {"patientId": name}, "prefetch": prefetch}
    service, cards = "low-back-pain-patient-view", (topic,) if topic else ()
    return Scenario(name, kind, words, why, service, {}, (), cards, 200, request, {})
