"""clients.toml and production mode: what is unsafe or misspelt is refused at start; what is agreed holds."""

import contextlib
import json
import os
import subprocess
import tomllib
from collections.abc import Iterator
from email.utils import parsedate_to_datetime
from pathlib import Path

import pytest
import requests
from jsonschema import Draft202012Validator

from cds_service.clients import Client, clients_schema, read_clients
from cds_service.errors import SettingsError
from tests import tokens
from tests.conftest import ROOT
from tests.forked import cds_service
from tests.processes import COMMAND, environment, free_port, until_it_listens
from tests.samples import CALM, call, response

PUBLIC = "https://cds.example.org"
SERVICE = "/cds-services/low-back-pain-patient-view"
AGREED = f'[ehr]\nissuer = "{tokens.ISSUER}"\njwks = "ehr.json"\nlanguage = "en"\n'
PRODUCTION = {"CDS_PUBLIC_URL": PUBLIC, "CDS_ALLOW_UNSIGNED": "1", "CDS_PATIENT_KEY": "0123456789abcdef" * 2}


def written(folder: Path, text: str) -> Path:
    """A clients.toml with this text, beside the keys of the client."""
    (folder / "ehr.json").write_text(tokens.key_set(tokens.EHR.jwk()), "utf-8")
    path = folder / "clients.toml"
    path.write_text(text, "utf-8")
    return path


# Each row: why, the file, what the one clear line names.
WRONG: list[tuple[str, str, str]] = [
    ("a key that is not known", "[ehr]\nlangauge = 'en'", "ehr.langauge"),
    ("a language that is not there", "[ehr]\nlanguage = 'fr'", "ehr.language"),
    ("a reader that is none", "[ehr]\nreader = 'nurse'", "ehr.reader"),
    ("an issuer without keys", "[ehr]\nissuer = 'https://ehr.example'", "ehr: has an issuer and no jwks; write"),
    ("keys without an issuer", "[ehr]\njwks = 'ehr.json'", "ehr: has a jwks and no issuer; write"),
    ("two clients of one issuer", AGREED + AGREED.replace("[ehr]", "[more]"), "more.issuer"),
    (
        "a FHIR server with a slash at its end",
        "[ehr]\nfhir-servers = ['https://ehr.example/fhir/']",
        "ehr.fhir-servers.0",
    ),
    ("a FHIR server with a user", "[ehr]\nfhir-servers = ['https://me@ehr.example/fhir']", "ehr.fhir-servers.0"),
    ("a FHIR server that is a file", "[ehr]\nfhir-servers = ['file:///etc']", "ehr.fhir-servers.0"),
    ("scopes of nobody who could ask", "[ehr]\nscopes = ['system/*.rs']", "ehr.scopes: has no issuer"),
    ("a scope of SMART 1", "[ehr]\nscopes = ['system/*.read']", "is no scope of a system; write such as"),
    ("a scope of a user", "[ehr]\nscopes = ['user/Patient.rs']", "ehr.scopes.0"),
    ("a token that lives for longer than an hour", "[ehr]\nlongest-token = 3601", "ehr.longest-token"),
    ("words that Markdown reads", "[ehr.orders]\nimaging = [{system='x', code='y', display='[a](b)'}]", "display"),
    ("a name with blanks", "['the hospital']\nlanguage = 'nl'", "the hospital"),
    ("no TOML", "[ehr", "is not TOML"),
]


@pytest.mark.parametrize("row", WRONG, ids=[row[0] for row in WRONG])
def test_a_mistake_in_clients_toml_is_named(row: tuple[str, str, str], tmp_path: Path) -> None:
    with pytest.raises(SettingsError) as refused:
        read_clients(written(tmp_path, row[1]))

    assert str(refused.value).startswith("CDS_CLIENTS: clients.toml")
    assert row[2] in str(refused.value)


def test_a_file_that_is_not_there_is_named(tmp_path: Path) -> None:
    with pytest.raises(SettingsError, match=r"nobody\.toml"):
        read_clients(tmp_path / "nobody.toml")


def test_the_file_that_the_docs_show_can_be_used(tmp_path: Path) -> None:
    page = (ROOT / "docs/cds-hooks.md").read_text("utf-8")
    shown = page.split("```toml\n")[1].split("```")[0]

    client = read_clients(written(tmp_path, shown))["hospital-a"]

    assert set(client.model_fields_set) == set(Client.model_fields)  # every setting is shown


# Each row: a base that could be written otherwise, or is none, and what the message says of it.
NOT_PLAIN: list[tuple[str, str]] = [
    ("https://me@ehr.example/fhir", "holds a user; write"),
    ("https://me:secret@ehr.example/fhir", "holds a user; write"),
    ("https://ehr.example/fhir?a=b", "holds a query or a fragment; write"),
    ("https://ehr.example/fhir#a", "holds a query or a fragment; write"),
    ("https://ehr.example?", "holds a query or a fragment; write"),
    ("https://ehr.example/fhir/../admin", "has . or .. in its path; write"),
    ("https://ehr.example/./fhir", "has . or .. in its path; write"),
    ("https://ehr.example/fhir/..", "has . or .. in its path; write"),
    ("https://ehr.example/%2e%2e/fhir", "a percent sign"),
    ("https://EHR.example/fhir", "has a host in capitals; write"),
    ("https://ehr.example:443/fhir", "a port that is no other than the usual; write"),
    ("http://ehr.example:80", "a port that is no other than the usual; write"),
    ("https://ehr.example:/fhir", "write a port in digits"),
    ("https://ehr.example:0443/fhir", "write a port in digits"),
    ("https://ehr.example:70000/fhir", "write a port in digits"),
    ("https://ehr.example:fhir", "write a port in digits"),
    ("https://ehr.example/fhir/", "has a slash at its end; write"),
    ("https://ehr.example/", "has a slash at its end; write"),
    ("https://ehr.example//fhir", "an empty part"),
    ("https://ehr.example./fhir", "without a dot at the end"),
    ("https://ehr..example/fhir", "has no host"),
    ("https:///fhir", "has no host"),
    ("https://", "has no host"),
    ("https://éhr.example/fhir", "not ASCII"),
    ("https://ehr.example/．", "not ASCII"),
    ("https://ehr.example\\\\fhir", "a backslash"),
    ("https://ehr.example/fhir ", "a blank"),
    ("https://ehr.example/f\\nhir", "a blank"),
    ("https://2130706433/fhir", "an IPv4 address as four numbers"),
    ("https://0x7f000001/fhir", "an IPv4 address as four numbers"),
    ("https://0177.0.0.1/fhir", "an IPv4 address as four numbers"),
    ("https://10.1/fhir", "an IPv4 address as four numbers"),
    ("https://[fd00:0::1]/fhir", "its shortest form"),
    ("https://[FD00::1]/fhir", "in small letters"),
    ("https://fd00::1/fhir", "in brackets"),
    ("HTTPS://ehr.example/fhir", "write https://"),
    ("ftp://ehr.example/fhir", "write https://"),
    ("ehr.example/fhir", "write https://"),
    ("https:ehr.example/fhir", "write https://"),
    ("", "write https://"),
]
PLAIN = [
    *(
        "https://ehr.example",
        "https://ehr.example/fhir",
        "https://ehr.example:8443/r4/fhir",
        "http://127.0.0.1:8080/fhir",
    ),
    *("https://ehr.example:80/fhir", "https://[fd00::1]:8443/fhir", "https://ehr-1.example/a_b/~c/tenant-7"),
    "https://ehr.example/FHIR/R4;v=1",
]


@pytest.mark.parametrize(("base", "says"), NOT_PLAIN, ids=[repr(base) for base, _ in NOT_PLAIN])
def test_a_fhir_server_that_could_be_written_otherwise_is_refused_with_what_to_write(
    tmp_path: Path, base: str, says: str
) -> None:
    with pytest.raises(SettingsError) as refused:
        read_clients(written(tmp_path, f'[ehr]\nfhir-servers = ["{base}"]'))

    assert str(refused.value).startswith("CDS_CLIENTS: clients.toml: ehr.fhir-servers.0: ")
    assert says in str(refused.value)
    assert "secret" not in str(refused.value)


@pytest.mark.parametrize("base", PLAIN)
def test_a_plain_fhir_server_stays_as_it_is_written(tmp_path: Path, base: str) -> None:
    clients = read_clients(written(tmp_path, f'[ehr]\nfhir-servers = ["{base}"]'))

    assert clients["ehr"].fhir_servers == (base,)


SCHEMA = ROOT / "docs/clients.schema.json"


def test_the_schema_for_editors_is_that_of_the_code() -> None:
    made = json.dumps(clients_schema(), indent=2) + "\n"
    if os.environ.get("WRITE_SCHEMA"):
        SCHEMA.write_text(made, "utf-8")

    assert SCHEMA.read_text("utf-8") == made, "write it again with: WRITE_SCHEMA=1 pytest tests/test_clients.py"


def test_the_schema_knows_the_file_that_the_docs_show_and_what_the_code_refuses() -> None:
    schema = Draft202012Validator(json.loads(SCHEMA.read_text("utf-8")))
    page = (ROOT / "docs/cds-hooks.md").read_text("utf-8")
    shown = tomllib.loads(page.split("```toml\n")[1].split("```")[0])

    assert list(schema.iter_errors(shown)) == []
    for why, text, _ in WRONG:
        if why not in ONLY_THE_CODE:
            assert list(schema.iter_errors(tomllib.loads(text))), why


# What no schema says: it is about two keys or two clients, or about the file.
ONLY_THE_CODE = {
    "an issuer without keys",
    "keys without an issuer",
    "two clients of one issuer",
    "scopes of nobody who could ask",
    "no TOML",
}


def test_without_a_file_there_is_the_client_of_development_mode_only() -> None:
    assert list(read_clients(None)) == ["development"]


# Each row: why production does not start, the clients, settings beside those of production, what the line names.
REFUSED: list[tuple[str, str, dict[str, str], str]] = [
    ("no client with keys", "[ehr]\nlanguage = 'en'", {}, "CDS_CLIENTS"),
    ("keys that cannot be read", AGREED.replace("ehr.json", "none.json"), {}, "ehr.jwks"),
    ("keys from an http address", AGREED.replace("ehr.json", "http://ehr.example/jwks"), {}, "ehr.jwks"),
    ("a FHIR server over http", AGREED + "fhir-servers = ['http://ehr.example/fhir']", {}, "fhir-servers"),
    ("an http address of our own", AGREED, {"CDS_PUBLIC_URL": "http://cds.example.org"}, "CDS_PUBLIC_URL"),
    ("content that nobody signed", AGREED, {"CDS_ALLOW_UNSIGNED": "0"}, "CDS_ALLOW_UNSIGNED"),
    ("a hook that is not there", AGREED, {"CDS_HOOKS": "patient-view,order-sing"}, "order-sign"),
    ("orders of no kind", AGREED + "[ehr.orders]\nimagin = []", {}, "imaging"),
    ("no key for the patient hash", AGREED, {"CDS_PATIENT_KEY": ""}, "CDS_PATIENT_KEY"),
    ("a short key for the patient hash", AGREED, {"CDS_PATIENT_KEY": "secret"}, "CDS_PATIENT_KEY"),
    ("origins that are all", AGREED, {"CDS_ORIGINS": "*"}, "CDS_ORIGINS"),
]


@pytest.mark.timeless
@pytest.mark.parametrize("row", REFUSED, ids=[row[0] for row in REFUSED])
def test_production_does_not_start(row: tuple[str, str, dict[str, str], str], tmp_path: Path) -> None:
    _, clients, more, says = row
    settings = environment(tmp_path, CDS_CLIENTS=str(written(tmp_path, clients)), **(PRODUCTION | more))

    done = cds_service(tmp_path, settings, "serve")

    assert done.returncode == 1
    assert says in done.stderr
    assert len(done.stderr.splitlines()) == 1
    assert "Traceback" not in done.stderr


@pytest.fixture(scope="module", name="production")
def _production(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """The address of the real server in production mode."""
    port, folder = free_port(), tmp_path_factory.mktemp("production")
    clients = str(written(folder, AGREED))
    settings = environment(folder, CDS_CLIENTS=clients, CDS_PORT=str(port), **PRODUCTION)
    process = subprocess.Popen([COMMAND, "serve"], env=settings, cwd=folder, stdout=subprocess.DEVNULL)
    with contextlib.ExitStack() as stack:
        stack.callback(process.wait, timeout=60)
        stack.callback(process.terminate)
        until_it_listens(port, process)
        yield f"http://127.0.0.1:{port}"


def test_production_answers_a_signed_call_in_the_language_agreed_and_no_other(production: str) -> None:
    body = call(response(CALM | {"rf-saddle": "new"}))
    told = requests.get(production + "/cds-services", timeout=60).headers[
        "Date"
    ]  # its clock is not moved as ours may be
    now = int(parsedate_to_datetime(told).timestamp())
    signed = tokens.token(tokens.header(), tokens.claims(f"{PUBLIC}{SERVICE}", iat=now, exp=now + 300))
    bearer = {"Authorization": f"Bearer {signed}", "Accept-Language": "nl"}

    first = requests.post(production + SERVICE, json=body, headers=bearer, timeout=60)
    again = requests.post(production + SERVICE, json=body, headers=bearer, timeout=60)
    without = requests.post(production + SERVICE, json=body, timeout=60)

    assert (first.status_code, first.headers["Content-Language"]) == (200, "en")
    assert "emergency" in first.json()["cards"][0]["detail"]
    assert [(one.status_code, one.text) for one in (again, without)] == [(401, without.text)] * 2


def test_production_shows_discovery_and_the_forms_to_all_and_no_examples(production: str) -> None:
    statuses = [
        requests.get(production + path, timeout=60).status_code
        for path in (
            "/cds-services",
            "/fhir/metadata",
            "/fhir/Questionnaire/low-back-pain",
            "/examples/response-in-hand",
        )
    ]

    assert statuses == [200, 200, 200, 404]
