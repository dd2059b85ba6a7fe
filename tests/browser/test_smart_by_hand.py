"""The form opened from an EHR in a browser, from its record or from nowhere: the response ends in that EHR."""

import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from urllib.parse import urlencode

import pytest
import requests
from playwright.sync_api import Browser, expect

from cds_content.screening import Screening
from cds_service.clients import Client, Smart
from cds_service.web import Deployment
from tests.browser.form_steps import answer, review, send
from tests.browser.reader import reading
from tests.conftest import ROOT, SERVICE, topics
from tests.processes import free_port, until_it_listens
from tests.requirements.requests import valid
from tests.samples import CALM, patient
from tests.smart_ehr import CLIENT, PATIENT
from tests.wire import listening, store_in

pytestmark = [pytest.mark.timeless, pytest.mark.browser]


@pytest.fixture(name="hospital")
def _hospital() -> Iterator[str]:
    """The address of an EHR that launches apps, in a process of its own."""
    port = free_port()
    process = subprocess.Popen([sys.executable, "-m", "tests.smart_ehr", str(port), ""], cwd=ROOT)
    try:
        until_it_listens(port, process)
        yield f"http://127.0.0.1:{port}"
    finally:
        process.kill()
        process.wait()


@pytest.fixture(name="agreed")
def _agreed(screening: Screening, hospital: str, tmp_path: Path) -> Iterator[str]:
    """The address of a service that has agreed with that EHR. It is asked over http, which no clients.toml allows."""
    public = f"http://127.0.0.1:{free_port()}"
    ehr = Client(fhir_servers=(f"{hospital}/fhir",), private_addresses=True, smart=Smart(client_id=CLIENT))
    clients = {"hospital": ehr, "development": Client()}
    store = store_in(tmp_path / "agreed.sqlite")
    with listening(Deployment((screening,), store, public, development=True, clients=clients)):
        yield public


@pytest.mark.parametrize("launch", [{"launch": "launch-1"}, {}], ids=["from the record", "from nowhere"])
def test_what_is_filled_in_ends_in_the_ehr_and_counts_at_the_next_hook(
    launch: dict[str, str], agreed: str, hospital: str, screening: Screening, chromium: Browser
) -> None:
    opened = urlencode({"iss": f"{hospital}/fhir", "questionnaire": screening.canonical} | launch)
    with reading(chromium, agreed) as reader:
        reader.known.append(hospital)
        page = reader.open(f"/form/launch?{opened}")
        expect(page.locator("main")).to_contain_text("Ada V")
        answer(page, CALM | {"rf-saddle": "new"})
        review(page)
        assert send(page) == "emergency"

    (stored,) = requests.get(f"{hospital}/stored", timeout=60).json()
    assert stored["subject"] == {"reference": "Patient/p1"}
    assert stored["questionnaire"] == screening.canonical
    about = patient(birthDate=PATIENT["birthDate"])
    said = requests.post(f"{agreed}{SERVICE}", json=valid("patient-view", stored, about=about), timeout=60).json()
    assert topics(said["cards"]) == ["emergency-now"]
