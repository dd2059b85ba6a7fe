"""What can be ordered and booked in the sandbox: the kinds of orders.toml, each under its first code."""

from collections.abc import Mapping, Sequence
from datetime import datetime
from uuid import uuid4

from cds_content.card_shapes import OrderCode, OrderKind
from cds_content.screening import Screening
from cds_content.shapes import Json
from cds_service.errors import NotFound


def kinds(screenings: Sequence[Screening], resource: str) -> Mapping[str, str]:
    """The kinds for which there is such a resource → the words of the code that is used."""
    found = {name: kind for one in screenings for name, kind in one.orders.items() if resource in kind.elements}
    return {name: kind.codes[0].display for name, kind in found.items()}


def drafted(screenings: Sequence[Screening], kind: str, patient: str, user: str, now: datetime) -> Json:
    """A ServiceRequest of this kind that is not signed. Raises NotFound."""
    code = _code(_kind(screenings, kind, "ServiceRequest"))
    return {
        "resourceType": "ServiceRequest",
        "id": str(uuid4()),
        "status": "draft",
        "intent": "order",
        "code": code,
        "subject": {"reference": f"Patient/{patient}"},
        "authoredOn": now.isoformat(timespec="seconds"),
        "requester": {"reference": user},
    }


def proposed(screenings: Sequence[Screening], kind: str, patient: str) -> Json:
    """An Appointment of this kind that is not booked. Raises NotFound."""
    table = _kind(screenings, kind, "Appointment")
    return {
        "resourceType": "Appointment",
        "id": str(uuid4()),
        "status": "proposed",
        table.elements["Appointment"][0]: [_code(table, "service-type")],
        "participant": [{"actor": {"reference": f"Patient/{patient}"}, "status": "needs-action"}],
    }


def _kind(screenings: Sequence[Screening], kind: str, resource: str) -> OrderKind:
    for screening in screenings:
        if kind in screening.orders and resource in screening.orders[kind].elements:
            return screening.orders[kind]
    raise NotFound("no such kind of order or appointment; the chart lists those that there are")


def _code(kind: OrderKind, wanted: str = "") -> Json:
    """The first code, of the system that ends so where there is one."""
    best: OrderCode = next((one for one in kind.codes if wanted and one.system.endswith(wanted)), kind.codes[0])
    coding = {"system": best.system, "code": best.code, "display": best.display}
    return {"coding": [coding], "text": best.display}
