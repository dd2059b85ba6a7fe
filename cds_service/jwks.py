"""What a JWK Set may hold: public keys for ES384 and RS384, each with a name of its own, and no key that everybody has.

Sources: RFC 7517; RFC 7518; RFC 7638; RFC 8725, 3.1; CDS Hooks 2.0.1 and 3.0 ballot, "Trusting CDS Clients".
"""

from collections.abc import Mapping
from typing import Any

from joserfc.errors import JoseError
from joserfc.jwk import ECKey, RSAKey

Key = ECKey | RSAKey
Keys = Mapping[str, Key]  # by kid
_KINDS: Mapping[str, tuple[type[ECKey] | type[RSAKey], str]] = {"EC": (ECKey, "ES384"), "RSA": (RSAKey, "RS384")}
_SECRET = {"k", "d", "p", "q", "dp", "dq", "qi", "oth"}  # RFC 7518, 6.2.2, 6.3.2 and 6.4
# SHA-256 thumbprints (RFC 7638) of keys whose private half anybody can read, so that they prove nothing (row SEC-14).
PUBLISHED = frozenset(
    {
        "-UtOymI2Z0XB5SZogEZu3s5oMyQ4YaewHtR9huroTQs",  # "example-kid", in the CDS Hooks specification
        "s9fOe-KDYD1myZ8YCzleUqJQgrYZL49kVijBxhnZvZc",  # the public CDS Hooks Sandbox
    }
)


class UnusableSet(Exception):
    """A JWK Set that no key is taken from; the text says why and what to write instead, and holds no part of it."""


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
        kind, alg = _KINDS[jwk["kty"]]
        key = kind.import_key(jwk)
    except (JoseError, ValueError, LookupError, TypeError):
        return None
    if jwk.get("alg", alg) != alg:  # a key is used for one algorithm, RFC 8725, 3.1
        return None
    strong = key.curve_name == "P-384" if isinstance(key, ECKey) else key.public_key.key_size >= 2048
    return key if strong else None


def _thumbprint(key: Key) -> str:
    """RFC 7638 of the key itself, not of its spelling in the set: leading zeros must not make it another."""
    return type(key).import_key(key.as_pem()).thumbprint()
