"""The birth dates of Patients in a file that is looked up, so that a million of them take no memory."""

import sqlite3
from collections.abc import Callable, Iterable, Iterator
from contextlib import closing
from pathlib import Path
from typing import Any

from cds_service import strict_json
from cds_service.errors import BadRequest
from cds_service.population.inputs import Chunk, read

_TWO = "[]"  # stands for a birth date that nobody can read, as where two differ: no date, and known to be there
_PUT = "INSERT INTO born VALUES (?, ?) ON CONFLICT DO UPDATE SET at = '[]' WHERE at IS NOT excluded.at"
_DAMAGED = ""  # no id of a Patient


def write_patients(path: Path, chunks: Iterable[Chunk]) -> int:
    """Writes the birth date of each Patient to `path`; how many lines could not be read.

    Of these it is not known whose they are: so where there is one, the birth date of no other patient is taken for
    unsaid. Resources of other types are passed over.
    """
    beside = path.with_suffix(".tmp")
    beside.unlink(missing_ok=True)
    damaged = 0
    with closing(sqlite3.connect(beside)) as connection:
        connection.execute("CREATE TABLE born (id TEXT PRIMARY KEY, at TEXT) WITHOUT ROWID")
        for id_, at in _stated(chunks):
            damaged += id_ == _DAMAGED
            connection.execute(_PUT, (id_, at))
        connection.commit()
    beside.chmod(0o600)
    beside.replace(path)
    return damaged


def births(path: Path) -> Callable[[str], Any]:
    """A function from a Patient's id to the birth date as it was sent: None where there is none, no date if unclear."""
    connection = sqlite3.connect(f"{path.resolve().as_uri()}?mode=ro&immutable=1", uri=True)
    look_up = connection.cursor().execute
    unsaid: Any = [] if look_up("SELECT 1 FROM born WHERE id = ?", (_DAMAGED,)).fetchone() else None

    def born(patient: str) -> Any:
        found = look_up("SELECT at FROM born WHERE id = ?", (patient,)).fetchone()
        return strict_json.read_own(found[0]) if found else unsaid

    return born


def _stated(chunks: Iterable[Chunk]) -> Iterator[tuple[str, str]]:
    for chunk in chunks:
        for _, line in read(chunk):
            if line:
                yield from _of(line)


def _of(line: bytes | str) -> Iterator[tuple[str, str]]:
    try:
        patient = strict_json.read(line) if isinstance(line, bytes) else None
    except BadRequest:
        patient = None
    if not isinstance(patient, dict) or not isinstance(patient.get("resourceType"), str):
        yield _DAMAGED, _TWO
    elif patient["resourceType"] == "Patient":
        born, id_ = patient.get("birthDate"), patient.get("id")
        readable = born is None or isinstance(born, str)
        stated = strict_json.write(born).decode() if readable else _TWO
        yield (id_, stated) if isinstance(id_, str) and id_ else (_DAMAGED, _TWO)
