"""How much is asked and read for one call, what is never followed, and where the token goes."""

import time
import traceback
from typing import Any

import pytest

from cds_service.ehr import MAX_BYTES, Room, Unreachable, fetch, get
from cds_service.fetch import MAX_PAGES
from tests.conftest import topics
from tests.ehr import AUTHORIZATION, Ehr, Serve, connections, fetching
from tests.ehr import ehr_server as _ehr_server  # noqa: F401 - the fixture `ehr`
from tests.ehr import enough_for_a_busy_machine as _patience  # noqa: F401 - the fixture `patience` of every test here
from tests.ehr import service_with_fhir_servers as _serve  # noqa: F401 - the fixture `serve`
from tests.ehr_server import TOKEN
from tests.requirements.requests import condition
from tests.samples import CALM, patient, response
from tests.wire import cards_of, refusal_of, send

pytestmark = pytest.mark.timeless  # nothing in it is dated

ALARM = CALM | {"rf-saddle": "new"}
SERVED = ["Condition", "Patient", "QuestionnaireResponse"]
SHARE = MAX_BYTES // len(SERVED)  # bytes for each key


def _of(size: int, **members: Any) -> dict[str, Any]:
    """A calm response of about so many bytes, most of them in an extension that nobody reads."""
    padding = {"url": "https://ehr.example/padding", "valueString": "x" * size}
    return response(CALM, extension=[padding], **members)


@pytest.mark.parametrize(("size", "cards"), [(SHARE - 20_000, ["self-care"]), (SHARE + 1, None)])
def test_each_key_may_be_its_share_of_a_million_bytes(
    ehr: Ehr, serve: Serve, size: int, cards: list[str] | None
) -> None:
    hospital = ehr.hospital(patient(), _of(size))

    answer = send(serve(hospital.base), fetching(hospital.base))

    if cards is None:
        assert "prefetch.responses" in refusal_of(answer, 412)
    else:
        assert topics(cards_of(answer)) == cards


def test_the_pages_of_a_key_share_what_it_may_be(ehr: Ehr, serve: Serve) -> None:
    held = [_of(SHARE // 3, id=f"response-{number}") for number in range(4)]
    hospital = ehr.hospital(patient(), *held, mode="paged")

    assert topics(cards_of(send(serve(hospital.base), fetching(hospital.base)))) == ["incomplete"]
    assert hospital.kinds().count("QuestionnaireResponse") == 3  # the third goes over it


def test_one_key_that_is_too_large_takes_no_other_along(ehr: Ehr, serve: Serve) -> None:
    hospital = ehr.hospital(patient(), response(ALARM), mode="Condition.huge")

    assert topics(cards_of(send(serve(hospital.base), fetching(hospital.base)))) == ["emergency-now"]


def test_all_answers_of_one_room_together_are_no_more_than_it_holds(ehr: Ehr) -> None:
    hospital, room = ehr.hospital(patient(), _of(400_000)), Room(1_000_000)

    def ask() -> Any:
        return fetch(f"{hospital.base}/QuestionnaireResponse", {}, time.monotonic() + 10, private=True, room=room)

    ask()
    ask()
    with pytest.raises(Unreachable):
        ask()


def test_an_answer_of_a_million_bytes_is_read_and_one_of_more_is_not(ehr: Ehr) -> None:
    for size, fits in ((MAX_BYTES - 10_000, True), (MAX_BYTES, False)):
        hospital = ehr.hospital(_of(size, id="r"))
        url = f"{hospital.base}/QuestionnaireResponse/r"
        if fits:
            assert get(url, {}, time.monotonic() + 10, private=True)["id"] == "r"
        else:
            with pytest.raises(Unreachable):
                get(url, {}, time.monotonic() + 10, private=True)


def test_further_pages_without_an_end_are_five_for_all_keys_together(ehr: Ehr, serve: Serve) -> None:
    hospital = ehr.hospital(patient(), response(CALM), condition(), mode="endless")

    assert topics(cards_of(send(serve(hospital.base), fetching(hospital.base)))) == ["incomplete"]
    assert len(hospital.requests()) == len(SERVED) + MAX_PAGES


def test_nothing_that_a_resource_names_is_called(ehr: Ehr, serve: Serve) -> None:
    hospital = ehr.hospital(mode="linked")
    away = ehr.canary
    told = {
        "url": f"{away}/extension",
        "valueUrl": f"{away}/value",
        "valueReference": {"reference": f"{away}/Patient/x"},
    }
    about = {"meta": {"source": f"{away}/source", "profile": [f"{away}/profile"]}, "extension": [told]}
    about |= {"implicitRules": f"{away}/rules", "language": "nl"}
    photo = {"photo": [{"url": f"{away}/photo.png"}], "generalPractitioner": [{"reference": f"{away}/Practitioner/1"}]}
    linked = {"link": [{"other": {"reference": f"{away}/Patient/2"}, "type": "seealso"}]}
    text = {
        "text": {"status": "generated", "div": f'<div xmlns="http://www.w3.org/1999/xhtml"><img src="{away}"/></div>'}
    }
    based = {"basedOn": [{"reference": f"{away}/ServiceRequest/1"}], "source": {"reference": f"{away}/Patient/p1"}}
    one = response(CALM, **about, **text, **based, author={"reference": f"{away}/Practitioner/1"})
    held = [patient() | about | photo | linked | text, one, condition() | about | {"asserter": {"reference": away}}]
    hospital.load(*held, elsewhere=away)

    with connections(lookups=False) as called:
        cards_of(send(serve(hospital.base), fetching(hospital.base)))

    assert called == len(SERVED) * [ehr.address.removeprefix("http://")]
    assert hospital.kinds() == SERVED
    assert ehr.strayed() == []


MODES = ("open", "expired", "error", "away", "html", "nan", "deep", "hang-up", "cut-off", "huge", "headers")


@pytest.mark.parametrize("mode", MODES)
def test_the_token_is_in_no_error_that_comes_of_asking(ehr: Ehr, mode: str) -> None:
    hospital, told = ehr.hospital(patient(), mode=mode), ""
    try:
        get(f"{hospital.base}/Patient/p1", {"Authorization": f"Bearer {TOKEN}"}, time.monotonic() + 10, private=True)
    except Unreachable as error:
        told = "".join(traceback.format_exception(error)) + repr(error) + repr(error.__cause__)

    assert {request.headers["authorization"] for request in hospital.requests()} == {f"Bearer {TOKEN}"}
    assert (bool(told), TOKEN in told, hospital.name in told) == (mode != "open", False, False)


def test_a_redirect_is_not_followed_whatever_it_says(ehr: Ehr) -> None:
    hospital = ehr.hospital(patient(), mode="redirecting")
    places = (ehr.canary, ehr.canary.removeprefix("http:"), "file:///etc/passwd", f"{hospital.base}/Patient/p1", "\\x")
    for status in (300, 301, 302, 303, 305, 307, 308):
        for place in places:
            hospital.load(patient(), status=status, headers={"Location": place, "Refresh": f"0; url={place}"})
            with pytest.raises(Unreachable), connections(lookups=False) as called:
                get(f"{hospital.base}/Patient/p1", {}, time.monotonic() + 10, private=True)

            assert called == [ehr.address.removeprefix("http://")]
            assert ehr.strayed() == []
            assert len(hospital.requests()) == 1


@pytest.mark.parametrize(
    "url", ["file:///etc/passwd", "ftp://127.0.0.1/x", "//127.0.0.1/x", "http://", "http:///x", "x", ""]
)
def test_only_http_is_spoken(url: str) -> None:
    with pytest.raises(Unreachable), connections() as tried:
        get(url, {}, time.monotonic() + 10, private=True)

    assert tried == []


def test_every_call_sends_its_own_token_to_its_own_server(ehr: Ehr, serve: Serve) -> None:
    first, second = ehr.hospital(patient(), response(CALM)), ehr.hospital(patient(), response(CALM))
    client = serve(first.base, second.base)
    for number in range(5):
        for hospital in (first, second):
            token = AUTHORIZATION | {"access_token": f"{hospital.name}-{number}"}
            cards_of(send(client, fetching(hospital.base, fhirAuthorization=token)))

    for hospital in (first, second):
        told = [request.headers["authorization"] for request in hospital.requests()]
        assert {one.rpartition("-")[0] for one in told} == {f"Bearer {hospital.name}"}
