"""The HTTP server below the application: what it reads as a request, what it refuses, and how it says so.

RFC 9112 (HTTP/1.1) says what a message is; where two readers could understand one differently, it is refused.
"""

import json
import subprocess
import sys
from collections.abc import Iterator
from contextlib import ExitStack, closing
from email.parser import BytesParser
from typing import Any

import pytest
import requests

from tests.running import HOOK, Running, everything, running
from tests.samples import CALM, call, response
from tests.wire import obeys

pytestmark = pytest.mark.timeless  # a process of its own does the work
HIDDEN = b"GET /contract HTTP/1.1\r\nHost: x\r\n\r\n"  # nobody else asks for that here
GET = b"GET /cds-services HTTP/1.1\r\nHost: x\r\n"
POST = f"POST {HOOK} HTTP/1.1\r\nHost: x\r\nContent-Type: application/json\r\n".encode()
CHUNKED = POST + b"Transfer-Encoding: chunked\r\n"
END = b"Connection: close\r\n\r\n"


@pytest.fixture(scope="module", name="server")
def _server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Running]:
    with running(tmp_path_factory.mktemp("server"), patience={"whole": 1.5, "idle": 1.5}) as server:
        yield server


def told(server: Running, *parts: bytes) -> bytes:
    """All that the server says to these bytes until it closes the connection; it must close it."""
    with closing(server.connect()) as connection:
        try:
            for part in parts:
                connection.sendall(part)
        except (BrokenPipeError, ConnectionResetError):  # it had heard enough
            pass
        return everything(connection)


def answers(heard: bytes) -> list[tuple[int, Any, bytes]]:
    """Each answer: status, headers, body; by Content-Length, which the server always gives."""
    found = []
    while heard:
        head, _, rest = heard.partition(b"\r\n\r\n")
        line, _, fields = head.partition(b"\r\n")
        headers = BytesParser().parsebytes(fields)
        length = int(headers["Content-Length"])
        found.append((int(line.split()[1]), headers, rest[:length]))
        heard = rest[length:]
    return found


def is_an_outcome(headers: Any, body: bytes) -> None:
    assert headers["Content-Type"] == "application/fhir+json"
    assert headers["Cache-Control"] == "no-store"
    assert headers["Server"] is None
    assert headers["Via"] is None
    obeys(json.loads(body), "operationoutcome")


# Each row: why, what is sent, the status.
REFUSED: list[tuple[str, bytes, int]] = [
    ("length and coding", CHUNKED + b"Content-Length: 5\r\n\r\n0\r\n\r\n" + HIDDEN, 400),
    ("coding and length", POST + b"Content-Length: 4\r\nTransfer-Encoding: chunked\r\n\r\n5c\r\n" + HIDDEN, 400),
    ("two lengths", POST + b"Content-Length: 0\r\nContent-Length: 37\r\n\r\n" + HIDDEN, 400),
    ("two equal lengths", POST + b"Content-Length: 2\r\nContent-Length: 2\r\n\r\n{}" + HIDDEN, 400),
    ("two lengths in one line", POST + b"Content-Length: 2, 37\r\n\r\n{}" + HIDDEN, 400),
    ("a length with a sign", POST + b"Content-Length: +2\r\n\r\n{}" + HIDDEN, 400),
    ("a negative length", POST + b"Content-Length: -1\r\n\r\n" + HIDDEN, 400),
    ("a length in hexadecimal", POST + b"Content-Length: 0x2\r\n\r\n{}" + HIDDEN, 400),
    ("a length with a blank", POST + b"Content-Length: 1 2\r\n\r\n{}" + HIDDEN, 400),
    ("a length of 5,000 digits", POST + b"Content-Length: " + b"9" * 5000 + b"\r\n\r\n" + HIDDEN, 400),
    ("a length with a blank before the colon", POST + b"Content-Length : 2\r\n\r\n{}" + HIDDEN, 400),
    ("a length with letters of other scripts", POST + "Content-Length: ٢\r\n\r\n{}".encode() + HIDDEN, 400),
    ("chunked twice", POST + b"Transfer-Encoding: chunked, chunked\r\n\r\n0\r\n\r\n" + HIDDEN, 400),
    ("chunked in two lines", CHUNKED + b"Transfer-Encoding: chunked\r\n\r\n0\r\n\r\n" + HIDDEN, 400),
    ("chunked and not the last", POST + b"Transfer-Encoding: chunked, identity\r\n\r\n0\r\n\r\n" + HIDDEN, 501),
    ("a coding that we do not know", POST + b"Transfer-Encoding: gzip\r\n\r\n" + HIDDEN, 501),
    ("nearly chunked", POST + b"Transfer-Encoding: xchunked\r\n\r\n0\r\n\r\n" + HIDDEN, 501),
    ("chunked after a vertical tab", POST + b"Transfer-Encoding: \x0bchunked\r\n\r\n0\r\n\r\n" + HIDDEN, 400),
    ("chunked on a folded line", POST + b"Transfer-Encoding:\r\n chunked\r\n\r\n0\r\n\r\n" + HIDDEN, 400),
    ("chunked in HTTP/1.0", CHUNKED.replace(b"1.1", b"1.0") + b"\r\n0\r\n\r\n" + HIDDEN, 400),
    ("a chunk size that is none", CHUNKED + b"\r\nzz\r\n" + HIDDEN, 400),
    ("a chunk size with a sign", CHUNKED + b"\r\n-1\r\n" + HIDDEN, 400),
    ("a chunk size in another notation", CHUNKED + b"\r\n0x2\r\n{}\r\n0\r\n\r\n" + HIDDEN, 400),
    ("a chunk that is longer than it says", CHUNKED + b"\r\n2\r\n{}" + HIDDEN, 400),
    ("a chunk extension that is none", CHUNKED + b"\r\n2;\x00\r\n{}\r\n0\r\n\r\n" + HIDDEN, 400),
    ("a line before a chunk without end", CHUNKED + b"\r\n" + b"0" * 60_000, 400),
    ("a trailer without end", CHUNKED + b"\r\n0\r\n" + b"X: y\r\n" * 9_000, 400),
    ("HTTP/0.9", b"GET /contract\r\n\r\n", 505),
    ("HTTP/9.9", GET.replace(b"1.1", b"9.9") + b"\r\n" + HIDDEN, 505),
    ("HTTP/2.0 by its preface", b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n" + HIDDEN, 505),
    ("HTTP/1.2", GET.replace(b"1.1", b"1.2") + b"\r\n", 505),
    ("a version that is none", GET.replace(b"HTTP/1.1", b"HTTP/1.x") + b"\r\n", 400),
    ("a method in lower case", GET.replace(b"GET", b"get") + b"\r\n", 400),
    ("no method", b" /contract HTTP/1.1\r\nHost: x\r\n\r\n", 400),
    ("no line at all", b"\x00\x01\x02\x03\r\n\r\n", 400),
    ("an address with a blank", b"GET /con tract HTTP/1.1\r\nHost: x\r\n\r\n", 400),
    ("an address that cannot be split", b"GET http://[/contract HTTP/1.1\r\nHost: x\r\n\r\n", 400),
    ("no Host", b"GET /contract HTTP/1.1\r\n\r\n", 400),
    ("two Hosts", GET + b"Host: y\r\n\r\n" + HIDDEN, 400),
    ("a Host that is none", b"GET /contract HTTP/1.1\r\nHost: x@y/z\r\n\r\n", 400),
    ("a header without a colon", GET + b"Nonsense\r\n\r\n" + HIDDEN, 400),
    ("a header without a name", GET + b": nothing\r\n\r\n" + HIDDEN, 400),
    ("a blank in the name of a header", GET + b"X Y: z\r\n\r\n" + HIDDEN, 400),
    ("NUL in a header", GET + b"X-Name: a\x00b\r\n\r\n" + HIDDEN, 400),
    ("NUL in the name of a header", GET + b"X-\x00: a\r\n\r\n" + HIDDEN, 400),
    ("a bare line feed in a header", GET + b"X-Name: a\nContent-Length: 37\r\n\r\n" + HIDDEN, 400),
    ("a bare carriage return in a header", GET + b"X-Name: a\rContent-Length: 37\r\n\r\n" + HIDDEN, 400),
    ("a folded first header", b"GET /contract HTTP/1.1\r\n Host: x\r\n\r\n", 400),
    ("64 KB in a header", GET + b"X-Name: " + b"a" * 64_000 + b"\r\n\r\n", 431),
    ("1 MB in a header", GET + b"X-Name: " + b"a" * 1_000_000 + b"\r\n\r\n", 431),
    ("an address of 64 KB", b"GET /" + b"a" * 64_000 + b" HTTP/1.1\r\nHost: x\r\n\r\n", 431),
    ("20,000 headers", GET + b"X: y\r\n" * 20_000 + b"\r\n", 431),
    ("30 KB of blanks in a header", GET + b"X:" + b" " * 30_000 + b"y\r\n\r\n", 400),
    ("30 KB of blanks in a coding", CHUNKED.replace(b": chunked", b": x" + b" " * 30_000 + b"y") + b"\r\n", 400),
    ("a body in chunks of one byte", CHUNKED + b"\r\n" + b"1\r\na\r\n" * 20_000, 400),
    ("headers without end", GET + b"X: y\r\n" * 2_000_000, 431),
]


# Each row: why, what is sent: closed without a word, because there may still come more.
UNFINISHED: list[tuple[str, bytes]] = [
    ("TLS", bytes.fromhex("16030100f8010000f40303") + bytes(range(237))),
    ("nothing", b""),
    ("half a request line", b"GET /contr"),
    ("half a body", POST + b'Content-Length: 100\r\n\r\n{"hook"'),
    ("a chunk larger than memory", CHUNKED + b"\r\nffffffffffffffff\r\n{}"),
]


@pytest.mark.parametrize("row", REFUSED, ids=[row[0] for row in REFUSED])
def test_what_is_no_clear_request_is_refused_and_nothing_hides_in_it(
    row: tuple[str, bytes, int], server: Running
) -> None:
    _, sent, right = row

    heard = answers(told(server, sent))

    if len(sent) > 100_000 and not heard:
        return  # closed while we were still sending: a connection that is reset may lose the answer
    ((status, headers, body),) = heard
    assert status == right
    assert headers["Connection"] == "close"
    is_an_outcome(headers, body)


def test_what_never_becomes_a_request_is_closed(server: Running) -> None:
    with ExitStack() as open_:
        connections = [open_.enter_context(closing(server.connect())) for _ in UNFINISHED]
        for connection, (_, sent) in zip(connections, UNFINISHED, strict=True):
            connection.sendall(sent)

        assert [everything(connection) for connection in connections] == [b""] * len(UNFINISHED)


def test_nothing_that_was_hidden_has_reached_the_application(server: Running) -> None:
    for sent in [sent for _, sent, _ in REFUSED if sent.endswith(HIDDEN)]:
        told(server, sent)
    requests.get(f"{server.address}/cds-services", timeout=20)  # which is in the log

    assert {line.get("route") for line in server.until("call")} >= {"/cds-services"}
    assert [line for line in server.lines() if line.get("route") == "/contract"] == []


@pytest.mark.parametrize(
    ("why", "target", "status"),
    [
        ("absolute form, which is read for its path (RFC 9112, 3.2.2)", b"http://elsewhere.example/cds-services", 200),
        ("authority form", b"elsewhere.example:443", 404),
        ("asterisk form", b"*", 404),
        ("two slashes", b"//elsewhere.example/cds-services", 404),
    ],
)
def test_other_forms_of_an_address_lead_nowhere_else(server: Running, why: str, target: bytes, status: int) -> None:
    ((found, headers, body),) = answers(told(server, b"GET " + target + b" HTTP/1.1\r\nHost: x\r\n" + END))

    assert found == status, why
    assert b"elsewhere" not in body
    if status != 200:
        is_an_outcome(headers, body)


def test_requests_sent_at_once_are_answered_in_their_order(server: Running) -> None:
    first = b"GET /cds-services HTTP/1.1\r\nHost: x\r\n\r\n"
    second = b"GET /nowhere HTTP/1.1\r\nHost: x\r\n\r\n"

    heard = answers(told(server, first + second + first + GET + END))

    assert [status for status, *_ in heard] == [200, 404, 200, 200]


def test_who_sends_many_requests_ahead_gets_few_answers(server: Running) -> None:
    assert len(answers(told(server, (GET + b"\r\n") * 100))) <= 4


def test_a_body_in_chunks_is_read_as_one(server: Running) -> None:
    body = json.dumps(call(response(CALM | {"rf-saddle": "new"}))).encode()
    chunks = b"".join(b"%x\r\n%s\r\n" % (len(part), part) for part in (body[:7], body[7:600], body[600:]))

    ((status, _, heard),) = answers(told(server, CHUNKED + END + chunks + b"0\r\n\r\n"))

    assert status == 200
    assert json.loads(heard)["cards"][0]["indicator"] == "critical"


@pytest.mark.parametrize("size", [1_000_001, 2_000_000, 20_000_000])
def test_a_body_that_is_too_large_is_refused_so_that_its_sender_hears_it(server: Running, size: int) -> None:
    with closing(server.connect()) as connection:
        connection.sendall(POST + b"Content-Length: %d\r\n" % size + END + b"[" * size)  # all of it is taken
        ((status, headers, body),) = answers(everything(connection))

    assert status == 413
    is_an_outcome(headers, body)


@pytest.mark.parametrize("chunk", [100, 60_000])
def test_a_body_in_chunks_is_counted_while_it_comes_in(server: Running, chunk: int) -> None:
    pieces = (b"%x\r\n%s\r\n" % (chunk, b"[" * chunk)) * (2_000_000 // chunk)

    ((status, headers, body),) = answers(told(server, CHUNKED + END, pieces, b"0\r\n\r\n"))

    assert status == 413
    is_an_outcome(headers, body)


def test_a_body_of_exactly_the_most_is_read(server: Running) -> None:
    body = json.dumps(call(response(CALM))).encode()
    padded = body + b" " * (1_000_000 - len(body))

    ((status, _, _),) = answers(told(server, POST + b"Content-Length: 1000000\r\n" + END, padded))

    assert status == 200


def test_who_waits_to_be_told_to_go_on_is_told(server: Running) -> None:
    body = json.dumps(call(response(CALM))).encode()
    with closing(server.connect()) as connection:
        connection.sendall(POST + b"Expect: 100-continue\r\nContent-Length: %d\r\n" % len(body) + END)
        assert connection.recv(100) == b"HTTP/1.1 100 Continue\r\n\r\n"
        connection.sendall(body)

        ((status, _, _),) = answers(everything(connection))

    assert status == 200


FORGED = {
    "Host": "elsewhere.example",
    "X-Forwarded-Host": "elsewhere.example",
    "X-Forwarded-Proto": "gopher",
    "X-Forwarded-Prefix": "/elsewhere",
    "Forwarded": "host=elsewhere.example;proto=gopher",
    "X-Original-URL": "/contract",
    "X-Rewrite-URL": "/contract",
}


@pytest.mark.parametrize("path", ["/cds-services", "/fhir/metadata", "/fhir/Questionnaire/low-back-pain", "/nowhere"])
def test_no_header_says_where_the_service_stands(server: Running, path: str) -> None:
    plain = requests.get(server.address + path, timeout=20)
    forged = requests.get(server.address + path, headers=FORGED, timeout=20)

    assert (forged.status_code, forged.text) == (plain.status_code, plain.text)
    assert not [value for value in forged.headers.values() if "elsewhere" in value]


def test_no_answer_tells_which_server_it_is(server: Running) -> None:
    for path in ("/cds-services", "/nowhere"):
        headers = requests.get(server.address + path, timeout=20).headers
        assert {"Server", "Via", "X-Powered-By"} & {name.title() for name in headers} == set()


TOLD_AS_IT_LISTENS = """
import os, signal
from cds_service import server

def listen(*parts):
    found = listening(*parts)
    os.kill(os.getpid(), signal.SIGTERM)
    return found

listening, server.listen = server.listen, listen
server.serve(lambda environ, start: [], "127.0.0.1", 0)
"""


def test_a_server_that_is_told_to_stop_as_soon_as_it_listens_ends_as_well_as_later() -> None:
    ended = subprocess.run([sys.executable, "-c", TOLD_AS_IT_LISTENS], capture_output=True, timeout=60)

    assert (ended.returncode, ended.stderr) == (0, b"")
