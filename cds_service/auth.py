"""Who calls: the JWT with which a client signs every call, checked in all respects before the body is read.

The assertion with which a client asks for an access token is such a JWT, for the address of the token endpoint; it
names its client twice, as `iss` and as `sub`, and may leave `iat` out.

Sources: CDS Hooks 2.0.1 and 3.0 ballot, "Trusting CDS Clients" (rows SEC-1 to SEC-16); SMART App Launch 2.2, "Client
Authentication: Asymmetric"; RFC 7519; RFC 7523, 3; RFC 8725.
"""

import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from functools import partial
from pathlib import Path
from typing import Annotated, Any, Literal, cast

from joserfc import jws
from joserfc.errors import JoseError
from joserfc.util import urlsafe_b64decode
from pydantic import BaseModel, ConfigDict, Field, ValidationError

from cds_service import logs, strict_json
from cds_service.clients import Client
from cds_service.errors import BadRequest, NotAuthenticated
from cds_service.keys import KeySet, Known, key_set

TOKEN_ENDPOINT = "/auth/token"  # noqa: S105 - no secret: the path at which clients ask for access tokens
MAX_TOKEN = 8192  # bytes
LEEWAY = 60  # seconds that the clocks of client and service may differ
APART = 300  # seconds that a used token is remembered beyond its time: by the clock of whichever process looks
ASSERTION = 300  # seconds that an assertion may live, at most: SMART says five minutes
ALGORITHMS = ("ES384", "RS384")  # fixed here, whatever a token says of itself (RFC 8725, 3.1)
_BEARER = re.compile(r"Bearer (([A-Za-z0-9_-]+)\.([A-Za-z0-9_-]+)\.[A-Za-z0-9_-]+)")
_RULES_OF_ITS_OWN = {"jwk", "x5u", "x5c", "crit"}  # members by which a token would choose its own key or rules
_SIGNATURES = jws.JWSRegistry(algorithms=ALGORITHMS, strict_check_header=False)  # unknown members are ignored
_SIGNATURES.max_header_length = MAX_TOKEN
log = logs.get()

# Every reason why a call is not authenticated: for the log and the metrics, never for the caller.
Missing = Literal["alg", "typ", "kid", "jku", "iss", "aud", "exp", "iat", "nbf", "jti", "tenant"]  # or not as agreed
Wrong = Literal["own-key", "unknown-iss", "other-sub", "other-aud", "unknown-tenant", "other-jku", "unknown-kid"]
Late = Literal["expired", "not-yet", "lifetime", "used"]
Reason = Missing | Wrong | Late | Literal["no-token", "damaged", "signature", "access-token"]

FirstUse = Callable[[str, str, datetime], bool]  # issuer, jti, until when it is to be remembered
Identify = Callable[[str | None, str, datetime], str]  # Authorization header, URL called, now → owner
_Words = Annotated[str, Field(pattern=r"^[^\x00-\x1f\x7f]{1,255}$")]


class _Header(BaseModel):
    model_config = ConfigDict(strict=True, frozen=True)
    alg: str
    typ: Literal["JWT"]
    kid: str
    jku: str = ""


class _Claims(BaseModel):
    model_config = ConfigDict(strict=True, frozen=True)
    iss: str
    sub: Any = None  # an EHR may write there what it likes
    aud: str | list[str]
    exp: float  # NumericDate: seconds since 1970, RFC 7519, 2
    iat: float | None = None
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
    clients: Mapping[str, Client],
    folder: Path,
    first_use: FirstUse,
    *,
    https_only: bool = True,
    known: Known | None = None,
    check_rate: Callable[[str, int], None] = lambda _owner, _agreed: None,
) -> Identify:
    """Gives the function that names the owner of a call, or raises NotAuthenticated: one text for every cause.

    The owner is the client's name, with its tenant after a blank when the token names one. Unavailable is raised where
    the keys cannot be had.

    `folder` is where a relative `jwks` stands. `first_use(issuer, jti, until)` is True only the first time; it is asked
    when all else holds, so that nobody can use up the jti of another. `known` keeps the key sets at URLs from one
    authenticator to the next, so that what was read outlives a reload. `check_rate` raises TooManyCalls for a client
    that has no more calls, before its token counts as used and takes a row. Raises SettingsError for keys that are
    unusable.
    """
    sets = partial(key_set, folder=folder, https_only=https_only, known={} if known is None else known)
    keys = {name: sets(name, one) for name, one in clients.items() if one.issuer}
    issuers = {clients[name].issuer: name for name in keys}

    def identify(authorization: str | None, url: str, now: datetime) -> str:
        name, assertion = "unknown", url.endswith(TOKEN_ENDPOINT)
        try:
            token = _read(authorization)
            name = _named(issuers, token.claims.iss)
            _check_claims(token.claims, clients[name], url, assertion=assertion)
            _check_times(token.claims, clients[name].longest_token, now.timestamp(), assertion=assertion)
            _check_signature(token, clients[name], keys[name], now)
            check_rate(name, clients[name].calls_per_second)
            _check_first_use(token.claims, first_use)
        except NotAuthenticated as refused:
            log.warning("not authenticated", client=name, reason=refused.reason)
            raise
        return f"{name} {token.claims.tenant}".rstrip()

    return identify


def refusal(reason: Reason) -> NotAuthenticated:
    """The one refusal of every call that is not authenticated; `reason` stays in this service."""
    return NotAuthenticated(reason)


def _read(authorization: str | None) -> _Token:
    parts = _BEARER.fullmatch(authorization or "")
    if not parts or len(parts[0]) > MAX_TOKEN:
        raise refusal("no-token")
    try:
        header, claims = (strict_json.read(urlsafe_b64decode(part.encode())) for part in parts.group(2, 3))
        return _Token(parts[1], _header(header), _Claims.model_validate(claims))
    except ValidationError as error:
        place = error.errors(include_input=False)[0]["loc"]
        raise refusal(cast(Missing, place[0]) if place else "damaged") from None  # a field of the models above
    except (ValueError, BadRequest):
        raise refusal("damaged") from None


def _header(header: Any) -> _Header:
    if isinstance(header, dict) and _RULES_OF_ITS_OWN & header.keys():
        raise refusal("own-key")
    return _Header.model_validate(header)


def _named(issuers: Mapping[str, str], issuer: str) -> str:
    if issuer not in issuers:
        raise refusal("unknown-iss")
    return issuers[issuer]


def _check_claims(claims: _Claims, client: Client, url: str, *, assertion: bool) -> None:
    """Raises NotAuthenticated for a token for another address or of an unknown tenant, or a claim that is not there."""
    if claims.iat is None and not assertion:
        raise refusal("iat")
    if assertion and claims.sub != claims.iss:
        raise refusal("other-sub")
    if url not in ([claims.aud] if isinstance(claims.aud, str) else claims.aud):
        raise refusal("other-aud")
    if claims.tenant and claims.tenant not in client.tenants:
        raise refusal("unknown-tenant")


def _check_times(claims: _Claims, longest: float, now: float, *, assertion: bool) -> None:
    """Raises NotAuthenticated for a token of another time, or one that lives too long.

    `nbf` may be long before `iat`: some EHRs write five minutes.
    """
    if claims.exp <= now - LEEWAY:
        raise refusal("expired")
    if max(claims.iat or 0, claims.nbf) > now + LEEWAY:
        raise refusal("not-yet")
    most = (min(longest, ASSERTION) if assertion else longest) + LEEWAY
    lived = most if claims.iat is None else claims.exp - claims.iat
    if claims.exp > now + most or not 0 < lived <= most:
        raise refusal("lifetime")


def _check_signature(token: _Token, client: Client, keys: KeySet, now: datetime) -> None:
    """joserfc also holds `alg` against ALGORITHMS and the key's type, curve, `use`, `key_ops` and `alg`."""
    if token.header.jku not in ("", client.jwks, client.jku):
        raise refusal("other-jku")  # and is not fetched: no token says where we call
    key = keys.find(token.header.kid, now)
    if not key:
        raise refusal("unknown-kid")
    try:
        jws.deserialize_compact(token.text, key, registry=_SIGNATURES)
    except JoseError:
        raise refusal("signature") from None


def _check_first_use(claims: _Claims, first_use: FirstUse) -> None:
    if not first_use(claims.iss, claims.jti, datetime.fromtimestamp(claims.exp + LEEWAY + APART, UTC)):
        raise refusal("used")
