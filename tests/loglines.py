"""What a log says: its lines, each a JSON object of known fields and nothing else."""

import json
from collections.abc import Iterable
from typing import Any

import pytest

from cds_service.logs import FIELDS


def lines_of(text: str | Iterable[str]) -> list[dict[str, Any]]:
    """The lines; fails for one that is not such an object, or that has more than one line of a terminal."""
    said = text.splitlines() if isinstance(text, str) else text
    lines = [json.loads(line) for line in said]
    assert [line for line in lines if not isinstance(line, dict) or line.keys() - set(FIELDS)] == []
    assert [line for line in lines if not {"at", "level", "event"} <= line.keys()] == []
    return lines


def heard(caplog: pytest.LogCaptureFixture, event: str = "") -> list[dict[str, Any]]:
    """What this service wrote; with `event` only the lines about that."""
    lines = lines_of(record.getMessage() for record in caplog.records if record.name == "cds_service")
    return [line for line in lines if event in ("", line["event"])]
