"""What production refuses to start on, each with one clear line: the real command, a process for each row.

A row changes one thing in a start that is right; `check` says the same without a database.
"""

import subprocess
import sys
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path

import pytest

from cds_content.screening import Screening
from cds_service.assembly import prepared
from cds_service.clients import Client
from cds_service.config import Settings, load_content, read_settings
from tests import tokens
from tests.forked import cds_service
from tests.processes import COMMAND, environment, free_port
from tests.requirements.test_security_keys import EXAMPLE, SANDBOX
from tests.test_clients import AGREED, PUBLIC, written

pytestmark = pytest.mark.timeless  # a process of its own does the work
KEY = "8f1c0e5b7a9d2346" * 2
TOKEN = "c4d1e8a07b3f5926" * 2
ANYWHERE = "0.0.0.0"  # noqa: S104 - it must be refused


@dataclass(frozen=True)
class Start:
    """A start that is refused: why, what is changed, what its one line says."""

    why: str
    says: str
    clients: str = AGREED
    settings: dict[str, str] = field(default_factory=dict)
    prepare: Callable[[Path], object] = lambda _: None


def production(folder: Path, clients: str = AGREED, **settings: str) -> dict[str, str]:
    """The settings of a start that is right, but for what is changed; an empty value leaves one out."""
    path = written(folder, clients)
    right = {
        "CDS_CLIENTS": str(path),
        "CDS_PUBLIC_URL": PUBLIC,
        "CDS_ALLOW_UNSIGNED": "1",
        "CDS_PATIENT_KEY": KEY,
        "CDS_PORT": str(free_port()),
    }
    return {name: value for name, value in environment(folder, **(right | settings)).items() if value}


def secret(folder: Path, mode: int = 0o600, text: str = KEY) -> None:
    path = folder / "secret"
    path.write_text(f"{text}\n", "utf-8")
    path.chmod(mode)


def keys(folder: Path, mode: int) -> None:
    """Key files in a folder of their own."""
    (folder / "keys").mkdir()
    (folder / "ehr.json").rename(folder / "keys/ehr.json")
    (folder / "keys").chmod(mode)


IN_FOLDER = "others can write it and so become a client"
OF_KEYS = AGREED.replace("ehr.json", "keys/ehr.json")
FROM_FILE = {"CDS_PATIENT_KEY": "", "CDS_PATIENT_KEY_FILE": "secret"}
DEVELOPMENT = {"CDS_DEVELOPMENT": "1"}
POSTGRES = DEVELOPMENT | {"CDS_DATABASE_URL": "postgresql://cds@127.0.0.1:1/nowhere"}
OF_A_PRIVATE_SERVER = AGREED + "fhir-servers = ['https://{}/fhir']\n"

REFUSED = [
    Start("no client at all", "CDS_CLIENTS: no client", settings={"CDS_CLIENTS": ""}),
    Start("no client that can be authenticated", "CDS_CLIENTS: no client", "[ehr]\nlanguage = 'en'"),
    Start("development on every address", "CDS_HOST: nobody", settings=DEVELOPMENT | {"CDS_HOST": ANYWHERE}),
    Start("development on every IPv6 address", "CDS_HOST: nobody", settings=DEVELOPMENT | {"CDS_HOST": "::"}),
    Start("development with the database of production", "CDS_DATABASE_URL: nobody", settings=POSTGRES),
    Start("a FHIR server over http", "is not https", AGREED + "fhir-servers = ['http://ehr.example/fhir']"),
    Start("a FHIR server over http on loopback", "not https", AGREED + "fhir-servers = ['http://127.0.0.1/fhir']"),
    Start("a FHIR server on localhost", "is not a public address", OF_A_PRIVATE_SERVER.format("localhost")),
    Start("a FHIR server on loopback", "is not a public address", OF_A_PRIVATE_SERVER.format("127.0.0.1:8443")),
    Start("a FHIR server on IPv6 loopback", "is not a public address", OF_A_PRIVATE_SERVER.format("[::1]")),
    Start("a FHIR server in a private network", "is not a public address", OF_A_PRIVATE_SERVER.format("10.0.0.7")),
    Start("cloud metadata", "is not a public address", OF_A_PRIVATE_SERVER.format("169.254.169.254")),
    Start(
        "a private key among the public ones",
        "ehr.jwks: holds a secret or private key",
        prepare=lambda folder: (folder / "ehr.json").write_text(tokens.key_set(tokens.EHR.private_jwk()), "utf-8"),
    ),
    Start(
        "a key whose private half is published",
        "ehr.jwks: holds a sample key",
        prepare=lambda folder: (folder / "ehr.json").write_text(tokens.key_set(EXAMPLE, SANDBOX), "utf-8"),
    ),
    Start("clients that others can write", "others can write it", prepare=lambda f: (f / "clients.toml").chmod(0o666)),
    Start("clients that the group can write", "others can write", prepare=lambda f: (f / "clients.toml").chmod(0o660)),
    Start("keys that others can write", "ehr.json: others", prepare=lambda f: (f / "ehr.json").chmod(0o646)),
    Start("a folder of clients that the group can write", IN_FOLDER, prepare=lambda folder: folder.chmod(0o770)),
    Start("a folder of clients that others can write", IN_FOLDER, prepare=lambda folder: folder.chmod(0o702)),
    Start("a folder of keys that the group can write", "keys: others", OF_KEYS, prepare=lambda f: keys(f, 0o775)),
    Start("a folder of keys that others can write", "keys: others", OF_KEYS, prepare=lambda f: keys(f, 0o757)),
    Start(
        "a secret that everybody can read",
        "CDS_PATIENT_KEY_FILE: others can read it",
        settings=FROM_FILE,
        prepare=lambda folder: secret(folder, 0o644),
    ),
    Start(
        "a token that everybody can read",
        "CDS_METRICS_TOKEN_FILE: others can read it",
        settings={"CDS_METRICS_TOKEN_FILE": "secret"},
        prepare=lambda folder: secret(folder, 0o604, TOKEN),
    ),
    Start("a secret that is not there", "CDS_PATIENT_KEY_FILE: cannot be read", settings=FROM_FILE),
    Start("no secret in its file", "_FILE: is empty", settings=FROM_FILE, prepare=lambda f: secret(f, text="")),
    Start(
        "two secrets for one",
        "CDS_PATIENT_KEY_FILE: CDS_PATIENT_KEY is set as well",
        settings={"CDS_PATIENT_KEY_FILE": "secret"},
        prepare=secret,
    ),
    Start("no key of the patient hash", "CDS_PATIENT_KEY: is missing", settings={"CDS_PATIENT_KEY": ""}),
    Start("a short key of the patient hash", "is missing or short", settings={"CDS_PATIENT_KEY": KEY[:31]}),
    Start("a key of one character", "CDS_PATIENT_KEY: can be guessed", settings={"CDS_PATIENT_KEY": "k" * 64}),
    Start("a key of seven characters", "can be guessed", settings={"CDS_PATIENT_KEY": "1234567" * 5}),
    Start("a short token of the metrics", "CDS_METRICS_TOKEN: is short", settings={"CDS_METRICS_TOKEN": TOKEN[:31]}),
    Start("a token of one character", "CDS_METRICS_TOKEN: can be", settings={"CDS_METRICS_TOKEN": "0" * 32}),
    Start("debug by Flask", "FLASK_DEBUG", settings={"FLASK_DEBUG": "1"}),
    Start("debug by the environment of Flask", "FLASK_ENV", settings={"FLASK_ENV": "development"}),
    Start("an address of our own over http", "CDS_PUBLIC_URL", settings={"CDS_PUBLIC_URL": "http://cds.example.org"}),
    Start("content that nobody signed", "CDS_ALLOW_UNSIGNED", settings={"CDS_ALLOW_UNSIGNED": ""}),
]


@pytest.mark.parametrize("start", REFUSED, ids=[start.why for start in REFUSED])
def test_an_unsafe_start_is_refused_with_one_clear_line(start: Start, tmp_path: Path) -> None:
    settings = production(tmp_path, start.clients, **start.settings)
    start.prepare(tmp_path)

    done = cds_service(tmp_path, settings, "serve")

    assert done.returncode == 1, done.stderr
    (line,) = done.stderr.splitlines()
    assert start.says in line
    assert KEY not in line
    assert TOKEN not in line


@pytest.mark.parametrize("how", [["-X", "dev"], []], ids=["by option", "by environment"])
def test_pythons_development_mode_is_refused(how: list[str], tmp_path: Path) -> None:
    settings = production(tmp_path, **({} if how else {"PYTHONDEVMODE": "1"}))

    done = subprocess.run(
        [sys.executable, *how, COMMAND, "serve"], env=settings, cwd=tmp_path, capture_output=True, text=True, timeout=60
    )

    assert done.returncode == 1
    assert done.stderr.splitlines()[-1].startswith("PYTHONDEVMODE: asks for debug")


def protected(folder: Path) -> None:
    secret(folder, 0o440)
    (folder / "ehr.json").chmod(0o444)


SAFE = [
    Start("all as it should be", ""),
    Start(
        "a secret in a file, public keys that all may read, a private server that was agreed on, debug that is off",
        "",
        OF_A_PRIVATE_SERVER.format("10.0.0.7") + "private-addresses = true",
        FROM_FILE | {"CDS_METRICS_TOKEN": TOKEN, "FLASK_DEBUG": "0"},
        protected,
    ),
    Start("a folder where each keeps his own", "", OF_KEYS, prepare=lambda folder: keys(folder, 0o1777)),
]


@pytest.mark.parametrize("start", SAFE, ids=[start.why for start in SAFE])
def test_check_finds_nothing_wrong_with_a_safe_start_and_opens_no_database(start: Start, tmp_path: Path) -> None:
    settings = production(tmp_path, start.clients, **start.settings)
    start.prepare(tmp_path)

    done = cds_service(tmp_path, settings, "check")

    assert (done.returncode, done.stderr) == (0, "")
    assert not list(tmp_path.glob("*.sqlite"))


def test_check_names_everything_that_serve_would_refuse(tmp_path: Path) -> None:
    wrong = {"CDS_PATIENT_KEY": "", "CDS_ALLOW_UNSIGNED": "", "FLASK_DEBUG": "1", "CDS_HOOKS": "patient-vieuw"}
    settings = production(tmp_path, AGREED + "fhir-servers = ['http://127.0.0.1/fhir']", **wrong)
    (tmp_path / "ehr.json").write_text(tokens.key_set(tokens.EHR.private_jwk()), "utf-8")
    (tmp_path / "ehr.json").chmod(0o666)

    done = cds_service(tmp_path, settings, "check")

    assert done.returncode == 1
    assert [line.partition(":")[0] for line in done.stderr.splitlines()] == [
        "CDS_CLIENTS",  # not https
        "CDS_CLIENTS",  # not public
        "CDS_PATIENT_KEY",
        "CDS_CLIENTS",  # can be written
        "FLASK_DEBUG, FLASK_ENV",
        "CDS_ALLOW_UNSIGNED",
        "CDS_HOOKS",
        "CDS_CLIENTS",  # a private key
    ]


def test_what_is_checked_is_what_is_served_though_it_is_written_meanwhile(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name, value in production(tmp_path).items():
        monkeypatch.setenv(name, value)

    def load_slowly(settings: Settings) -> tuple[Screening, ...]:
        written(tmp_path, AGREED + "fhir-servers = ['http://127.0.0.1/fhir']\nroles = ['operator']\n")
        return load_content(settings)

    monkeypatch.setattr("cds_service.assembly.load_content", load_slowly)
    service = prepared(read_settings())
    service.store.dispose()

    assert "127.0.0.1" in (tmp_path / "clients.toml").read_text("utf-8")
    assert (service.clients["ehr"].fhir_servers, service.clients["ehr"].roles) == ((), Client().roles)


def test_check_without_clients_is_about_content_only(tmp_path: Path) -> None:
    done = cds_service(tmp_path, environment(tmp_path), "check")

    assert (done.returncode, done.stderr) == (0, "")
