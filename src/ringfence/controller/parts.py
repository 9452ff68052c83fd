"""The parts that routes are given, built once by `assembly`. A record, nothing more."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Protocol

from ringfence.adapters.bells import Bells
from ringfence.adapters.changes import Changes
from ringfence.controller.authority import Authority
from ringfence.controller.consoles import Consoles
from ringfence.controller.image_files import ImageFiles
from ringfence.controller.image_imports import ImageImports
from ringfence.controller.ledger import LedgerKeeper
from ringfence.controller.passwords import Passwords
from ringfence.controller.settings import Settings
from ringfence.model.names import OperationId
from ringfence.ports import Fence, Hypervisors
from ringfence.store.engine import Store


class Operations(Protocol):
    """Runs operations: `workflows.runtime.Runtime`, as routes use it."""

    def start(self, operation_id: OperationId) -> None:
        """Run a committed operation, in the background; starting it twice is one run."""
        ...


@dataclass(frozen=True, slots=True, kw_only=True)
class Parts:
    """Everything a route may use. `agents_address` is what join tokens tell hosts to dial, as HOST:PORT.

    `page_url` is where people's browsers find this controller. `simulated`: there are no real hosts, and every answer
    says so.
    """

    settings: Settings
    store: Store
    bells: Bells
    changes: Changes
    authority: Authority
    hypervisors: Hypervisors
    fence: Fence
    operations: Operations
    images: ImageFiles
    imports: ImageImports
    consoles: Consoles
    ledger: LedgerKeeper
    passwords: Passwords
    agents_address: str
    page_url: str
    simulated: bool
