"""Who does the chunks: this process, processes on this machine, or the workers of a Dask cluster."""

import multiprocessing
import os
import signal
import sys
from collections.abc import Iterator, Sequence
from concurrent.futures import FIRST_COMPLETED, Future, ProcessPoolExecutor, wait
from concurrent.futures.process import BrokenProcessPool
from itertools import islice
from multiprocessing.connection import wait as ended
from threading import Thread
from typing import Any

from cds_service.errors import SettingsError
from cds_service.population.inputs import Chunk
from cds_service.population.work import Work, prepare, screened

AHEAD = 2  # chunks that wait for each worker
_LOST = "a worker was lost, perhaps for want of memory; start the same command again to go on, or with fewer --workers"


def here(work: Work, chunks: Sequence[Chunk]) -> Iterator[int]:
    """Does the chunks in this process, one after the other."""
    return (screened(work, chunk) for chunk in chunks)


def processes(number: int, work: Work, chunks: Sequence[Chunk]) -> Iterator[int]:
    """Does the chunks in so many processes of this machine; they end with this one, however it ends."""
    start = multiprocessing.get_context("fork" if sys.platform == "linux" else "spawn")
    if start.get_start_method() == "fork":
        prepare(work)  # what is loaded by now is there in every worker, which would need seconds for it
    with ProcessPoolExecutor(min(number, max(len(chunks), 1)), start, initializer=_bound) as pool:
        left = iter(chunks)
        running = {pool.submit(screened, work, chunk) for chunk in islice(left, number * AHEAD)}
        try:
            while running:
                done, running = wait(running, return_when=FIRST_COMPLETED)
                running |= {pool.submit(screened, work, chunk) for chunk in islice(left, len(done))}
                yield from (one.result() for one in done)
        except BrokenProcessPool:
            raise SettingsError(f"screen: {_LOST}") from None
        except BaseException:
            _end(running)
            raise


def cluster(scheduler: str, work: Work, chunks: Sequence[Chunk]) -> Iterator[int]:
    """Does the chunks on a Dask cluster, whose workers see the same folder and files. A chunk of a lost worker is done
    by another.
    """
    from distributed import Client, as_completed

    try:
        client = Client(scheduler, timeout=5)  # type: ignore[no-untyped-call]  # distributed gives no types
    except (OSError, ValueError) as error:
        raise SettingsError(
            f"--scheduler: {scheduler} does not answer ({type(error).__name__}); write another"
        ) from None
    with client:
        left = iter(chunks)
        ahead = AHEAD * max(len(client.scheduler_info(n_workers=-1)["workers"]), 1)
        running = as_completed([_sent(client, work, chunk) for chunk in islice(left, ahead)])  # type: ignore[no-untyped-call]  # distributed gives no types
        for done in running:
            yield _result(done)
            for chunk in islice(left, 1):
                running.add(_sent(client, work, chunk))  # type: ignore[no-untyped-call]  # distributed gives no types


def _sent(client: Any, work: Work, chunk: Chunk) -> Any:
    return client.submit(screened, work, chunk, pure=False)


def _result(done: Any) -> int:
    from distributed import KilledWorker

    try:
        number: int = done.result()
    except KilledWorker:
        raise SettingsError(f"screen: {_LOST}") from None
    return number


def _bound() -> None:
    """In a new worker: an interrupt is for the command, and with the command it ends."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    parent = multiprocessing.parent_process()
    if parent:
        Thread(target=lambda: (ended([parent.sentinel]), os._exit(1)), daemon=True).start()


def _end(running: set[Future[int]]) -> None:
    """Ends the workers at once: a part is whole or not there."""
    for one in running:
        one.cancel()
    for process in multiprocessing.active_children():
        process.terminate()
