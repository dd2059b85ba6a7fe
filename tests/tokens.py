"""The keys of the CDS clients in the tests, and tokens as right and as wrong as a test wants them.

Signed with the cryptography library alone, so that nothing here refuses to write what the service must refuse to read.
"""

import hashlib
import hmac
import json
from base64 import urlsafe_b64encode
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any
from uuid import uuid4

from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec, ed25519, padding, rsa
from cryptography.hazmat.primitives.asymmetric.utils import decode_dss_signature

from tests.wire import ABSENT

PUBLIC = "https://cds.example.org"
ISSUER = "https://ehr.example"
NOW = datetime.now(UTC).replace(microsecond=0)  # the clock of the service in these tests

Json = dict[str, Any]
Private = ec.EllipticCurvePrivateKey | rsa.RSAPrivateKey | ed25519.Ed25519PrivateKey
_CURVES = {"P-256": ec.SECP256R1(), "P-384": ec.SECP384R1(), "P-521": ec.SECP521R1()}
_HASHES: Mapping[str, hashes.HashAlgorithm] = {"256": hashes.SHA256(), "384": hashes.SHA384(), "512": hashes.SHA512()}


@dataclass(frozen=True)
class KeyPair:
    """A key of a client: its name in tokens, the algorithm that it signs with, and its private half."""

    kid: str
    alg: str
    private: Private

    def jwk(self, **members: Any) -> Json:
        """The public half as a JWK; `members` replace or add, and ABSENT leaves one out."""
        jwk = {"kid": self.kid, "use": "sig", "alg": self.alg, **_public(self.private)} | members
        return {name: value for name, value in jwk.items() if value is not ABSENT}

    def private_jwk(self) -> Json:
        """The key with its private half, which nobody may ever publish."""
        assert isinstance(self.private, ec.EllipticCurvePrivateKey)
        return self.jwk(d=base64url(self.private.private_numbers().private_value.to_bytes(48, "big")))

    def pem(self) -> bytes:
        return self.spki(serialization.Encoding.PEM)

    def spki(self, encoding: serialization.Encoding) -> bytes:
        return self.private.public_key().public_bytes(encoding, serialization.PublicFormat.SubjectPublicKeyInfo)

    def sign(self, text: bytes, alg: str = "") -> bytes:
        """The signature of `text` by RFC 7518, 3.3 to 3.5."""
        hashed = _HASHES.get((alg or self.alg)[2:], hashes.SHA384())
        if isinstance(self.private, ed25519.Ed25519PrivateKey):
            return self.private.sign(text)
        if isinstance(self.private, rsa.RSAPrivateKey):
            pss = padding.PSS(padding.MGF1(hashed), hashed.digest_size)
            return self.private.sign(text, pss if alg.startswith("PS") else padding.PKCS1v15(), hashed)
        size = (self.private.key_size + 7) // 8
        numbers = decode_dss_signature(self.private.sign(text, ec.ECDSA(hashed)))
        return b"".join(number.to_bytes(size, "big") for number in numbers)


def elliptic(kid: str, curve: str = "P-384", alg: str = "ES384") -> KeyPair:
    return KeyPair(kid, alg, ec.generate_private_key(_CURVES[curve]))


def rivest(kid: str, bits: int = 2048, alg: str = "RS384") -> KeyPair:
    return KeyPair(kid, alg, rsa.generate_private_key(65537, bits))


def base64url(data: bytes) -> str:
    return urlsafe_b64encode(data).rstrip(b"=").decode()


def _number(number: int) -> str:
    return base64url(number.to_bytes((number.bit_length() + 7) // 8, "big"))


def _public(private: Private) -> Json:
    """The members of the public key, RFC 7518, 6.2.1 and 6.3.1, RFC 8037, 2."""
    if isinstance(private, ed25519.Ed25519PrivateKey):
        return {"kty": "OKP", "crv": "Ed25519", "x": base64url(private.public_key().public_bytes_raw())}
    if isinstance(private, rsa.RSAPrivateKey):
        numbers = private.public_key().public_numbers()
        return {"kty": "RSA", "n": _number(numbers.n), "e": _number(numbers.e)}
    point, size = private.public_key().public_numbers(), (private.key_size + 7) // 8
    curve = next(name for name, curve in _CURVES.items() if curve.name == private.curve.name)
    coordinates = {"x": base64url(point.x.to_bytes(size, "big")), "y": base64url(point.y.to_bytes(size, "big"))}
    return {"kty": "EC", "crv": curve, **coordinates}


EHR = elliptic("ehr-1")  # the client "ehr" signs with these
EHR_RSA = rivest("ehr-2")
OTHER = elliptic("other-1")  # another client, "other", which is just as much agreed with
STRANGER = elliptic("ehr-1")  # nobody's, under the name of another's


def seconds(ahead: float = 0) -> int:
    """That many seconds from the service's now, as a NumericDate."""
    return int(NOW.timestamp() + ahead)


def claims(aud: Any, **changed: Any) -> Json:
    """The claims of a right token for this URL; each has a jti of its own. ABSENT leaves a claim out."""
    right = {"iss": ISSUER, "aud": aud, "exp": seconds(300), "iat": seconds(), "jti": str(uuid4())} | changed
    return {name: value for name, value in right.items() if value is not ABSENT}


def header(key: KeyPair = EHR, **changed: Any) -> Json:
    """The header of a right token by this key. ABSENT leaves a member out."""
    right = {"alg": key.alg, "typ": "JWT", "kid": key.kid} | changed
    return {name: value for name, value in right.items() if value is not ABSENT}


def token(head: Json | bytes, body: Json | bytes, key: KeyPair = EHR, alg: str = "") -> str:
    """Header and claims, as they are, signed by the key; bytes are written as they stand."""
    text = unsigned(head, body)
    return f"{text}.{base64url(key.sign(text.encode(), alg))}"


def keyed(head: Json, body: Json, secret: bytes) -> str:
    """A token with an HMAC for its signature, RFC 7518, 3.2."""
    text = unsigned(head, body)
    return f"{text}.{base64url(hmac.new(secret, text.encode(), getattr(hashlib, 'sha' + head['alg'][2:])).digest())}"


def unsigned(head: Json | bytes, body: Json | bytes) -> str:
    """The first two parts of a token."""
    return ".".join(base64url(one if isinstance(one, bytes) else json.dumps(one).encode()) for one in (head, body))


def key_set(*jwks: Json) -> str:
    """A JWK Set, RFC 7517, 5."""
    return json.dumps({"keys": list(jwks)})
