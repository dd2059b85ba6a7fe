"""What is kept so that only who holds its key can read it: encrypted with AES-GCM, under a key of its own.

Sources: RFC 7516 (JWE), RFC 7518, 4.5 and 5.3.
"""

import binascii
import secrets

from joserfc import jwe
from joserfc.errors import JoseError
from joserfc.jwk import OctKey
from joserfc.util import urlsafe_b64decode, urlsafe_b64encode

from cds_content.shapes import Json
from cds_service import strict_json
from cds_service.errors import BadRequest

_HEADER = {"alg": "dir", "enc": "A256GCM"}
_ALGORITHMS = list(_HEADER.values())  # fixed here, whatever a text says of itself
_KEY = 32  # bytes


def seal(content: Json) -> tuple[str, str]:
    """A new key, as text, and the content under it."""
    key = secrets.token_bytes(_KEY)
    sealed = jwe.encrypt_compact(_HEADER, strict_json.write(content), OctKey.import_key(key), algorithms=_ALGORITHMS)
    return urlsafe_b64encode(key).decode(), sealed


def opened(sealed: str, key: str) -> Json | None:
    """The content; None where this is not its key, or it was changed."""
    try:
        raw = urlsafe_b64decode(key.encode("ascii"))
        content = jwe.decrypt_compact(sealed, OctKey.import_key(raw), algorithms=_ALGORITHMS).plaintext
        read = strict_json.read(content or b"")
    except (JoseError, BadRequest, ValueError, binascii.Error):
        return None
    return read if isinstance(read, dict) else None
