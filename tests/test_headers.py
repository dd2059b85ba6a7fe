"""What every answer says beside its body, whatever it is: kept by nobody, guessed at by nobody, framed by nobody."""

from collections.abc import Callable, Iterator
from html.parser import HTMLParser
from pathlib import Path
from typing import Any, NoReturn

import pytest
from flask.testing import FlaskClient
from werkzeug.test import TestResponse

from cds_content.screening import Screening
from cds_service.errors import NotAuthenticated, TooManyCalls, Unavailable
from tests.conftest import SERVICE
from tests.samples import CALM, call, response
from tests.test_submission import sound
from tests.wire import serving

pytestmark = pytest.mark.timeless  # nothing in it is dated

SUBMISSIONS = "/fhir/QuestionnaireResponse"
ALWAYS = {
    "Cache-Control": "no-store",
    "X-Content-Type-Options": "nosniff",
    "X-Frame-Options": "DENY",
    "Cross-Origin-Resource-Policy": "same-origin",
    "Permissions-Policy": "camera=(), geolocation=(), microphone=()",
}
NOBODY = {"display": "nobody"}
NOTHING = "default-src 'none'; frame-ancestors 'none'"
PAGES = ["/", "/review", "/review/low-back-pain", "/review/low-back-pain/table", "/contract", "/report"]
OURS = ("/static/", "/bootstrap/static/")  # where style and scripts come from
# Under it nothing loads or runs but what this service serves as a file of its own.
POLICY = {
    "default-src": "'none'",
    "script-src": "'self'",
    "style-src": "'self'",
    "img-src": "'self' data:",
    "font-src": "'self'",
    "connect-src": "'self'",
    "form-action": "'self'",
    "base-uri": "'none'",
    "frame-ancestors": "'none'",
}


def _calm(client: FlaskClient) -> TestResponse:
    return client.post(SERVICE, json=call(response(CALM)))


def _of_another(prefetch: dict[str, Any]) -> dict[str, Any]:
    """A call about a patient of whom nothing was submitted."""
    return call() | {"prefetch": prefetch, "context": {"userId": "Practitioner/gp-1", "patientId": "p9"}}


def _unmodified(client: FlaskClient) -> TestResponse:
    first = client.get("/fhir/Questionnaire/low-back-pain")
    return client.get("/fhir/Questionnaire/low-back-pain", headers={"If-None-Match": first.headers["ETag"]})


def _deleted(client: FlaskClient) -> TestResponse:
    id_ = client.post(SUBMISSIONS, json=sound()).headers["Location"].split("/")[-3]
    return client.delete(f"{SUBMISSIONS}/{id_}")


# Every status that the service gives, and an answer that has it.
ANSWERS: dict[str, tuple[int, Callable[[FlaskClient], TestResponse]]] = {
    "cards": (200, _calm),
    "discovery": (200, lambda client: client.get("/cds-services")),
    "discovery without its body": (200, lambda client: client.head("/cds-services")),
    "what may be asked": (200, lambda client: client.options(SERVICE)),
    "the form": (200, lambda client: client.get("/fhir/Questionnaire/low-back-pain")),
    "the contract": (200, lambda client: client.get("/openapi.json")),
    "the page of the contract": (200, lambda client: client.get("/contract")),
    "the first page": (200, lambda client: client.get("/")),
    "the page of the content": (200, lambda client: client.get("/review/low-back-pain")),
    "a page that there is not": (404, lambda client: client.get("/review/nothing")),
    "the page of the report": (200, lambda client: client.get("/report")),
    "an example": (200, lambda client: client.get("/examples/new-bladder-problems")),
    "a submission": (201, lambda client: client.post(SUBMISSIONS, json=sound())),
    "a deletion": (204, _deleted),
    "a form that is known": (304, _unmodified),
    "a bad call": (400, lambda client: client.post(SERVICE, json={})),
    "no such address": (404, lambda client: client.get("/nowhere")),
    "a wrong method": (405, lambda client: client.delete(SERVICE)),
    "another format": (406, lambda client: client.get("/fhir/metadata?_format=xml")),
    "too little": (412, lambda client: client.post(SERVICE, json=_of_another({}))),
    "too much": (413, lambda client: client.post(SERVICE, json="x" * 1_000_001)),
    "another media type": (415, lambda client: client.post(SERVICE, data="x", content_type="text/plain")),
    "a response that cannot be taken": (422, lambda client: client.post(SUBMISSIONS, json=sound(subject=NOBODY))),
}


@pytest.fixture(scope="module", name="served")
def _served(screening: Screening, tmp_path_factory: pytest.TempPathFactory) -> Iterator[FlaskClient]:
    with serving(screening, tmp_path_factory.mktemp("headers"), public="https://cds.example") as client:
        yield client


@pytest.fixture(scope="module", name="plain")
def _plain(screening: Screening, tmp_path_factory: pytest.TempPathFactory) -> Iterator[FlaskClient]:
    with serving(screening, tmp_path_factory.mktemp("plain")) as client:
        yield client


def _is_guarded(answer: TestResponse, policy: str = NOTHING) -> None:
    """Fails unless the answer has each header once, and says nothing of the software that made it."""
    for name, value in ALWAYS.items():
        assert answer.headers.getlist(name) == [value], name
    (said,) = answer.headers.getlist("Content-Security-Policy")
    assert said == policy
    assert not {"Server", "X-Powered-By", "Set-Cookie"} & set(answer.headers.keys())
    assert (
        not answer.content_type or not answer.content_type.startswith("text/") or "charset=utf-8" in answer.content_type
    )


@pytest.mark.parametrize(("status", "ask"), ANSWERS.values(), ids=ANSWERS)
def test_every_answer_has_the_headers(
    served: FlaskClient, status: int, ask: Callable[[FlaskClient], TestResponse]
) -> None:
    answer = ask(served)
    assert answer.status_code == status
    is_page = answer.content_type is not None and answer.content_type.startswith("text/html") and bool(answer.data)
    told = "same-origin" if is_page and status < 400 else "no-referrer"  # a form of a page says where it comes from
    assert answer.headers.getlist("Referrer-Policy") == [told]
    _is_guarded(answer, answer.headers["Content-Security-Policy"] if is_page else NOTHING)


def _raise(error: Exception) -> Callable[..., NoReturn]:
    def fail(*_: Any) -> NoReturn:
        raise error

    return fail


# A fault of each kind that the caller does not make, and the header that its answer must have.
FAULTS: dict[str, tuple[int, dict[str, Any], str]] = {
    "nobody known": (401, {"identify": _raise(NotAuthenticated())}, "WWW-Authenticate"),
    "a call too many": (429, {"admit": _raise(TooManyCalls(3))}, "Retry-After"),
    "an error of ours": (500, {"now": _raise(RuntimeError()), "identify": _raise(NotAuthenticated())}, "Content-Type"),
    "a database that is gone": (503, {"admit": _raise(Unavailable("later"))}, "Retry-After"),
}


@pytest.mark.parametrize(("status", "parts", "needed"), FAULTS.values(), ids=FAULTS)
def test_every_fault_has_the_headers(
    screening: Screening, tmp_path: Path, status: int, parts: dict[str, Any], needed: str
) -> None:
    with serving(screening, tmp_path, **parts) as client:
        client.application.testing = False
        answer = _calm(client)
    assert answer.status_code == status
    assert answer.headers[needed]
    _is_guarded(answer)


@pytest.mark.parametrize(("status", "ask"), ANSWERS.values(), ids=ANSWERS)
def test_browsers_are_told_to_stay_with_https_where_the_service_is_there(
    served: FlaskClient, plain: FlaskClient, status: int, ask: Callable[[FlaskClient], TestResponse]
) -> None:
    assert ask(served).status_code == status
    assert ask(served).headers["Strict-Transport-Security"] == "max-age=63072000"
    assert "Strict-Transport-Security" not in ask(plain).headers, "a laptop has no certificate"


class _Loaded(HTMLParser):
    """What a page would load, and what it would run or frame from within itself."""

    def __init__(self, html: str) -> None:
        super().__init__()
        self.loaded: list[str] = []
        self.within: list[str] = []
        self.feed(html)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        named = dict(attrs)
        if tag == "link" or "src" in named:
            self.loaded.append(named.get("src") or named.get("href") or "")
        elif tag in ("script", "style", "iframe", "object", "embed", "img", "base"):
            self.within.append(tag)
        self.within += [name for name in named if name == "style" or name.startswith("on")]


@pytest.mark.parametrize("page", PAGES)
def test_a_page_loads_our_own_style_and_scripts_alone(served: FlaskClient, page: str) -> None:
    answer = served.get(page)
    said = answer.headers["Content-Security-Policy"]
    assert dict(part.strip().partition(" ")[::2] for part in said.split(";")) == POLICY
    found = _Loaded(answer.text)
    assert found.within == []
    assert len(found.loaded) > 3
    for address in found.loaded:
        assert address.startswith(OURS), address
        with served.get(address) as file:
            assert file.status_code == 200, address


def test_a_client_cannot_change_what_the_headers_say(served: FlaskClient) -> None:
    hostile = {"Host": "evil.example", "X-Forwarded-Proto": "http", "X-Forwarded-Host": "evil.example"}
    answer = served.get("/fhir/Questionnaire/low-back-pain", headers=hostile)
    _is_guarded(answer)
    assert "Strict-Transport-Security" in answer.headers
    assert "evil" not in str(answer.headers) + answer.text
