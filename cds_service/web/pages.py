"""Pages for people: one look, two languages, and a policy under which no script runs but ours.

The words stand in cds_service/words/, the templates in templates/, style and scripts in static/ beside it.
Sources: W3C Content Security Policy Level 3; W3C Fetch Metadata Request Headers; OWASP Cross-Site Request Forgery
Prevention.
"""

import tomllib
from functools import cache
from pathlib import Path
from typing import Any
from urllib.parse import urlencode, urlsplit

from flask import Blueprint, Flask, Response, g, render_template, request
from flask_bootstrap import Bootstrap5
from jinja2 import StrictUndefined

from cds_content.shapes import LANGUAGES, Text
from cds_service import __version__
from cds_service.errors import Forbidden
from cds_service.web.call import language
from cds_service.web.deployment import Deployment

POLICY = "; ".join(
    f"{kind} {source}"
    for kind, source in {
        "default-src": "'none'",
        "script-src": "'self'",
        "style-src": "'self'",
        "img-src": "'self' data:",  # the style sheet of Bootstrap holds its small pictures as data:
        "font-src": "'self'",
        "connect-src": "'self'",
        "form-action": "'self'",
        "base-uri": "'none'",
        "frame-ancestors": "'none'",
    }.items()
)
THEMES = ("light", "dark")
_KEPT = {"lang": LANGUAGES, "theme": THEMES}  # what a reader chooses by a link, and a cookie keeps for this browser
_YEAR = 31_536_000  # seconds
_WORDS = Path(__file__).parent.parent / "words"
_LOOPBACK = ("localhost", "127.0.0.1", "::1")


def prepare(app: Flask, service: Deployment) -> None:
    """Makes an application able to show pages."""
    app.jinja_options = {"undefined": StrictUndefined, "autoescape": True, "trim_blocks": True, "lstrip_blocks": True}
    app.config["BOOTSTRAP_SERVE_LOCAL"] = True
    Bootstrap5(app)
    app.context_processor(lambda: _shared(service))


def pages(name: str, service: Deployment) -> Blueprint:
    """A blueprint whose addresses are for people: its refusals are pages, and no other site may use it."""
    blueprint = Blueprint(name, __name__)

    @blueprint.before_request
    def guard() -> None:
        g.page = True
        _refuse_strangers(service)

    @blueprint.after_request
    def keep(response: Response) -> Response:
        for chosen, allowed in _KEPT.items():
            if (value := request.args.get(chosen)) in allowed:
                secure = service.public.startswith("https://")
                response.set_cookie(chosen, value, max_age=_YEAR, httponly=True, secure=secure, samesite="Lax")
        return response

    return blueprint


def page(template: str, /, *, code: int = 200, **values: Any) -> Response:
    """The template as a page, in the language of its reader; no value is taken for markup. `code` is its status.

    What is sent from it names it as its origin, to this service only; a refused address is told to nobody.
    """
    headers = {
        "Content-Language": spoken(),
        "Content-Security-Policy": POLICY,
        "Referrer-Policy": "no-referrer" if g.get("refused") else "same-origin",
        "Vary": "Accept-Language, Cookie",
    }
    return Response(render_template(template, **values), code, headers, content_type="text/html; charset=utf-8")


def refusal(status: int, text: str) -> Response:
    """A refusal as a page. `text` is ours, without a word of what was sent: in the language of the page, or in English.

    Without what was asked, the same address in another language is another request: then there is no link to it.
    """
    g.refused = True
    again = request.method in ("GET", "HEAD") and request.args.keys() <= _KEPT.keys()
    language = spoken() if text in _sentences(spoken()) else "en"
    return page("refusal.html.jinja", code=status, status=status, text=text, language=language, again=again)


def is_page() -> bool:
    """Whether this request is for a page, so that a refusal of it is for a person."""
    return bool(g.get("page"))


def spoken() -> str:
    """The language of the page: as chosen just now, else earlier, else as the browser asks, else Dutch."""
    chosen = request.args.get("lang") or request.cookies.get("lang", "")
    return chosen if chosen in LANGUAGES else language()


def said(key: str, **places: Any) -> str:
    """The words `file.name` of cds_service/words/ in the language of the page, with their {places} filled in."""
    file, _, name = key.partition(".")
    return words(file)[name][spoken()].format(**places)


@cache
def words(file: str) -> dict[str, Text]:
    """name → the words in each language. Raises ValueError where one is missing."""
    read: dict[str, Text] = tomllib.loads((_WORDS / f"{file}.toml").read_text("utf-8"))
    for name, texts in read.items():
        if set(texts) != set(LANGUAGES):
            raise ValueError(f"cds_service/words/{file}.toml: {name}: write {' and '.join(LANGUAGES)}")
    return read


@cache
def _sentences(language: str) -> frozenset[str]:
    """All words that pages say in this language."""
    return frozenset(texts[language] for path in _WORDS.glob("*.toml") for texts in words(path.stem).values())


def _shared(service: Deployment) -> dict[str, Any]:
    """What every template may use."""
    theme = request.args.get("theme") or request.cookies.get("theme", "")
    return {
        "t": said,
        "lang": spoken(),
        "languages": LANGUAGES,
        "theme": theme if theme in THEMES else "",
        "here": _here,
        "development": service.development,
        "signed": all(one.signed_by for one in service.screenings),
        "screenings_in_use": service.screenings,
        "version": __version__,
    }


def _here(**changed: str) -> str:
    """The address of this page with other parameters, for the links that switch language or theme.

    A refused address is not repeated: it may hold what only the one who sent it should know.
    """
    return f"?{urlencode(({} if g.get('refused') else request.args.to_dict()) | changed)}"


def _refuse_strangers(service: Deployment) -> None:
    """Raises Forbidden for what another site sends in this browser's name, also under a name that leads to us.

    A browser says where a request comes from; what says nothing is no browser, and carries nobody's rights. An Origin
    that is "null" may be anybody's: it counts only where the browser also says that it is the same site.
    """
    public = urlsplit(service.public)
    host = urlsplit(f"//{request.host}").hostname
    if host != public.hostname and not (service.development and host in _LOOPBACK):
        raise Forbidden(said("layout.other-host"))
    if request.method in ("GET", "HEAD", "OPTIONS"):
        return
    site, origin = request.headers.get("Sec-Fetch-Site"), request.headers.get("Origin")
    ours = [None, f"{public.scheme}://{public.netloc}", f"{request.scheme}://{request.host}"]
    if site not in (None, "same-origin", "none") or origin not in (ours if site is None else [*ours, "null"]):
        raise Forbidden(said("layout.other-site"))
