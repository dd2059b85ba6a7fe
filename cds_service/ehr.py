"""The only outbound HTTP: what a FHIR server is asked, within one deadline, and nothing that it did not offer.

A server that hangs, drips, redirects, lies or sends too much ends as Unreachable, never as "nothing there".
"""

import time
from collections.abc import Callable, Iterable, Mapping
from concurrent.futures import ThreadPoolExecutor, wait
from functools import cache
from typing import Any

import requests
from urllib3.exceptions import HTTPError

from cds_service import strict_json
from cds_service.errors import BadRequest

MAX_BYTES = 1_000_000
_CHUNK = 65_536  # bytes


class Unreachable(Exception):
    """It cannot be had; the reason stays here, because it may name hosts and tokens."""


def get(url: str, headers: Mapping[str, str], until: float) -> Any:
    """The JSON at `url`, read before `until` (seconds of time.monotonic). Raises Unreachable."""
    session = requests.Session()
    session.trust_env = False  # no proxies and no .netrc of this machine
    try:
        with session.get(
            url, headers=dict(headers), timeout=_left(until), stream=True, allow_redirects=False
        ) as response:
            if response.status_code != 200:
                raise Unreachable
            return strict_json.read(_body(response, until))
    except (requests.RequestException, HTTPError, OSError, ValueError, BadRequest) as error:
        raise Unreachable from error
    finally:
        session.close()


def together(partner: str, tasks: Iterable[Callable[[], None]], until: float) -> None:
    """Runs the tasks at the same time and waits for them `until` then; what is late, or Unreachable, is left to itself.

    Each partner has threads of its own: a server that drips holds its own calls only. An error of ours is raised.
    """
    running = [_threads(partner).submit(task) for task in tasks]
    done, late = wait(running, timeout=_left(until, least=0))
    for task in late:
        task.cancel()
    for error in [task.exception() for task in done]:
        if error and not isinstance(error, Unreachable):
            raise error


@cache
def _threads(partner: str) -> ThreadPoolExecutor:
    """A few threads for one partner, of which the configuration names only some."""
    return ThreadPoolExecutor(max_workers=8, thread_name_prefix=f"outbound {partner}")


def _left(until: float, least: float = 0.001) -> float:
    return max(until - time.monotonic(), least)


def _body(response: requests.Response, until: float) -> bytes:
    """The body, read piece by piece: the timeout of requests counts from read to read, not from the start."""
    pieces: list[bytes] = []
    while time.monotonic() < until and sum(map(len, pieces)) <= MAX_BYTES:
        piece: bytes = response.raw.read1(_CHUNK, decode_content=True)
        if not piece:
            return b"".join(pieces)
        pieces.append(piece)
    raise Unreachable
