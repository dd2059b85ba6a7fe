"""The content as pages: a clinician finds every word of it there, can sign it, and sees what each rule rests on.

Expected rows, texts and origins are those of the decision table (tests/clinical/decision_table.json).
"""

import json
import re
import tomllib
from collections.abc import Iterator
from dataclasses import replace
from html import unescape
from pathlib import Path
from typing import Any, NoReturn

import pytest
from flask.testing import FlaskClient

from cds_content.loading import load
from cds_content.review import review_page
from cds_content.screening import Screening
from cds_content.translations import items_of, texts
from cds_service.errors import NotAuthenticated
from tests.conftest import ROOT
from tests.test_second_screening import SECOND, content
from tests.wire import serving

pytestmark = pytest.mark.timeless  # nothing in it is dated

NAME = "low-back-pain"
TABLE = json.loads((ROOT / "tests/clinical/decision_table.json").read_text("utf-8"))
ROWS = {row["id"]: row for row in TABLE}
ADVICE = [  # most urgent first
    "emergency-now",
    "doctor-same-day",
    "doctor-soon",
    "doctor-advice",
    "incomplete",
    "physio-or-doctor",
    "self-care",
    "not-applicable",
]
SHEET = tomllib.loads((ROOT / "questionnaires" / NAME / "statements.toml").read_text("utf-8"))
RULES = tomllib.loads((ROOT / "questionnaires" / NAME / "findings.toml").read_text("utf-8"))["finding"]


def shown(client: FlaskClient, address: str) -> str:
    answer = client.get(address)
    assert (answer.status_code, answer.mimetype) == (200, "text/html"), answer.text[:300]
    return answer.text


def read(html: str) -> str:
    """What a reader sees of it: no tags, and one space where there is any."""
    return " ".join(unescape(re.sub(r"<[^>]+>", " ", html)).split())


def line(html: str, row: str) -> str:
    """What the line of that row says."""
    (found,) = re.findall(rf'<tr id="{row}">(.*?)</tr>', html, re.DOTALL)
    return read(found)


@pytest.fixture(scope="module", name="reader")
def _reader(client: FlaskClient) -> FlaskClient:
    """A browser that keeps no language from one page to the next."""
    return client.application.test_client(use_cookies=False)


@pytest.fixture(scope="module", name="review")
def _review(reader: FlaskClient) -> str:
    return shown(reader, f"/review/{NAME}?lang=nl")


@pytest.fixture(scope="module", name="table")
def _table(reader: FlaskClient) -> str:
    return shown(reader, f"/review/{NAME}/table?lang=nl")


def written(value: Any, tag: str) -> Iterator[str]:
    """Every text in that language in a file of content."""
    if isinstance(value, dict) and isinstance(value.get(tag), str):
        yield value[tag]
    for part in value.values() if isinstance(value, dict) else value if isinstance(value, list) else ():
        yield from written(part, tag)


def every_text(screening: Screening) -> Iterator[str]:
    """Every text of the form, of the rules and of the cards, in both languages."""
    paths = [*(ROOT / "questionnaires" / NAME).glob("*.toml"), *(ROOT / "cards" / NAME).glob("*.toml")]
    for path in (*paths, ROOT / "cards/words.toml"):
        for tag in ("nl", "en"):
            yield from written(tomllib.loads(path.read_text("utf-8")), tag)
    for item in items_of(screening.questionnaire):
        yield from texts(item, "text", "nl").values()
        for option in item.get("answerOption", []):
            yield from texts(option["valueCoding"], "display", "nl").values()


def test_every_text_of_the_content_is_on_the_page(review: str, screening: Screening) -> None:
    page, wanted = read(review), list(every_text(screening))
    assert len(wanted) > 700
    assert [text for text in wanted if " ".join(text.split()) not in page] == []


def test_every_text_of_the_content_is_in_the_file_that_is_signed(screening: Screening) -> None:
    page = " ".join(review_page(screening).replace("<br>", " ").split())
    assert [text for text in every_text(screening) if " ".join(text.split()) not in page] == []


@pytest.mark.parametrize("row", ROWS)
def test_the_decision_table_says_what_each_row_rests_on(table: str, row: str) -> None:
    expected, said = ROWS[row], line(table, row)
    for name in ("summary_nl", "summary_en"):
        assert expected[name] in said or "summary" not in RULES[row]  # what only adds a reason, or gives no card
    for number in RULES[row].get("basis", ()):
        assert f"{number} {SHEET['statement'][number]['nl']}" in said
    for name in RULES[row].get("beyond", ()):
        assert SHEET["reference"][name]["label"]["nl"] in said
    for code in RULES[row].get("codes", ()):
        assert f"http://snomed.info/sct|{code}" in said
    assert RULES[row]["reason"]["nl"] in said
    assert RULES[row]["reason"]["en"] in said


@pytest.mark.parametrize("row", [row for row in ROWS if re.match(r"sheet S\d", ROWS[row]["origin"])])
def test_the_statements_of_the_decision_table_are_named(table: str, row: str) -> None:
    origin = re.match(r"sheet ([S\d, ]+)", ROWS[row]["origin"])
    assert origin
    for number in re.findall(r"S\d+", origin[1]):
        assert f"{number} " in line(table, row)


def test_the_conditions_are_said_in_words(table: str) -> None:
    assert "plassen en poepen : “Ja, nieuw of erger sinds mijn rugpijn”" in line(table, "R01")
    assert "uitval in één of beide benen : “Beide benen”" in line(table, "R04")
    assert "Een van deze:" in line(table, "R04")


def test_the_rows_stand_in_the_order_of_urgency(table: str, reader: FlaskClient) -> None:
    order = re.findall(r'<tr id="(\w+)">', table)
    assert set(order) == set(RULES)
    ranks = [ADVICE.index(RULES[row]["advice"]) for row in order]
    assert ranks == sorted(ranks)
    for row in order:
        assert RULES[row]["advice"] == ROWS[row]["disposition"]
    for at, advice in enumerate(ADVICE):
        chosen = re.findall(r'<tr id="(\w+)">', shown(reader, f"/review/{NAME}/table?advice={advice}"))
        assert chosen == [row for row, rank in zip(order, ranks, strict=True) if rank == at]


def test_an_advice_that_there_is_not_is_no_empty_table(reader: FlaskClient) -> None:
    answer = reader.get(f"/review/{NAME}/table?advice=harmless")
    assert (answer.status_code, answer.mimetype) == (400, "text/html")
    assert "emergency-now" in answer.text
    assert "harmless" not in answer.text.partition("<main")[2]


def test_the_advice_is_said_in_a_word_and_not_by_colour_alone(table: str) -> None:
    assert re.search(r'<span class="badge is-critical">Vandaag met spoed een arts</span>', table)
    assert "Vandaag met spoed een arts" in line(table, "R01")


@pytest.mark.parametrize("anchor", [*RULES, *SHEET["statement"], "rf-leg", "age", "emergency-now", "IMG-1", "sign"])
def test_whoever_cites_the_content_can_link_to_it(review: str, anchor: str) -> None:
    assert re.findall(rf' id="{anchor}"', review) == [f' id="{anchor}"']


def test_every_link_within_the_pages_leads_somewhere(review: str, table: str) -> None:
    ids = re.findall(r' id="([^"]+)"', review)
    assert len(ids) == len(set(ids))
    links = re.findall(rf'href="(?:/review/{NAME})?#([^"]+)"', review + table)
    assert len(links) > 100
    assert set(links) - {"main"} <= set(ids)


def test_what_nobody_signed_says_so_and_has_room_to_sign(review: str, screening: Screening) -> None:
    words = read(review)
    assert words.count("Geen clinicus heeft deze inhoud ondertekend.") == 2
    assert words.count(screening.hash) == 2
    assert review.count('<dd class="line"></dd>') == 4
    for part in ("Naam", "Rol", "Datum", "Handtekening", f"cards/{NAME}/signed.toml", str(screening.next_review)):
        assert part in words


def test_what_somebody_signed_names_them(screening: Screening, tmp_path: Path) -> None:
    with serving(replace(screening, signed_by="Dr. A. de Vries"), tmp_path) as client:
        pages = [shown(client, address) for address in (f"/review/{NAME}", "/review", "/")]
    assert "Ondertekend door Dr. A. de Vries." in read(pages[0])
    assert "Ondertekend door Dr. A. de Vries." in read(pages[1])
    assert all("Geen clinicus" not in page for page in pages)


@pytest.mark.parametrize("tag", ["nl", "en"])
def test_a_second_screening_has_the_same_pages(tmp_path: Path, tag: str) -> None:
    screenings = load(content(tmp_path, ROOT, SECOND))
    (neck,) = [one for one in screenings if one.name == "neck-check"]
    with serving(neck, tmp_path, screenings=screenings) as client:
        for address in ("/", "/review"):
            assert shown(client, f"{address}?lang={tag}").count('href="/review/neck-check') == 2
        whole = read(shown(client, f"/review/neck-check?lang={tag}"))
        rows = shown(client, f"/review/neck-check/table?lang={tag}")
    for finding in neck.findings:
        assert finding.reason[tag] in line(rows, finding.row)
    for question in neck.questions.values():
        assert all(display[tag] in whole for display in question.options.values())


def _nobody(*_: Any) -> NoReturn:
    raise NotAuthenticated


def test_in_production_everybody_reads_the_content_and_nothing_leads_to_the_sandbox(
    screening: Screening, tmp_path: Path
) -> None:
    with serving(screening, tmp_path, identify=_nobody, public="http://localhost") as client:
        for address in ("/", "/review", f"/review/{NAME}", f"/review/{NAME}/table"):
            page = shown(client, address)
            assert not re.search(r'href="/(sandbox|examples)', page)
        assert client.get("/report").status_code == 401


def test_the_first_page_leads_to_all_that_there_is(reader: FlaskClient) -> None:
    page = shown(reader, "/?lang=en")
    for address in ("/sandbox", "/contract", "/cds-services", "/fhir/metadata", "/openapi.json", "/report"):
        assert f'href="{address}"' in page
    for address in (f"/review/{NAME}", f"/review/{NAME}/table"):
        assert f'href="{address}"' in page
    assert page.index("/sandbox") < page.index(f"/review/{NAME}")
    assert "This is not a certified medical device." in read(page)
    assert "No clinician has signed this content." in read(page)


def test_a_screening_that_there_is_not_is_named_as_such(reader: FlaskClient) -> None:
    for address in ("/review/knee", "/review/knee/table"):
        answer = reader.get(address)
        assert (answer.status_code, answer.mimetype) == (404, "text/html")
        assert NAME in answer.text
        assert "knee" not in answer.text


def test_markup_in_a_text_is_shown_and_not_obeyed(screening: Screening, tmp_path: Path) -> None:
    evil = "<script>alert(1)</script>"
    first, *others = screening.findings
    changed = first.model_copy(update={"reason": {"nl": evil, "en": evil}})
    with serving(replace(screening, findings=(changed, *others)), tmp_path) as client:
        for address in (f"/review/{NAME}", f"/review/{NAME}/table"):
            page = shown(client, address)
            assert evil not in page
            assert "&lt;script&gt;alert(1)&lt;/script&gt;" in page
