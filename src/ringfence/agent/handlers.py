"""One handler for each verb in `wire`: done again, each leaves what doing it once leaves. It decides nothing."""

from __future__ import annotations

import dataclasses

from ringfence.agent.admission import check_address, check_vm, check_vm_id
from ringfence.agent.ask_root import RootPart
from ringfence.agent.console import Consoles
from ringfence.agent.dial import Controller
from ringfence.agent.disks import Disks
from ringfence.agent.moves import Departure, Door
from ringfence.agent.root_verbs import (
    CloseWindow,
    Domains,
    Done,
    Figures,
    ListDomains,
    Migrate,
    OpenWindow,
    ReadySend,
    RemoveDomain,
    RootVerb,
    StartDomain,
    StopDomain,
)
from ringfence.agent.settings import Settings
from ringfence.errors import Invalid, NotFound, WrongState
from ringfence.model.hosts import CommandUnknown, MoveFailed
from ringfence.model.images import ImageFormat
from ringfence.model.vms import VmSpec
from ringfence.wire import (
    AnyResult,
    CloseMove,
    Held,
    HoldImage,
    Moved,
    Nothing,
    ObserveVms,
    OpenConsole,
    OpenScreen,
    PrepareVm,
    ReceiveMove,
    RemoveVm,
    Seen,
    SendMove,
    StartVm,
    StopVm,
    Verb,
)

_ROOT_SLACK_SECONDS = 30.0


class Handlers:
    """Everything a host does when asked; `handle` finds the handler."""

    def __init__(
        self,
        settings: Settings,
        *,
        root: RootPart,
        disks: Disks,
        door: Door,
        consoles: Consoles,
        controller: Controller,
    ) -> None:
        self._settings, self._root, self._disks, self._door = settings, root, disks, door
        self._consoles, self._controller = consoles, controller
        self._handlers = {
            HoldImage: self._hold_image,
            PrepareVm: self._prepare_vm,
            StartVm: self._start_vm,
            StopVm: self._stop_vm,
            RemoveVm: self._remove_vm,
            ReceiveMove: self._receive_move,
            SendMove: self._send_move,
            CloseMove: self._close_move,
            ObserveVms: self._observe_vms,
            OpenConsole: self._open_console,
            OpenScreen: self._open_console,
        }

    def handle(self, verb: Verb) -> AnyResult:
        """Do a verb; raises the error to answer with."""
        handler = self._handlers.get(type(verb))
        if handler is None:
            raise CommandUnknown(verb=type(verb).__name__)
        result: AnyResult = handler(verb)  # type: ignore[operator]
        return result

    def _hold_image(self, verb: HoldImage) -> Held:
        _check_format(verb.format)
        with self._controller.another() as controller:
            fetched = self._disks.hold_image(
                verb.digest,
                verb.format,
                verb.file_bytes,
                lambda take: controller.download(f"/agent/v1/images/{verb.digest}", take),
            )
        return Held(fetched_bytes=fetched)

    def _prepare_vm(self, verb: PrepareVm) -> Nothing:
        return Nothing(changed=self._disks.prepare(check_vm(verb.vm)))

    def _start_vm(self, verb: StartVm) -> Nothing:
        return self._done(StartDomain(vm=_for_root(check_vm(verb.vm))), 120.0)

    def _stop_vm(self, verb: StopVm) -> Nothing:
        check_vm_id(verb.vm_id)
        asked = StopDomain(vm_id=verb.vm_id, graceful_seconds=verb.graceful_seconds)
        return self._done(asked, verb.graceful_seconds + _ROOT_SLACK_SECONDS)

    def _remove_vm(self, verb: RemoveVm) -> Nothing:
        check_vm_id(verb.vm_id)
        self._door.close(verb.vm_id)
        # ORDER: the domain before its disks: QEMU must not write to files that are gone, and a crash between the two
        # leaves a folder that the next try, or anyone who looks, finds.
        domain = self._done(RemoveDomain(vm_id=verb.vm_id), 60.0)
        return Nothing(changed=self._disks.remove(verb.vm_id) or domain.changed)

    def _receive_move(self, verb: ReceiveMove) -> Nothing:
        spec = check_vm(verb.vm)
        peer = check_address(verb.source_address, field="source_address")
        # ORDER: company first. What is made after it is made for a VM that may come.
        opened = self._done(OpenWindow(vm=_for_root(spec), peer_address=peer, window_seconds=verb.window_seconds), 60.0)
        try:
            if self._state(spec.vm_id) == "absent":
                self._disks.receive(spec)
            self._door.open(spec.vm_id, verb.source_host_id, seconds=verb.window_seconds)
        except BaseException:
            self._root.ask(CloseWindow(vm_id=spec.vm_id))
            raise
        return opened

    def _send_move(self, verb: SendMove) -> Moved:
        check_vm_id(verb.vm_id)
        address = check_address(verb.destination_address, field="destination_address")
        departure = Departure(self._settings, vm_id=verb.vm_id, host_id=verb.destination_host_id, address=address)
        if self._state(verb.vm_id) == "absent":
            return self._gone(verb.vm_id, departure)
        self._root.ask(ReadySend(vm_id=verb.vm_id))
        with departure.offered():
            try:
                figures = self._root.ask(
                    Migrate(vm_id=verb.vm_id, timeout_seconds=verb.timeout_seconds),
                    patience_seconds=verb.timeout_seconds + _ROOT_SLACK_SECONDS,
                )
            except MoveFailed as error:
                # What went wrong in a tunnel says more than that libvirt's connection broke.
                said = f"{error.why} ({'; '.join(departure.failed)})" if departure.failed else error.why
                raise MoveFailed(vm_id=verb.vm_id, why=said) from None
        assert isinstance(figures, Figures)
        if figures.gone_before:
            return self._gone(verb.vm_id, departure)
        return Moved(downtime_ms=figures.downtime_ms, total_ms=figures.total_ms, sent_bytes=figures.sent_bytes)

    def _gone(self, vm_id: str, departure: Departure) -> Moved:
        """Say what became of a VM that is not here: moved, if it runs there, with the figures if they are known."""
        if departure.state_there() != "running":
            raise NotFound(kind="running VM", ref=vm_id)
        figures = self._root.ask(Migrate(vm_id=vm_id, timeout_seconds=10.0))
        assert isinstance(figures, Figures)
        return Moved(downtime_ms=figures.downtime_ms, total_ms=figures.total_ms, sent_bytes=figures.sent_bytes)

    def _close_move(self, verb: CloseMove) -> Nothing:
        check_vm_id(verb.vm_id)
        if not verb.keep and self._state(verb.vm_id) == "running":
            # SAFETY: it runs here, so it may be the only one there is. Whoever knows better says RemoveVm.
            raise WrongState(kind="VM", name=verb.vm_id, state="running", verb="undoing its move", needs="not here")
        self._door.close(verb.vm_id)
        if verb.keep:
            return self._done(CloseWindow(vm_id=verb.vm_id), 60.0)
        domain = self._done(RemoveDomain(vm_id=verb.vm_id), 60.0)
        return Nothing(changed=self._disks.remove(verb.vm_id) or domain.changed)

    def _observe_vms(self, _verb: ObserveVms) -> Seen:
        seen = self._domains(listening=True)
        return Seen(
            vms=seen.vms,
            disks=self._disks.ids(),
            windows=seen.windows,
            listening=seen.listening,
            tunnel=seen.tunnel,
        )

    def _open_console(self, verb: OpenConsole | OpenScreen) -> Nothing:
        self._consoles.open(verb)
        return Nothing()

    def _done(self, verb: RootVerb, patience_seconds: float) -> Nothing:
        done = self._root.ask(verb, patience_seconds=patience_seconds)  # type: ignore[arg-type]
        assert isinstance(done, Done)
        return Nothing(changed=done.changed)

    def _domains(self, *, listening: bool = False) -> Domains:
        seen = self._root.ask(ListDomains(listening=listening))
        assert isinstance(seen, Domains)
        return seen

    def _state(self, vm_id: str) -> str:
        return next((vm.state for vm in self._domains().vms if vm.vm_id == vm_id), "absent")


def subject(verb: Verb) -> str:
    """Name what a verb is about: verbs of one subject are done one after another."""
    match verb:
        case PrepareVm() | StartVm() | ReceiveMove():
            return verb.vm.vm_id
        case StopVm() | RemoveVm() | SendMove() | CloseMove():
            return verb.vm_id
        case HoldImage():
            return verb.digest
        case OpenConsole() | OpenScreen():
            return f"console {verb.session_id}"
    return type(verb).__name__


def _for_root(spec: VmSpec) -> VmSpec:
    """Leave out what root does not need: user data may hold a user's secrets."""
    return dataclasses.replace(spec, user_data="")


def _check_format(name: str) -> None:
    if name not in set(ImageFormat):
        raise Invalid(field="format", why=f"it is one of {', '.join(ImageFormat)}")
