"""SIGHUP while calls come in: each is answered by the old or the new, never refused; what is broken changes nothing."""

import re
import shutil
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import contextmanager
from pathlib import Path
from threading import Event

import pytest
import requests

from tests.attack import times
from tests.processes import COMMAND, environment, free_port
from tests.running import HOOK, LONG, ROOT, Running, running
from tests.samples import CALM, call, response

pytestmark = pytest.mark.timeless  # a process of its own does the work
REFUSED = "reload refused, the old goes on"
BODY = call(response(CALM | {"rf-saddle": "new"}))


@pytest.fixture(scope="module", name="folder")
def _folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Content and clients of the service's own, which a test may change."""
    folder = tmp_path_factory.mktemp("reload")
    for name in ("questionnaires", "cards"):
        shutil.copytree(ROOT / name, folder / name)
    speak(folder, "nl")
    return folder


@pytest.fixture(scope="module", name="server")
def _server(folder: Path) -> Iterator[Running]:
    with running(folder, CDS_CONTENT=str(folder), CDS_CLIENTS=str(folder / "clients.toml")) as server:
        yield server


def speak(folder: Path, language: str) -> None:
    (folder / "clients.toml").write_text(
        f'[development]\nroles = ["client", "operator"]\nlanguage = "{language}"\n', "utf-8"
    )


def told(server: Running, event: str) -> int:
    """How often the log has said so."""
    return sum(line["event"] == event for line in server.lines_so_far())


def hang_up(server: Running) -> None:
    server.process.send_signal(signal.SIGHUP)


def asked(server: Running) -> tuple[int, str, bool]:
    """A call: its status, its language, and whether its cards are in that language."""
    answer = requests.post(server.address + HOOK, json=BODY, timeout=LONG)
    language = answer.headers.get("Content-Language", "")
    dutch = "rugpijn" in answer.json()["cards"][0]["summary"].lower() if answer.ok else False
    return answer.status_code, language, dutch == (language == "nl")


@contextmanager
def calls(server: Running) -> Iterator[list[tuple[int, str, bool]]]:
    """Calls that come in meanwhile, from two callers; at the end, what became of each."""
    done, heard = Event(), list[tuple[int, str, bool]]()

    def keep_calling() -> None:
        while not done.is_set():
            heard.append(asked(server))

    with ThreadPoolExecutor(2) as pool:
        running_ = [pool.submit(keep_calling) for _ in range(2)]
        try:
            yield heard
        finally:
            done.set()
    _raise_what_they_raised(running_)


def _raise_what_they_raised(ended: list[Future[None]]) -> None:
    for one in ended:
        one.result()


def test_no_call_fails_while_clients_are_read_again(server: Running, folder: Path) -> None:
    before = told(server, "reloaded")
    with calls(server) as heard:
        for number in range(1, times(5, 50) + 1):
            language = ("nl", "en")[number % 2]
            speak(folder, language)
            hang_up(server)
            server.until("reloaded", before + number)

            assert asked(server) == (200, language, True)

    assert {status for status, _, _ in heard} == {200}
    assert all(fits for _, _, fits in heard)
    assert {language for _, language, _ in heard} == {"nl", "en"}


def test_content_is_read_again(server: Running, folder: Path) -> None:
    path = folder / "cards/low-back-pain/services.toml"
    reloads = told(server, "reloaded")
    before = requests.get(f"{server.address}/cds-services", timeout=LONG).json()["services"][0]["description"]
    path.write_text(path.read_text("utf-8").replace(before, f"{before} More."), "utf-8")

    hang_up(server)
    server.until("reloaded", reloads + 1)

    after = requests.get(f"{server.address}/cds-services", timeout=LONG).json()["services"][0]["description"]
    assert after == f"{before} More."


# Each row: why, the file, what is written over what stands there (empty: all), what the one line names.
BROKEN: list[tuple[str, str, tuple[str, str], str]] = [
    ("clients that are no TOML", "clients.toml", ("", "[development"), "clients.toml"),
    ("a setting of a client that is none", "clients.toml", ("language", "langauge"), "development.langauge"),
    ("a form that is no JSON", "questionnaires/low-back-pain/questionnaire.json", ("", "{"), "questionnaire.json"),
    ("a rule about nothing", "questionnaires/low-back-pain/findings.toml", ("rf-saddle", "rf-sadle"), "rf-sadle"),
    (
        "a card that is not what must come",
        "cards/low-back-pain/self-test.toml",
        ("emergency-now", "doctor-today"),
        "self-test",
    ),
]


def test_what_is_broken_keeps_the_old_and_is_told_in_one_line(server: Running, folder: Path) -> None:
    language, reloads = asked(server)[1], told(server, "reloaded")
    with calls(server) as heard:
        for number, (why, name, (old, new), says) in enumerate(BROKEN, 1):
            right = (folder / name).read_text("utf-8")
            (folder / name).write_text(right.replace(old, new) if old else new, "utf-8")
            hang_up(server)
            lines = server.until(REFUSED, number)
            (folder / name).write_text(right, "utf-8")

            assert says in lines[-1]["reason"], why
            assert asked(server) == (200, language, True), why

    assert {status for status, _, _ in heard} == {200}
    hang_up(server)
    server.until("reloaded", reloads + 1)
    counted = requests.get(f"{server.address}/metrics", timeout=LONG).text
    assert f'cds_reloads_total{{outcome="refused"}} {float(len(BROKEN))}' in counted
    assert f'cds_reloads_total{{outcome="done"}} {float(reloads + 1)}' in counted


# Runs a command that SIGHUP ends, also where whoever runs the tests had it ignored.
_MORTAL = "import os, signal, sys; signal.signal(signal.SIGHUP, signal.SIG_DFL); os.execv(sys.argv[1], sys.argv[1:])"


def _catches_sighup(process: subprocess.Popen[bytes]) -> bool:
    """As the kernel says of it: the mask of caught signals, whose lowest bit is SIGHUP."""
    mask = re.search(r"^SigCgt:\s*([0-9a-f]+)$", Path(f"/proc/{process.pid}/status").read_text(), re.MULTILINE)
    return bool(mask and int(mask[1], 16) & 1)


def test_a_reload_that_is_asked_for_before_the_service_listens_is_done_when_it_can_be(tmp_path: Path) -> None:
    port = free_port()
    settings = environment(tmp_path, CDS_DEVELOPMENT="1", CDS_PORT=str(port))
    command = [sys.executable, "-c", _MORTAL, COMMAND, "serve"]
    with (tmp_path / "log").open("ab") as log:
        process = subprocess.Popen(command, env=settings, cwd=tmp_path, stdout=subprocess.DEVNULL, stderr=log)
    try:
        _until(lambda: _catches_sighup(process), process)
        process.send_signal(signal.SIGHUP)
        _until(lambda: _listens(port), process)
        server = Running(port, process, tmp_path / "log")
        assert asked(server)[0] == 200
        server.until("reloaded")
    finally:
        process.kill()
        process.wait(timeout=LONG)


def _until(seen: Callable[[], bool], process: subprocess.Popen[bytes]) -> None:
    end = time.monotonic() + 3 * LONG
    while not seen():
        assert process.poll() is None, "the service ended"
        assert time.monotonic() < end, "that was never seen"
        time.sleep(0.001)


def _listens(port: int) -> bool:
    with socket.socket() as one:
        return one.connect_ex(("127.0.0.1", port)) == 0


def test_many_reloads_at_once_are_one_after_the_other(server: Running, folder: Path) -> None:
    speak(folder, "nl")
    with calls(server) as heard:
        for _ in range(30):
            hang_up(server)
        speak(folder, "en")
        hang_up(server)
        while asked(server)[1] == "nl":  # the last of them has read the last file
            pass

    assert {status for status, _, _ in heard} == {200}
    assert server.stop() == 0
