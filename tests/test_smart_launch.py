"""The form is opened from an EHR: what a browser, the EHR and this service say to each other, and what is kept of it.

Expected values: SMART App Launch 2.2; RFC 6749; RFC 7636. The EHR is a process of its own.
"""

import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any
from urllib.parse import parse_qsl, urlencode, urlsplit

import pytest
import requests
from flask import Flask
from flask.testing import FlaskClient
from sqlalchemy import select
from werkzeug.test import Cookie, TestResponse

from cds_content.loading import load
from cds_service.clients import Client, Smart
from cds_service.errors import Forbidden, NotFound, Unavailable
from cds_service.store import open_store
from cds_service.store.tables import visits as kept
from cds_service.web import Deployment, create_app, visits
from tests.processes import free_port, until_it_listens
from tests.running import running
from tests.smart_ehr import ACCESS, CLIENT

pytestmark = pytest.mark.timeless
ROOT = Path(__file__).parent.parent
PUBLIC = "http://127.0.0.1:8080"
SCREENINGS = load(ROOT)
FORM = SCREENINGS[0].canonical
RESPONSE = {
    "resourceType": "QuestionnaireResponse",
    "questionnaire": FORM,
    "status": "completed",
    "subject": {"reference": "Patient/p1"},
    "item": [{"linkId": "age", "answer": [{"valueInteger": 40}]}],
}
OpenEhr = Callable[..., "Opened"]


class Opened:
    """A service, an EHR with this fault, and a browser."""

    def __init__(self, ehr: str, folder: Path) -> None:
        self.ehr, self.file = ehr, folder / "decisions.sqlite"
        agreed = Client(fhir_servers=(f"{ehr}/fhir",), private_addresses=True, smart=Smart(client_id=CLIENT))
        self.service = Deployment(
            SCREENINGS,
            open_store(f"sqlite:///{self.file}"),
            PUBLIC,
            development=True,
            clients={"hospital": agreed, "development": Client()},
        )
        self.app: Flask = create_app(self.service)
        self.browser: FlaskClient = self.app.test_client()

    def launch(self, **parameters: str) -> TestResponse:
        asked = {"iss": f"{self.ehr}/fhir", "launch": "launch-1", "questionnaire": FORM} | parameters
        query = urlencode({name: value for name, value in asked.items() if value})
        return self.browser.get(f"/form/launch?{query}", base_url=PUBLIC)

    def returned(self, begun: TestResponse) -> TestResponse:
        """The browser at the authorization server, and back."""
        assert begun.status_code == 302, begun.text
        back = requests.get(begun.location, allow_redirects=False, timeout=60).headers["Location"]
        return self.browser.get(back.removeprefix(PUBLIC), base_url=PUBLIC)

    def cookies(self) -> list[Cookie]:
        return list((self.browser._cookies or {}).values())

    def visit(self, path: str, then: Callable[[visits.Visit], Any]) -> Any:
        """What `then` gives in a request of this browser to the form at this address."""
        screening, id_ = path.split("/")[2:]
        cookies = [one for one in self.cookies() if one.path == path]
        headers = {"Cookie": "; ".join(f"{one.key}={one.value}" for one in cookies)}
        with self.app.test_request_context(path, base_url=PUBLIC, headers=headers):
            return then(visits.visit(self.service, screening, id_))

    def written(self, path: str) -> Any:
        return self.visit(path, lambda one: visits.write(self.service, one, RESPONSE))


@pytest.fixture(name="opened")
def _opened(tmp_path: Path) -> Iterator[OpenEhr]:
    processes: list[subprocess.Popen[bytes]] = []

    def run(fault: str = "") -> Opened:
        port = free_port()
        processes.append(subprocess.Popen([sys.executable, "-m", "tests.smart_ehr", str(port), fault], cwd=ROOT))
        until_it_listens(port, processes[-1])
        return Opened(f"http://127.0.0.1:{port}", tmp_path)

    yield run
    for one in processes:
        one.kill()
        one.wait(timeout=60)


@pytest.mark.parametrize("launch", ["launch-1", ""], ids=["from the EHR", "stand-alone"])
def test_a_launch_ends_with_the_response_in_the_record_of_its_patient(opened: OpenEhr, launch: str) -> None:
    both = opened()

    path = both.returned(both.launch(launch=launch)).location
    one = both.visit(path, lambda visit: visit)
    reference = both.written(path)

    assert (one.server, one.patient, one.name, one.birth_date) == (f"{both.ehr}/fhir", "p1", "Ada V", "1970-01-02")
    assert (one.screening, one.user, one.back) == (SCREENINGS[0].name, "", "")
    assert reference == "QuestionnaireResponse/1"
    (stored,) = requests.get(f"{both.ehr}/stored", timeout=60).json()
    assert stored.pop("identifier")["value"].startswith(one.id)
    assert stored == RESPONSE


def test_the_browser_is_sent_with_what_smart_asks_for(opened: OpenEhr) -> None:
    both = opened()
    sent = dict(parse_qsl(urlsplit(both.launch().location).query))

    assert sent.keys() == {
        *("response_type", "client_id", "redirect_uri", "scope", "state", "aud", "launch"),
        *("code_challenge", "code_challenge_method"),
    }
    assert (sent["redirect_uri"], sent["code_challenge_method"]) == (f"{PUBLIC}/form/callback/hospital", "S256")


@pytest.mark.parametrize(("fault", "status"), [("no-s256", 403), ("elsewhere", 403)])
def test_a_server_that_is_not_as_agreed_is_refused_before_anybody_is_sent_there(
    opened: OpenEhr, fault: str, status: int
) -> None:
    assert opened(fault).launch().status_code == status


REFUSED = {"denied": 403, "token-error": 503, "no-patient": 403, "other-patient": 503, "no-write": 403, "slow": 503}


@pytest.mark.parametrize("fault", [*REFUSED, "wrong-state"])
def test_no_visit_begins_where_the_launch_goes_wrong(opened: OpenEhr, fault: str) -> None:
    both = opened(fault)
    refused = both.returned(both.launch())

    assert refused.status_code == REFUSED.get(fault, 403)
    assert refused.content_type.startswith("text/html")
    assert not [one for one in both.cookies() if one.key == visits.COOKIE]


def test_a_launch_comes_back_once_and_only_in_the_browser_that_began_it(opened: OpenEhr) -> None:
    both = opened()
    begun = both.launch()
    back = requests.get(begun.location, allow_redirects=False, timeout=60).headers["Location"].removeprefix(PUBLIC)

    (own,) = both.cookies()
    assert both.app.test_client().get(back, base_url=PUBLIC).status_code == 403
    assert both.browser.get(back, base_url=PUBLIC).status_code == 303
    both.browser.set_cookie(own.key, own.value, domain=own.domain, path=own.path)  # it is deleted, and somebody kept it
    assert both.browser.get(back, base_url=PUBLIC).status_code == 403


@pytest.mark.parametrize(
    ("fault", "error"),
    [("error-on-write", Unavailable), ("outcome-with-200", Unavailable), ("expired-on-write", Forbidden)],
)
def test_what_the_ehr_does_not_store_is_never_a_success_and_can_be_sent_again(
    opened: OpenEhr, fault: str, error: type[Exception]
) -> None:
    both = opened(fault)
    path = both.returned(both.launch()).location

    for _ in range(2):
        with pytest.raises(error):
            both.written(path)


def test_a_visit_is_for_its_own_browser_and_is_over_when_it_is_closed(opened: OpenEhr) -> None:
    both = opened()
    path = both.returned(both.launch()).location
    id_ = path.rpartition("/")[2]

    with both.app.test_request_context(path, base_url=PUBLIC), pytest.raises(NotFound):
        visits.visit(both.service, SCREENINGS[0].name, id_)
    both.visit(path, lambda one: visits.close(both.service, one))
    with pytest.raises(NotFound):
        both.written(path)


def test_two_visits_in_one_browser_keep_their_own_key(opened: OpenEhr) -> None:
    both = opened()
    first, second = (both.returned(both.launch()).location for _ in range(2))

    assert first != second
    assert [both.visit(path, lambda one: one.id) for path in (first, second)] == [
        path.rpartition("/")[2] for path in (first, second)
    ]


def test_no_token_stands_in_the_database_in_a_cookie_or_in_an_address(opened: OpenEhr) -> None:
    both = opened()
    path = both.returned(both.launch()).location
    kept_ = b"".join(file.read_bytes() for file in both.file.parent.glob("decisions.sqlite*"))

    with both.service.store.connect() as connection:
        assert len(connection.execute(select(kept)).all()) == 1
    assert ACCESS.encode() not in kept_
    assert b"Ada" not in kept_
    assert ACCESS not in path + str([one.value for one in both.cookies()])


@pytest.mark.parametrize(
    ("parameters", "status"),
    [({"iss": "https://other.example/fhir"}, 403), ({"questionnaire": "https://other.example/q"}, 404)],
)
def test_what_was_not_agreed_is_refused_without_repeating_it(
    opened: OpenEhr, parameters: dict[str, str], status: int
) -> None:
    refused = opened().launch(**parameters)

    assert refused.status_code == status
    assert "other.example" not in refused.text.partition("<main")[2]


def test_the_real_server_opens_the_form_from_its_own_sandbox_and_logs_no_token(tmp_path: Path) -> None:
    with running(tmp_path) as server, requests.Session() as browser:
        browser.trust_env = False
        begun = browser.get(f"{server.address}/form/launch?iss={server.address}/sandbox/fhir", allow_redirects=False)
        asked = browser.get(begun.headers["Location"], allow_redirects=False)
        back = browser.get(asked.headers["Location"], allow_redirects=False)
        logged = server.log.read_text()

    assert (begun.status_code, back.status_code) == (302, 303), back.text
    assert back.headers["Location"].startswith(f"/form/{SCREENINGS[0].name}/")
    secrets = [*browser.cookies.values(), dict(parse_qsl(urlsplit(asked.headers["Location"]).query))["code"]]
    assert [one for one in secrets if one in logged] == []
