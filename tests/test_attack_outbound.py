"""Attacks by way of whom we call: addresses that are none of ours, and servers that do all they can to hold us."""

import time
from collections import Counter
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from pathlib import Path
from statistics import median, quantiles
from threading import Lock
from typing import Any

import pytest
import requests
from flask import Flask
from flask.testing import FlaskClient
from hypothesis import HealthCheck, assume, given, settings
from hypothesis import strategies as st
from waitress.server import create_server

from cds_content.screening import Screening
from cds_service import breaker
from cds_service.clients import DEVELOPMENT, Client
from cds_service.partners import ALL_CALLS, CALLS, together
from cds_service.web import Deployment, create_app
from tests.attack import FULL, tell, times
from tests.conftest import SERVICE, topics
from tests.ehr import BUDGET, ENDLESS, Ehr, Hospital, Serve, connections, fetching
from tests.ehr import as_little_as_in_use as _hurry  # noqa: F401 - the fixture `hurry`
from tests.ehr import ehr_server as _ehr_server  # noqa: F401 - the fixture `ehr`
from tests.ehr import enough_for_a_busy_machine as _patience  # noqa: F401 - the fixture `patience` of every test here
from tests.ehr import service_with_fhir_servers as _serve  # noqa: F401 - the fixture `serve`
from tests.ehr_server import MODES
from tests.samples import CALM, call, patient, response
from tests.wire import cards_of, refusal_of, send, store_in

pytestmark = pytest.mark.timeless  # nothing in it is dated

SERVED = ["Condition", "Patient", "QuestionnaireResponse"]
THREADS = 16  # of the server that answers calls
FORM, CANARY = "http://127.0.0.1:1/open/h", "http://127.0.0.1:2"  # they name the rows; each test has its own

# ------------------------------------------------------------------------------------------ addresses that are not ours

HOSTS = {
    "one number": "2130706433",
    "one number too large": "6425673729",
    "hexadecimal": "0x7f000001",
    "hexadecimal in parts": "0x7f.0x0.0x0.0x1",
    "octal": "0177.0.0.1",
    "octal, all parts": "0177.0000.0000.0001",
    "two parts": "127.1",
    "three parts": "127.0.1",
    "another loopback": "127.0.0.2",
    "zero": "0",
    "all zero": "0.0.0.0",  # noqa: S104 - nothing is bound to it
    "localhost": "localhost",
    "LOCALHOST": "LOCALHOST",
    "localhost with a dot": "localhost.",
    "with a dot": "127.0.0.1.",
    "wide digits": "１２７.０.０.１",
    "ringed digits": "①②⑦.⓪.⓪.①",
    "ideographic full stops": "127。0。0。1",
    "Bengali digits": "১২৭.০.০.১",
    "encoded digits": "%31%32%37.0.0.1",
    "encoded dots": "127%2e0%2e0%2e1",
    "IPv6": "[::1]",
    "IPv6 at length": "[0:0:0:0:0:0:0:1]",
    "IPv6, mapped": "[::ffff:127.0.0.1]",
    "IPv6, mapped in hexadecimal": "[::ffff:7f00:1]",
    "IPv6, compatible": "[::127.0.0.1]",
    "IPv6, with a zone": "[::1%25lo]",
    "IPv6, NAT64": "[64:ff9b::7f00:1]",
    "IPv6, 6to4": "[2002:7f00:1::]",
    "IPv6, any": "[::]",
    "IPv6 without brackets": "::1",
    "a name that leads there": "127.0.0.1.nip.io",
    "a cloud's passwords": "169.254.169.254",
    "a cloud's passwords by name": "metadata.google.internal",
    "10/8": "10.0.0.1",
    "172.16/12": "172.16.0.1",
    "192.168/16": "192.168.0.1",
    "100.64/10": "100.64.0.1",
    "unique local": "[fd00::1]",
}


WIDE = {48 + digit: 0xFF10 + digit for digit in range(10)}
CHARACTERS = "\t\n\r\x00\x0b\x7f \u00a0\u200b\u2028\ufeff\\"


def _forms(base: str, canary: str) -> dict[str, str]:
    """Addresses that are not the base, and that somewhere are read as it, as the canary, or as a place inside."""
    host, away, path = base.split("/")[2], canary.split("/")[2], base.split("/", 3)[3]
    port, other = host.rpartition(":")[2], away.rpartition(":")[2]
    hosts = {f"{name}, our port": f"http://{one}:{port}/{path}" for name, one in HOSTS.items()}
    hosts |= {f"{name}, the canary's port": f"http://{one}:{other}/{path}" for name, one in HOSTS.items()}
    schemes = (
        "https",
        "HTTP",
        "file",
        "gopher",
        "ftp",
        "dict",
        "ldap",
        "jar:http",
        "data",
        "javascript",
        "ws",
        "http+unix",
    )
    spelled = {f"scheme {scheme}": base.replace("http", scheme, 1) for scheme in schemes}
    for one in CHARACTERS:
        where = {"before": f"{one}{base}", "behind": f"{base}{one}", "in the host": base.replace("127", f"12{one}7", 1)}
        where |= {"in the scheme": base.replace("http", f"ht{one}tp", 1)}
        where |= {"in the path": base.replace("open", f"op{one}en", 1)}
        spelled |= {f"character {ord(one):#x} {place}": form for place, form in where.items()}
    return hosts | spelled | {
        "its beginning only": base[:-1],
        "its beginning, and more": f"{base}x",
        "its beginning, and a dot": f"{base}.evil",
        "its host as the beginning of another": f"http://{host}.evil.example/{path}",
        "its host as the end of another": f"http://evil-{host}/{path}",
        "its host in the path": f"{canary}/{host}/{path}",
        "the base in the path": f"{canary}/{base}",
        "the base in the query": f"{canary}/?{base}",
        "the base in the fragment": f"{canary}/#{base}",
        "the base behind a semicolon": f"{canary};{base}",
        "the base as user": f"http://{host}@{away}/{path}",
        "the base as user and password": f"http://{host.replace(':', ':x')}@{away}/{path}",
        "an empty user": f"http://@{host}/{path}",
        "a user without a password": f"http://:@{host}/{path}",
        "two users": f"http://a@{host}@{away}/{path}",
        "an encoded @": f"http://{away}%40{host}/{path}",
        "a user behind a backslash": f"http://{away}\\@{host}/{path}",
        "backslashes": base.replace("/", "\\"),
        "one slash": base.replace("//", "/", 1),
        "three slashes": base.replace("//", "///", 1),
        "no slash": base.replace("//", "", 1),
        "no scheme": base.removeprefix("http:"),
        "no scheme, no slashes": base.removeprefix("http://"),
        "two slashes in the path": base.replace("/open", "//open"),
        "a dot in the path": base.replace("/open", "/./open"),
        "up and down": base.replace("/open", "/open/../open"),
        "up and down, encoded": base.replace("/open", "/open/%2e%2e/open"),
        "up and down, encoded twice": base.replace("/open", "/open/%252e%252e/open"),
        "up and down, as Tomcat reads it": base.replace("/open", "/open/..;/open"),
        "parameters in the path": base.replace("/open", "/open;x=1"),
        "an encoded slash": base.replace("/h", "%2fh"),
        "a letter encoded": base.replace("open", "%6fpen"),
        "letters in capitals": base.replace("open", "OPEN"),
        "a letter with a stroke": base.replace("open", "οpen"),
        "a port with a zero": base.replace(f":{port}", f":0{port}"),
        "a port with a plus": base.replace(f":{port}", f":+{port}"),
        "a port too high": base.replace(f":{port}", f":{int(port) + 65_536}"),
        "a port below nothing": base.replace(f":{port}", f":-{port}"),
        "a port in wide digits": base.replace(f":{port}", f":{port.translate(WIDE)}"),
        "no port": base.replace(f":{port}", ""),
        "an empty port": base.replace(f":{port}", ":"),
        "port 80": base.replace(f":{port}", ":80"),
        "two ports": base.replace(f":{port}", f":{port}:{other}"),
        "two slashes at the end": f"{base}//",
        "a slash and a dot at the end": f"{base}/.",
        "a query": f"{base}?",
        "a fragment": f"{base}#",
        "a token of ours": f"{base}/{{{{context.patientId}}}}",
        "another header behind it": f"{base}\r\nX-Injected: 1",
        "a list": f"{base},{canary}",
        "two": f"{base} {canary}",
        "very long": f"{base}{'/x' * 50_000}",
        "a very long host": f"http://{'a.' * 30_000}example/{path}",
        "a socket of this machine": "unix:///var/run/docker.sock",
        "UNC": f"\\\\{away}\\{path}",
    }  # fmt: skip


FORMS = list(_forms(FORM, CANARY))


def test_there_are_many_forms() -> None:
    assert len(set(_forms(FORM, CANARY).values())) >= 100


@pytest.mark.parametrize("how", FORMS[:: times(2, 1)])
def test_no_form_but_the_base_itself_is_looked_up_or_called(ehr: Ehr, serve: Serve, how: str) -> None:
    hospital = ehr.hospital(patient(), response(CALM))
    client, server = serve(hospital.base), _forms(hospital.base, ehr.canary)[how]

    with connections() as tried:
        answer = send(client, fetching(server))

    assert answer.status_code in (400, 412)
    assert refusal_of(answer, answer.status_code)
    assert (tried, hospital.requests(), ehr.strayed()) == ([], [], [])
    assert server.strip() not in answer.text


def test_the_base_itself_is_called(ehr: Ehr, serve: Serve) -> None:
    hospital = ehr.hospital(patient(), response(CALM))

    with connections() as tried:
        assert topics(cards_of(send(serve(hospital.base), fetching(hospital.base)))) == ["self-care"]

    assert set(tried) == {ehr.address.removeprefix("http://")}


@pytest.mark.parametrize("how", FORMS[:: times(4, 1)])
def test_no_form_in_a_next_link_leads_elsewhere_or_takes_the_token_there(ehr: Ehr, serve: Serve, how: str) -> None:
    """One that means a page below the base after all may be asked there: `requests` fails for what is not below it."""
    hospital = ehr.hospital(mode="QuestionnaireResponse.leading")
    url = f"{_forms(hospital.base, ehr.canary)[how]}/QuestionnaireResponse?patient=p1&_page=2"
    hospital.load(patient(), response(CALM), next=url)

    with connections() as tried:
        answer = send(serve(hospital.base), fetching(hospital.base))

    assert answer.status_code == 412 or topics(cards_of(answer)) in (["incomplete"], ["self-care"])
    assert set(tried) == {ehr.address.removeprefix("http://")}
    assert len(hospital.requests()) <= len(SERVED) + 1
    assert ehr.strayed() == []


@st.composite
def _edited(draw: st.DrawFn, base: str) -> str:
    """The base with one to three places changed."""
    text = base
    for _ in range(draw(st.integers(1, 3))):
        place, width = draw(st.integers(0, len(text))), draw(st.integers(0, 2))
        written = draw(
            st.one_of(st.text(max_size=3), st.sampled_from(["/", "@", "..", "%2e", "\\", ":80", "#", "?", "//", ";"]))
        )
        text = text[:place] + written + text[place + width :]
    return text


@settings(
    max_examples=times(50, 2000),
    derandomize=not FULL,
    deadline=None,
    suppress_health_check=[HealthCheck.function_scoped_fixture],
)
@given(data=st.data())
def test_whatever_is_not_exactly_a_base_is_not_asked(ehr: Ehr, serve: Serve, data: st.DataObject) -> None:
    hospital = _one_hospital(ehr)
    server = data.draw(_edited(hospital.base))
    assume(server.removesuffix("/") != hospital.base)

    with connections() as tried:
        answer = send(serve(hospital.base), fetching(server))

    assert answer.status_code in (400, 412)
    assert tried == []


def _one_hospital(ehr: Ehr, kept: dict[str, Hospital] = {}) -> Hospital:  # noqa: B006 - one for all examples
    return kept.setdefault(ehr.address, ehr.hospital(patient(), response(CALM)))


# ----------------------------------------------------------------------------------------- servers that do all they can

HOSTILE = [mode for mode in MODES if mode not in ("as-loaded", "abreast", "leading", "linked", "redirecting")]


@contextmanager
def timed(into: list[float]) -> Iterator[None]:
    start = time.monotonic()
    yield
    into.append(1000 * (time.monotonic() - start))


def _figures(spans: list[float]) -> dict[str, str]:
    """Milliseconds."""
    p95 = quantiles(spans, n=20, method="inclusive")[-1] if len(spans) > 1 else spans[0]
    told = {"min": min(spans), "median": median(spans), "p95": p95, "max": max(spans)}
    return {name: f"{value:.0f} ms" for name, value in told.items()} | {
        "over 500 ms": str(sum(one > 500 for one in spans))
    }


@pytest.mark.usefixtures("hurry")
def test_an_answer_comes_in_time_whatever_the_server_does(ehr: Ehr, serve: Serve) -> None:
    undisturbed: list[float] = []
    for mode in (*HOSTILE, *[f"second.{name}" for name in ENDLESS]):
        spans: list[float] = []
        for _ in range(times(1, 10)):
            hospital = ehr.hospital(patient(), response(CALM), response(CALM, id="later"), mode=mode)  # its own circuit
            with timed(spans):
                answer = send(serve(hospital.base), fetching(hospital.base))
            with timed(undisturbed):
                cards_of(send(serve(hospital.base), call(response(CALM))))
            assert answer.status_code in (200, 400, 412)
        assert max(spans) < 10 * 1000 * BUDGET
        assert mode in ("open", "bare", "slow", "paged", "bearer") or "self-care" not in str(answer.get_json())
        tell(f"a server that is {mode}", **_figures(spans))
        assert ehr.strayed() == []
    tell("the same calls with all in the prefetch", **_figures(undisturbed))


def _all_day(client: FlaskClient, body: Any, count: int) -> list[float]:
    spans: list[float] = []
    for _ in range(count):
        with timed(spans):
            refusal_of(send(client, body), 412)
    return spans


def test_a_server_that_is_dead_costs_five_calls_their_time_and_comes_back(
    ehr: Ehr, serve: Serve, monkeypatch: pytest.MonkeyPatch
) -> None:
    hospital = ehr.hospital(patient(), response(CALM), mode="as-loaded", **{"as": "silent"})
    client, body = serve(hospital.base), fetching(hospital.base)
    monkeypatch.setattr(breaker._breaker(hospital.base)[0], "reset_timeout", 3600)

    with monkeypatch.context() as sooner:
        sooner.setattr("cds_service.fetch.BUDGET", BUDGET if FULL else 1.0)  # as in use, where the figures are wanted
        slow = _all_day(client, body, breaker.FAILURES)
    fast = _all_day(client, body, times(20, 200))
    asked = len(hospital.requests())
    hospital.load(patient(), response(CALM), **{"as": "open"})
    monkeypatch.setattr(breaker._breaker(hospital.base)[0], "reset_timeout", 0)
    came_back = topics(cards_of(send(client, body)))

    assert (asked, came_back) == (breaker.FAILURES * len(SERVED), ["self-care"])
    assert breaker.states()[hospital.base] == "closed"
    tell("a dead server, its circuit closed", **_figures(slow))
    tell("a dead server, its circuit open", **_figures(fast))


@contextmanager
def _listening(app: Flask) -> Iterator[str]:
    """The service behind a real server with as many threads as in use."""
    server: Any = create_server(app, host="127.0.0.1", port=0, threads=THREADS)
    with ThreadPoolExecutor(1) as running:
        running.submit(server.run)
        yield f"http://127.0.0.1:{server.effective_port}"
        server.task_dispatcher.shutdown()
        server.close()


@pytest.mark.usefixtures("hurry")
def test_calls_that_ask_nobody_are_answered_while_others_wait_for_a_server_that_hangs(
    ehr: Ehr, screening: Screening, tmp_path: Path, caplog: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch
) -> None:
    """It answers all but Conditions, so that its circuit stays closed: places alone keep threads free."""
    inside, seen, alone = Counter[str](), Counter[str](), Lock()

    def counted(base: str, *rest: Any) -> None:
        with alone:
            inside[base] += 1
            seen[base], seen["all"] = max(seen[base], inside[base]), max(seen["all"], inside.total())
        try:
            together(base, *rest)
        finally:
            with alone:
                inside[base] -= 1

    monkeypatch.setattr("cds_service.fetch.together", counted)
    hanging = [ehr.hospital(patient(), response(CALM), mode="Condition.silent") for _ in range(3)]
    bases = tuple(one.base for one in hanging)
    clients = {DEVELOPMENT: Client(fhir_servers=bases, private_addresses=True, calls_per_second=10_000)}
    store = store_in(tmp_path / "served.sqlite")
    app = create_app(Deployment((screening,), store, "http://127.0.0.1:8080", development=True, clients=clients))
    caplog.set_level("ERROR", "waitress.queue")  # it tells of every call that waits
    undisturbed: list[float] = []
    beside: list[float] = []
    held: list[float] = []

    with _listening(app) as address, ThreadPoolExecutor(30) as pool, requests.Session() as line:

        def ask(body: Any, spans: list[float], on: requests.Session | None = None) -> int:
            with timed(spans):
                answer = (on or requests).post(f"{address}{SERVICE}", json=body, timeout=60)
            return answer.status_code

        def wait(number: int) -> list[int]:
            return [ask(fetching(bases[number % 3]), held) for _ in range(times(3, 30))]

        complete = call(response(CALM))
        statuses = [ask(complete, undisturbed, line) for _ in range(times(20, 300))]
        waiting = [pool.submit(wait, number) for number in range(24)]
        while not all(one.done() for one in waiting):
            statuses.append(ask(complete, beside, line))
        answered = {status for one in waiting for status in one.result()}

    assert set(statuses) == {200}
    assert answered <= {200, 412}
    assert 0 < seen.pop("all") <= ALL_CALLS < THREADS
    assert max(seen.values()) <= CALLS
    tell("prefetch-only calls alone", **_figures(undisturbed))
    tell("prefetch-only calls beside 24 callers of servers that hang", **_figures(beside))
    tell("the callers of servers that hang", **_figures(held))
