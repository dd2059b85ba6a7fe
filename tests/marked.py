"""A session with the real service in production, in which everything that a partner can fill holds a marker.

The service is a process of its own, and asks a FHIR server (another process) over TLS. Every call that is right is made
once, and one of each kind that is refused; what came back is kept, and all that was secret.
"""

import socket
import socketserver
import sqlite3
import ssl
import subprocess
import time
from collections.abc import Iterator
from contextlib import closing, contextmanager
from dataclasses import dataclass, field
from ipaddress import ip_address
from pathlib import Path
from threading import Thread
from typing import Any
from urllib.parse import urlsplit

import requests
from cryptography import x509
from cryptography.hazmat.primitives.serialization import Encoding

from tests.conftest import SERVICE
from tests.ehr import AUTHORIZATION, Ehr, Hospital
from tests.ehr_server import TOKEN
from tests.processes import COMMAND, environment, free_port, until_it_listens
from tests.requirements.callers import OTHERS_ISSUER, bearer
from tests.samples import bundle, call, patient
from tests.test_outbound_tls import Authority
from tests.test_submission import sound
from tests.tokens import EHR, ISSUER, OTHER, PUBLIC, STRANGER, KeyPair, key_set

STEM = "Zq7Marker"
PATIENT = f"{STEM}-patient"
SECRET = "a-monitoring-secret-of-these-tests-7d1f"  # noqa: S105 - of these tests only
KEY = "0123456789abcdef0123456789abcdef"
URL = "/fhir/QuestionnaireResponse"
ALARM = {"rf-bladder-bowel": "new"}
OPEN = ("User-Agent", "Referer", "X-Forwarded-For", "X-Request-ID", "Cookie", "Accept-Language", "X-Provenance")
Json = dict[str, Any]


def mark(place: str) -> str:
    """A marker of its own for each place, which can be an id, a name and a part of an address."""
    return f"{STEM}-{place}"


@dataclass
class Session:
    """The service and its EHR; what was sent that is secret, and what came back."""

    folder: Path
    address: str
    hospital: Hospital
    base: str  # of the hospital, over TLS
    secrets: list[str] = field(default_factory=lambda: [SECRET, TOKEN, KEY])
    answers: list[requests.Response] = field(default_factory=list)
    raw: bytes = b""  # what came back for what was no HTTP

    @property
    def database(self) -> Path:
        return self.folder / "decisions.sqlite"

    def send(self, method: str, path: str, *, key: KeyPair | None = EHR, **sent: Any) -> requests.Response:
        """A call with markers in its headers and its query, signed by the key where there is one."""
        headers = {name: mark(name) for name in OPEN}
        if key:
            headers["Authorization"] = self.signed(f"{PUBLIC}{path}", key)
        headers |= sent.pop("headers", {})
        sent.setdefault("params", {mark("parameter"): mark("query")})
        answer = requests.request(method, f"{self.address}{path}", headers=headers, timeout=30, **sent)
        self.answers.append(answer)
        return answer

    def signed(self, address: str, key: KeyPair, **claims: Any) -> str:
        issuer, now = OTHERS_ISSUER if key is OTHER else ISSUER, int(time.time())
        named: Json = {"iss": issuer, "iat": now, "exp": now + 300, "sub": mark("claim"), "name": mark("name")}
        shown = bearer(address, key=key, **(named | claims))
        self.secrets += shown.removeprefix("Bearer ").split(".")[1:]  # the first part is the same for all
        return shown


# ----------------------------------------------------------------------------------------------------- what is sent


def marked(answers: Json = ALARM, **members: Any) -> Json:
    """A response in which every text that FHIR leaves open holds a marker; None leaves a member out."""
    one = sound(answers, subject={"reference": f"Patient/{PATIENT}", "display": mark("subject")})
    one |= {
        "author": {"reference": f"Practitioner/{mark('author')}", "display": mark("author-name")},
        "identifier": {"system": "urn:ehr", "value": mark("identifier")},
        "text": {"status": "generated", "div": f'<div xmlns="http://www.w3.org/1999/xhtml">{mark("narrative")}</div>'},
    }
    one["item"][0]["answer"][0]["valueCoding"]["display"] = mark("display")
    one["item"][0]["text"] = mark("question")
    return {name: value for name, value in (one | members).items() if value is not None}


def about() -> Json:
    return patient(id=PATIENT, name=[{"family": mark("family")}], identifier=[{"value": mark("number")}])


def hook(**members: Any) -> Json:
    """A call whose every member holds a marker."""
    said = marked(id="response-1")
    said["item"].append({"linkId": mark("link"), "answer": [{"valueString": mark("answer")}]})
    body = call(said, about=about(), hookInstance=mark("instance"), context=_people(PATIENT))
    return body | {"extension": {mark("extension"): mark("extended")}} | members


def _people(patient: str) -> Json:
    who = {"userId": f"Practitioner/{mark('user')}", "patientId": patient, "encounterId": mark("encounter")}
    return who | {mark("member"): mark("value")}


# ------------------------------------------------------------------------------------------------------ the session


def hold(session: Session) -> None:
    """All of it, the right calls first."""
    _hooks(session)
    _fhir(session)
    _access(session)
    _operations(session)
    _refused(session)
    _without_a_token(session)
    _too_many(session)
    _damaged(session)
    _raw(session)


def _hooks(session: Session) -> None:
    session.send("GET", "/cds-services")
    cards = session.send("POST", SERVICE, json=hook()).json()["cards"]
    session.hospital.load(about(), marked(id="response-2"))
    asking = {"prefetch": {}, "fhirServer": session.base, "fhirAuthorization": AUTHORIZATION}
    fetched = session.send("POST", SERVICE, json=hook(**asking)).json()["cards"]
    assert [card["indicator"] for card in cards[:1] + fetched[:1]] == ["critical", "critical"]
    card = {"card": cards[0]["uuid"], "outcomeTimestamp": "2026-11-22T10:00:00Z"}
    accepted = {"outcome": "accepted", "acceptedSuggestions": [{"id": cards[0]["suggestions"][0]["uuid"]}]}
    reason = {"code": "other", "system": "urn:ehr", "display": mark("reason")}
    why = {"outcome": "overridden", "overrideReason": {"reason": reason, "userComment": mark("comment")}}
    said = session.send("POST", f"{SERVICE}/feedback", json={"feedback": [card | accepted, card | why]})
    assert said.status_code == 200, said.text


def _fhir(session: Session) -> None:
    path = session.send("POST", URL, json=marked()).headers["Location"].removeprefix(PUBLIC).partition("/_history")[0]
    id_ = path.rpartition("/")[2]
    session.send("PUT", path, json=marked({"rf-saddle": "new"}, id=id_))
    session.send("GET", path)
    for name in ("patient", "subject", "identifier", "author", "_id"):
        session.send("GET", URL, params={name: mark("searched")})
    session.send("POST", f"{URL}/_search", data={"patient": PATIENT})
    session.send("POST", f"{URL}/$validate", json=marked({"rf-leg": mark("code")}))
    session.send("POST", "/fhir/Questionnaire/$process-response", json=marked())
    session.send("POST", f"{URL}/$extract", json=marked())
    reference = {"name": "subject", "valueReference": {"reference": f"Patient/{PATIENT}"}}
    session.send("POST", "/fhir/Questionnaire/low-back-pain/$populate", json=parameters(reference))
    subject = {"subject": f"Patient/{PATIENT}", "practitioner": f"Practitioner/{mark('user')}"}
    session.send("GET", "/fhir/PlanDefinition/low-back-pain-patient-view/$apply", params=subject)
    session.send("GET", "/fhir/AuditEvent", params={"patient": PATIENT})
    other = session.send("POST", URL, json=marked()).headers["Location"].removeprefix(PUBLIC).partition("/_history")[0]
    session.send("DELETE", other)


def _access(session: Session) -> None:
    """An access token is asked for and used, and then one that nobody gave."""
    assertion = session.signed(f"{PUBLIC}/auth/token", EHR, sub=ISSUER).removeprefix("Bearer ")
    form = {
        "grant_type": "client_credentials",
        "client_assertion_type": "urn:ietf:params:oauth:client-assertion-type:jwt-bearer",
        "client_assertion": assertion,
        "scope": "system/QuestionnaireResponse.rs",
    }
    given = session.send("POST", "/auth/token", key=None, data=form)
    session.answers.remove(given)  # it is the one answer that holds a secret, for whom it is
    session.secrets.append(given.json()["access_token"])
    for shown in (session.secrets[-1], mark("access")):
        session.send("GET", URL, key=None, headers={"Authorization": f"Bearer {shown}"})


def parameters(*parameter: Json) -> Json:
    return {"resourceType": "Parameters", "parameter": list(parameter)}


def _operations(session: Session) -> None:
    for path in ("/health/live", "/health/ready", "/openapi.json", "/fhir/metadata", "/fhir/Questionnaire"):
        session.send("GET", path, key=None)
    session.send("GET", "/report")
    session.send("GET", "/metrics", key=None, headers={"Authorization": f"Bearer {SECRET}"})


# Each row: method, address, and what is sent, that is refused.
REFUSED: list[tuple[str, str, Json]] = [
    ("POST", SERVICE, {"data": f'{{"hook": "{mark("broken")}"', "headers": {"Content-Type": "application/json"}}),
    ("POST", SERVICE, {"json": hook(hook=mark("hook"))}),
    ("POST", SERVICE, {"json": hook(context={"userId": mark("user"), "patientId": [mark("patient")]})}),
    ("POST", SERVICE, {"json": hook(prefetch={"patient": about() | {"id": mark("stranger")}, "responses": bundle()})}),
    ("POST", SERVICE, {"json": hook(prefetch={}, context=_people(mark("unknown")))}),
    ("POST", SERVICE, {"data": mark("body"), "headers": {"Content-Type": f"text/{mark('type')}"}}),
    ("POST", SERVICE, {"json": {"hook": mark("long") * 120_000}}),
    ("POST", f"{SERVICE}/feedback", {"json": {"feedback": [{"card": mark("card"), "outcome": mark("outcome")}]}}),
    ("POST", f"/cds-services/{mark('service')}", {"json": hook()}),
    ("GET", f"/{mark('address')}", {}),
    ("DELETE", SERVICE, {}),
    (mark("METHOD").upper(), SERVICE, {}),
    ("GET", f"{URL}/{mark('id')}", {}),
    ("GET", URL, {"headers": {"Accept": f"text/{mark('accept')}"}}),
    ("GET", URL, {"params": {"authored": mark("date")}}),
    ("POST", URL, {"json": marked(status=mark("status"))}),
    ("POST", URL, {"json": marked(questionnaire=f"https://{mark('form')}.example/q")}),
    ("POST", URL, {"json": marked(), "headers": {"If-None-Exist": f"{mark('search')}=x"}}),
    ("POST", "/fhir/Questionnaire/$process-response", {"json": marked(subject={"display": mark("nobody")})}),
]


def _refused(session: Session) -> None:
    for method, path, sent in REFUSED:
        assert session.send(method, path, **sent).status_code >= 400, (method, path)
    session.send("GET", "/report", key=OTHER)


def _without_a_token(session: Session) -> None:
    """Nobody, a token that is none, and those of strangers."""
    address = f"{PUBLIC}{SERVICE}"
    shown = [
        f"Bearer {mark('token')}",
        f"Basic {mark('password')}",
        session.signed(address, STRANGER),
        session.signed(address, EHR, iss=f"https://{mark('issuer')}.example"),
        session.signed(address, EHR, tenant=mark("tenant")),
        session.signed(f"{address}/{mark('elsewhere')}", EHR),
        session.signed(address, EHR, jti=mark("jti"), exp=1),
    ]
    for one in shown:
        session.send("POST", SERVICE, key=None, json=hook(), headers={"Authorization": one})
    form = {"grant_type": "client_credentials", "client_assertion": mark("assertion"), "scope": mark("scope")}
    session.send("POST", "/auth/token", key=None, data=form)


def _too_many(session: Session) -> None:
    """The other client agreed on one call a second."""
    for _ in range(50):
        if session.send("POST", SERVICE, key=OTHER, json=hook()).status_code == 429:
            return


def _damaged(session: Session) -> None:
    """A table that is not there (503), and a row that cannot be read (500)."""
    with closing(sqlite3.connect(session.database, isolation_level=None)) as connection:
        connection.execute("ALTER TABLE seen_tokens RENAME TO away")
        session.send("POST", SERVICE, json=hook())
        connection.execute("ALTER TABLE away RENAME TO seen_tokens")
        damage, id_, was = "UPDATE responses SET updated_at = ? WHERE id = ?", *_one(connection)
        connection.execute(damage, (mark("damaged"), id_))
        session.send("GET", f"{URL}/{id_}")
        connection.execute(damage, (was, id_))


def _one(connection: sqlite3.Connection) -> tuple[str, str]:
    """The id of a response that is stored, and when it was changed: what Python says of a wrong time names it."""
    id_, was = connection.execute("SELECT id, updated_at FROM responses WHERE body IS NOT NULL").fetchone()
    return id_, was


def _raw(session: Session) -> None:
    """What is no HTTP, so that the server itself answers or goes away."""
    port = int(session.address.rpartition(":")[2])
    for line in (f"GET /{mark('raw')} HTTP/9.9", f"{mark('raw')}", f"GET / HTTP/1.1\r\n{mark('no colon')}"):
        with socket.create_connection(("127.0.0.1", port), timeout=20) as connection:
            connection.sendall(f"{line}\r\n\r\n".encode())
            connection.shutdown(socket.SHUT_WR)
            while told := connection.recv(65536):
                session.raw += told


# ---------------------------------------------------------------------------------------------------- its processes


@contextmanager
def session_in(folder: Path, ehr: Ehr, authority: Authority) -> Iterator[Session]:
    """The service in production, with its database, log and settings in the folder."""
    with _behind_tls(ehr.address, authority.issue(folder, x509.IPAddress(ip_address("127.0.0.1")))) as front:
        hospital = ehr.hospital(mode="bearer")
        base = hospital.base.replace(ehr.address, front)
        settings, port = _settings(folder, base, authority), free_port()
        with (folder / "log").open("wb") as log, (folder / "printed").open("wb") as printed:
            own = environment(folder, **settings, CDS_PORT=str(port))
            process = subprocess.Popen([COMMAND, "serve"], env=own, cwd=folder, stdout=printed, stderr=log)
            try:
                until_it_listens(port, process)
                yield Session(folder, f"http://127.0.0.1:{port}", hospital, base)
            finally:
                process.terminate()
                process.wait(timeout=60)


def _settings(folder: Path, base: str, authority: Authority) -> dict[str, str]:
    """The files of the settings, and the variables that name them."""
    (folder / "ehr.json").write_text(key_set(EHR.jwk()), "utf-8")
    (folder / "other.json").write_text(key_set(OTHER.jwk()), "utf-8")
    (folder / "authority.pem").write_bytes(authority.certificate.public_bytes(Encoding.PEM))
    (folder / "clients.toml").write_text(
        f'[ehr]\nissuer = "{ISSUER}"\njwks = "ehr.json"\nroles = ["client", "auditor", "operator"]\n'
        'scopes = ["system/*.rs"]\n'
        f'fhir-servers = ["{base}"]\nprivate-addresses = true\n'
        f'[other]\nissuer = "{OTHERS_ISSUER}"\njwks = "other.json"\ncalls-per-second = 1\n',
        "utf-8",
    )
    for path in folder.iterdir():
        path.chmod(0o600)
    return {
        "CDS_CLIENTS": str(folder / "clients.toml"),
        "CDS_PUBLIC_URL": PUBLIC,
        "CDS_PATIENT_KEY": KEY,
        "CDS_METRICS_TOKEN": SECRET,
        "CDS_ALLOW_UNSIGNED": "1",
        "SSL_CERT_FILE": str(folder / "authority.pem"),
    }


@contextmanager
def _behind_tls(server: str, certificate: Path) -> Iterator[str]:
    """The address at which this HTTP server is reached over TLS."""
    to = ("127.0.0.1", urlsplit(server).port or 80)

    class Front(socketserver.BaseRequestHandler):
        def handle(self) -> None:
            with socket.create_connection(to, timeout=60) as line:
                asked = b""
                while b"\r\n\r\n" not in asked:
                    asked += self.request.recv(65536)
                line.sendall(asked)
                while told := line.recv(65536):
                    self.request.sendall(told)

    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(certificate)
    with socketserver.ThreadingTCPServer(("127.0.0.1", 0), Front) as listener:
        listener.socket = context.wrap_socket(listener.socket, server_side=True)
        Thread(target=listener.serve_forever, daemon=True).start()
        yield f"https://127.0.0.1:{listener.server_address[1]}"
        listener.shutdown()
