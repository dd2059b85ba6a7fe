"""The patients of patients.toml whose answers a person can give on the form: complete, without a contradiction."""

import tomllib
from pathlib import Path
from typing import Any

from cds_content.loading import load
from cds_service import form
from tests.samples import CALM

_ROOT = Path(__file__).parent.parent


def _filled_in() -> list[dict[str, Any]]:
    (screening,) = load(_ROOT)
    sheet = form.sheet(screening, "nl")
    rows = tomllib.loads((Path(__file__).parent / "patients.toml").read_text("utf-8"))["patient"]
    found = []
    for row in rows:
        answers = {name: one for name, one in (CALM | row.get("answers", {})).items() if one != "-"}
        if not set(row) <= {"reason", "answers", "cards", "rows"}:
            continue  # another patient, date or status than the form can give
        said = {name: tuple(map(str, one if isinstance(one, list) else [one])) for name, one in answers.items()}
        if said.keys() <= {entry.link_id for entry in form.shown(sheet, said)} and not form.faults(sheet, said):
            found.append(row | {"answers": answers})
    return found


FILLED_IN = _filled_in()
