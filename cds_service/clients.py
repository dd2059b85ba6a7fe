"""clients.toml: the EHR systems that call, one table per client, and what each was agreed with.

A client is known by the issuer of its JWT. In development mode nobody is authenticated, and every call is of the client
"development". Source: CDS Hooks 2.0.1 and 3.0 ballot, "Trusting CDS Clients".
"""

from collections.abc import Mapping
from pathlib import Path
from typing import Annotated, Literal, get_args

from pydantic import AfterValidator, ConfigDict, Field, RootModel

from cds_content.card_shapes import Coding, NamedCode
from cds_content.files import PUBLISHED_BASE, Files
from cds_content.shapes import LANGUAGES, Table
from cds_service.errors import SettingsError

DEVELOPMENT = "development"
Role = Literal["client", "auditor", "operator"]


def _language(code: str) -> str:
    if code not in ("", *LANGUAGES):
        raise ValueError(f"write one of: {', '.join(LANGUAGES)}")
    return code


class Client(Table):
    """What one EHR system was agreed with. Everything is off or empty until it is written.

    `orders` adds codes to the kinds of orders.toml; an order whose every reason is in `other_reasons` is not judged.
    """

    model_config = ConfigDict(validate_by_name=True)  # written in Python as well as in TOML
    issuer: str = ""
    jwks: str = ""  # a file beside clients.toml, or an https URL
    jku: str = ""  # accepted in a token beside that URL; never fetched
    tenants: frozenset[Annotated[str, Field(pattern=r"^\S(.*\S)?$")]] = (
        frozenset()
    )  # empty: a token that names one is refused
    roles: frozenset[Role] = frozenset({"client"})
    language: Annotated[str, AfterValidator(_language)] = ""  # empty: as Accept-Language says
    reader: Literal["clinician", "gp"] = "clinician"  # "gp": no referral to the GP is suggested
    fhir_servers: tuple[Annotated[str, Field(pattern=r"^https?://[^\s?#@\\]+[^\s?#@/\\]$")], ...] = ()
    open_fhir_servers: bool = False  # whether they may be asked without a token
    private_addresses: bool = False  # whether its servers may stand on loopback and private addresses
    longest_token: int = Field(300, ge=60, le=3600)  # seconds that a token of this client may live
    calls_per_second: int = Field(100, ge=1)  # more are answered with 429
    responses: Literal["", "submitted"] = ""  # "submitted": it hands us responses by FHIR, and sends none along
    system_actions: bool = False
    action_selection_behavior: bool = False
    orders: Mapping[str, tuple[NamedCode, ...]] = {}
    other_reasons: tuple[Coding, ...] = ()


EVERYTHING = Client(roles=frozenset(get_args(Role)))  # the client of development mode, unless clients.toml names it
Clients = RootModel[dict[Annotated[str, Field(pattern=r"^[a-z0-9-]{1,64}$")], Client]]


def read_clients(path: Path | None) -> dict[str, Client]:
    """The clients by name, "development" always among them. Raises SettingsError with every mistake in the file."""
    if path is None:
        return {DEVELOPMENT: EVERYTHING}
    files = Files(path.parent, PUBLISHED_BASE)
    read = files.toml(path, Clients)
    clients = read.root if read else {}
    issuers = [client.issuer for client in clients.values() if client.issuer]
    for name, client in clients.items():
        if bool(client.issuer) != bool(client.jwks):
            files.wrong(path, name, "has an issuer or a jwks only; write both")
        if client.issuer and issuers.count(client.issuer) > 1:
            files.wrong(path, f"{name}.issuer", "is also that of another client; write one issuer per client")
    if files.mistakes:
        raise SettingsError("\n".join(f"CDS_CLIENTS: {mistake}" for mistake in files.mistakes))
    return {DEVELOPMENT: EVERYTHING} | clients
