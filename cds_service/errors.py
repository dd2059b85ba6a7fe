"""Every way the service says no, as an OperationOutcome; the text goes to the caller and never holds what was sent."""

from collections.abc import Sequence

from cds_content.shapes import Json


class ServiceError(Exception):
    status = 500
    code = "exception"  # of http://hl7.org/fhir/issue-type


class BadRequest(ServiceError):
    status, code = 400, "invalid"


class TooLarge(BadRequest):
    status, code = 413, "too-long"


class OtherPatient(BadRequest):
    code = "business-rule"


class NotAuthenticated(ServiceError):
    """`reason` is one of a few fixed words, for the log and the metrics, never for the caller."""

    status, code = 401, "login"

    def __init__(self, reason: str = "") -> None:
        super().__init__("not authenticated")  # the same words for every cause: an attacker learns nothing
        self.reason = reason


class Forbidden(ServiceError):
    status, code = 403, "forbidden"


class NotFound(ServiceError):
    status, code = 404, "not-found"


class NotAcceptable(ServiceError):
    status, code = 406, "not-supported"


class Conflict(ServiceError):
    status, code = 409, "conflict"


class Gone(ServiceError):
    status, code = 410, "deleted"


class DataMissing(ServiceError):
    status, code = 412, "required"


class PreconditionFailed(ServiceError):
    status, code = 412, "conflict"


class UnsupportedMedia(ServiceError):
    status, code = 415, "not-supported"


class Unprocessable(ServiceError):
    """What was sent can be read but not taken; each of `issues` (OperationOutcome.issue) is one fault."""

    status, code = 422, "business-rule"

    def __init__(self, issues: Sequence[Json]) -> None:
        super().__init__("what was sent cannot be taken; each issue names a fault")
        self.issues = list(issues)


class TooManyCalls(ServiceError):
    """`wait` is after how many whole seconds the client may call again."""

    status, code = 429, "throttled"

    def __init__(self, wait: int) -> None:
        super().__init__("more calls than were agreed; wait as the header Retry-After says, and call again")
        self.wait = wait


class Unavailable(ServiceError):
    status, code = 503, "transient"


class SettingsError(Exception):
    """The service refuses to start with these settings; one line says why."""


def warning(code: str, text: str) -> Json:
    """An issue beside an answer, about what it leaves out. Source: HL7 FHIR R4, OperationOutcome."""
    return {"severity": "warning", "code": code, "diagnostics": text}
