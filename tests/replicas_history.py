"""Three processes on one database, many calls through a proxy before them, and the end of one process amid these."""

import contextlib
import signal
from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path
from threading import Lock
from typing import Any
from uuid import uuid4

import requests

from tests import tokens
from tests.replicas_proxy import Proxy, proxy_before
from tests.running import HOOK, LONG, Running, running
from tests.samples import CALM, call, response
from tests.test_clients import AGREED, PRODUCTION, written
from tests.test_submission import sound
from tests.tokens import PUBLIC

CALLERS = 4
CALLS = 90
ENOUGH = 30  # of them are answered when one process is killed
CLIENTS = f"{AGREED}calls-per-second = 10000\n"
RESPONSES = "/fhir/QuestionnaireResponse"
ALARMING = call(response(CALM | {"rf-saddle": "new"}))
Json = dict[str, Any]


@dataclass(frozen=True)
class Called:
    """A call that was answered with 200: its hookInstance, its token, and the uuids of its cards."""

    instance: str
    token: str
    cards: frozenset[str]


@dataclass(frozen=True)
class History:
    """What was done: the processes that are left, and what was heard of all, before and after one was killed."""

    left: tuple[Running, ...]
    card_of_the_killed: Json
    response_of_the_killed: str
    answered: list[Called] = field(default_factory=list)
    broken: list[str] = field(default_factory=list)  # the hookInstances that got no answer at first
    one_at_a_time: Any = field(default_factory=Lock)


def signed(path: str) -> str:
    """A token for this address, which was never used."""
    now = int(datetime.now(UTC).timestamp())
    return tokens.token(tokens.header(), tokens.claims(PUBLIC + path, iat=now, exp=now + 300))


def ask(address: str, path: str, body: Any = None, token: str = "", method: str = "POST") -> requests.Response:
    """One call on a connection of its own."""
    headers = {"Authorization": f"Bearer {token or signed(path)}", "Connection": "close"}
    return requests.request(method, address + path, json=body, headers=headers, timeout=LONG)


@contextlib.contextmanager
def history_on(url: str, folders: Sequence[Path]) -> Iterator[History]:
    """A process for each folder, all started at once as a machine does, with the database at `url`."""
    with contextlib.ExitStack() as ends, ThreadPoolExecutor(len(folders)) as starters:
        starting = [starters.submit(_started, ends, folder, url) for folder in folders]
        first, *left = [one.result() for one in starting]
        (card,) = ask(first.address, HOOK, ALARMING).json()["cards"]
        submitted = ask(first.address, RESPONSES, sound())
        assert submitted.status_code == 201, submitted.text
        history = History(tuple(left), card, submitted.headers["Location"].removeprefix(PUBLIC))
        with proxy_before([one.port for one in (first, *left)]) as proxy, ThreadPoolExecutor(CALLERS) as callers:
            for done in [callers.submit(_until_answered, history, proxy, first) for _ in range(CALLS)]:
                done.result()
        yield history


def _started(ends: contextlib.ExitStack, folder: Path, url: str) -> Running:
    settings = PRODUCTION | {"CDS_DATABASE_URL": url, "CDS_CLIENTS": str(written(folder, CLIENTS))}
    return ends.enter_context(running(folder, files=0, patience=None, CDS_DEVELOPMENT="0", **settings))


def _until_answered(history: History, proxy: Proxy, first: Running) -> None:
    """One call; as an EHR does, again with a new token where no answer came, or the service said "later"."""
    instance = str(uuid4())
    for _ in range(20):
        token = signed(HOOK)
        try:
            answer = ask(proxy.address, HOOK, ALARMING | {"hookInstance": instance}, token)
        except requests.ConnectionError:
            history.broken.append(instance)
            continue
        if answer.status_code != 503:
            break
    assert answer.status_code == 200, answer.text
    given = frozenset(card["uuid"] for card in answer.json()["cards"])
    with history.one_at_a_time:
        history.answered.append(Called(instance, token, given))
        number = len(history.answered)
    if number == ENOUGH:
        _kill_amid_calls(proxy, first)


def _kill_amid_calls(proxy: Proxy, first: Running) -> None:
    """It stands still until one more call waits for it, so that surely one is never answered."""
    first.process.send_signal(signal.SIGSTOP)
    proxy.until_another_goes_to(first.port)
    first.process.kill()
    first.process.wait(timeout=LONG)
