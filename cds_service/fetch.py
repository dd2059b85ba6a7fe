"""What the EHR did not send along is asked from its FHIR server, key by key, within one budget.

Only a server that the client was configured with is asked, and only there goes its token. What cannot be had stays an
OperationOutcome: not known, never "nothing there". Source: CDS Hooks 2.0.1 and 3.0 ballot, "FHIR Resource Access".
"""

import re
import time
from collections.abc import Callable, Iterable, Mapping
from contextlib import suppress
from dataclasses import dataclass, field
from functools import partial
from threading import Semaphore
from typing import Any
from urllib.parse import unquote, urljoin, urlsplit

from cds_content.shapes import Json
from cds_service import logs
from cds_service.breaker import guarded
from cds_service.clients import Client
from cds_service.ehr import MAX_BYTES, Elsewhere, Room, Unanswered, Unreachable, fetch
from cds_service.hooks import HookRequest
from cds_service.partners import place, together
from cds_service.resources import OUTCOME, dicts, is_resource, parts

BUDGET = 0.35  # seconds, of the 0.5 in which a CDS service should answer
MAX_PAGES = 5  # of one search, and beside the first page of each for all searches of a call
FAILED = {"resourceType": OUTCOME, "issue": [{"severity": "error", "code": "transient"}]}
Read = Callable[[str], Any]  # the JSON at an address
Keep = Callable[[Json], None]  # what is in hand so far: kept at once, so that a late page takes no other along
_TOKEN = re.compile(r"\{\{\s*([A-Za-z.]+)\s*\}\}")


@dataclass
class _Line:
    """What one call has of its FHIR server: whom it asks, with what, until when, and what came of it."""

    base: str
    headers: Mapping[str, str]
    until: float
    private: bool
    further: Semaphore = field(default_factory=lambda: Semaphore(MAX_PAGES))
    answered: bool = False  # whether there was any answer, be it of no use
    elsewhere: bool = False  # whether the server's name leads to where nobody may be called

    def read(self, room: Room, url: str) -> Any:
        try:
            answer, _ = fetch(url, self.headers, self.until, private=self.private, room=room)
        except Unreachable as error:
            self.elsewhere |= isinstance(error, Elsewhere)
            self.answered |= not isinstance(error, Unanswered | Elsewhere)
            raise
        self.answered = True
        return answer

    def read_further(self, room: Room, url: str) -> Any:
        if not self.further.acquire(blocking=False):
            raise Unreachable
        return self.read(room, url)


def completed(request: HookRequest, templates: Mapping[str, str], client: Client) -> Json:
    """The prefetch of the call under our keys, with what was missing fetched and Bundles followed to their end."""
    sent = {key: value for key, value in (request.prefetch or {}).items() if key in templates}
    base = _allowed(request, client)
    if base is None:
        return sent
    asked = templates.keys() - sent.keys() - ({"responses"} if client.responses == "submitted" else set())
    queries = {key: query for key in templates if key in asked and (query := _query(templates[key], request))}
    found = sent | dict.fromkeys(queries, FAILED)
    line = _Line(base, _headers(request), time.monotonic() + BUDGET, client.private_addresses)
    if tasks := _tasks(line, queries, sent, found):
        _ask(line, tasks)
    return dict(found)  # a copy: what comes too late changes nothing


def _tasks(line: _Line, queries: Mapping[str, str], sent: Json, found: Json) -> list[Callable[[], None]]:
    """What is to be asked: each query, and the pages after a Bundle that was sent; every key has room of its own."""
    open_ended = [key for key, value in sent.items() if _next(value)]
    size = MAX_BYTES // max(len(queries) + len(open_ended), 1)
    rooms = {key: Room(size) for key in [*queries, *open_ended]}
    keep = {key: partial(found.__setitem__, key) for key in rooms}
    further = {key: partial(line.read_further, room) for key, room in rooms.items()}
    return [
        *(
            partial(_first, partial(line.read, rooms[key]), further[key], line.base, queries[key], keep[key])
            for key in queries
        ),
        *(partial(_whole, further[key], line.base, sent[key], keep[key]) for key in open_ended),
    ]


def _ask(line: _Line, tasks: Iterable[Callable[[], None]]) -> None:
    """Does the tasks as far as the server is there for us; what it does not answer stays as it was."""

    def ask() -> None:
        together(line.base, tasks, line.until)
        if not line.answered:
            raise Elsewhere if line.elsewhere else Unanswered  # where nobody was called, nothing is known of the server

    with suppress(Unreachable), place(line.base):
        guarded(line.base, ask)
    if line.elsewhere:
        logs.get().warning("a FHIR server has an address that is not public, see private-addresses", base=line.base)


def _allowed(request: HookRequest, client: Client) -> str | None:
    """The base URL that may be asked, as the client's configuration writes it."""
    named = (request.fhir_server or "").removesuffix("/")
    may = _token(request) is not None or client.open_fhir_servers
    return named if may and named in client.fhir_servers else None


def _headers(request: HookRequest) -> Mapping[str, str]:
    token = _token(request)
    return {"Accept": "application/fhir+json"} | ({"Authorization": f"Bearer {token}"} if token else {})


def _token(request: HookRequest) -> str | None:
    """The token for the FHIR server of the call."""
    given = request.fhir_authorization
    return given.access_token if given and (given.token_type or "Bearer").lower() == "bearer" else None


def _query(template: str, request: HookRequest) -> str | None:
    """The template with its tokens filled in; None where the call has no value for one."""
    given = {f"context.{name}": value for name, value in request.context.model_dump(by_alias=True).items()}
    wanted = _TOKEN.findall(template)
    if not all(isinstance(given.get(name), str) for name in wanted):
        return None
    return _TOKEN.sub(lambda found: str(given[found[1]]), template)


def _first(read: Read, further: Read, base: str, query: str, keep: Keep) -> None:
    """Keeps the answer to a query, page by page; it must be what was asked for. Raises Unreachable."""
    answer = read(f"{base}/{query}")
    kind = re.split(r"[/?]", query)[0]
    held = {one["resourceType"] for one in parts(answer)} if _is_readable(answer) else {"unreadable"}
    wanted = "Bundle" if "?" in query else kind
    if wanted not in held or answer["resourceType"] != wanted or (held - {"Bundle", OUTCOME} and kind not in held):
        raise Unreachable
    _whole(further, base, answer, keep)


def _whole(further: Read, base: str, first: Json, keep: Keep) -> None:
    """Keeps a Bundle with the entries of the pages that follow; its `next` link stays where one cannot be had."""
    bundle = first
    keep(bundle)
    for _ in range(MAX_PAGES - 1):
        url = _next(bundle)
        page: Any = further(urljoin(f"{base}/", url)) if url and _below(base, url) else None
        if not _is_readable(page) or page["resourceType"] != "Bundle" or not isinstance(page.get("entry", []), list):
            return
        entries = [*bundle.get("entry", []), *page.get("entry", [])]
        bundle = bundle | {"entry": entries, "link": page.get("link", []), **_total(bundle, page)}
        keep(bundle)


def _total(bundle: Json, page: Json) -> Json:
    """The highest `total` of two pages; one that is no number stays, so that the search is not taken for complete."""
    said = [one["total"] for one in (bundle, page) if "total" in one]
    odd = [total for total in said if type(total) is not int]
    return {"total": odd[0] if odd else max(said)} if said else {}


def _is_readable(answer: Any) -> bool:
    return is_resource(answer) and all(is_resource(one) for one in parts(answer))


def _next(bundle: Any) -> str | None:
    """The address of the page after a Bundle; None when it names none, or more than one."""
    if not is_resource(bundle) or bundle["resourceType"] != "Bundle" or not isinstance(bundle.get("entry", []), list):
        return None
    urls = [link.get("url") for link in dicts(bundle.get("link")) if link.get("relation") == "next"]
    return urls[0] if len(urls) == 1 and isinstance(urls[0], str) else None


def _below(base: str, url: str) -> bool:
    """Whether a URL, relative or not, stays under the base: the token goes nowhere else."""
    try:
        ours, other = urlsplit(base), urlsplit(urljoin(f"{base}/", url))
        same = (ours.scheme, ours.hostname, ours.port) == (other.scheme, other.hostname, other.port)
    except ValueError:
        return False
    plain = "@" not in other.netloc and not re.search(r"[\s\\#]", url)
    path = unquote(other.path)
    hidden = re.search(r"%(?:25|2e|2f|5c|00)", other.path, re.IGNORECASE)
    climbs = {".", ".."} & {segment.partition(";")[0] for segment in path.split("/")}  # some read `..;` as `..`
    return same and plain and not hidden and not climbs and f"{path}/".startswith(f"{ours.path}/")
