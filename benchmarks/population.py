"""Screening a population beside a loop that only decodes, its memory, and Dask.

Each round measures all of them in turns, in processes of their own, on the same files; read the ratios.
"""

import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from concurrent.futures import ProcessPoolExecutor
from datetime import UTC, datetime
from multiprocessing import get_context
from pathlib import Path
from threading import Event, Thread

import msgspec

from benchmarks.goals import Goal
from benchmarks.population_responses import write_responses
from cds_service.config import load_content, read_settings

WORKERS = 2
COMMAND = [sys.executable, "-c", "from cds_service.cli_screen import screen; screen()"]


class _Coding(msgspec.Struct):
    code: str = ""


class _Answer(msgspec.Struct, rename="camel"):
    value_coding: _Coding | None = None
    value_integer: int | None = None


class _Item(msgspec.Struct, rename="camel"):
    link_id: str
    answer: list[_Answer] = []


class _Subject(msgspec.Struct):
    reference: str = ""


class _Response(msgspec.Struct):
    """The fields that the advice rests on, and no check of any."""

    id: str = ""
    questionnaire: str = ""
    status: str = ""
    authored: str = ""
    subject: _Subject | None = None
    item: list[_Item] = []


def goals(rounds: int, *, quick: bool) -> list[Goal]:
    """The goals of population screening, each measured in so many rounds; `quick` measures a tenth of the responses."""
    few, many = (10_000, 100_000) if quick else (100_000, 1_000_000)
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        for count in (few, many):
            write_responses(folder / f"{count}.ndjson", load_content(read_settings())[0], count, 1, datetime.now(UTC))
        measured = [_round(folder, few, many) for _ in range(rounds)]
    speed, memory, dask = zip(*measured, strict=True)
    said = f"{many} responses, {WORKERS} processes"
    return [
        Goal("population: responses a second, beside decoding alone", ">= 0.6", 0.6, None, speed, said),
        Goal(f"population: peak memory, {many} beside {few}", "<= 1.15", None, 1.15, memory),
        Goal("population: Dask on this machine beside processes", ">= 0.5", 0.5, None, dask, said),
    ]


def _round(folder: Path, few: int, many: int) -> tuple[float, float, float]:
    """(Speed beside decoding, memory of many beside few, Dask beside processes)."""
    large = folder / f"{many}.ndjson"
    decoding = _took(lambda: decoded(large))
    screening, peak = _screened(large, "--workers", str(WORKERS))
    _, least = _screened(folder / f"{few}.ndjson", "--workers", str(WORKERS))
    return decoding / screening, peak / least, screening / _clustered(large)


def decoded(path: Path) -> int:
    """Decodes all lines of a file in two processes; how many there are."""
    size = path.stat().st_size
    cuts = [(path, size * part // WORKERS, size * (part + 1) // WORKERS) for part in range(WORKERS)]
    with ProcessPoolExecutor(WORKERS, get_context("spawn")) as pool:
        return sum(pool.map(_decoded, cuts))


def _decoded(cut: tuple[Path, int, int]) -> int:
    path, start, end = cut
    decode, count = msgspec.json.Decoder(_Response).decode, 0
    with path.open("rb") as file:
        file.seek(start)
        if start:
            file.readline()
        while file.tell() < end and (line := file.readline()):
            try:
                decode(line)
            except msgspec.DecodeError:
                continue
            count += 1
    return count


def _screened(path: Path, *words: str) -> tuple[float, int]:
    """Seconds, and the peak memory (kB) of the command and its workers together."""
    command = [*COMMAND, str(path), "--out", f"{path}.parquet", "--quiet", "--anew", *words]
    begun = time.perf_counter()
    process = subprocess.Popen(command, stderr=subprocess.PIPE, text=True)  # noqa: S603 - our own command
    ended, peaks = Event(), [0]
    watch = Thread(target=_watch, args=(process.pid, ended, peaks))
    watch.start()
    _, told = process.communicate()
    took = time.perf_counter() - begun
    ended.set()
    watch.join()
    if process.returncode:
        raise RuntimeError(f"screen failed: {told}")
    return took, max(peaks)


def _watch(process: int, ended: Event, peaks: list[int]) -> None:
    """Notes ten times a second what a process and its children hold in memory that no other holds."""
    while not ended.wait(0.1):
        peaks.append(sum(map(_held, [str(process), *_children(process)])))


def _children(process: int) -> list[str]:
    try:
        return Path(f"/proc/{process}/task/{process}/children").read_text().split()
    except OSError:
        return []


def _held(process: str) -> int:
    """Anonymous memory in kB: pages of files are given back where there is want of them."""
    try:
        lines = Path(f"/proc/{process}/status").read_text().splitlines()
    except OSError:
        return 0
    return next((int(line.split()[1]) for line in lines if line.startswith("RssAnon:")), 0)


def _clustered(path: Path) -> float:
    """Seconds on a Dask cluster of this machine, which is there before."""
    from distributed import LocalCluster

    words = {"n_workers": WORKERS, "threads_per_worker": 1, "host": "127.0.0.1", "dashboard_address": None}
    with LocalCluster(**words) as cluster:  # type: ignore[no-untyped-call]  # distributed gives no types
        return _screened(path, "--scheduler", cluster.scheduler_address)[0]


def _took(work: Callable[[], object]) -> float:
    begun = time.perf_counter()
    work()
    return time.perf_counter() - begun
