"""FHIR over HTTP: the format agreed, what was sent and asked for, and resources and outcomes as answers.

Source: HL7 FHIR R4, "RESTful API".
"""

import re
from collections.abc import Callable, Collection, Iterator
from contextlib import contextmanager, suppress
from datetime import datetime
from typing import Any

from flask import Response, request
from werkzeug.exceptions import RequestEntityTooLarge
from werkzeug.http import parse_options_header

from cds_content.shapes import Json
from cds_service import strict_json
from cds_service.errors import NotAcceptable, ServiceError, Unprocessable, UnsupportedMedia
from cds_service.searching import searchset, trimmed, understood
from cds_service.web import FHIR_JSON, Caller, Deployment, caller

__all__ = [
    "asked",
    "issue",
    "naming",
    "outcome",
    "preference",
    "refuse_format",
    "refuse_format_naming",
    "resource_answer",
    "searchset",
    "sent",
    "sent_if_readable",
]

_JSON = (FHIR_JSON, "application/json", "text/json")  # the first is ours; the others are answered as they were asked
_FORM = "application/x-www-form-urlencoded"
_FORMATS = ("json", *_JSON)
_LANGUAGE = re.compile(r"[A-Za-z0-9-]{1,35}")  # what may stand in a header: BCP 47 allows nothing else
_R4 = re.compile(r"4\.0(\.\d{1,3})?", re.ASCII)

Alarms = Callable[[Deployment, Caller, Any], list[Json]]  # the issues that name what a body alarms about


def refuse_format() -> None:
    """Before each request below /fhir: raises NotAcceptable where JSON is not accepted; `_format` beats Accept.

    That of a search by POST may stand in its body, which is not read before the caller is known: `asked` looks there.
    """
    if not _is_search_by_post():
        _media()


def refuse_format_naming(service: Deployment, alarms: Alarms) -> Callable[[], None]:
    """As refuse_format, where responses are sent: the alarms of what was sent are named, to a caller who is known."""

    def refuse() -> None:
        try:
            refuse_format()
        except NotAcceptable:
            if request.method not in ("POST", "PUT"):
                raise
            who = caller(service, needs="QuestionnaireResponse.c")
            with naming(lambda: alarms(service, who, sent_if_readable())):
                raise

    return refuse


@contextmanager
def naming(alarms: Callable[[], list[Json]]) -> Iterator[None]:
    """Whatever is refused inside: these issues stand first, so that no alarm is lost with the refusal."""
    try:
        yield
    except ServiceError as error:
        own = error.issues if isinstance(error, Unprocessable) else [issue("error", error.code, str(error))]
        named = alarms()
        if not named:
            raise
        refusal = Unprocessable([*named, *own])
        refusal.status, refusal.code = error.status, error.code
        raise refusal from None


def sent() -> Any:
    """The JSON body of the request. Raises UnsupportedMedia and BadRequest; HTTP 413 when it is too large."""
    options, encoding = request.mimetype_params, request.content_encoding or "identity"
    utf8 = options.get("charset", "utf-8").lower() == "utf-8"
    if request.mimetype not in _JSON or not utf8 or encoding != "identity" or not _is_r4(options):
        raise UnsupportedMedia(f"Content-Type: write {FHIR_JSON} of FHIR 4.0 in UTF-8, without Content-Encoding")
    return strict_json.read(request.get_data(cache=False))


def sent_if_readable() -> Any:
    """What was sent, for a request that is refused anyway, whatever it calls itself; None where it is no JSON."""
    with suppress(ServiceError, RequestEntityTooLarge):
        return strict_json.read(request.get_data())
    return None


def asked(names: Collection[str], modifiers: Collection[str] = ()) -> list[tuple[str, str]]:
    """The search parameters among `names` (and those of the result), of the URL and of the form of a POST _search.

    Unknown ones are left out, or refused when the client prefers strict handling. Raises BadRequest for these and for
    other modifiers, UnsupportedMedia for a POST that is no form, NotAcceptable as refuse_format does.
    """
    given = list(request.args.items(multi=True))
    if request.method == "POST":
        if request.mimetype != _FORM:
            raise UnsupportedMedia(f"Content-Type: write {_FORM} for a search by POST")
        given += request.form.items(multi=True)
        _media()
    return understood(given, names, modifiers, strict=preference("handling") == "strict")


def preference(name: str) -> str:
    """What the header Prefer says about `name` (return, handling), in lower case; empty when nothing. RFC 7240."""
    said = [part.partition("=") for part in ",".join(request.headers.getlist("Prefer")).replace(";", ",").split(",")]
    return next((value.strip(' "').lower() for key, _, value in said if key.strip().lower() == name), "")


def resource_answer(
    resource: Json,
    status: int = 200,
    *,
    version: str = "",
    modified: datetime | None = None,
    location: str = "",
    language: str = "",
) -> Response:
    """The resource as the client wants it (`_summary`, `_elements`, `_pretty`), or 304 when it has this version.

    `version` and `modified` become ETag and Last-Modified; left out, they are those of the resource's meta. Bundles and
    the results of operations are answered whole. Raises BadRequest for a wrong `_summary`.
    """
    meta = resource.get("meta", {})
    plain = request.method in ("GET", "HEAD") and resource["resourceType"] != "Bundle" and "$" not in request.path
    body = trimmed(resource, list(request.args.items())) if plain else resource
    response = Response(_written(body), status, content_type=_media())
    response.vary.update(["Accept", "Accept-Language"])
    if _LANGUAGE.fullmatch(spoken := str(language or resource.get("language", ""))):
        response.headers["Content-Language"] = spoken
    if location:
        response.headers["Location"] = location
    if version := version or meta.get("versionId", ""):
        response.set_etag(version, weak=True)
    if status == 200:
        response.make_conditional(request)
    if modified := modified or _moment(meta.get("lastUpdated")):
        response.last_modified = modified  # not compared: two versions may be of one second, the newer with an alarm
    return response


def outcome(issues: list[Json], status: int = 200) -> Response:
    """An OperationOutcome of these issues, each made by `issue`; its texts are English."""
    body = _written({"resourceType": "OperationOutcome", "issue": issues})
    return Response(body, status, headers={"Content-Language": "en"}, content_type=FHIR_JSON)


def issue(severity: str, code: str, text: str, detail: str = "", expression: str = "", *, system: str = "") -> Json:
    """One issue. `code` is of http://hl7.org/fhir/issue-type; `detail` a code of `system`; `expression` FHIRPath."""
    coding = ({"system": system} if system else {}) | {"code": detail}
    said: Json = {"severity": severity, "code": code}
    said |= {"details": {"coding": [coding]}} if detail else {}
    said |= {"diagnostics": text}
    return said | ({"expression": [expression]} if expression else {})


def _written(value: Json) -> bytes:
    return strict_json.write(value, pretty=request.args.get("_pretty") == "true")


def _moment(text: Any) -> datetime | None:
    return datetime.fromisoformat(text) if text else None


def _media() -> str:
    """The media type of the answer. Raises NotAcceptable when the client wants no JSON of R4."""
    form = request.form if _is_search_by_post() and request.mimetype == _FORM else {}
    wanted = request.args.get("_format") or form.get("_format")
    if wanted:  # a plus sign in a URL that nobody escaped arrives as a blank
        media, options = parse_options_header(wanted.replace(" json", "+json"))
        fits = {FHIR_JSON: media in _FORMATS and _is_r4(options)}
    else:
        fits = {offered: _quality(offered) > 0 for offered in sorted(_JSON, key=_quality, reverse=True)}
    if not any(fits.values()):
        raise NotAcceptable(f"Accept, _format: only JSON of FHIR 4.0 is written; write {FHIR_JSON}")
    return next(offered for offered, fitting in fits.items() if fitting)


def _is_search_by_post() -> bool:
    return request.method == "POST" and request.path.endswith("/_search")


def _quality(offered: str) -> float:
    """How much the client wants a media type: the most specific range of Accept that fits decides. RFC 9110, 12.5.1."""
    accepted = [(parse_options_header(value), quality) for value, quality in request.accept_mimetypes]
    ranges = ["*/*", f"{offered.partition('/')[0]}/*", offered]
    fitting = [
        (ranges.index(media), quality) for (media, options), quality in accepted if media in ranges and _is_r4(options)
    ]
    return max(fitting)[1] if fitting else float(not accepted)


def _is_r4(options: Any) -> bool:
    """Whether the parameters of a media type name FHIR 4.0, or no version."""
    said = str(options.get("fhirversion", options.get("fhirVersion", "4.0")))
    return _R4.fullmatch(said) is not None
