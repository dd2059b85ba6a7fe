"""The sandbox with the CDS service of somebody else: what can be shown is shown, and nothing wrong is passed over."""

import subprocess
import sys
from collections.abc import Callable, Iterator
from typing import Any

import pytest
import requests

from cds_content.screening import Screening
from cds_service.errors import BadRequest, NotFound
from cds_service.sandbox import Ehr
from cds_service.sandbox.exchange import token
from tests.conftest import ROOT
from tests.foreign_service import CARD, EVIL, GOOD, SUGGESTION
from tests.processes import free_port, until_it_listens
from tests.sandboxes import sandbox

pytestmark = pytest.mark.timeless  # another process does the work

Stranger = Callable[[str], str]


@pytest.fixture(scope="module", name="ehr")
def _ehr(screening: Screening, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Ehr]:
    with sandbox(screening, tmp_path_factory.mktemp("sandbox")) as service:
        yield service.ehr


@pytest.fixture(name="stranger")
def _stranger() -> Iterator[Stranger]:
    """Starts the other service with a fault, and gives its address."""
    processes: list[subprocess.Popen[Any]] = []

    def start(fault: str = "") -> str:
        port = free_port()
        process = subprocess.Popen([sys.executable, "-m", "tests.foreign_service", str(port), fault], cwd=ROOT)
        processes.append(process)
        until_it_listens(port, process)
        return f"http://127.0.0.1:{port}"

    yield start
    for process in processes:
        process.kill()
        process.wait()


@pytest.mark.parametrize("end", ["", "/", "/cds-services", "/cds-services/"])
def test_its_address_may_be_written_as_people_write_it(ehr: Ehr, stranger: Stranger, end: str) -> None:
    address = stranger("")
    ehr.connect(address + end)

    assert ehr.address == address
    assert [one["id"] for one in ehr.services] == ["stranger"]
    assert ehr.problem == ()


def test_its_own_prefetch_is_filled_and_what_is_not_known_left_out(ehr: Ehr, stranger: Stranger) -> None:
    address = stranger("")
    ehr.connect(address)
    fired = ehr.fire("calm", "patient-view")
    (told,) = requests.get(f"{address}/told", timeout=60).json()["told"]

    assert told["path"] == "/cds-services/stranger"
    prefetch = told["body"]["prefetch"]
    assert set(prefetch) == {"who", "problems"}
    assert prefetch["who"]["id"] == "calm"
    assert (prefetch["problems"]["resourceType"], prefetch["problems"]["total"]) == ("Bundle", 0)
    assert told["body"]["context"] == {"userId": "Practitioner/synthetic-gp", "patientId": "calm"}
    assert fired.problem == ()


def test_its_card_is_kept_as_it_is_with_all_that_is_hostile_in_it(ehr: Ehr, stranger: Stranger) -> None:
    ehr.connect(stranger(""))

    assert ehr.fire("calm", "patient-view").cards == (GOOD,)


def test_what_is_no_card_is_said_and_not_passed_over(ehr: Ehr, stranger: Stranger) -> None:
    ehr.connect(stranger("half"))
    fired = ehr.fire("calm", "patient-view")

    assert [card["summary"] for card in fired.cards] == [f"Look {EVIL}", "no indicator"]
    assert fired.cards[0]["links"] == []
    assert set(fired.problem) == {"bad-cards", "bad-parts"}


@pytest.mark.parametrize(
    ("fault", "problem"),
    [
        ("no-cards", "no-cards"),
        ("list", "no-json"),
        ("text", "no-json"),
        ("error", "status"),
        ("redirect", "status"),  # not followed
    ],
)
def test_an_answer_that_is_none_is_a_problem_and_never_no_card(
    ehr: Ehr, stranger: Stranger, fault: str, problem: str
) -> None:
    ehr.connect(stranger(fault))
    fired = ehr.fire("calm", "patient-view")

    assert (fired.cards, fired.problem) == ((), (problem,))


def test_no_cards_is_an_answer(ehr: Ehr, stranger: Stranger) -> None:
    ehr.connect(stranger("empty"))
    fired = ehr.fire("calm", "patient-view")

    assert (fired.cards, fired.problem) == ((), ())


def test_who_does_not_listen_is_a_problem(ehr: Ehr) -> None:
    ehr.connect(f"http://127.0.0.1:{free_port()}")

    assert ehr.problem == ("unanswered",)
    assert ehr.discovered is not None
    assert ehr.discovered.status == 0
    assert ehr.fire("calm", "patient-view").problem == ("unanswered",)


def test_a_hook_that_it_does_not_offer_is_a_problem(ehr: Ehr, stranger: Stranger) -> None:
    ehr.connect(stranger(""))

    assert ehr.fire("calm", "encounter-start").problem == ("no-service",)


@pytest.mark.parametrize(
    "address",
    [
        *(
            "ftp://a.example",
            "file:///etc/passwd",
            "javascript:alert(1)",
            "a.example",
            "http://",
            "http://u:p@a.example",
        ),
        *("http://a.example?x=1", "http://a.example#x", "http://a.example:x", "http://a b.example"),
    ],
)
def test_what_is_no_address_on_the_web_is_refused(ehr: Ehr, address: str) -> None:
    with pytest.raises(BadRequest, match="write http"):
        ehr.connect(address)


def test_an_accepted_suggestion_is_on_record_and_it_is_told(ehr: Ehr, stranger: Stranger) -> None:
    address = stranger("")
    ehr.connect(address)
    ehr.fire("calm", "patient-view")
    ehr.accept("calm", CARD, SUGGESTION)
    told = requests.get(f"{address}/told", timeout=60).json()["told"][-1]

    assert ehr.chart("calm").tasks[0]["description"] == EVIL
    (entry,) = told["body"]["feedback"]
    assert told["path"] == "/cds-services/stranger/feedback"
    assert (entry["card"], entry["outcome"], entry["acceptedSuggestions"]) == (CARD, "accepted", [{"id": SUGGESTION}])
    with pytest.raises(NotFound):  # once
        ehr.accept("calm", CARD, SUGGESTION)


def test_feedback_goes_to_the_service_that_gave_the_card(ehr: Ehr, stranger: Stranger) -> None:
    first, second = stranger(""), stranger("")
    ehr.connect(first)
    ehr.fire("alarming", "patient-view")
    ehr.connect(second)
    ehr.dismiss("alarming", CARD)

    last = ehr.chart("alarming").hook
    assert last is not None
    assert last.exchanges[-1].url == f"{first}/cds-services/stranger/feedback"
    assert requests.get(f"{second}/told", timeout=60).json()["told"] == []


def test_a_suggestion_that_cannot_be_carried_out_as_a_whole_changes_nothing(ehr: Ehr, stranger: Stranger) -> None:
    ehr.connect(stranger("half-suggestion"))
    ehr.fire("alarming", "patient-view")

    with pytest.raises(BadRequest, match="cannot be carried out"):
        ehr.accept("alarming", CARD, SUGGESTION)
    assert ehr.chart("alarming").tasks == []


def test_its_calls_are_signed_for_its_address(ehr: Ehr, stranger: Stranger) -> None:
    address = stranger("")
    ehr.connect(address)
    read = token(ehr.fire("calm", "patient-view").exchanges[0])

    assert read is not None
    header, claims = read
    assert (header["alg"], header["typ"]) == ("ES384", "JWT")
    assert claims["aud"] == f"{address}/cds-services/stranger"
    assert claims["iss"] == f"{ehr.public}/sandbox"
    assert claims["exp"] - claims["iat"] == 300


def test_a_smart_link_keeps_its_own_query(ehr: Ehr) -> None:
    launched = ehr.launch("calm", "https://app.example/launch?a=1&launch=theirs", "")

    assert launched.startswith("https://app.example/launch?a=1&iss=http%3A%2F%2F127.0.0.1")
    assert launched.count("launch=") == 1


@pytest.mark.parametrize("query", ["a=b", "flag", "a=1&a=2", "a=x%20y+z", "a=%FF", "a=1;b=2"])
def test_the_query_of_a_smart_link_stays_as_it_was_written(ehr: Ehr, query: str) -> None:
    assert ehr.launch("calm", f"https://app.example/?{query}", "").startswith(f"https://app.example/?{query}&iss=")


@pytest.mark.parametrize("url", ["javascript:alert(1)", "data:text/html,x", "//a.example", "app:launch"])
def test_a_smart_link_that_is_no_address_on_the_web_is_not_followed(ehr: Ehr, url: str) -> None:
    with pytest.raises(BadRequest):
        ehr.launch("calm", url, "")
