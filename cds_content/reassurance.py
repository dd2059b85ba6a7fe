"""What no text of the content may say: that nothing is wrong, or what the sheet's translation overstates."""

from collections.abc import Iterator
from typing import Any

from cds_content.shapes import LANGUAGES

FORBIDDEN = (
    *("niets ernstigs", "geen ernstige", "uitgesloten", "niets aan de hand", "geen zorgen", "onschuldig"),
    *("nothing serious", "no serious", "ruled out", "nothing is wrong", "nothing wrong", "not worry", "harmless"),
    "mensen verbeteren",  # the sheet's own translation of S32 says more than its source
)
_NAMES = ("row", "linkId", "code")  # by which a part of a list is known to who reads the file


def reassurance(value: Any, place: str = "") -> Iterator[tuple[str, str]]:
    """(place, phrase) for each forbidden phrase in any text of a content file, read as JSON or TOML.

    The statements are left out: they quote the sheet, say nothing of one patient, and stand on no card.
    """
    if isinstance(value, str):
        yield from ((place, phrase) for phrase in FORBIDDEN if phrase in value.lower())
    for name, part in _parts(value):
        if place != "statement" or not isinstance(part, dict):
            yield from reassurance(part, place if name in LANGUAGES else f"{place}.{name}".removeprefix("."))


def _parts(value: Any) -> Iterator[tuple[str, Any]]:
    if isinstance(value, dict):
        yield from value.items()
    for number, part in enumerate(value if isinstance(value, list) else ()):
        named = [part[name] for name in _NAMES if isinstance(part, dict) and isinstance(part.get(name), str)]
        yield named[0] if named else str(number), part
