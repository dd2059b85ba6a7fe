"""What every answer says beside its body: not kept by anybody, not guessed at, not framed, nothing loaded.

Source: OWASP REST Security and HTTP Headers cheat sheets; RFC 6797; Fetch, "CORS protocol".
"""

from flask import Flask, Response, request

_ALWAYS = {
    "Cache-Control": "no-store",
    "X-Content-Type-Options": "nosniff",
    "X-Frame-Options": "DENY",
    "Cross-Origin-Resource-Policy": "same-origin",
    "Permissions-Policy": "camera=(), geolocation=(), microphone=()",
}
_REFERRER = "no-referrer"  # a page has its own: without a referrer, its forms would come from nowhere
_POLICY = "default-src 'none'; frame-ancestors 'none'"  # a page has its own, as strict but for its style
_STATIC = ("static", "bootstrap.static")  # style and scripts: the same for all
_TWO_YEARS = 63_072_000  # seconds


def secure(app: Flask, public: str) -> None:
    """Every answer of this application carries the headers; `public` is its address as clients know it."""
    https = {"Strict-Transport-Security": f"max-age={_TWO_YEARS}"} if public.startswith("https://") else {}
    always = _ALWAYS | https

    @app.after_request
    def add(response: Response) -> Response:
        response.headers.update(always)
        if request.endpoint in _STATIC and response.status_code == 200:
            response.headers["Cache-Control"] = "public, max-age=3600"
        response.headers.setdefault("Content-Security-Policy", _POLICY)
        response.headers.setdefault("Referrer-Policy", _REFERRER)
        return _of_its_status(response)


def offer_methods(app: Flask) -> None:
    """A browser that asks before it calls is told the methods of that address only. Registered before CORS is."""

    @app.after_request
    def narrow(response: Response) -> Response:
        if "Access-Control-Allow-Methods" in response.headers and response.allow:
            response.headers["Access-Control-Allow-Methods"] = ", ".join(sorted(response.allow))
        return response


def _of_its_status(response: Response) -> Response:
    if response.status_code == 503:
        response.headers["Retry-After"] = "5"  # seconds
    if response.status_code == 401:
        response.headers["WWW-Authenticate"] = "Bearer"
    return response
