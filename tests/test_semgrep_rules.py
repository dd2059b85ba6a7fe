"""Our own rules over the source (security/semgrep): each finds what it is for, and nothing of it stands in the code."""

import re
import subprocess
from pathlib import Path

import pytest

from tests.locks import ROOT

pytestmark = pytest.mark.timeless
FOLDER = ROOT / "security/semgrep"
RULES = {
    "call-from-elsewhere",
    "call-that-follows-redirects",
    "call-without-timeout",
    "certificate-not-checked",
    "clock-without-zone",
    "command-for-a-shell",
    "data-as-code",
    "environment-trusted",
    "exception-text-answered",
    "exception-text-written",
    "guessable-random",
    "keys-fetched-by-a-library",
    "lenient-json",
    "markup-from-text",
    "printed",
    "script-in-an-attribute",
    "secret-compared",
    "server-of-the-framework",
    "sql-from-text",
    "style-or-script-in-a-page",
    "traceback-written",
    "value-not-escaped",
    "weak-hash",
    "what-was-sent-written",
}
SEMGREP = ("--metrics=off", "--disable-version-check")


@pytest.fixture(scope="module", name="semgrep", autouse=True)
def _semgrep() -> Path:
    """semgrep, installed when it is not there yet."""
    subprocess.run([ROOT / "scripts/tools"], check=True)
    return ROOT / ".venv-tools/bin/semgrep"


def named(pattern: str, kind: str) -> set[str]:
    """The rules that are named so in the files of that kind."""
    found = [re.findall(pattern, path.read_text("utf-8"), re.MULTILINE) for path in FOLDER.glob(kind)]
    return {name for names in found for line in names for name in line.split(", ")}


def test_no_rule_was_lost() -> None:
    assert named(r"^  - id: (\S+)$", "*.yaml") == RULES


def test_each_rule_has_a_sample_that_it_finds_and_one_that_it_passes() -> None:
    samples = "*.[pj]*"  # .py and .jinja

    assert named(r"^ *# ruleid: (.+)$", samples) == RULES
    assert named(r"^ *# ok: (.+)$", samples) == RULES


def test_each_rule_finds_its_samples_and_no_other_line_of_them(semgrep: Path) -> None:
    done = subprocess.run([semgrep, "--test", *SEMGREP, FOLDER], capture_output=True, text=True)

    assert done.returncode == 0, done.stdout + done.stderr
    assert f"{len(RULES)}/{len(RULES)}: ✓ All tests passed" in done.stdout + done.stderr


def test_what_is_found_fails_the_command(tmp_path: Path) -> None:
    (tmp_path / "module.py").write_text("from datetime import datetime\n\nnow = datetime.now()\n", "utf-8")

    done = subprocess.run([ROOT / "scripts/rules", tmp_path], capture_output=True, text=True)

    assert done.returncode == 1, done.stdout + done.stderr
    assert "clock-without-zone" in done.stdout
