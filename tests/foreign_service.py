"""A CDS service of somebody else, written from the specification: `python -m tests.foreign_service PORT [FAULT]`.

It knows nothing of ours. What it gives is as hostile as it may be: markup in every field. What it was told stands at
GET /told. Source: CDS Hooks 2.0.1.
"""

import json
import sys
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

Json = dict[str, Any]
EVIL = "<script>alert(1)</script><img src=x onerror=alert(1)>"
CARD = "4e0a3a1e-8af7-4ce8-b135-ea6a3a53b3ba"
SUGGESTION = "8f6d0bb4-3a0a-4e6b-9c0f-9d57bd5f9b5e"
DISCOVERY: Json = {
    "services": [
        {
            "id": "stranger",
            "hook": "patient-view",
            "title": EVIL,
            "description": f"Another service {EVIL}",
            "prefetch": {
                "who": "Patient/{{context.patientId}}",
                "problems": "Condition?patient={{context.patientId}}",
                "unknown": "Observation?patient={{context.patientId}}&code=1",
                "nobody": "Practitioner/{{context.nobodyId}}",
            },
        }
    ]
}
TASK: Json = {"resourceType": "Task", "status": "draft", "intent": "proposal", "description": EVIL}
GOOD: Json = {
    "uuid": CARD,
    "summary": f"Look {EVIL}",
    "indicator": "warning",
    "detail": f"**bold** {EVIL} [x](javascript:alert(1)) ![i](http://evil.example/i.png)",
    "source": {"label": EVIL, "url": "javascript:alert(1)", "topic": {"code": EVIL, "display": EVIL}},
    "suggestions": [
        {"label": EVIL, "uuid": SUGGESTION, "actions": [{"type": "create", "description": EVIL, "resource": TASK}]}
    ],
    "links": [
        {"label": EVIL, "url": "javascript:alert(1)", "type": "absolute"},
        {"label": "app", "url": "https://app.example/launch?a=1", "type": "smart", "appContext": EVIL},
    ],
    "overrideReasons": [{"code": "no", "system": "https://stranger.example", "display": EVIL}],
}
TWO_ACTIONS = [*GOOD["suggestions"][0]["actions"], {"type": "delete", "description": "x", "resourceId": "Task/none"}]

# What each fault does to the answer of the hook: status and body.
FAULTS: dict[str, tuple[int, Any]] = {
    "": (200, {"cards": [GOOD]}),
    "half": (200, {"cards": [GOOD | {"links": [{"label": "no url"}]}, {"summary": "no indicator"}, "card", None]}),
    "no-cards": (200, {"systemActions": []}),
    "list": (200, []),
    "text": (200, "<html>no JSON</html>"),
    "empty": (200, {"cards": []}),
    "error": (500, {"error": "x"}),
    "half-suggestion": (200, {"cards": [GOOD | {"suggestions": [GOOD["suggestions"][0] | {"actions": TWO_ACTIONS}]}]}),
    "redirect": (302, {}),
}


class Stranger(BaseHTTPRequestHandler):
    fault = ""
    told: list[Json] = []  # noqa: RUF012 - of all calls, on purpose

    def do_GET(self) -> None:
        known = {"/cds-services": DISCOVERY, "/told": {"told": self.told}}
        self._answer(200 if self.path in known else 404, known.get(self.path, {}))

    def do_POST(self) -> None:
        body = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
        self.told.append({"path": self.path, "authorization": self.headers["Authorization"], "body": body})
        if self.path.endswith("/feedback"):
            self._answer(200, {})
        else:
            self._answer(*FAULTS[self.fault])

    def log_message(self, *_: Any) -> None:
        """Nothing."""

    def _answer(self, status: int, value: Any) -> None:
        sent = value.encode() if isinstance(value, str) else json.dumps(value).encode()
        self.send_response(status)
        if status == 302:
            self.send_header("Location", "/told")
        self.send_header("Content-Type", "application/json")
        self.send_header("Content-Length", str(len(sent)))
        self.end_headers()
        self.wfile.write(sent)


if __name__ == "__main__":
    Stranger.fault = "".join(sys.argv[2:])
    ThreadingHTTPServer(("127.0.0.1", int(sys.argv[1])), Stranger).serve_forever()
