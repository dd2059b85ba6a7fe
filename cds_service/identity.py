"""Who is signed in at the EHR: what its id token says, once that is known to be true; else nobody.

Sources: OpenID Connect Core 1.0, 3.1.3.7; SMART App Launch 2.2, "fhirUser".
"""

import re

from joserfc import jws
from joserfc.errors import JoseError
from pydantic import BaseModel, ConfigDict, ValidationError

from cds_service import strict_json
from cds_service.auth import ALGORITHMS, LEEWAY
from cds_service.clients import Client
from cds_service.ehr import Unreachable, get
from cds_service.errors import BadRequest
from cds_service.jwks import UnusableSet, usable
from cds_service.smart import Server

_USER = re.compile(r"(Patient|Practitioner|PractitionerRole|RelatedPerson|Person)/[A-Za-z0-9.-]{1,64}", re.ASCII)
_SIGNATURES = jws.JWSRegistry(algorithms=ALGORITHMS, strict_check_header=False)  # unknown members are ignored


class _Claims(BaseModel):
    model_config = ConfigDict(strict=True, frozen=True)
    iss: str
    aud: str | list[str]
    exp: float
    fhirUser: str  # noqa: N815 - the name of the claim


def user(id_token: str, server: Server, client: Client, now: float, until: float) -> str:
    """The relative reference of who is signed in; empty where the id token does not prove it.

    `now` is in seconds since 1970. It is for this client, of the issuer that the FHIR server names, signed (ES384 or
    RS384) with a key of that issuer, and names somebody on that FHIR server.
    """
    if not id_token or not server.jwks or not client.smart:
        return ""
    try:
        keys = usable(get(server.jwks, {"Accept": "application/json"}, until, private=client.private_addresses))
        signed = jws.deserialize_compact(id_token, lambda one: keys[one.headers()["kid"]], registry=_SIGNATURES)
        claims = _Claims.model_validate(strict_json.read(signed.payload))
    except (Unreachable, UnusableSet, JoseError, BadRequest, LookupError, ValueError, ValidationError):
        return ""
    audiences = [claims.aud] if isinstance(claims.aud, str) else claims.aud
    ours = claims.iss == server.issuer and client.smart.client_id in audiences and now < claims.exp + LEEWAY
    found = claims.fhirUser.removeprefix(f"{server.base}/")
    return found if ours and _USER.fullmatch(found) else ""
