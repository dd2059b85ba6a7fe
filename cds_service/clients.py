"""clients.toml: the EHR systems that call, one table per client, and what each was agreed with.

A client is known by the issuer of its JWT. In development mode nobody is authenticated, and every call is of the client
"development". docs/clients.schema.json is the same for editors. Source: CDS Hooks 2.0.1 and 3.0 ballot, "Trusting CDS
Clients".
"""

import re
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Annotated, Literal, get_args

from pydantic import AfterValidator, ConfigDict, Field, RootModel

from cds_content.card_shapes import Coding, NamedCode
from cds_content.files import PUBLISHED_BASE, Files
from cds_content.shapes import LANGUAGES, Json, Table
from cds_service.bases import PATTERN as BASE_PATTERN
from cds_service.bases import plain
from cds_service.errors import SettingsError
from cds_service.scopes import PATTERN as SCOPE_PATTERN
from cds_service.scopes import read_scopes

DEVELOPMENT = "development"
FORM_CLIENT = "screening-form"  # the client id of the form in development mode
DEFAULT_SCOPE = "openid fhirUser patient/Patient.r patient/QuestionnaireResponse.c"
_WRITES = re.compile(r"(patient|user)/(QuestionnaireResponse|\*)\.(cr?u?d?s?|write|\*)(\?.*)?")
Role = Literal["client", "auditor", "operator"]


def _language(code: str) -> str:
    if code not in ("", *LANGUAGES):
        raise ValueError(f"write one of: {', '.join(LANGUAGES)}")
    return code


def _scope(text: str) -> str:
    read_scopes(text)
    return text


Language = Annotated[str, AfterValidator(_language), Field(json_schema_extra={"enum": ["", *LANGUAGES]})]
Base = Annotated[str, AfterValidator(plain), Field(json_schema_extra={"pattern": BASE_PATTERN})]
Scopes = Annotated[str, Field(pattern=r"^[\x21\x23-\x5b\x5d-\x7e]+( [\x21\x23-\x5b\x5d-\x7e]+)*$")]  # RFC 6749, 3.3
Scope = Annotated[str, AfterValidator(_scope), Field(json_schema_extra={"pattern": SCOPE_PATTERN})]


class Smart(Table):
    """How the form is opened from this EHR, as a public SMART app. Source: SMART App Launch 2.2."""

    model_config = ConfigDict(validate_by_name=True)
    client_id: str = Field(pattern=r"^[\x20-\x7e]{1,255}$")  # under which this EHR knows the form
    authorization: tuple[Base, ...] = ()  # where its authorization server may stand, beside the origin of the base
    scope: Scopes = f"launch {DEFAULT_SCOPE}"  # a launch from outside the EHR asks launch/patient instead of launch
    audience: str = ""  # the `aud` that it wants; empty: the base of the FHIR server


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
    scopes: tuple[Scope, ...] = ()  # of the access tokens that it may ask for; empty: none
    language: Language = ""  # empty: as Accept-Language says
    reader: Literal["clinician", "gp"] = "clinician"  # "gp": no referral to the GP is suggested
    fhir_servers: tuple[Base, ...] = ()
    open_fhir_servers: bool = False  # whether they may be asked without a token
    private_addresses: bool = False  # whether its servers may stand on loopback and private addresses
    longest_token: int = Field(300, ge=60, le=3600)  # seconds that a token of this client may live
    calls_per_second: int = Field(100, ge=1)  # more are answered with 429
    responses: Literal["", "submitted"] = ""  # "submitted": it hands us responses by FHIR, and sends none along
    system_actions: bool = False
    action_selection_behavior: bool = False
    orders: Mapping[str, tuple[NamedCode, ...]] = {}
    other_reasons: tuple[Coding, ...] = ()
    smart: Smart | None = None  # None: the form is not opened from this EHR, and its cards lead to the FHIR resource


# The client of development mode, unless clients.toml names it.
EVERYTHING = Client(roles=frozenset(get_args(Role)), smart=Smart(client_id=FORM_CLIENT))
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
        if client.issuer and not client.jwks:
            files.wrong(path, name, "has an issuer and no jwks; write the file or the https URL of its public keys")
        if client.jwks and not client.issuer:
            files.wrong(path, name, "has a jwks and no issuer; write the iss of the tokens that it signs")
        if client.scopes and not client.issuer:
            files.wrong(path, f"{name}.scopes", "has no issuer to ask for them; write issuer and jwks, or no scopes")
        for place, wrong in _not_launchable(client):
            files.wrong(path, f"{name}.smart{place}", wrong)
        if client.issuer and issuers.count(client.issuer) > 1:
            files.wrong(path, f"{name}.issuer", "is also that of another client; write one issuer per client")
    if files.mistakes:
        raise SettingsError("\n".join(f"CDS_CLIENTS: {mistake}" for mistake in files.mistakes))
    return {DEVELOPMENT: EVERYTHING} | clients


def _not_launchable(client: Client) -> Iterator[tuple[str, str]]:
    """What keeps the form from being opened from this EHR: the place within its table `smart`, and what to write."""
    if client.smart is None:
        return
    if not client.fhir_servers:
        yield "", "has no FHIR server that the form can be opened from; write fhir-servers, or no table smart"
    if any(not one.startswith("https://") for one in client.smart.authorization):
        yield ".authorization", "is not https; write the https address of the authorization server"
    if not {"launch", "launch/patient"} & set(client.smart.scope.split()):
        yield ".scope", "asks for no patient; write launch among the scopes"
    if not writes_responses(client.smart.scope):
        yield ".scope", "does not let the form write; write patient/QuestionnaireResponse.c among the scopes"


def writes_responses(scope: str) -> bool:
    """Whether these SMART scopes let the form give its response to the EHR."""
    return any(_WRITES.fullmatch(one) for one in scope.split())


def clients_schema() -> Json:
    """The JSON Schema (2020-12) of clients.toml: its keys and values; what the whole must hold, read_clients knows."""
    names = {"$schema": "https://json-schema.org/draft/2020-12/schema", "title": "clients.toml"}
    return Clients.model_json_schema() | names | {"additionalProperties": False}
