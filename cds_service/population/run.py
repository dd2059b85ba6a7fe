"""A run: its manifest, its parts, and the output. What was killed goes on where it was; no part is done twice."""

import fcntl
import json
import os
import shutil
from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import asdict, dataclass, replace
from datetime import datetime
from pathlib import Path
from typing import Any

from cds_service import __version__, strict_json
from cds_service.errors import SettingsError
from cds_service.population.inputs import Chunk, Source, again, chunks
from cds_service.population.parts import join, renamed
from cds_service.population.patients import write_patients
from cds_service.population.work import Work, part

_HALF = ".*.tmp"  # what was not written to its end
_FORMAT = 1  # of parts and manifest: another one cannot be gone on with
Do = Callable[
    [Work, Sequence[Chunk]], Iterator[int]
]  # does the chunks, in any order, and gives the number of each done


@dataclass(frozen=True)
class Asked:
    """What is to be done: from which files, into which output, in chunks of how many bytes."""

    work: Work
    inputs: tuple[Source, ...]
    patients: tuple[Source, ...]
    output: Path
    size: int


@dataclass(frozen=True)
class Result:
    """How many rows have which disposition and reason, and how many lines of the Patients could not be read."""

    counted: Counter[tuple[str, str]]
    patients_unread: int


def folder_of(output: Path) -> Path:
    """Where the parts of an output are until it is whole."""
    return output.with_name(f"{output.name}.parts")


def run(asked: Asked, do: Do, told: Callable[[int], object], *, at: bool, anew: bool) -> Result:
    """Does what is left to do, and writes the output. `told` hears how many bytes of the input are done.

    `at` says whether the moment was asked for; otherwise a run that is gone on with keeps its own. Raises SettingsError
    where the output is there already, another run has these parts, or this one cannot go on.
    """
    _check_output(asked.output, anew=anew)
    with _held(folder_of(asked.output), anew=anew) as folder:
        work, unread = _begun(asked, folder, at)
        every = chunks(asked.inputs, asked.size)
        left = [chunk for chunk in every if not part(work, chunk.number).exists()]
        done = {chunk.number: chunk.end - chunk.start for chunk in every}
        told(sum(done.values()) - sum(done[chunk.number] for chunk in left))
        for number in do(work, left):
            told(done[number])
        _check_same((*asked.inputs, *asked.patients))
        result = Result(_joined(work, every, asked.output), unread)
        shutil.rmtree(folder)
        return result


def _check_output(output: Path, *, anew: bool) -> None:
    if output.exists() and not anew:
        raise SettingsError(f"--out: {output} is there already; write another name, or --anew to replace it")
    if not os.access(output.parent, os.W_OK):
        raise SettingsError(f"--out: {output.parent} is no folder that can be written; write another")


@contextmanager
def _held(folder: Path, *, anew: bool) -> Iterator[Path]:
    """The folder of the parts, for this run alone, without what a killed one left half done."""
    try:
        folder.mkdir(mode=0o700, exist_ok=True)
        lock = os.open(folder, os.O_RDONLY)
    except OSError as error:
        raise SettingsError(f"--out: {folder} cannot be written ({error.strerror}); write another") from None
    try:
        fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        _clear(folder, "*" if anew else _HALF)
        try:
            yield folder
        finally:
            _clear(folder, _HALF)
    except BlockingIOError:
        raise SettingsError(f"{folder}: another run is writing it; wait for its end, or write another --out") from None
    finally:
        os.close(lock)


def _clear(folder: Path, names: str) -> None:
    for old in folder.glob(names):
        old.unlink(missing_ok=True)


def _begun(asked: Asked, folder: Path, at: bool) -> tuple[Work, int]:
    """The work of this run, or of the one that is gone on with, and how many lines of the Patients cannot be read."""
    path = folder / "manifest.json"
    if not path.exists():
        unread = write_patients(folder / "patients.sqlite", chunks(asked.patients, asked.size)) if asked.patients else 0
        with renamed(path) as file:
            file.write(json.dumps(_manifest(asked) | {"patients_unread": unread}, indent=1).encode())
        return asked.work, unread
    begun = strict_json.read_own(path.read_bytes())
    now = asked.work.now if at else datetime.fromisoformat(begun["now"])
    asked = replace(asked, work=replace(asked.work, now=now))
    if other := [name for name, value in _manifest(asked).items() if begun.get(name) != value]:
        raise SettingsError(
            f"{folder}: was begun with other {', '.join(other)}; start the command as it was then, or with --anew"
        )
    return asked.work, begun["patients_unread"]


def _manifest(asked: Asked) -> dict[str, Any]:
    """All on which the output depends, by the names under which a difference is told."""
    work = asked.work
    rules = (work.screening, work.hash, work.base, work.fresh_days, work.alarm_days)
    return {
        "format": _FORMAT,
        "service": __version__,
        "content": list(rules),
        "now": work.now.isoformat(),
        "chunk": asked.size,
        "inputs": [asdict(one) for one in asked.inputs],
        "patients": [asdict(one) for one in asked.patients],
    }


def _check_same(files: Iterable[Source]) -> None:
    for one in files:
        if again(one) != one:
            raise SettingsError(f"{one.address}: has changed since the run began; let it be, and start with --anew")


def _joined(work: Work, every: Sequence[Chunk], output: Path) -> Counter[tuple[str, str]]:
    try:
        return join([(chunk.start == 0, part(work, chunk.number)) for chunk in every], output)
    except OSError as error:
        raise SettingsError(f"--out: {output} cannot be written ({error.strerror}); see to it, and go on") from None
