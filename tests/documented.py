"""The pages of the documentation as tests read them: tables under their headings, blocks of code, command lines."""

import re
import shlex
from collections.abc import Iterator
from pathlib import Path

import click

from cds_service.cli import commands
from tests.conftest import ROOT

DOCS = ROOT / "docs"
_context = click.Context(commands)
COMMANDS = {name: commands.get_command(_context, name) or commands for name in commands.list_commands(_context)}
_BLOCK = re.compile(r"^( *)```(\w+)\n(.*?)^\1```$", re.MULTILINE | re.DOTALL)


def page(name: str) -> str:
    """The text of a page of docs/."""
    return (DOCS / name).read_text("utf-8")


def pages() -> list[Path]:
    """What people read: docs/, but for tables that are made from data, and the pages at the top of the repository."""
    made = {"requirements.md", "fhir-requirements.md", "mutants.md", "content-mutations.md"}
    written = [path for path in sorted(DOCS.rglob("*.md")) if path.name not in made]
    return [*written, *(ROOT / f"{name}.md" for name in ("README", "CONTRIBUTING", "SECURITY"))]


def section(text: str, heading: str) -> str:
    """What stands under a heading, until the next of its level or a higher one. Fails where it is not there once."""
    level = len(heading) - len(heading.lstrip("#"))
    parts = re.split(rf"^{re.escape(heading)}$", text, flags=re.MULTILINE)
    assert len(parts) == 2, f"{heading}: is there {len(parts) - 1} times"
    return re.split(rf"^#{{1,{level}}} ", parts[1], maxsplit=1, flags=re.MULTILINE)[0]


def rows(text: str) -> list[list[str]]:
    """The rows of all tables: their cells. Heads and rules between are left out."""
    lines = [line.strip()[1:-1] for line in text.splitlines() if line.startswith("| `")]
    return [[cell.strip() for cell in re.split(r"(?<!\\)\|", line)] for line in lines]


def keys(text: str) -> list[str]:
    """What stands in code letters in the first column of the tables."""
    return [key for row in rows(text) for key in re.findall(r"`([^`]+)`", row[0])]


def blocks(text: str) -> list[tuple[str, str]]:
    """(language, text) of each block of code, in their order."""
    return [(language, body) for _, language, body in _BLOCK.findall(text)]


def command_lines(text: str) -> Iterator[list[str]]:
    """The words of each line that calls cds-service: in code letters, in a block, or after settings and a path."""
    inline = re.findall(r"`([^`\n]*\bcds-service [^`\n]+)`", re.sub(r"^ *```.*?^ *```", "", text, flags=re.M | re.S))
    indented = re.findall(r"^(?: {4}|(?=\S))([^`|#\n]*\bcds-service [a-z-].*)$", "\n".join(_shell_lines(text)), re.M)
    for line in [*inline, *indented]:
        found = re.search(r"(?:^|[\s/=])cds-service ((?:--?)?[a-z].*)", line)
        if found:
            yield shlex.split(re.split(r" *(?:\|\||&&|[|;>]|2>|\\$)", found[1])[0])


def _shell_lines(text: str) -> Iterator[str]:
    """The lines of shell blocks, and those that are indented as code."""
    for language, body in blocks(text):
        if language in ("sh", "bash", "yaml", "ini"):
            yield from body.splitlines()
    yield from (line for line in text.splitlines() if line.startswith("    "))
