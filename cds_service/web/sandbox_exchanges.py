"""The messages behind a step, as the sandbox shows them: all that was sent and received, nothing shortened.

What cannot be seen from here, words/sandbox.toml says: how a body was packed, and what a server in front adds.
"""

from collections.abc import Mapping
from dataclasses import dataclass

from cds_service.sandbox.exchange import Exchange, curl, is_free, token
from cds_service.web.sandbox_cards import pretty


@dataclass(frozen=True)
class Message:
    """One request and its answer, as texts; an empty text is left out of the page.

    `repeated` says of the line for curl whether it can be sent again: "free" without its token, "once" with it.
    """

    what: str
    line: str
    status: int
    ms: int
    error: str
    request_headers: str
    request_body: str
    token_header: str
    token_claims: str
    response_headers: str
    response_body: str
    curl: str
    repeated: str


def messages(exchanges: tuple[Exchange, ...], own: str) -> tuple[Message, ...]:
    """The messages in the order in which they were sent; `own` is the base of our own CDS service."""
    return tuple(_message(one, own) for one in exchanges)


def _message(exchange: Exchange, own: str) -> Message:
    header, claims = token(exchange) or (None, None)
    sent, received = exchange.request_body, exchange.response_body
    return Message(
        what=exchange.what,
        line=f"{exchange.method} {exchange.url}",
        status=exchange.status,
        ms=round(exchange.ms),
        error=exchange.error,
        request_headers=_lines(
            f"{exchange.method} {exchange.target} {exchange.request_version}", exchange.request_headers
        ),
        request_body="" if sent is None else pretty(sent),
        token_header="" if header is None else pretty(header),
        token_claims="" if claims is None else pretty(claims),
        response_headers=_lines(_status_line(exchange), exchange.response_headers),
        response_body="" if received is None else pretty(received),
        curl=curl(exchange, own),
        repeated="" if claims is None else "free" if is_free(exchange, own) else "once",
    )


def _status_line(exchange: Exchange) -> str:
    return f"{exchange.response_version} {exchange.status} {exchange.reason}".strip() if exchange.status else ""


def _lines(first: str, headers: Mapping[str, str]) -> str:
    return "\n".join([*([first] if first else []), *(f"{name}: {value}" for name, value in headers.items())])
