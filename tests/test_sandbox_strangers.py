"""Whatever stands in a record or comes from another CDS service is shown as text; it never becomes part of the page."""

from collections.abc import Iterator
from typing import Any

import pytest

from cds_content.screening import Screening
from tests.pages_sandbox import Page, Sandbox, foreign, person, sandbox
from tests.samples import CALM, patient, response

MARK = "Zx9"  # in every payload, so that a test sees that it arrived
PAYLOADS = (
    f"<script>alert('{MARK}')</script>",
    f"<img src=x onerror=alert('{MARK}')>",
    f"<svg onload=alert('{MARK}')>",
    f"<iframe src=\"javascript:alert('{MARK}')\"></iframe>",
    f"<body onload=alert('{MARK}')>",
    f"\"><script>alert('{MARK}')</script>",
    f"' onmouseover='alert(\"{MARK}\")' x='",
    f"\" autofocus onfocus=\"alert('{MARK}')",
    f"</title><script>{MARK}</script>",
    f"</pre></details><script>{MARK}</script>",
    f"</textarea><script>{MARK}</script>",
    f"--><script>{MARK}</script>",
    f"<a href=\"javascript:alert('{MARK}')\">x</a>",
    f"[x](javascript:alert('{MARK}'))",
    f"[x](JaVaScRiPt:alert('{MARK}'))",
    f"[x](data:text/html;base64,{MARK})",
    f"[x](vbscript:{MARK})",
    f"[x](&#106;avascript:alert('{MARK}'))",
    f"[x](\x01javascript:alert('{MARK}'))",
    f"![x](https://evil.example/{MARK}.png)",
    f'[x](https://evil.example/"onclick="alert({MARK}))',
    f"<javascript:alert('{MARK}')>",
    f"[x]: javascript:alert('{MARK}')\n\n[x]",
    f"javascript:alert('{MARK}')",
    f"<style>*{{background:url(//evil.example/{MARK})}}</style>",
    f"<form action=//evil.example><button>{MARK}</button></form>",
    f"<meta http-equiv=refresh content='0;url=//evil.example/{MARK}'>",
    f"<base href=//evil.example/{MARK}>",
    f"<object data=//evil.example/{MARK}></object>",
    f"{{{{ 7 * 7 }}}}{MARK}{{% raw %}}",
    f"|a|\n|:-:|\n|<script>{MARK}</script>|",
    f"{MARK}\u202e<script>\U0001f600",
)
OURS = {"/static/theme.js", "/static/sandbox.js"}
NEVER = {"img", "iframe", "object", "embed", "svg", "base", "style", "video", "audio", "math"}


@pytest.fixture(scope="module", name="at")
def _at(screening: Screening, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Sandbox]:
    people = [person(f"p{number}", "trap", *stuffed(text), about=about(text)) for number, text in enumerate(PAYLOADS)]
    with sandbox((screening,), tmp_path_factory.mktemp("strangers"), people) as one:
        yield one


def about(text: str) -> dict[str, Any]:
    """A patient with the payload in every text that is shown of one."""
    return patient(name=[{"text": text, "family": text}], birthDate=text, gender=text)


def stuffed(text: str) -> Iterator[dict[str, Any]]:
    """A response and a problem with the payload in every member that is shown."""
    yield response(CALM, status=text, authored=text, author={"display": text}, source={"reference": text})
    yield response(CALM, id="response-2", questionnaire=text)
    code = {"coding": [{"code": text, "display": text, "system": text}], "text": text}
    status = {"coding": [{"code": text}]}
    subject = {"reference": "Patient/p1"}
    yield {"resourceType": "Condition", "id": "c1", "code": code, "clinicalStatus": status, "subject": subject}


def card(text: str) -> dict[str, Any]:
    """A card with the payload in every member."""
    action = {"type": "create", "description": text, "resource": {"resourceType": text, "note": text}}
    link = {"label": text, "url": text, "appContext": text}
    return {
        "uuid": text,
        "summary": text,
        "indicator": "info",
        "detail": text,
        "source": {"label": text, "url": text, "icon": text, "topic": {"code": text, "display": text, "system": text}},
        "suggestions": [{"label": text, "uuid": text, "isRecommended": True, "actions": [action]}],
        "selectionBehavior": text,
        "overrideReasons": [{"code": text, "display": text, "system": text}],
        "links": [link | {"type": "absolute"}, link | {"type": "smart"}],
        "extension": {f"{text}.rules": {"rows": [text]}},
    }


def active(page: Page) -> list[str]:
    """What of the page could do something that we did not write."""
    found = [one.tag for one in page.elements if one.tag in NEVER]
    found += [str(one) for one in page.elements if one.tag == "script" and one.attributes.get("src") not in OURS]
    for one in page.elements:
        for name, value in one.attributes.items():
            address = name in ("href", "src", "action", "formaction", "data", "xlink:href")
            known = value.startswith(("/", "#", "?", "http://", "https://", "mailto:")) and not value.startswith("//")
            if name.startswith("on") or name in ("style", "srcdoc", "http-equiv") or (address and not known):
                found.append(f"{one.tag} {name}={value}")
    forms = [one.attributes.get("action", "/sandbox") for one in page.elements if one.tag == "form"]
    return found + [action for action in forms if not action.startswith("/sandbox")]


@pytest.mark.parametrize("number", range(len(PAYLOADS)))
def test_a_payload_in_the_record_stays_text(at: Sandbox, number: int) -> None:
    at.post("/connect", {"own": "yes"})
    page = at.chart(f"p{number}")

    assert page.status == 200
    assert page.html.count(MARK) > 5
    assert active(page) == []


@pytest.mark.parametrize("number", range(len(PAYLOADS)))
def test_a_payload_in_a_card_of_another_service_stays_text(at: Sandbox, number: int) -> None:
    text = PAYLOADS[number]
    with foreign({"cards": [card(text)], "systemActions": []}, discovery=discovery(text)) as address:
        at.post("/connect", {"address": address})
        page, first = at.post(f"/patients/p{number}/hook", {"hook": "patient-view"}), at.get("")
        compared = at.get(f"/patients/p{number}/compare?question=rf-saddle&answer=new")

    assert page.all("data-card") != []
    assert page.html.count(MARK) > 20
    assert active(page) == []
    assert active(first) == []
    assert active(compared) == []


def discovery(text: str) -> dict[str, Any]:
    """A discovery with the payload in every member but those by which it is called."""
    return {"services": [{"id": "foreign", "hook": "patient-view", "title": text, "description": text}]}


@pytest.mark.parametrize("url", ["javascript:alert(1)", "data:text/html,x", "//evil.example", "/sandbox/reset", "x:y"])
@pytest.mark.parametrize("kind", ["absolute", "smart"])
def test_a_link_that_does_not_lead_to_the_web_is_text(at: Sandbox, url: str, kind: str) -> None:
    link = {"label": "Open me", "url": url, "type": kind}
    known = {"uuid": "card-1", "summary": "x", "indicator": "info", "source": {"label": "x", "url": url}}
    with foreign({"cards": [known | {"links": [link], "detail": f"[x]({url})"}]}) as address:
        at.post("/connect", {"address": address})
        page = at.post("/patients/p0/hook", {"hook": "patient-view"})

    places = {one.attributes["href"] for one in page.elements if one.tag == "a"}
    assert url not in places
    assert "Open me" in page.one("data-card").text
    assert page.all("data-launch") == []
    assert at.led("/patients/p0/launch?card=card-1&link=0")[0] == 404


def test_members_of_another_shape_break_no_page(at: Sandbox) -> None:
    odd: list[Any] = [None, 7, "text", [], {}, [[]], [7], [{}], [{"actions": 7}], {"rows": 7}]
    sound = {"summary": "Odd", "indicator": "info", "source": {"label": "x"}}
    names = ("detail", "links", "suggestions", "overrideReasons", "extension", "uuid")
    cards: list[Any] = [sound | {name: value} for name in names for value in odd]
    cards += [sound | {"extension": {"x.rules": value}} for value in odd]
    with foreign({"cards": cards}) as address:
        at.post("/connect", {"address": address})
        page = at.post("/patients/p0/hook", {"hook": "patient-view"})

    assert page.status == 200
    assert "Odd" in page.text
