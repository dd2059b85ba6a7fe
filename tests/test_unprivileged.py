"""The service as a user without rights, on a machine that it cannot change: it answers, and writes in its folder only.

Every mount is made read-only but that of its folder, in a mount namespace that ends with the process. The one
capability left lets it read a checkout in somebody's home; it lets nobody write.
"""

import os
import shutil
import signal
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest
import requests

from tests.processes import COMMAND, environment, free_port, until_it_listens
from tests.samples import CALM, call, response

pytestmark = [
    pytest.mark.timeless,
    pytest.mark.skipif(os.geteuid() != 0, reason="only root can make a mount namespace"),
    pytest.mark.skipif(not shutil.which("setpriv") or not shutil.which("unshare"), reason="needs util-linux"),
]
NOBODY = 65534
READ_ONLY = """
set -eu
data=$1; shift
mount --make-rprivate /
mount --bind "$data" "$data"
while read -r _ _ _ _ at _; do
    case $at in "$data") ;; *) mount -o remount,bind,ro "$at" 2>/dev/null || true ;; esac
done </proc/self/mountinfo
only=-all,+dac_read_search
exec setpriv --reuid 65534 --regid 65534 --clear-groups --no-new-privs \
    --inh-caps=$only --ambient-caps=$only --bounding-set=$only "$@"
"""


@pytest.fixture(scope="module", name="folder")
def _folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The only folder in which the user may write."""
    folder = tmp_path_factory.mktemp("data")
    os.chown(folder, NOBODY, NOBODY)
    return folder


def as_nobody(folder: Path, *command: str) -> list[str]:
    """The command, on a read-only machine, as a user without rights."""
    return ["unshare", "--mount", "sh", "-c", READ_ONLY, "sh", str(folder), *command]


@pytest.fixture(scope="module", name="address")
def _address(folder: Path) -> Iterator[str]:
    port = free_port()
    settings = environment(folder, CDS_DEVELOPMENT="1", CDS_PORT=str(port), HOME=str(folder))
    process = subprocess.Popen(as_nobody(folder, COMMAND, "serve"), env=settings, cwd=folder, stdout=subprocess.DEVNULL)
    try:
        until_it_listens(port, process)
        yield f"http://127.0.0.1:{port}"
    finally:
        process.send_signal(signal.SIGTERM)
        process.wait(timeout=60)


def test_such_a_user_can_write_nowhere_else(folder: Path, tmp_path: Path) -> None:
    tmp_path.chmod(0o777)
    script = f"touch {folder}/inside && ! touch {tmp_path}/outside && ! touch /tmp/outside && ! touch /dev/shm/outside"

    done = subprocess.run(as_nobody(folder, "sh", "-c", script), capture_output=True, text=True)

    assert done.returncode == 0, done.stderr
    (folder / "inside").unlink()
    assert list(tmp_path.iterdir()) == []


def test_it_answers_and_records_in_its_folder_only(address: str, folder: Path) -> None:
    body = call(response(CALM | {"rf-bladder-bowel": "new"}))

    answer = requests.post(f"{address}/cds-services/low-back-pain-patient-view", json=body, timeout=60)

    assert answer.status_code == 200
    assert [card["indicator"] for card in answer.json()["cards"]] == ["critical"]
    files = [path for path in folder.rglob("*") if path.is_file()]
    assert files
    assert all(path.name.startswith("decisions.sqlite") for path in files)
    assert all(path.stat().st_uid == NOBODY for path in files)


def test_it_reads_a_large_body_without_a_folder_for_temporary_files(address: str) -> None:
    body = call(response(CALM), extension={"padding": "x" * 900_000})

    answer = requests.post(f"{address}/cds-services/low-back-pain-patient-view", json=body, timeout=60)

    assert answer.status_code == 200
    assert answer.json()["cards"]
