"""A response of the caller's own, as it is stored; what belongs to another is not there."""

import re

from cds_content.shapes import Json
from cds_service.errors import Gone, NotFound
from cds_service.store import Stored, read
from cds_service.web import Caller, Deployment
from cds_service.web.submission_answer import KIND


def stored_version(service: Deployment, who: Caller, id_: str, version: str | None = None) -> Stored:
    """The version named, else the current one, also where it was deleted. Raises NotFound."""
    number = int(version) if version and re.fullmatch(r"[1-9]\d{0,8}", version, re.ASCII) else None
    found = read(service.store, who.owner, id_, number) if number or version is None else None
    if found is None:
        raise NotFound(f"no such {KIND} of yours; GET /fhir/{KIND} lists those that there are")
    return found


def stored_body(stored: Stored) -> Json:
    """Raises Gone for a response that was deleted."""
    if stored.body is None:
        raise Gone(f"this {KIND} was deleted; its earlier versions are at /_history/ and their number")
    return stored.body
