"""Links: absolute, labelled, to fixed addresses; none launches anything by itself."""

import re

import pytest
from flask.testing import FlaskClient

from tests.requirements.requests import Json

URL = re.compile(r"https?://[A-Za-z0-9.:-]+(/\S*)?")


@pytest.fixture(name="links")
def _links(every_card: list[Json]) -> list[Json]:
    """Every link of every card."""
    found = [link for card in every_card for link in card.get("links", [])]
    assert found
    return found


@pytest.mark.requirement("LINK-1")
def test_every_link_has_a_label_a_url_and_a_type(links: list[Json]) -> None:
    assert [link for link in links if not {"label", "url", "type"} <= link.keys()] == []
    assert [link for link in links if not link["label"].strip() or "\n" in link["label"]] == []


@pytest.mark.requirement("LINK-2")
def test_every_link_is_absolute_or_smart(links: list[Json]) -> None:
    assert {link["type"] for link in links} <= {"absolute", "smart"}


@pytest.mark.requirement("LINK-3")
def test_every_url_of_a_link_is_absolute(links: list[Json]) -> None:
    assert [link["url"] for link in links if not URL.fullmatch(link["url"])] == []


@pytest.mark.requirement("LINK-4")
def test_an_app_context_is_a_text_on_a_smart_link(links: list[Json]) -> None:
    contexts = [(link["type"], type(link["appContext"])) for link in links if "appContext" in link]
    assert set(contexts) <= {("smart", str)}


@pytest.mark.requirement("LINK-4")
def test_a_smart_link_names_the_form_in_its_url_too(links: list[Json]) -> None:
    assert [link["url"] for link in links if link["type"] == "smart" and "uestionnaire" not in link["url"]] == []


@pytest.mark.requirement("LINK-5")
def test_no_link_launches_by_itself(links: list[Json]) -> None:
    assert [link for link in links if link.get("autolaunchable", False)] == []


@pytest.mark.requirement("LINK-1")
def test_every_clinicians_card_links_to_the_form_and_the_form_is_there(
    client: FlaskClient, clinicians_cards: list[Json]
) -> None:
    addresses = {link["url"] for card in clinicians_cards for link in card["links"]}
    ours = {url for url in addresses if url.startswith("http://127.0.0.1:8080/")}
    assert all(ours & {link["url"] for link in card["links"]} for card in clinicians_cards)
    for url in ours:  # a SMART link of which no EHR says whose it is leads on to the form
        assert client.get(url.removeprefix("http://127.0.0.1:8080")).status_code in (200, 303)


@pytest.mark.requirement("LINK-6")
def test_there_are_few_addresses_and_each_is_the_same_for_every_patient(links: list[Json]) -> None:
    assert len({link["url"] for link in links}) <= 3
