"""An EHR that launches SMART apps, as a process of its own: `python -m tests.smart_ehr PORT [FAULT]`.

Written from SMART App Launch 2.2: authorization server with PKCE, and a FHIR server with one patient that stores
responses. GET /stored gives what was stored. A fault is one of those that are named below.
"""

import base64
import hashlib
import json
import sys
import time
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any
from urllib.parse import parse_qsl, urlencode, urlsplit

ACCESS = "access-token-of-the-ehr-53c1"
CLIENT = "screening-form"
PATIENT = {
    "resourceType": "Patient",
    "id": "p1",
    "birthDate": "1970-01-02",
    "name": [{"given": ["Ada"], "family": "V"}],
}
CODES: dict[str, dict[str, str]] = {}
STORED: list[dict[str, Any]] = []
WRITES: list[dict[str, str]] = []  # the headers of each
PORT, FAULT = 0, ""
# fault → what the authorization server says of itself (RFC 9207): nothing, its own name (""), another's.
ISSUERS = {"no-iss": None, "own-iss": "", "other-iss": "https://other.example"}
OUTCOMES = {"remark-on-write": "information", "error-with-201": "error"}  # fault → severity of what it says


class Smart(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"

    @property
    def base(self) -> str:
        return f"http://127.0.0.1:{PORT}"

    def do_GET(self) -> None:
        address = urlsplit(self.path)
        asked = dict(parse_qsl(address.query))
        if address.path == "/stored":
            return self.say(200, STORED)
        if address.path == "/writes":
            return self.say(200, WRITES)
        if address.path == "/fhir/.well-known/smart-configuration":
            return self.say(200, self.configuration())
        if address.path == "/auth/authorize":
            return self.authorize(asked)
        allowed = self.headers.get("Authorization") == f"Bearer {ACCESS}" and address.path == "/fhir/Patient/p1"
        told = PATIENT | ({"id": "p2"} if FAULT == "other-patient" else {})
        return self.say(200 if allowed else 401, told if allowed else {})

    def do_POST(self) -> None:
        sent = self.rfile.read(int(self.headers["Content-Length"]))
        if self.path == "/auth/token":
            return self.token(dict(parse_qsl(sent.decode())))
        WRITES.append({name.lower(): value for name, value in self.headers.items()})
        if FAULT == "slow-write":
            time.sleep(2)
        if FAULT in ("error-on-write", "searchable-error"):
            return self.say(500, {"resourceType": "OperationOutcome"})
        if FAULT == "expired-on-write" or self.headers.get("Authorization") != f"Bearer {ACCESS}":
            return self.say(401, {"resourceType": "OperationOutcome"})
        if FAULT == "outcome-with-200":
            return self.say(200, {"resourceType": "OperationOutcome", "id": "1"})
        STORED.append(json.loads(sent))
        told, place = STORED[-1] | {"id": str(len(STORED))}, f"QuestionnaireResponse/{len(STORED)}/_history/1"
        if FAULT in OUTCOMES:
            told = {"resourceType": "OperationOutcome", "issue": [{"severity": OUTCOMES[FAULT], "code": "processing"}]}
        return self.say(201, told, Location=f"{self.base}/fhir/{place}")

    def configuration(self) -> dict[str, Any]:
        token = "http://127.0.0.2:1/token" if FAULT == "elsewhere" else f"{self.base}/auth/token"
        methods = ["plain"] if FAULT == "no-s256" else ["S256"]
        authorization = f"{self.base}/auth/authorize"
        named = {"issuer": self.base, "authorization_response_iss_parameter_supported": FAULT in ISSUERS}
        return named | {
            "authorization_endpoint": authorization,
            "token_endpoint": token,
            "code_challenge_methods_supported": methods,
        }

    def authorize(self, asked: dict[str, str]) -> None:
        """Lets everybody in at once who asks as SMART says."""
        wanted = {
            "response_type": "code",
            "client_id": CLIENT,
            "aud": f"{self.base}/fhir",
            "code_challenge_method": "S256",
        }
        scopes = asked.get("scope", "").split()
        begun = asked.get("launch") == "launch-1" and "launch" in scopes
        alone = "launch" not in asked and "launch/patient" in scopes and "launch" not in scopes
        if {name: asked.get(name) for name in wanted} != wanted or not (begun or alone):
            return self.say(400, {"error": "invalid_request"})
        code = f"code-{len(CODES)}"
        CODES[code] = asked
        state = "another-state" if FAULT == "wrong-state" else asked["state"]
        said = {"error": "access_denied"} if FAULT == "denied" else {"code": code}
        said |= {"iss": ISSUERS[FAULT] or self.base} if ISSUERS.get(FAULT) is not None else {}
        return self.say(302, {}, Location=f"{asked['redirect_uri']}?{urlencode(said | {'state': state})}")

    def token(self, form: dict[str, str]) -> None:
        begun = CODES.pop(form.get("code", ""), {})
        digest = hashlib.sha256(form.get("code_verifier", "").encode()).digest()
        proved = base64.urlsafe_b64encode(digest).decode().rstrip("=") == begun.get("code_challenge")
        known = form.get("client_id") == CLIENT and form.get("redirect_uri") == begun.get("redirect_uri")
        if not proved or not known or FAULT == "token-error":
            return self.say(400, {"error": "invalid_grant"})
        if FAULT == "slow":
            time.sleep(20)
        scope = "openid" if FAULT == "no-write" else begun["scope"]
        scope = scope.replace("Response.c", "Response.cs") if FAULT.startswith("searchable") else scope
        lives = {"short-lived": 119, "lives-two-minutes": 120}.get(FAULT, 600)
        told = {"access_token": ACCESS, "token_type": "Bearer", "expires_in": lives, "scope": scope}
        told |= {"expires_at": []} if FAULT == "odd-expiry" else {}
        return self.say(200, told | ({} if FAULT == "no-patient" else {"patient": "p1"}))

    def say(self, status: int, body: Any, **headers: str) -> None:
        told = json.dumps(body).encode()
        self.send_response(status)
        for name, value in {"Content-Type": "application/json", "Content-Length": str(len(told)), **headers}.items():
            self.send_header(name, value)
        self.end_headers()
        self.wfile.write(told)

    def log_message(self, *_: Any) -> None:
        """Nothing: what a test wants to know, it asks."""


if __name__ == "__main__":
    PORT, FAULT = int(sys.argv[1]), "".join(sys.argv[2:])
    ThreadingHTTPServer(("127.0.0.1", PORT), Smart).serve_forever()
