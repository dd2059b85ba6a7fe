"""Whether a call costs more when ten screenings are loaded instead of one."""

import shutil
import subprocess
from functools import partial
from pathlib import Path
from tempfile import TemporaryDirectory

from benchmarks.goals import Goal
from benchmarks.service import COMMAND, ROOT, requests, served
from benchmarks.turns import cpu, measured, ratios, said, turns

SECOND, NAME = ROOT / "tests" / "second_screening", "neck-check"
COPIES = 9


def goals(rounds: int, *, quick: bool) -> list[Goal]:
    """The same call to the same screening; beside it nine copies of another, each under a name of its own."""
    called = requests(200 if quick else 1500)
    with TemporaryDirectory() as one, TemporaryDirectory() as other:
        loaded = str(content(Path(other) / "content"))
        with served(Path(one)) as few, served(Path(other), CDS_CONTENT=loaded) as many:
            found = turns(rounds, {"one": partial(measured, [few], called), "ten": partial(measured, [many], called)})
    figures = f"ten {said(found['ten'])}; one {said(found['one'])}"
    title = "ten: CPU per call, ten screenings loaded / one"
    return [Goal(title, "<= 1.10", None, 1.10, ratios(cpu(found["ten"]), cpu(found["one"])), figures)]


def content(root: Path) -> Path:
    """The project's own screening and the copies. Raises CalledProcessError when the content check finds a mistake."""
    for folder in ("questionnaires", "cards"):
        shutil.copytree(ROOT / folder, root / folder)
        for number in range(1, COPIES + 1):
            _copy(SECOND / folder / NAME, root / folder / f"{NAME}-{number}")
    settings = {"CDS_CONTENT": str(root), "CDS_DEVELOPMENT": "1"}
    subprocess.run([COMMAND, "check"], env=settings, capture_output=True, check=True)  # noqa: S603 - our own command
    return root


def _copy(source: Path, to: Path) -> None:
    """With every address and every name of a service changed."""
    to.mkdir()
    for path in source.iterdir():
        text = path.read_text("utf-8").replace(NAME, to.name)
        (to / path.name).write_text(text, "utf-8")
