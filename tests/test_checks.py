"""What is looked at before a commit, by `make check`, and by `make test` is the same."""

import subprocess
from pathlib import Path

import pytest
import yaml

pytestmark = pytest.mark.timeless

ROOT = Path(__file__).parent.parent


def test_before_a_commit_stands_what_make_check_does_and_nothing_else() -> None:
    (repository,) = yaml.safe_load((ROOT / ".pre-commit-config.yaml").read_text("utf-8"))["repos"]
    (hook,) = repository["hooks"]

    assert (repository["repo"], hook["entry"], hook["always_run"]) == ("local", "make check", True)


def test_make_check_and_make_test_run_the_same_checks() -> None:
    make = ["make", "--no-print-directory", "-n", "check"]  # a make within a make names its folder
    told = subprocess.run(make, cwd=ROOT, capture_output=True, text=True, check=True).stdout
    (first, *_) = [
        line for line in (ROOT / "scripts/test").read_text("utf-8").splitlines() if line.startswith("scripts")
    ]

    assert told.endswith("scripts/check\n")
    assert first == "scripts/check"


def test_the_hook_can_be_installed(tmp_path: Path) -> None:
    git = ["git", "-C", str(tmp_path)]
    subprocess.run([*git, "init", "--quiet"], check=True)
    (tmp_path / ".pre-commit-config.yaml").write_bytes((ROOT / ".pre-commit-config.yaml").read_bytes())
    tool = [str(ROOT / ".venv-tools/bin/pre-commit")]

    subprocess.run([*tool, "validate-config"], cwd=tmp_path, check=True, capture_output=True)
    subprocess.run([*tool, "install"], cwd=tmp_path, check=True, capture_output=True)

    assert (tmp_path / ".git/hooks/pre-commit").is_file()
