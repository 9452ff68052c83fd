"""The example's gentle life: one thing after another, every few seconds, through the API, drawn from a seed.

It touches only VMs that the example made. What it cannot do, because a visitor changed the cloud, it leaves.
"""

from __future__ import annotations

import logging
import random
import threading
from collections.abc import Callable
from typing import Any

from ringfence.client.connection import Client
from ringfence.errors import RingfenceError
from ringfence.tryout.example import KINDS, MADE_BY, follow

Json = dict[str, Any]
logger = logging.getLogger(__name__)

PAUSE_SECONDS = (2.0, 6.0)
"""Between the end of one thing and the begin of the next: the bound on the rate, for up to `EASY` VMs."""
EASY = 500
"""The fence is compiled from all VMs at each change: with more of them, the pauses grow likewise."""
SPREAD = 6
"""How many VMs more or fewer there may be than at the beginning."""
_LOOK_AT = 200


class Life:
    """Lives until `ended` is set, and tells what it did. `vm_count` is how many VMs there are, about."""

    def __init__(
        self, client: Client, *, seed: int, vm_count: int, ended: threading.Event, tell: Callable[[str], None]
    ) -> None:
        self._client = client
        self._tell = tell
        self._dice = random.Random(seed)  # noqa: S311 - it is to be the same again
        self._balance = 0
        self._last_number = vm_count
        self._slower = max(1.0, vm_count / EASY)
        self._ended = ended

    def live(self) -> None:
        """Do one thing after another."""
        deeds = self._deeds()
        while not self._ended.wait(self._dice.uniform(*PAUSE_SECONDS) * self._slower):
            if not deeds:
                deeds = self._deeds()
            self.do(deeds.pop())

    def do(self, deed: Callable[[], None]) -> None:
        """Do it, or leave it where the cloud does not let it be done."""
        try:
            deed()
        except RingfenceError as refused:
            logger.info("the example could not %s: %s", deed.__name__.strip("_"), refused.message)

    def _deeds(self) -> list[Callable[[], None]]:
        """Draw a round of deeds: each kind comes up, in an order of its own."""
        often = [self._create, self._delete, self._move, self._stop, self._start]
        seldom = [self._be_refused, self._cordon_and_uncordon, self._relabel]
        deeds: list[Callable[[], None]] = [*often, *often, *seldom]
        self._dice.shuffle(deeds)
        return deeds

    def _create(self) -> None:
        if self._balance < SPREAD:
            self._last_number += 1
            self._follow(self._client.create("/v1/vms", self._dice.choice(KINDS).asked(self._last_number)))
            self._balance += 1

    def _delete(self) -> None:
        vm = self._vm("running")
        if vm is not None and self._balance > -SPREAD:
            self._follow(self._client.delete(f"/v1/vms/{vm['id']}"))
            self._balance -= 1

    def _move(self) -> None:
        self._ask("running", "move")

    def _stop(self) -> None:
        self._ask("running", "stop")

    def _start(self) -> None:
        self._ask("stopped", "start")

    def _be_refused(self) -> None:
        """Ask for a VM of the hospital on a host of the bank."""
        beside = self._vm("running", zone="bank-core")
        if beside is not None:
            self._last_number += 1
            stranger = next(kind for kind in KINDS if kind.zone == "hospital-wards")
            self._follow(self._client.create("/v1/vms", stranger.asked(self._last_number, beside["host"])))

    def _cordon_and_uncordon(self) -> None:
        vm = self._vm("running")
        if vm is None:
            return
        host = f"/v1/hosts/{vm['host']}"
        self._client.create(f"{host}/cordon")
        self._tell(f"host {vm['host']}: cordoned")
        try:
            self._follow(self._client.create(f"/v1/vms/{vm['id']}/move"))
            self._ended.wait(self._dice.uniform(*PAUSE_SECONDS))
        finally:
            self._client.create(f"{host}/uncordon")
            self._tell(f"host {vm['host']}: uncordoned")

    def _relabel(self) -> None:
        vm = self._vm("running")
        if vm is not None:
            other = "live" if vm["labels"].get("stage") == "test" else "test"
            self._client.change(f"/v1/vms/{vm['id']}", {"labels": {**vm["labels"], "stage": other}})

    def _ask(self, state: str, verb: str) -> None:
        vm = self._vm(state)
        if vm is not None:
            self._follow(self._client.create(f"/v1/vms/{vm['id']}/{verb}"))

    def _vm(self, state: str, **more: str) -> Json | None:
        found = self._client.pages("/v1/vms", limit=_LOOK_AT, state=state, **more)
        own = [vm for vm in found if MADE_BY.items() <= vm["labels"].items()]
        return self._dice.choice(own) if own else None

    def _follow(self, operation: Json) -> None:
        ended = follow(self._client, operation, ended=self._ended)
        told = ended["error"]["code"] if ended.get("error") else ended["state"]
        self._tell(f"{ended['kind']} {ended['subject_name']}: {told}")
