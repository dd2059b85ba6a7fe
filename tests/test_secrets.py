"""No secret stands in the repository: keys and tokens of the tests are made when the tests run."""

import re
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest

pytestmark = pytest.mark.timeless  # nothing in it is dated

ROOT = Path(__file__).parent.parent
# The forms in which secrets are known to leak. Written so that no line of this file is of such a form.
FORMS = {
    "private key": r"-----BEGIN (?:[A-Z]+ )*PRIVATE KEY-----\s+[A-Za-z0-9+/=]{40}",
    "private JWK": r"\"d\"\s*:\s*\"[A-Za-z0-9_-]{40,}\"",
    "JWT": r"\beyJ[A-Za-z0-9_-]{10,}\.eyJ[A-Za-z0-9_-]{10,}\.[A-Za-z0-9_-]{20,}",
    "bearer token": r"(?i)bearer [a-z0-9_.~+/-]{40,}",
    "key of a cloud": r"\b(?:AKIA|ASIA)[A-Z0-9]{16}\b|\bAIza[A-Za-z0-9_-]{35}\b",
    "token of a code host": r"\b(?:gh[pousr]_[A-Za-z0-9]{36}|github_pat_[A-Za-z0-9_]{60,}|glpat-[A-Za-z0-9_-]{20})\b",
    "token of a registry": r"\b(?:pypi-[A-Za-z0-9_-]{50,}|npm_[A-Za-z0-9]{36})\b",
    "token of a chat": r"\bxox[abprs]-[A-Za-z0-9-]{20,}",
    "password in an address": r"\b[a-z+]+://[^\s/:@\"'`{}<>]+:(?!(?:password|s[e3]cret)@)[^\s/:@\"'`{}<>]{3,}@[a-z0-9]",
    "secret in a setting": r"(?i)\bCDS_(?:PATIENT_KEY|METRICS_TOKEN)\s*=\s*[\"']?[0-9a-f]{32,}",
}


def found(text: str) -> set[str]:
    """The names of the forms of secrets in this text."""
    return {name for name, form in FORMS.items() if re.search(form, text)}


def tracked() -> Iterator[tuple[str, str]]:
    """Every text file that git keeps or would keep: name and content."""
    listed = subprocess.run(
        ["git", "ls-files", "-z", "--cached", "--others", "--exclude-standard"],
        cwd=ROOT,
        check=True,
        capture_output=True,
        text=True,
    )
    for name in listed.stdout.split("\0"):
        path = ROOT / name
        if name and path.is_file():
            yield name, path.read_bytes().decode("utf-8", "replace")


def test_no_file_holds_a_secret_of_a_known_form() -> None:
    files = dict(tracked())

    assert len(files) > 100
    assert {name: kinds for name, text in files.items() if (kinds := found(text))} == {}


LETTERS = "Ab3" * 40
SAMPLES = {
    "private key": f"-----BEGIN EC PRIVATE {'KEY'}-----\n{LETTERS}",
    "private JWK": f'{{"d": "{LETTERS}"}}',
    "JWT": f"eyJ{LETTERS}.eyJ{LETTERS}.{LETTERS}",
    "bearer token": f"Authorization: Bearer {LETTERS}",
    "key of a cloud": f"AKIA{'A' * 16}",
    "token of a code host": f"ghp_{LETTERS[:36]}",
    "token of a registry": f"pypi-{LETTERS}",
    "token of a chat": f"xoxb-{LETTERS}",
    "password in an address": f"postgresql://cds:{LETTERS}@db.example/cds",
    "secret in a setting": f"CDS_PATIENT_KEY={'ab' * 32}",
}


@pytest.mark.parametrize("name", FORMS)
def test_each_form_is_found(name: str) -> None:
    assert name in found(SAMPLES[name])


def test_the_address_in_the_readme_is_no_secret() -> None:
    assert found("`postgresql://user:password@host/name`") == set()
