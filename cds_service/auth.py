"""Who calls: the JWT with which a CDS client signs every call, checked in all respects before the body is read.

Sources: CDS Hooks 2.0.1 and 3.0 ballot, "Trusting CDS Clients" (rows SEC-1 to SEC-16); RFC 7519; RFC 8725.
"""

import logging
import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Annotated, Any, Literal

from joserfc import jws
from joserfc.errors import JoseError
from joserfc.util import urlsafe_b64decode
from pydantic import BaseModel, ConfigDict, Field, ValidationError

from cds_service import strict_json
from cds_service.clients import Client
from cds_service.errors import BadRequest, NotAuthenticated
from cds_service.keys import KeySet, key_set

MAX_TOKEN = 8192  # bytes
LEEWAY = 60  # seconds that the clocks of client and service may differ
LONGEST = 3600  # seconds that a token may live; 300 is usual
ALGORITHMS = ("ES384", "RS384")  # fixed here, whatever a token says of itself (RFC 8725, 3.1)
_BEARER = re.compile(r"Bearer (([A-Za-z0-9_-]+)\.([A-Za-z0-9_-]+)\.[A-Za-z0-9_-]+)")
_RULES_OF_ITS_OWN = {"jwk", "x5u", "x5c", "crit"}  # members by which a token would choose its own key or rules
_SIGNATURES = jws.JWSRegistry(algorithms=ALGORITHMS, strict_check_header=False)  # unknown members are ignored
_SIGNATURES.max_header_length = MAX_TOKEN
log = logging.getLogger(__name__)

FirstUse = Callable[[str, str, datetime], bool]  # issuer, jti, until when it is to be remembered
Identify = Callable[[str | None, str, datetime], str]  # Authorization header, URL called, now → owner
_Words = Annotated[str, Field(pattern=r"^[^\x00-\x1f\x7f]{1,255}$")]


class _Refused(Exception):
    """What is wrong, in fixed words: for the log, never for the caller."""


class _Header(BaseModel):
    model_config = ConfigDict(strict=True, frozen=True)
    alg: str
    typ: Literal["JWT"]
    kid: str
    jku: str = ""


class _Claims(BaseModel):
    model_config = ConfigDict(strict=True, frozen=True)
    iss: str
    aud: str | list[str]
    exp: float  # NumericDate: seconds since 1970, RFC 7519, 2
    iat: float
    nbf: float = 0
    jti: _Words
    tenant: _Words = ""


@dataclass(frozen=True)
class _Token:
    """What was sent, of which nothing is true yet."""

    text: str
    header: _Header
    claims: _Claims


def authenticator(
    clients: Mapping[str, Client], folder: Path, first_use: FirstUse, *, https_only: bool = True
) -> Identify:
    """Gives the function that names the owner of a call, or raises NotAuthenticated: one text for every cause.

    The owner is the client's name, with its tenant after a blank when the token names one.

    `folder` is where a relative `jwks` stands. `first_use(issuer, jti, until)` is True only the first time; it is asked
    when all else holds, so that nobody can use up the jti of another. Raises SettingsError for keys that are unusable.
    """
    keys = {name: key_set(name, one.jwks, folder, https_only=https_only) for name, one in clients.items() if one.issuer}
    issuers = {clients[name].issuer: name for name in keys}

    def identify(authorization: str | None, url: str, now: datetime) -> str:
        name = "unknown"
        try:
            token = _read(authorization)
            name = _named(issuers, token.claims.iss)
            _check_claims(token.claims, clients[name], url, now.timestamp())
            _check_signature(token, clients[name], keys[name], now)
            _check_first_use(token.claims, first_use)
        except _Refused as reason:
            log.warning("not authenticated, client %s: %s", name, reason)
            raise NotAuthenticated from None
        return f"{name} {token.claims.tenant}".rstrip()

    return identify


def _read(authorization: str | None) -> _Token:
    parts = _BEARER.fullmatch(authorization or "")
    if not parts or len(parts[0]) > MAX_TOKEN:
        raise _Refused("no bearer token of three parts")
    try:
        header, claims = (strict_json.read(urlsafe_b64decode(part.encode())) for part in parts.group(2, 3))
        return _Token(parts[1], _header(header), _Claims.model_validate(claims))
    except ValidationError as error:
        place = error.errors(include_input=False)[0]["loc"]
        raise _Refused(f"{place[0] if place else 'token'} is missing or not as agreed") from None
    except (ValueError, BadRequest):
        raise _Refused("header and claims are not JSON") from None


def _header(header: Any) -> _Header:
    if isinstance(header, dict) and _RULES_OF_ITS_OWN & header.keys():
        raise _Refused("header brings a key or rules of its own")
    return _Header.model_validate(header)


def _named(issuers: Mapping[str, str], issuer: str) -> str:
    if issuer not in issuers:
        raise _Refused("iss is not that of a client")
    return issuers[issuer]


def _check_claims(claims: _Claims, client: Client, url: str, now: float) -> None:
    """Raises _Refused for a token for another address, of another time or of an unknown tenant."""
    if url not in ([claims.aud] if isinstance(claims.aud, str) else claims.aud):
        raise _Refused("aud is not the URL called")
    if claims.exp <= now - LEEWAY:
        raise _Refused("exp is past")
    if max(claims.iat, claims.nbf) > now + LEEWAY:
        raise _Refused("iat or nbf is in the future")
    if not 0 < claims.exp - claims.iat <= LONGEST:  # so exp is at most an hour ahead, with the leeway of iat
        raise _Refused("exp is before iat, or too long after it")
    if claims.tenant and claims.tenant not in client.tenants:
        raise _Refused("tenant is not one of the client's")


def _check_signature(token: _Token, client: Client, keys: KeySet, now: datetime) -> None:
    """joserfc also holds `alg` against ALGORITHMS and the key's type, curve, `use`, `key_ops` and `alg`."""
    if token.header.jku not in ("", client.jwks, client.jku):
        raise _Refused("jku is not the agreed one")  # and is not fetched: no token says where we call
    key = keys.find(token.header.kid, now)
    if not key:
        raise _Refused("kid is not that of a key of the client")
    try:
        jws.deserialize_compact(token.text, key, registry=_SIGNATURES)
    except JoseError:
        raise _Refused("signature does not hold") from None


def _check_first_use(claims: _Claims, first_use: FirstUse) -> None:
    if not first_use(claims.iss, claims.jti, datetime.fromtimestamp(claims.exp + LEEWAY, UTC)):
        raise _Refused("jti was used before")
