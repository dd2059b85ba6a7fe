"""Search of what was submitted, $validate, and that no client sees what another submitted."""

from collections.abc import Iterator
from pathlib import Path
from typing import Any
from urllib.parse import quote, urlsplit

import pytest
from flask.testing import FlaskClient
from werkzeug.test import TestResponse

from cds_content.screening import Screening
from cds_service.clients import Client
from tests.fhir_rules import valid
from tests.samples import BASE, FORM, ago
from tests.test_submission import EHR, NAME, option, sound
from tests.test_submission_http import PUBLIC, URL, codes, identified, issues, resource, stored, submit, update
from tests.wire import ABSENT, changed, refusal_of, serving

STATUSES = "http://hl7.org/fhir/questionnaire-answers-status"
FIRST, SECOND, THIRD = "2026-03-01T10:00:00Z", "2026-03-02", "2026-04"


@pytest.fixture(scope="module", name="held")
def _held(screening: Screening, tmp_path_factory: pytest.TempPathFactory) -> Iterator[FlaskClient]:
    """A service with three responses, called a, b and c by their identifiers, and one that was deleted."""
    nurse, device = {"reference": "Practitioner/nurse"}, {"reference": "Device/tablet"}
    other: dict[str, Any] = {"subject": {"reference": "Patient/p2"}, "questionnaire": FORM}
    with serving(screening, tmp_path_factory.mktemp("held")) as client:
        stored(client, sound(**identified("a"), authored=FIRST, author=nurse))
        stored(client, sound(**identified("b"), authored=SECOND, author=device, status="in-progress"))
        stored(client, sound(identifier={"value": "c"}, authored=THIRD, **other))
        client.delete(resource(stored(client, sound(**identified("gone")))))
        yield client


def found(answer: TestResponse) -> str:
    """The identifiers of what a search found, in their order; fails unless it is a valid searchset."""
    assert answer.status_code == 200, answer.text
    bundle = answer.get_json()
    assert valid(bundle) == []
    entries = bundle.get("entry", [])
    assert bundle["type"] == "searchset"
    assert all(entry["fullUrl"] == f"{PUBLIC}{URL}/{entry['resource']['id']}" for entry in entries)
    assert all(entry["search"] == {"mode": "match"} for entry in entries)
    return "".join(sorted(entry["resource"]["identifier"]["value"] for entry in entries))


# Each row: the query, and which of a, b and c it finds.
SEARCHES = [
    ("", "abc"),
    ("status=completed", "ac"),
    (f"status={STATUSES}|in-progress", "b"),
    ("status=completed,in-progress", "abc"),
    ("status=stopped", ""),
    ("status=urn:x|completed", ""),
    ("status=completed&status=in-progress", ""),
    ("patient=p1", "ab"),
    ("patient=Patient/p2", "c"),
    ("patient=p3", ""),
    ("subject=Patient/p1", "ab"),
    ("subject=p2", "c"),
    ("subject=Group/p1", ""),
    ("subject=https://other.example/Patient/p1", ""),
    ("patient=p1&subject=Patient/p2", ""),
    ("patient=p1,p2", "abc"),
    (f"questionnaire={FORM}", "abc"),
    (f"questionnaire={FORM}|1.0.0", "abc"),
    (f"questionnaire={FORM}|2.0.0", ""),
    (f"questionnaire={BASE}/Questionnaire/other", ""),
    ("identifier=urn:ehr|a", "a"),
    ("identifier=a", "a"),
    ("identifier=urn:ehr|", "ab"),
    ("identifier=|c", "c"),
    ("identifier=|a", ""),
    ("identifier=urn:other|a", ""),
    ("author=Practitioner/nurse", "a"),
    ("author=nurse", "a"),
    ("author=Device/tablet,Practitioner/nurse", "ab"),
    ("author=Practitioner/tablet", ""),
    ("authored=2026-03-01", "a"),
    ("authored=eq2026-03-01T10:00:00Z", "a"),
    ("authored=2026-03", "ab"),
    ("authored=ge2026-03-02", "bc"),
    ("authored=gt2026-03-02", "c"),
    ("authored=le2026-03-02", "ab"),
    ("authored=lt2026-03-02", "a"),
    ("authored=ne2026-03-01", "bc"),
    ("authored=sa2026-03-31", "c"),
    ("authored=eb2026-03-02", "a"),
    ("authored=ge2026-03-02&authored=lt2026-04-01", "b"),
    ("authored=2026-03-01T11:00:00%2B01:00", "a"),
    ("authored=ge2026-04-20", "c"),
    ("authored=gt2026-04-20", "c"),
    ("authored=gt2026-04-30", ""),
    ("authored=eq2026-04-01", ""),
    ("authored=ne2026-04-01", "abc"),
    ("authored=eb2026-04-20", "ab"),
    ("authored=lt2026-04-20", "abc"),
    ("authored=sa2026-04-20", ""),
    ("authored=2026-03-01T10:00Z", "a"),
    ("_id=nothing", ""),
    ("colour=red", "abc"),
    ("status=", "abc"),
    ("identifier=urn:ehr\\|a", ""),
]


@pytest.mark.requirement("S-4", "R-8")
@pytest.mark.parametrize(("query", "expected"), SEARCHES)
def test_a_search_finds(query: str, expected: str, held: FlaskClient) -> None:
    assert found(held.get(f"{URL}?{query}")) == expected
    form = "application/x-www-form-urlencoded"
    assert found(held.post(f"{URL}/_search", data=query, content_type=form)) == expected


# Each row: the value of an identifier, as it is written in a search. Source: FHIR R4, "Search", 3.1.1.4.0.1.
ESCAPED = [
    ("a|b", r"a\|b"),
    ("a,b", r"a\,b"),
    ("a$b", r"a\$b"),
    ("a\\", r"a\\"),
    ("a\\,b", r"a\\\,b"),
    ("a\\|", r"a\\\|"),
]


@pytest.mark.requirement("S-4", "R-8", "R-9")
@pytest.mark.parametrize(("value", "written"), ESCAPED)
@pytest.mark.parametrize("system", ["urn:escaped|", ""], ids=["with its system", "in any system"])
def test_what_is_escaped_belongs_to_the_value(
    value: str, written: str, system: str, screening: Screening, tmp_path: Path
) -> None:
    sent = sound(identifier={"system": "urn:escaped", "value": value})
    with serving(screening, tmp_path) as client:
        path = stored(client, sent)
        again = submit(client, sent, If_None_Exist=f"identifier={quote(f'{system}{written}')}")
        several = {"identifier": f"{system}{written},{system}another"}
        found_there = client.get(URL, query_string=several).get_json()["total"]

    assert (again.status_code, again.headers["Location"]) == (200, f"{PUBLIC}{path}")
    assert found_there == 1


# Each row: the system and value of an identifier, and how they are written in a search. The bar that is not escaped is
# what separates them: FHIR R4, "Search", 3.1.1.4.0.1; a bar may stand in a uri (data type uri: any but white space).
ALIKE = [("urn:a|b", "c", r"urn:a\|b|c"), ("urn:a", "b|c", r"urn:a|b\|c")]


@pytest.mark.requirement("S-4", "R-8", "R-9")
def test_a_bar_in_a_system_is_not_taken_for_its_end(screening: Screening, tmp_path: Path) -> None:
    """Else a response would be taken for another one, and not be stored."""
    with serving(screening, tmp_path) as client:
        for created in (201, 200):
            for system, value, written in ALIKE:
                sent = sound(identifier={"system": system, "value": value})
                assert submit(client, sent, If_None_Exist=f"identifier={quote(written)}").status_code == created
        found_there = [found(client.get(URL, query_string={"identifier": written})) for *_, written in ALIKE]

    assert found_there == ["c", "b|c"]


# Each row: a prefix, and whether it finds a response of three minutes from now: asked with the minute before, with that
# moment. Source: FHIR R4, "Search", 3.1.1.4.7 (date: the prefixes).
AHEAD = [("eq", 0, 1), ("ne", 1, 0), ("gt", 1, 0), ("ge", 1, 1), ("lt", 0, 0), ("le", 0, 1), ("sa", 1, 0), ("eb", 0, 0)]


@pytest.mark.requirement("S-4", "R-8")
@pytest.mark.parametrize(("prefix", "before", "then"), AHEAD)
def test_a_response_of_a_clock_that_is_ahead_is_found_by_its_date(
    prefix: str, before: int, then: int, screening: Screening, tmp_path: Path
) -> None:
    """Who asks for what was filled in since a moment would see nothing of it."""
    minute_before, moment = ago(minutes=-2), ago(minutes=-3)
    with serving(screening, tmp_path) as client:
        stored(client, sound(authored=moment))
        asked = [client.get(URL, query_string={"authored": f"{prefix}{one}"}) for one in (minute_before, moment)]

    assert [answer.get_json()["total"] for answer in asked] == [before, then]


@pytest.mark.requirement("S-4", "R-8")
def test_a_search_finds_by_id(held: FlaskClient) -> None:
    (entry,) = held.get(f"{URL}?identifier=urn:ehr|b").get_json()["entry"]
    assert found(held.get(f"{URL}?_id={entry['resource']['id']}")) == "b"
    assert found(held.get(f"{URL}?_id={entry['resource']['id']},nothing")) == "b"


@pytest.mark.requirement("R-8")
@pytest.mark.parametrize(
    ("query", "prefer"),
    [
        ("status:not=completed", ""),
        ("patient:missing=true", ""),
        ("authored=yesterday", ""),
        ("authored=2026-13", ""),
        ("authored=ap2026-03-01", ""),
        ("authored=2026-03-01,2026-03-02", ""),
        ("_count=x", ""),
        ("_count=-1", ""),
        ("_summary=some", ""),
        ("questionnaire=a&questionnaire=b", ""),
        ("colour=red", "handling=strict"),
    ],
)
def test_a_search_that_is_not_understood_is_refused(query: str, prefer: str, held: FlaskClient) -> None:
    refusal_of(held.get(f"{URL}?{query}", headers={"Prefer": prefer} if prefer else {}), 400)


@pytest.mark.requirement("R-8")
def test_a_search_says_what_it_understood(held: FlaskClient) -> None:
    (link,) = held.get(f"{URL}?status=completed&colour=red").get_json()["link"]
    assert link == {"relation": "self", "url": f"{PUBLIC}{URL}?status=completed"}


@pytest.mark.requirement("R-8")
def test_the_pages_of_a_search_follow_each_other(held: FlaskClient) -> None:
    address, seen = f"{URL}?_count=1&status=completed,in-progress", []
    while address:
        bundle = held.get(address).get_json()
        assert bundle["total"] == 3
        seen += [entry["resource"]["identifier"]["value"] for entry in bundle["entry"]]
        links = {link["relation"]: link["url"] for link in bundle["link"]}
        address = links.get("next", "").removeprefix(PUBLIC)
    assert seen == ["c", "b", "a"]  # the newest first


@pytest.mark.requirement("R-8")
def test_who_follows_the_links_sees_all_though_one_is_updated_meanwhile(screening: Screening, tmp_path: Path) -> None:
    with serving(screening, tmp_path) as client:
        first, *_ = [stored(client, sound(**identified(name))) for name in "abc"]
        page = client.get(f"{URL}?_count=1").get_json()
        update(client, first, sound(**identified("A"), id=resource(first).rpartition("/")[2]))
        seen = [page["entry"][0]["resource"]["identifier"]["value"]]
        while follow := [link["url"].removeprefix(PUBLIC) for link in page["link"] if link["relation"] == "next"]:
            page = client.get(follow[0]).get_json()
            seen.append(page["entry"][0]["resource"]["identifier"]["value"])

    assert seen == ["c", "b", "A"]


@pytest.mark.requirement("R-8")
@pytest.mark.parametrize("after", ["1", "x.y", "-1.a", "9" * 18 + ".a", "1.a b", "1."])
def test_a_place_that_no_search_gave_is_refused(after: str, held: FlaskClient) -> None:
    assert "_after" in refusal_of(held.get(URL, query_string={"_after": after}), 400)


@pytest.mark.requirement("R-8")
def test_a_search_may_only_count(held: FlaskClient) -> None:
    for query in ("_summary=count", "_count=0"):
        bundle = held.get(f"{URL}?{query}").get_json()
        assert (bundle["total"], "entry" in bundle) == (3, False)


@pytest.mark.requirement("R-8")
def test_a_search_by_post_is_a_form(held: FlaskClient) -> None:
    refusal_of(held.post(f"{URL}/_search", json={}), 415)


def outcome(answer: TestResponse) -> list[tuple[str, str]]:
    assert answer.status_code == 200, answer.text
    return [(one["severity"], code) for one, code in zip(issues(answer), codes(answer), strict=True)]


def parameters(*given: dict[str, Any]) -> dict[str, Any]:
    return {"resourceType": "Parameters", "parameter": list(given)}


FINE = [("information", "informational")]
MAYBE = {"name": "resource", "resource": sound({"rf-leg": "maybe", "age": 121})}
FAULTS = [("error", "not-an-option"), ("warning", "out-of-range")]
PROFILE = "http://hl7.org/fhir/StructureDefinition/QuestionnaireResponse"


@pytest.mark.requirement("S-10", "R-11")
@pytest.mark.parametrize(
    ("body", "expected"),
    [
        (sound(), FINE),
        (MAYBE["resource"], FAULTS),
        (parameters(MAYBE), FAULTS),
        (parameters(MAYBE, {"name": "mode", "valueCode": "create"}), FAULTS),
        (parameters(MAYBE, {"name": "profile", "valueUri": PROFILE}), FAULTS),
        (parameters(MAYBE, {"name": "profile", "valueCanonical": f"{PROFILE}|4.0.1"}), FAULTS),
        (sound(questionnaire=None), [("error", "no-form")]),
        ({"resourceType": "Patient"}, [("error", "not-a-response")]),
        ([], [("error", "not-a-response")]),
        (changed(sound(), ("item", 0, "answer"), ABSENT), [("warning", "missing-answer")]),
    ],
)
def test_validate_names_every_fault_and_stores_nothing(body: Any, expected: Any, held: FlaskClient) -> None:
    assert outcome(held.post(f"{URL}/$validate", json=body)) == expected
    assert found(held.get(URL)) == "abc"


@pytest.mark.requirement("S-10", "R-11")
@pytest.mark.parametrize(
    ("body", "status"),
    [
        (parameters(), 400),
        (parameters(MAYBE, MAYBE), 400),
        (parameters(MAYBE, {"name": "mode", "valueCode": "look"}), 400),
        (parameters(MAYBE, {"name": "profile", "valueUri": "https://ehr.example/Profile"}), 422),
        ({"resourceType": "Parameters", "parameter": "x"}, 400),
    ],
)
def test_validate_refuses_what_it_cannot_do(body: Any, status: int, held: FlaskClient) -> None:
    refusal_of(held.post(f"{URL}/$validate", json=body), status)


@pytest.mark.requirement("S-10")
def test_validate_of_a_stored_response(held: FlaskClient, screening: Screening, tmp_path: Path) -> None:
    with serving(screening, tmp_path) as client:
        path = resource(stored(client, sound({"age": 121})))
        id_ = path.rpartition("/")[2]
        assert outcome(client.get(f"{path}/$validate")) == [("warning", "out-of-range")]
        assert outcome(client.get(f"{path}/$validate?mode=update")) == [("warning", "out-of-range")]
        assert outcome(client.post(f"{path}/$validate", json=sound(id=id_))) == FINE
        assert outcome(client.post(f"{path}/$validate", json=sound(id="x"))) == [("error", "invariant")]
        assert outcome(client.post(f"{path}/$validate", json=parameters())) == [("warning", "out-of-range")]
        refusal_of(client.get(f"{path}/$validate?mode=look"), 400)
        client.delete(path)
        refusal_of(client.get(f"{path}/$validate"), 410)
    refusal_of(held.get(f"{URL}/nothing/$validate"), 404)


OWNERS = ("ehr-a", "ehr-b", "ehr-a north", "ehr-a south")


@pytest.fixture(name="shared")
def _shared(screening: Screening, tmp_path: Path) -> Iterator[FlaskClient]:
    """A service with two clients, one with two tenants. The header names the owner: how tokens are read is not ours."""
    clients = {name: Client(fhir_servers=(EHR,) if name == "ehr-a" else ()) for name in ("ehr-a", "ehr-b")}
    with serving(screening, tmp_path, clients=clients, identify=lambda header, *_: str(header)) as client:
        yield client


def by(owner: str) -> dict[str, str]:
    return {"Authorization": owner}


@pytest.mark.requirement("S-14")
@pytest.mark.parametrize("owner", OWNERS)
def test_no_client_meets_what_another_submitted(owner: str, shared: FlaskClient) -> None:
    body = sound({"rf-saddle": "new"}, **identified("shared"))
    path = stored(shared, body, Authorization=owner)
    mine = resource(path).rpartition("/")[2]
    for other in set(OWNERS) - {owner}:
        refusal_of(shared.get(resource(path), headers=by(other)), 404)
        refusal_of(shared.get(path, headers=by(other)), 404)
        refusal_of(shared.get(f"{resource(path)}/$validate", headers=by(other)), 404)
        refusal_of(shared.post(f"{resource(path)}/$validate", json=body, headers=by(other)), 404)
        refusal_of(update(shared, path, sound(id=mine), Authorization=other), 405)
        refusal_of(shared.delete(resource(path), headers=by(other)), 404)
        for query in ("", "?patient=p1", f"?_id={mine}", "?identifier=urn:ehr|shared", "?_summary=count"):
            assert shared.get(f"{URL}{query}", headers=by(other)).get_json()["total"] == 0
        condition = {"Authorization": other, "If_None_Exist": "identifier=urn:ehr|shared"}
        assert submit(shared, body, **condition).status_code == 201
        shared.delete(
            resource(submit(shared, body, **condition).headers["Location"].removeprefix(PUBLIC)), headers=by(other)
        )
    assert shared.get(path, headers=by(owner)).headers["ETag"] == 'W/"1"'


def test_what_is_unknown_and_what_is_anothers_are_answered_alike(shared: FlaskClient) -> None:
    path = resource(stored(shared, sound(), Authorization="ehr-a"))
    unknown = path.rpartition("/")[0] + "/unknown"
    for method in ("GET", "DELETE"):
        theirs, nobodys = (shared.open(one, method=method, headers=by("ehr-b")) for one in (path, unknown))
        assert (theirs.status_code, theirs.data) == (nobodys.status_code, nobodys.data)
    theirs = update(shared, path, sound(id=path.rpartition("/")[2]), Authorization="ehr-b")
    nobodys = update(shared, unknown, sound(id="unknown"), Authorization="ehr-b")
    assert (theirs.status_code, theirs.data) == (nobodys.status_code, nobodys.data)


def test_an_absolute_reference_is_that_of_the_clients_own_server(shared: FlaskClient) -> None:
    body = sound(subject={"reference": f"{EHR}/Patient/p1"})
    stored(shared, body, Authorization="ehr-a")
    assert codes(submit(shared, body, Authorization="ehr-b")) == ["foreign-subject"]
    for query in ("p1", f"{EHR}/Patient/p1"):
        assert shared.get(f"{URL}?patient={query}", headers=by("ehr-a")).get_json()["total"] == 1


@pytest.mark.parametrize("method", ["GET", "POST", "PUT", "DELETE"])
def test_nobody_comes_in_without_a_name(method: str, screening: Screening, tmp_path: Path) -> None:
    with serving(screening, tmp_path, development=False) as client:
        for path in ("", "/x", "/_search", "/$validate", "/x/$validate", "/x/_history/1"):
            assert client.open(f"{URL}{path}", method=method, json=sound()).status_code in (401, 405)
        assert client.get(URL).status_code == 401


def test_what_is_read_is_what_was_sent(held: FlaskClient) -> None:
    body = sound(
        {"rf-leg": [option("none", display=NAME)]},
        authored=ago(hours=2),
        extension=[{"url": "urn:x", "valueCode": "y"}],
    )
    read = held.get(urlsplit(stored(held, body | identified("read"))).path).get_json()
    held.delete(f"{URL}/{read['id']}")
    assert {name: value for name, value in read.items() if name not in ("id", "meta")} == {
        name: value for name, value in (body | identified("read")).items() if name != "id"
    }


@pytest.mark.requirement("R-8", "R-14")
@pytest.mark.parametrize("name", ["_id", "author", "identifier", "patient", "questionnaire", "status", "subject"])
def test_more_values_than_a_hundred_are_refused_by_name(name: str, held: FlaskClient) -> None:
    values = [f"v{number}" for number in range(101)]
    assert held.get(f"{URL}?{name}={','.join(values[:100])}").status_code == 200
    reason = refusal_of(held.get(f"{URL}?{name}={','.join(values)}"), 400)
    assert reason.startswith(f"{name}: has more than 100 values; write")
    assert refusal_of(held.get(f"{URL}?{'&'.join(f'{name}={one}' for one in values)}"), 400) == reason


@pytest.mark.requirement("R-8", "R-14")
def test_more_dates_than_a_hundred_are_refused(held: FlaskClient) -> None:
    assert "authored: has more than" in refusal_of(held.get(f"{URL}?{'&'.join(['authored=ge2020'] * 1_500)}"), 400)


@pytest.mark.requirement("R-14", "S-14")
@pytest.mark.parametrize("path", ["", "/_search", "/$validate", "/$extract"])
def test_the_form_of_who_is_not_known_is_not_read(path: str, screening: Screening, tmp_path: Path) -> None:
    body, media = "status=" + "x" * 1_200_000, "application/x-www-form-urlencoded"
    with serving(screening, tmp_path, development=False) as client:
        refusal_of(client.post(f"{URL}{path}", data=body, content_type=media), 401)
    with serving(screening, tmp_path) as client:
        refusal_of(client.post(f"{URL}/_search", data=body, content_type=media), 413)


@pytest.mark.requirement("R-2")
@pytest.mark.parametrize("kind", ["QuestionnaireResponse", "Questionnaire"])
def test_the_form_of_a_search_may_name_the_format(kind: str, held: FlaskClient) -> None:
    media, xml = "application/x-www-form-urlencoded", {"Accept": "application/fhir+xml"}
    path = f"/fhir/{kind}/_search"
    assert held.post(path, data="_format=json", content_type=media, headers=xml).status_code == 200
    refusal_of(held.post(path, data="_format=xml", content_type=media), 406)
    refusal_of(held.post(path, data="status=active", content_type=media, headers=xml), 406)
