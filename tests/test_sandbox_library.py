"""The patients of the sandbox are those of the scenario library: each gives in the sandbox what it is there to show."""

from collections.abc import Iterator

import pytest

from cds_content.screening import Screening
from cds_content.shapes import LANGUAGES
from cds_service.config import HOME
from cds_service.sandbox import Ehr
from cds_service.scenarios import Scenario, scenarios
from tests.conftest import topics
from tests.sandboxes import sandbox

LIBRARY = scenarios(HOME / "examples")

# What a record cannot hold, so that it is tried by a switch or by the request itself, and not by a patient.
NOT_ON_RECORD = {
    "trap-operation-outcome": "the search fails: switch outcome-prefetch",
    "trap-prefetch-absent": "nothing is sent: switches no-prefetch and no-fhir-server",
    "trap-order-unreadable": "an order without an id is not among the drafts",
    "trap-other-version": "a search by version does not find it",
}


@pytest.fixture(scope="module", name="ehr")
def _ehr(screening: Screening, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Ehr]:
    with sandbox(screening, tmp_path_factory.mktemp("sandbox"), LIBRARY) as service:
        yield service.ehr


@pytest.mark.parametrize(
    "scenario", [one for one in LIBRARY if one.name not in NOT_ON_RECORD], ids=lambda one: one.name
)
def test_a_patient_gives_the_cards_of_the_scenario(ehr: Ehr, scenario: Scenario) -> None:
    fired = ehr.fire(scenario.name, scenario.request["hook"])

    assert fired.exchanges[0].status == scenario.status
    assert topics(list(fired.cards)) == list(scenario.cards)
    assert bool(fired.problem) == (scenario.status != 200)


@pytest.mark.parametrize("language", LANGUAGES)
@pytest.mark.parametrize("scenario", LIBRARY, ids=lambda one: one.name)
def test_the_request_of_the_library_itself_gives_the_answer_that_stands_there(
    ehr: Ehr, scenario: Scenario, language: str
) -> None:
    fired = ehr.replay(scenario.name, language=language)
    expected = scenario.response[language].get("cards", [])

    assert fired.exchanges[0].status == scenario.status
    assert [card["summary"] for card in fired.cards] == [card["summary"] for card in expected]
    assert topics(list(fired.cards)) == list(scenario.cards)
    assert bool(fired.problem) == (scenario.status != 200)


def test_every_patient_has_a_name_and_says_so_where_the_record_has_none(ehr: Ehr) -> None:
    assert {one.id for one in ehr.patients()} == {one.name for one in LIBRARY}
    assert {one.id for one in ehr.patients() if not one.name} <= {one.name for one in LIBRARY if one.kind == "trap"}


def test_what_is_not_tried_is_in_the_library() -> None:
    assert {one.name for one in LIBRARY} >= NOT_ON_RECORD.keys()
