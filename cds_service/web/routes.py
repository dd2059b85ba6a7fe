"""Every route of the service, by what it is about."""

from collections.abc import Iterator

from flask import Blueprint

from cds_service.web import (
    Deployment,
    apply,
    audit,
    authorization,
    contract,
    examples,
    extract,
    feedback,
    fhir,
    hooks,
    operations,
    populate,
    process,
    report,
    submissions,
    terminology,
)

_ALL = (
    operations,
    hooks,
    feedback,
    fhir,
    terminology,
    submissions,
    populate,
    process,
    extract,
    apply,
    audit,
    authorization,
    report,
    contract,
)


def routes(service: Deployment) -> Iterator[Blueprint]:
    """The blueprints; the examples are there in development mode only."""
    for module in (*_ALL, examples) if service.development else _ALL:
        yield module.routes(service)
