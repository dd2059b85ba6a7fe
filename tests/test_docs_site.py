"""The documentation as a site: it builds without a warning, loads nothing from elsewhere, and names what there is."""

import re
import subprocess
import tomllib
from collections.abc import Iterator
from functools import partial
from html.parser import HTMLParser
from http.server import SimpleHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import pytest

from cds_content.screening import Screening
from tests.browser.conftest import chromium
from tests.browser.reader import reading
from tests.conftest import ROOT
from tests.wire import answering

pytestmark = pytest.mark.timeless  # another program does the work

DOCS = ROOT / "docs"
# What a browser fetches by itself when it shows a page: element and attribute.
LOADED = {
    ("script", "src"),
    ("link", "href"),
    ("img", "src"),
    ("img", "srcset"),
    ("iframe", "src"),
    ("source", "src"),
    ("source", "srcset"),
    ("video", "src"),
    ("object", "data"),
    ("use", "href"),
}
PATH = re.compile(r"`((?:cds_\w+|cards|docs|examples|questionnaires|scripts|tests)/[\w./-]*)`")


@pytest.fixture(scope="module", name="site")
def _site(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The site, as `make docs` builds it; fails for whatever is wrong in a link, an anchor or the list of pages."""
    folder = tmp_path_factory.mktemp("site")
    done = subprocess.run([ROOT / "scripts/docs", folder], capture_output=True, text=True, timeout=120)
    assert done.returncode == 0, done.stderr
    return folder


class _Loads(HTMLParser):
    """What a page loads, and whether it asks for a diagram, whose program the theme would fetch from elsewhere."""

    def __init__(self) -> None:
        super().__init__()
        self.found: list[str] = []
        self.diagrams = 0

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.found += [value or "" for name, value in attrs if (tag, name) in LOADED]
        self.found += re.findall(r"url\(([^)]*)\)", dict(attrs).get("style") or "")
        self.diagrams += "mermaid" in (dict(attrs).get("class") or "").split()


def test_every_page_of_the_documentation_is_in_the_site(site: Path) -> None:
    pages = [path for path in DOCS.rglob("*.md") if path.name != "README.md"]
    assert len(pages) > 30
    for path in pages:
        assert (site / path.relative_to(DOCS)).with_suffix(".html").is_file()
    for name in ("security", "contributing", "changelog", "safety/index"):
        assert (site / f"{name}.html").is_file()


def test_no_page_loads_anything_from_elsewhere(site: Path) -> None:
    for path in site.rglob("*.html"):
        page = _Loads()
        page.feed(path.read_text("utf-8"))
        assert len(page.found) > 3, path
        assert [one for one in page.found if "//" in one.replace("data:", "")] == [], path
        assert page.diagrams == 0, path


def test_every_list_of_a_page_is_a_list_in_the_site(site: Path) -> None:
    """Those of the sources may begin right after a line of text, as in decision 12, or after a block of code."""
    for path in site.rglob("*.html"):
        assert re.findall(r"<p>- .*|\n- <code>.*", path.read_text("utf-8")) == [], path


def test_no_style_loads_anything_from_elsewhere(site: Path) -> None:
    styles = list(site.rglob("*.css"))
    assert styles
    for path in styles:
        text = path.read_text("utf-8")
        assert re.findall(r"""(?:url\(|@import)\s*["']?(?:https?:)?//[^)"']*""", text) == [], path


@pytest.mark.browser
def test_a_browser_that_reads_and_searches_it_asks_nobody_else_and_has_no_complaint(site: Path) -> None:
    class Quiet(SimpleHTTPRequestHandler):
        def log_message(self, *_: object) -> None:
            """Nothing on standard error."""

    server = ThreadingHTTPServer(("127.0.0.1", 0), partial(Quiet, directory=str(site)))
    address = f"http://127.0.0.1:{server.server_port}"
    with answering(server), chromium() as browser, reading(browser, address, "en") as reader:
        for name in ("how-it-works", "safety/mutants", "content"):
            reader.open(f"/{name}.html")
        page = reader.open("/index.html")
        page.get_by_role("textbox", name="Search").press_sequentially("tenant")  # it listens for keys
        page.locator(".md-search-result__link", has_text="cds-service erase").first.wait_for()


@pytest.mark.parametrize(
    ("page", "wrong", "says"),
    [
        ("start.md", "[x](nowhere.md)", "nowhere.md"),
        ("start.md", "[x](settings.md#no-such-heading)", "no-such-heading"),
        ("start.md", "[x](../cds_service/nowhere.py)", "nowhere.py"),
        ("lost.md", "# A page that the nav does not name", "lost.md"),
    ],
)
def test_what_is_wrong_in_a_page_ends_the_build(page: str, wrong: str, says: str, tmp_path: Path) -> None:
    copy = _small_copy(tmp_path)
    with (copy / "docs" / page).open("a", encoding="utf-8") as text:
        text.write(f"\n{wrong}\n")

    done = subprocess.run([copy / "scripts/docs", tmp_path / "site"], capture_output=True, text=True, timeout=120)

    assert done.returncode != 0
    assert says in done.stderr


def _small_copy(folder: Path) -> Path:
    """A repository with three pages, built by the same scripts with the same settings."""
    for name in ("docs", "scripts"):
        (folder / name).mkdir()
    for name in ("scripts/docs", "scripts/docs_links.py"):
        (folder / name).write_bytes((ROOT / name).read_bytes())
        (folder / name).chmod(0o755)
    for name in ("CHANGELOG", "CONTRIBUTING", "SECURITY", "docs/index", "docs/start", "docs/settings"):
        (folder / f"{name}.md").write_text("# A page\n", "utf-8")
    (folder / ".venv-tools").symlink_to(ROOT / ".venv-tools")
    settings = (ROOT / "mkdocs.yml").read_text("utf-8").partition("\nnav:\n")[0]
    pages = "".join(
        f"  - {name}.md\n" for name in ("index", "start", "settings", "changelog", "contributing", "security")
    )
    (folder / "mkdocs.yml").write_text(f"{settings}\nnav:\n{pages}", "utf-8")
    return folder


def test_that_small_copy_builds_where_nothing_is_wrong(tmp_path: Path) -> None:
    done = subprocess.run([_small_copy(tmp_path) / "scripts/docs", tmp_path / "site"], capture_output=True, text=True)

    assert done.returncode == 0, done.stderr


def named_paths() -> Iterator[tuple[str, str]]:
    """Every path that one of our own pages names in code letters, with its page."""
    for path in [
        *DOCS.glob("*.md"),
        DOCS / "pictures/way-of-the-data.svg",
        ROOT / "README.md",
        ROOT / "CONTRIBUTING.md",
    ]:
        text = path.read_text("utf-8")
        found = PATH.findall(text) if path.suffix == ".md" else re.findall(r">((?:cds_service|tests)/[\w./]+)<", text)
        yield from ((path.name, one) for one in found)


def test_every_path_that_a_page_names_is_there() -> None:
    named = set(named_paths())

    assert {"how-it-works.md", "way-of-the-data.svg"} <= {page for page, _ in named}
    assert sorted((page, one) for page, one in named if not (ROOT / one).exists()) == []


def test_the_picture_names_every_step_of_the_way_and_its_test() -> None:
    picture = (DOCS / "pictures/way-of-the-data.svg").read_text("utf-8")
    steps = ["HTTP in", "hooks", "prefetch", "answers", "findings", "advice", "cards", "HTTP out"]

    assert re.findall(r'font-weight="bold">([^<]+)</tspan>', picture) == steps
    assert len(re.findall(r">tests/[\w./]+<", picture)) == len(steps)
    assert "://" not in picture.replace("http://www.w3.org/2000/svg", "")


def test_every_finding_is_where_the_page_says(screening: Screening) -> None:
    name = screening.name
    rules = (ROOT / f"questionnaires/{name}/findings.toml").read_text("utf-8")
    cards = tomllib.loads((ROOT / f"cards/{name}/advice.toml").read_text("utf-8"))
    patients = {
        row
        for one in tomllib.loads((ROOT / "tests/patients.toml").read_text("utf-8"))["patient"]
        for row in one["rows"]
    }
    traced, second = (
        (ROOT / path).read_text("utf-8") for path in ("docs/safety/traceability.md", "tests/second_opinion.toml")
    )
    review = (ROOT / f"cards/{name}/review.md").read_text("utf-8")

    for one in screening.findings:
        assert f"[finding.{one.row}]" in rules
        assert one.advice in cards
        assert one.row in patients
        assert one.row in review
        assert one.computed or f'"{one.row}"' in second
        assert re.search(rf"\b{one.row}\b", traced)


def test_every_decision_is_in_the_list_under_its_own_title() -> None:
    listed = (DOCS / "decisions/index.md").read_text("utf-8")
    records = sorted((DOCS / "decisions").glob("0*.md"))

    assert len(records) > 20
    for path in records:
        number, _, title = path.read_text("utf-8").splitlines()[0].removeprefix("# ").partition(". ")
        assert f"| [{number}]({path.name}) | {title} |" in listed
