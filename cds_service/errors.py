"""Every way the service says no: a ServiceError becomes an OperationOutcome with its HTTP status.

The texts go to the caller, so none ever holds what the caller sent. ContentError and SettingsError end the start.
"""

from collections.abc import Sequence
from typing import Any


class ServiceError(Exception):
    status = 500
    code = "exception"  # of http://hl7.org/fhir/issue-type


class BadRequest(ServiceError):
    status, code = 400, "invalid"


class OtherPatient(BadRequest):
    code = "business-rule"


class NotFound(ServiceError):
    status, code = 404, "not-found"


class DataMissing(ServiceError):
    status, code = 412, "required"


class UnsupportedMedia(ServiceError):
    status, code = 415, "not-supported"


class Unavailable(ServiceError):
    status, code = 503, "transient"


class ContentError(Exception):
    """The content cannot be used; each of `mistakes` names file, place and what to write instead."""

    def __init__(self, mistakes: Sequence[str]) -> None:
        super().__init__("\n".join(mistakes))
        self.mistakes = tuple(mistakes)


class SettingsError(Exception):
    """The service refuses to start with these settings; one line says why."""


def outcome(code: str, text: str) -> dict[str, Any]:
    """The OperationOutcome of one error."""
    return {"resourceType": "OperationOutcome", "issue": [{"severity": "error", "code": code, "diagnostics": text}]}
