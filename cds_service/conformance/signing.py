"""The JWT of a CDS client for each call, and tokens that are wrong in one way each.

Sources: CDS Hooks 2.0.1, "Trusting CDS Clients"; RFC 7515; RFC 7519.
"""

import hashlib
import hmac
import time
from base64 import urlsafe_b64encode
from dataclasses import dataclass
from typing import Any
from uuid import uuid4

from joserfc import jwt
from joserfc.jwk import ECKey, RSAKey

from cds_service import strict_json

ALGORITHMS = ("ES384", "RS384", "ES256", "RS256", "ES512", "RS512")
_LIFETIME = 300  # seconds, as the specification's own sample
_GONE = 3600  # seconds since the expired token was issued
CLAIMS = ("iss", "aud", "exp", "iat", "jti")


@dataclass(frozen=True)
class Signer:
    """Signs as one client: its private key, the issuer that it is known by, and the name of the key."""

    key: ECKey | RSAKey
    issuer: str
    kid: str
    alg: str = "ES384"
    jku: str = ""

    def sign(self, url: str, **changed: Any) -> str:
        """A token for a call of `url`; `changed` replaces claims, and None leaves one out."""
        claims = {name: value for name, value in (self.claims(url) | changed).items() if value is not None}
        return jwt.encode(self.header(), claims, self.key, algorithms=[self.alg])

    def header(self, **changed: str) -> dict[str, str]:
        """The header of its tokens."""
        right = {"alg": self.alg, "typ": "JWT", "kid": self.kid}
        return right | ({"jku": self.jku} if self.jku else {}) | changed

    def claims(self, url: str) -> dict[str, Any]:
        """The claims of a right token for `url`, with a jti of its own."""
        now = int(time.time())
        return {"iss": self.issuer, "aud": url, "exp": now + _LIFETIME, "iat": now, "jti": str(uuid4())}


def expired(signer: Signer, url: str) -> str:
    """A token that was good an hour ago."""
    then = int(time.time()) - _GONE
    return signer.sign(url, iat=then, exp=then + _LIFETIME)


def unsigned(signer: Signer, url: str) -> str:
    """A right token, with alg "none" and no signature."""
    return f"{_written(signer.header(alg='none'))}.{_written(signer.claims(url))}."


def keyed(signer: Signer, url: str) -> str:
    """A right token, with an HMAC under the public key, which everybody has (RFC 8725, 2.1)."""
    text = f"{_written(signer.header(alg='HS384'))}.{_written(signer.claims(url))}"
    secret = signer.key.as_pem(private=False)
    return f"{text}.{_base64url(hmac.new(secret, text.encode(), hashlib.sha384).digest())}"


def changed(token: str) -> str:
    """The same token with the first half of its last part exchanged for another."""
    head, dot, signature = token.rpartition(".")
    half = len(signature) // 2
    other = "".join("B" if letter == "A" else "A" for letter in signature[:half])
    return f"{head}{dot}{other}{signature[half:]}" if half else f"{token}A"


def _written(value: Any) -> str:
    return _base64url(strict_json.write(value))


def _base64url(data: bytes) -> str:
    return urlsafe_b64encode(data).rstrip(b"=").decode()
