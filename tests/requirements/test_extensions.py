"""Extensions: ours are objects under our own name, and none of the client's is needed."""

import re

import pytest
from flask.testing import FlaskClient

from cds_content.screening import Screening
from tests.requirements.requests import ALARM, HOOKS, Json, call, valid
from tests.samples import CALM, response
from tests.wire import cards_of, same

REVERSE_DOMAIN = re.compile(r"[a-z][a-z0-9-]*(\.[a-z][a-z0-9-]*){2,}")


@pytest.mark.requirement("EXT-1")
def test_every_extension_is_an_object(clinicians_cards: list[Json]) -> None:
    assert clinicians_cards
    assert {type(card["extension"]) for card in clinicians_cards} == {dict}
    assert {type(value) for card in clinicians_cards for value in card["extension"].values()} == {dict}


@pytest.mark.requirement("EXT-1")
def test_nothing_but_a_card_has_an_extension(every_card: list[Json]) -> None:
    parts = [card["source"] for card in every_card]
    parts += [part for card in every_card for name in ("suggestions", "links") for part in card.get(name, [])]
    parts += [action for card in every_card for one in card.get("suggestions", []) for action in one["actions"]]
    assert [part for part in parts if "extension" in part] == []


@pytest.mark.requirement("EXT-2")
def test_every_name_in_an_extension_is_a_reverse_domain_of_ours(
    screening: Screening, clinicians_cards: list[Json]
) -> None:
    names = {name for card in clinicians_cards for name in card["extension"]}
    host = re.sub(r"^https?://([^/:]+).*", r"\1", screening.base)
    assert names == {".".join([*reversed(host.split(".")), "rules"])}
    assert all(REVERSE_DOMAIN.fullmatch(name) for name in names)


@pytest.mark.requirement("EXT-3")
@pytest.mark.parametrize("extension", [{"com.example.timestamp": "now"}, {"x": None}, {}, [], "x", None])
@pytest.mark.parametrize("hook", HOOKS)
def test_an_extension_of_the_client_changes_nothing(client: FlaskClient, hook: str, extension: object) -> None:
    body = valid(hook, response(CALM | ALARM))
    cards = cards_of(call(client, body | {"extension": extension}))
    assert same(cards) == same(cards_of(call(client, body))) != []
