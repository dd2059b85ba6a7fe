"""What the documentation shows can be done: data can be read, commands exist, and the walks lead where it says."""

import json
import re
import subprocess
import sys
import tomllib
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import click
import pytest

from cds_content.screening import Screening
from cds_service.feedback import read_feedback
from tests.conftest import ROOT
from tests.documented import COMMANDS, blocks, command_lines, page, pages, section
from tests.processes import environment
from tests.running import Running, running

pytestmark = pytest.mark.timeless  # another process does the work

PAGES = pages()
VENV = Path(sys.executable).parent.parent
HERE = "http://127.0.0.1:8080"  # where the pages say that the service listens
each_page = pytest.mark.parametrize("path", PAGES, ids=[path.relative_to(ROOT).as_posix() for path in PAGES])


@each_page
def test_each_block_of_data_can_be_read(path: Path) -> None:
    for language, body in blocks(path.read_text("utf-8")):
        if language == "json":
            json.loads(body)
        elif language == "toml":
            tomllib.loads(body)


@each_page
def test_each_line_for_a_shell_can_be_read(path: Path) -> None:
    for language, body in blocks(path.read_text("utf-8")):
        if language in ("sh", "bash"):
            done = subprocess.run(["bash", "-n", "-c", body], capture_output=True, text=True)
            assert (done.returncode, done.stderr) == (0, ""), body


@each_page
def test_each_command_that_a_page_shows_exists_with_its_options(path: Path) -> None:
    for words in command_lines(path.read_text("utf-8")):
        assert _is_command(words), f"cds-service {' '.join(words)}"


def _is_command(words: list[str]) -> bool:
    """Whether the command exists and has these options; what stands for a value is not looked at."""
    if words[0] in ("--version", "--help"):
        return True
    command = COMMANDS.get(words[0])
    if command is None:
        return False
    try:
        command.make_parser(click.Context(command)).parse_args(list(words[1:]))
    except click.UsageError:
        return False
    return True


def test_commands_are_found_in_text_in_blocks_and_behind_settings() -> None:
    shown = """A line with `cds-service purge` and `cds-service erase --client a p1`, but `cds-service` alone is none.

    CDS_CONTENT=x .venv/bin/cds-service check && echo done

```sh
.venv/bin/cds-service export p1 >file.json
cds-service serv
```
"""
    found = list(command_lines(shown))

    assert sorted(found) == [["check"], ["erase", "--client", "a", "p1"], ["export", "p1"], ["purge"], ["serv"]]
    assert [words for words in found if not _is_command(words)] == [["serv"]]
    assert not _is_command(["erase", "--cleint", "a", "p1"])


# -------------------------------------------------------------------------------------------------- the pages that walk


def steps(text: str) -> Iterator[tuple[str, str, str]]:
    """(commands, language, what must come) of each block for a shell; where nothing follows, nothing is promised."""
    found = blocks(text)
    for (language, body), (kind, follows) in zip(found, [*found[1:], ("", "")], strict=True):
        if language == "sh":
            yield body, kind if kind in ("json", "text") else "", follows


def run(body: str, folder: Path) -> str:
    """What the commands print on both streams; fails where one of them does."""
    done = subprocess.run(
        ["bash", "-euo", "pipefail", "-c", body],
        cwd=folder,
        env=environment(folder),
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        timeout=60,
    )
    assert done.returncode == 0, done.stdout
    return done.stdout


def holds(told: Any, expected: Any) -> bool:
    """Whether all that was expected is there: members of objects, and elements of lists in whatever place."""
    if isinstance(expected, dict):
        return isinstance(told, dict) and all(name in told and holds(told[name], expected[name]) for name in expected)
    if isinstance(expected, list):
        return isinstance(told, list) and all(any(holds(one, other) for one in told) for other in expected)
    return bool(told == expected)


def follow(text: str, folder: Path, address: str) -> int:
    """Does what a page says, with the service at this address; fails where something else comes. Gives the steps."""
    done = list(steps(text))
    for body, kind, expected in done:
        printed = run(body.replace(HERE, address), folder)
        if kind == "json":
            _check_json(json.loads(printed), json.loads(expected))
        elif kind == "text":
            assert [line for line in expected.splitlines() if _spaced(line) not in _spaced(printed)] == [], printed
    return len(done)


def _check_json(told: Any, expected: Any) -> None:
    """Fails where something is missing, and where there is a card that the page does not show."""
    assert holds(told, expected)
    assert len(told.get("cards", [])) == len(expected.get("cards", []))


def _spaced(text: str) -> str:
    """The text whose columns stand one blank apart."""
    return re.sub(" +", " ", text)


@pytest.fixture(scope="module", name="service")
def _service(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Running]:
    with running(tmp_path_factory.mktemp("service")) as service:
        yield service


def test_the_first_five_minutes_are_as_the_page_says(service: Running, tmp_path: Path) -> None:
    assert follow(page("start.md"), tmp_path, service.address) == 6


def test_a_response_is_handed_over_as_the_page_says(service: Running, tmp_path: Path) -> None:
    (shown,) = [body for _, body in blocks(page("fhir.md")) if "/examples/" in body]

    assert run(shown.replace(HERE, service.address), tmp_path).count("HTTP/1.1 201 ") == 1


def test_a_second_screening_is_made_as_the_page_says(tmp_path: Path) -> None:
    text = section(page("content.md"), "## A second screening, step by step")
    for name, there in {"tests": ROOT / "tests", "cards": ROOT / "cards", ".venv": VENV}.items():
        (tmp_path / name).symlink_to(there)
    making, _, serving = text.partition("**6. Serve it**")

    assert follow(making, tmp_path, HERE) == 5
    with running(tmp_path, CDS_CONTENT=str(tmp_path / "my-content")) as service:
        assert follow(serving, tmp_path, service.address) == 1


def test_the_feedback_that_the_page_shows_is_taken_and_its_reason_is_one_of_ours(screening: Screening) -> None:
    ((_, shown),) = [one for one in blocks(page("connect.md")) if one[0] == "json"]

    (entry,) = read_feedback(json.loads(shown))
    assert entry.override_reason is not None
    assert entry.override_reason.reason is not None
    reason = entry.override_reason.reason
    (system,) = [one for one in screening.resources if one["url"] == reason.system]
    assert reason.code in {concept["code"] for concept in system["concept"]}
