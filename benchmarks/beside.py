"""What the service is measured beside: handlers that do the least, HealthChain, and Express where Node is there.

HealthChain and Express stand in an environment of their own, .venv-others, that nothing else of the project sees.
"""

import os
import shutil
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from benchmarks.calls import request
from benchmarks.processes import Server, running
from benchmarks.service import ROOT, body
from tests.processes import free_port

OTHERS = ROOT / "benchmarks" / "others"
INSTALLED = ROOT / ".venv-others"


@contextmanager
def floor(folder: Path, kind: str) -> Iterator[Server]:
    """A handler of benchmarks/floors.py: bare, recorded or libraries."""
    port = free_port()
    command = [sys.executable, "-m", "benchmarks.floors", kind, str(port), str(folder)]
    with running(command, folder, port, {"PYTHONPATH": str(ROOT)}) as server:
        yield server


@contextmanager
def healthchain(folder: Path, *, wait: bool = True) -> Iterator[Server]:
    """HealthChain as its own command starts it: uvicorn, one process, its settings as they come."""
    _install()
    port = free_port()
    app = ["-m", "uvicorn", "healthchain_service:app", "--app-dir", str(OTHERS)]
    command = [str(INSTALLED / "bin" / "python"), *app, "--host", "127.0.0.1", "--port", str(port)]
    with running(command, folder, port, {}, wait=wait) as server:
        yield server


@contextmanager
def express(folder: Path) -> Iterator[Server | None]:
    """Express on Node; None where Node is not there."""
    if not (node := shutil.which("node")) or not shutil.which("npm"):
        yield None
        return
    _install_express()
    port, modules = free_port(), str(INSTALLED / "node" / "node_modules")
    with running([node, str(OTHERS / "express.js"), str(port)], folder, port, {"NODE_PATH": modules}) as server:
        yield server


def floor_requests(calls: int) -> list[bytes]:
    """The same body to the address of a floor."""
    return [request("/", body())] * calls


def healthchain_requests(calls: int) -> list[bytes]:
    """The same body to the address that HealthChain gives a service."""
    return [request("/cds/cds-services/screening", body())] * calls


def express_requests(calls: int) -> list[bytes]:
    """The same body to the address in express.js."""
    return [request("/cds-services/screening", body())] * calls


def versions() -> dict[str, str]:
    """Of what is installed beside the service."""
    asked = "from importlib.metadata import version as v; print(*(f'{n}={v(n)}' for n in ('healthchain', 'uvicorn')))"
    _install()
    told = _told([str(INSTALLED / "bin" / "python"), "-c", asked])
    found = dict(pair.split("=") for pair in told.split())
    return found | ({"node": _told(["node", "--version"]).strip()} if shutil.which("node") else {})


def _install() -> None:
    """Every package as pinned, once."""
    wanted, stamp = OTHERS / "requirements.txt", INSTALLED / "installed.txt"
    if stamp.exists() and stamp.read_text() == wanted.read_text():
        return
    print("Installing HealthChain into .venv-others; this takes a minute.", file=sys.stderr)
    _told([sys.executable, "-m", "venv", "--clear", str(INSTALLED)])
    _told([str(INSTALLED / "bin" / "python"), "-m", "pip", "--quiet", "install", "--no-deps", "-r", str(wanted)])
    shutil.copy(wanted, stamp)


def _install_express() -> None:
    wanted, folder = OTHERS / "package.json", INSTALLED / "node"
    stamp = folder / "installed.json"
    if stamp.exists() and stamp.read_text() == wanted.read_text():
        return
    folder.mkdir(parents=True, exist_ok=True)
    shutil.copy(wanted, folder)
    _told(["npm", "install", "--prefix", str(folder), "--ignore-scripts", "--no-audit", "--no-fund", "--silent"])
    shutil.copy(wanted, stamp)


def _told(command: list[str]) -> str:
    environment = os.environ | {"PIP_DISABLE_PIP_VERSION_CHECK": "1"}
    done = subprocess.run(command, env=environment, capture_output=True, text=True, check=False)  # noqa: S603 - fixed words
    if done.returncode:
        raise RuntimeError(f"{command[0]}: ended with {done.returncode}: {done.stderr[-300:]}")
    return done.stdout
