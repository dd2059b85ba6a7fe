"""Our commands in processes of their own that begin with the modules read: to read them takes a second for each.

They differ from what a shell starts in nothing else; that those begin as well is tried where the program itself is run.
"""

import multiprocessing
import os
import sys
from pathlib import Path
from subprocess import CompletedProcess

from cds_service.cli import main

LONG = 60  # seconds
# One process reads the modules for all tests: it can be told only once what to read, so all of it stands here.
context = multiprocessing.get_context("forkserver")
context.set_forkserver_preload(
    ["pytest", "cds_service.cli_records", __name__, "tests.test_crash", "tests.test_store_race"]
)


def cds_service(folder: Path, settings: dict[str, str], *words: str) -> CompletedProcess[str]:
    """What `cds-service WORDS` does in this folder with this environment; fails where it does not end by itself."""
    process = context.Process(target=_run, args=(words, settings, folder))
    process.start()
    process.join(timeout=LONG)
    code = process.exitcode
    process.kill()
    process.join()
    said, errors = ((folder / name).read_text("utf-8") for name in ("said", "errors"))
    assert code is not None, f"{words[0]} did not end by itself: {errors}"
    return CompletedProcess(words, code, said, errors)


def _run(words: tuple[str, ...], settings: dict[str, str], folder: Path) -> None:
    os.environ.clear()
    os.environ.update(settings)
    os.chdir(folder)
    for number, file in ((1, "said"), (2, "errors")):
        os.dup2(os.open(folder / file, os.O_WRONLY | os.O_CREAT | os.O_TRUNC), number)
    sys.argv = ["cds-service", *words]
    main()
