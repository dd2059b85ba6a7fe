"""/examples (development only): the scenario library. A page for people, and JSON whose times are filled in."""

from collections.abc import Iterable, Mapping
from dataclasses import asdict
from functools import cache

from flask import Blueprint, Response

from cds_content.review import topics
from cds_content.screening import Screening
from cds_content.shapes import Json
from cds_service import strict_json
from cds_service.errors import NotFound
from cds_service.scenarios import KINDS, Scenario, filled, filled_in
from cds_service.web import Deployment
from cds_service.web.pages import page, pages, spoken


def routes(service: Deployment) -> Blueprint:
    """The page, and for each scenario its request, the answer that must come, and the whole scenario."""
    blueprint, people = Blueprint("examples", __name__), pages("library", service)
    base = service.screenings[0].base

    @cache  # once for this application, and not before it is asked for
    def library() -> Mapping[str, Scenario]:
        known = [screening.name for screening in service.screenings]
        return {one.name: one for one in service.scenarios() if one.screening in known}

    def named(name: str) -> Scenario:
        if name not in library():
            raise NotFound(f"no such example; there are: {', '.join(sorted(library()))}")
        return library()[name]

    @people.get("/examples")
    def examples() -> Response:
        return _examples(service, library().values())

    @blueprint.get("/examples/<name>")
    def request(name: str) -> Response:
        return _json(filled(named(name), service.now(), base))

    @blueprint.get("/examples/<name>/response")
    def response(name: str) -> Response:
        return _json(_at(service.public, filled_in(named(name).response[spoken()], service.now(), base)), spoken())

    @blueprint.get("/examples/<name>/scenario")
    def scenario(name: str) -> Response:
        return _json(asdict(named(name)))

    blueprint.register_blueprint(people)
    return blueprint


def _examples(service: Deployment, library: Iterable[Scenario]) -> Response:
    """The page: those without a response first, then the rows by their first card, then the traps."""
    screenings = {screening.name: screening for screening in service.screenings}
    groups: dict[tuple[Screening, str], list[Scenario]] = {}
    for one in library:
        groups.setdefault((screenings[one.screening], one.kind), []).append(one)
    order = sorted(groups, key=lambda group: (group[0].name, KINDS.index(group[1])))
    return page(
        "examples.html.jinja",
        groups=[(screening, kind, _by_urgency(screening, groups[screening, kind])) for screening, kind in order],
        topics={name: topics(screening) for name, screening in screenings.items()},
        addresses=_addresses(service),
        public=service.public,
    )


def _by_urgency(screening: Screening, found: list[Scenario]) -> list[Scenario]:
    """The rows by how urgent their first card is; all others stay as they are."""
    order = list(screening.dispositions)
    first = {
        one.name: order.index(one.cards[0]) if one.cards and one.cards[0] in order else len(order) for one in found
    }
    return sorted(found, key=lambda one: first[one.name] if one.kind == "row" else 0)


def _addresses(service: Deployment) -> Mapping[str, str]:
    """Scenario's service → the id under which this deployment offers it; those that it does not offer are not in it."""
    offered = {(screening.name, hook): id_ for id_, (screening, hooks) in service.offered.items() for hook in hooks}
    ours = [(screening, id_, one.hook) for screening in service.screenings for id_, one in screening.services.items()]
    return {id_: offered[screening.name, hook] for screening, id_, hook in ours if (screening.name, hook) in offered}


def _at(public: str, response: Json) -> Json:
    """The answer with the address of this service in its links."""
    text = strict_json.write(response).decode().replace("{public}", public)
    read: Json = strict_json.read(text.encode())
    return read


def _json(value: Json, language: str = "") -> Response:
    told = Response(strict_json.write(value), content_type="application/json")
    if language:
        told.headers["Content-Language"] = language
        told.headers["Vary"] = "Accept-Language, Cookie"
    return told
