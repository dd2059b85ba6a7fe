"""A CDS Hooks service on HealthChain, as its documentation writes one: a rule, and a card with the members of ours."""

import json
from pathlib import Path

from healthchain.gateway import CDSHooksService, HealthChainAPI
from healthchain.models import CDSRequest, CDSResponse

ALARMS = {"rf-bladder-bowel": "new", "rf-saddle": "new", "rf-sexual": "new"}
CARD = json.loads(Path(__file__).with_name("card.json").read_text("utf-8"))
CALM = {"summary": "No alarm", "indicator": "info", "source": {"label": "Example"}}
cds = CDSHooksService()


@cds.hook("patient-view", id="screening", title="A screening")
def screened(request: CDSRequest) -> CDSResponse:
    """A card for the responses of the prefetch: the alarm, or that there is none."""
    entries = (request.prefetch or {})["responses"]["entry"]
    alarm = any(has_alarm(entry["resource"]) for entry in entries)
    return CDSResponse(cards=[CARD if alarm else CALM])


def has_alarm(response: dict) -> bool:
    return any(
        ALARMS[item["linkId"]] == answer.get("valueCoding", {}).get("code")
        for item in response["item"]
        if item["linkId"] in ALARMS
        for answer in item["answer"]
    )


app = HealthChainAPI(title="A screening")
app.register_service(cds)
