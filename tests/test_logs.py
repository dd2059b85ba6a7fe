"""The log: every line an object of known fields, whoever writes it, and nothing in it that anybody sent."""

import ast
import json
import logging
import re
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from uuid import UUID

import pytest
from flask.testing import FlaskClient

from cds_content.screening import Screening
from cds_service import logs
from cds_service.logs import FIELDS, LONGEST
from tests.conftest import ROOT, SERVICE
from tests.loglines import heard, lines_of
from tests.requirements.callers import HOOK, ask, bearer, service_in
from tests.samples import CALM, call, response
from tests.wire import serving

MARKER = "jansen-123456782"

# What ends a line, moves a cursor, colours or hides text, or turns the direction of writing.
FORGING = {
    "a new line": '\n{"at": "x", "level": "info", "event": "call"}',
    "a carriage return": "\r{}",
    "an ANSI colour": "\x1b[31mred\x1b[0m",
    "an ANSI window title": "\x1b]0;title\x07",
    "NUL": "\0",
    "backspaces": "\b\b\b",
    "DEL": "\x7f",
    "a C1 next line": "\x85",
    "a C1 control sequence": "\x9b31m",
    "a line separator": "\u2028",
    "a paragraph separator": "\u2029",
    "bidi embedding": "\u202a\u202b\u202d\u202e\u202c",
    "bidi isolates": "\u2066\u2067\u2068\u2069",
    "marks of direction": "\u200e\u200f\u061c",
    "a zero width space": "\u200b",
    "half a surrogate pair": "\ud800",
    "quotes and backslashes": '","level":"debug","x":"\\',
}


@pytest.fixture(autouse=True)
def _from_info(caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.INFO, "cds_service")


@pytest.fixture(name="service")
def _service(screening: Screening, tmp_path: Path) -> Iterator[FlaskClient]:
    with serving(screening, tmp_path) as client:
        client.application.testing = False  # so that an error of ours is answered as it is in use
        yield client


# ----------------------------------------------------------------------------------------------------------- one line


@pytest.mark.parametrize("text", FORGING.values(), ids=FORGING)
def test_whatever_a_value_holds_the_line_is_one_line_of_printable_ascii(
    text: str, caplog: pytest.LogCaptureFixture
) -> None:
    for field in ("client", "reason", "route"):
        logs.get().warning("event", **{field: f"a{text}b"})

    for record in caplog.records:
        assert re.fullmatch(r"[ -~]+", record.getMessage())
    assert [line.get(name) for line, name in zip(heard(caplog), ("client", "reason", "route"), strict=True)] == [
        f"a{text}b"
    ] * 3


def test_a_field_that_is_not_in_the_list_is_dropped(caplog: pytest.LogCaptureFixture) -> None:
    logs.get().warning("event", answer=MARKER, patient=MARKER, body={"item": MARKER}, exc_info=ValueError(MARKER))

    (line,) = heard(caplog)
    assert set(line) == {"at", "level", "event"}
    assert MARKER not in caplog.text


def test_a_value_that_is_no_plain_one_is_dropped_and_a_long_one_is_cut(caplog: pytest.LogCaptureFixture) -> None:
    logs.get().warning("event", reason={"item": MARKER}, place=[MARKER], client=ValueError(MARKER), route="x" * 10_000)

    (line,) = heard(caplog)
    assert set(line) == {"at", "level", "event", "route"}
    assert line["route"] == "x" * LONGEST


def modules() -> list[Path]:
    return [path for package in ("cds_service", "cds_content") for path in sorted((ROOT / package).rglob("*.py"))]


def said(path: Path) -> Iterator[ast.Call]:
    """Where a module writes to the log."""
    for node in ast.walk(ast.parse(path.read_text("utf-8"))):
        if isinstance(node, ast.Call):
            of = node.func.value if isinstance(node.func, ast.Attribute) else node.func
            if isinstance(of, ast.Name) and of.id in ("log", "say"):
                yield node


def test_nobody_writes_to_the_log_but_in_constant_words_and_fields_of_the_list() -> None:
    calls = [(path, node) for path in modules() for node in said(path)]
    assert len(calls) > 5
    for path, node in calls:
        where = f"{path.name}:{node.lineno}"
        assert [type(one) for one in node.args] == [ast.Constant], where
        assert {word.arg for word in node.keywords} - {None} <= set(FIELDS), where


def test_only_one_module_uses_the_logging_of_python_and_none_prints() -> None:
    def names(path: Path) -> set[str]:
        nodes = list(ast.walk(ast.parse(path.read_text("utf-8"))))
        imported = {name.name for node in nodes if isinstance(node, ast.Import) for name in node.names}
        called = {node.func.id for node in nodes if isinstance(node, ast.Call) and isinstance(node.func, ast.Name)}
        return imported | (called & {"print"})

    found = {path.name for path in modules() if names(path) & {"logging", "traceback", "print"}}
    assert found - {"logs.py"} <= {"server.py"}, "the server says how much a library may say"


# ----------------------------------------------------------------------------------------------- the process as a whole

_PROCESS = f"""
import gc, logging, sys, threading, warnings
from cds_service import logs
logs.start()
marker = {MARKER!r}
for name in "waitress waitress.queue sqlalchemy.engine.Engine alembic urllib3 requests werkzeug joserfc".split():
    logging.getLogger(name).error("%s \\n in the text", marker)
    logging.getLogger(name).warning("a broken line %s %s", marker)
    logging.getLogger(name).info("too low")
try:
    raise ValueError(marker)
except ValueError:
    logging.getLogger("waitress").exception(marker)
warnings.warn(marker)
class Leaving:
    def __del__(self):
        raise KeyError(marker)
Leaving(); gc.collect()
def lost():
    raise RuntimeError(marker)
thread = threading.Thread(target=lost, name=marker)
thread.start(); thread.join()
logs.get().info("event words", client="ehr", answer=marker)
raise LookupError(marker)
"""


@pytest.mark.timeless
def test_libraries_threads_and_uncaught_errors_write_the_same_lines_without_their_texts() -> None:
    done = subprocess.run([sys.executable, "-c", _PROCESS], cwd=ROOT, capture_output=True, text=True, timeout=60)

    assert done.returncode == 1
    assert MARKER not in done.stdout + done.stderr
    lines = lines_of(done.stderr)
    heard = [(line["library"], line["level"]) for line in lines if "library" in line]
    assert heard.count(("waitress", "error")) == 2
    assert heard.count(("sqlalchemy.engine.Engine", "warning")) == 1
    assert ("py.warnings", "warning") in heard
    assert len(heard) == 8 * 2 + 2
    kinds = [line.get("kind") for line in lines if "library" not in line or "kind" in line]
    assert kinds == ["ValueError", "KeyError", "RuntimeError", None, "LookupError"]
    assert all(re.fullmatch(r"\S+:\d+( > \S+:\d+)*", line["place"]) for line in lines if "kind" in line)


# ---------------------------------------------------------------------------------------------------- a line for a call


def test_a_call_is_one_line_with_its_service_and_hook(service: FlaskClient, caplog: pytest.LogCaptureFixture) -> None:
    answer = service.post(f"{SERVICE}?patient={MARKER}", json=call(response(CALM)))

    (line,) = heard(caplog)
    assert line["ms"] > 0
    assert line["request"] == answer.headers["X-Request-ID"]
    assert {name: line[name] for name in line if name not in ("at", "ms", "request")} == {
        "level": "info",
        "event": "call",
        "method": "POST",
        "route": "/cds-services/<service_id>",
        "service": "low-back-pain-patient-view",
        "hook": "patient-view",
        "status": 200,
        "client": "development",
    }


@pytest.mark.parametrize(
    ("address", "route", "reason"),
    [
        (f"/{MARKER}?name={MARKER}", "none", "not-found"),
        (f"/cds-services/{MARKER}", "/cds-services/<service_id>", "not-found"),
        (
            f"/fhir/Questionnaire/{MARKER}/$process-response?patient={MARKER}",
            "/fhir/Questionnaire/<id_>/$process-response",
            "not-found",
        ),
        ("/cds-services/%0A%7B%22at%22%3A%22x%22%7D%1B[31m%E2%80%AE", "/cds-services/<service_id>", "not-found"),
    ],
)
def test_the_template_of_the_address_is_written_and_never_the_address(
    address: str, route: str, reason: str, service: FlaskClient, caplog: pytest.LogCaptureFixture
) -> None:
    service.post(address, json={"patient": MARKER}, headers={"User-Agent": MARKER, "X-Forwarded-For": MARKER})

    (line,) = heard(caplog)
    assert (line["route"], line["reason"]) == (route, reason)
    assert MARKER not in caplog.text
    assert "31m" not in caplog.text


def test_a_method_that_nobody_knows_is_not_written(service: FlaskClient, caplog: pytest.LogCaptureFixture) -> None:
    service.open("/cds-services", method=MARKER.upper())

    (line,) = heard(caplog)
    assert (line["method"], line["status"]) == ("other", 405)


@pytest.mark.parametrize("id_", ["6f1ed002-ab59-4a12-8b3d-3c6c1d3e2f0a", "4bf92f3577b34da6a3ce929d0e0e4736"])
def test_the_callers_own_id_of_the_call_is_kept_and_answered(
    id_: str, service: FlaskClient, caplog: pytest.LogCaptureFixture
) -> None:
    answer = service.get("/cds-services", headers={"X-Request-ID": id_})

    assert answer.headers["X-Request-ID"] == id_
    assert heard(caplog)[0]["request"] == id_


# Numbers and names, and what is about as long as an id of a call and made of its letters.
NO_IDS = ["", "123456782", "p.jansen", MARKER, "a" * 65, "{}" * 10, "abcdef0123456789\x1b[31m", "\u0660" * 20]
NEARLY_IDS = ["0123456789abcdef", "19800101-123456782", "1" * 20, "a1" * 32, "-" * 36, "\u0660" * 32]


@pytest.mark.parametrize("id_", [*NO_IDS, *NEARLY_IDS])
def test_what_could_be_a_name_or_a_number_of_a_patient_is_no_id_of_a_call(
    id_: str, service: FlaskClient, caplog: pytest.LogCaptureFixture
) -> None:
    environ = {"HTTP_X_REQUEST_ID": id_}
    given = [service.get("/cds-services", environ_overrides=environ).headers["X-Request-ID"] for _ in range(2)]

    assert [line["request"] for line in heard(caplog)] == given
    assert len({UUID(one) for one in given}) == 2, "each call has an id of its own"


def test_an_error_of_ours_is_told_by_its_kind_and_place(
    screening: Screening, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    def broken() -> str:
        raise RuntimeError(MARKER)

    with serving(screening, tmp_path, new_uuid=broken) as client:
        client.application.testing = False
        client.post(SERVICE, json=call(response(CALM)))

    error, line = heard(caplog)
    assert (error["level"], error["event"], error["kind"]) == ("error", "internal error", "RuntimeError")
    assert re.search(r"tests/test_logs\.py:\d+$", error["place"])
    assert error["request"] == line["request"]
    assert (line["status"], line["reason"]) == (500, "exception")
    assert MARKER not in caplog.text


def test_a_caller_who_is_not_known_is_no_client_of_the_line_and_the_reason_is_told(
    screening: Screening, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    client = service_in(screening, tmp_path)
    ask(client, bearer(iss=MARKER))
    ask(client, bearer())

    refused, taken = heard(caplog, "call")
    assert "client" not in refused
    assert (refused["status"], refused["reason"]) == (401, "unknown-iss")
    assert (taken["status"], taken["client"]) == (200, "ehr")
    assert MARKER not in caplog.text
    assert HOOK not in caplog.text


def test_the_line_of_a_call_names_the_tenant_where_the_token_does(
    screening: Screening, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    client = service_in(screening, tmp_path)
    for sent in (bearer(tenant="hospital-a"), bearer(), bearer(tenant=MARKER)):
        ask(client, sent)

    named, unnamed, refused = heard(caplog, "call")
    assert (named["status"], named["client"], named["tenant"]) == (200, "ehr", "hospital-a")
    assert (unnamed["status"], unnamed["client"]) == (200, "ehr")
    assert "tenant" not in unnamed
    assert (refused["status"], refused["reason"]) == (401, "unknown-tenant")
    assert "tenant" not in refused
    assert MARKER not in caplog.text


def test_no_line_of_one_call_names_the_id_of_another(service: FlaskClient, caplog: pytest.LogCaptureFixture) -> None:
    first = service.get("/cds-services").headers["X-Request-ID"]
    logs.get().warning("after the call")

    assert "request" not in heard(caplog, "after the call")[0]
    assert heard(caplog, "call")[0]["request"] == first


def test_every_field_is_in_the_page_for_operators() -> None:
    page = (ROOT / "docs/operations.md").read_text("utf-8")

    assert [name for name in FIELDS if f"| `{name}` |" not in page] == []


def test_what_these_tests_read_lines_with_refuses_what_is_no_such_line() -> None:
    right = json.dumps({"at": "x", "level": "info", "event": "call"})
    assert lines_of(right)[0]["event"] == "call"
    for wrong in ('{"at": "x"}', "words", right[:-1] + ', "answer": "x"}', "[]"):
        with pytest.raises((AssertionError, ValueError)):
            lines_of(wrong)
