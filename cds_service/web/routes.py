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
    form,
    health,
    home,
    hooks,
    launch,
    populate,
    process,
    report,
    review,
    sandbox,
    sandbox_authorization,
    sandbox_chart,
    sandbox_compare,
    sandbox_fhir,
    submissions,
    terminology,
)

_ALL = (
    health,
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
    home,
    review,
    launch,
    form,
)
_SANDBOX = (sandbox_fhir, sandbox_authorization, sandbox, sandbox_chart, sandbox_compare)


def routes(service: Deployment) -> Iterator[Blueprint]:
    """The blueprints; examples and sandbox are there in development mode only."""
    for module in (*_ALL, examples) if service.development else _ALL:
        yield module.routes(service)
    for part in _SANDBOX if service.development else ():
        yield part.routes(service, service.ehr)
