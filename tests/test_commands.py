"""The commands as a newcomer types them: the real server in its own process, and the curl line that it prints."""

import json
import re
import signal
import subprocess
import sys
import zipfile
from collections.abc import Iterator
from pathlib import Path

import pytest
import requests

from cds_content.loading import load
from tests.forked import cds_service
from tests.processes import COMMAND, environment, free_port, until_it_listens

pytestmark = pytest.mark.timeless  # another process does the work

ROOT = Path(__file__).parent.parent


@pytest.fixture(scope="module", name="server")
def _server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[str, str]]:
    """The running service: its address, and everything that it printed at start."""
    port, folder = free_port(), tmp_path_factory.mktemp("serve")
    settings = environment(folder, CDS_DEVELOPMENT="1", CDS_PORT=str(port))
    log = folder / "printed.txt"
    with log.open("w") as out:
        process = subprocess.Popen([COMMAND, "serve"], env=settings, cwd=folder, stdout=out)
    try:
        until_it_listens(port, process)
        yield f"http://127.0.0.1:{port}", log.read_text()
    finally:
        process.send_signal(signal.SIGTERM)
        process.wait(timeout=60)


def curl_line(text: str) -> str:
    (line,) = [line.strip() for line in text.splitlines() if line.strip().startswith("curl")]
    return line


@pytest.mark.parametrize(
    ("language", "says"), [("nl", "Lage rugpijn met nieuwe plas-"), ("en", "Low back pain with new")]
)
def test_the_printed_curl_line_returns_one_critical_card(language: str, says: str, server: tuple[str, str]) -> None:
    line = curl_line(server[1]) + (" -H 'Accept-Language: en'" if language == "en" else "")

    done = subprocess.run(["bash", "-c", line], check=True, capture_output=True, text=True)

    (card,) = json.loads(done.stdout)["cards"]
    assert card["indicator"] == "critical"
    assert card["source"]["topic"]["code"] == "emergency-now"
    assert card["summary"].startswith(says)


def test_the_readme_shows_that_same_line(server: tuple[str, str]) -> None:
    address, printed = server
    readme = (ROOT / "README.md").read_text("utf-8")

    assert curl_line(printed).replace(address, "http://127.0.0.1:8080") == curl_line(readme)


def test_the_welcome_says_what_it_is_not(server: tuple[str, str]) -> None:
    _, printed = server

    for words in ("Development mode", "no authentication", "Not a certified medical device", "not reviewed"):
        assert words in printed


def test_what_is_printed_can_be_opened(server: tuple[str, str]) -> None:
    for url in re.findall(r"^  \S+ +(http\S+)$", server[1], re.MULTILINE):
        assert requests.get(url, timeout=60).status_code == 200


def test_the_real_server_refuses_a_large_body_with_an_operation_outcome(server: tuple[str, str]) -> None:
    url = f"{server[0]}/cds-services/low-back-pain-patient-view"

    answer = requests.post(url, data=b"[" * 2_000_000, headers={"Content-Type": "application/json"}, timeout=60)

    assert answer.status_code == 413
    assert answer.json()["resourceType"] == "OperationOutcome"


DEVELOPMENT = {"CDS_DEVELOPMENT": "1"}
ANYWHERE = "0.0.0.0"  # noqa: S104 - it must be refused

# Each row: why, settings, what the one line says.
REFUSED: list[tuple[str, dict[str, str], str]] = [
    ("nobody can be authenticated", {}, "CDS_CLIENTS"),
    ("development mode on a public address", DEVELOPMENT | {"CDS_HOST": ANYWHERE}, "CDS_HOST"),
    ("a port that is none", DEVELOPMENT | {"CDS_PORT": "0"}, "CDS_PORT"),
    (
        "alarms that count shorter than 'no'",
        DEVELOPMENT | {"CDS_FRESH_DAYS": "20", "CDS_ALARM_DAYS": "10"},
        "CDS_FRESH_DAYS",
    ),
    (
        "alarms that count longer than they are kept",
        DEVELOPMENT | {"CDS_KEEP_RESPONSE_DAYS": "29"},
        "CDS_KEEP_RESPONSE_DAYS: would remove alarms that still count; write 30 or more",
    ),
    (
        "alarms that count longer, and are kept as long as before",
        DEVELOPMENT | {"CDS_ALARM_DAYS": "90"},
        "CDS_KEEP_RESPONSE_DAYS: would remove alarms that still count; write 90 or more",
    ),
    ("a public URL that is none", DEVELOPMENT | {"CDS_PUBLIC_URL": "ehr"}, "CDS_PUBLIC_URL"),
    ("a canonical base with a bar", DEVELOPMENT | {"CDS_CANONICAL_BASE": "https://x|y"}, "CDS_CANONICAL_BASE"),
    ("a database out of reach", DEVELOPMENT | {"CDS_DATABASE_URL": "sqlite:////no/such/d"}, "CDS_DATABASE_URL"),
    ("a database of no kind", DEVELOPMENT | {"CDS_DATABASE_URL": "foo"}, "CDS_DATABASE_URL"),
    ("a database that is not supported", DEVELOPMENT | {"CDS_DATABASE_URL": "postgresql://x"}, "CDS_DATABASE_URL"),
    ("content that is not there", DEVELOPMENT | {"CDS_CONTENT": "/no/such/folder"}, "words.toml"),
]


@pytest.mark.parametrize("row", REFUSED, ids=[row[0] for row in REFUSED])
def test_an_unsafe_or_wrong_start_is_refused_with_a_clear_line(
    row: tuple[str, dict[str, str], str], tmp_path: Path
) -> None:
    _, settings, says = row

    done = cds_service(tmp_path, environment(tmp_path, **settings), "serve")

    assert done.returncode == 1
    assert says in done.stderr
    assert "Traceback" not in done.stderr


def test_a_port_that_is_taken_is_named(server: tuple[str, str], tmp_path: Path) -> None:
    taken = server[0].rpartition(":")[2]
    settings = environment(tmp_path, CDS_DEVELOPMENT="1", CDS_PORT=taken)

    done = subprocess.run([COMMAND, "serve"], env=settings, cwd=tmp_path, capture_output=True, text=True, timeout=60)

    assert done.returncode == 1
    assert "CDS_PORT" in done.stderr
    assert "Traceback" not in done.stderr


def test_check_refuses_wrong_settings_with_a_clear_line(tmp_path: Path) -> None:
    settings = environment(tmp_path, CDS_PORT="patient")

    done = subprocess.run([COMMAND, "check"], env=settings, cwd=tmp_path, capture_output=True, text=True, timeout=60)

    assert done.returncode == 1
    assert done.stderr.startswith("CDS_PORT")
    assert "patient" not in done.stderr


def test_another_canonical_base_is_used_everywhere() -> None:
    (screening,) = load(ROOT, base="https://example.org/fhir")

    assert "lowbackpain.example" not in json.dumps(screening.resources)
    assert screening.canonical == "https://example.org/fhir/Questionnaire/low-back-pain|1.0.0"


def test_the_wheel_holds_its_content_and_finds_it(tmp_path: Path) -> None:
    build = [sys.executable, "-m", "pip", "wheel", "--quiet", "--no-deps", "--no-build-isolation", "-w", str(tmp_path)]
    subprocess.run([*build, str(ROOT)], check=True, capture_output=True)
    (wheel,) = tmp_path.glob("*.whl")
    with zipfile.ZipFile(wheel) as archive:
        archive.extractall(tmp_path / "installed")
    script = "import cds_service.config as c; print(c.HOME); from cds_service.cli import main; main()"
    own = environment(tmp_path, PYTHONPATH=str(tmp_path / "installed"))

    done = subprocess.run(
        [sys.executable, "-c", script, "check"], env=own, cwd=tmp_path, capture_output=True, text=True, check=True
    )

    assert done.stdout.startswith(str(tmp_path / "installed/cds_service/content"))
    assert "low-back-pain 1.0.0: no mistakes" in done.stdout
