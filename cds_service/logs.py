"""The log: one JSON object per line, of a fixed list of fields and nothing else; never a word that somebody sent.

`logs.get().warning("event words", client=..., reason=...)`: the event is a constant, and a field that is not in FIELDS
is dropped before anything is written. What libraries and Python itself would write comes out in the same form, by the
name of the logger, the kind of error and its place, because their texts may hold what was sent. Source: OWASP ASVS 5.0,
V16.
"""

import json
import logging
import sys
import threading
import traceback
from types import TracebackType
from typing import Any, TextIO, cast

import structlog
from structlog.typing import EventDict, FilteringBoundLogger

# All that a line may hold, in this order.
FIELDS = (
    "at",  # when, UTC
    "level",
    "event",
    "request",  # the id of the call, as in the header X-Request-ID of its answer
    "method",
    "route",  # the template of the address, never the address
    "service",
    "hook",
    "status",
    "ms",
    "client",
    "tenant",
    "reason",  # fixed words, or a code of http://hl7.org/fhir/issue-type
    "screening",
    "disposition",
    "kind",  # of an error: the name of its class
    "place",  # of an error: the last files and lines
    "id",  # of a resource, given by this service
    "base",  # of a FHIR server, as the configuration writes it
    "library",  # the name of the logger of a library that would have written something
)
LONGEST = 300  # characters of a value
_FRAMES = 4  # of ours
_OURS = "cds_service"  # the only logger whose text is written


def get() -> FilteringBoundLogger:
    """The log of this service. Until `start` is called, Python's own settings say where its lines go."""
    logger = structlog.wrap_logger(
        logging.getLogger(_OURS),
        processors=[structlog.contextvars.merge_contextvars, structlog.processors.add_log_level, _stamp, _written],
        wrapper_class=structlog.make_filtering_bound_logger(logging.INFO),
    )
    return cast("FilteringBoundLogger", logger.bind())


def start(to: TextIO | None = None) -> None:
    """All that this process has to say goes to `to` (standard error) in the one form, also of libraries and threads."""
    handler = logging.StreamHandler(to or sys.stderr)
    handler.setFormatter(_OneForm())
    logging.basicConfig(handlers=[handler], level=logging.WARNING, force=True)
    logging.getLogger(_OURS).setLevel(logging.INFO)
    logging.captureWarnings(capture=True)
    logging.raiseExceptions = False  # a line that cannot be written is not told with its values
    sys.excepthook = _ended
    threading.excepthook = lambda caught: _uncaught(caught.exc_value)
    sys.unraisablehook = lambda caught: _uncaught(caught.exc_value)


def place(error: BaseException | None) -> str:
    """Where an error came from: the last files and lines of ours and the very last, without a text or a value."""
    frames = traceback.extract_tb(error.__traceback__) if error else []
    ours = [frame for frame in frames[:-1] if "/cds_" in frame.filename][-_FRAMES:]
    return " > ".join(f"{'/'.join(one.filename.split('/')[-2:])}:{one.lineno}" for one in [*ours, *frames[-1:]])


_stamp = structlog.processors.TimeStamper(fmt="iso", utc=True, key="at")


def _written(_: Any, __: str, said: EventDict) -> str:
    """The line: only known fields, only plain values; all but printable ASCII is escaped, so that a line is a line."""
    kept = {name: _plain(said[name]) for name in FIELDS if isinstance(said.get(name), str | int | float)}
    return json.dumps({name: value for name, value in kept.items() if value != ""})


def _plain(value: str | float) -> str | float:
    return value[:LONGEST] if isinstance(value, str) else value


class _OneForm(logging.Formatter):
    """Our own lines as they are; of all others the logger, the level and the error, and never the text."""

    def format(self, record: logging.LogRecord) -> str:
        if record.name == _OURS:
            return record.getMessage()
        error = record.exc_info[1] if record.exc_info else None
        said = {
            "level": record.levelname.lower(),
            "event": "a library had something to say",
            "library": record.name,
            "kind": type(error).__name__ if error else "",
            "place": place(error),
        }
        return _written(None, "", _stamp(None, "", said))


def _ended(_: type[BaseException], error: BaseException, __: TracebackType | None) -> None:
    if not isinstance(error, KeyboardInterrupt):
        _uncaught(error)


def _uncaught(error: BaseException | None) -> None:
    get().critical("uncaught error", kind=type(error).__name__, place=place(error))
