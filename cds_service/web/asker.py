"""For whom an operation answers: the client that calls, the patient, and the responses that it submitted about him."""

from cds_service.details import Call
from cds_service.judgement import Asker
from cds_service.prefetch import MOST
from cds_service.store import Act
from cds_service.store.received import of_patient
from cds_service.web import Caller, Deployment, hash_patient


def asker(
    service: Deployment,
    who: Caller,
    patient: str,
    language: str,
    *,
    user: str | None = None,
    encounter: str | None = None,
    server: str | None = None,
) -> Asker:
    """The caller and the patient, now; `server` is the FHIR server whose patient it is, where that is known."""
    hashed = hash_patient(service, who.owner, patient)
    call = Call(
        patient=patient,
        user=user,
        encounter=encounter,
        language=language,
        now=service.now(),
        public=service.public,
        new_uuid=service.new_uuid,
        gp=who.client.reader == "gp",
        choices=who.client.action_selection_behavior,
        smart=service.development or who.client.smart is not None,
    )
    return Asker(who.client, call, lambda: of_patient(service.store, who.owner, hashed, MOST + 1), server)


def act(service: Deployment, who: Caller, asked: Asker) -> Act:
    """What is recorded: which client was advised, about whom, when; operations do not say who of its users asks."""
    hashed = hash_patient(service, who.owner, asked.call.patient or "")
    return Act(who.owner, asked.call.now, patient=hashed, instance=asked.call.new_uuid())
