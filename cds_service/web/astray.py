"""Responses that were sent where none is taken: no such address (404), or no such method there (405).

What they alarm about is told to a caller who is known, because nobody else may ever read them.
"""

from contextlib import suppress

from flask import request

from cds_content.shapes import Json
from cds_service.errors import ServiceError
from cds_service.web import Deployment, caller
from cds_service.web.exchange import sent_if_readable
from cds_service.web.submission_answer import KIND, alarms

_NEEDS = {"POST": f"{KIND}.c", "PUT": f"{KIND}.u", "PATCH": f"{KIND}.u"}


def alarms_astray(service: Deployment) -> list[Json]:
    """The issues that name what the body of this request alarms about; none for who may not send responses."""
    below_fhir = request.path == "/fhir" or request.path.startswith("/fhir/")
    if below_fhir and request.method in _NEEDS:
        with suppress(ServiceError):  # who is not known, or calls too often, is refused as everybody is
            who = caller(service, needs=_NEEDS[request.method])
            return alarms(service, who, sent_if_readable())
    return []
