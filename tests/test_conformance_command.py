"""The command as a vendor's CI runs it: its reports, its exit codes, and what it finds in this service itself."""

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any
from xml.etree import ElementTree

import pytest
from click.testing import CliRunner, Result
from cryptography.hazmat.primitives import serialization

from cds_service.cli_conformance import conformance
from cds_service.conformance import CHECKS
from tests.faulty_service import ISSUER, KEY, ORIGIN, Fault, faulty_services
from tests.processes import free_port
from tests.requirements.requests import ALARM, HOOKS, valid
from tests.running import running
from tests.samples import CALM, response
from tests.test_clients import AGREED, PRODUCTION, PUBLIC, written
from tests.tokens import EHR, OTHER, KeyPair

pytestmark = pytest.mark.timeless  # other processes do the work, by the clock of this machine

JWT = ("--issuer", ISSUER, "--kid", "ehr-1")
Json = dict[str, Any]


def run(*words: str | Path) -> Result:
    return CliRunner().invoke(conformance, [str(word) for word in words])


def rows(path: Path) -> dict[str, Json]:
    """The rows of a report in JSON."""
    return {row["row"]: row for row in json.loads(path.read_text("utf-8"))["rows"]}


def states(path: Path, *of: str) -> list[str]:
    """The rows that ended so."""
    return [row for row, found in rows(path).items() if found["state"] in of]


def _rude(discovery: Json) -> Json:
    """Its id would clear the screen."""
    discovery["services"][0]["id"] = "gr\x1b[2Jeeter"
    return discovery


@pytest.fixture(scope="module", name="base")
def _base() -> Iterator[str]:
    table = {"sound": Fault(), "long": Fault(card=lambda card: card.update(summary="s" * 140))}
    table |= {"nameless": Fault(card=lambda card: [one.pop("uuid") for one in card["suggestions"]])}
    table |= {"rude": Fault(discovery=_rude)}
    with faulty_services(table) as address:
        yield address


@pytest.fixture(name="key")
def _key(tmp_path: Path) -> Path:
    path = tmp_path / "key.pem"
    path.write_bytes(KEY.as_pem(private=True))
    return path


def calls_in(folder: Path) -> list[str | Path]:
    """Calls of our own for every hook of this service, which lead to cards: a call of every kind that it answers."""
    words: list[str | Path] = []
    for hook in HOOKS:
        path = folder / f"{hook}.json"
        path.write_text(json.dumps(valid(hook, response(CALM | ALARM))), "utf-8")
        words += ["--call", path]
    return words


SERVED = ("RESP-1", "DISC-8", "CARD-1", "CARD-2", "CARD-5", "SUG-1", "SUG-2", "ACT-3", "LINK-3", "FB-1", "FB-6", "FB-7")


def test_this_service_in_development_mode_has_nothing_to_mend(tmp_path: Path) -> None:
    report = tmp_path / "report.json"
    with running(tmp_path, CDS_ORIGINS=ORIGIN) as server:
        done = run(server.address, "--origin", ORIGIN, *calls_in(tmp_path), "--json", report)

    assert states(report, "fail", "warn") == [], done.output
    assert done.exit_code == 0
    assert {row: rows(report)[row]["state"] for row in SERVED} == dict.fromkeys(SERVED, "pass")


def test_this_service_with_signed_calls_has_nothing_to_mend(tmp_path: Path) -> None:
    report, key = tmp_path / "report.json", tmp_path / "key.pem"
    key.write_bytes(_private(EHR))
    settings: dict[str, Any] = {
        "CDS_CLIENTS": str(written(tmp_path, f"{AGREED}calls-per-second = 10000\n")),
        "CDS_DEVELOPMENT": "0",
        "CDS_ORIGINS": ORIGIN,
        **PRODUCTION,
    }
    with running(tmp_path, **settings) as server:
        words = (server.address, "--audience", PUBLIC, "--jwt-key", key, *JWT, "--origin", ORIGIN)
        done = run(*words, *calls_in(tmp_path), "--json", report)

    assert states(report, "fail", "warn") == [], done.output
    assert done.exit_code == 0
    signed = [check.row for check in CHECKS if check.row.startswith("SEC-") and check.row != "SEC-2"]
    assert {row: rows(report)[row]["state"] for row in (*SERVED, *signed)} == dict.fromkeys((*SERVED, *signed), "pass")


def _private(pair: KeyPair) -> bytes:
    plain = serialization.NoEncryption()
    return pair.private.private_bytes(serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, plain)


def test_a_row_that_fails_ends_the_command_with_1_and_is_shown_with_its_place_and_section(base: str) -> None:
    done = run(f"{base}/long", "--service", "greeter")

    assert done.exit_code == 1
    lines = done.output.splitlines()
    (line,) = [number for number, text in enumerate(lines) if text.startswith("fail")]
    assert "CARD-2" in lines[line]
    assert "[2.0.1, 3.0: Card Attributes]" in lines[line]
    assert "greeter (patient-view), as it is, cards[0].summary: has 140 characters" in lines[line + 1]


def test_a_warning_ends_the_command_with_0(base: str) -> None:
    done = run(f"{base}/nameless", "--service", "greeter")

    assert done.exit_code == 0
    assert [line[:21] for line in done.output.splitlines() if line.startswith("warn")] == ["warn        SUG-2    "[:21]]


def test_nothing_that_a_terminal_would_obey_comes_from_the_service(base: str, tmp_path: Path) -> None:
    junit = tmp_path / "junit.xml"

    done = run(f"{base}/rude", "--junit", junit)

    assert done.exit_code == 1
    assert "gr?[2Jeeter" in done.output
    assert "\x1b" not in done.output + junit.read_text("utf-8")


def test_the_url_may_be_that_of_discovery(base: str) -> None:
    assert run(f"{base}/sound/cds-services", "--service", "greeter").exit_code == 0


def test_the_report_for_ci_counts_failures_and_what_was_not_checked(base: str, tmp_path: Path) -> None:
    junit, report = tmp_path / "junit.xml", tmp_path / "report.json"

    run(f"{base}/long", "--service", "greeter", "--junit", junit, "--json", report)

    (suite,) = ElementTree.parse(junit).getroot()  # noqa: S314 - written by the command under test
    failed = [case.get("classname") for case in suite if case.find("failure") is not None]
    skipped = [case for case in suite if case.find("skipped") is not None]
    assert failed == ["CARD"]
    assert int(suite.get("tests", "0")) == len(suite) == len(CHECKS)
    assert int(suite.get("failures", "0")) == len(states(report, "fail")) == 1
    assert int(suite.get("skipped", "0")) == len(skipped) == len(states(report, "not checked"))
    assert all(case.find("skipped").get("message") for case in skipped)  # type: ignore[union-attr] # it has one: see above


def test_a_warning_stands_in_the_output_of_its_case(base: str, tmp_path: Path) -> None:
    junit = tmp_path / "junit.xml"

    run(f"{base}/nameless", "--service", "greeter", "--junit", junit)

    (suite,) = ElementTree.parse(junit).getroot()  # noqa: S314 - written by the command under test
    (warned,) = [case for case in suite if case.find("system-out") is not None]
    assert "SUG-2" in str(warned.get("name"))
    assert suite.get("failures") == "0"


def test_a_signed_call_opens_a_service_that_wants_to_know_who_calls(base: str, key: Path) -> None:
    done = run(f"{base}/signed/sound", "--service", "greeter", "--jwt-key", key, *JWT)

    assert done.exit_code == 0
    assert "pass        SEC-6" in done.output


def test_the_token_may_stand_in_a_file(base: str, tmp_path: Path) -> None:
    path = tmp_path / "token"
    path.write_text("some-opaque-token\n", "utf-8")

    done = run(f"{base}/sound", "--service", "greeter", "--token", f"@{path}")

    assert "some-opaque-token" not in done.output
    assert "warn        SEC-1" in done.output  # it answers everybody


# Each row: why, the words after the base URL, what the one clear line names.
WRONG: list[tuple[str, list[str], str]] = [
    ("a service that discovery does not list", ["/sound", "--service", "greter"], "--service"),
    ("nobody is let in", ["/signed/sound"], "discovery answers 401; say who calls with --token or --jwt-key"),
    ("a token that nobody knows", ["/signed/sound", "--token", "x"], "discovery answers 401"),
    ("a key without its issuer", ["/sound", "--jwt-key", "{key}"], "--issuer"),
    ("an issuer without a key", ["/sound", "--issuer", "x"], "--jwt-key"),
    ("two ways to say who calls", ["/sound", "--token", "x", "--jwt-key", "{key}", *JWT], "--token"),
    ("a key of another kind", ["/sound", "--jwt-key", "{key}", *JWT, "--alg", "RS384"], "--jwt-key"),
    ("a key of another curve", ["/sound", "--jwt-key", "{key}", *JWT, "--alg", "ES256"], "--alg"),
    ("a key that is public", ["/sound", "--jwt-key", "{public}", *JWT], "--jwt-key"),
    ("a token file that is not there", ["/sound", "--token", "@/nowhere"], "--token"),
    ("an origin with a path", ["/sound", "--origin", "https://ehr.example/app"], "--origin"),
    ("an origin that is none", ["/sound", "--origin", "ehr.example"], "--origin"),
    ("a call that is no JSON", ["/sound", "--call", "{key}"], "--call"),
    ("a call without its context", ["/sound", "--call", "{call}"], "--call"),
    ("a report that cannot be written", ["/sound", "--service", "greeter", "--json", "/nowhere/x.json"], "/nowhere/x"),
]


@pytest.mark.parametrize("row", WRONG, ids=[row[0] for row in WRONG])
def test_what_cannot_be_asked_ends_the_command_with_2_and_one_clear_line(
    row: tuple[str, list[str], str], base: str, key: Path, tmp_path: Path
) -> None:
    _, (path, *words), named = row
    (tmp_path / "public.pem").write_bytes(OTHER.pem())
    (tmp_path / "call.json").write_text('{"hook": "patient-view", "hookInstance": "1"}', "utf-8")
    places = {"key": key, "public": tmp_path / "public.pem", "call": tmp_path / "call.json"}

    done = run(base + path, *(word.format(**places) for word in words))

    assert done.exit_code == 2
    assert named in done.stderr
    assert len(done.stderr.splitlines()) == 1
    assert done.stdout == ""


@pytest.mark.parametrize("url", ["cds.example.org", "ftp://cds.example.org", "https://", "https://a:b@cds.example.org"])
def test_a_url_that_is_none_is_refused(url: str) -> None:
    done = run(url)

    assert (done.exit_code, done.stdout) == (2, "")
    assert done.stderr == "URL: is no base URL; write such as https://cds.example.org\n"


def test_a_service_that_cannot_be_reached_is_not_checked() -> None:
    done = run(f"http://127.0.0.1:{free_port()}", "--timeout", "5")

    assert (done.exit_code, done.stdout) == (2, "")
    assert "no whole answer within 5 seconds (ConnectionRefusedError)" in done.stderr
