"""Rows as Arrow: the part of each chunk in a file of its own, and all joined into the output, never all in memory.

A part is there or not: it is written beside its place, and then renamed.
"""

import os
import tempfile
from collections import Counter
from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager
from itertools import islice
from pathlib import Path
from typing import IO

import pyarrow as pa
import pyarrow.compute as pc
from pyarrow import csv, parquet

from cds_service.population.rows import Outcome, Row

_WORD = pa.dictionary(pa.int32(), pa.string())
SCHEMA = pa.schema(
    [
        ("file", _WORD),
        ("line", pa.int64()),
        ("id", pa.string()),
        ("subject", pa.string()),
        ("authored", pa.string()),
        *((name, _WORD) for name in ("status", "disposition", "fired", "unknown", "reason")),
        *((name, _WORD) for name in ("service", "content", "questionnaire", "content_hash")),
    ]
)
_SAID = ("status", "disposition", "fired", "unknown", "reason")
_PLAIN = pa.schema([(one.name, pa.string() if one.type == _WORD else one.type) for one in SCHEMA])
_AT_ONCE = 20_000  # rows in memory of one worker
_GROUP = 60_000  # rows of a row group of the output


def write_part(path: Path, rows: Iterable[tuple[int, Row | None]], said: Sequence[str]) -> None:
    """Writes the rows of one chunk: of each line its number and its row, None where it is blank.

    `said` is what stands in all of them: the file, and the versions. The last batch is empty and tells how many lines
    the chunk has: from there the lines of the next one count.
    """
    rows, last = iter(rows), 0
    with renamed(path) as file, pa.ipc.new_stream(file, SCHEMA) as stream:
        while some := list(islice(rows, _AT_ONCE)):
            last = some[-1][0]
            stream.write_batch(_batch([row for _, row in some if row], said))
        stream.write_batch(_batch([], said), custom_metadata={"lines": str(last)})


def join(parts: Iterable[tuple[bool, Path]], output: Path) -> Counter[tuple[str, str]]:
    """Joins the parts into the output, Parquet or CSV by its name; how many rows have which disposition and reason.

    With each part goes whether it begins a file. Raises OSError where the output cannot be written.
    """
    counted: Counter[tuple[str, str]] = Counter()
    write = _csv if output.suffix == ".csv" else _parquet
    with renamed(output) as file:
        write(file, _counted(_groups(_batches(parts)), counted))
    return counted


@contextmanager
def renamed(path: Path) -> Iterator[IO[bytes]]:
    """A new file, of this user only, that takes the name `path` when all is written; else nothing is left of it."""
    handle, beside = tempfile.mkstemp(".tmp", f".{path.name}.", path.parent)
    try:
        with os.fdopen(handle, "wb") as file:
            yield file
            file.flush()
            os.fsync(file.fileno())
        Path(beside).replace(path)
    finally:
        Path(beside).unlink(missing_ok=True)


def _batch(rows: Sequence[Row], said: Sequence[str]) -> pa.RecordBatch:
    outcomes: dict[Outcome, int] = {}
    which = pa.array([outcomes.setdefault(row.outcome, len(outcomes)) for row in rows], pa.int32())
    words = [pa.array([getattr(one, name) for one in outcomes], pa.string()).dictionary_encode() for name in _SAID]
    zeros = pa.repeat(pa.scalar(0, pa.int32()), len(rows))
    file, *versions = [pa.DictionaryArray.from_arrays(zeros, pa.array([one])) for one in said]
    own = [pa.array([row[place] for row in rows], SCHEMA.field(place + 1).type) for place in range(4)]
    return pa.RecordBatch.from_arrays([file, *own, *(one.take(which) for one in words), *versions], schema=SCHEMA)


def _batches(parts: Iterable[tuple[bool, Path]]) -> Iterator[pa.RecordBatch]:
    """The batches of all parts, with the numbers of their lines within the file."""
    above = 0
    for first, path in parts:
        above = 0 if first else above
        with pa.memory_map(str(path)) as file, pa.ipc.open_stream(file) as stream:
            for one in stream.iter_batches_with_custom_metadata():
                batch, said = one.batch, one.custom_metadata
                if batch.num_rows:
                    yield batch.set_column(1, "line", pc.add(batch["line"], above))
                above += int(said["lines"]) if said else 0


def _groups(batches: Iterable[pa.RecordBatch]) -> Iterator[pa.Table]:
    """Tables of some size, at least one."""
    held: list[pa.RecordBatch] = []
    for batch in batches:
        held.append(batch)
        if sum(one.num_rows for one in held) >= _GROUP:
            yield pa.Table.from_batches(held).unify_dictionaries()
            held = []
    yield pa.Table.from_batches(held, SCHEMA).unify_dictionaries()


def _counted(tables: Iterable[pa.Table], counted: Counter[tuple[str, str]]) -> Iterator[pa.Table]:
    for table in tables:
        for one in table.group_by(["disposition", "reason"]).aggregate([([], "count_all")]).to_pylist():
            counted[one["disposition"], one["reason"]] += one["count_all"]
        yield table


def _parquet(file: IO[bytes], tables: Iterable[pa.Table]) -> None:
    with parquet.ParquetWriter(file, SCHEMA, compression="zstd") as writer:
        for table in tables:
            writer.write_table(table)


def _csv(file: IO[bytes], tables: Iterable[pa.Table]) -> None:
    with csv.CSVWriter(file, _PLAIN) as writer:
        for table in tables:
            writer.write_table(table.cast(_PLAIN))
