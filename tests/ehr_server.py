"""The FHIR server (R4) of an EHR, good and bad, as a process of its own: `python -m tests.ehr_server PORT` (0: any).

It prints its address and that of a canary, which nobody may ever call. A base is `/<mode>/<hospital>`; each hospital
holds its own resources. A mode is a key of MODES, or one behind a resource type or `second`: `Condition.silent` holds
for Conditions and `second.silent` for every page but the first; the rest is good. PUT /control/<hospital> loads a
hospital and forgets what was asked before; GET /control/log tells what was asked since.
"""

import json
import os
import socketserver
import sys
import time
import zlib
from collections.abc import Callable
from dataclasses import dataclass
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from threading import Thread
from typing import Any
from urllib.parse import parse_qsl, unquote, urlencode, urlsplit

TOKEN = "token-of-the-ehr-7d1f"  # noqa: S105 - no secret: what the mode `bearer` expects
STRANGER = "p2"  # the patient whose resources the mode `stranger` gives
PAUSE = 0.05  # seconds
DRIPS = 400  # bytes, a pause after each
PARENT = os.getppid()
BLANKS = b" " * 16_000_000  # JSON may begin with them, so that only its size is wrong
GZIP = zlib.compressobj(wbits=31)
BOMB = GZIP.compress(BLANKS * 2)  # 32 MB in 32 kB
PARAMETERS = {"patient", "questionnaire", "clinical-status", "_sort", "_count", "_page"}

Resource = dict[str, Any]

HOSPITALS: dict[str, Resource] = {}  # by name: `resources`, and what a mode reads
LOG: dict[str, list[Resource]] = {"requests": [], "canary": []}
ADDRESSES: dict[str, str] = {}  # "ehr" and "canary"


@dataclass(frozen=True)
class Asked:
    """One request: what of which hospital, and the connection to answer on."""

    how: str
    hospital: str
    path: str
    parameters: dict[str, str]
    http: BaseHTTPRequestHandler

    @property
    def base(self) -> str:
        return f"{ADDRESSES['ehr']}/{self.how}/{self.hospital}"

    @property
    def held(self) -> Resource:
        return HOSPITALS.get(self.hospital, {"resources": []})

    @property
    def kind(self) -> str:
        """The type; below the base itself stand pages only, and those that tests ask for are of responses."""
        return self.path.partition("/")[0] or "QuestionnaireResponse"

    @property
    def one_by_one(self) -> bool:
        """Whether each page has one resource, in the order in which they were loaded, whatever was asked."""
        return self.how.startswith(("paged", "second."))

    @property
    def page(self) -> int:
        return int(self.parameters.get("_page", "1"))


# ------------------------------------------------------------------------------------------- what a good server answers


def answer(asked: Asked, **members: Any) -> Resource | None:
    """The resource or searchset that was asked for; None when there is no such resource."""
    held = [one for one in asked.held["resources"] if one["resourceType"] == asked.kind]
    if id_ := asked.path.partition("/")[2]:
        return next((one for one in held if one.get("id") == id_), None)
    return searchset(asked, [one for one in held if _matches(one, asked.parameters)], **members)


def _matches(resource: Resource, parameters: dict[str, str]) -> bool:
    """`questionnaire=<url>` finds what is stored without a version, `<url>|<v>` that version; a comma means either."""
    subject = resource.get("subject", {}).get("reference", "")
    states = {coding.get("code") for coding in resource.get("clinicalStatus", {}).get("coding", [])}
    return (
        ("patient" not in parameters or subject.endswith(f"Patient/{parameters['patient']}"))
        and ("questionnaire" not in parameters or resource["questionnaire"] in parameters["questionnaire"].split(","))
        and ("clinical-status" not in parameters or bool(states & set(parameters["clinical-status"].split(","))))
    )


def searchset(asked: Asked, matches: list[Resource], *, bare: bool = False, **members: Any) -> Resource:
    """One page of the matches; `bare` is without total, and without entry where there is none."""
    if not asked.one_by_one and asked.parameters.get("_sort") == "-authored":
        matches = sorted(matches, key=lambda one: str(one.get("authored", "")), reverse=True)
    size = 1 if asked.one_by_one else int(asked.parameters.get("_count", "20"))
    page = matches[(asked.page - 1) * size : asked.page * size]
    entries = [{"fullUrl": f"{asked.base}/{asked.kind}/{one.get('id')}", "resource": one} for one in page]
    return {
        "resourceType": "Bundle",
        "type": "searchset",
        **({} if bare else {"total": len(matches)}),
        **(leading_to(next_page(asked)) if asked.page * size < len(matches) else {}),
        **({"entry": entries} if entries or not bare else {}),
        **members,
    }


def leading_to(url: Any) -> Resource:
    return {"link": [{"relation": "next", "url": url}]}


def next_page(asked: Asked) -> str:
    return f"{asked.base}/{asked.kind}?{urlencode(asked.parameters | {'_page': str(asked.page + 1)})}"


def outcome(code: str = "exception") -> Resource:
    return {"resourceType": "OperationOutcome", "issue": [{"severity": "error", "code": code}]}


def right(asked: Asked) -> bytes:
    """What a good server sends."""
    return json.dumps(answer(asked) or outcome("not-found")).encode()


def say(asked: Asked, body: Resource | bytes | None, status: int = 200, **headers: str) -> None:
    """Sends an answer; None is what is not there."""
    status, body = (404, outcome("not-found")) if body is None else (status, body)
    told = body if isinstance(body, bytes) else json.dumps(body).encode()
    asked.http.send_response(status)
    for name, value in {"Content_Type": "application/fhir+json", "Content_Length": str(len(told)), **headers}.items():
        asked.http.send_header(name.replace("_", "-"), value)
    asked.http.end_headers()
    asked.http.wfile.write(told)


# ---------------------------------------------------------------------------------------------------------------- modes


def bearer(asked: Asked) -> None:
    allowed = asked.http.headers.get("Authorization") == f"Bearer {TOKEN}"
    say(asked, answer(asked) if allowed else outcome("login"), 200 if allowed else 401)


def cut_off(asked: Asked) -> None:
    """Promises more than it sends."""
    say(asked, right(asked)[:-9], Content_Length=str(len(right(asked))))
    asked.http.close_connection = True


def hang_up(asked: Asked) -> None:
    asked.http.close_connection = True


def stranger(asked: Asked) -> None:
    """What is asked for, of another patient."""
    told = right(asked).replace(b'Patient/p1"', f'Patient/{STRANGER}"'.encode())
    say(asked, told.replace(b'"id": "p1"', f'"id": "{STRANGER}"'.encode()))


def silent(asked: Asked) -> None:
    """Never answers; ends when the client has had enough, or after 20 seconds."""
    asked.http.connection.settimeout(20)
    asked.http.connection.recv(1)
    asked.http.close_connection = True


def drip(asked: Asked, told: bytes, head: bytes = b"") -> None:
    """Sends the head at once, and the rest byte by byte."""
    asked.http.close_connection = True
    asked.http.wfile.write(head)
    for byte in told:
        asked.http.wfile.write(bytes([byte]))
        asked.http.wfile.flush()
        time.sleep(PAUSE)


def bomb(asked: Asked) -> None:
    rest = GZIP.copy()
    say(asked, BOMB + rest.compress(right(asked)) + rest.flush(), Content_Encoding="gzip")


def redirecting(asked: Asked) -> None:
    """With the status and the headers that it was loaded with, and the right answer."""
    say(asked, right(asked), asked.held["status"], **asked.held["headers"])


def deep(asked: Asked) -> None:
    """JSON with a hundred thousand arrays in each other."""
    say(asked, right(asked)[:-1] + b', "deep": ' + b"[" * 100_000 + b"]" * 100_000 + b"}")


def lying(asked: Asked) -> None:
    """Promises a terabyte, and the right answer is all there is."""
    say(asked, right(asked), Content_Length=str(10**12))
    silent(asked)


def chatter(asked: Asked) -> None:
    """Says without an end that it goes on: none of it is the answer."""
    asked.http.close_connection = True
    while True:
        asked.http.wfile.write(b"HTTP/1.1 100 Continue\r\n\r\n")
        asked.http.wfile.flush()
        time.sleep(PAUSE / 10)


def many_headers(asked: Asked) -> None:
    """The right answer behind ten thousand headers."""
    many: dict[str, Any] = {f"X-{number}": "x" for number in range(10_000)}
    say(asked, right(asked), **many)


def linked(asked: Asked) -> None:
    """Every address in the Bundle but those of its resources leads to `elsewhere`, none of them by `next`."""
    told, elsewhere = answer(asked) or outcome("not-found"), asked.held["elsewhere"]
    links = [{"relation": name, "url": f"{elsewhere}/{name}"} for name in ("self", "first", "prev", "last", "NEXT")]
    if told["resourceType"] == "Bundle":
        told |= {"link": links, "implicitRules": f"{elsewhere}/rules"}
        told["entry"] = [one | {"fullUrl": f"{elsewhere}/{asked.kind}/1", "link": links} for one in told["entry"]]
    say(asked, told)


def slow(asked: Asked) -> None:
    time.sleep(PAUSE)
    say(asked, answer(asked))


def abreast(asked: Asked) -> None:
    """Answers once all the `types` of the hospital have been asked for, and not before."""
    for _ in range(200):
        seen = {one["path"].split("/")[3] for one in LOG["requests"] if f"/{asked.hospital}/" in one["path"]}
        if seen >= set(asked.held["types"]):
            return say(asked, answer(asked))
        time.sleep(PAUSE)
    return hang_up(asked)


STATUS_LINE = b"HTTP/1.1 200 OK\r\n"
PAGE = b"<!doctype html><title>Sign in</title>"
OBSERVATION = {"resourceType": "Observation", "status": "final", "subject": {"reference": "Patient/p1"}}

MODES: dict[str, Callable[[Asked], None]] = {
    "open": lambda asked: say(asked, answer(asked)),
    "bare": lambda asked: say(asked, answer(asked, bare=True)),  # no total, and no entry when there is nothing
    "bearer": bearer,
    "slow": slow,
    "abreast": abreast,
    # refuses
    "expired": lambda asked: say(asked, outcome("expired"), 401),
    "forbidden": lambda asked: say(asked, outcome("forbidden"), 403),
    "missing": lambda asked: say(asked, None),
    "error": lambda asked: say(asked, right(asked), 500),
    "unavailable": lambda asked: say(asked, right(asked), 503, Retry_After="3600"),
    "away": lambda asked: say(asked, right(asked), 302, Location=f"{ADDRESSES['canary']}{asked.http.path}"),
    "redirecting": redirecting,
    "around": lambda asked: say(asked, right(asked), 302, Location=asked.http.path),
    # answers something else
    "html": lambda asked: say(asked, PAGE, Content_Type="text/html"),
    "text": lambda asked: say(asked, b"OK"),
    "empty": lambda asked: say(asked, b""),
    "nan": lambda asked: say(asked, {**(answer(asked) or {}), "score": float("nan")}),
    "truncated": lambda asked: say(asked, right(asked)[:-9]),
    "cut-off": cut_off,
    "outcome": lambda asked: say(asked, outcome()),
    "other-type": lambda asked: say(asked, OBSERVATION),
    "other-entries": lambda asked: say(asked, searchset(asked, [OBSERVATION])),
    "stranger": stranger,
    # takes too long, or too much
    "silent": silent,
    "dripping-body": lambda asked: drip(asked, DRIPS * b" " + right(asked), STATUS_LINE + b"\r\n"),
    "dripping-headers": lambda asked: drip(asked, b"X-Drip: " + DRIPS * b"x", STATUS_LINE),
    "hang-up": hang_up,
    "lying": lying,
    "chatter": chatter,
    "headers": many_headers,
    "deep": deep,
    "huge": lambda asked: say(asked, BLANKS + right(asked)),
    "bomb": bomb,
    # pages
    "paged": lambda asked: say(asked, answer(asked)),  # one by one, in the order in which they were loaded
    "leading": lambda asked: say(asked, answer(asked, **({} if asked.page > 1 else leading_to(asked.held["next"])))),
    "linked": linked,
    "as-loaded": lambda asked: MODES[asked.held["as"]](asked),  # so that a test can break it and repair it
    "endless": lambda asked: say(asked, answer(asked, **leading_to(next_page(asked)))),
}


def mode(asked: Asked) -> Callable[[Asked], None]:
    where, _, name = asked.how.rpartition(".")
    holds = where in ("", asked.kind) or (where == "second" and asked.page > 1)
    return MODES[name if holds else "open"]


# ------------------------------------------------------------------------------------------------------- on the network


class Front(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    wbufsize = -1  # head and body leave in one piece

    def do_GET(self) -> None:
        if self.path == "/control/log":
            return self._tell(LOG)
        address = urlsplit(self.path)
        told = {"method": self.command, "path": address.path, "query": address.query, "headers": dict(self.headers)}
        LOG["requests"].append(told)
        _, how, hospital, path = (*address.path.split("/", 3), "", "", "")[:4]
        asked = Asked(how, hospital, unquote(path), dict(parse_qsl(address.query)), self)
        if not asked.parameters.keys() <= PARAMETERS:
            return say(asked, outcome("not-supported"), 400)
        return mode(asked)(asked)

    def do_PUT(self) -> None:
        HOSPITALS[self.path.rpartition("/")[2]] = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
        LOG["requests"], LOG["canary"] = [], []
        self._tell({})

    def _tell(self, value: Any) -> None:
        say(Asked("", "", "", {}, self), value)

    def log_message(self, *_: Any) -> None:
        """Nothing: /control/log tells what was asked."""


class Canary(socketserver.BaseRequestHandler):
    def handle(self) -> None:
        heard = {"said": ""}
        LOG["canary"].append(heard)
        heard["said"] = self.request.recv(10_000).decode("latin-1")


class Listener(ThreadingHTTPServer):
    daemon_threads = True
    request_queue_size = 100

    def handle_error(self, *_: Any) -> None:
        """Nothing: a client may leave when it likes."""

    def service_actions(self) -> None:
        """Ends with the process that started it, however that ended."""
        if os.getppid() != PARENT:
            sys.exit()


def serve(port: int) -> None:
    servers = {"ehr": Listener(("127.0.0.1", port), Front), "canary": Listener(("127.0.0.1", 0), Canary)}
    ADDRESSES.update({name: f"http://127.0.0.1:{server.server_address[1]}" for name, server in servers.items()})
    Thread(target=servers["canary"].serve_forever, daemon=True).start()
    sys.stdout.write(json.dumps(ADDRESSES) + "\n")
    sys.stdout.flush()
    servers["ehr"].serve_forever()


if __name__ == "__main__":
    serve(int(sys.argv[1]))
