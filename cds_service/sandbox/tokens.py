"""The tokens of the sandbox: a JWT signed for each call to a CDS service, and access tokens for its FHIR server.

The key is made at start and stays in memory. Sources: CDS Hooks 2.0.1, "Trusting CDS Clients" and "FHIR Resource
Access"; RFC 7519; SMART App Launch 2.2.
"""

import re
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from secrets import token_urlsafe
from threading import Lock
from uuid import uuid4

from joserfc import jwt
from joserfc.jwk import ECKey

from cds_content.shapes import Json
from cds_service.errors import NotAuthenticated
from cds_service.sandbox.exchange import Exchange

LIFETIME = timedelta(minutes=5)
KID = "sandbox"
_MOST = 500  # access tokens; the oldest go first
_SCOPE = re.compile(r"patient/([A-Za-z]+|\*)\.([cruds]+|read|write|\*)")
_LETTERS = {"read": "rs", "write": "cud", "*": "cruds"}


class Signer:
    """Signs for the issuer; `wrong` signs with a key that nobody knows, under the same name."""

    def __init__(self, issuer: str) -> None:
        self.issuer = issuer
        self._key, self._wrong = (ECKey.generate_key("P-384", {"kid": KID}) for _ in range(2))

    def jwks(self) -> Json:
        """The public key, as a JWK Set."""
        return {"keys": [{**self._key.as_dict(private=False), "kid": KID, "use": "sig", "alg": "ES384"}]}

    def call(self, url: str, now: datetime, *, wrong: bool = False, expired: bool = False) -> str:
        """The token of a call to `url`; with `expired` it was good an hour ago."""
        issued = now - timedelta(hours=1) if expired else now
        return self.sign({"iss": self.issuer, "aud": url, "jti": str(uuid4())}, issued, wrong=wrong)

    def sign(self, claims: Json, issued: datetime, *, wrong: bool = False) -> str:
        """These claims from this moment on, for LIFETIME."""
        times = {"iat": int(issued.timestamp()), "exp": int((issued + LIFETIME).timestamp())}
        header = {"alg": "ES384", "typ": "JWT", "kid": KID}
        return jwt.encode(header, claims | times, self._wrong if wrong else self._key, algorithms=["ES384"])


@dataclass(frozen=True)
class Grant:
    """What an access token is for: one patient, some interactions, until a moment. `used` are the calls with it."""

    patient: str
    scope: str
    until: datetime
    used: list[Exchange] = field(default_factory=list)

    def reaches(self, kind: str, letter: str) -> bool:
        """Whether the scope allows the interaction (c, r, u, d or s) with this type of resource."""
        scopes = [found for one in self.scope.split() if (found := _SCOPE.fullmatch(one))]
        return any(one[1] in (kind, "*") and letter in _LETTERS.get(one[2], one[2]) for one in scopes)


class Grants:
    """Access tokens in memory. Safe for threads."""

    def __init__(self) -> None:
        self._given: dict[str, Grant] = {}
        self._lock = Lock()

    def give(self, patient: str, scope: str, until: datetime) -> tuple[str, Grant]:
        """A new token, and what it is for."""
        token, grant = token_urlsafe(32), Grant(patient, scope, until)
        with self._lock:
            for oldest in list(self._given)[: max(len(self._given) - _MOST + 1, 0)]:
                del self._given[oldest]
            self._given[token] = grant
        return token, grant

    def of(self, authorization: str, now: datetime) -> Grant:
        """What the token in this header is for. Raises NotAuthenticated."""
        scheme, _, token = authorization.partition(" ")
        grant = self._given.get(token) if scheme.lower() == "bearer" else None
        if grant is None or grant.until <= now:
            raise NotAuthenticated("access-token")
        return grant

    def forget(self) -> None:
        with self._lock:
            self._given.clear()
