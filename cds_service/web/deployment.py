"""What the routes work with: content, database, address, clients, and what is switched on."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime
from functools import cache, cached_property
from uuid import uuid4

from sqlalchemy import Engine

from cds_content.card_shapes import Service
from cds_content.screening import Screening
from cds_service.auth import Identify
from cds_service.clients import DEVELOPMENT, EVERYTHING, Client
from cds_service.config import HOME
from cds_service.sandbox import Ehr
from cds_service.sandbox.trust import identified
from cds_service.scenarios import Scenario, scenarios

Admit = Callable[[str, int], None]  # owner, calls per second agreed → nothing, or raises TooManyCalls
Offered = Mapping[str, tuple[Screening, Mapping[str, Service]]]  # id → screening, and its service for each hook


@cache
def library() -> tuple[Scenario, ...]:
    """The scenario library that comes with the service, read once."""
    return scenarios(HOME / "examples")


@dataclass(frozen=True)
class Deployment:
    """What the routes work with.

    `admit` counts a call of an owner and raises TooManyCalls where that is one too many. `metrics_token` is what a
    monitoring system may show instead of a client's token (empty: nothing).

    `identify` names the owner of a call (the client, and its tenant if any) or raises NotAuthenticated. `hooks` are
    those offered (None: all); `grouped` puts all hooks of a screening under one id; `versions` adds version and
    hookVersion to discovery.
    """

    screenings: tuple[Screening, ...]
    store: Engine
    public: str
    development: bool = False
    clients: Mapping[str, Client] = field(default_factory=lambda: {DEVELOPMENT: EVERYTHING})
    identify: Identify | None = None
    hooks: tuple[str, ...] | None = None
    grouped: bool = False
    versions: bool = True
    origins: tuple[str, ...] = ()
    patient_key: bytes = b"development"  # of the hash that stands for a patient in the records
    admit: Admit = lambda _owner, _agreed: None
    metrics_token: str = ""
    scenarios: Callable[[], Sequence[Scenario]] = library  # the patients of the sandbox
    now: Callable[[], datetime] = lambda: datetime.now(UTC)
    new_uuid: Callable[[], str] = lambda: str(uuid4())

    @cached_property
    def offered(self) -> Offered:
        """The services by id, in the order of the content. Two hooks share an id only when `grouped`."""
        found: dict[str, tuple[Screening, dict[str, Service]]] = {}
        for screening in self.screenings:
            for id_, service in screening.services.items():
                if self.hooks is None or service.hook in self.hooks:
                    _, hooks = found.setdefault(screening.name if self.grouped else id_, (screening, {}))
                    hooks[service.hook] = service
        return found

    @cached_property
    def ehr(self) -> Ehr:
        """The mini-EHR of the sandbox, for development mode only."""
        return Ehr(self.public, self.screenings, self.scenarios, self.now)

    @cached_property
    def identify_sandbox(self) -> Identify:
        """Names the mini-EHR by the token of its call, or raises NotAuthenticated."""
        return identified(self.store, self.public, self.ehr.signer)
