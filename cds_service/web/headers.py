"""What every answer says beside its body: not kept by anybody, not guessed at, not framed."""

from flask import Flask, Response


def secure(app: Flask) -> None:
    """Every answer of this application carries the headers."""
    app.after_request(_secure)


def _secure(response: Response) -> Response:
    response.headers["Cache-Control"] = "no-store"
    if response.status_code == 503:
        response.headers["Retry-After"] = "5"  # seconds
    if response.status_code == 401:
        response.headers["WWW-Authenticate"] = "Bearer"
    response.headers["X-Content-Type-Options"] = "nosniff"
    return response
