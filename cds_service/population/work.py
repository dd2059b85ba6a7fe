"""The work of one worker: one chunk read, judged and written to its part. Done again it gives the same bytes."""

import gc
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import datetime
from functools import lru_cache
from pathlib import Path

from cds_content.loading import load
from cds_content.screening import Screening
from cds_service import __version__
from cds_service.errors import SettingsError
from cds_service.population.inputs import Chunk, read
from cds_service.population.parts import write_part
from cds_service.population.patients import births
from cds_service.population.remembered import remembering
from cds_service.population.rows import Judge, Row, unread


@dataclass(frozen=True)
class Work:
    """What all chunks of a run have in common. A worker has the content itself; `hash` says which it must be."""

    content: str
    base: str
    fresh_days: int
    alarm_days: int
    screening: str
    hash: str
    now: datetime
    folder: str  # of the parts; all workers must see it
    patients: bool = False


def part(work: Work, number: int) -> Path:
    """Where the part of a chunk is, once it is whole."""
    return Path(work.folder) / f"{number:06d}.arrow"


def screened(work: Work, chunk: Chunk) -> int:
    """Screens one chunk and gives its number; one that has its part is not done again.

    Raises SettingsError where the worker has other content, or the file or the folder is out of reach.
    """
    path = part(work, chunk.number)
    if not path.exists():
        screening, row = _judging(work)
        said = (chunk.source.address, __version__, screening.version, screening.canonical, screening.hash)
        try:
            with _without_collector():
                write_part(path, _rows(chunk, row), said)
        except OSError as error:
            raise SettingsError(f"{path.parent}: cannot be written ({error.strerror}); see to it, and go on") from None
    return chunk.number


@contextmanager
def _without_collector() -> Iterator[None]:
    """A quarter faster: of the rows none refers to itself, so there is nothing for the collector to find."""
    enabled = gc.isenabled()
    gc.disable()
    try:
        yield
    finally:
        if enabled:
            gc.enable()


def _rows(chunk: Chunk, row: Callable[[int, bytes], Row]) -> Iterator[tuple[int, Row | None]]:
    for number, line in read(chunk):
        if isinstance(line, bytes):
            yield number, row(number, line) if line else None
        else:
            yield number, unread(number, line)


def prepare(work: Work) -> None:
    """Loads what all chunks need. Raises SettingsError where this process has other content."""
    _judging(work)


@lru_cache(maxsize=1)
def _judging(work: Work) -> tuple[Screening, Callable[[int, bytes], Row]]:
    """The screening, and what makes a row of a line; made once in each process."""
    days = {"fresh_days": work.fresh_days, "alarm_days": work.alarm_days}
    found = {one.name: one for one in load(Path(work.content), base=work.base, **days)}.get(work.screening)
    if found is None or found.hash != work.hash:
        raise SettingsError(f"{work.content}: a worker has other content; give all workers the same, and go on")
    born = births(Path(work.folder) / "patients.sqlite") if work.patients else _unsaid
    return found, remembering(Judge(found, work.now, born))


def _unsaid(_: str) -> None:
    """The birth date where no Patients were given."""
