"""What is kept: decisions, their cards, feedback on these, responses that clients submitted, and who did what when.

The only SQL (SQLAlchemy 2 Core), one way for SQLite and PostgreSQL. Each accepted write is one transaction, which holds
its own audit event, and is acknowledged when it is committed. Every row belongs to a client.
"""

from cds_service.store.audit import Act, events, note
from cds_service.store.criteria import Criteria
from cds_service.store.database import open_store, transaction, writing
from cds_service.store.lifetimes import Keep, purge
from cds_service.store.pages import Place, search
from cds_service.store.received import Received, Stored, create, create_unless, delete, of_patient, read, update
from cds_service.store.recorded import decision, issued, record, record_feedback
from cds_service.store.rights import erase, export, owners
from cds_service.store.tables import (
    access_tokens,
    audit_events,
    cards,
    decisions,
    feedback,
    responses,
    seen_tokens,
    visits,
)
from cds_service.store.tokens import access, first_use, give_access
from cds_service.store.visits import forget_visit, keep_visit, sealed_visit

__all__ = [
    "Act",
    "Criteria",
    "Keep",
    "Place",
    "Received",
    "Stored",
    "access",
    "access_tokens",
    "audit_events",
    "cards",
    "create",
    "create_unless",
    "decision",
    "decisions",
    "delete",
    "erase",
    "events",
    "export",
    "feedback",
    "first_use",
    "forget_visit",
    "give_access",
    "issued",
    "keep_visit",
    "note",
    "of_patient",
    "open_store",
    "owners",
    "purge",
    "read",
    "record",
    "record_feedback",
    "responses",
    "sealed_visit",
    "search",
    "seen_tokens",
    "transaction",
    "update",
    "visits",
    "writing",
]
