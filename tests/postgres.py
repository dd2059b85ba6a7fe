"""Real databases for the tests: an SQLite file, and a PostgreSQL server of our own, which ends with the run.

The server comes from Debian's package postgresql. It runs on a free port, as a user who is not root, in a folder of its
own. Every test gets a new database, copied from one that holds the tables.
"""

import os
import pwd
import shutil
import subprocess
import tempfile
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from uuid import uuid4

import psycopg
import pytest
from sqlalchemy import Engine

from cds_service.store import open_store
from tests.processes import free_port

Database = Callable[
    ..., AbstractContextManager[str]
]  # kind, folder, empty or not → the URL of a new one, while it is there
BOTH = ["sqlite", "postgresql"]
MIGRATED = "migrated"  # the name of the template that holds the tables


@dataclass(frozen=True)
class Cluster:
    """A server that can be started and stopped."""

    home: Path
    port: int

    def url(self, database: str) -> str:
        return f"postgresql://cds@127.0.0.1:{self.port}/{database}"

    def start(self) -> None:
        """Without fsync: processes are killed here, but the machine keeps its power."""
        options = f"-p {self.port} -h 127.0.0.1 -k {self.home} -c fsync=off"
        _run(self.home, "pg_ctl", "start", "-w", "-D", "data", "-l", "log", "-o", options)

    def stop(self, how: str = "fast") -> None:
        """`how` "immediate" is a crash: nothing is written that was not committed."""
        _run(self.home, "pg_ctl", "stop", "-w", "-D", "data", "-m", how)

    def do(self, *statements: str) -> None:
        with psycopg.connect(self.url("postgres"), autocommit=True) as connection:
            for statement in statements:
                connection.execute(statement.encode())


@pytest.fixture(scope="session", name="cluster")
def _cluster() -> Iterator[Cluster]:
    """The server, with the template."""
    home = Path(tempfile.mkdtemp(prefix="cds-postgres-"))
    if who := _user():
        os.chown(home, who["user"], who["group"])
    _run(home, "initdb", "-D", "data", "-U", "cds", "-A", "trust", "-E", "UTF8", "--no-sync")
    cluster = Cluster(home, free_port())
    cluster.start()
    cluster.do(f"CREATE DATABASE {MIGRATED}")
    open_store(cluster.url(MIGRATED)).dispose()
    yield cluster
    cluster.stop()
    shutil.rmtree(home)


@pytest.fixture(scope="session", name="postgres_url")
def _postgres_url(cluster: Cluster) -> str:
    """A database of the server, which all tests that use it share."""
    return cluster.url("postgres")


@pytest.fixture(scope="session", name="database")
def _database(cluster: Cluster, tmp_path_factory: pytest.TempPathFactory) -> Database:
    """Makes databases."""
    copied = tmp_path_factory.mktemp("template") / "d.sqlite"
    open_store(f"sqlite:///{copied}").dispose()

    @contextmanager
    def new(kind: str, folder: Path, *, empty: bool = False) -> Iterator[str]:
        if kind == "sqlite":
            if not empty:
                shutil.copy(copied, folder)
            yield f"sqlite:///{folder / copied.name}"
            return
        name = f"test_{uuid4().hex}"
        cluster.do(f"CREATE DATABASE {name} TEMPLATE {'template0' if empty else MIGRATED}")
        yield cluster.url(name)
        cluster.do(f"DROP DATABASE {name} WITH (FORCE)")

    return new


@pytest.fixture(params=BOTH, name="database_url")
def _database_url(request: pytest.FixtureRequest, database: Database, tmp_path: Path) -> Iterator[str]:
    """A new database with its tables, on each of the two."""
    with database(request.param, tmp_path) as url:
        yield url


@pytest.fixture(params=BOTH, name="empty_url")
def _empty_url(request: pytest.FixtureRequest, database: Database, tmp_path: Path) -> Iterator[str]:
    """A new database without any table, on each of the two."""
    with database(request.param, tmp_path, empty=True) as url:
        yield url


@pytest.fixture(scope="module", params=BOTH, name="shared_url")
def _shared_url(
    request: pytest.FixtureRequest, database: Database, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[str]:
    """A database with its tables for all tests of a module, on each of the two."""
    with database(request.param, tmp_path_factory.mktemp("shared")) as url:
        yield url


@pytest.fixture(name="store")
def _store(database_url: str) -> Iterator[Engine]:
    """A new store on each of the two; a test module may have a `store` of its own."""
    engine = open_store(database_url)
    yield engine
    engine.dispose()


def _run(home: Path, program: str, *arguments: str) -> None:
    """Runs a program of the server, as a user who is not root; fails with what it said."""
    environment = {"PATH": os.environ["PATH"], "LC_ALL": "C.UTF-8"}
    with (home / "said").open("wb") as said:  # not a pipe: the server would hold it open
        done = subprocess.run(
            [_programs() / program, *arguments], cwd=home, env=environment, stdout=said, stderr=said, **_user()
        )
    assert done.returncode == 0, f"{program}: {(home / 'said').read_text()}"


def _programs() -> Path:
    """Where the newest server's programs are; initdb and pg_ctl are not on the PATH."""
    found = sorted(Path("/usr/lib/postgresql").glob("*/bin/initdb"), key=lambda path: float(path.parts[-3]))
    known = found[-1] if found else shutil.which("initdb")
    assert known, "PostgreSQL is missing; install it with: sudo apt-get install postgresql"
    return Path(known).resolve().parent


def _user() -> dict[str, Any]:
    """As whom the server runs: it refuses to run as root."""
    if os.geteuid():
        return {}
    names = {user.pw_name for user in pwd.getpwall()}
    user = pwd.getpwnam("postgres" if "postgres" in names else "nobody")
    return {"user": user.pw_uid, "group": user.pw_gid, "extra_groups": []}
