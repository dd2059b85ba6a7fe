"""The public keys of the CDS clients: a JWK Set in a file or at an https URL, read again when that is due.

Sources: CDS Hooks 2.0.1 and 3.0 ballot, "Trusting CDS Clients" (row SEC-3); RFC 7517; RFC 7638; RFC 8725, 3.1 and 3.10.
"""

import logging
import re
import time
from collections.abc import Callable, Mapping
from datetime import UTC, datetime, timedelta
from functools import lru_cache
from pathlib import Path
from threading import Lock
from typing import Any

from joserfc.errors import JoseError
from joserfc.jwk import ECKey, RSAKey

from cds_service import ehr, strict_json
from cds_service.errors import BadRequest, SettingsError

FRESH = timedelta(minutes=5)  # so a removed key is refused well within 10 minutes
PAUSE = timedelta(seconds=60)  # at least, between two fetches of an old set, or two for unknown kids
KEPT = timedelta(hours=24)  # how long the last good set outlives an outage
DEADLINE = 1.0  # seconds for a fetch
AT_ONCE, NEVER = timedelta(0), datetime.min.replace(tzinfo=UTC)

Key = ECKey | RSAKey
Keys = Mapping[str, Key]  # by kid
_KINDS: Mapping[str, type[ECKey] | type[RSAKey]] = {"EC": ECKey, "RSA": RSAKey}
_SECRET = {"k", "d", "p", "q", "dp", "dq", "qi", "oth"}  # RFC 7518, 6.2.2, 6.3.2 and 6.4
# SHA-256 thumbprints (RFC 7638) of keys whose private half anybody can read, so that they prove nothing (row SEC-14).
PUBLISHED = frozenset(
    {
        "-UtOymI2Z0XB5SZogEZu3s5oMyQ4YaewHtR9huroTQs",  # "example-kid", in the CDS Hooks specification
        "s9fOe-KDYD1myZ8YCzleUqJQgrYZL49kVijBxhnZvZc",  # the public CDS Hooks Sandbox
    }
)
log = logging.getLogger(__name__)


class UnusableSet(Exception):
    """A JWK Set that no key is taken from; the text says why and what to write instead, and holds no part of it."""


class KeySet:
    """The keys of one client, by kid. `read` gives them all or raises Unreachable or UnusableSet. Safe for threads."""

    def __init__(self, client: str, read: Callable[[], Keys], fresh: timedelta, pause: timedelta) -> None:
        self._client, self._read, self._fresh, self._pause = client, read, fresh, pause
        self._good = self._tried = self._asked = NEVER  # last read, last attempt, last attempt for an unknown kid
        self._told = NEVER  # last warning
        self._keys: Keys = {}
        self._lock = Lock()

    def find(self, kid: str, now: datetime) -> Key | None:
        """The key with this kid, or None; the set is read again first when it is old or does not hold that kid.

        While one call fetches, those whose key is known go on with it, and the others wait.
        """
        if self._due(kid, now):
            with self._lock:
                if self._due(kid, now):  # and no other call has read it in the meantime
                    self._refresh(now)
        return self._keys.get(kid) if _within(self._good, KEPT, now) else None

    def _due(self, kid: str, now: datetime) -> bool:
        return self._stale(now) or (kid not in self._keys and not _within(self._asked, self._pause, now))

    def _stale(self, now: datetime) -> bool:
        return not _within(self._good, self._fresh, now) and not _within(self._tried, self._pause, now)

    def _refresh(self, now: datetime) -> None:
        if not self._stale(now):
            self._asked = now
        self._tried = now
        try:
            keys = self._read()
        except (ehr.Unreachable, UnusableSet) as error:
            self._tell(str(error) or "unreachable", now)
        else:
            self._good = now  # before the keys: who finds a key finds it good
            self._keys = keys

    def _tell(self, reason: str, now: datetime) -> None:
        if not _within(self._told, PAUSE, now):
            self._told = now
            log.warning("client %s, jwks: %s", self._client, reason)


def key_set(client: str, jwks: str, folder: Path, *, https_only: bool = True) -> KeySet:
    """The keys of this client at `jwks`: an https URL, or a file below `folder`.

    Raises SettingsError for another URL, and for a file that cannot be used now; a URL is first read when it is needed.
    """
    if re.match("https://" if https_only else "https?://", jwks):
        return KeySet(client, lambda: _fetched(jwks), FRESH, PAUSE)
    if "://" in jwks:
        raise SettingsError(f"CDS_CLIENTS: {client}.jwks: is not an https URL; write one, or the name of a file")
    read = _file_reader(folder / jwks)
    try:
        read()
    except UnusableSet as error:
        raise SettingsError(f"CDS_CLIENTS: {client}.jwks: {error}") from None
    return KeySet(client, read, AT_ONCE, AT_ONCE)


def usable(document: Any) -> Keys:
    """The keys of a JWK Set that can verify ES384 or RS384, by kid; other kinds are passed over (RFC 7517, 5).

    Raises UnusableSet for what no client means to publish: then nothing of the set is to be trusted.
    """
    jwks = document.get("keys") if isinstance(document, dict) else None
    if not isinstance(jwks, list) or not all(isinstance(jwk, dict) for jwk in jwks):
        raise UnusableSet("is not a JWK Set; write an object with an array of public keys, `keys`")
    if any(_SECRET & jwk.keys() for jwk in jwks):
        raise UnusableSet("holds a secret or private key; write public keys only, and make new ones")
    signing = [jwk for jwk in jwks if _verifies(jwk)]
    if len({jwk["kid"] for jwk in signing}) < len(signing):
        raise UnusableSet("holds two keys with one kid; write a kid per key")
    keys = {jwk["kid"]: key for jwk in signing if (key := _key(jwk))}
    if any(_thumbprint(key) in PUBLISHED for key in keys.values()):
        raise UnusableSet("holds a sample key whose private half is public; write a key of the client's own")
    return keys


def _verifies(jwk: Mapping[str, Any]) -> bool:
    """Whether the key may verify signatures, and can be named by a token."""
    operations = jwk.get("key_ops", ["verify"])
    may = jwk.get("use", "sig") == "sig" and isinstance(operations, list) and "verify" in operations
    return may and isinstance(jwk.get("kid"), str)


def _key(jwk: dict[str, Any]) -> Key | None:
    try:
        key = _KINDS[jwk["kty"]].import_key(jwk)
    except (JoseError, ValueError, LookupError, TypeError):
        return None
    strong = key.curve_name == "P-384" if isinstance(key, ECKey) else key.public_key.key_size >= 2048
    return key if strong else None


def _thumbprint(key: Key) -> str:
    """RFC 7638 of the key itself, not of its spelling in the set: leading zeros must not make it another."""
    return type(key).import_key(key.as_pem()).thumbprint()


def _fetched(url: str) -> Keys:
    return usable(ehr.get(url, {"Accept": "application/jwk-set+json, application/json"}, time.monotonic() + DEADLINE))


def _file_reader(path: Path) -> Callable[[], Keys]:
    """Reads the file again only when its time, size or place on disk has changed."""

    @lru_cache(maxsize=1)
    def keys(*_stamp: int) -> Keys:
        return usable(strict_json.read(path.read_bytes()))

    def read() -> Keys:
        try:
            status = path.stat()
            return keys(status.st_mtime_ns, status.st_size, status.st_ino)
        except (OSError, BadRequest):
            raise UnusableSet("cannot be read as JSON; write a file beside clients.toml that holds a JWK Set") from None

    return read


def _within(moment: datetime, span: timedelta, now: datetime) -> bool:
    """Whether `moment` is less than `span` from now, on either side: a clock that is set back makes nothing eternal."""
    return abs(now - moment) < span
