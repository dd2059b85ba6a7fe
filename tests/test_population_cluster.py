"""cds-service screen on a Dask cluster: the same rows, also when a worker is lost on the way."""

import contextlib
import json
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from cds_service.errors import SettingsError
from tests.population_samples import alarm, calm, ndjson, rows, screened, started
from tests.processes import environment

pytestmark = pytest.mark.timeless  # other processes do the work, for the moment that --at says

COUNT = 1500
SMALL = ("--chunk", "8000")


class Cluster:
    """A scheduler and two workers, each a process of its own."""

    def __init__(self, folder: Path) -> None:
        self.folder, self.file = folder, folder / "scheduler.json"
        self.scheduler = self._start("scheduler", "--port", "0", "--host", "127.0.0.1", "--no-dashboard")
        while not self.file.exists():
            self._pause(self.scheduler)
        self.address = str(json.loads(self.file.read_text())["address"])
        self.workers = [self._start("worker", "--nthreads", "1", "--no-nanny", "--no-dashboard") for _ in range(2)]

    def _start(self, kind: str, *words: str) -> "subprocess.Popen[bytes]":
        command = [sys.executable, "-m", f"distributed.cli.dask_{kind}", "--scheduler-file", str(self.file), *words]
        with (self.folder / f"{kind}.log").open("ab") as log:
            return subprocess.Popen(command, cwd=self.folder, env=environment(self.folder), stdout=log, stderr=log)

    @staticmethod
    def _pause(process: "subprocess.Popen[bytes]") -> None:
        with contextlib.suppress(subprocess.TimeoutExpired):
            raise AssertionError(f"ended with {process.wait(timeout=0.02)}")

    def close(self) -> None:
        for process in (*self.workers, self.scheduler):
            process.kill()
            process.wait()


@pytest.fixture(name="cluster")
def _cluster(tmp_path: Path) -> Iterator[Cluster]:
    cluster = Cluster(tmp_path)
    try:
        yield cluster
    finally:
        cluster.close()


def test_a_cluster_that_loses_a_worker_gives_the_same_bytes_as_one_machine(cluster: Cluster, tmp_path: Path) -> None:
    lines = [(calm, alarm)[number % 7 == 0](number) for number in range(COUNT)]
    (tmp_path / "in.ndjson").write_bytes(ndjson([*lines, b"{"]))
    process = started(tmp_path, "in.ndjson", "--out", "dask.parquet", *SMALL, "--scheduler", cluster.address)
    while not list(tmp_path.glob("dask.parquet.parts/*.arrow")):
        with contextlib.suppress(subprocess.TimeoutExpired):
            raise AssertionError(process.communicate(timeout=0.01))

    cluster.workers[0].kill()  # that of SIGKILL
    _, told = process.communicate(timeout=60)

    assert process.returncode == 0, told
    assert cluster.workers[1].poll() is None
    assert screened(tmp_path, "in.ndjson", "--out", "here.parquet", *SMALL).fault is None
    assert (tmp_path / "dask.parquet").read_bytes() == (tmp_path / "here.parquet").read_bytes()
    assert len(rows(tmp_path / "dask.parquet")) == COUNT + 1


def test_a_scheduler_that_does_not_answer_is_named(tmp_path: Path) -> None:
    (tmp_path / "in.ndjson").write_bytes(ndjson([calm(1)]))

    refused = screened(tmp_path, "in.ndjson", "--out", "o.csv", "--scheduler", "tcp://127.0.0.1:9")

    assert isinstance(refused.fault, SettingsError)
    assert str(refused.fault).startswith("--scheduler: tcp://127.0.0.1:9 does not answer")
