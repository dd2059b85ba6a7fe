"""The table of where things are: every module is in it, and everything that it names is there."""

import re
from pathlib import Path

import pytest

from tests.conftest import ROOT
from tests.documented import page, section

pytestmark = pytest.mark.timeless  # nothing in it is dated

NAMED = set(
    re.findall(r"`([^` ]+/[^` ]*|[A-Za-z]+|[a-z]+\.yaml)`", section(page("how-it-works.md"), "## Where is what"))
)
TOO_MANY = {"cds_service/", "./"}  # whose modules are each about something else


def modules(package: str) -> list[Path]:
    found = [path for path in (ROOT / package).rglob("*.py") if not path.name.startswith("__")]
    return [path.relative_to(ROOT) for path in found]


def test_everything_that_the_table_names_is_there() -> None:
    assert len(NAMED) > 100
    assert [name for name in sorted(NAMED) if not (ROOT / name).exists()] == []


@pytest.mark.parametrize("package", ["cds_service", "cds_content", "cds_proof"])
def test_every_module_is_in_the_table_itself_or_with_its_folder(package: str) -> None:
    folders = {path: {f"{folder}/" for folder in path.parents} - TOO_MANY for path in modules(package)}

    assert len(folders) >= 7
    assert [str(path) for path, above in folders.items() if not NAMED & {str(path), *above}] == []
