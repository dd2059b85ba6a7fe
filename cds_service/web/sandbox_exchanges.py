"""The messages behind a step, as the sandbox shows them: all that was sent and received, nothing shortened."""

from collections.abc import Mapping
from dataclasses import dataclass

from cds_service.sandbox.exchange import Exchange, curl, token
from cds_service.web.sandbox_cards import pretty


@dataclass(frozen=True)
class Message:
    """One request and its answer, as texts; an empty text is left out of the page."""

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


def messages(exchanges: tuple[Exchange, ...]) -> tuple[Message, ...]:
    """The messages in the order in which they were sent."""
    return tuple(_message(one) for one in exchanges)


def _message(exchange: Exchange) -> Message:
    header, claims = token(exchange) or (None, None)
    sent, received = exchange.request_body, exchange.response_body
    return Message(
        what=exchange.what,
        line=f"{exchange.method} {exchange.url}",
        status=exchange.status,
        ms=round(exchange.ms),
        error=exchange.error,
        request_headers=_lines(exchange.request_headers),
        request_body="" if sent is None else pretty(sent),
        token_header="" if header is None else pretty(header),
        token_claims="" if claims is None else pretty(claims),
        response_headers=_lines(exchange.response_headers),
        response_body="" if received is None else pretty(received),
        curl=curl(exchange),
    )


def _lines(headers: Mapping[str, str]) -> str:
    return "\n".join(f"{name}: {value}" for name, value in headers.items())
