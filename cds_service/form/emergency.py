"""Whether the answers call for the emergency notice again: by the same rules as the cards, and by the content alone."""

from collections.abc import Sequence
from datetime import datetime

from cds_content.screening import Screening
from cds_content.shapes import Json
from cds_service.clients import Client
from cds_service.details import Call
from cds_service.judgement import Asker, judged

_SOMEBODY = "form"  # whose answers they are does not matter here; they never leave this page


def is_emergency(screening: Screening, response: Json, data: Sequence[Json], language: str, now: datetime) -> bool:
    """Whether a row of the most urgent disposition fires; `data` may hold the Patient, for the age.

    Whoever asks has to take an error of ours for one: nothing that fails may pass for the absence of an emergency.
    """
    call = Call(_SOMEBODY, None, None, language, now, "http://form.invalid", lambda: "form")
    own = response | {"subject": {"reference": f"Patient/{_SOMEBODY}"}}
    patients = [one | {"id": _SOMEBODY} for one in data]
    advice, _ = judged(screening, own, Asker(Client(), call), patients)
    return any(one.finding.advice == emergency(screening) for one in advice.fired)


def emergency(screening: Screening) -> str:
    """The disposition that is told to the patient at once: the most urgent one, where that is a doctor, critically."""
    name, first = next(iter(screening.dispositions.items()))
    return name if first.class_ == "doctor" and first.indicator == "critical" else ""
