"""For mkdocs.yml: pages from the top of the repository, and links that leave docs/.

On a page of the repository a link to a source file opens it. The site holds no source files: there the link becomes the
name of the file. A file that is not there is a warning, and so an error of the build.
"""

import logging
import os
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from mkdocs.structure.files import File, Files

ROOT = Path(__file__).parent.parent
DOCS = ROOT / "docs"
TOP = {ROOT / f"{name.upper()}.md": f"{name}.md" for name in ("changelog", "contributing", "security")}
_CODE = r"^ *```.*?^ *```|`[^`\n]+`"  # in which nothing is a link
_LINK = re.compile(rf"{_CODE}|(?<!!)\[([^\]]*)\]\((?!\w+:|#)([^)\s#]+)(#[^)\s]*)?\)", re.DOTALL | re.MULTILINE)

log = logging.getLogger("mkdocs.docs_links")


def on_config(config: Any) -> None:
    """`folder/*.md` in the nav stands for every page of that folder, its index first."""
    config.nav = _with_folders(config.nav)


def on_files(files: Files, *, config: Any) -> None:
    """The pages from the top of the repository."""
    for path, name in TOP.items():
        files.append(File.generated(config, name, abs_src_path=str(path)))


def on_page_markdown(markdown: str, *, page: Any, **_: Any) -> str:
    """The page with its links as the site has them, and its lists as this Markdown reads them."""
    source = Path(page.file.abs_src_path)
    linked = _LINK.sub(lambda link: _as_here(link, source, page.file.src_uri), markdown)
    return "\n".join(_lists_apart(linked.splitlines()))


def _as_here(link: re.Match[str], source: Path, name: str) -> str:
    if link[2] is None:
        return link[0]
    text, target, anchor = link[1], Path(os.path.normpath(source.parent / link[2])), link[3] or ""
    if (target.is_relative_to(DOCS) and target.is_file()) or target in TOP:
        there = TOP.get(target) or target.relative_to(DOCS).as_posix()
        return f"[{text}]({os.path.relpath(there, os.path.dirname(name))}{anchor})"  # noqa: PTH120 - no file of ours
    if not target.exists() or not target.is_relative_to(ROOT):
        log.warning("%s: links to %s, which is not there; write a path that is", name, link[2])
    path = f"{target.relative_to(ROOT)}" if target.is_relative_to(ROOT) else link[2]
    return text if path in text or Path(path).name in text else f"{text} (`{path}`)"


def _lists_apart(lines: list[str]) -> Iterator[str]:
    """A list may begin right after a line of text or a block of code; this Markdown wants a blank line before it."""
    before, fenced = "", False
    for line in lines:
        after_text = (before.strip() and not before.startswith(("- ", "  "))) or before.strip() == "```"
        if line.startswith("- ") and after_text and not fenced:
            yield ""
        fenced ^= line.lstrip().startswith("```")
        yield line
        before = line


def _with_folders(nav: Any) -> Any:
    if isinstance(nav, list):
        return [_with_folders(one) for one in nav]
    if isinstance(nav, dict):
        return {title: _with_folders(one) for title, one in nav.items()}
    if not nav.endswith("/*.md"):
        return nav
    pages = sorted((DOCS / nav).parent.glob("*.md"), key=lambda path: (path.name != "index.md", path.name))
    return [path.relative_to(DOCS).as_posix() for path in pages]
