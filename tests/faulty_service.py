"""A small CDS Hooks service that keeps every rule, or breaks one: the fault is the first part of its path.

It was written from the text of the specification, and shares nothing with the service of this project. Below
/FAULT/cds-services everybody may call; below /signed/FAULT/cds-services a JWT is wanted.
"""

import json
import time
from base64 import urlsafe_b64decode
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from threading import Thread
from typing import Any
from uuid import uuid4

from joserfc import jwt
from joserfc.errors import JoseError
from joserfc.jwk import ECKey

Json = dict[str, Any]
ORIGIN = "https://ehr.example"
ISSUER = "https://ehr.example"
KEY = ECKey.generate_key("P-384", {"kid": "ehr-1"})


@dataclass(frozen=True)
class Fault:
    """What is broken. Steps: what the service should refuse or ignore at that step, it gets wrong."""

    silent: str = ""  # a step at which what is wrong is answered with no cards, as if nothing were the matter
    silence: bytes = b'{"cards": []}'  # what it answers there
    mute: str = ""  # a step at which it breaks off without an answer
    strict: str = ""  # a step at which what is right is refused
    status: int = 0  # of refusals
    card: Callable[[Json], Any] = lambda _: None  # changes the card
    answer: Callable[[Json], Any] = lambda answer: answer
    discovery: Callable[[Json], Any] = lambda discovery: discovery
    refusal: Callable[[bytes], tuple[str, bytes]] = lambda body: ("application/json", body)
    written: Callable[[bytes], bytes] = lambda body: body  # changes the bytes of an answer to a call
    media: str = "application/json"
    cors: Callable[[str, int], str] = lambda origin, _: origin if origin == ORIGIN else ""  # (Origin, status) → allowed
    preflight: int = 200
    busy: int = 0  # calls that it does not take before each that it takes
    login: int = 401  # of refused tokens
    gives_reasons: bool = False  # to whom it refuses


class Refused(Exception):
    """What the service does not do; `step` is where it noticed, `reason` what the caller learns of it."""

    def __init__(self, step: str, status: int = 400, reason: str = "refused") -> None:
        super().__init__(step)
        self.step, self.status, self.reason = step, status, reason


class BrokenOff(Exception):
    """The service says nothing at all."""


@dataclass
class State:
    """What one service with one fault remembers."""

    fault: Fault
    cards: set[str] = field(default_factory=set)
    reported: set[str] = field(default_factory=set)
    jtis: set[str] = field(default_factory=set)
    asked: int = 0
    discovered: int = 0
    turned_away: int = 0


def services() -> list[Json]:
    """What discovery lists."""
    common = {"description": "Greets.", "usageRequirements": "None.", "version": "3.0.0", "hookVersion": "1.0"}
    patient = {"patient": "Patient/{{context.patientId}}"}
    more = {
        "visit": "Encounter/{{context.encounterId}}",
        "problems": "Condition?patient={{context.patientId}}&_sort=-recorded-date",
    }
    return [
        {"hook": "patient-view", "id": "greeter", "title": "Greeter", "prefetch": patient | more, **common},
        {"hook": "order-sign", "id": "orders", "title": "Orders", "prefetch": patient, **common},
    ]


def card() -> Json:
    """A card with everything that a card can have."""
    coding = {"code": "a", "system": "https://example.org/codes", "display": "A"}
    return {
        "uuid": str(uuid4()),
        "summary": "s" * 139,
        "detail": "Some *Markdown*.",
        "indicator": "info",
        "source": {
            "label": "Leaflet",
            "url": "https://example.org/leaflet",
            "icon": "https://example.org/icon.png",
            "topic": dict(coding),
        },
        "suggestions": [_suggestion(True), _suggestion(False)],
        "selectionBehavior": "at-most-one",
        "overrideReasons": [coding],
        "links": [
            {"label": "Leaflet", "url": "https://example.org/leaflet", "type": "absolute"},
            {"label": "App", "url": "https://example.org/app", "type": "smart", "appContext": '{"a":1}'},
            {"label": "App", "url": "https://example.org/app", "type": "smart", "autolaunchable": False},
        ],
        "extension": {"org.example.card": {"rule": "1"}},
    }


def _suggestion(recommended: bool) -> Json:
    task = {"resourceType": "Task", "status": "requested", "intent": "proposal"}
    return {
        "label": "Do it",
        "uuid": str(uuid4()),
        "isRecommended": recommended,
        "actions": [
            {"type": "create", "description": "Makes a task.", "resource": task},
            {"type": "update", "description": "Changes a task.", "resource": task | {"id": "1"}},
            {"type": "delete", "description": "Removes a task.", "resourceId": "Task/2"},
        ],
    }


def call(state: State, id_: str, media: str, body: bytes) -> Json:
    """The answer to a call. Raises Refused."""
    listed = {one["id"]: one for one in services()}
    if id_ not in listed:
        raise Refused("service", 404)
    if media.partition(";")[0] != "application/json" or (";" in media and state.fault.strict == "charset"):
        raise Refused("media", 415)
    request = _request(body)
    _check(request, listed[id_]["hook"])
    _check_data(request, listed[id_]["prefetch"], state.fault.strict)
    return _advice(state, request)


def _request(body: bytes) -> Json:
    try:
        request = json.loads(body)
    except ValueError:
        raise Refused("json") from None
    if not isinstance(request, dict):
        raise Refused("json")
    if not all(request.get(name) for name in ("hook", "hookInstance")) or not isinstance(request.get("context"), dict):
        raise Refused("envelope")
    if not isinstance(request["hookInstance"], str):
        raise Refused("instance")
    return request


def _check(request: Json, hook: str) -> None:
    patient = request["context"].get("patientId")
    if request["hook"] != hook:
        raise Refused("hook")
    if "fhirAuthorization" in request and "fhirServer" not in request:
        raise Refused("token")
    if patient is None or (hook == "order-sign" and "draftOrders" not in request["context"]):
        raise Refused("vital")
    if not isinstance(patient, str) or "/" in patient:
        raise Refused("ids")


def _check_data(request: Json, templates: Mapping[str, str], strict: str) -> None:
    prefetch = request.get("prefetch", {})
    if "patient" not in prefetch:
        raise Refused("data", 400 if strict == "data" else 412)
    if prefetch["patient"].get("id", request["context"]["patientId"]) != request["context"]["patientId"]:
        raise Refused("other")
    problems = prefetch.get("problems", {})
    seen = {
        "unknown": "conformanceFutureField" in request,
        "nothing": problems is None,
        "empty": "problems" in prefetch and problems is not None and problems.get("total") == 0,
        "failed": bool(problems) and problems["resourceType"] == "OperationOutcome",
        "mixed": bool(problems)
        and "entry" in problems
        and problems["entry"][0]["resource"]["resourceType"] != "Condition",
        "nameless": "id" not in prefetch["patient"],
        "optional": "visit" in templates and "visit" not in prefetch,
    }
    if seen.get(strict):
        raise Refused("too strict")


def _advice(state: State, request: Json) -> Json:
    state.asked += 1
    made = card()
    if state.fault.strict == "relies" and "conformanceUnpublished" in request["prefetch"]:
        made["indicator"] = "critical"
    if state.fault.mute == "second call" and state.asked == 3:  # discovery was asked first
        raise BrokenOff
    if state.fault.strict == "moods":
        made["summary"] = f"Call {state.asked}"
    state.fault.card(made)
    if isinstance(made.get("uuid"), str):
        state.cards.add(made["uuid"])
    answer: Json = {"cards": [made]}
    if request["hook"] == "order-sign":
        order = request["context"]["draftOrders"]["entry"][0]["resource"]
        answer["systemActions"] = [{"type": "update", "description": "Notes it.", "resource": order}]
    return answer


def feedback(state: State, body: bytes) -> Json:
    """Takes feedback. Raises Refused."""
    request = json.loads(body)
    if state.fault.strict == "no feedback":
        raise Refused("feedback", 404)
    for entry in _entries(request):
        known = entry.get("card") in state.cards and entry.get("outcome") in ("accepted", "overridden")
        if not known or (entry["outcome"] == "accepted") != ("acceptedSuggestions" in entry):
            raise Refused("report")
        if state.fault.strict == "reports" or (state.fault.strict == "twice" and entry["card"] in state.reported):
            raise Refused("too strict")
        state.reported.add(entry["card"])
    return {"taken": True}


def _entries(request: Any) -> list[Json]:
    if not isinstance(request, dict) or not isinstance(request.get("feedback"), list):
        raise Refused("report")
    entries: list[Json] = request["feedback"]
    return entries


def authenticate(state: State, header: str, url: str) -> None:
    """Wants a JWT of the one client. Raises Refused with the step that its fault may leave out."""
    step = "no token"
    if header:
        token = header.removeprefix("Bearer ")
        step = _token_fault(state, token, url)
    if step and state.fault.mute == step:
        raise BrokenOff
    if step and state.fault.silent != step:
        raise Refused("authentication", state.fault.login, step if state.fault.gives_reasons else "not authenticated")


def _token_fault(state: State, token: str, url: str) -> str:
    """The first thing that is wrong with the token, empty when it is right."""
    head = json.loads(_decoded(token.split(".")[0])) if token.count(".") == 2 else {}
    if head.get("alg") in ("none", "HS384"):
        return str(head["alg"])
    try:
        claims = jwt.decode(token, KEY, algorithms=["ES384"]).claims
    except (JoseError, ValueError):
        return "signature"
    return _claim_fault(state, claims, url)


def _claim_fault(state: State, claims: Json, url: str) -> str:
    if not {"iss", "aud", "exp", "iat", "jti"} <= set(claims):
        return "claims"
    if claims["exp"] < time.time():
        return "expired"
    if claims["aud"] != url:
        return "aud"
    used = claims["jti"] in state.jtis
    state.jtis.add(claims["jti"])
    return "used" if used else ""


def _decoded(part: str) -> bytes:
    return urlsafe_b64decode(part + "=" * (-len(part) % 4))


@contextmanager
def faulty_services(faults: Mapping[str, Fault]) -> Iterator[str]:
    """The address below which every fault has a service of its own."""

    class Front(_Front):
        states: dict[str, State] = {}  # noqa: RUF012 - of this server
        table = faults

    server = ThreadingHTTPServer(("127.0.0.1", 0), Front)
    thread = Thread(target=server.serve_forever, args=(0.01,))
    thread.start()
    try:
        yield f"http://127.0.0.1:{server.server_address[1]}"
    finally:
        server.shutdown()
        thread.join()
        server.server_close()


class _Front(BaseHTTPRequestHandler):
    states: dict[str, State]
    table: Mapping[str, Fault]

    def do_GET(self) -> None:
        self._answer("GET")

    def do_POST(self) -> None:
        self._answer("POST")

    def do_OPTIONS(self) -> None:
        state, _, _ = self._place()
        allowed = {
            "Access-Control-Allow-Methods": "GET, POST",
            "Access-Control-Allow-Headers": "Authorization, Content-Type",
        }
        self._send(state, state.fault.preflight, "application/json", b"", allowed)

    def _place(self) -> tuple[State, bool, list[str]]:
        """The service with its fault, whether it authenticates, and the rest of the path."""
        parts = self.path.strip("/").split("/")
        signed = parts[0] == "signed"
        name, *rest = parts[1:] if signed else parts
        return self.states.setdefault(name, State(self.table[name])), signed, rest

    def _answer(self, method: str) -> None:
        state, signed, rest = self._place()
        body = self.rfile.read(int(self.headers.get("Content-Length", "0")))
        try:
            self._let_in(state, signed)
            answer = self._of(state, method, rest, body)
        except Refused as refused:
            self._refuse(state, refused)
        except BrokenOff:
            self.close_connection = True
        else:
            written = state.fault.written(json.dumps(answer).encode()) if rest[1:] else json.dumps(answer).encode()
            self._send(state, 200, state.fault.media, written)

    def _let_in(self, state: State, signed: bool) -> None:
        header = self.headers.get("Authorization", "")
        if state.turned_away < state.fault.busy:
            state.turned_away += 1
            raise Refused("busy", 429)
        state.turned_away = 0
        if header and state.fault.strict == "header":
            raise Refused("header", 403)
        if signed:
            authenticate(state, header, f"http://{self.headers['Host']}{self.path}")

    def _of(self, state: State, method: str, rest: list[str], body: bytes) -> Any:
        match method, rest:
            case "GET", ["cds-services"]:
                state.asked += 1
                state.discovered += 1
                if state.fault.mute == "second discovery" and state.discovered == 2:
                    raise BrokenOff
                return state.fault.discovery(
                    {"services": services(), "extension": {"org.example.asked": state.asked}}
                    if state.fault.strict == "moods of discovery"
                    else {"services": services()}
                )
            case "POST", ["cds-services", id_]:
                return state.fault.answer(call(state, id_, self.headers.get("Content-Type", ""), body))
            case "POST", ["cds-services", _, "feedback"]:
                return feedback(state, body)
            case _, ["cds-services", *_]:
                raise Refused("method", 405)
        raise Refused("path", 404)

    def _refuse(self, state: State, refused: Refused) -> None:
        if refused.step == state.fault.mute:
            self.close_connection = True
            return
        if refused.step == state.fault.silent:
            self._send(state, 200, "application/json", state.fault.silence)
            return
        issue = {"severity": "error", "code": "invalid", "diagnostics": refused.reason}
        outcome = {"resourceType": "OperationOutcome", "issue": [issue]}
        media, body = state.fault.refusal(json.dumps(outcome).encode())
        more = {405: {"Allow": "POST"}, 429: {"Retry-After": "0"}}.get(refused.status, {})
        wanted = state.fault.status if state.fault.status and refused.step != "authentication" else refused.status
        self._send(state, wanted, media, body, more)

    def _send(self, state: State, status: int, media: str, body: bytes, more: Mapping[str, str] | None = None) -> None:
        self.send_response(status)
        allowed = state.fault.cors(self.headers.get("Origin", ""), status)
        cors = {"Access-Control-Allow-Origin": allowed} if allowed else {}
        for name, value in {"Content-Type": media, "Content-Length": str(len(body)), **cors, **(more or {})}.items():
            self.send_header(name, value)
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, *_: Any) -> None:
        """Nothing."""
