"""Whether the running service still gives the card that it must: a patient of each screening, through the whole stack.

The commonest fault of decision support is silence: a rule that no longer fires. The patient and the disposition that he
must get stand in self-test.toml. The call goes over HTTP routes to a card as any other does, by an identity of its own
and with a store in memory, so that nothing of it is kept or counted.
"""

import time
from collections.abc import Iterator, Mapping
from contextlib import suppress
from dataclasses import replace
from datetime import timedelta
from typing import Any

from flask.testing import FlaskClient

from cds_content.card_shapes import Service
from cds_content.check_cards import SELF_TESTED
from cds_content.screening import Screening
from cds_content.shapes import Json
from cds_service import logs, metrics
from cds_service.clients import Client
from cds_service.errors import SettingsError
from cds_service.store.watched import passing_store
from cds_service.web import Deployment, create_app

OWNER = metrics.SELF_TEST_CLIENT
_PATIENT = "self-test"
_INSTANCE = "00000000-0000-4000-8000-000000000000"
log = logs.get()


def check(service: Deployment) -> None:
    """Raises SettingsError with one line for each screening that does not give the expected card."""
    failed = [name for name, passed in results(service).items() if not passed]
    if failed:
        lines = [f"{name}: the self-test gives another card than self-test.toml expects" for name in failed]
        raise SettingsError("\n".join(f"{line}; mend the content, and start no service with it" for line in lines))


def results(service: Deployment) -> Mapping[str, bool]:
    """Whether each screening, by name, gives the expected card now. A failure is in the log."""
    with passing_store() as store:
        client = create_app(
            replace(
                service,
                store=store,
                development=False,
                clients={OWNER: Client()},
                identify=lambda *_, **__: OWNER,
                admit=lambda _owner, _agreed: None,
                hooks=None,
                grouped=False,
            )
        ).test_client()
        return {one.name: _passes(client, one, service) for one in service.screenings}


def _passes(client: FlaskClient, screening: Screening, service: Deployment) -> bool:
    """Exactly the card of the expected disposition, as serious as that is; anything else, also an error, fails."""
    id_, called = next((id_, one) for id_, one in screening.services.items() if one.hook == SELF_TESTED)
    began = time.monotonic()
    answer = client.post(f"/cds-services/{id_}", json=_call(screening, called, service))
    expected, body = screening.self_test.expected, answer.get_json(silent=True)
    wanted = [(expected, screening.dispositions[expected].indicator)]
    with suppress(KeyError, TypeError, AttributeError):  # no cards at all, or what is none
        if answer.status_code == 200 and list(_given(body)) == wanted:
            return True
    spent = round((time.monotonic() - began) * 1000, 1)
    log.critical("self-test failed", screening=screening.name, status=answer.status_code, ms=spent)
    return False


def _given(body: Any) -> Iterator[tuple[str, str]]:
    """The disposition and the indicator of each card."""
    for card in body["cards"]:
        yield card["source"].get("topic", {}).get("code", ""), card["indicator"]


def _call(screening: Screening, called: Service, service: Deployment) -> Json:
    """The call of an EHR that has the patient's response, an hour old, in hand."""
    authored = (service.now() - timedelta(hours=1)).isoformat(timespec="seconds")
    response = {
        "resourceType": "QuestionnaireResponse",
        "id": _PATIENT,
        "questionnaire": screening.canonical,
        "status": "completed",
        "subject": {"reference": f"Patient/{_PATIENT}"},
        "authored": authored,
        "item": list(_items(screening)),
    }
    prefetch: Json = dict.fromkeys(called.prefetch)
    prefetch |= {"responses": {"resourceType": "Bundle", "type": "searchset", "entry": [{"resource": response}]}}
    return {
        "hook": called.hook,
        "hookInstance": _INSTANCE,
        "context": {"userId": f"Practitioner/{_PATIENT}", "patientId": _PATIENT},
        "prefetch": prefetch,
    }


def _items(screening: Screening) -> Iterator[Json]:
    for link_id, answer in screening.self_test.answers.items():
        coded = {"valueCoding": {"system": screening.questions[link_id].system, "code": answer}}
        yield {"linkId": link_id, "answer": [coded if isinstance(answer, str) else {"valueInteger": answer}]}
