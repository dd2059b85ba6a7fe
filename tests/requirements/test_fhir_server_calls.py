"""Calls to the client's FHIR server: only there, only with its token, and the token stays nowhere else."""

import logging
from pathlib import Path
from typing import Any

import pytest
from pydantic import SecretStr

from cds_content.screening import Screening
from cds_service.clients import Client, read_clients
from cds_service.config import Settings
from cds_service.errors import SettingsError
from cds_service.unsafe import refuse, unsafe
from tests.conftest import SERVICE, topics
from tests.ehr import AUTHORIZATION, ENDLESS, Ehr, Serve, connections, fetching
from tests.ehr import as_little_as_in_use as _hurry  # noqa: F401 - the fixture `hurry`
from tests.ehr import ehr_server as _ehr_server  # noqa: F401 - the fixture `ehr`
from tests.ehr import enough_for_a_busy_machine as _patience  # noqa: F401 - the fixture `patience` of every test here
from tests.ehr import service_with_fhir_servers as _serve  # noqa: F401 - the fixture `serve`
from tests.ehr_server import TOKEN
from tests.requirements.requests import condition
from tests.samples import CALM, patient, response
from tests.wire import cards_of, refusal_of, send, serving

ALARM = CALM | {"rf-saddle": "new"}
OLD = response(CALM, id="old", authored="2020-01-01T10:00:00Z")
MARKER = "marker-token-c0ffee-91"  # of no mode of the server: it opens nothing


@pytest.mark.requirement("FHIR-1")
def test_every_request_bears_the_token_of_the_call(ehr: Ehr, serve: Serve) -> None:
    hospital = ehr.hospital(patient(), OLD, response(CALM), condition(), mode="paged")

    cards_of(send(serve(hospital.base), fetching(hospital.base)))

    asked = hospital.requests()
    assert hospital.kinds() == ["Condition", "Patient", "QuestionnaireResponse", "QuestionnaireResponse"]
    assert {request.headers["authorization"] for request in asked} == {f"Bearer {TOKEN}"}


@pytest.mark.requirement("FHIR-1")
def test_every_call_uses_its_own_token(ehr: Ehr, serve: Serve) -> None:
    hospital = ehr.hospital(patient(), response(CALM), mode="bearer")
    client, stale = serve(hospital.base), AUTHORIZATION | {"access_token": MARKER}

    assert topics(cards_of(send(client, fetching(hospital.base)))) == ["self-care"]
    refusal_of(send(client, fetching(hospital.base, fhirAuthorization=stale)), 412)


@pytest.mark.requirement("FHIR-1")
def test_every_request_asks_for_fhir_in_json(ehr: Ehr, serve: Serve) -> None:
    hospital = ehr.hospital(patient(), response(CALM))

    cards_of(send(serve(hospital.base), fetching(hospital.base)))

    assert {request.headers["accept"] for request in hospital.requests()} == {"application/fhir+json"}


ENDS = {
    "cards": ("open", {}),
    "refused": ("expired", {}),
    "no JSON": ("html", {}),
    "never answers": ("silent", {}),
    "redirects": ("away", {}),
    "another patient's": ("stranger", {}),
    "hangs up": ("hang-up", {}),
    "a next page elsewhere": (
        "QuestionnaireResponse.leading",
        {"next": "https://elsewhere.example/QuestionnaireResponse"},
    ),
}


@pytest.mark.requirement("FHIR-2")
@pytest.mark.parametrize(("mode", "settings"), ENDS.values(), ids=ENDS)
def test_the_token_is_in_no_answer_no_log_and_no_file(
    ehr: Ehr, screening: Screening, tmp_path: Path, caplog: pytest.LogCaptureFixture, mode: str, settings: Any
) -> None:
    hospital = ehr.hospital(patient(), response(CALM), mode=mode, **settings)
    body = fetching(hospital.base, fhirAuthorization=AUTHORIZATION | {"access_token": MARKER})
    agreed = {"development": Client(fhir_servers=(hospital.base,), private_addresses=True)}

    with caplog.at_level(logging.DEBUG), serving(screening, tmp_path, clients=agreed) as client:
        answer = client.post(SERVICE, json=body)

    assert {request.headers["authorization"] for request in hospital.requests()} == {f"Bearer {MARKER}"}
    kept = b"".join(path.read_bytes() for path in tmp_path.rglob("*") if path.is_file())
    assert kept
    assert [text for text in (answer.text, str(answer.headers), caplog.text) if MARKER in text] == []
    assert MARKER.encode() not in kept


NO_TOKENS = {
    "two words": "two words",
    "a header behind it": "token\r\nX-Injected: 1",
    "a line break behind it": "token\n",
    "a letter that is not ASCII": "tokén",
    "a NUL behind it": "token\x00",
    "nothing": "",
}


@pytest.mark.requirement("FHIR-2")
@pytest.mark.parametrize("token", NO_TOKENS.values(), ids=NO_TOKENS)
def test_what_is_no_token_is_refused_and_goes_nowhere(ehr: Ehr, serve: Serve, token: str) -> None:
    hospital = ehr.hospital(patient(), response(CALM))
    body = fetching(hospital.base, fhirAuthorization=AUTHORIZATION | {"access_token": token})

    answer = send(serve(hospital.base), body)

    assert "access_token" in refusal_of(answer, 400)
    assert not token or token not in answer.text
    assert hospital.requests() == []


@pytest.mark.requirement("FHIR-3")
def test_responses_outside_the_scope_of_the_token_are_not_to_be_had(ehr: Ehr, serve: Serve) -> None:
    hospital = ehr.hospital(patient(), response(ALARM), mode="QuestionnaireResponse.forbidden")

    assert "prefetch.responses" in refusal_of(send(serve(hospital.base), fetching(hospital.base)), 412)


@pytest.mark.requirement("FHIR-3")
@pytest.mark.parametrize(
    ("answers", "cards"), [(CALM, ["incomplete"]), (ALARM, ["emergency-now", "incomplete"])], ids=["calm", "alarm"]
)
def test_a_patient_outside_the_scope_of_the_token_is_not_known(
    ehr: Ehr, serve: Serve, answers: dict[str, Any], cards: list[str]
) -> None:
    hospital = ehr.hospital(patient(), response(answers), mode="Patient.forbidden")

    assert topics(cards_of(send(serve(hospital.base), fetching(hospital.base)))) == cards


ELSEWHERE = [
    "http://169.254.169.254",
    "http://169.254.169.254/",
    "http://169.254.169.254/latest/meta-data",
    "http://[fd00:ec2::254]/",
    "http://10.0.0.1/fhir",
    "http://localhost:9/fhir",
    "https://ehr.example/fhir",
    "file:///etc/passwd",
    "gopher://127.0.0.1:9/_x",
    "//127.0.0.1:9/fhir",
    "http://",
    "http://[::1",
    "not a url",
    "",
]


@pytest.mark.requirement("FHIR-4")
@pytest.mark.parametrize("server", ELSEWHERE)
def test_a_server_that_was_not_agreed_on_is_neither_looked_up_nor_called(ehr: Ehr, serve: Serve, server: str) -> None:
    client = serve(ehr.hospital().base)

    with connections() as tried:
        answer = send(client, fetching(server))

    assert refusal_of(answer, answer.status_code)
    assert answer.status_code in (400, 412)
    assert tried == []


@pytest.mark.requirement("FHIR-4")
def test_a_server_that_was_agreed_on_is_called_and_no_other_host(ehr: Ehr, serve: Serve) -> None:
    hospital = ehr.hospital(patient(), response(CALM))

    with connections() as tried:
        cards_of(send(serve(hospital.base), fetching(hospital.base)))

    assert hospital.kinds() == ["Condition", "Patient", "QuestionnaireResponse"]
    assert {"127.0.0.1" in one for one in tried} == {True}


@pytest.mark.requirement("FHIR-4")
@pytest.mark.parametrize("mode", ["away", "around"])
def test_a_redirect_is_not_followed(ehr: Ehr, serve: Serve, mode: str) -> None:
    hospital = ehr.hospital(patient(), response(ALARM), mode=mode)

    refusal_of(send(serve(hospital.base), fetching(hospital.base)), 412)

    assert hospital.kinds() == ["Condition", "Patient", "QuestionnaireResponse"]
    assert ehr.strayed() == []


@pytest.mark.requirement("FHIR-4")
@pytest.mark.parametrize("mode", ["huge", "bomb"])
def test_an_answer_that_is_too_large_is_not_to_be_had(ehr: Ehr, serve: Serve, mode: str) -> None:
    hospital = ehr.hospital(patient(), response(ALARM), mode=mode)

    assert "prefetch.responses" in refusal_of(send(serve(hospital.base), fetching(hospital.base)), 412)


@pytest.mark.requirement("FHIR-4")
@pytest.mark.parametrize("mode", ENDLESS)
@pytest.mark.usefixtures("hurry")
def test_an_answer_without_an_end_is_not_to_be_had(ehr: Ehr, serve: Serve, mode: str) -> None:
    hospital = ehr.hospital(patient(), response(ALARM), mode=mode)

    assert "prefetch.responses" in refusal_of(send(serve(hospital.base), fetching(hospital.base)), 412)


CLIENTS = """
[ehr-1]
issuer = "https://ehr.example"
jwks = "ehr-1.json"
fhir-servers = ["https://ehr.example/fhir", "{scheme}://ehr.example/archive"]
"""


@pytest.mark.requirement("FHIR-5")
@pytest.mark.parametrize("development", [False, True], ids=["production", "development"])
@pytest.mark.parametrize("scheme", ["http", "https"])
def test_in_production_a_server_over_http_cannot_be_agreed_on(tmp_path: Path, scheme: str, development: bool) -> None:
    (tmp_path / "clients.toml").write_text(CLIENTS.format(scheme=scheme))
    clients = read_clients(tmp_path / "clients.toml")
    settings = Settings(
        public_url="https://cds.example", patient_key=SecretStr("0123456789abcdef" * 2), development=development
    )

    if scheme == "http" and not development:
        with pytest.raises(SettingsError, match=r"ehr-1\.fhir-servers"):
            refuse(unsafe(settings, clients))
    else:
        refuse(unsafe(settings, clients))
