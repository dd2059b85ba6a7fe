"""Hostile requests around right bodies: media types, methods, paths, ids, and markup in every text of a call.

A sample in every run, all with ATTACK=full. Nothing that somebody wrote becomes part of a card, a page or a refusal.
"""

import json
from collections import Counter
from collections.abc import Iterator
from html.parser import HTMLParser
from itertools import product
from typing import Any

import pytest
from flask.testing import FlaskClient

from cds_content.screening import Screening
from tests.attack import tell, times
from tests.conftest import SERVICE, topics
from tests.requirements.requests import HOOKS, TOKEN, collection, condition, encounter, order, path, valid
from tests.samples import CALM, bundle, call, patient, response
from tests.test_attack_input import FEEDBACK, PROCESS, RIGHT, SUBMISSIONS
from tests.test_submission import sound
from tests.wire import cards_of, changed, objects, places, refusal_of, serving

pytestmark = pytest.mark.timeless  # nothing in it is dated

Json = dict[str, Any]
POSTED = (SERVICE, FEEDBACK, SUBMISSIONS, PROCESS, "/fhir/QuestionnaireResponse/$validate")


@pytest.fixture(scope="module", name="served")
def _served(screening: Screening, tmp_path_factory: pytest.TempPathFactory) -> Iterator[FlaskClient]:
    with serving(screening, tmp_path_factory.mktemp("requests")) as client:
        client.application.testing = False  # so that an error of ours is answered as it is in use
        yield client


# What a browser sends without asking first, and what else is no JSON in UTF-8.
MEDIA = (
    None, "", "text/plain", "text/plain; charset=utf-8", "text/html", "text/xml", "application/xml",
    "application/fhir+xml", "application/x-www-form-urlencoded", "multipart/form-data; boundary=x",
    "application/octet-stream", "application/javascript", "application/jsonp", "application/json-patch+json",
    "application/x-ndjson", "application/json; charset=utf-16", "application/json; charset=latin1",
    "application/fhir+json; charset=iso-8859-1", "json", "*/*", "application/*", "text/plain, application/json",
    "application/json, text/plain", "application/json text/plain",
)  # fmt: skip


def test_no_body_of_another_media_type_is_read(served: FlaskClient) -> None:
    body = json.dumps(call(response(CALM))).encode()
    for media, address in product(MEDIA, POSTED):
        headers = {} if media is None else {"Content-Type": media}
        refusal_of(served.post(address, data=body, headers=headers), 415)
    tell("media types", tried=len(MEDIA), calls=len(MEDIA) * len(POSTED), read=0)


METHODS = (
    "GET", "HEAD", "POST", "PUT", "DELETE", "PATCH", "TRACE", "CONNECT", "PROPFIND", "MKCOL", "DEBUG", "PURGE",
    "QUERY", "get", "G E T", "X" * 300,
)  # fmt: skip
OVERRIDES = ("X-HTTP-Method-Override", "X-HTTP-Method", "X-Method-Override", "_method")
READ_ONLY = ("/cds-services", "/fhir/metadata", "/fhir/Questionnaire/low-back-pain", "/openapi.json", "/contract")


def test_a_method_that_an_address_does_not_offer_is_refused_with_those_that_it_does(served: FlaskClient) -> None:
    refused = 0
    for method, address in product(METHODS, (SERVICE, FEEDBACK, SUBMISSIONS, *READ_ONLY)):
        answer = served.open(address, method=method, json={})
        if answer.status_code == 405:
            offered = set(answer.headers["Allow"].split(", "))
            assert offered, "Allow names something"
            assert method.upper() not in offered
            assert method == "HEAD" or refusal_of(answer, 405)
            refused += 1
        else:
            assert method in ("GET", "HEAD", "POST", "PUT", "get"), (method, address)
    tell("methods", tried=len(METHODS), refused_calls=refused)
    assert refused > 80


@pytest.mark.parametrize("header", OVERRIDES)
def test_a_header_does_not_change_the_method(served: FlaskClient, header: str) -> None:
    for method in ("DELETE", "PUT", "PATCH", "GET"):
        answer = served.post(SERVICE, json=call(response(CALM)), headers={header: method})
        assert topics(cards_of(answer)) == ["self-care"]
        stays = served.post(f"/fhir/metadata?{header}=GET&_method=GET", json={}, headers={header: "GET"})
        refusal_of(stays, 405)


NOWHERE = (
    "/.git/config", "/.git/HEAD", "/.env", "/.aws/credentials", "/.well-known/../.env", "/console", "/debug", "/admin",
    "/actuator/env", "/server-status", "/phpinfo.php", "/wp-login.php", "/static/../clients.toml",
    "/static/clients.toml",
    "/clients.toml", "/cds_service/config.py", "/cds-service.sqlite", "/docs/../README.md", "/README.md", "/Dockerfile",
    "/../../../../etc/passwd", "/..%2f..%2f..%2fetc%2fpasswd", "/%2e%2e/%2e%2e/etc/passwd", "/%252e%252e/etc/passwd",
    "/..\\..\\windows\\win.ini", "/..%5c..%5cwindows", "/....//....//etc/passwd", "/%c0%ae%c0%ae/etc/passwd",
    "/examples/../clients.toml", "/examples/..%2fclients.toml", "/examples/%2e%2e%2fREADME.md", "/examples/x%00.json",
    "/examples/new-bladder-problems.json", "/examples/new-bladder-problems%00", "/examples//new-bladder-problems",
    "/cds-services//", "/./cds-services", "/cds-services/.",
    "/cds-services%00", "/cds-services;x=1", "/CDS-SERVICES", "/cds-services/low-back-pain-patient-view%20",
    "/fhir", "/fhir/", "/fhir//metadata",
    "/fhir/Questionnaire/../metadata", "/fhir/Questionnaire/low-back-pain/../../../.env", "/fhir/Questionnaire/%00",
    "/fhir/Questionnaire/low-back-pain%00", "/fhir/Questionnaire/LOW-BACK-PAIN", "/fhir/questionnaire/low-back-pain",
    "/fhir/Questionnaire/low-back-pain/_history/1/../../x", "/fhir/Patient/p1", "/fhir/$export", "/fhir/_history",
    "/fhir/QuestionnaireResponse/%00", "/fhir/QuestionnaireResponse/..", "/fhir/QuestionnaireResponse/x/_history/0x1",
    "/fhir/Questionnaire/" + "x" * 9_000, "/" + "a" * 9_000, "/" + "a/" * 4_000, "/" + "%2e" * 3_000, "/\ud7ff", "/﷽",
    "/fhir/Questionnaire/lоw-back-pain", "/cds-services/low‑back‑pain-patient-view",
)  # fmt: skip


def test_what_is_not_offered_is_not_found_whatever_the_path(served: FlaskClient) -> None:
    for address, method in product(NOWHERE, ("GET", "POST")):
        answer = served.open(address, method=method, json=call(response(CALM)) if method == "POST" else None)
        assert answer.status_code in (404, 405), (method, address[:80], answer.status_code)
        refusal_of(answer, answer.status_code)
        assert not {"root:", "[core]", "CDS_", "a" * 20, "x" * 20} & set(answer.text.split())
        assert "x" * 20 not in answer.text
    tell("paths", tried=len(NOWHERE), found=0)


def test_a_path_that_is_very_long_or_encoded_is_not_an_error_in_a_query(served: FlaskClient) -> None:
    for query in (
        "x=" + "%00" * 3_000,
        "_format=" + "j" * 9_000,
        "%ff=%fe",
        "&" * 5_000,
        "a=b;" * 3_000,
        "_elements=%0d%0aX: y",
    ):
        answer = served.get(f"/fhir/Questionnaire?{query}")
        assert answer.status_code in (200, 400, 406), query[:20]
        assert "X" not in answer.headers


# Ids that look like p1, or become p1 when somebody tidies them up.
ALIKE = (
    "P1", "p1 ", " p1", "p1\n", "p1\0", "p1/", "p1.", "p-1", "p01", "p10", "р1", "ｐ1", "p１", "p¹", "p1\u200b",
    "\ufeffp1", "p1\u0301", "p%31", "p1#", "p1?x", "p1|", "./p1", "../Patient/p1", "p1/../p1", "p1,p2", "p1&p2",
    "𝗉1", "pl",
)  # fmt: skip


def _mixed_up(id_: str) -> Iterator[Json]:
    """Calls about p1 in which something is about the other id."""
    other, reference = {"reference": f"Patient/{id_}"}, {"resourceType": "Observation", "status": "final"}
    calm = response(CALM)
    yield call(response(CALM, subject=other))
    yield call(calm, about=patient(id=id_))
    yield call(calm, response(CALM, subject=other, id="response-2"))
    yield call(response(CALM, contained=[reference | {"id": "a", "subject": other}]))
    yield call(calm) | {"prefetch": {"responses": bundle(calm), "conditions": bundle(condition(subject=other))}}
    yield call(calm) | {"prefetch": {"responses": bundle(calm), "unknown": [reference | {"subject": other}]}}
    yield call(calm) | {"fhirServer": "https://ehr.example/fhir", "fhirAuthorization": {"patient": id_}}
    yield valid("encounter-start", calm) | {
        "prefetch": {"responses": bundle(calm), "encounter": encounter(subject=other)}
    }
    inner = reference | {"id": "a", "subject": other}
    yield valid(HOOKS[-1], response(CALM, subject=other))
    yield valid(HOOKS[-1], response(CALM, contained=[inner])) | {"prefetch": {"responses": bundle(calm)}}
    yield valid("order-sign", calm, draftOrders=collection(order(contained=[inner])))


def test_no_id_is_tidied_up_until_it_is_the_patients(served: FlaskClient) -> None:
    tried = 0
    for id_ in ALIKE:
        for body in _mixed_up(id_):
            refusal_of(served.post(path(body["hook"]), json=body), 400)
            tried += 1
    tell("ids that look alike", ids=len(ALIKE), calls=tried, taken_for_the_patient=0)


def test_the_same_calls_about_the_patient_are_answered(served: FlaskClient) -> None:
    for body in _mixed_up("p1"):
        cards_of(served.post(path(body["hook"]), json=body))


def test_what_a_resource_contains_may_be_about_nobody_or_about_the_patient(ask: Any) -> None:
    inner = {"resourceType": "Patient", "id": "a", "name": [{"given": ["A"]}]}
    assert topics(ask(call(response(CALM, contained=[inner])))) == ["self-care"]
    about = {"resourceType": "Observation", "id": "o", "status": "final", "subject": {"reference": "Patient/p1"}}
    assert topics(ask(call(response(CALM, contained=[about])))) == ["self-care"]
    whose = {"reference": "#a"}
    assert topics(ask(call(response(CALM, contained=[inner], subject=whose)))) == ["incomplete"], (
        "whose it is, who knows"
    )


def test_a_search_that_names_two_patients_finds_neither(served: FlaskClient) -> None:
    for id_ in ("s1", "s2"):
        assert served.post(SUBMISSIONS, json=sound(subject={"reference": f"Patient/{id_}"})).status_code == 201
    assert served.get(f"{SUBMISSIONS}?patient=s1").get_json()["total"] == 1
    for query in ("patient=s1&patient=s2", "patient=s1&subject=Patient/s2", "patient=s1&patient=S1", "patient=ѕ1"):
        assert served.get(f"{SUBMISSIONS}?{query}").get_json()["total"] == 0, query


# Markup and orders that are active somewhere: in HTML, in Markdown, in a terminal, in a log, in a template, in SQL.
CORE = "zzactivezz"
PAYLOADS = tuple(
    payload.replace("@", CORE)
    for payload in (
        "<script>@</script>", "<img src=x onerror=@>", "<svg/onload=@>", "<a href='javascript:@'>x</a>",
        "![@](https://e.example/x.png)",
        "[@](javascript:alert(1))", "[@](https://e.example)", "<https://e.example/@>", "https://e.example/@",
        "[@]: https://e.example",
        "`@`", "**@**", "# @", "| @ |\n|---|", "<!-- @ -->", "&lt;script&gt;@", "\x1b[31m@\x1b[0m", "\u202e@\u2066",
        "@\r\nX-Injected: 1",
        "{{@}}", "${@}", "{% @ %}", "'; DROP TABLE cards; --@", "%s%n@", "=cmd|'@'!A1", "\0@", "@" * 200,
        "<style>@{}</style>",
    )
)  # fmt: skip
FULL: Json = call(
    response(CALM | {"rf-leg": "weakness", "rf-other": ["pregnant"]}, text={"status": "generated", "div": "x"}),
    about=patient(name=[{"family": "x", "given": ["x"]}], gender="female"),
    fhirServer="https://ehr.example/fhir",
    fhirAuthorization=TOKEN,
    extension={"org.example": "x"},
)
FULL["prefetch"]["conditions"] = bundle(condition())
FULL["context"]["encounterId"] = "e1"


def test_no_text_of_a_call_becomes_part_of_its_answer(served: FlaskClient) -> None:
    texts = [place for place in places(FULL) if isinstance(_at(FULL, place), str)]
    pairs = list(product(texts, PAYLOADS))
    statuses: Counter[int] = Counter()
    for place, payload in pairs[:: times(11, 1)]:
        written = payload if times(0, 1) or len(place) % 2 else f"{_at(FULL, place)}{payload}"
        answer = served.post(SERVICE, json=changed(FULL, place, written))
        assert CORE not in answer.text + str(answer.headers), (place, payload)
        assert answer.status_code in (200, 400, 412)
        if answer.status_code == 200:
            assert not [one for card in cards_of(answer) for one in objects(card) if _is_active(one)]
        statuses[answer.status_code] += 1
    tell("markup in texts", texts=len(texts), payloads=len(PAYLOADS), calls=statuses.total(), statuses=dict(statuses))
    assert len(PAYLOADS) >= 25
    assert {200, 400} <= set(statuses)


def _at(body: Any, place: tuple[str | int, ...]) -> Any:
    for step in place:
        body = body[step]
    return body


def _is_active(part: Json) -> bool:
    """Whether a text of a card holds HTML, an image, or a link to elsewhere."""
    texts = [text for text in part.values() if isinstance(text, str)]
    return any("<" in text or "![" in text or "javascript:" in text or "e.example" in text for text in texts)


class _Page(HTMLParser):
    def __init__(self) -> None:
        super().__init__()
        self.tags: Counter[str] = Counter()

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        assert not [name for name, _ in attrs if name.startswith("on") or name == "style"]
        self.tags[tag] += 1


def _tags(text: str) -> Counter[str]:
    page = _Page()
    page.feed(text)
    return page.tags


# What the plots and tables of the report are made of.
DRAWN = ("figure", "figcaption", "svg", "title", "desc", "line", "text", "rect", "div", "p", "ul", "li", "h2", "h3")


def test_no_text_of_feedback_is_active_on_the_page_of_the_report(served: FlaskClient) -> None:
    before = _tags(served.get("/report").text)
    for payload in PAYLOADS:
        card = served.post(SERVICE, json=call(response(CALM | {"rf-saddle": "new"}))).get_json()["cards"][0]["uuid"]
        reason = {"reason": {"code": payload, "system": payload, "display": payload}, "userComment": payload}
        entry = {
            "card": card,
            "outcome": "overridden",
            "outcomeTimestamp": "2026-11-22T10:00:00Z",
            "overrideReason": reason,
        }
        answer = served.post(FEEDBACK, json={"feedback": [entry]})
        assert answer.status_code in (200, 400), answer.text
        assert CORE not in answer.text
    shown = served.get("/report")
    assert shown.status_code == 200
    after = _tags(shown.text)
    assert after.keys() <= before.keys() | {"table", "caption", "thead", "tbody", "tr", "th", "td", *DRAWN}, after
    active = ("script", "link", "a", "img", "iframe", "style", "form", "input")
    assert {tag: after[tag] for tag in active} == {tag: before[tag] for tag in active}


REFUSED = (
    "/{}", "/fhir/Nope?x={}", "/fhir/Questionnaire/{}", "/fhir/QuestionnaireResponse/{}",
    "/fhir/Questionnaire?_id:{}=1",
    "/fhir/Questionnaire?date={}", "/fhir/metadata?_format={}", "/cds-services/{}", "/examples/{}", "/report?weeks={}",
)  # fmt: skip


def test_no_refusal_repeats_markup_of_the_address_or_the_headers(served: FlaskClient) -> None:
    headers = {
        "Accept-Language": CORE,
        "X-Request-Id": f"<{CORE}>",
        "Referer": CORE,
        "User-Agent": CORE,
        "Cookie": CORE,
    }
    for address, payload in product(REFUSED, PAYLOADS):
        answer = served.get(address.replace("{}", payload), headers=headers)
        assert answer.status_code in (200, 400, 404, 405, 406), (address, payload)
        assert CORE not in answer.text, (address, payload)
        assert answer.status_code < 400 or refusal_of(answer, answer.status_code)


def test_every_address_that_is_attacked_is_there(served: FlaskClient) -> None:
    for address in POSTED:
        assert served.post(address, json={}).status_code in (200, 400), address
    assert {address for address, _ in RIGHT.values()} >= set(POSTED)
