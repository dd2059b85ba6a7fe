"""Attacks on the server itself: slow sockets, no files left, and SIGTERM in the middle of calls."""

import sqlite3
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack, closing, contextmanager, suppress
from dataclasses import dataclass, field
from http.client import HTTPResponse
from itertools import cycle
from pathlib import Path
from socket import SO_RCVBUF, SOL_SOCKET, socket
from statistics import median, quantiles
from threading import Event, Thread
from typing import Any

import pytest
import requests

from tests import attack
from tests.ehr import PATIENCE, Ehr, fetching
from tests.ehr import ehr_server as _ehr_server  # noqa: F401 - the fixture `ehr`
from tests.running import HOOK, LONG, Running, running
from tests.samples import CALM, call, patient, response

pytestmark = pytest.mark.timeless  # a process of its own does the work
SLOW = 150
HEADERS = f"POST {HOOK} HTTP/1.1\r\nHost: x\r\nContent-Type: application/json\r\n".encode()
BODY = HEADERS + b'Content-Length: 5000\r\n\r\n{"hook'
GET = b"GET /cds-services HTTP/1.1\r\nHost: x\r\n\r\n"
# Each kind: what it sends at once, and whether a byte drips in now and then.
KINDS = {"slow headers": (HEADERS, True), "dripping body": (BODY, True), "no body": (BODY, False), "idle": (b"", False)}


@dataclass
class Crowd:
    """Slow sockets: each is opened again when the server closes it, until `stay` says no more; `closed` counts."""

    server: Running
    ends: Event = field(default_factory=Event)
    closed: int = 0
    sockets: list[tuple[socket, bool]] = field(default_factory=list)

    def press(self) -> None:
        kinds = cycle(KINDS.values())
        while not self.ends.is_set():
            while len(self.sockets) < SLOW:
                self.sockets.append(self._opened(*next(kinds)))
            self.drip()
            self.ends.wait(0.1)

    def drip(self) -> None:
        """A byte on each that drips; those that the server has closed are counted and dropped."""
        for one, drips in list(self.sockets):
            if _is_closed(one, drips):
                self.sockets.remove((one, drips))
                one.close()
                self.closed += 1

    def _opened(self, sent: bytes, drips: bool) -> tuple[socket, bool]:
        one = self.server.connect()
        one.sendall(sent)
        one.setblocking(False)
        return one, drips


def _is_closed(one: socket, drips: bool) -> bool:
    try:
        if drips:
            one.send(b"x")
        return one.recv(1000) == b""
    except BlockingIOError:
        return False
    except OSError:
        return True


@contextmanager
def crowd(server: Running) -> Iterator[Crowd]:
    """150 slow sockets of the four kinds, for as long as the test needs them."""
    slow = Crowd(server)
    thread = Thread(target=slow.press)
    thread.start()
    try:
        while len(slow.sockets) < SLOW:
            time.sleep(0.01)
        yield slow
    finally:
        slow.ends.set()
        thread.join()


def measured(server: Running, count: int, callers: int = 2) -> list[float]:
    """Seconds of each of so many calls by these callers; fails when one is not answered with its cards.

    Each is recorded: SQLite has one writer at a time, and a busy machine makes many callers wait for each other.
    """
    body = call(response(CALM | {"rf-saddle": "new"}))

    def some(number: int) -> list[float]:
        spent = []
        with requests.Session() as session:
            for _ in range(number):
                began = time.monotonic()
                answer = session.post(server.address + HOOK, json=body, timeout=LONG)
                spent.append(time.monotonic() - began)
                assert answer.status_code == 200
                assert answer.json()["cards"][0]["indicator"] == "critical"
        return spent

    with ThreadPoolExecutor(callers) as pool:
        return [one for spent in pool.map(some, [count // callers] * callers) for one in spent]


def p95(seconds: list[float]) -> float:
    return quantiles(seconds, n=20)[-1] * 1000


def test_no_call_fails_beside_slow_sockets_and_each_of_them_is_closed(tmp_path: Path) -> None:
    with running(tmp_path, patience={"whole": 1, "idle": 1}) as server:
        with crowd(server) as slow:
            measured(server, 48)
        end = time.monotonic() + LONG
        while slow.sockets and time.monotonic() < end:
            slow.drip()
            time.sleep(0.05)

    assert slow.sockets == []
    assert slow.closed >= SLOW


@pytest.mark.skipif(not attack.FULL, reason="figures want many calls and the patience of the real command")
def test_calls_take_at_most_five_times_as_long_beside_slow_sockets(tmp_path: Path) -> None:
    with running(tmp_path) as server:
        measured(server, 200, 8)  # until all is warm
        alone, beside = [], []
        for _ in range(5):
            alone += measured(server, 400, 8)
            with crowd(server) as slow:
                beside += measured(server, 400, 8)
            for one, _ in slow.sockets:
                one.close()

    attack.tell(
        "150 slow sockets",
        calls=len(beside),
        p50_ms_alone=f"{median(alone) * 1000:.1f}",
        p50_ms_beside=f"{median(beside) * 1000:.1f}",
        p95_ms_alone=f"{p95(alone):.1f}",
        p95_ms_beside=f"{p95(beside):.1f}",
        ratio=f"{p95(beside) / p95(alone):.2f}",
        failed=0,
    )
    assert p95(beside) <= 5 * p95(alone)


@pytest.mark.skipif(not attack.FULL, reason="it waits as long as the real command does")
@pytest.mark.parametrize("kind", KINDS)
def test_the_real_command_closes_a_slow_socket_within_15_seconds(kind: str, tmp_path: Path) -> None:
    sent, drips = KINDS[kind]
    with running(tmp_path) as server, closing(server.connect()) as one:
        one.sendall(sent)
        one.setblocking(False)
        began = time.monotonic()
        while not _is_closed(one, drips) and time.monotonic() - began < 2 * LONG:
            time.sleep(0.1)
        spent = time.monotonic() - began

    attack.tell(f"{kind}, closed", seconds=f"{spent:.1f}")
    assert spent <= 15


def test_who_takes_no_answers_is_closed_and_holds_nobody_up(tmp_path: Path) -> None:
    """More such clients than there are threads, each with four answers of a megabyte under way."""
    four = b"GET /fhir/PlanDefinition HTTP/1.1\r\nHost: x\r\n\r\n" * 4
    with running(tmp_path, patience={"taken": 1.0}) as server, ExitStack() as stack:
        files = Path(f"/proc/{server.process.pid}/fd")
        before, opened = len(list(files.iterdir())), 0
        for _ in range(20):
            sluggish = stack.enter_context(socket())
            sluggish.setsockopt(SOL_SOCKET, SO_RCVBUF, 4096)
            sluggish.connect(("127.0.0.1", server.port))
            sluggish.sendall(four)
        end = time.monotonic() + 3 * LONG
        while (now := len(list(files.iterdir()))) > before + 5 or opened < before + 20:
            opened = max(opened, now)
            assert time.monotonic() < end, "not opened, or still open"
            assert requests.get(f"{server.address}/health/live", timeout=LONG).status_code == 200


def test_a_server_without_files_to_open_comes_back(tmp_path: Path) -> None:
    with running(tmp_path, patience={"whole": 1, "idle": 1}, files=64) as server:
        measured(server, 16)
        with ExitStack() as open_:
            for _ in range(200):
                open_.enter_context(server.connect())
            used = _cpu(server)
            began = time.monotonic()
            with suppress(requests.RequestException):  # it waits behind the others, or is sent away
                requests.get(f"{server.address}/cds-services", timeout=1)
            busy = (_cpu(server) - used) / (time.monotonic() - began)
        began = time.monotonic()
        measured(server, 16)

        attack.tell("64 files and 200 sockets", back_after_s=f"{time.monotonic() - began:.2f}", cpu_share=f"{busy:.2f}")
        assert busy < 0.5  # it waits for files; it does not try again and again
        assert server.stop() == 0


def _cpu(server: Running) -> float:
    """Seconds of processor time that the server has used."""
    fields = Path(f"/proc/{server.process.pid}/stat").read_text().rpartition(")")[2].split()
    return (int(fields[11]) + int(fields[12])) / 100


@dataclass
class Answered:
    """What callers heard: the cards that they were given, how many last answers on a connection, and who got none."""

    cards: list[str] = field(default_factory=list)
    last: int = 0
    lost: list[str] = field(default_factory=list)


def keep_calling(server: Running, body: Any, heard: Answered) -> None:
    """Calls until nobody listens any more."""
    with requests.Session() as session:
        while True:
            try:
                answer = session.post(server.address + HOOK, json=body, timeout=LONG)
            except requests.ConnectionError as error:
                if "refused" not in str(error):
                    heard.lost.append(str(error))
                return
            if answer.status_code != 200:
                heard.lost.append(answer.text)
            heard.cards += [card["uuid"] for card in answer.json().get("cards", [])]
            heard.last += answer.headers.get("Connection") == "close"


def test_sigterm_loses_no_call_and_no_row(ehr: Ehr, tmp_path: Path) -> None:
    hospital = ehr.hospital(patient(), response(CALM | {"rf-saddle": "new"}), mode="slow")
    (tmp_path / "clients.toml").write_text(
        f'[development]\nfhir-servers = ["{hospital.base}"]\nprivate-addresses = true\n', "utf-8"
    )
    bodies = [fetching(hospital.base), call(response(CALM))] * 4
    ends, rounds = [], attack.times(1, 50)
    for _ in range(rounds):
        heard = Answered()
        with (
            running(tmp_path, patience={"fetching": PATIENCE}, CDS_CLIENTS=str(tmp_path / "clients.toml")) as server,
            ThreadPoolExecutor(8) as pool,
        ):
            for body in bodies:
                pool.submit(keep_calling, server, body, heard)
            while len(heard.cards) < 30 and not heard.lost:
                time.sleep(0.01)
            began = time.monotonic()
            code = server.stop()
            ends.append(time.monotonic() - began)

        assert (code, heard.lost) == (0, [])
        assert heard.last > 0  # calls were on their way when it came
        with closing(sqlite3.connect(tmp_path / "decisions.sqlite")) as database:
            kept = {uuid for (uuid,) in database.execute("SELECT uuid FROM cards")}
        assert set(heard.cards) <= kept

    attack.tell("SIGTERM in calls", rounds=rounds, lost=0, longest_end_s=f"{max(ends):.2f}")


def stop_accepting(server: Running) -> None:
    """SIGTERM; comes back when nobody else can come in."""
    server.process.terminate()
    with suppress(ConnectionRefusedError):
        while True:
            with suppress(ConnectionResetError):  # it was about to come in
                server.connect().close()


def test_a_request_that_is_still_coming_in_at_sigterm_is_answered_as_the_last(tmp_path: Path) -> None:
    with running(tmp_path, patience={"drain": LONG, "grace": 0}) as server, closing(server.connect()) as one:
        one.sendall(GET + GET[:-2])  # so that the second, which is not whole, has been read with the first
        assert answer_on(one).status == 200
        stop_accepting(server)
        one.sendall(GET[-2:])
        last = answer_on(one)

        assert (last.status, last.headers["Connection"]) == (200, "close")
        assert server.process.wait(LONG) == 0


def test_who_has_a_connection_may_just_be_sending_at_sigterm_and_is_answered(tmp_path: Path) -> None:
    with running(tmp_path, patience={"drain": LONG, "grace": LONG}) as server, closing(server.connect()) as one:
        one.sendall(GET)
        assert answer_on(one).status == 200
        stop_accepting(server)
        one.sendall(GET)
        last = answer_on(one)

        assert (last.status, last.headers["Connection"]) == (200, "close")
        assert server.process.wait(LONG) == 0


def answer_on(one: socket) -> HTTPResponse:
    """The next answer on this connection, read to its end."""
    answer = HTTPResponse(one)
    answer.begin()
    assert answer.read()
    return answer


def test_slow_sockets_do_not_keep_a_server_from_its_end(tmp_path: Path) -> None:
    with running(tmp_path, patience={"drain": 1}) as server, closing(server.connect()) as one:
        one.sendall(BODY)

        assert server.stop() == 0
