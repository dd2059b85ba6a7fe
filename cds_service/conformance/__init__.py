"""Checks any CDS Hooks service from outside, row by row of the requirements, and reports what was seen.

What is expected comes from the text of the specification, never from this service.
"""

from cds_service.conformance.asking import Target
from cds_service.conformance.checks import CHECKS
from cds_service.conformance.looks import Check, Level, Result, State, judged
from cds_service.conformance.seen import Seen, look_at

__all__ = ["CHECKS", "Check", "Level", "Result", "Seen", "State", "Target", "judged", "look_at"]
