"""What is read: files, folders, globs and addresses, and in which chunks. The addresses are those of fsspec."""

import io
from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from typing import IO, Any

import fsspec

from cds_service.errors import SettingsError
from cds_service.population.lines import GZIP, Line, lines, unzipped

ENDINGS = (".ndjson", ".ndjson.gz", ".jsonl", ".jsonl.gz")  # of what is read in a folder
_BUFFER = 1 << 20


@dataclass(frozen=True)
class Source:
    """One file: its address, its size in bytes, and what else tells whether it is still the same."""

    address: str
    size: int
    mark: str
    zipped: bool = False


@dataclass(frozen=True)
class Chunk:
    """A part of a file: the lines that begin from `start` to before `end`; a gzip file is one chunk."""

    number: int
    source: Source
    start: int
    end: int


def sources(words: Iterable[str], option: str) -> list[Source]:
    """The files meant, in their order, each once. Raises SettingsError for one that is not there or cannot be read."""
    found: dict[str, Source] = {}
    for word in words:
        try:
            named = list(_named(word))
        except (OSError, ValueError, ImportError) as error:
            raise SettingsError(f"{option}: {word} cannot be read ({type(error).__name__}); write another") from None
        if not named:
            raise SettingsError(
                f"{option}: {word} is no file, or has none in it; write NDJSON files, or a folder of them"
            )
        found.update({one.address: one for one in named})
    return list(found.values())


def chunks(files: Sequence[Source], size: int) -> list[Chunk]:
    """The files cut in chunks of about `size` bytes."""
    cuts = [
        (one, start, one.size if one.zipped else min(start + size, one.size))
        for one in files
        for start in ((0,) if one.zipped else range(0, one.size, size))
    ]
    return [Chunk(number, *cut) for number, cut in enumerate(cuts)]


def read(chunk: Chunk) -> Iterator[Line]:
    """The lines of a chunk. Raises SettingsError where the file is out of reach."""
    with _opened(chunk.source.address) as stream:
        if chunk.source.zipped:
            yield from unzipped(stream, chunk.source.size)
        else:
            yield from lines(stream, chunk.start, chunk.end)


def passed_over(words: Iterable[str]) -> list[str]:
    """The files in the folders among these that are not read, because of how their names end."""
    folders = [(system, path) for system, path in map(fsspec.core.url_to_fs, words) if system.isdir(path)]
    return [one for system, path in folders for one in system.find(path) if not _is_read(one)]


def again(source: Source) -> Source:
    """The same file as it is now."""
    system, path = fsspec.core.url_to_fs(source.address)
    return _source(system, path)


def _named(word: str) -> Iterator[Source]:
    system, path = fsspec.core.url_to_fs(word)
    if any(sign in word for sign in "*?["):
        paths = sorted(one for one in system.glob(path) if not system.isdir(one))
    elif system.isdir(path):
        paths = sorted(one for one in system.find(path) if _is_read(one))
    else:
        paths = [path]
    return (_source(system, one) for one in paths)


def _is_read(path: str) -> bool:
    return path.lower().endswith(ENDINGS)


def _source(system: Any, path: str) -> Source:
    info = system.info(path)
    mark = next((str(info[name]) for name in ("ETag", "etag", "mtime", "LastModified", "created") if name in info), "")
    with system.open(path, "rb") as stream:
        zipped = stream.read(2) == GZIP
    return Source(system.unstrip_protocol(path), info["size"], mark, zipped)


@contextmanager
def _opened(address: str) -> Iterator[IO[bytes]]:
    try:
        with fsspec.open(address, "rb") as file:
            yield file if isinstance(file, io.BytesIO) else io.BufferedReader(file, _BUFFER)
    except OSError as error:
        raise SettingsError(f"{address}: cannot be read ({type(error).__name__}); see to it, and go on") from None
