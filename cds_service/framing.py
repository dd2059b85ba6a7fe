"""How requests are read from a connection, and refused before the application: strictly, as RFC 9112 says.

waitress reads them; here stands what it leaves open.
"""

import re
from io import BytesIO
from typing import Any

import orjson
from waitress.parser import HTTPRequestParser, ParsingError
from waitress.task import ErrorTask, WSGITask
from waitress.utilities import BadRequest, Error, RequestEntityTooLarge

from cds_service.web import FHIR_JSON, MAX_BODY

MOST_HEADERS = 32 * 1024  # bytes of request line and headers; a token is at most 8 kB
MOST_READ = (
    64 * MAX_BODY
)  # bytes that are still read, and thrown away, so that their sender hears that they are too many
MOST_IN_CHUNKS = 2 * MAX_BODY  # the same where they come in chunks, which cost more to read
MOST_AROUND = 4 * 1024  # bytes that chunks may cost beside a quarter of the body: each is read by itself, in the loop
AT_ONCE = 2 * 1024  # bytes of chunks that waitress gets to read: it copies what is left after each chunk
MOST_OF_A_LINE = 8 * 1024  # bytes of the line before a chunk, or of the trailer
_BLANKS = re.compile(rb"[ \t]{32}")  # waitress reads a header in a time that grows with the square of these
_CODINGS = re.compile(rb"^transfer-encoding:([^\r\n]*)", re.IGNORECASE | re.MULTILINE)
_REFUSED = {  # status: the code of http://hl7.org/fhir/issue-type, and the words
    400: ("invalid", "the request is not HTTP/1.1 as RFC 9112 has it"),
    413: ("too-long", f"body: over {MAX_BODY} bytes; send fewer responses"),
    431: ("too-long", f"headers: over {MOST_HEADERS} bytes; send fewer"),
    500: ("exception", "internal error; no advice is given"),
    501: ("not-supported", "Transfer-Encoding: write chunked, or Content-Length instead"),
    505: ("not-supported", "write HTTP/1.1"),
}


class Body:
    """A body of at most MAX_BODY bytes, in memory only: patients' data is never put into a file on the way.

    One that is longer is counted on and thrown away; the application refuses it by its length.
    """

    def __init__(self) -> None:
        self._length, self._kept = 0, BytesIO()

    def append(self, data: bytes) -> None:
        self._length += len(data)
        if self._length <= MAX_BODY:
            self._kept.write(data)
        else:
            self._kept.truncate(0)

    def __len__(self) -> int:
        return self._length

    def getfile(self) -> BytesIO:
        self._kept.seek(0)
        return self._kept

    def close(self) -> None:
        self._kept.close()


class VersionNotSupported(Error):
    code, reason = 505, "HTTP Version Not Supported"


class Request(HTTPRequestParser):
    """One request as it comes in. What two readers could frame in two ways is refused, so that nothing hides in it."""

    _other_version = False

    def received(self, data: bytes) -> int:
        """How many of the bytes are taken: all that come after a fault, because nobody can say what they are."""
        taken = self._read_chunks(data) if self.chunked else super().received(data)
        if self._other_version:
            self.error = VersionNotSupported("")
        return len(data) if self.error else taken

    def parse_header(self, header_plus: bytes) -> None:
        """Raises ParsingError, which becomes 400 or 505."""
        if _BLANKS.search(header_plus):
            raise ParsingError("")
        try:
            super().parse_header(header_plus)
        except ValueError:  # of a number or an address that Python cannot read
            raise ParsingError("") from None
        self._other_version = self.version not in ("1.0", "1.1")
        if self._other_version or self._is_ambiguous(header_plus):
            raise ParsingError("")
        receiver: Any = self.body_rcv
        if receiver:
            receiver.buf = Body()

    def _is_ambiguous(self, header_plus: bytes) -> bool:
        """RFC 9112: 6.1 and 6.3 (Transfer-Encoding), 3.2 (Host)."""
        codings = [coding.strip(b" \t").lower() for coding in _CODINGS.findall(header_plus)]
        if codings and (self.version == "1.0" or "CONTENT_LENGTH" in self.headers or codings != [b"chunked"]):
            return True
        return self.version == "1.1" and not re.fullmatch(r"[^\s,/@]*", self.headers.get("HOST", ","))

    def _read_chunks(self, data: bytes) -> int:
        taken = 0
        while taken < len(data) and not self.completed:
            taken += super().received(data[taken : taken + AT_ONCE])
            if not self.completed:
                self._check_chunks()
        return taken

    def _check_chunks(self) -> None:
        receiver: Any = self.body_rcv
        around = self.body_bytes_received - 1.25 * len(receiver)
        if around > MOST_AROUND or len(receiver.control_line) + len(receiver.trailer) > MOST_OF_A_LINE:
            self.error, self.completed = BadRequest(""), True
        elif self.body_bytes_received > MOST_IN_CHUNKS:
            self.error, self.completed = RequestEntityTooLarge(""), True


class Answer(WSGITask):
    """An answer of the application; while the server drains, the last on its connection."""

    def build_response_header(self) -> bytes:
        if self.channel.server.draining:  # type: ignore[attr-defined] # of our Listener
            self.request.headers["CONNECTION"] = "close"  # type: ignore[attr-defined] # it is a Request
        return super().build_response_header()


class Refusal(ErrorTask):
    """The server's own refusals, as OperationOutcomes like all others, without a word of what was sent."""

    def execute(self) -> None:
        error: Error = self.request.error  # type: ignore[attr-defined] # it is a Request
        code, words = _REFUSED.get(error.code, _REFUSED[400])
        issue = {"severity": "error", "code": code, "diagnostics": words}
        self.status = f"{error.code} {error.reason}"
        self.response_headers = [
            ("Content-Type", FHIR_JSON),
            ("Cache-Control", "no-store"),
            ("X-Content-Type-Options", "nosniff"),
        ]
        self.set_close_on_finish()
        body = orjson.dumps({"resourceType": "OperationOutcome", "issue": [issue]})
        self.content_length = len(body)
        self.write(body)
