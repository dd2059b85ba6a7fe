"""The lines of a stream of NDJSON, plain or gzip, none of them longer than may be held in memory."""

import gzip
import zlib
from collections.abc import Iterator
from typing import IO

from cds_service import strict_json

GZIP = b"\x1f\x8b"
MOST_EXPANDED = 300  # times its size: FHIR as NDJSON gives 10 to 100, and what gives more is no FHIR
TOO_LONG, BROKEN, BOMB = "too-large", "damaged-gzip", "gzip-bomb"
_STEP = 1 << 16
_LIMIT = strict_json.MAX_BYTES + 2  # with the end of the line

Line = tuple[int, bytes | str]  # its number from 1, and what it holds, or (as text) why that is not read


def lines(stream: IO[bytes], start: int, end: int) -> Iterator[Line]:
    """Each line of a plain file that begins from `start` to before `end`, numbered from 1."""
    if start:
        stream.seek(start - 1)
        _pass(stream)
    position, number = stream.tell(), 0
    while position < end and (line := stream.readline(_LIMIT)):
        number += 1
        position += len(line)
        if _is_cut(line):
            position += _pass(stream)
            yield number, TOO_LONG
        else:
            yield number, line.strip()


def unzipped(stream: IO[bytes], size: int) -> Iterator[Line]:
    """Each line of a gzip file of `size` bytes. What is damaged ends it, with a line that says so."""
    number, read = 0, 0
    try:
        with gzip.open(stream) as inside:
            while line := inside.readline(_LIMIT):
                number += 1
                read += len(line)
                cut = _is_cut(line)
                read += _pass(inside) if cut else 0
                yield number, TOO_LONG if cut else line.strip()
                if read > MOST_EXPANDED * size + _LIMIT:
                    yield number + 1, BOMB
                    return
    except (EOFError, zlib.error, gzip.BadGzipFile):
        yield number + 1, BROKEN


def _is_cut(line: bytes) -> bool:
    return len(line) == _LIMIT and not line.endswith(b"\n")


def _pass(stream: IO[bytes] | gzip.GzipFile) -> int:
    """Passes over the rest of a line, however long it is; how many bytes that were."""
    passed = 0
    while part := stream.readline(_STEP):
        passed += len(part)
        if part.endswith(b"\n"):
            break
    return passed
