"""The table of all checks, in the order of the report. Every row is one of docs/requirements.md."""

from cds_service.conformance.checks import (
    calls,
    cards,
    discovery,
    feedback,
    security,
    suggestions,
    templates,
    transport,
)
from cds_service.conformance.looks import Check

CHECKS: tuple[Check, ...] = (
    *transport.CHECKS,
    *discovery.CHECKS,
    *templates.CHECKS,
    *calls.CHECKS,
    *cards.CHECKS,
    *suggestions.CHECKS,
    *feedback.CHECKS,
    *security.CHECKS,
)
