"""What a server is asked for: JSON, and nothing else counts as an answer.

A server that lies or fails ends as Unreachable, never as "nothing there". How it is called stands in outbound.py.
"""

from collections.abc import Mapping
from typing import Any

from cds_service import strict_json
from cds_service.errors import BadRequest
from cds_service.outbound import MAX_BYTES, Elsewhere, Room, Unanswered, Unreachable, asked, read

__all__ = ["MAX_BYTES", "Elsewhere", "Room", "Unanswered", "Unreachable", "fetch", "get"]


def get(url: str, headers: Mapping[str, str], until: float, *, private: bool = False) -> Any:
    """The JSON at `url`: what `fetch` gives, without the headers."""
    return fetch(url, headers, until, private=private)[0]


def fetch(
    url: str, headers: Mapping[str, str], until: float, *, private: bool = False, room: Room | None = None
) -> tuple[Any, Mapping[str, str]]:
    """The JSON at `url` and the headers of the answer, read before `until` (seconds of time.monotonic).

    `private`: it may stand on a private address, or on this machine. `room` is what it may take, MAX_BYTES unless it is
    given. Raises Unreachable.
    """
    with asked("GET", url, headers=headers, until=until, private=private) as answer:
        if answer.status >= 500:
            raise Unanswered
        if answer.status != 200:
            raise Unreachable
        try:
            return strict_json.read(read(answer, until, room or Room())), answer.headers
        except BadRequest as error:
            raise Unreachable from error
