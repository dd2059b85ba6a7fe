"""/review: the content for people. The review page of each screening, to be signed, and its decision table.

It is public, as PlanDefinition is: what decides about care can be read by all whom it is about.
"""

from collections import Counter

from flask import Blueprint, Response, request

from cds_content.review import by_number, counts_as, rising, shared_texts, topics
from cds_content.screening import Screening
from cds_content.translations import texts
from cds_service.errors import BadRequest, NotFound
from cds_service.web import Deployment
from cds_service.web.pages import page, pages, spoken


def routes(service: Deployment) -> Blueprint:
    """The list of screenings, and the two pages of each."""
    blueprint = pages("review", service)
    known = {screening.name: screening for screening in service.screenings}

    def named(name: str) -> Screening:
        if name not in known:
            raise NotFound(f"no such screening; there are: {', '.join(known)}")
        return known[name]

    @blueprint.get("/review")
    def reviews() -> Response:
        return page("reviews.html.jinja", screenings=service.screenings, title=title)

    @blueprint.get("/review/<name>")
    def review(name: str) -> Response:
        return _review(named(name))

    @blueprint.get("/review/<name>/table")
    def table(name: str) -> Response:
        return _table(named(name), request.args.get("advice", ""))

    return blueprint


def title(screening: Screening) -> str:
    """The title of the form in the language of the page."""
    form = screening.questionnaire
    return texts(form, "title", form["language"])[spoken()]


def _review(screening: Screening) -> Response:
    language = screening.questionnaire["language"]
    return page(
        "review.html.jinja",
        screening=screening,
        title=title,
        topics=topics(screening),
        shared=list(shared_texts(screening)),
        text=lambda parent, name: texts(parent, name, language),
        counts_as=counts_as,
        rising=rising,
        by_number=by_number,
    )


def _table(screening: Screening, chosen: str) -> Response:
    """The findings in the order of urgency; with `chosen`, those of one disposition. Raises BadRequest."""
    if chosen and chosen not in screening.dispositions:
        raise BadRequest(f"advice: is no disposition; write one of: {', '.join(screening.dispositions)}")
    return page(
        "table.html.jinja",
        screening=screening,
        title=title,
        topics=topics(screening),
        chosen=chosen,
        counts=Counter(finding.advice for finding in screening.findings),
        findings=[one for one in sorted(screening.findings, key=screening.urgency) if chosen in ("", one.advice)],
    )
