"""A FHIR server that is down is left alone for a while, and no server takes the places of another, or of us all."""

import socket
import time
from contextlib import ExitStack
from datetime import timedelta
from threading import Barrier, Event, Thread
from typing import Any
from uuid import uuid4

import pytest
import time_machine

from cds_service import breaker
from cds_service.breaker import guarded, states
from cds_service.ehr import Unanswered, Unreachable
from cds_service.partners import place, together
from tests.conftest import topics
from tests.ehr import Ehr, Hospital, Serve, connections, fetching
from tests.ehr import as_little_as_in_use as _hurry  # noqa: F401 - the fixture `hurry`
from tests.ehr import ehr_server as _ehr_server  # noqa: F401 - the fixture `ehr`
from tests.ehr import enough_for_a_busy_machine as _patience  # noqa: F401 - the fixture `patience` of every test here
from tests.ehr import service_with_fhir_servers as _serve  # noqa: F401 - the fixture `serve`
from tests.samples import CALM, bundle, call, patient, response
from tests.wire import cards_of, refusal_of, send

pytestmark = pytest.mark.timeless  # nothing in it is dated

FAILURES, PAUSE = 5, 30  # calls in a row; seconds
REQUESTS, CALLS, ALL_CALLS = 8, 8, 12  # at once to one base; that wait for one base; that wait for any
ALARM = CALM | {"rf-saddle": "new"}


def _new() -> str:
    return f"https://{uuid4().hex}.example/fhir"


def _down() -> None:
    raise Unanswered


def _up() -> None:
    """The server gives an answer."""


def _break() -> None:
    raise ZeroDivisionError


def _fail(base: str, times: int = FAILURES) -> None:
    for _ in range(times):
        with pytest.raises(Unreachable):
            guarded(base, _down)


def _later(base: str, monkeypatch: pytest.MonkeyPatch, seconds: float) -> None:
    """The breaker of this base opened so much earlier."""
    storage: Any = breaker._breaker(base)[0]._state_storage
    monkeypatch.setattr(storage, "_opened", storage._opened - seconds)


def _hospital(ehr: Ehr, how: str, *held: Any) -> Hospital:
    return ehr.hospital(patient(), *(held or (response(CALM),)), mode="as-loaded", **{"as": how})


# ---------------------------------------------------------------------------------------------------- when it opens


@pytest.mark.parametrize("how", ["error", "unavailable", "hang-up", "cut-off"])
def test_after_five_calls_without_any_answer_the_server_is_not_asked_any_more(ehr: Ehr, serve: Serve, how: str) -> None:
    hospital = _hospital(ehr, how)
    client = serve(hospital.base)
    for _ in range(FAILURES):
        assert states().get(hospital.base, "closed") == "closed"
        refusal_of(send(client, fetching(hospital.base)), 412)
    assert states()[hospital.base] == "open"
    hospital.load(patient(), response(CALM), **{"as": "open"})  # repaired; nobody knows yet

    with connections() as tried:
        answer = send(client, fetching(hospital.base))

    assert "prefetch.responses" in refusal_of(answer, 412)
    assert (tried, hospital.requests()) == ([], [])


def test_a_server_where_nobody_listens_is_not_asked_any_more_either(serve: Serve) -> None:
    with socket.socket() as bound:
        bound.bind(("127.0.0.1", 0))
        base = f"http://127.0.0.1:{bound.getsockname()[1]}/fhir"
        client = serve(base)
        for _ in range(FAILURES):
            refusal_of(send(client, fetching(base)), 412)

        with connections() as tried:
            refusal_of(send(client, fetching(base)), 412)

    assert (states()[base], tried) == ("open", [])


@pytest.mark.parametrize("mode", ["silent", "dripping-headers"])
@pytest.mark.usefixtures("hurry")
def test_a_server_that_never_answers_is_not_asked_any_more_either(ehr: Ehr, serve: Serve, mode: str) -> None:
    hospital = ehr.hospital(patient(), mode=mode)
    client = serve(hospital.base)
    for _ in range(FAILURES):
        refusal_of(send(client, fetching(hospital.base)), 412)

    assert states()[hospital.base] == "open"


@pytest.mark.parametrize(
    "how", ["expired", "forbidden", "missing", "html", "away", "nan", "outcome", "huge", "stranger"]
)
def test_an_answer_that_is_of_no_use_leaves_it_closed(ehr: Ehr, serve: Serve, how: str) -> None:
    hospital = _hospital(ehr, how)
    client = serve(hospital.base)
    for _ in range(FAILURES + 1):
        assert send(client, fetching(hospital.base)).status_code in (400, 412)

    assert states()[hospital.base] == "closed"
    assert len(hospital.requests()) == 3 * (FAILURES + 1)


@pytest.mark.parametrize("mode", ["Condition.error", "QuestionnaireResponse.error", "Patient.hang-up"])
def test_one_answer_among_several_that_fail_leaves_it_closed(ehr: Ehr, serve: Serve, mode: str) -> None:
    """Else a server that cannot search Conditions would take the alarms of its responses along."""
    hospital = ehr.hospital(patient(), response(ALARM), mode=mode)
    client = serve(hospital.base)
    for _ in range(FAILURES + 1):
        send(client, fetching(hospital.base))

    assert states()[hospital.base] == "closed"


def test_an_answer_between_failures_begins_the_count_anew() -> None:
    base = _new()
    for _ in range(3):
        _fail(base, FAILURES - 1)
        guarded(base, _up)

    assert states()[base] == "closed"


def test_a_call_that_asks_nothing_counts_for_nothing(ehr: Ehr, serve: Serve) -> None:
    hospital = _hospital(ehr, "error")
    client = serve(hospital.base)
    complete = {"patient": patient(), "responses": bundle(response(CALM)), "conditions": bundle()}
    for _ in range(FAILURES):
        assert topics(cards_of(send(client, fetching(hospital.base, prefetch=complete)))) == ["self-care"]
    assert states().get(hospital.base) != "open"

    _fail(hospital.base)
    assert topics(cards_of(send(client, fetching(hospital.base, prefetch=complete)))) == ["self-care"]
    assert states()[hospital.base] == "open"


def test_while_it_is_open_an_alarm_in_hand_is_given_and_a_calm_response_does_not_reassure(
    ehr: Ehr, serve: Serve
) -> None:
    hospital = _hospital(ehr, "error")
    _fail(hospital.base)
    client = serve(hospital.base)

    for held, cards in ((ALARM, ["emergency-now", "incomplete"]), (CALM, ["incomplete"])):
        sent = {"responses": bundle(response(held))}
        assert topics(cards_of(send(client, fetching(hospital.base, prefetch=sent)))) == cards
    assert hospital.requests() == []


def test_a_server_that_is_down_takes_no_other_base_of_the_same_client_along(ehr: Ehr, serve: Serve) -> None:
    dead, good = _hospital(ehr, "error"), _hospital(ehr, "open")
    client = serve(dead.base, good.base)
    for _ in range(FAILURES + 1):
        refusal_of(send(client, fetching(dead.base)), 412)

    assert topics(cards_of(send(client, fetching(good.base)))) == ["self-care"]
    assert (states()[dead.base], states()[good.base]) == ("open", "closed")


def test_the_log_tells_that_it_opened_and_closed_and_of_which_server(
    monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    base = _new()
    with caplog.at_level("WARNING"):
        _fail(base)
        _later(base, monkeypatch, PAUSE)
        guarded(base, _up)

    told = [record.getMessage() for record in caplog.records]
    assert [state for line in told for state in ("open", "half-open", "closed") if f"server {state}" in line] == [
        "open",
        "half-open",
        "closed",
    ]
    assert [line for line in told if base not in line] == []


# ---------------------------------------------------------------------------------------------- when it closes again


def test_it_is_tried_again_after_half_a_minute_and_one_answer_closes_it(
    ehr: Ehr, serve: Serve, monkeypatch: pytest.MonkeyPatch
) -> None:
    hospital = _hospital(ehr, "error")
    client = serve(hospital.base)
    for _ in range(FAILURES):
        refusal_of(send(client, fetching(hospital.base)), 412)
    hospital.load(patient(), response(CALM), **{"as": "open"})

    _later(hospital.base, monkeypatch, 29)
    refusal_of(send(client, fetching(hospital.base)), 412)
    assert hospital.requests() == []

    _later(hospital.base, monkeypatch, 1)
    assert topics(cards_of(send(client, fetching(hospital.base)))) == ["self-care"]
    assert states()[hospital.base] == "closed"


def test_a_trial_that_fails_opens_it_for_another_half_a_minute(monkeypatch: pytest.MonkeyPatch) -> None:
    base, asked = _new(), list[int]()
    _fail(base)

    def fail() -> None:
        asked.append(1)
        raise Unanswered

    _later(base, monkeypatch, PAUSE)
    with pytest.raises(Unanswered):
        guarded(base, fail)
    assert states()[base] == "open"

    _later(base, monkeypatch, PAUSE - 1)
    with pytest.raises(Unreachable):
        guarded(base, lambda: asked.append(2))
    _later(base, monkeypatch, 1)
    guarded(base, lambda: asked.append(3))

    assert (asked, states()[base]) == ([1, 3], "closed")


def test_one_call_tries_it_and_the_others_do_not_wait_for_that(monkeypatch: pytest.MonkeyPatch) -> None:
    base, begun, end, asked = _new(), Event(), Event(), list[int]()
    _fail(base)
    _later(base, monkeypatch, PAUSE)

    def trial() -> None:
        begun.set()
        assert end.wait(30)

    trying = Thread(target=guarded, args=(base, trial))
    trying.start()
    assert begun.wait(30)
    for _ in range(3):
        with pytest.raises(Unreachable):
            guarded(base, lambda: asked.append(1))
    state = states()[base]
    end.set()
    trying.join()

    assert (state, asked, states()[base]) == ("half-open", [], "closed")


def test_calls_to_a_server_that_is_up_do_not_wait_for_each_other() -> None:
    base, inside, end = _new(), [Event() for _ in range(3)], Event()

    def ask(number: int) -> None:
        inside[number].set()
        assert end.wait(30)

    calls = [Thread(target=guarded, args=(base, lambda number=number: ask(number))) for number in range(3)]
    for one in calls:
        one.start()
    together_inside = [event.wait(10) for event in inside]
    end.set()
    for one in calls:
        one.join()

    assert together_inside == [True, True, True]


@pytest.mark.parametrize("days", [-1, 1])
def test_a_clock_that_is_set_makes_the_pause_neither_longer_nor_shorter(
    monkeypatch: pytest.MonkeyPatch, days: int
) -> None:
    base, asked = _new(), list[int]()
    _fail(base)

    with time_machine.travel(timedelta(days=days), tick=True):
        with pytest.raises(Unreachable):
            guarded(base, lambda: asked.append(1))
        _later(base, monkeypatch, PAUSE)
        guarded(base, lambda: asked.append(2))

    assert asked == [2]


def test_an_error_of_ours_is_raised_and_is_no_failure_of_the_server() -> None:
    base = _new()
    for _ in range(FAILURES + 1):
        with pytest.raises(ZeroDivisionError):
            guarded(base, _break)

    assert states()[base] == "closed"


# ------------------------------------------------------------------------------------------------------------- places


def test_no_more_calls_than_agreed_wait_for_one_base_and_the_others_fail_at_once() -> None:
    base, other = _new(), _new()
    with ExitStack() as waiting:
        for _ in range(CALLS):
            waiting.enter_context(place(base))
        with pytest.raises(Unreachable), place(base):
            pass
        with place(other):
            pass

    with place(base):
        pass


def test_no_more_calls_than_agreed_wait_for_all_bases_together() -> None:
    with ExitStack() as waiting:
        for _ in range(ALL_CALLS):
            waiting.enter_context(place(_new()))
        with pytest.raises(Unreachable), place(_new()):
            pass

    with place(_new()):
        pass


def test_a_place_that_was_refused_for_one_base_takes_none_from_all() -> None:
    base = _new()
    with ExitStack() as waiting:
        for _ in range(CALLS):
            waiting.enter_context(place(base))
        for _ in range(ALL_CALLS):
            with pytest.raises(Unreachable), place(base):
                pass
        for _ in range(ALL_CALLS - CALLS):
            waiting.enter_context(place(_new()))


def test_without_a_place_nothing_is_asked_and_nothing_counts_against_the_server(ehr: Ehr, serve: Serve) -> None:
    hospital = ehr.hospital(patient(), response(CALM))
    client = serve(hospital.base)

    with ExitStack() as waiting:
        for _ in range(CALLS):
            waiting.enter_context(place(hospital.base))
        for _ in range(FAILURES + 1):
            assert "prefetch.responses" in refusal_of(send(client, fetching(hospital.base)), 412)
        assert hospital.requests() == []
        assert topics(cards_of(send(client, call(response(CALM))))) == ["self-care"]

    assert topics(cards_of(send(client, fetching(hospital.base)))) == ["self-care"]


def test_one_base_is_asked_no_more_at_once_than_agreed() -> None:
    base, begun, all_of_them, end = _new(), list[int](), Barrier(REQUESTS + 1), Event()

    def ask() -> None:
        begun.append(1)
        if len(begun) <= REQUESTS:
            all_of_them.wait(30)
        assert end.wait(30)

    asking = Thread(target=together, args=(base, 3 * REQUESTS * [ask], time.monotonic() + 30))
    asking.start()
    all_of_them.wait(30)
    at_once = len(begun)
    end.set()
    asking.join()

    assert (at_once, len(begun)) == (REQUESTS, 3 * REQUESTS)


def test_an_error_of_ours_gives_its_place_back_and_is_not_swallowed() -> None:
    base = _new()
    for _ in range(ALL_CALLS + 1):
        with pytest.raises(ZeroDivisionError), place(base):
            together(base, [_up, _break], until=time.monotonic() + 10)
