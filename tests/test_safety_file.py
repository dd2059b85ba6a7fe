"""The safety file is whole and true: every hazard has tests that exist and pass, and its pages are current.

The tests of the hazards run once more in a process of their own, so that the log holds by itself.
"""

import re
import subprocess
import sys
from pathlib import Path

import pytest

from cds_content.loading import load
from tests.conftest import ROOT
from tests.safety_file import IDS, MORE, SAFETY, hazards, hazards_page, traceability_page

pytestmark = pytest.mark.timeless  # the tests of the hazards run in another process

(CONTENT,) = load(ROOT)
LOG = hazards()
TESTS = sorted(
    {test for one in LOG.values() for test in one["tests"]} | {test for more in MORE.values() for test in more}
)
FIELDS = {"hazard", "cause", "harm", "mitigation", "where", "tests", "residual"}
PAGES = [*SAFETY.glob("*.md"), ROOT / "README.md"]
LINK = re.compile(r"\]\(([^)\s]+)\)")


def collected(*options: str) -> subprocess.CompletedProcess[str]:
    """pytest of the tests of the log, with its own short output."""
    command = [sys.executable, "-m", "pytest", "-o", "addopts=--strict-markers", "-q", "-p", "no:cacheprovider"]
    return subprocess.run([*command, *options, *TESTS], cwd=ROOT, capture_output=True, text=True, check=False)


def test_every_hazard_is_in_the_log_with_all_its_fields() -> None:
    assert tuple(LOG) == IDS
    for id_, one in LOG.items():
        assert one.keys() == FIELDS, id_
        assert all(one[field] for field in FIELDS), id_
        assert 2 <= len(one["tests"]) == len(set(one["tests"])) <= 5, id_


def test_every_place_that_the_log_names_is_there() -> None:
    places = [place for one in LOG.values() for place in one["where"]]

    assert [place for place in places if not (ROOT / place).exists()] == []


def test_every_test_that_the_safety_file_names_passes() -> None:
    """pytest ends with 4 where a test that is named is not there, with 1 where one fails."""
    run = collected()

    *_, last = run.stdout.strip().splitlines()
    assert run.returncode == 0, run.stdout + run.stderr
    assert re.fullmatch(r"\d+ passed in .*", last), "none may be skipped or left out"
    assert int(last.split()[0]) >= len(TESTS)


def test_the_hazard_log_is_what_its_data_say() -> None:
    assert (SAFETY / "hazards.md").read_text("utf-8") == hazards_page(CONTENT), "run `make safety`"


def test_the_traceability_is_what_content_and_tests_say() -> None:
    assert (SAFETY / "traceability.md").read_text("utf-8") == traceability_page(CONTENT), "run `make safety`"


@pytest.mark.parametrize("page", PAGES, ids=[page.name for page in PAGES])
def test_every_relative_link_leads_to_a_file(page: Path) -> None:
    text = re.sub(r"```.*?```|`[^`\n]*`", "", page.read_text("utf-8"), flags=re.DOTALL)  # code holds no links
    links = [link.partition("#")[0] for link in LINK.findall(text)]
    relative = [link for link in links if link and not re.match(r"[a-z]+:", link)]

    assert [link for link in relative if not (page.parent / link).exists()] == []


@pytest.mark.parametrize("name", ["README.md", "intended-use.md", "open-choices.md", "manufacturer.md"])
def test_every_page_that_is_written_by_hand_is_reached_from_the_index(name: str) -> None:
    index = (SAFETY / "README.md").read_text("utf-8")

    assert name == "README.md" or f"]({name})" in index


def test_the_index_says_what_the_product_is_not() -> None:
    said = " ".join((SAFETY / "README.md").read_text("utf-8").split())

    assert "not a certified medical device" in said
    assert "no clinician has signed" in said
