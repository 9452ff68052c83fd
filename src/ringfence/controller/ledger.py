"""Keeps the ledger while the controller runs: gives entries their place soon after their change, and tells denials."""

from __future__ import annotations

import logging
import threading
import time
from collections import Counter
from dataclasses import dataclass, field

from ringfence import __version__
from ringfence.controller.ledger_key import LedgerKey
from ringfence.decide.custody import CONSOLE, CONTROLLER
from ringfence.errors import RingfenceError
from ringfence.model.actors import Actor
from ringfence.model.ledger import Outcome, Subject
from ringfence.model.vms import Vm
from ringfence.store import ledger, signing
from ringfence.store.acting import acting
from ringfence.store.engine import Store
from ringfence.store.ids import new_id

logger = logging.getLogger(__name__)

GATHER_SECONDS = 1.0
"""Entries wait so long for others, to be signed with them. Who reads the ledger has them placed at once."""
LOOK_AGAIN_SECONDS = 2.0
DENIAL_SECONDS = 60.0
MOST_DENIALS = 200
"""How many kinds of denial are told apart in one such time; what comes beyond is counted together."""
_MANY = Subject(kind="denials", id="", name="many")


class LedgerKeeper:
    """The ledger of one controller. `start`, then `stop`."""

    def __init__(self, store: Store, key: LedgerKey, controller_id: str) -> None:
        self.key = key
        self.controller_id = controller_id
        self.denials = Denials(store)
        self._store = store
        self._wake = threading.Event()
        self._stopping = threading.Event()
        self._thread = threading.Thread(target=self._keep, name="ledger", daemon=True)

    def start(self) -> None:
        """Begin; whatever an earlier process left waiting gets its place first."""
        self._store.on_change(self._heard)
        with self._store.transaction() as session:
            started = Subject(kind=CONTROLLER, id=self.controller_id, name="controller")
            signing.note(session, "start", started, facts={"version": __version__})
        self._thread.start()

    def stop(self) -> None:
        """End; what is waiting then gets its place."""
        self._stopping.set()
        self._wake.set()
        if self._thread.is_alive():
            self._thread.join()

    def catch_up(self) -> None:
        """Give every entry that is waiting its place, so that whoever reads the ledger now reads all of it."""
        while True:
            with self._store.reading() as session:
                if not ledger.is_waiting(session):
                    return
            with self._store.transaction() as session:
                ledger.sequence(session, self.key)

    def _heard(self, kind: str, _id: str) -> None:
        # Its own placing of entries is no change to place.
        if kind != "ledger":
            self._wake.set()

    def console_opened(self, vm: Vm, line: str) -> Subject:
        """Tell that the one who acts is about to see the VM's console; `line` says which: console or screen."""
        subject = Subject(kind=CONSOLE, id=new_id(), name=vm.name, related_id=vm.id, project_id=vm.project_id)
        with self._store.transaction() as session:
            signing.note(session, f"open-{line}", subject, facts={"controller": self.controller_id})
        return subject

    def console_closed(self, opened: Subject, line: str) -> None:
        """Tell that it is closed again."""
        with self._store.transaction() as session:
            signing.note(session, f"close-{line}", opened)

    def _keep(self) -> None:
        while True:
            stopping = self._stopping.is_set()
            try:
                self.denials.tell(everything=stopping)
                self.catch_up()
            except RingfenceError as error:
                # Entries stay where they are, committed with their changes; it is tried again.
                logger.error("the ledger: %s", error)  # noqa: TRY400 - told in words, with what to do
            if stopping:
                return
            self._wake.wait(LOOK_AGAIN_SECONDS)
            self._wake.clear()
            self._stopping.wait(GATHER_SECONDS)


@dataclass(frozen=True)
class _Denial:
    actor: Actor
    action: str
    subject: Subject


@dataclass
class _Counted:
    until: float
    times: Counter[_Denial] = field(default_factory=Counter)


class Denials:
    """Attempts that were refused. Each kind is an entry at once; its repetitions within a minute are one more.

    So nobody fills the ledger by being refused, and nobody is refused unseen. What was counted and not told yet is lost
    with the process, at most a minute of repetitions.
    """

    def __init__(self, store: Store) -> None:
        self._store = store
        self._lock = threading.Lock()
        self._now = _Counted(until=time.monotonic() + DENIAL_SECONDS)

    def deny(self, actor: Actor, action: str, subject: Subject) -> None:
        """Tell of an attempt of the actor's that was refused."""
        denial = _Denial(actor, action, subject)
        with self._lock:
            many = denial not in self._now.times and len(self._now.times) >= MOST_DENIALS
            denial = _Denial(actor, "be-denied", _MANY) if many else denial
            if many and denial not in self._now.times:
                denial = next((one for one in self._now.times if one.subject is _MANY), denial)
            self._now.times[denial] += 1
            first = self._now.times[denial] == 1
        if first:
            self._write(denial, times=1)

    def tell(self, *, everything: bool = False) -> None:
        """Write what was counted, once its minute is over."""
        with self._lock:
            if time.monotonic() < self._now.until and not everything:
                return
            counted, self._now = self._now, _Counted(until=time.monotonic() + DENIAL_SECONDS)
        for denial, times in counted.times.items():
            if times > 1:
                self._write(denial, times=times - 1)

    def _write(self, denial: _Denial, *, times: int) -> None:
        with acting(denial.actor), self._store.transaction() as session:
            signing.note(session, denial.action, denial.subject, outcome=Outcome.DENIED, facts={"times": times})
