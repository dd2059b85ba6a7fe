"""Each planted fault of a service is found by the rows that it belongs to and by no other; without one, all pass."""

import tomllib
from collections.abc import Callable, Iterator
from typing import Any

import pytest

from cds_service.conformance import CHECKS, Level, Result, Seen, State, Target, judged, look_at
from cds_service.conformance import feedback as conformance_feedback
from cds_service.conformance.asking import Reply
from cds_service.conformance.feedback import OVERRIDDEN, REPORTS, RIGHT
from cds_service.conformance.probes import PLAIN
from cds_service.conformance.seen import Call, known
from cds_service.conformance.signing import Signer
from cds_service.conformance.wrong_tokens import TOKENS as TOKEN_NAMES
from cds_service.conformance.wrong_tokens import wrong_tokens
from tests.conftest import ROOT
from tests.faulty_service import ISSUER, KEY, ORIGIN, Fault, Json, faulty_services

pytestmark = pytest.mark.timeless  # the service that is checked has no clock of its own

Found = dict[str, str]
HTML = "text/html", b"<!doctype html><html><body>400 Bad Request</body></html>"


def put(value: Any, *path: str | int) -> Callable[[Any], Any]:
    """Gives one member of what is answered another value; None stays null."""

    def change(holder: Any) -> Any:
        part = holder
        for step in path[:-1]:
            part = part[step]
        part[path[-1]] = value
        return holder

    return change


def cut(*path: str | int) -> Callable[[Any], Any]:
    """Leaves one member out."""

    def change(holder: Any) -> Any:
        part = holder
        for step in path[:-1]:
            part = part[step]
        del part[path[-1]]
        return holder

    return change


def also(*changes: Callable[[Any], Any]) -> Callable[[Any], Any]:
    def change(holder: Any) -> Any:
        for one in changes:
            holder = one(holder)
        return holder

    return change


def of_greeter(*path: str | int, value: Any) -> Fault:
    return Fault(discovery=put(value, "services", 0, *path))


def template(text: str) -> Fault:
    return Fault(discovery=put(text, "services", 0, "prefetch", "more"))


def in_system(change: Callable[[Any], Any]) -> Callable[[Any], Any]:
    return lambda answer: change(answer) if "systemActions" in answer else answer


S, A = "suggestions", "actions"
# Rows about every answer: of a call that got none, nobody knows what these would have found.
UNANSWERED = dict.fromkeys(("RESP-4", "JSON-1", "JSON-2", "ERR-1", "ERR-2", "CORS-1", "CORS-2"), "not checked")
# Each row: the fault, and the rows that must find it, with how they end. By the text that the row names.
FAULTS: dict[str, tuple[Fault, Found]] = {
    "an array instead of an object": (Fault(discovery=lambda found: found["services"]), {"DISC-2": "fail"}),
    "a service without a description": (Fault(discovery=cut("services", 0, "description")), {"DISC-2": "fail"}),
    "a template that is a number": (of_greeter("prefetch", "more", value=5), {"DISC-2": "fail"}),
    "no title": (Fault(discovery=cut("services", 0, "title")), {"DISC-4": "warn"}),
    "STU3 as the version": (of_greeter("version", value="STU3"), {"DISC-5": "warn"}),
    "a version that the hook never had": (of_greeter("hookVersion", value="9.0"), {"DISC-6": "warn"}),
    "a service that is listed twice": (
        Fault(discovery=lambda found: found["services"].append(found["services"][0]) or found),
        {"DISC-7": "fail"},
    ),
    "a service that is not served": (
        Fault(discovery=put("elsewhere", "services", 0, "id")),
        {"DISC-8": "fail", "RESP-1": "fail"},
    ),
    "usage requirements that are a list": (of_greeter("usageRequirements", value=["x"]), {"DISC-10": "fail"}),
    "another discovery each time": (Fault(strict="moods of discovery"), {"DISC-11": "warn"}),
    "a hook with a plain name of its own": (of_greeter("hook", value="my-hook"), {"DISC-14": "fail"}),
    "a null in discovery": (of_greeter("title", value=None), {"JSON-2": "fail", "DISC-4": "warn"}),
    "braces that do not match": (template("Condition?patient={{context.patientId}"), {"PRE-T1": "fail"}),
    "a token that is none": (template("Condition?patient={{patient.id}}"), {"PRE-T1": "fail", "PRE-T4": "warn"}),
    "a token that the hook does not allow": (template("Condition?patient={{context.conditions}}"), {"PRE-T2": "fail"}),
    "an include": (template("Condition?patient={{context.patientId}}&_include=Condition:subject"), {"PRE-T3": "warn"}),
    "a chain": (template("Condition?patient.name={{context.patientId}}"), {"PRE-T3": "warn"}),
    "an expression of 3.0": (template("Condition?onset-date=gt{{today() - 90 days}}"), {"PRE-T4": "warn"}),
    "a key that depends on a later one": (
        Fault(discovery=put({"a": "Encounter/{{%visit.id}}", "visit": "Encounter/1"}, "services", 0, "prefetch")),
        {"PRE-T5": "fail", "PRE-T4": "warn", "RESP-1": "not checked"},
    ),
    "a template with a leading slash": (template("/Condition?patient={{context.patientId}}"), {"PRE-T6": "warn"}),
    "a sort of before R4": (template("Condition?patient={{context.patientId}}&sort:desc=date"), {"PRE-T6": "warn"}),
    # JSON and transport
    "a null in a card": (Fault(card=put(None, "detail")), {"JSON-2": "fail"}),
    "an empty text in a card": (Fault(card=put("", "detail")), {"JSON-2": "fail"}),
    "an empty list in a card": (Fault(card=put([], S)), {"JSON-2": "fail"}),
    "a member twice in an answer": (
        Fault(written=lambda body: body.replace(b'{"cards"', b'{"cards": [], "cards"', 1)),
        {"JSON-1": "fail"},
    ),
    "NaN in an answer": (Fault(written=lambda body: body[:-1] + b', "x": NaN}'), {"JSON-1": "fail"}),
    "an answer that is called text": (Fault(media="text/plain"), {"JSON-1": "fail"}),
    "an HTML error": (Fault(refusal=lambda _: HTML), {"JSON-1": "fail", "ERR-1": "warn", "ERR-2": "fail"}),
    "an error of a shape of its own": (
        Fault(refusal=lambda _: ("application/json", b'{"error": "no"}')),
        {"ERR-1": "warn"},
    ),
    "a stack trace in an error": (
        Fault(refusal=lambda body: ("application/json", body[:-1] + b', "x": "Traceback (most recent call last)"}')),
        {"ERR-2": "fail"},
    ),
    "no CORS on errors": (Fault(cors=lambda _, status: ORIGIN if status == 200 else ""), {"CORS-2": "fail"}),
    "no CORS at all": (Fault(cors=lambda _, __: ""), {"CORS-1": "fail", "CORS-2": "fail"}),
    "a preflight that wants to know who calls": (Fault(preflight=401), {"CORS-1": "fail"}),
    "CORS for whoever asks": (Fault(cors=lambda origin, _: origin), {"CORS-3": "warn"}),
    # calls: a wrong one that is answered with no cards reads as "no alarm"
    "silence on what is no JSON": (Fault(silent="json"), {"HTTP-4": "fail"}),
    "silence on a call without its envelope": (Fault(silent="envelope"), {"REQ-1": "fail"}),
    "silence on an instance of a wrong type": (Fault(silent="instance"), {"REQ-2": "fail"}),
    "a hook that is not listed": (Fault(silent="hook"), {"REQ-3": "fail"}),
    "a token without a server": (Fault(silent="token"), {"REQ-5": "warn"}),
    "silence on a call about nobody": (Fault(silent="vital"), {"CTX-1": "fail"}),
    "a patientId that is none": (Fault(silent="ids"), {"CTX-2": "warn"}),
    "advice on two patients": (Fault(silent="other"), {"CTX-5": "warn"}),
    "a form that is taken": (Fault(silent="media"), {"HTTP-5": "warn"}),
    "a service that is not listed and answers": (Fault(silent="service"), {"HTTP-2": "fail"}),
    "methods that are all alike": (Fault(silent="method"), {"HTTP-3": "warn", "DISC-12": "warn"}),
    "an error of its own for a wrong call": (
        Fault(status=500),
        {"RESP-4": "warn", "HTTP-3": "warn", "PRE-1": "fail"}
        | dict.fromkeys(("REQ-1", "REQ-2", "REQ-3", "REQ-5", "CTX-1", "CTX-2", "CTX-5", "HTTP-2", "HTTP-4", "HTTP-5",
                         "DISC-12", "FB-7"), "not checked"),
    ),
    "a redirect instead of a refusal": (
        Fault(status=302),
        dict.fromkeys(("REQ-1", "REQ-2", "REQ-3", "CTX-1", "HTTP-2", "HTTP-4", "PRE-1"), "fail")
        | dict.fromkeys(("REQ-5", "CTX-2", "CTX-5", "HTTP-3", "HTTP-5", "DISC-12", "FB-7"), "warn"),
    ),
    # no answer is none: it breaks no row and passes none that it would have shown
    "no answer to what is no JSON": (Fault(mute="json"), {"HTTP-4": "not checked", **UNANSWERED}),
    "no answer to a call without its envelope": (Fault(mute="envelope"), {"REQ-1": "not checked", **UNANSWERED}),
    "no answer to a call without prefetch": (Fault(mute="data"), {"PRE-1": "not checked", **UNANSWERED}),
    "no answer to feedback that says nothing": (
        Fault(mute="report"),
        {"FB-7": "not checked"} | dict.fromkeys(("RESP-4", "JSON-1", "ERR-1", "ERR-2", "CORS-2"), "not checked"),
    ),
    "no answer to a service that is not listed": (
        Fault(mute="service"),
        dict.fromkeys(("HTTP-2", "ERR-1", "ERR-2", "CORS-2"), "not checked"),
    ),
    "no answer to the second discovery": (Fault(mute="second discovery"), {"DISC-11": "not checked"}),
    "no answer to the same call again": (
        Fault(mute="second call"),
        {"DET-1": "not checked", "REQ-8": "not checked", "PRE-T8": "not checked", **UNANSWERED},
    ),
    "an empty answer": (
        Fault(written=lambda _: b""),
        {"RESP-1": "fail", "JSON-2": "not checked", "REQ-8": "not checked", "PRE-1": "not checked"},
    ),
    "an answer without cards where data is missing": (
        Fault(silent="data", silence=b'{"greeting": "Hello"}'),
        {"PRE-1": "fail"},
    ),
    "no cards for members that are not known": (
        Fault(answer=put([], "cards"), strict="unknown", silent="too strict", silence=b'{"greeting": "Hello"}'),
        {"REQ-8": "fail"},
    ),
    "members that are not known are refused": (Fault(strict="unknown"), {"REQ-8": "fail"}),
    "data under a key that was not published": (Fault(strict="relies"), {"PRE-T8": "fail"}),
    "other cards each time": (
        Fault(strict="moods"),
        {"DET-1": "warn", "REQ-8": "not checked", "PRE-T8": "not checked"},
    ),
    "400 where data is missing": (Fault(strict="data"), {"PRE-1": "fail"}),
    "null is refused": (Fault(strict="nothing"), {"PRE-2": "warn"}),
    "data that could not be had is refused": (Fault(strict="failed"), {"PRE-4": "warn"}),
    "a Bundle with something else is refused": (Fault(strict="mixed"), {"PRE-5": "warn"}),
    "a Patient without an id is refused": (Fault(strict="nameless"), {"PRE-10": "warn"}),
    "an optional field is needed": (Fault(strict="optional"), {"PRE-T7": "warn"}),
    "a charset is refused": (Fault(strict="charset"), {"HTTP-6": "warn"}),
    "no cards": (Fault(answer=lambda _: {"greeting": "Hello"}), {"RESP-1": "fail"}),
    "cards that are texts": (Fault(answer=put(["a"], "cards")), {"RESP-1": "fail"}),
    # cards
    "the same uuid for all cards": (Fault(card=put("same", "uuid")), {"CARD-1": "fail"}),
    "a uuid that is a number": (Fault(card=put(5, "uuid")), {"CARD-1": "fail"}),
    "a summary of 140 characters": (Fault(card=put("s" * 140, "summary")), {"CARD-2": "fail"}),
    "a summary of two lines": (Fault(card=put("a\nb", "summary")), {"CARD-2": "fail"}),
    "no summary": (Fault(card=cut("summary")), {"CARD-2": "fail"}),
    "a script in the detail": (Fault(card=put("<script>x</script>", "detail")), {"CARD-3": "fail"}),
    "an indicator of before 1.0": (Fault(card=put("hard-stop", "indicator")), {"CARD-4": "fail"}),
    "no label of the source": (Fault(card=cut("source", "label")), {"CARD-5": "fail"}),
    "no source": (Fault(card=cut("source")), {"CARD-5": "fail"}),
    "a relative URL of the source": (Fault(card=put("/leaflet", "source", "url")), {"CARD-6": "fail"}),
    "a relative URL of the icon": (Fault(card=put("icon.png", "source", "icon")), {"CARD-7": "warn"}),
    "a topic without a system": (Fault(card=cut("source", "topic", "system")), {"CARD-8": "fail"}),
    "no selectionBehavior": (Fault(card=cut("selectionBehavior")), {"CARD-9": "fail"}),
    "a selectionBehavior that there is not": (Fault(card=put("all", "selectionBehavior")), {"CARD-9": "fail"}),
    "two that are recommended": (Fault(card=put(True, S, 1, "isRecommended")), {"CARD-10": "fail"}),
    "an override reason without a display": (Fault(card=put([{"code": "a", "system": "b"}], "overrideReasons")),
                                             {"CARD-11": "fail"}),
    "a member of its own": (Fault(card=put("b", "colour")), {"CARD-14": "warn"}),
    "an extension as FHIR writes it": (Fault(card=put([{"url": "a"}], "extension")), {"EXT-1": "fail"}),
    "an extension with a name that others use": (Fault(card=put({"rule": "1"}, "extension")), {"EXT-2": "warn"}),
    # suggestions, actions, links
    "a suggestion without a label": (Fault(card=cut(S, 0, "label")), {"SUG-1": "fail"}),
    "a suggestion that is a text": (Fault(card=put("Do it", S, 0)), {"SUG-1": "fail"}),
    "a suggestion without a uuid": (Fault(card=cut(S, 0, "uuid")), {"SUG-2": "warn"}),
    "the same uuid for all suggestions": (Fault(card=put("same", S, 0, "uuid")), {"SUG-2": "warn"}),
    "isRecommended as a text": (Fault(card=put("true", S, 0, "isRecommended")), {"SUG-3": "fail"}),
    "actionSelectionBehavior": (Fault(card=put("any", S, 0, "actionSelectionBehavior")), {"SUG-5": "fail"}),
    "an action of no type": (Fault(card=put("replace", S, 0, A, 0, "type")), {"ACT-1": "fail"}),
    "an action without a description": (Fault(card=cut(S, 0, A, 0, "description")), {"ACT-2": "fail"}),
    "nothing to create": (Fault(card=cut(S, 0, A, 0, "resource")), {"ACT-3": "fail"}),
    "an update without an id": (Fault(card=cut(S, 0, A, 1, "resource", "id")), {"ACT-4": "fail"}),
    "a delete without a resourceId": (Fault(card=cut(S, 0, A, 2, "resourceId")), {"ACT-5": "warn"}),
    "a system action without a description": (
        Fault(answer=in_system(cut("systemActions", 0, "description"))),
        {"SYS-2": "fail"},
    ),
    "a system action that is no array": (Fault(answer=in_system(put({"type": "update"}, "systemActions"))),
                                         {"SYS-2": "fail", "ACT-4": "fail"}),
    "a link without a label": (Fault(card=cut("links", 0, "label")), {"LINK-1": "fail"}),
    "a link of a type that was never adopted": (Fault(card=put("questionnaire", "links", 0, "type")),
                                                {"LINK-2": "fail"}),
    "a link to a script": (Fault(card=put("javascript:alert(1)", "links", 0, "url")), {"LINK-3": "fail"}),
    "appContext as an object": (Fault(card=put({"a": 1}, "links", 1, "appContext")), {"LINK-4": "fail"}),
    "appContext on an absolute link": (Fault(card=put("a", "links", 0, "appContext")), {"LINK-4": "fail"}),
    "autolaunchable as a text": (Fault(card=put("no", "links", 2, "autolaunchable")), {"LINK-5": "fail"}),
    "the patient in a link": (Fault(card=put("https://example.org/conformance-patient", "links", 0, "url")),
                              {"LINK-6": "warn"}),
    "a header that it has no use for is refused": (Fault(strict="header"), {"SEC-2": "warn"}),
    # feedback
    "right feedback is refused": (Fault(strict="reports"), {"FB-1": "fail", "FB-6": "warn"}),
    "feedback is taken once only": (Fault(strict="twice"), {"FB-1": "fail", "FB-6": "warn"}),
    "feedback that says nothing is taken": (Fault(silent="report"), {"FB-7": "warn"}),
}  # fmt: skip
# What a service that wants a JWT takes, or does.
TOKENS: dict[str, tuple[Fault, Found]] = {
    "calls without a token": (Fault(silent="no token"), {"SEC-1": "warn"}),
    "any signature": (Fault(silent="signature"), {"SEC-4": "fail"}),
    "claims that are missing": (Fault(silent="claims"), {"SEC-5": "warn"}),
    "a token for another address": (Fault(silent="aud"), {"SEC-6": "fail"}),
    "a token that has expired": (Fault(silent="expired"), {"SEC-7": "fail"}),
    "a token that is not signed": (Fault(silent="none"), {"SEC-8": "fail"}),
    "a token signed with the public key": (Fault(silent="HS384"), {"SEC-9": "fail"}),
    "a token once more": (Fault(silent="used"), {"SEC-10": "warn"}),
    "no wrong token, and says why": (Fault(gives_reasons=True), {"SEC-12": "warn"}),
    "no wrong token, and says 403": (Fault(login=403), {"HTTP-1": "warn"}),
    "no wrong token, and sends to a login": (
        Fault(login=302),
        {"HTTP-1": "warn"}
        | dict.fromkeys(("SEC-1", "SEC-4", "SEC-5", "SEC-6", "SEC-7", "SEC-8", "SEC-9", "SEC-10"), "not checked"),
    ),
    "no wrong token, and fails": (
        Fault(login=500),
        {"HTTP-1": "warn", "RESP-4": "warn", "SEC-4": "not checked", "SEC-8": "not checked", "SEC-9": "not checked"},
    ),
    "no answer to an expired token": (
        Fault(mute="expired"),
        dict.fromkeys(("SEC-7", "SEC-12", "HTTP-1", "RESP-4", "JSON-1", "ERR-1", "ERR-2"), "not checked"),
    ),
}
SOUND = "sound"
# For these the second service is needed, too; one is enough for the others, and takes half of the time.
OF_BOTH = {"a service that is not served", "a service that is listed twice"} | {
    name for name in FAULTS if name.startswith(("a system action", "silence on a call about"))
}
# Found by other tests of this file.
ELSEWHERE = {"DISC-1", "PRE-3", "TLS-1"}
# What nothing can be seen of in a service without a fault that stands on this machine.
UNSEEN = {"TLS-1", "PRE-T5"}
UNSIGNED = {"HTTP-1"} | {f"SEC-{number}" for number in (1, 4, 5, 6, 7, 8, 9, 10, 12)}


@pytest.fixture(scope="module", name="base")
def _base() -> Iterator[str]:
    """Below this address every fault has a service; one server for all."""
    table = {_path(name): fault for name, (fault, _) in FAULTS.items()} | {SOUND: Fault()}
    table |= {_path(name): fault for name, (fault, _) in TOKENS.items()}
    table |= {"no-feedback": Fault(strict="no feedback"), "moved": Fault(), "needy": Fault(strict="empty")}
    table |= {"mute-once-more": Fault(mute="second call")}  # of its own: it is mute only once
    table |= {"busy": Fault(busy=1), "too-busy": Fault(busy=1000)}
    with faulty_services(table) as address:
        yield address


def _path(name: str) -> str:
    return "".join(letter if letter.isalnum() else "-" for letter in name)


def checked(address: str, *own: Json, signer: Signer | None = None, only: tuple[str, ...] = ()) -> dict[str, Result]:
    """How every row ended."""
    seen = look_at(Target(address, origin=ORIGIN, signer=signer), only, own)
    return {check.row: judged(check, seen) for check in CHECKS}


def wrong(results: dict[str, Result]) -> Found:
    """The rows that failed or warned."""
    return {row: str(one.state) for row, one in results.items() if one.state in (State.FAIL, State.WARN)}


@pytest.mark.parametrize("name", FAULTS)
def test_a_planted_fault_is_found_by_its_rows_and_by_no_other(name: str, base: str) -> None:
    _, expected = FAULTS[name]
    only = () if name in OF_BOTH else ("greeter",)

    results = checked(f"{base}/{_path(name)}", only=only)

    assert_ended(results, expected)


def assert_ended(results: dict[str, Result], expected: Found) -> None:
    """These rows ended so, and no other failed or warned."""
    assert wrong(results) == {row: state for row, state in expected.items() if state != "not checked"}
    assert {row: str(results[row].state) for row in expected} == expected


@pytest.mark.parametrize("name", TOKENS)
def test_a_fault_in_who_may_call_is_found_by_its_row_and_by_no_other(name: str, base: str) -> None:
    signer = Signer(KEY, ISSUER, "ehr-1")

    assert_ended(checked(f"{base}/signed/{_path(name)}", signer=signer, only=("greeter",)), TOKENS[name][1])


def test_a_service_without_a_fault_passes_every_row_that_can_be_seen(base: str) -> None:
    results = checked(f"{base}/{SOUND}")

    unseen = {row for row, one in results.items() if one.state is State.NOT_CHECKED}
    assert wrong(results) == {}
    assert unseen == UNSEEN | UNSIGNED


def test_a_service_that_wants_a_token_passes_those_rows_too(base: str) -> None:
    results = checked(f"{base}/signed/{SOUND}", signer=Signer(KEY, ISSUER, "ehr-1"))

    unseen = {row for row, one in results.items() if one.state is State.NOT_CHECKED}
    assert wrong(results) == {}
    assert unseen == UNSEEN | {"SEC-2"}


def test_a_call_of_ones_own_takes_the_place_of_the_one_that_is_made_up(base: str) -> None:
    problems = {
        "resourceType": "Bundle",
        "type": "searchset",
        "total": 1,
        "entry": [{"resource": {"resourceType": "Condition"}}],
    }
    prefetch = {"patient": {"resourceType": "Patient", "id": "p1"}, "visit": {"resourceType": "Encounter", "id": "e1"}}
    own = {
        "hook": "patient-view",
        "hookInstance": "a",
        "context": {"userId": "Practitioner/1", "patientId": "p1", "encounterId": "e1"},
        "prefetch": prefetch | {"problems": problems},
    }

    made_up = checked(f"{base}/needy", only=("greeter",))
    given = checked(f"{base}/needy", own, only=("greeter",))

    assert wrong(made_up) == {"RESP-1": "fail"}  # the service refuses what holds no problem, whoever says so
    assert made_up["REQ-1"].state is State.NOT_CHECKED  # to refuse a wrong call is no merit of who refuses a right one
    assert wrong(given) == {"PRE-3": "warn"}


def test_feedback_is_the_choice_of_a_service(base: str) -> None:
    results = checked(f"{base}/no-feedback")

    assert wrong(results) == {}
    assert {results[row].state for row in ("FB-1", "FB-6", "FB-7")} == {State.NOT_CHECKED}


def test_a_service_that_takes_no_more_calls_for_the_moment_is_asked_again(base: str) -> None:
    assert wrong(checked(f"{base}/busy", only=("greeter",))) == {}


def test_of_a_service_that_never_takes_a_call_nothing_is_known(base: str) -> None:
    results = checked(f"{base}/too-busy")

    assert {one.state for one in results.values()} == {State.NOT_CHECKED}


GREETER = {"hook": "patient-view", "id": "greeter"}
CARDS = Reply("greeter", 200, {"content-type": "application/json"}, b"{}", {"cards": []})
NO_ANSWER = Reply("greeter, changed", unread="no whole answer within 10 seconds")


def ended(row: str, *calls: tuple[str, Reply], plain: Reply = CARDS, again: Reply = CARDS) -> State:
    """How a row ends where the right call got cards, unless said, and these got what stands beside them."""
    discovery = Reply("discovery", 200, {"content-type": "application/json"}, b"{}", {"services": [GREETER]})
    called = [Call(GREETER, probe, {}, reply) for probe, reply in ((PLAIN, plain), *calls)]
    seen = Seen(Target("https://cds.example.org"), discovery, [GREETER], [], called, named={"discovery again": again})
    (check,) = (check for check in CHECKS if check.row == row)
    return judged(check, seen).state


@pytest.mark.parametrize("row", ["RESP-4", "JSON-1", "JSON-2"])
def test_a_call_that_got_no_answer_passes_no_row_about_answers(row: str) -> None:
    assert ended(row) is State.PASS
    assert ended(row, ("an array", NO_ANSWER)) is State.NOT_CHECKED


def test_a_second_discovery_that_got_no_answer_says_nothing_else_than_the_first() -> None:
    assert ended("DISC-11", again=NO_ANSWER) is State.NOT_CHECKED


def test_a_second_discovery_in_trouble_is_not_the_same() -> None:
    assert ended("DISC-11", again=Reply("discovery", 500, {}, b"<p>", None, "body: not valid JSON")) is State.WARN


# Each row: what came for a call without hook, how REQ-1 ends. Source: RFC 9110, 15: a refusal is a 4xx
REFUSALS = [
    (Reply("greeter", 400), State.PASS),
    (Reply("greeter", 422), State.PASS),
    (Reply("greeter", 302), State.FAIL),
    (Reply("greeter", 204), State.FAIL),
    (Reply("greeter", 500), State.NOT_CHECKED),
    (NO_ANSWER, State.NOT_CHECKED),
]


@pytest.mark.parametrize(("reply", "state"), REFUSALS)
def test_a_refusal_is_a_4xx(reply: Reply, state: State) -> None:
    assert ended("REQ-1", ("no hook", reply)) is state


def test_where_the_right_call_is_sent_elsewhere_too_a_redirect_of_a_wrong_one_shows_nothing() -> None:
    moved = Reply("greeter", 308)

    assert ended("RESP-1", plain=moved) is State.FAIL
    assert ended("REQ-1", ("no hook", moved), plain=moved) is State.NOT_CHECKED


def test_a_service_that_needs_data_and_does_not_answer_without_it_breaks_nothing() -> None:
    assert ended("PRE-1", ("no prefetch", NO_ANSWER), plain=Reply("greeter", 412)) is State.NOT_CHECKED


def test_who_does_not_answer_the_same_call_again_is_not_said_to_give_other_cards(base: str) -> None:
    results = checked(f"{base}/mute-once-more", only=("greeter",))

    (said,) = results["REQ-8"].says
    assert "the same call again: no whole answer" in said


def test_a_name_that_is_misspelt_where_it_is_looked_for_is_noticed() -> None:
    seen = Seen(Target("https://cds.example.org"), CARDS, feedback=[(OVERRIDDEN, CARDS)])

    with pytest.raises(ValueError, match="no probe has the name an aray"):
        seen.of("an array", "an aray")
    with pytest.raises(ValueError, match="no token has the name a chnged token"):
        seen.with_token("a chnged token")
    with pytest.raises(ValueError, match="no report has the name acepted"):
        known("report", (*RIGHT, "acepted"), REPORTS)


def test_a_report_that_no_row_looks_for_is_not_sent(base: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(conformance_feedback, "REPORTS", REPORTS - {"accepted"})  # as if it were misspelt in RIGHT

    with pytest.raises(ValueError, match="no row looks for the report accepted"):
        checked(f"{base}/{SOUND}", only=("greeter",))


def test_every_token_of_every_way_to_say_who_calls_has_a_name_that_can_be_looked_for() -> None:
    signer = Signer(KEY, ISSUER, "ehr-1")
    ways = (Target("https://a"), Target("https://a", token="x"), Target("https://a", signer=signer))  # noqa: S106 - none

    assert {name for target in ways for name in wrong_tokens(target, "https://a/b")} == TOKEN_NAMES


def test_without_a_prefetch_an_answer_without_cards_is_none() -> None:
    assert ended("PRE-1", ("no prefetch", CARDS)) is State.PASS
    assert ended("PRE-1", ("no prefetch", Reply("greeter", 200, {}, b"{}", {}))) is State.FAIL


def test_a_service_at_another_path_fails_and_nothing_else_is_said_of_it(base: str) -> None:
    results = checked(f"{base}/{SOUND}/v2")

    assert wrong(results) == {"DISC-1": "fail"}
    assert results["CARD-2"].state is State.NOT_CHECKED


def test_a_service_that_refuses_everybody_shows_nothing_of_what_it_would_say(base: str) -> None:
    """That it refuses wrong calls too is no merit: nothing of it may pass."""
    results = checked(f"{base}/signed/{SOUND}")

    assert wrong(results) == {}
    assert results["REQ-1"].state is results["RESP-1"].state is State.NOT_CHECKED


def test_every_row_is_one_of_the_requirements_and_as_binding_as_they_say() -> None:
    rows = tomllib.loads((ROOT / "tests" / "requirements" / "rows.toml").read_text("utf-8"))
    levels = {row: entry["level"] for section in rows.values() for row, entry in section.items()}
    binding_on_the_client = {"REQ-5", "CTX-2"}

    assert len({check.row for check in CHECKS}) == len(CHECKS)
    assert {check.row for check in CHECKS} <= set(levels)
    for check in CHECKS:
        if levels[check.row].startswith("SHALL") and check.row not in binding_on_the_client:
            assert check.level is Level.MUST, check.row
        if levels[check.row].startswith(("SHOULD", "RECOMMENDED")):
            assert check.level is Level.SHOULD, check.row


def test_the_page_names_every_check_and_every_row_that_is_none() -> None:
    rows = tomllib.loads((ROOT / "tests" / "requirements" / "rows.toml").read_text("utf-8"))
    page = (ROOT / "docs" / "conformance.md").read_text("utf-8")
    before, _, after = page.partition("## What is not checked")

    for check in CHECKS:
        assert f"| {check.row} | {check.level} | {check.what} | {check.section} |" in before
    unchecked = {row for section in rows.values() for row in section} - {check.row for check in CHECKS}
    assert {row for row in unchecked if f"`{row}`" not in after} == set()


def test_every_check_fails_or_warns_for_some_planted_fault() -> None:
    """Otherwise a check could have been written that never finds anything."""
    found = {row for _, expected in FAULTS.values() for row, state in expected.items() if state != "not checked"}
    found |= {row for _, expected in TOKENS.values() for row, state in expected.items() if state != "not checked"}
    found |= ELSEWHERE

    assert {check.row for check in CHECKS} - found == set()


# Each row: the address, how TLS-1 ends. Source: CDS Hooks 2.0.1, "Security and Safety"
ADDRESSES = [
    ("https://cds.example.org", State.PASS),
    ("http://cds.example.org", State.FAIL),
    ("http://10.0.0.1:8080", State.FAIL),
    ("http://localhost:8080", State.NOT_CHECKED),
    ("http://[::1]:8080", State.NOT_CHECKED),
]


@pytest.mark.parametrize(("address", "state"), ADDRESSES)
def test_a_service_is_reached_over_https_unless_it_is_on_this_machine(address: str, state: State) -> None:
    seen = Seen(Target(address), Reply("discovery", 200, {}, b"{}", {}))
    (check,) = (check for check in CHECKS if check.row == "TLS-1")

    assert judged(check, seen).state is state
