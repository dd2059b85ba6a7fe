"""What this service has agreed with its own sandbox: a client like any other, whose tokens are checked in full."""

from datetime import UTC, datetime
from pathlib import Path

from sqlalchemy import Engine

from cds_service.auth import Identify, authenticator
from cds_service.clients import FORM_CLIENT, Client, Smart
from cds_service.jwks import usable
from cds_service.keys import AT_ONCE, KeySet
from cds_service.sandbox.exchange import claims_of
from cds_service.sandbox.tokens import Signer
from cds_service.store import first_use

SANDBOX = "sandbox"  # the name of the client


def sandbox_client(public: str) -> Client:
    """What is agreed with the sandbox of the service at this address."""
    return Client(
        issuer=f"{public}/sandbox",
        jwks=f"{public}/sandbox/jwks.json",
        fhir_servers=(f"{public}/sandbox/fhir",),
        private_addresses=True,
        system_actions=True,
        smart=Smart(client_id=FORM_CLIENT),
    )


def identified(store: Engine, public: str, signer: Signer) -> Identify:
    """Gives the function that names the sandbox by its token, or raises NotAuthenticated. Its key is not fetched."""
    client = sandbox_client(public)
    keys = KeySet(SANDBOX, lambda: (usable(signer.jwks()), AT_ONCE), AT_ONCE)

    def once(issuer: str, jti: str, until: datetime) -> bool:
        return first_use(store, issuer, jti, until, datetime.now(UTC))

    known = {(SANDBOX, client.jwks, client.private_addresses): keys}
    return authenticator({SANDBOX: client}, Path(), once, https_only=False, known=known)


def issuer_of(authorization: str) -> str:
    """What a token says of itself, of which nothing is true yet; empty where there is none."""
    read = claims_of(authorization)
    return str(read[1].get("iss", "")) if read else ""
