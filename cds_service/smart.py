"""The form as a SMART app: which servers an EHR names, where the browser goes, and what a code is exchanged for.

A public client with PKCE (S256). Nothing that a server says is passed on to a reader: what is wrong is one of REASONS.
Sources: SMART App Launch 2.2; RFC 6749, 4.1; RFC 7636; RFC 9207.
"""

import re
from dataclasses import dataclass
from typing import Any, Literal
from urllib.parse import urlsplit

from authlib.integrations.base_client import OAuthError
from authlib.integrations.requests_client import OAuth2Session

from cds_content.shapes import Json
from cds_service import outbound
from cds_service.clients import Client, Smart, writes_responses
from cds_service.ehr import Unreachable, get
from cds_service.resources import dicts

PATIENCE = 6.0  # seconds for all that is asked for one page: a person waits for it, and no hook does
SHORTEST = 120  # seconds that a token lives: in less, nobody fills in a form
Reason = (
    Literal["unanswered", "no-s256", "elsewhere", "refused", "damaged", "no-patient", "other-patient", "no-write"]
    | Literal["other-issuer", "short-lived"]
)
_ID = re.compile(r"[A-Za-z0-9.-]{1,64}", re.ASCII)
_TOKEN = re.compile(r"[\x21-\x7e]{1,16384}", re.ASCII)
_SEARCHES = re.compile(r"(patient|user)/(QuestionnaireResponse|\*)\.(c?r?u?d?s|read|\*)", re.ASCII)
_USES = ("official", "usual")  # of names, the best first


class NotLaunched(Exception):
    """The form cannot be opened; `reason` is a name in cds_service/words/launch.toml."""

    def __init__(self, reason: Reason) -> None:
        super().__init__(reason)
        self.reason = reason


@dataclass(frozen=True)
class Server:
    """What the FHIR server at `base` says of its authorization server; `issuer` and `jwks` may be empty.

    `names_itself`: its answers to the browser always say of whom they are (RFC 9207).
    """

    base: str
    authorization: str
    token: str
    issuer: str
    jwks: str
    names_itself: bool = False


@dataclass(frozen=True)
class Granted:
    """What came for a code. `lives` is in seconds, None where it was not said; `form` a canonical, empty where none.

    `searches`: the token also lets look for responses.
    """

    token: str
    patient: str
    lives: int | None
    form: str
    id_token: str
    searches: bool


def discovered(base: str, client: Client, until: float) -> Server:
    """The servers that the FHIR server names, all of which stand where it was agreed. Raises NotLaunched."""
    said = _asked(f"{base}/.well-known/smart-configuration", {"Accept": "application/json"}, client, until)
    methods = said.get("code_challenge_methods_supported")
    if not isinstance(methods, list) or "S256" not in methods:
        raise NotLaunched("no-s256")
    at = {name: _text(said, name) for name in ("authorization_endpoint", "token_endpoint", "issuer", "jwks_uri")}
    if not all(_agreed(at[name], base, client) for name in ("authorization_endpoint", "token_endpoint")):
        raise NotLaunched("elsewhere")
    keys = at["jwks_uri"] if _agreed(at["jwks_uri"], base, client) else ""
    named = said.get("authorization_response_iss_parameter_supported") is True
    return Server(base, at["authorization_endpoint"], at["token_endpoint"], at["issuer"], keys, named)


def check_issuer(server: Server, iss: str | None) -> None:
    """Raises NotLaunched for an answer of another authorization server than the browser was sent to.

    Otherwise one EHR could have the code of another sent to it. `iss` is what the answer says of itself.
    """
    if iss is None and not server.names_itself:
        return
    if iss != server.issuer:
        raise NotLaunched("other-issuer")


def address(server: Server, client: Client, redirect: str, state: str, verifier: str, launch: str) -> str:
    """Where the browser goes to be let in; without `launch` the person chooses a patient there. Raises NotLaunched."""
    smart = _app(client)
    scope = smart.scope if launch else " ".join(_alone(one) for one in smart.scope.split())
    more = {"aud": smart.audience or server.base} | ({"launch": launch} if launch else {})
    with _session(smart, redirect) as session:
        session.scope = scope
        url, _ = session.create_authorization_url(server.authorization, state=state, code_verifier=verifier, **more)
        return str(url)


def granted(server: Server, client: Client, redirect: str, code: str, verifier: str, until: float) -> Granted:
    """What the authorization server gives for the code. Raises NotLaunched."""
    smart = _app(client)
    try:
        with _session(smart, redirect) as session, outbound.mounted(session, until, client.private_addresses):
            said = dict(session.fetch_token(server.token, code=code, code_verifier=verifier))
    except OAuthError:
        raise NotLaunched("refused") from None
    except (Unreachable, ValueError):
        raise NotLaunched("unanswered") from None
    except (TypeError, AttributeError, LookupError, ArithmeticError):  # the library reads on before it looks
        raise NotLaunched("damaged") from None
    return _read(said, smart)


def patient(server: str, id_: str, token: str, client: Client, until: float) -> tuple[str, str]:
    """Name and date of birth as the server has them, for the person to see whom it is about. Raises NotLaunched."""
    headers = {"Accept": "application/fhir+json", "Authorization": f"Bearer {token}"}
    found = _asked(f"{server}/Patient/{id_}", headers, client, until)
    if found.get("resourceType") != "Patient" or found.get("id") != id_:
        raise NotLaunched("other-patient")
    born = _text(found, "birthDate")
    return _name(found), born if re.fullmatch(r"\d{4}(-\d\d){0,2}", born, re.ASCII) else ""


def _asked(url: str, headers: dict[str, str], client: Client, until: float) -> Json:
    try:
        said = get(url, headers, until, private=client.private_addresses)
    except Unreachable:
        raise NotLaunched("unanswered") from None
    if not isinstance(said, dict):
        raise NotLaunched("damaged")
    return said


def _app(client: Client) -> Smart:
    if client.smart is None:  # no longer agreed
        raise NotLaunched("refused")
    return client.smart


def _session(smart: Smart, redirect: str) -> OAuth2Session:
    return OAuth2Session(
        smart.client_id,
        redirect_uri=redirect,
        code_challenge_method="S256",
        token_endpoint_auth_method="none",  # noqa: S106 - no password: a public client has none
    )


def _alone(scope: str) -> str:
    return "launch/patient" if scope == "launch" else scope


def _agreed(url: str, base: str, client: Client) -> bool:
    """Whether an address stands at the origin of the FHIR server or where it was agreed; never on a weaker scheme."""
    parts = urlsplit(url)
    if parts.fragment or "\\" in url or "@" in parts.netloc or ".." in parts.path.split("/") or "%" in parts.path:
        return False
    if f"{parts.scheme}://{parts.netloc}" == "://".join(urlsplit(base)[:2]):
        return True
    agreed = client.smart.authorization if client.smart else ()
    return any(url.partition("?")[0] == one or url.startswith(f"{one}/") for one in agreed)


def _read(said: Json, smart: Smart) -> Granted:
    """A token response that lets the form do its work. Raises NotLaunched."""
    token, about, lives = _text(said, "access_token"), said.get("patient"), said.get("expires_in")
    if _text(said, "token_type").lower() != "bearer" or not _TOKEN.fullmatch(token):
        raise NotLaunched("damaged")
    if not isinstance(about, str) or not _ID.fullmatch(about):
        raise NotLaunched("no-patient")
    scope = _text(said, "scope") or smart.scope
    if not writes_responses(scope):
        raise NotLaunched("no-write")
    seconds = int(lives) if isinstance(lives, int | str) and re.fullmatch(r"\d{1,9}", str(lives), re.ASCII) else None
    if seconds is not None and seconds < SHORTEST:
        raise NotLaunched("short-lived")
    searches = any(_SEARCHES.fullmatch(one) for one in scope.split())
    return Granted(token, about, seconds, _form(said), _text(said, "id_token"), searches)


def _form(said: Json) -> str:
    """The questionnaire that a launch names: in our own appContext, or in fhirContext; empty where in neither."""
    named = re.search(r'"questionnaire"\s*:\s*"([^"\\]{1,500})"', str(said.get("appContext", "")))
    contexts = dicts(said.get("fhirContext"))
    forms = [one["canonical"] for one in contexts if isinstance(one.get("canonical"), str)]
    return named[1] if named else next((one for one in forms if "/Questionnaire/" in one), "")


def _name(resource: Json) -> str:
    names = dicts(resource.get("name"))
    ranked = sorted(names, key=lambda one: _USES.index(one["use"]) if one.get("use") in _USES else len(_USES))
    first: Json = ranked[0] if ranked else {}
    given = first.get("given")
    parts = [*(given if isinstance(given, list) else []), first.get("family")]
    written = _text(first, "text") or " ".join(one for one in parts if isinstance(one, str))
    return " ".join("".join(letter if letter.isprintable() else " " for letter in written).split())[:200]


def _text(said: Json, name: str) -> str:
    value: Any = said.get(name)
    return value if isinstance(value, str) else ""
