"""Every way the service says no, as an OperationOutcome; the text goes to the caller and never holds what was sent."""


class ServiceError(Exception):
    status = 500
    code = "exception"  # of http://hl7.org/fhir/issue-type


class BadRequest(ServiceError):
    status, code = 400, "invalid"


class OtherPatient(BadRequest):
    code = "business-rule"


class NotAuthenticated(ServiceError):
    status, code = 401, "login"

    def __init__(self) -> None:
        super().__init__("not authenticated")  # the same words for every cause: an attacker learns nothing


class NotFound(ServiceError):
    status, code = 404, "not-found"


class DataMissing(ServiceError):
    status, code = 412, "required"


class UnsupportedMedia(ServiceError):
    status, code = 415, "not-supported"


class Unavailable(ServiceError):
    status, code = 503, "transient"


class SettingsError(Exception):
    """The service refuses to start with these settings; one line says why."""
