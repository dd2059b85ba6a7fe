"""The sandbox in the real server: it calls itself while it answers, as the command serves it."""

import re
from collections.abc import Iterator

import pytest
import requests

from tests.running import Running, running

pytestmark = pytest.mark.timeless  # another process does the work


@pytest.fixture(scope="module", name="server")
def _server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Running]:
    with running(tmp_path_factory.mktemp("served")) as server:
        yield server


def get(server: Running, path: str) -> requests.Response:
    return requests.get(f"{server.address}{path}", timeout=60)


def test_a_chart_that_is_opened_calls_the_hook_of_the_same_server(server: Running) -> None:
    patient = re.findall(r'data-patient="([^"]+)"', get(server, "/sandbox").text)[0]
    chart = get(server, f"/sandbox/patients/{patient}")

    assert chart.status_code == 200
    assert f"{server.address}/cds-services/" in chart.text
    assert "data-problem" not in chart.text
    (called,) = [line for line in server.until("call", 3) if line.get("hook") == "patient-view"]
    assert (called["status"], called["client"]) == (200, "sandbox")


def test_its_servers_say_what_they_are(server: Running) -> None:
    said = get(server, "/sandbox/fhir/.well-known/smart-configuration").json()

    assert said["token_endpoint"] == f"{server.address}/sandbox/auth/token"
    assert get(server, "/sandbox/jwks.json").json()["keys"][0]["alg"] == "ES384"
    assert get(server, "/sandbox/fhir/Patient/any").status_code == 401


def test_no_token_is_in_the_log(server: Running) -> None:
    get(server, "/sandbox")

    assert "eyJ" not in server.log.read_text()
