"""/form/launch and /form/callback: the form is opened from an EHR, for the patient whom it names.

Sources: SMART App Launch 2.2, "EHR Launch", "Standalone Launch"; RFC 6749, 10.12; RFC 9207; RFC 9700, 4.4.
"""

import secrets
import time
from dataclasses import asdict
from datetime import timedelta

from flask import Blueprint, Response, request

from cds_content.screening import Screening
from cds_content.shapes import Json
from cds_service import smart
from cds_service.errors import BadRequest, Forbidden, NotFound, ServiceError, Unavailable
from cds_service.identity import user
from cds_service.outbound import Unreachable
from cds_service.partners import place
from cds_service.sandbox.trust import SANDBOX
from cds_service.smart import PATIENCE, NotLaunched, Server
from cds_service.web import Deployment, visits
from cds_service.web.pages import pages, said

CALLBACK = "/form/callback"
_LIFE = timedelta(minutes=10)  # of a launch: the person may have to sign in first
_FOUND, _SEE_OTHER = 302, 303
_NOTHING = timedelta()
_OURS = ("no-s256", "elsewhere", "no-patient", "no-write", "other-issuer", "short-lived")  # others may pass


def routes(service: Deployment) -> Blueprint:
    """The two addresses of a SMART app."""
    blueprint = pages("launch", service)

    @blueprint.get("/form/launch")
    def launch() -> Response:
        """Sends the browser to the authorization server of the EHR. Without `launch` the patient is chosen there."""
        form = request.args.get("questionnaire", "")
        if service.development and "iss" not in request.args:  # a card that was read outside an EHR
            return _to(f"/form/{_screening(service, form).name}", _SEE_OTHER)
        name, base = _agreed(service, request.args.get("iss", ""))
        if form:
            _screening(service, form)
        return _begun(service, name, base, form, request.args.get("launch", ""))

    @blueprint.get(CALLBACK)
    def sandbox() -> Response:
        return _returned(service, SANDBOX)

    @blueprint.get(f"{CALLBACK}/<client>")
    def callback(client: str) -> Response:
        return _returned(service, client)

    return blueprint


def _returned(service: Deployment, client: str) -> Response:
    """Exchanges the code for a token and begins the visit; each launch of this browser comes back once.

    Only to the address of its own client: no EHR is given the code of another.
    """
    state = request.args.get("state", "")
    kept = visits.found(service, state, _cookie(state))
    if kept is None or kept["client"] != client or not visits.taken(service, state):
        raise Forbidden(said("launch.other-browser"))
    _check_issuer(kept)
    if "error" in request.args or not request.args.get("code"):
        raise Forbidden(said("launch.refused"))
    response = _opened(service, kept, request.args["code"])
    visits.give(service, response, _cookie(state), "", _callback(client), _NOTHING)
    return response


def _check_issuer(kept: Json) -> None:
    """Raises Forbidden for the answer of another authorization server."""
    try:
        smart.check_issuer(Server(**kept["server"]), request.args.get("iss"))
    except NotLaunched as error:
        raise _refusal(error) from None


def _agreed(service: Deployment, iss: str) -> tuple[str, str]:
    """The client whose FHIR server this is, and its base. Raises Forbidden: nobody is asked who was not agreed with."""
    base = iss.removesuffix("/")
    for name, client in service.clients.items():
        if client.smart and base in client.fhir_servers:
            return name, base
    raise Forbidden(said("launch.unknown-ehr"))


def _screening(service: Deployment, form: str) -> Screening:
    """The screening of a canonical, with our version or with none; of none at all, the only one there is."""
    if not form and len(service.screenings) > 1:
        raise BadRequest(said("launch.no-form"))
    for screening in service.screenings:
        if form in ("", screening.canonical, screening.canonical.partition("|")[0]):
            return screening
    raise NotFound(said("launch.unknown-form"))


def _begun(service: Deployment, name: str, base: str, form: str, launch: str) -> Response:
    client, state = service.clients[name], visits.new_id()
    verifier = secrets.token_urlsafe(48)
    try:
        with place(base):
            server = smart.discovered(base, client, time.monotonic() + PATIENCE)
    except (NotLaunched, Unreachable) as error:
        raise _refusal(error) from None
    back = _callback(name)
    to = smart.address(server, client, f"{service.public}{back}", state, verifier, launch)
    content = {"client": name, "server": asdict(server), "form": form, "verifier": verifier}
    response = _to(to, _FOUND)
    visits.give(service, response, _cookie(state), visits.keep(service, state, content, _LIFE), back, _LIFE)
    return response


def _opened(service: Deployment, kept: Json, code: str) -> Response:
    """The visit, begun; what the launch named comes before what the token response names."""
    client, server = service.clients.get(kept["client"]), Server(**kept["server"])
    if client is None or server.base not in client.fhir_servers:
        raise Forbidden(said("launch.unknown-ehr"))
    until = time.monotonic() + PATIENCE
    try:
        with place(server.base):
            back = f"{service.public}{_callback(kept['client'])}"
            granted = smart.granted(server, client, back, code, kept["verifier"], until)
            screening = _screening(service, kept["form"] or granted.form)
            who, born = smart.patient(server.base, granted.patient, granted.token, client, until)
            by = user(granted.id_token, server, client, service.now().timestamp(), until)
    except (NotLaunched, Unreachable) as error:
        raise _refusal(error) from None
    life = min(visits.LIFE, timedelta(seconds=granted.lives)) if granted.lives is not None else visits.LIFE
    chart, ends = _back(service, server.base, granted.patient), (service.now() + life).isoformat()
    one = visits.Visit(visits.new_id(), screening.name, server.base, granted.patient, who, born, by, chart, ends)
    key = visits.begin(service, one, kept["client"], granted.token, granted.searches, life)
    path = f"/form/{screening.name}/{one.id}"
    response = _to(path, _SEE_OTHER)
    visits.give(service, response, visits.COOKIE, key, path, life)
    return response


def _refusal(error: NotLaunched | Unreachable) -> ServiceError:
    reason = error.reason if isinstance(error, NotLaunched) else "unanswered"
    return (Forbidden if reason in _OURS else Unavailable)(said(f"launch.{reason}"))


def _back(service: Deployment, base: str, patient: str) -> str:
    """The chart that the form was opened from; only our own sandbox has one at an address that we know."""
    return f"/sandbox/patients/{patient}" if _is_sandbox(service, base) else ""


def _is_sandbox(service: Deployment, base: str) -> bool:
    return service.development and base == f"{service.public}/sandbox/fhir"


def _callback(client: str) -> str:
    """One for each client, so that an answer says by where it comes in whose it is; the sandbox needs no name."""
    return CALLBACK if client == SANDBOX else f"{CALLBACK}/{client}"


def _cookie(state: str) -> str:
    """One for each launch, so that two at the same time both come back."""
    return f"launch-{state}"


def _to(address: str, status: int) -> Response:
    return Response(status=status, headers={"Location": address})
