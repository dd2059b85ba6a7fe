"""The public keys of the CDS clients: a JWK Set in a file or at an https URL, read again when that is due.

Sources: CDS Hooks 2.0.1 and 3.0 ballot, "Trusting CDS Clients" (row SEC-3); SMART App Launch 2.2, "Client
Authentication: Asymmetric"; RFC 7517; RFC 7638; RFC 8725, 3.1 and 3.10; RFC 9111, 5.2.2.
"""

import re
import time
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from functools import lru_cache
from pathlib import Path
from threading import BoundedSemaphore, Lock, Thread

from werkzeug.datastructures import ResponseCacheControl
from werkzeug.http import parse_cache_control_header

from cds_service import ehr, logs, strict_json
from cds_service.clients import Client
from cds_service.errors import BadRequest, SettingsError, Unavailable
from cds_service.jwks import Key, Keys, UnusableSet, usable

FRESH = timedelta(minutes=5)  # at most, whatever its server says: so a removed key is refused well within 10 minutes
PAUSE = timedelta(seconds=60)  # at least, between two fetches of an old set, or two for unknown kids
SOON = timedelta(seconds=5)  # instead, while no set was ever had
WAITING = 4  # calls that wait for a fetch; the service answers only some at once
KEPT = timedelta(hours=24)  # how long the last good set outlives an outage
DEADLINE = 1.0  # seconds for a fetch
AT_ONCE, NEVER = timedelta(0), datetime.min.replace(tzinfo=UTC)

Read = Callable[[], tuple[Keys, timedelta]]  # the keys, and how long they are fresh
log = logs.get()


class KeySet:
    """The keys of one client, by kid. `read` gives them all or raises Unreachable or UnusableSet. Safe for threads."""

    def __init__(self, client: str, read: Read, pause: timedelta) -> None:
        self._client, self._read, self._pause = client, read, pause
        self._fresh = AT_ONCE  # until a read says otherwise
        self._good = self._tried = self._asked = NEVER  # last read, last attempt, last attempt for an unknown kid
        self._told = NEVER  # last warning
        self._keys: Keys = {}
        self._lock, self._places = Lock(), BoundedSemaphore(WAITING)

    def find(self, kid: str, now: datetime) -> Key | None:
        """The key with this kid, or None; the set is read again first when it is old or does not hold that kid.

        While one call fetches, those whose key is known go on with it, and a few others wait. Raises Unavailable for
        those for whom there is no place, and where no good set was had for KEPT, or ever: the client may be right, and
        must not be told that it is not.
        """
        unsure = self._due(kid, now) and not self._read_in_turn(kid, now) and kid not in self._keys
        if unsure or not _within(self._good, KEPT, now):
            raise Unavailable("it cannot be checked who calls, because the keys cannot be had; try again later")
        return self._keys.get(kid)

    def renew(self) -> None:
        """Reads the set now, whatever its age; where that fails, what was read goes on."""
        with self._lock:
            self._refresh(datetime.now(UTC))

    def _read_in_turn(self, kid: str, now: datetime) -> bool:
        """Whether the set was read, by this call or by the one that it waited for; not when too many wait."""
        if not self._places.acquire(blocking=False):
            return False
        try:
            with self._lock:
                if self._due(kid, now):  # and no other call has read it in the meantime
                    self._refresh(now, kid)
        finally:
            self._places.release()
        return True

    def _due(self, kid: str, now: datetime) -> bool:
        return self._stale(now) or (kid not in self._keys and not _within(self._asked, self._pause, now))

    def _stale(self, now: datetime) -> bool:
        pause = min(self._pause, SOON) if self._good is NEVER else self._pause
        return not _within(self._good, self._fresh, now) and not _within(self._tried, pause, now)

    def _refresh(self, now: datetime, kid: str | None = None) -> None:
        early = not self._stale(now)  # it is read for this kid alone
        try:
            keys, fresh = self._read()
        except (ehr.Unreachable, UnusableSet) as error:
            self._tell(str(error) or "unreachable", now)
        else:
            self._fresh, self._good = fresh, now  # before the keys: who finds a key finds it good
            self._keys = keys
        finally:  # not before: until then it is due, and the others wait
            self._tried = now
            if kid is not None and (early or kid not in self._keys):
                self._asked = now

    def _tell(self, reason: str, now: datetime) -> None:
        if not _within(self._told, PAUSE, now):
            self._told = now
            log.warning("keys of a client cannot be used", client=self._client, reason=reason)


Known = dict[tuple[str, str, bool], KeySet]  # by client, URL, and whether that may stand on a private address


def key_set(client: str, agreed: Client, folder: Path, *, known: Known, https_only: bool = True) -> KeySet:
    """The keys of this client at its `jwks`: an https URL, or a file below `folder`. A set at a URL is kept in `known`.

    Raises SettingsError for another URL, and for a file that cannot be used now; a URL is first read when it is needed.
    """
    if re.match("https://" if https_only else "https?://", agreed.jwks):
        at = (client, agreed.jwks, agreed.private_addresses)
        return known.setdefault(at, KeySet(client, lambda: _fetched(agreed), PAUSE))
    if "://" in agreed.jwks:
        raise SettingsError(f"CDS_CLIENTS: {client}.jwks: is not an https URL; write one, or the name of a file")
    read = _file_reader(folder / agreed.jwks)
    try:
        read()
    except UnusableSet as error:
        raise SettingsError(f"CDS_CLIENTS: {client}.jwks: {error}") from None
    return KeySet(client, read, AT_ONCE)


def read_ahead(known: Known) -> None:
    """Reads the sets at URLs now, each in a thread: at start the first call need not wait, and a reload renews them."""
    for one in list(known.values()):
        Thread(target=one.renew, daemon=True).start()


def _fetched(agreed: Client) -> tuple[Keys, timedelta]:
    until, headers = time.monotonic() + DEADLINE, {"Accept": "application/jwk-set+json, application/json"}
    document, said = ehr.fetch(agreed.jwks, headers, until, private=agreed.private_addresses)
    return usable(document), _fresh(said.get("Cache-Control", ""))


def _fresh(cache_control: str) -> timedelta:
    """How long keys with this header are fresh: as it says, between PAUSE and FRESH."""
    said = parse_cache_control_header(cache_control.lower(), cls=ResponseCacheControl)
    if said.no_store or said.no_cache:
        return PAUSE
    seconds = FRESH.total_seconds() if said.max_age is None else said.max_age
    return timedelta(seconds=min(max(seconds, PAUSE.total_seconds()), FRESH.total_seconds()))


def _file_reader(path: Path) -> Read:
    """Reads the file again only when its time, size or place on disk has changed."""

    @lru_cache(maxsize=1)
    def keys(*_stamp: int) -> Keys:
        return usable(strict_json.read(path.read_bytes()))

    def read() -> tuple[Keys, timedelta]:
        try:
            status = path.stat()
            return keys(status.st_mtime_ns, status.st_size, status.st_ino), AT_ONCE
        except (OSError, BadRequest):
            raise UnusableSet("cannot be read as JSON; write a file beside clients.toml that holds a JWK Set") from None

    return read


def _within(moment: datetime, span: timedelta, now: datetime) -> bool:
    """Whether `moment` is less than `span` from now, on either side: a clock that is set back makes nothing eternal."""
    return abs(now - moment) < span
