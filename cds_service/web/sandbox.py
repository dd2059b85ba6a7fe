"""/sandbox: the first page of the mini-EHR. Its patients, the CDS service that it calls, what is broken on purpose."""

from collections.abc import Iterable
from urllib.parse import urlsplit

from flask import Blueprint, Response, redirect, request
from werkzeug import Response as Redirect

from cds_content.translations import displays
from cds_service.errors import BadRequest, Forbidden
from cds_service.sandbox import SWITCHES, Ehr, Person
from cds_service.web import Deployment
from cds_service.web.pages import page, pages, spoken
from cds_service.web.sandbox_exchanges import messages

HOME = "/sandbox"
SEE_OTHER = 303
_LOOPBACK = ("localhost", "127.0.0.1", "::1")
_Groups = list[tuple[str, str, list[Person]]]  # kind of the group, topic of its first card, who is in it


def routes(service: Deployment, ehr: Ehr) -> Blueprint:
    """The page, and what can be done on it."""
    blueprint = pages("sandbox", service)

    @blueprint.get(HOME)
    def home() -> Response:
        return _home(service, ehr)

    @blueprint.post(f"{HOME}/connect")
    def connect() -> Redirect:
        ehr.connect("" if "own" in request.form else request.form.get("address", ""))
        return redirect(f"{HOME}#service", SEE_OTHER)

    @blueprint.post(f"{HOME}/switches")
    def switch() -> Redirect:
        _switch(ehr, request.form.getlist("on"))
        return redirect(f"{HOME}#switches", SEE_OTHER)

    @blueprint.post(f"{HOME}/reset")
    def reset() -> Redirect:
        ehr.reset()
        return redirect(HOME, SEE_OTHER)

    return blueprint


def _home(service: Deployment, ehr: Ehr) -> Response:
    people = ehr.patients()
    offered = ehr.services  # asked for now, so that the page says what came of it
    newcomer = next((one for one in people if one.scenario.kind == "start"), people[0] if people else None)
    return page(
        "sandbox.html.jinja",
        ehr=ehr,
        own=service.public,
        newcomer=newcomer,
        groups=grouped(people),
        displays=_topics(service),
        offered=offered,
        messages=messages((ehr.discovered,), service.public) if ehr.discovered else (),
        switches=SWITCHES,
    )


def refuse_other_hosts(service: Deployment) -> None:
    """Raises Forbidden under a name that is none of this service, for what is no page and so has no guard of pages.

    A site whose name leads to this machine (DNS rebinding) would otherwise read the sandbox in a browser here.
    """
    host = urlsplit(f"//{request.host}").hostname
    if host not in (*_LOOPBACK, urlsplit(service.public).hostname):
        raise Forbidden("Host: is no name of this service; call the address that it prints at start")


def grouped(people: Iterable[Person]) -> _Groups:
    """Who has no form yet, then those of each advice, then the traps; within a group in the order of the library."""
    groups: dict[tuple[str, str], list[Person]] = {}
    for person in people:
        scenario = person.scenario
        topic = scenario.cards[0] if scenario.kind == "row" and scenario.cards else ""
        groups.setdefault((scenario.kind, topic), []).append(person)
    order = ("start", "row", "trap")
    return [(*key, groups[key]) for key in sorted(groups, key=lambda key: order.index(key[0]))]


def _topics(service: Deployment) -> dict[str, str]:
    """The words for the topic of a card, in the language of the page."""
    found = (displays(one.resources, f"{one.name}-dispositions") for one in service.screenings)
    return {code: words[spoken()] for topics in found for code, words in topics.items()}


def _switch(ehr: Ehr, on: list[str]) -> None:
    """Exactly these are on. Raises BadRequest."""
    if unknown := set(on) - set(SWITCHES):
        raise BadRequest(f"on: {len(unknown)} of these are no switches; write of: {', '.join(SWITCHES)}")
    for name in SWITCHES:
        ehr.switch(name, on=name in on)
