"""A sandbox with patients of the tests' own, and the service beside it over real HTTP."""

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from cds_content.screening import Screening
from cds_service.clients import DEVELOPMENT, EVERYTHING
from cds_service.sandbox.trust import SANDBOX, sandbox_client
from cds_service.scenarios import Scenario
from cds_service.web import Deployment
from tests.processes import free_port
from tests.samples import CALM, ago, born, response
from tests.wire import listening, store_in


@contextmanager
def sandbox(screening: Screening, folder: Path, people: Sequence[Scenario] = ()) -> Iterator[Deployment]:
    """The service with its sandbox, listening at its own address; several calls at once, for it calls itself.

    Its patients are `people`, else PEOPLE.
    """
    public = f"http://127.0.0.1:{free_port()}"
    clients = {DEVELOPMENT: EVERYTHING, SANDBOX: sandbox_client(public)}
    store = store_in(folder / "sandbox.sqlite")
    service = Deployment(
        (screening,), store, public, development=True, clients=clients, scenarios=lambda: people or PEOPLE
    )
    with listening(service):
        yield service


def scenario(name: str, *responses: dict[str, Any], **members: Any) -> Scenario:
    """A patient of forty with these responses on record."""
    whose = {"reference": f"Patient/{name}"}
    held = [one | {"id": f"{name}-{index}", "subject": whose} for index, one in enumerate(responses)]
    patient = {
        "resourceType": "Patient",
        "id": name,
        "name": [{"text": f"Test {name}"}],
        "birthDate": born(40, days=30),
    }
    bundle = {"resourceType": "Bundle", "type": "searchset", "entry": [{"resource": one} for one in held]}
    request = {
        "hook": "patient-view",
        "hookInstance": name,
        "context": {"userId": "Practitioner/p", "patientId": name},
        "prefetch": {"patient": patient, "responses": bundle},
    }
    texts = {"nl": name, "en": name}
    return Scenario(name, "row", texts, texts, "", {}, (), (), 200, request | members, {})


ALARM = CALM | {"rf-bladder-bowel": "new"}  # R01
PEOPLE = (
    scenario("new-comer"),
    scenario("alarming", response(ALARM, authored=ago(hours=2))),
    scenario("calm", response(CALM, authored=ago(hours=2))),
)
